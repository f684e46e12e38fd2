//! Templates: which lines an event has. docs/ledger.md shows them as tables.

use std::fmt;

use super::account::{Account, AccountKind, FeeKind};
use super::journal::{Journal, JournalError, Line};
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::ids::{HostId, MerchantId};
use crate::payment::moment::UnixMillis;
use crate::payment::money::Currency;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;

/// A template that moves one amount from one account to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Template {
    /// A capture counts.
    Capture,
    /// A capture that counted was refused.
    CaptureRefused,
    /// A sale counts.
    Sale,
    /// A sale that counted was refused.
    SaleRefused,
    /// A sale is voided.
    SaleVoided,
    /// A refund counts.
    Refund,
    /// A refund that counted was refused.
    RefundRefused,
    /// A part is held back.
    Reserve,
    /// What was held back is given back.
    ReserveReleased,
    /// A payout was ordered.
    Payout,
    /// The merchant's bank has credited a payout.
    PayoutCredited,
    /// The merchant's bank has returned a payout, or the bank has refused it.
    PayoutReturned,
    /// The merchant's bank has returned a payout that it had credited.
    PayoutGivenBack,
    /// The issuer took money back.
    Chargeback,
    /// The issuer gave it back.
    ChargebackReversed,
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Capture,
        Self::CaptureRefused,
        Self::Sale,
        Self::SaleRefused,
        Self::SaleVoided,
        Self::Refund,
        Self::RefundRefused,
        Self::Reserve,
        Self::ReserveReleased,
        Self::Payout,
        Self::PayoutCredited,
        Self::PayoutReturned,
        Self::PayoutGivenBack,
        Self::Chargeback,
        Self::ChargebackReversed,
    ];

    /// Its name, the account that is debited and the one that is credited.
    const fn row(self) -> (&'static str, AccountKind, AccountKind) {
        use AccountKind as A;
        match self {
            Self::Capture => ("capture", A::Receivable, A::PayablePending),
            Self::CaptureRefused => ("capture_refused", A::PayablePending, A::Receivable),
            Self::Sale => ("sale", A::Receivable, A::PayablePending),
            Self::SaleRefused => ("sale_refused", A::PayablePending, A::Receivable),
            Self::SaleVoided => ("sale_voided", A::PayablePending, A::Receivable),
            Self::Refund => ("refund", A::PayablePending, A::Receivable),
            Self::RefundRefused => ("refund_refused", A::Receivable, A::PayablePending),
            Self::Reserve => ("reserve", A::PayableAvailable, A::Reserve),
            Self::ReserveReleased => ("reserve_released", A::Reserve, A::PayableAvailable),
            Self::Payout => ("payout", A::PayableAvailable, A::InTransit),
            Self::PayoutCredited => ("payout_credited", A::InTransit, A::Receivable),
            Self::PayoutReturned => ("payout_returned", A::InTransit, A::PayableAvailable),
            Self::PayoutGivenBack => ("payout_given_back", A::Receivable, A::PayableAvailable),
            Self::Chargeback => ("chargeback", A::PayableAvailable, A::Chargebacks),
            Self::ChargebackReversed => {
                ("chargeback_reversed", A::Chargebacks, A::PayableAvailable)
            }
        }
    }

    /// Its name in a journal's id.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// What an operation of this kind posts where it adds `change` to the amounts of its payment, and how many
    /// minor units: what counts from now on, or does not count any more. Nothing, while it is only pending.
    ///
    /// # Errors
    /// When captures, refunds and disputes change together.
    pub fn of(kind: OperationKind, change: &Amounts) -> Result<Option<(Self, i64)>, JournalError> {
        let captured = change.captured_minor - change.captured_pending_minor;
        let refunded = change.refunded_minor - change.refunded_pending_minor;
        let template = match (
            captured.signum(),
            refunded.signum(),
            change.disputed_minor.signum(),
        ) {
            (0, 0, 0) => return Ok(None),
            (1, 0, 0) => match kind {
                // A sale whose reversal an operator has ended counts after all.
                OperationKind::Sale | OperationKind::Reversal => Self::Sale,
                _ => Self::Capture,
            },
            (-1, 0, 0) => match kind {
                OperationKind::Sale => Self::SaleRefused,
                OperationKind::Void => Self::SaleVoided,
                _ => Self::CaptureRefused,
            },
            (0, 1, 0) => Self::Refund,
            (0, -1, 0) => Self::RefundRefused,
            (0, 0, 1) => Self::Chargeback,
            (0, 0, -1) => Self::ChargebackReversed,
            _ => return Err(JournalError::SeveralMovements),
        };
        let moved = captured + refunded + change.disputed_minor;
        Ok(Some((template, moved.saturating_abs())))
    }
}

