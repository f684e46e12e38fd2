//! Events: those of a merchant after a position, those of all between two positions.

use std::hash::Hash;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::capture::Capture;
use crate::payment::discrepancy::Discrepancy;
use crate::payment::event_kind::EventKind;
use crate::payment::ids::{
    BatchId, CaptureId, MerchantId, OperationId, PaymentId, RefundId, SubjectId,
};
use crate::payment::moment::UnixMillis;
use crate::payment::payout::PayoutState;
use crate::payment::record::{Operation, Payment};
use crate::payment::refund::Refund;
use crate::payment::settlement::{BatchState, SettlementBatch};
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::index_walk::{IndexWalk, page};
use crate::store::merchant_money::Payout;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, Page};
use crate::store::records::settlement::{NotedBatch, SettlementItem};
use crate::store::tables::captures::{capture, select_captures};
use crate::store::tables::columns::{Columns, first_integer};
use crate::store::tables::events::{EVENT_COLUMNS, Of, Recorded, recorded};
use crate::store::tables::payments::{SELECT_PAYMENTS, payment};
use crate::store::tables::payouts::payout;
use crate::store::tables::refunds::{refund, select_refunds};
use crate::store::tables::settlement_batches::{SELECT_BATCHES, batch};
use crate::store::tables::settlement_differences::{SELECT_DISCREPANCIES, discrepancy};

/// Something that happened to a merchant's payment, batch, payout or discrepancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place among all events of the store, from 1.
    pub position: i64,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: UnixMillis,
    /// What it happened to.
    pub subject: Subject,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A payment.
    Payment {
        /// As it was right after.
        payment: Box<Payment>,
        /// The capture or refund that it happened to, as it is now, with the operation that carries it out.
        part: Option<Part>,
    },
    /// A capture, a refund or a chargeback that is settled, with its batch. The payout of that is the one of now.
    Item(Box<(NotedBatch, SettlementItem)>),
    /// A settlement batch, as it was right after.
    Batch(Box<SettlementBatch>),
    /// A payout, as it was right after, and the batches that it pays.
    Payout(Box<Payout>, Vec<BatchId>),
    /// A discrepancy, as it is now but for its state, which is that right after.
    Discrepancy {
        /// Whose it is.
        merchant_id: MerchantId,
        /// The discrepancy.
        discrepancy: Box<Discrepancy>,
    },
}

impl Event {
    /// Whose event it is.
    #[must_use]
    pub fn merchant_id(&self) -> MerchantId {
        match &self.subject {
            Subject::Payment { payment, .. } => payment.merchant_id,
            Subject::Item(item) => item.0.key.merchant_id,
            Subject::Batch(batch) => batch.key.merchant_id,
            Subject::Payout(payout, _) => payout.merchant_id,
            Subject::Discrepancy { merchant_id, .. } => *merchant_id,
        }
    }

    /// The payment as it was right after; none where it is of no payment.
    #[must_use]
    pub fn payment(&self) -> Option<&Payment> {
        match &self.subject {
            Subject::Payment { payment, .. } => Some(payment),
            _ => None,
        }
    }

    /// The payment that it is of, or of whose capture, refund or chargeback; none of others.
    #[must_use]
    pub fn payment_id(&self) -> Option<PaymentId> {
        match &self.subject {
            Subject::Payment { payment, .. } => Some(payment.id),
            Subject::Item(item) => Some(item.1.payment_id),
            _ => None,
        }
    }
}

/// A part of a payment that an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A capture.
    Capture(Box<(Capture, Operation)>),
    /// A refund.
    Refund(Box<(Refund, Operation)>),
}

