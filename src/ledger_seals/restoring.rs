//! The database was restored from a backup: it is noticed by the seals outside it, and a new epoch is begun
//! (docs/decisions/0024-a-restored-database.md).

use std::collections::BTreeSet;

use super::seal_file::own_seal;
use super::sealer::{LedgerSealer, Place, SealingError, blocking};
use crate::ledger::seal::{Hash, Seal};
use crate::payment::ids::HostId;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::reference::after_restores;
use crate::store::records::callers::AuditRecord;
use crate::store::records::{NextNumber, StoreIdentity};

/// The most days whose numbers are listed, the last ones.
const LISTED_DAYS: u16 = 366;

/// The database is older than the last seal outside it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database is older than the seals outside it: expected seal {} of epoch {} at position {}, which it lacks; \
     got epoch {epoch} at position {position}. It was restored from a backup: run `payswitch restored`, once no \
     gateway runs",
    .outside.sealed.number, .outside.sealed.epoch, .outside.sealed.to
)]
pub struct OlderDatabase {
    /// The last seal outside the database.
    pub outside: Seal,
    /// The epoch of the database.
    pub epoch: i64,
    /// Its last position.
    pub position: i64,
}

/// What a new epoch is begun with.
#[derive(Debug, Clone)]
pub struct Restoration {
    /// The last seal outside the database, where there is a file of them.
    pub outside: Option<Seal>,
    /// Whether the database lacks that seal.
    pub is_older: bool,
    /// The store as it was restored.
    pub before: StoreIdentity,
    /// The last position that it has.
    pub position: i64,
    /// When its last event happened.
    pub last_event_at: Option<UnixMillis>,
    /// The store in the new epoch.
    pub after: StoreIdentity,
    /// The numbers that may have been used, and are left out.
    pub left_out: Vec<LeftOut>,
    /// What hosts go on with, where they have numbers.
    numbers: Vec<NextNumber>,
}

/// Numbers of a host on a number date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The host.
    pub host_id: HostId,
    /// The number date.
    pub date: NumberDate,
    /// The first one.
    pub first: u64,
    /// The one after the last.
    pub end: u64,
}

impl LedgerSealer {
    /// Whether the database lacks what the file outside it has seen of it.
    ///
    /// # Errors
    /// When the store or the file can't be read.
    pub async fn older(&self) -> Result<Option<Box<OlderDatabase>>, SealingError> {
        let (outside, is_older) = self.outside().await?;
        if outside.is_none() && self.file.is_some() && self.store.last_seal().await?.is_some() {
            tracing::error!(
                "The seal file has no seal, and the database has: a restore would not be noticed. Put back the \
                 file's newest copy; a new file is filled now"
            );
        }
        let Some(outside) = outside.filter(|_| is_older) else {
            return Ok(None);
        };
        Ok(Some(Box::new(OlderDatabase {
            outside,
            epoch: self.store.identity().await?.epoch,
            position: self.store.last_position().await?,
        })))
    }

    /// The last seal of the file, and whether the database lacks it. One that was lost by a restore is followed by the
    /// first seal of the next epoch.
    async fn outside(&self) -> Result<(Option<Seal>, bool), SealingError> {
        let Some(file) = self.file.clone() else {
            return Ok((None, false));
        };
        let key = self.public_key();
        let Some(last) = blocking(move || file.look(&key)).await?.last else {
            return Ok((None, false));
        };
        let kept = self.store.seals_after(last.sealed.number - 1, 1).await?;
        let known = kept
            .first()
            .and_then(|kept| own_seal(kept.line.as_bytes(), &key).ok());
        let has = known.is_some_and(|seal| seal == last || seal.sealed.epoch > last.sealed.epoch);
        Ok((Some(last), !has))
    }

