//! The bank's days: each host has one that is open, and what counts meanwhile is settled under its date. A cutover ends
//! it and begins the next; then its batches are made, of items that don't change any more.
//!
//! Every node does so. Of two that end the same day one is first, and both make the same batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::clock::Clock;
use crate::fault_points::FaultPoint;
use crate::hosts::Hosts;
use crate::hosts::calendar::Calendar;
use crate::hosts::notice::HostCutover;
use crate::payment::ids::HostId;
use crate::payment::moment::{BusinessDate, NumberDate, UnixMillis};
use crate::payment::settlement::{
    BatchTotals, BusinessDay, ClosedBy, Cutover, DayTotals, SettlementBatch,
};
use crate::payment::settlement_file::SettlementFile;
use crate::store::Store;
use crate::store::error::StoreError;

/// Between two looks at the days.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A host's next date is no farther from its open one, or from today: longer than any row of holidays.
const FARTHEST: time::Duration = time::Duration::days(31);

/// The most items with another date that the log names of a day.
const NAMED: usize = 100;

/// The days of the hosts.
pub struct BusinessDays {
    store: Store,
    hosts: Arc<Hosts>,
    clock: Arc<dyn Clock>,
}

/// A day, with what is settled with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledDay {
    /// The day.
    pub day: BusinessDay,
    /// When it was closed, or will be by itself; none where the host ends it, or has no profile any more.
    pub ends_at: Option<UnixMillis>,
    /// What is settled with it, by currency.
    pub totals: Vec<DayTotals>,
    /// The clearing files of it.
    pub files: Vec<SettlementFile>,
}

