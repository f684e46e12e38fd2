//! What a bank says became of payouts: camt.054. The whole file is read before anything of it counts, and it counts once.
//! What it says in no file, that it refuses an order, an operator tells.

use std::sync::Arc;

use super::bank_account::AccountNumber;
use super::camt054::read_camt054;
use super::iso20022::booking::Booking;
use super::iso20022::error::Iso20022Error;
use super::pain001::payout_id;
use super::payout_account::{PayoutAccount, PayoutAccountError};
use crate::clock::Clock;
use crate::fault_points::FaultPoint;
use crate::ledger::journal::JournalError;
use crate::ledger::template::{Posting, Template};
use crate::payment::account_finding::{AccountFinding, AccountFindingKind, OnAccount};
use crate::payment::bank_statement::Candidate;
use crate::payment::ids::{BankAccountName, HostId, OrderId, PayoutId};
use crate::payment::money::Decimal;
use crate::payment::payout::{IllegalPayoutTransition, PayoutEvent, PayoutState, apply};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::merchant_money::{Payout, PayoutEnd};

/// The reason of a payout that came back without one.
const NO_REASON: &str = "NOT GIVEN";

/// Takes what banks say became of payouts.
pub struct PayoutNotices {
    store: Store,
    clock: Arc<dyn Clock>,
    accounts: Vec<(AccountNumber, BankAccountName)>,
}

/// What came of a notification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notified {
    /// Payouts that are on their merchants' accounts, as of now.
    pub paid: Vec<PayoutId>,
    /// Payouts that came back, as of now.
    pub returned: Vec<PayoutId>,
    /// How many bookings say what was known before.
    pub known: usize,
    /// Bookings that fit no payout. Nothing of them counts. One of a payout that has another amount is a discrepancy too.
    pub problems: Vec<Problem>,
}

/// A booking that fits no payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The reference that it has; empty where it has none.
    pub reference: String,
    /// The line where it begins, from 1.
    pub line: u64,
    /// What was expected and what came.
    pub text: String,
}

/// What is wrong with a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// Its reference is that of no payout of this host.
    UnknownReference,
    /// The amount is not that of the payout.
    AmountDiffers,
    /// The payout was not sent, or has ended otherwise.
    OtherState,
}

impl ProblemKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownReference => "UNKNOWN_REFERENCE",
            Self::AmountDiffers => "AMOUNT_DIFFERS",
            Self::OtherState => "OTHER_STATE",
        }
    }
}