    /// What a new epoch would be begun with. Nothing is changed. `lost` is how many epochs were begun after this backup
    /// of which no seal tells: their numbers were used too.
    ///
    /// # Errors
    /// When the store or the file can't be read.
    pub async fn restoration(&self, lost: u32) -> Result<Restoration, SealingError> {
        let (outside, is_older) = self.outside().await?;
        let before = self.store.identity().await?;
        let last_event_at = self.store.last_event_at().await?;
        let seen = |epoch: fn(&Seal) -> i64| outside.as_ref().map_or(0, epoch);
        let last_epoch = before.epoch.max(seen(|seal| seal.sealed.epoch)) + i64::from(lost);
        let at = self
            .clock
            .now()
            .max(UnixMillis::new(seen(|seal| seal.sealed.at.as_i64())));
        // Epochs that were lost may have been begun on one day.
        let restores = u32::try_from(last_epoch - before.epoch + 1).unwrap_or(u32::MAX);
        // The clock may have been ahead when the last event happened.
        let since = NumberDate::of(last_event_at.map_or(at, |last| last.min(at)));
        let first = Some(before.first_number).filter(|_| before.numbers_until >= Some(since));
        let first = first.unwrap_or(0);
        let after = StoreIdentity {
            id: before.id.clone(),
            epoch: last_epoch + 1,
            restored_at: at,
            first_number: after_restores(first, restores),
            // Clocks of several nodes may have been apart at midnight.
            numbers_until: Some(NumberDate::of(at.plus_days(1))),
        };
        let given = self.store.next_numbers(since).await?;
        let numbers = given.iter().map(|next| NextNumber {
            number: after_restores(next.number, restores),
            ..next.clone()
        });
        let numbers = numbers.collect();
        let mut left_out = Vec::new();
        for host_id in self.known_hosts().await? {
            for date in dates(since, NumberDate::of(at)) {
                let next = given
                    .iter()
                    .find(|next| next.host_id == host_id && next.date == date);
                let first = next.map_or(first, |next| next.number);
                left_out.push(LeftOut {
                    host_id,
                    date,
                    first,
                    end: after_restores(first, restores),
                });
            }
        }
        Ok(Restoration {
            position: self.store.last_position().await?,
            outside,
            is_older,
            before,
            last_event_at,
            after,
            left_out,
            numbers,
        })
    }

    /// The hosts that have numbers, and those that merchants' payments go to.
    async fn known_hosts(&self) -> Result<BTreeSet<HostId>, SealingError> {
        let merchants = self.store.list_merchants().await?;
        let mut hosts: BTreeSet<HostId> = merchants.iter().map(|it| it.acquirer).collect();
        let ever = self.store.next_numbers(NumberDate::of(UnixMillis::new(0)));
        hosts.extend(ever.await?.iter().map(|next| next.host_id));
        Ok(hosts)
    }

    /// Begins the new epoch, with a row of the audit trail and a first seal that goes on after the last one that was
    /// seen.
    ///
    /// # Errors
    /// When the store or the file can't be used. Where only the file can't, the epoch has begun.
    pub async fn begin_epoch(
        &self,
        restoration: &Restoration,
        audit: &AuditRecord,
    ) -> Result<(), SealingError> {
        let kept = self.store.last_seal().await?;
        let number = |seal: &&Seal| seal.sealed.number;
        let seals = [kept.as_ref(), restoration.outside.as_ref()];
        let last = seals.into_iter().flatten().max_by_key(number);
        let place = Place {
            number: last.map_or(1, |seal| seal.sealed.number + 1),
            epoch: restoration.after.epoch,
            previous: last.map_or(Hash::default(), Seal::hash),
        };
        let from = kept.as_ref().map_or(1, |seal| seal.sealed.to + 1);
        let seal = self.seal_of(place, from, restoration.position).await?;
        let (identity, numbers) = (&restoration.after, &restoration.numbers);
        let begun = self.store.begin_epoch(identity, numbers, &seal, audit);
        begun.await?;
        self.write_file().await
    }
}

/// The dates from one to another, the last of them where there are many.
fn dates(from: NumberDate, to: NumberDate) -> impl Iterator<Item = NumberDate> {
    let day = |back: u16| {
        UnixMillis::new(to.date().midnight().assume_utc().unix_timestamp() * 1000)
            .plus_ms(-i64::from(back) * 86_400_000)
    };
    let dates = (0..LISTED_DAYS).map(move |back| NumberDate::of(day(back)));
    let mut dates: Vec<_> = dates.take_while(|date| *date >= from).collect();
    dates.reverse();
    dates.into_iter()
}

#[cfg(test)]
mod tests;