impl Store {
    /// When the last event happened; none before there is one.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn last_event_at(&self) -> Result<Option<UnixMillis>, StoreError> {
        let text =
            "SELECT position, at_ms FROM events WHERE stream = 0 ORDER BY position DESC LIMIT 1";
        let rows = self.read(text, &[]).await?;
        let at = |row| Columns::named(row, "events", String::new()).moment("at_ms");
        rows.first().map(at).transpose()
    }

    /// A merchant's events of these kinds, or of all, after a position, oldest first, `limit` (1 to [`MAX_PAGE_SIZE`]) at a
    /// time. There may be fewer before the end: some are of what is gone.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn events_of(
        &self,
        merchant: &MerchantId,
        kinds: Option<&[EventKind]>,
        after: i64,
        limit: usize,
    ) -> Result<Page<Event, i64>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let mut walk = IndexWalk::new("events", &["events.position"], ListOrder::OldestFirst);
        walk.only("events.merchant_id =", Some(merchant.as_str()));
        walk.after(Some(&after));
        let end = match kinds {
            // One that does not happen in this version finds nothing.
            Some([]) => return Ok(page(Vec::new(), limit, |_| after, None)),
            Some(kinds) => {
                let end = self.end_of_look(&mut walk).await?;
                let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                walk.only_any("events.kind", &names);
                end
            }
            // Nothing is passed over.
            None => None,
        };
        let select = format!("SELECT {EVENT_COLUMNS} FROM events");
        let rows = self.walked(&walk, &select, "", limit + 1).await?;
        let found = rows.iter().map(recorded).collect::<Result<Vec<_>, _>>()?;
        let found = page(found, limit, |event| event.position, end);
        Ok(Page {
            items: self.with_subjects(found.items).await?,
            next: found.next,
        })
    }

    /// The position that was taken last; 0 before there is one.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn last_position(&self) -> Result<i64, StoreError> {
        let text = "SELECT next - 1 FROM positions WHERE stream = 0";
        let rows = self.read(text, &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::NotFound {
            what: "row of the table positions",
            id: "0".into(),
        })?;
        first_integer(row, "positions", "next", "0")
    }

    /// The position of a merchant's oldest event.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn oldest_event(&self, merchant: &MerchantId) -> Result<Option<i64>, StoreError> {
        let text = "SELECT position FROM events WHERE merchant_id = $1 ORDER BY position LIMIT 1";
        let rows = self.read(text, &[merchant.as_str().into()]).await?;
        let position = |row| Columns::named(row, "events", String::new()).integer("position");
        rows.first().map(position).transpose()
    }

    /// The events of all merchants that `wanted` names, from position `first` to `last`, both included, oldest first.
    /// After an event that can't be read its merchant gets None, and no later event; other merchants get theirs.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn events_between(
        &self,
        first: i64,
        last: i64,
        wanted: &(dyn Fn(&MerchantId) -> bool + Sync),
    ) -> Result<Vec<(MerchantId, Option<Event>)>, StoreError> {
        let text = format!(
            "SELECT {EVENT_COLUMNS} FROM events \
             WHERE stream = 0 AND position BETWEEN $1 AND $2 ORDER BY position"
        );
        let rows = self
            .read(AssertSqlSafe(text), &[first.into(), last.into()])
            .await?;
        let (mut events, mut unreadable) = (Vec::<Recorded>::new(), Vec::new());
        for row in &rows {
            match recorded(row) {
                Ok(event) if unreadable.contains(&event.merchant_id) => {}
                Ok(event) => events.push(event),
                Err(error) => {
                    tracing::error!(%error, "An event can't be handed on");
                    let merchant = Columns::named(row, "events", String::new());
                    let merchant = merchant.parsed::<MerchantId>("merchant_id").ok();
                    unreadable.extend(merchant.filter(&wanted));
                }
            }
        }
        events.retain(|event| wanted(&event.merchant_id));
        let mut merchants: Vec<MerchantId> = events.iter().map(|event| event.merchant_id).collect();
        merchants.sort_unstable();
        merchants.dedup();
        let is_one = merchants.len() == 1;
        let events = match self.with_subjects(events).await {
            Ok(events) => events,
            // A payment that can't be read holds up no other merchant either.
            Err(error @ StoreError::Corrupt { .. }) if is_one => {
                tracing::error!(%error, "What an event is about can't be handed on");
                unreadable.extend(merchants);
                Vec::new()
            }
            Err(StoreError::Corrupt { .. }) => {
                let mut apart = Vec::new();
                merchants.extend(unreadable);
                merchants.sort_unstable();
                merchants.dedup();
                for merchant in merchants {
                    let of_it = |other: &MerchantId| *other == merchant;
                    apart.extend(Box::pin(self.events_between(first, last, &of_it)).await?);
                }
                return Ok(apart);
            }
            Err(error) => return Err(error),
        };
        let with_merchant = |event: Event| (event.merchant_id(), Some(event));
        let events = events.into_iter().map(with_merchant);
        let unreadable = unreadable.into_iter().map(|merchant| (merchant, None));
        Ok(events.chain(unreadable).collect())
    }

    /// What never changes of a payment or a batch stands with it, and is read there.
    async fn with_subjects(&self, events: Vec<Recorded>) -> Result<Vec<Event>, StoreError> {
        let parts = self.parts_of(&events).await?;
        let payments = names_of(&events, |of| match of {
            Of::Payment(event) => Some(event.payment_id),
            _ => None,
        });
        let text = format!("{SELECT_PAYMENTS} WHERE payments.id {IDS}");
        let payments = self.by_name(&text, payments, payment, |it| it.id).await?;
        let items = names_of(&events, |of| match of {
            Of::Item(operation) => Some(*operation),
            _ => None,
        });
        let items = self.settled_items(&items).await?;
        let batches = names_of(&events, |of| match of {
            Of::Batch(id) => Some(*id),
            _ => None,
        });
        let text = format!("{SELECT_BATCHES} WHERE batches.id {IDS}");
        let batches = self.by_name(&text, batches, batch, |it| it.id).await?;
        let payouts = names_of(&events, |of| match of {
            Of::Payout(id) => Some(*id),
            _ => None,
        });
        let paid = self.batches_paid_by(&payouts).await?;
        let text = format!("SELECT * FROM payouts WHERE id {IDS}");
        let payouts = self.by_name(&text, payouts, payout, |it| it.id).await?;
        let discrepancies = names_of(&events, |of| match of {
            Of::Discrepancy(id, _) => Some(id.clone()),
            _ => None,
        });
        let text = format!("{SELECT_DISCREPANCIES} WHERE id {IDS}");
        let discrepancies = self.by_name(&text, discrepancies, discrepancy, |it| it.id.clone());
        let discrepancies = discrepancies.await?;
        let subject = |recorded: &Recorded| match &recorded.of {
            Of::Payment(event) => Some(Subject::Payment {
                payment: Box::new(Payment {
                    state: event.state.clone(),
                    amounts: event.amounts,
                    version: event.version,
                    updated_at: event.at,
                    ..payments.get(&event.payment_id)?.clone()
                }),
                part: parts.get(&event.operation_id).cloned(),
            }),
            Of::Item(operation) => Some(Subject::Item(Box::new(items.get(operation)?.clone()))),
            Of::Batch(id) => {
                let batch = as_after(recorded.kind, batches.get(id)?);
                Some(Subject::Batch(Box::new(batch)))
            }
            Of::Payout(id) => {
                let payout = payout_after(recorded.kind, payouts.get(id)?);
                let paid = paid.get(id).cloned().unwrap_or_default();
                Some(Subject::Payout(Box::new(payout), paid))
            }
            Of::Discrepancy(id, state) => Some(Subject::Discrepancy {
                merchant_id: recorded.merchant_id,
                discrepancy: Box::new(Discrepancy {
                    state: *state,
                    updated_at: recorded.at,
                    ..discrepancies.get(id)?.clone()
                }),
            }),
        };
        let whole = |recorded: &Recorded| {
            Some(Event {
                position: recorded.position,
                kind: recorded.kind,
                at: recorded.at,
                subject: subject(recorded)?,
            })
        };
        Ok(events.iter().filter_map(whole).collect())
    }

    /// What `text` selects of these names.
    async fn by_name<K: Eq + Hash, T>(
        &self,
        text: &str,
        names: Vec<impl ToString>,
        read: impl Fn(&AnyRow) -> Result<T, StoreError>,
        name: impl Fn(&T) -> K,
    ) -> Result<HashMap<K, T>, StoreError> {
        let names = names.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(text, names).await?;
        let named = |row| read(row).map(|found| (name(&found), found));
        rows.iter().map(named).collect()
    }

    /// The captures and refunds that events are about, by the operations that made the changes.
    async fn parts_of(
        &self,
        events: &[Recorded],
    ) -> Result<HashMap<OperationId, Part>, StoreError> {
        let ids = names_of(events, |of| match of {
            Of::Payment(event) if event.kind.is_of_a_part() => Some(event.operation_id.to_string()),
            _ => None,
        });
        let text = format!(
            "SELECT id, subject_id FROM operations WHERE subject_id IS NOT NULL AND id {IDS}"
        );
        let rows = self.of_ids(&text, ids).await?;
        let mut subjects: Vec<(OperationId, SubjectId)> = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns::of(row, "operations", "id")?;
            subjects.push((columns.parsed("id")?, columns.parsed("subject_id")?));
        }
        let (mut captures, mut refunds) = (Vec::new(), Vec::new());
        for (_, subject) in &subjects {
            match subject {
                SubjectId::Capture(id) => captures.push(*id),
                SubjectId::Refund(id) => refunds.push(*id),
                SubjectId::Chargeback(_) => {}
            }
        }
        let text = format!("{} WHERE captures.id {IDS}", select_captures());
        let captures: HashMap<CaptureId, (Capture, Operation)> =
            self.by_name(&text, captures, capture, |it| it.0.id).await?;
        let text = format!("{} WHERE refunds.id {IDS}", select_refunds());
        let refunds: HashMap<RefundId, (Refund, Operation)> =
            self.by_name(&text, refunds, refund, |it| it.0.id).await?;
        let part = |subject: &SubjectId| match subject {
            SubjectId::Capture(id) => {
                let found = captures.get(id)?.clone();
                Some(Part::Capture(Box::new(found)))
            }
            SubjectId::Refund(id) => Some(Part::Refund(Box::new(refunds.get(id)?.clone()))),
            // It happens to the whole payment.
            SubjectId::Chargeback(_) => None,
        };
        let with_part = |(operation, subject): (OperationId, SubjectId)| {
            part(&subject).map(|part| (operation, part))
        };
        Ok(subjects.into_iter().filter_map(with_part).collect())
    }
}

/// The names of what events are of, each once.
fn names_of<K: Ord>(events: &[Recorded], name: impl Fn(&Of) -> Option<K>) -> Vec<K> {
    let mut names: Vec<K> = events.iter().filter_map(|event| name(&event.of)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A batch as it was right after an event of this kind: its totals don't change.
fn as_after(kind: EventKind, now: &SettlementBatch) -> SettlementBatch {
    if kind != EventKind::BatchClosed {
        return now.clone();
    }
    SettlementBatch {
        state: BatchState::Closed,
        submitted_at: None,
        funded_at: None,
        bank_totals: None,
        fees: None,
        ..now.clone()
    }
}

/// A payout as it was right after an event of this kind.
fn payout_after(kind: EventKind, now: &Payout) -> Payout {
    if kind == EventKind::PayoutPaid {
        return Payout {
            state: PayoutState::Paid,
            return_reason: None,
            ..now.clone()
        };
    }
    if kind != EventKind::PayoutMade {
        return now.clone();
    }
    Payout {
        state: PayoutState::Created,
        bank_reference: None,
        return_reason: None,
        sent_at: None,
        ended_at: None,
        ..now.clone()
    }
}