/// Any template: one that moves one amount, or one whose journals have lines of their own.
///
/// What shows journals matches on it, so that a new template is not shown as another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnyTemplate {
    /// It moves one amount.
    Moves(Template),
    /// A batch is funded: [`Posting::settled`].
    Settled,
    /// A fee is taken: [`Posting::fee`].
    Fee,
    /// A correction that the house bears: [`Posting::correction`].
    Correction,
    /// A correction that the merchant bears: [`Posting::correction_of_merchant`].
    CorrectionOfMerchant,
    /// The acquirer pays another currency: [`Posting::exchange`].
    Exchange,
}

impl AnyTemplate {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Template::ALL.into_iter().map(Self::Moves).chain([
            Self::Settled,
            Self::Fee,
            Self::Correction,
            Self::CorrectionOfMerchant,
            Self::Exchange,
        ])
    }

    /// Its name in a journal's id.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moves(template) => template.name(),
            Self::Settled => "settled",
            Self::Fee => "fee",
            Self::Correction => "correction",
            Self::CorrectionOfMerchant => "correction_of_merchant",
            Self::Exchange => "exchange",
        }
    }

    /// That of the journal with this id; none where it is of no template that this version knows.
    #[must_use]
    pub fn of_journal(id: &str) -> Option<Self> {
        let (_, name) = id.rsplit_once(':')?;
        Self::all().find(|template| template.name() == name)
    }
}

/// What a journal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// What caused it, for instance an operation: with the template's name the journal's id. No space in it.
    pub source: String,
    /// Whose money it is.
    pub merchant_id: MerchantId,
    /// The host that it is settled with.
    pub host_id: HostId,
    /// When.
    pub at: UnixMillis,
}

impl Posting {
    fn journal(
        &self,
        name: impl fmt::Display,
        lines: impl IntoIterator<Item = (AccountKind, Currency, i64)>,
    ) -> Result<Journal, JournalError> {
        let lines = lines
            .into_iter()
            .map(|(kind, currency, amount_minor)| Line {
                account: Account {
                    kind,
                    merchant_id: self.merchant_id,
                    host_id: self.host_id,
                },
                currency,
                amount_minor,
            })
            .collect();
        Journal::new(format!("{}:{name}", self.source), self.at, lines)
    }

    /// Moves `amount_minor` minor units as the template says.
    ///
    /// # Errors
    /// When the amount is not above 0.
    pub fn movement(
        &self,
        template: Template,
        currency: Currency,
        amount_minor: i64,
    ) -> Result<Journal, JournalError> {
        if amount_minor <= 0 {
            return Err(JournalError::Amount {
                got_minor: amount_minor,
            });
        }
        let (name, debit, credit) = template.row();
        let lines = [
            (debit, currency, amount_minor),
            (credit, currency, -amount_minor),
        ];
        self.journal(name, lines)
    }

    /// Makes the net of a batch available, in minor units: negative where more was given back than taken. Its fees are
    /// taken of it; what was charged back, which the merchant was debited for before, the acquirer deducts. Parts of 0 are
    /// left out. None where nothing moves.
    ///
    /// # Errors
    /// When a sum has more than 64 bits.
    pub fn settled(
        &self,
        currency: Currency,
        net_minor: i64,
        charged_back_minor: i64,
        fees: &[(FeeKind, i64)],
    ) -> Result<Option<Journal>, JournalError> {
        let left = fees
            .iter()
            .try_fold(net_minor, |left, (_, minor)| left.checked_sub(*minor))
            .ok_or(JournalError::Overflow { currency })?;
        let fees = fees
            .iter()
            .map(|&(kind, minor)| (AccountKind::Fee(kind), minor.saturating_neg()));
        let lines: Vec<_> = [
            (AccountKind::PayablePending, net_minor),
            (AccountKind::PayableAvailable, left.saturating_neg()),
            (AccountKind::Chargebacks, charged_back_minor),
            (AccountKind::Receivable, charged_back_minor.saturating_neg()),
        ]
        .into_iter()
        .chain(fees)
        .filter(|(_, minor)| *minor != 0)
        .map(|(kind, minor)| (kind, currency, minor))
        .collect();
        match lines.is_empty() {
            true => Ok(None),
            false => self.journal(AnyTemplate::Settled.name(), lines).map(Some),
        }
    }