/// Why a day is not closed.
#[derive(Debug, thiserror::Error)]
pub enum CutoverError {
    /// The gateway has no profile of the host.
    #[error("there is no host {0}")]
    NoHost(HostId),
    /// The day is not open, and was not.
    #[error("the day {date} of host {host_id} is not open")]
    OtherDay {
        /// The host.
        host_id: HostId,
        /// The date.
        date: BusinessDate,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BusinessDays {
    /// The days of these hosts.
    #[must_use]
    pub fn new(store: Store, hosts: Arc<Hosts>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            hosts,
            clock,
        }
    }

    /// Opens days, ends those whose time has come, or whose host says so, and makes their batches, until `stop` is set.
    /// What fails is logged, and tried again.
    pub async fn look_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut cutovers = self.hosts.cutovers();
        loop {
            if let Err(error) = self.look().await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "The bank's days could not be looked after");
            }
            let announced = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                announced = next_of(&mut cutovers) => announced,
                () = sleep(LOOK_EVERY) => None,
            };
            if let Some(cutover) = announced {
                self.record_cutover(cutover).await;
            }
        }
    }

    /// Ends the day of a host that has begun another date; its batches are made at the next look. Where that can't be
    /// recorded now, the host is not answered.
    async fn record_cutover(&self, cutover: HostCutover) {
        let HostCutover {
            host_id,
            next,
            recorded,
        } = cutover;
        match self.begin_date(host_id, next).await {
            // A host that does not wait for the answer any more says it again.
            Ok(begun) => drop(recorded.send(begun)),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, host.id = %host_id, %next, "A cutover of the host could not be recorded");
            }
        }
    }

    /// Whether a date that a host has begun is open now: it ends the day before it. A date that has ended can't begin.
    async fn begin_date(&self, host_id: HostId, next: BusinessDate) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let open = self.store.open_days().await?;
        let Some(day) = open.into_iter().find(|day| day.host_id == host_id) else {
            self.store.open_first_day(&host_id, next, now).await?;
            return Ok(true);
        };
        let today = BusinessDate::from(NumberDate::of(now));
        let from = day.date.max(today).date();
        if next.date() - from > FARTHEST {
            tracing::error!(
                host.id = %host_id, open = %day.date, %next,
                "A host has begun a date that is too far away; it is refused"
            );
            return Ok(false);
        }
        if day.date < next {
            self.end(&day, next, ClosedBy::Host, now).await?;
        } else if day.date > next {
            tracing::error!(
                host.id = %host_id, open = %day.date, %next,
                "A host has begun a date before the one that is open; it is refused"
            );
        }
        Ok(day.date <= next)
    }

    /// Opens the first days, ends the days whose time has come, and makes the batches of those that have ended.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn look(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let open = self.store.open_days().await?;
        for (host_id, calendar) in self.hosts.calendars() {
            match open.iter().find(|day| day.host_id == host_id) {
                None => {
                    let date = calendar.date_at(now);
                    self.store.open_first_day(&host_id, date, now).await?;
                }
                Some(day)
                    if calendar
                        .ends_at(day.date)
                        .is_some_and(|ends_at| ends_at <= now) =>
                {
                    let next = calendar.date_after(day.date, now);
                    self.end(day, next, ClosedBy::Clock, now).await?;
                }
                Some(_) => {}
            }
        }
        let mut failed = None;
        for day in self.store.days_without_batches().await? {
            // One day that can't be summed holds up no other.
            failed = self.make_batches(&day).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Ends the open day of a host at once, where it is that of `date`, and makes its batches. Asked again, after it was
    /// ended, it does nothing but that. Batches that can't be made now are made later.
    ///
    /// # Errors
    /// [`CutoverError`].
    pub async fn cut_over(
        &self,
        host_id: HostId,
        date: BusinessDate,
    ) -> Result<SettledDay, CutoverError> {
        let now = self.clock.now();
        let calendar = self.calendar(host_id);
        let calendar = calendar.ok_or(CutoverError::NoHost(host_id))?;
        let open = self.store.open_days().await?;
        let open = open.into_iter().find(|day| day.host_id == host_id);
        if let Some(day) = open.as_ref().filter(|day| day.date == date) {
            let next = calendar.date_after(date, now);
            self.end(day, next, ClosedBy::Operator, now).await?;
        }
        let ended = self.store.business_day(&host_id, date).await?;
        let Some(mut day) = ended.filter(|day| day.cut_at.is_some()) else {
            return Err(CutoverError::OtherDay { host_id, date });
        };
        // It is closed, whatever becomes of the rest.
        let made = match day.batched_at {
            None => self.make_batches(&day).await,
            Some(_) => Ok(()),
        };
        day.batched_at = day.batched_at.or(made.is_ok().then_some(now));
        let settled = match made {
            Ok(()) => self.settled(day.clone()).await,
            Err(error) => Err(error),
        };
        Ok(settled.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, host.id = %host_id, business_date = %date, "A day is closed without batches");
            SettledDay {
                ends_at: day.cut_at,
                totals: Vec::new(),
                files: Vec::new(),
                day,
            }
        }))
    }

    /// The days of a host, newest first, going on before `before`, each with what is settled with it; none where there is
    /// no such host.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn days(
        &self,
        host_id: HostId,
        limit: usize,
        before: Option<BusinessDate>,
    ) -> Result<Option<Vec<SettledDay>>, StoreError> {
        let days = self.store.business_days(&host_id, limit, before).await?;
        if days.is_empty() && self.calendar(host_id).is_none() {
            return Ok(None);
        }
        let mut shown = Vec::with_capacity(days.len());
        for day in days {
            shown.push(self.settled(day).await?);
        }
        Ok(Some(shown))
    }

    async fn settled(&self, day: BusinessDay) -> Result<SettledDay, StoreError> {
        let totals = match day.batched_at {
            Some(_) => self.store.totals_of_batches(&day).await?,
            None => summed(&self.store.batches_of_day(&day).await?),
        };
        let calendar = self.calendar(day.host_id);
        let ends_at = calendar.and_then(|calendar| calendar.ends_at(day.date));
        Ok(SettledDay {
            ends_at: day.cut_at.or(ends_at),
            totals,
            files: self.store.settlement_files(&day.host_id, day.date).await?,
            day,
        })
    }

    fn calendar(&self, host_id: HostId) -> Option<&Calendar> {
        let mut calendars = self.hosts.calendars();
        let found = calendars.find(|(known, _)| *known == host_id);
        found.map(|(_, calendar)| calendar)
    }

    async fn end(
        &self,
        day: &BusinessDay,
        next: BusinessDate,
        by: ClosedBy,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let cutover = Cutover {
            host_id: day.host_id,
            date: day.date,
            next,
            at: now,
            by,
        };
        FaultPoint::Cutover.pass();
        if self.store.cut_over(&cutover).await? {
            FaultPoint::CutoverRecorded.pass();
            tracing::info!(
                host.id = %day.host_id, business_date = %day.date, next = %cutover.next,
                by = by.name(), "A business day is closed"
            );
        }
        Ok(())
    }

    async fn make_batches(&self, day: &BusinessDay) -> Result<(), StoreError> {
        let batches = self.store.batches_of_day(day).await?;
        let now = self.clock.now();
        let level = self.hosts.totals(day.host_id).map(|totals| totals.level);
        let dated = self
            .store
            .dated_otherwise(&day.host_id, day.date, NAMED, "");
        for item in dated.await? {
            let subject = item.subject_id.map(|subject| subject.to_string());
            tracing::error!(
                host.id = %day.host_id, business_date = %day.date, subject.id = subject,
                bank_date = item.theirs, "The bank settles an item under another date"
            );
        }
        let inserted = self.store.insert_batches(day, &batches, level, now);
        inserted.await?;
        FaultPoint::BatchesRecorded.pass();
        Ok(())
    }
}