/// Why a notification counts for nothing, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// The file does not read.
    #[error(transparent)]
    File(#[from] Iso20022Error),
    /// There is no such order of the host.
    #[error("there is no order {0} of this host")]
    NoOrder(OrderId),
    /// A payout of an order that was refused is not one that was sent.
    #[error(transparent)]
    OtherState(#[from] IllegalPayoutTransition),
    /// A payout was ended otherwise at this moment.
    #[error("the payout {0} has ended otherwise at this moment")]
    Moved(PayoutId),
    /// The account that an order is paid from can't be read.
    #[error(transparent)]
    Account(#[from] PayoutAccountError),
    /// A journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store: what was recorded stands, and the same file again goes on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program stops.
    #[error("the file was not read, because the program stops")]
    Stopping,
}

/// What became of one booking.
enum Taken {
    Paid(PayoutId),
    Returned(PayoutId),
    Known,
    Problem(ProblemKind, String),
}

impl PayoutNotices {
    /// Takes them for the payouts in this store. `accounts` are those whose statements are taken in.
    #[must_use]
    pub const fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        accounts: Vec<(AccountNumber, BankAccountName)>,
    ) -> Self {
        Self {
            store,
            clock,
            accounts,
        }
    }

    /// Reads a notification to its end.
    ///
    /// # Errors
    /// When it does not read: then nothing of it counts.
    pub async fn read(file: Vec<u8>) -> Result<Vec<Booking>, NoticeError> {
        let read = move || read_camt054(&*file).collect::<Result<Vec<Booking>, Iso20022Error>>();
        let bookings = tokio::task::spawn_blocking(read).await;
        Ok(bookings.map_err(|_| NoticeError::Stopping)??)
    }

    /// Takes the bookings of a notification of the bank of this host. The same ones again change nothing.
    ///
    /// # Errors
    /// When the store can't be read or written: what was recorded stands, and the same again goes on.
    pub async fn notify(
        &self,
        host_id: HostId,
        bookings: &[Booking],
    ) -> Result<Notified, NoticeError> {
        let mut notified = Notified::default();
        for booking in bookings.iter().filter(|booking| booking.is_booked()) {
            match self.take(host_id, booking).await? {
                Taken::Paid(id) => notified.paid.push(id),
                Taken::Returned(id) => notified.returned.push(id),
                Taken::Known => notified.known += 1,
                Taken::Problem(kind, text) => notified.problems.push(Problem {
                    kind,
                    reference: booking.end_to_end_id.clone().unwrap_or_default(),
                    line: booking.position.line,
                    text,
                }),
            }
        }
        for problem in &notified.problems {
            tracing::error!(
                host.id = %host_id, kind = problem.kind.name(), reference = problem.reference,
                line = problem.line, problem.text, "A booking of the bank fits no payout"
            );
        }
        Ok(notified)
    }

    async fn take(&self, host_id: HostId, booking: &Booking) -> Result<Taken, NoticeError> {
        let reference = booking.end_to_end_id.as_deref().unwrap_or_default();
        let found = match payout_id(reference).parse() {
            Ok(id) => self.store.payout_by_id(id).await?,
            Err(_) => None,
        };
        let Some(payout) = found.filter(|payout| payout.host_id == host_id) else {
            let text = format!("expected the reference of a payout of {host_id}, got another one");
            return Ok(Taken::Problem(ProblemKind::UnknownReference, text));
        };
        if !self.is_paid_from(&payout, booking).await? {
            let text = "expected a booking on the account that pays, got one on another".to_owned();
            return Ok(Taken::Problem(ProblemKind::UnknownReference, text));
        }
        let (expected, got_minor) = (payout.amount, booking.amount_minor);
        let is_it = expected.amount_minor() == got_minor && expected.currency() == booking.currency;
        if !is_it {
            let found = self.found_otherwise(&payout, booking);
            let found = self
                .store
                .record_account_findings(found.as_slice(), self.clock.now());
            found.await?;
            let got = Decimal::of_minor(got_minor, booking.currency);
            let text = format!("expected {expected}, got {got} {}", booking.currency);
            return Ok(Taken::Problem(ProblemKind::AmountDiffers, text));
        }
        // On the account that pays a debit is a payout that was paid, and a credit one that came back.
        let (event, reason) = match booking.is_credit {
            false => (PayoutEvent::Credited, None),
            true => {
                let reason = booking.return_reason.clone();
                let reason = reason.unwrap_or_else(|| NO_REASON.to_owned());
                (PayoutEvent::Returned, Some(reason))
            }
        };
        // What came back was paid before, whichever of the two was told first.
        let is_known = match event {
            PayoutEvent::Credited => {
                matches!(payout.state, PayoutState::Paid | PayoutState::Returned)
            }
            _ => payout.state == PayoutState::Returned,
        };
        if is_known {
            return Ok(Taken::Known);
        }
        let after = match apply(payout.state, event) {
            Ok(after) => after,
            Err(fault) => return Ok(Taken::Problem(ProblemKind::OtherState, fault.to_string())),
        };
        let end = PayoutEnd {
            before: payout.state,
            after,
            reason,
            bank_reference: booking.servicer_reference.clone(),
            at: self.clock.now(),
        };
        match (self.end(&payout, end).await?, after) {
            (false, _) => {
                let text = "expected a payout that nothing else ends at this moment, got one that \
                            was: give the file again";
                Ok(Taken::Problem(ProblemKind::OtherState, text.to_owned()))
            }
            (true, PayoutState::Paid) => Ok(Taken::Paid(payout.id)),
            (true, _) => Ok(Taken::Returned(payout.id)),
        }
    }

    /// What a booking of a payout has otherwise, on the account that it is on: that of its number, or else one with the name
    /// of the host whose payouts it pays.
    fn found_otherwise(&self, payout: &Payout, booking: &Booking) -> Option<AccountFinding> {
        let mut accounts = self.accounts.iter();
        let named = accounts.find(|(number, _)| *number == booking.account);
        let account = match named {
            Some((_, name)) => *name,
            None => payout.host_id.as_str().parse().ok()?,
        };
        // What leaves the account is below 0.
        let signed = |minor: i64| match booking.is_credit {
            true => minor,
            false => -minor,
        };
        let is_of_currency = payout.amount.currency() == booking.currency;
        let ours = is_of_currency.then(|| signed(payout.amount.amount_minor()).to_string());
        let date = booking.booking_date.or(booking.value_date);
        Some(AccountFinding {
            // Amounts of two currencies are not compared: as on a statement, it fits nothing.
            kind: match is_of_currency {
                true => AccountFindingKind::AmountDiffers,
                false => AccountFindingKind::UnmatchedLine,
            },
            account,
            host_id: Some(payout.host_id),
            date: date.unwrap_or(payout.made_on),
            currency: booking.currency,
            of: OnAccount::Notified {
                payout: payout.id,
                number: i64::try_from(booking.position.line).unwrap_or(i64::MAX),
            },
            ours,
            theirs: Some(signed(booking.amount_minor).to_string()),
            candidates: vec![Candidate::Payout(payout.id)],
        })
    }

    /// Ends the payouts of an order that the bank has refused whole: their amounts are available again. Those that ended
    /// so before are told too.
    ///
    /// # Errors
    /// When there is no such order of the host, or one of its payouts was not sent, or has ended otherwise: then nothing
    /// is done. When the store can't be read or written: what was recorded stands, and the same again goes on.
    pub async fn refuse(
        &self,
        host_id: HostId,
        order_id: OrderId,
        reason: &str,
    ) -> Result<Vec<PayoutId>, NoticeError> {
        let order = self.store.payment_order(order_id).await?;
        if order.is_none_or(|order| order.host_id != host_id) {
            return Err(NoticeError::NoOrder(order_id));
        }
        let payouts = self.store.payouts_of_order(order_id).await?;
        let mut left = Vec::with_capacity(payouts.len());
        for payout in &payouts {
            if payout.state != PayoutState::Failed {
                left.push((payout, apply(payout.state, PayoutEvent::Refused)?));
            }
        }
        for (payout, after) in left {
            let end = PayoutEnd {
                before: payout.state,
                after,
                reason: Some(reason.to_owned()),
                bank_reference: None,
                at: self.clock.now(),
            };
            if !self.end(payout, end).await? {
                return Err(NoticeError::Moved(payout.id));
            }
        }
        Ok(payouts.iter().map(|payout| payout.id).collect())
    }

    /// Whether a booking is on the account that its payout is ordered from. What is booked on another one, a merchant's own
    /// for instance, says nothing of it.
    async fn is_paid_from(&self, payout: &Payout, booking: &Booking) -> Result<bool, NoticeError> {
        // One that is in no order yet is in another state than the bank says.
        let Some(order) = payout.order_id else {
            return Ok(true);
        };
        let order = self.store.payment_order(order).await?;
        let debtor = order.map(|order| PayoutAccount::from_text(&order.debtor));
        let is_it = |debtor: PayoutAccount| *debtor.number() == booking.account;
        Ok(debtor.transpose()?.is_some_and(is_it))
    }

    /// Records what became of a payout. Whether it stands there now.
    async fn end(&self, payout: &Payout, end: PayoutEnd) -> Result<bool, NoticeError> {
        let template = match (end.before, end.after) {
            (_, PayoutState::Paid) => Template::PayoutCredited,
            (PayoutState::Paid, _) => Template::PayoutGivenBack,
            _ => Template::PayoutReturned,
        };
        let posting = Posting {
            source: payout.id.to_string(),
            merchant_id: payout.merchant_id,
            host_id: payout.host_id,
            at: end.at,
        };
        let amount = payout.amount;
        let journal = posting.movement(template, amount.currency(), amount.amount_minor())?;
        let stands = self.store.end_payout(payout.id, &end, &journal).await?;
        FaultPoint::PayoutEnded.pass();
        tracing::info!(
            payout.id = %payout.id, merchant.id = %payout.merchant_id, stands, ?end,
            "The bank has told what became of a payout"
        );
        Ok(stands)
    }
}