    /// Pays out `amount_minor` minor units of what is available. Of the rest `reserve_minor` are held back, and
    /// `released_minor` that were held back are given back: both 0 or more.
    ///
    /// # Errors
    /// When the amount is not above 0, or a sum has more than 64 bits.
    pub fn payout(
        &self,
        currency: Currency,
        amount_minor: i64,
        reserve_minor: i64,
        released_minor: i64,
    ) -> Result<Journal, JournalError> {
        if amount_minor <= 0 {
            return Err(JournalError::Amount {
                got_minor: amount_minor,
            });
        }
        let reserved = released_minor.checked_sub(reserve_minor);
        let taken = reserved.and_then(|reserved| amount_minor.checked_sub(reserved));
        let (Some(reserved), Some(taken)) = (reserved, taken) else {
            return Err(JournalError::Overflow { currency });
        };
        let lines = [
            (AccountKind::PayableAvailable, taken),
            (AccountKind::Reserve, reserved),
            (AccountKind::InTransit, -amount_minor),
        ];
        let lines = lines.into_iter().filter(|(_, minor)| *minor != 0);
        let lines = lines.map(|(kind, minor)| (kind, currency, minor));
        self.journal(Template::Payout.name(), lines)
    }

    /// Takes a fee from what is available: its parts, in minor units. A negative part is given back; parts of 0 are
    /// left out.
    ///
    /// # Errors
    /// When no part is left, or they sum to 0 or to more than 64 bits.
    pub fn fee(
        &self,
        currency: Currency,
        parts: &[(FeeKind, i64)],
    ) -> Result<Journal, JournalError> {
        let sum = parts
            .iter()
            .try_fold(0_i64, |sum, (_, minor)| sum.checked_add(*minor))
            .ok_or(JournalError::Overflow { currency })?;
        let parts = parts.iter().filter(|(_, minor)| *minor != 0);
        let credits =
            parts.map(|&(kind, minor)| (AccountKind::Fee(kind), currency, minor.saturating_neg()));
        let debit = (AccountKind::PayableAvailable, currency, sum);
        self.journal(
            AnyTemplate::Fee.name(),
            std::iter::once(debit).chain(credits),
        )
    }

    /// Corrects an account by a signed amount: a debit where it is positive. The other side is the suspense
    /// account.
    ///
    /// # Errors
    /// When the amount is 0.
    pub fn correction(
        &self,
        kind: AccountKind,
        currency: Currency,
        amount_minor: i64,
    ) -> Result<Journal, JournalError> {
        let other = (
            AccountKind::Suspense,
            currency,
            amount_minor.saturating_neg(),
        );
        self.journal(
            AnyTemplate::Correction.name(),
            [(kind, currency, amount_minor), other],
        )
    }

    /// Corrects what the acquirer owes, and with it what the merchant is owed, by a signed amount: both are more where it is
    /// positive.
    ///
    /// # Errors
    /// When the amount is 0.
    pub fn correction_of_merchant(
        &self,
        currency: Currency,
        amount_minor: i64,
    ) -> Result<Journal, JournalError> {
        let owed = (
            AccountKind::PayableAvailable,
            currency,
            amount_minor.saturating_neg(),
        );
        let receivable = (AccountKind::Receivable, currency, amount_minor);
        let name = AnyTemplate::CorrectionOfMerchant.name();
        self.journal(name, [receivable, owed])
    }

    /// Exchanges what the acquirer owes: it pays `into` for `from`, each an amount in minor units.
    ///
    /// # Errors
    /// When an amount is not above 0.
    pub fn exchange(
        &self,
        from: (Currency, i64),
        into: (Currency, i64),
    ) -> Result<Journal, JournalError> {
        if let Some(got_minor) = [from.1, into.1].into_iter().find(|minor| *minor <= 0) {
            return Err(JournalError::Amount { got_minor });
        }
        let exchange = |other| AccountKind::Exchange { other };
        self.journal(
            AnyTemplate::Exchange.name(),
            [
                (exchange(into.0), from.0, from.1),
                (AccountKind::Receivable, from.0, -from.1),
                (AccountKind::Receivable, into.0, into.1),
                (exchange(from.0), into.0, -into.1),
            ],
        )
    }
}

/// The journal of what `operation` changes of a payment of `merchant_id`; none where no money moves.
///
/// # Errors
/// When captures, refunds and disputes change together.
pub fn journal_of(
    merchant_id: MerchantId,
    operation: &Operation,
    adjustment: &Adjustment,
) -> Result<Option<Journal>, JournalError> {
    let moved = Template::of(operation.kind, &adjustment.change)?;
    let Some((template, amount_minor)) = moved else {
        return Ok(None);
    };
    let posting = Posting {
        source: operation.id.to_string(),
        merchant_id,
        host_id: operation.host_id,
        at: adjustment.at,
    };
    let currency = operation.amount.currency();
    posting.movement(template, currency, amount_minor).map(Some)
}

#[cfg(test)]
mod tests;