/// The next cutover that a host announces; for ever nothing where somebody else gets them.
async fn next_of(cutovers: &mut Option<mpsc::Receiver<HostCutover>>) -> Option<HostCutover> {
    match cutovers {
        Some(cutovers) => cutovers.recv().await,
        None => std::future::pending().await,
    }
}

/// What batches sum to, by currency.
fn summed(batches: &[SettlementBatch]) -> Vec<DayTotals> {
    let mut sums: BTreeMap<&str, DayTotals> = BTreeMap::new();
    for SettlementBatch { key, totals, .. } in batches {
        let sum = sums.entry(key.currency.code()).or_insert(DayTotals {
            currency: key.currency,
            batch_count: 0,
            totals: BatchTotals::default(),
        });
        sum.batch_count += 1;
        sum.totals = sum.totals.plus(totals);
    }
    sums.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::hosts::tests::bank::Bank;
    use crate::net::Net;
    use crate::random::Random;
    use crate::store::testing::TestDatabase;

    /// 2026-11-27T23:59:59Z; the days of the bank end at midnight in UTC.
    const BEFORE_MIDNIGHT: UnixMillis = UnixMillis::new(1_795_823_999_000);
    const DAY_MS: i64 = 86_400_000;

    #[tokio::test]
    async fn a_day_ends_by_the_clock_or_by_an_operator_and_the_next_one_has_not_ended() {
        let database = TestDatabase::sqlite().await;
        let store = database.open().await;
        let clock = Arc::new(ManualClock::at(BEFORE_MIDNIGHT));
        let profile = Bank::start().await.profile();
        let host_id = profile.host_id;
        let (notices, _noticed) = mpsc::channel(1);
        let hosts = Hosts::start(
            vec![profile],
            None,
            Net::SYSTEM,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Random::SYSTEM,
            notices,
        );
        let days = BusinessDays::new(
            store.clone(),
            Arc::new(hosts.unwrap()),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        let shown = async || {
            days.look().await.unwrap();
            let found = days.days(host_id, 10, None).await.unwrap().unwrap();
            let shown = found.iter().map(|SettledDay { day, ends_at, .. }| {
                assert_eq!(day.cut_at.is_some(), day.batched_at.is_some());
                assert!(day.opened_at <= ends_at.unwrap());
                let by = day.closed_by.map_or("open", ClosedBy::name);
                format!("{} {by}", day.date)
            });
            shown.collect::<Vec<_>>()
        };
        let friday = "2026-11-27 CLOCK".to_owned();
        assert_eq!(shown().await, ["2026-11-27 open"]);
        clock.advance_ms(999);
        assert_eq!(shown().await, ["2026-11-27 open"]);
        clock.advance_ms(1);
        assert_eq!(
            shown().await,
            ["2026-11-28 open".to_owned(), friday.clone()]
        );
        // The gateway is down for a while. The dates in between never were.
        clock.advance_ms(3 * DAY_MS);
        let all = ["2026-12-01 open", "2026-11-28 CLOCK", &friday];
        assert_eq!(shown().await, all);

        let first = "2026-12-01".parse().unwrap();
        let ended = days.cut_over(host_id, first).await.unwrap();
        assert_eq!(ended.day.closed_by, Some(ClosedBy::Operator));
        assert_eq!(days.cut_over(host_id, first).await.unwrap(), ended);
        let all = [
            "2026-12-02 open",
            "2026-12-01 OPERATOR",
            "2026-11-28 CLOCK",
            &friday,
        ];
        assert_eq!(shown().await, all);
        let never = days.cut_over(host_id, "2026-11-29".parse().unwrap()).await;
        assert!(
            matches!(never, Err(CutoverError::OtherDay { .. })),
            "{never:?}"
        );
        let unknown = days.cut_over("other".parse().unwrap(), first).await;
        assert!(
            matches!(unknown, Err(CutoverError::NoHost(_))),
            "{unknown:?}"
        );
        let none = days.days("other".parse().unwrap(), 10, None).await;
        assert_eq!(none, Ok(None));

        // A host begins the date that is open or a later one, at most 31 days away; what is refused changes nothing.
        let begins = async |date: &str| days.begin_date(host_id, date.parse().unwrap()).await;
        for (date, begun) in [
            ("2026-12-01", false),
            ("2026-11-01", false),
            ("2027-01-03", false),
            ("2026-12-02", true),
        ] {
            assert_eq!(begins(date).await, Ok(begun), "{date}");
            assert_eq!(shown().await, all);
        }
        assert_eq!(begins("2027-01-02").await, Ok(true));
        assert_eq!(shown().await[..2], ["2027-01-02 open", "2026-12-02 HOST"]);
        store.close().await;
    }
}
