//! Totals of a business date, as they travel: 0500 and 0520 (ISO 8583:1987, 4.1.6), or 1500 and 1520 (1993); and the items
//! of a date that is out of balance, uploaded one by one (0320, 1320).
//!
//! The cardholder's side is meant: a capture is a debit, a refund a credit. A sale that was voided is in no date, so
//! nothing is reversed within one.

use std::time::Duration;

use iso8583::mti::Version;
use iso8583::{Message, Mti};
use jiff::tz::TimeZone;

use crate::payment::decline::ResponseCode;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::Currency;
use crate::payment::reference::{Rrn, Stan};
use crate::payment::settlement::{BatchTotals, ItemKind};
use crate::payment::totals::{OutOfBalance, TotalsLevel};

use super::amount::MinorDigits;
use super::answer::response_code_of;
use super::local_clock::local_date_time_number;
use super::meaning::Meaning;
use super::response_codes::ResponseCodes;
use super::values::transmission_date_time;

/// DE 66 of a host that agrees, and of one that does not.
const IN_BALANCE: &str = "1";
const OUT_OF_BALANCE: &str = "2";
/// DE 39 of 1993 for the same.
const IN_BALANCE_1993: &str = "500";
const OUT_OF_BALANCE_1993: &str = "501";
/// Digits of DE 97 behind its sign.
const NET: usize = 16;

/// How the totals of a date are agreed with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalsProfile {
    /// What one message is about.
    pub level: TotalsLevel,
    /// What follows where the host's totals are others.
    pub out_of_balance: OutOfBalance,
    /// The wait after a message that was not answered; it doubles.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// The message.
    pub(in crate::hosts) message: TotalsMapping,
    /// The message of one item, where items are uploaded.
    pub(in crate::hosts) upload: Option<TotalsMapping>,
    /// The meanings of DE 39 in its answers, where it agrees to nothing.
    pub(in crate::hosts) codes: ResponseCodes,
}

/// A message of settlement: its type, and what its elements hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hosts) struct TotalsMapping {
    pub(in crate::hosts) mti: Mti,
    /// In ascending order.
    pub(in crate::hosts) fields: Vec<(u8, TotalsSource)>,
}

impl TotalsMapping {
    /// The type of a message that was sent so often before. What was not answered comes again as an advice, and that one
    /// as its repeat.
    fn mti_after(&self, sent_before: u32) -> Mti {
        let [version, class, _, origin] = self.mti.digits();
        let advice = Mti::from_digits([version, class, 2, origin]).unwrap_or(self.mti);
        match sent_before {
            0 => self.mti,
            1 if advice != self.mti => advice,
            _ => advice.repeat().unwrap_or(advice),
        }
    }
}

/// What an element of such a message holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::hosts) enum TotalsSource {
    /// A value of the message.
    Named(NamedTotal),
    /// The business date, with so many digits: MMDD, YYMMDD or YYYYMMDD.
    BusinessDate(usize),
    /// The same text always.
    Literal(String),
    /// One text for captures, another for refunds.
    ByKind { capture: String, refund: String },
}

/// The values by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::hosts) enum NamedTotal {
    TransmissionDateTime,
    Stan,
    LocalTime,
    LocalDate,
    LocalDateTime,
    AcceptorId,
    TerminalId,
    CurrencyNumeric,
    CreditsNumber,
    CreditsReversalNumber,
    DebitsNumber,
    DebitsReversalNumber,
    CreditsAmount,
    CreditsReversalAmount,
    DebitsAmount,
    DebitsReversalAmount,
    NetAmount,
    Amount,
    Rrn,
    ApprovalCode,
}

impl NamedTotal {
    /// Whether only one item has it.
    pub(in crate::hosts) const fn is_of_an_item(self) -> bool {
        matches!(self, Self::Amount | Self::Rrn | Self::ApprovalCode)
    }

    /// Its name in a profile.
    pub(in crate::hosts) const fn name(self) -> &'static str {
        match self {
            Self::TransmissionDateTime => "transmission_date_time",
            Self::Stan => "stan",
            Self::LocalTime => "local_time",
            Self::LocalDate => "local_date",
            Self::LocalDateTime => "local_date_time",
            Self::AcceptorId => "acceptor_id",
            Self::TerminalId => "terminal_id",
            Self::CurrencyNumeric => "currency_numeric",
            Self::CreditsNumber => "credits_number",
            Self::CreditsReversalNumber => "credits_reversal_number",
            Self::DebitsNumber => "debits_number",
            Self::DebitsReversalNumber => "debits_reversal_number",
            Self::CreditsAmount => "credits_amount",
            Self::CreditsReversalAmount => "credits_reversal_amount",
            Self::DebitsAmount => "debits_amount",
            Self::DebitsReversalAmount => "debits_reversal_amount",
            Self::NetAmount => "net_amount",
            Self::Amount => "amount",
            Self::Rrn => "rrn",
            Self::ApprovalCode => "approval_code",
        }
    }

    /// What an answer has too where the host's totals are others.
    pub(in crate::hosts) const TOTALS: [Self; 8] = [
        Self::CreditsNumber,
        Self::CreditsReversalNumber,
        Self::DebitsNumber,
        Self::DebitsReversalNumber,
        Self::CreditsAmount,
        Self::CreditsReversalAmount,
        Self::DebitsAmount,
        Self::DebitsReversalAmount,
    ];
}

/// What one message of settlement says.
#[derive(Debug, Clone)]
pub struct TotalsMessage<'a> {
    /// The date.
    pub business_date: BusinessDate,
    /// The currency.
    pub currency: Currency,
    /// DE 42, where it is about one merchant.
    pub acceptor_id: Option<&'a str>,
    /// DE 41, where it is about one terminal.
    pub terminal_id: Option<&'a str>,
    /// DE 11.
    pub stan: Stan,
    /// DE 7 and DE 12, 13; the same however often it is sent.
    pub transmitted_at: UnixMillis,
    /// How often it was sent before.
    pub sent_before: u32,
    /// What it says.
    pub says: Said<'a>,
}

/// What it says.
#[derive(Debug, Clone)]
pub enum Said<'a> {
    /// What the items of the date sum to.
    Totals(BatchTotals),
    /// One item.
    Item {
        /// Which way its money goes.
        kind: ItemKind,
        /// Its amount, in minor units.
        amount_minor: i64,
        /// DE 37.
        rrn: &'a Rrn,
        /// DE 38; empty where there is none.
        approval_code: &'a str,
    },
}

/// What a host answers to totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalsAnswer {
    /// Its totals are the same. (Of an item: it is taken.)
    InBalance,
    /// They are others.
    OutOfBalance {
        /// Which, where it says so.
        theirs: Option<BatchTotals>,
    },
    /// It can't say now: they are sent again.
    Again,
    /// It can't compare them.
    Refused {
        /// DE 39.
        response_code: Option<ResponseCode>,
    },
}

/// Why a message of settlement can't be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TotalsError {
    /// The host has none.
    #[error("the profile has no [messages.totals], or no [messages.upload]")]
    NoMessage,
    /// The host counts other minor units, in which the amount can't be said.
    #[error(transparent)]
    Amount(#[from] super::amount::AmountNotExact),
}

/// What the elements are written with.
pub(in crate::hosts) struct TotalsFormat<'a> {
    pub(in crate::hosts) time_zone: &'a TimeZone,
    pub(in crate::hosts) minor_digits: &'a MinorDigits,
}

/// A message: its type, and its elements.
pub(in crate::hosts) type Elements = (Mti, Vec<(u8, String)>);

impl TotalsProfile {
    /// The message, for the dialect to write.
    ///
    /// # Errors
    /// [`TotalsError`].
    pub(in crate::hosts) fn elements(
        &self,
        message: &TotalsMessage<'_>,
        format: &TotalsFormat<'_>,
    ) -> Result<Elements, TotalsError> {
        let mapping = match message.says {
            Said::Totals(_) => &self.message,
            Said::Item { .. } => self.upload.as_ref().ok_or(TotalsError::NoMessage)?,
        };
        let mut elements = Vec::with_capacity(mapping.fields.len());
        for (de, source) in &mapping.fields {
            let value = match source {
                TotalsSource::Literal(text) => Some(text.clone()),
                TotalsSource::BusinessDate(digits) => {
                    Some(date_text(message.business_date, *digits))
                }
                TotalsSource::ByKind { capture, refund } => match message.says {
                    Said::Item {
                        kind: ItemKind::Refund,
                        ..
                    } => Some(refund.clone()),
                    _ => Some(capture.clone()),
                },
                TotalsSource::Named(named) => named.value(message, format)?,
            };
            elements.extend(value.map(|value| (*de, value)));
        }
        Ok((mapping.mti_after(message.sent_before), elements))
    }

    /// What the answer to a message says.
    pub(in crate::hosts) fn answer(
        &self,
        message: &Message<'_>,
        (ours, currency): (Option<BatchTotals>, Currency),
        minor_digits: &MinorDigits,
    ) -> TotalsAnswer {
        let response_code = response_code_of(message);
        let refused = match response_code.map(|code| self.codes.meaning(code)) {
            Some(Meaning::Again) => TotalsAnswer::Again,
            _ => TotalsAnswer::Refused { response_code },
        };
        let is_1993 = message.dialect().version() == Version::Iso1993;
        if message.mti().class() != iso8583::mti::Class::Reconciliation {
            // An item that was sent again may be there already.
            let accepted =
                |code: ResponseCode| matches!(code.as_str(), "00" | "94" | "000" | "300" | "913");
            let accepted = response_code.is_some_and(accepted);
            return if accepted {
                TotalsAnswer::InBalance
            } else {
                refused
            };
        }
        let code = response_code.as_ref().map(ResponseCode::as_str);
        let verdict = message.text(66);
        let is_in_balance = match (verdict.as_deref(), code) {
            (_, Some(IN_BALANCE_1993)) if is_1993 => true,
            (_, Some(OUT_OF_BALANCE_1993)) if is_1993 => false,
            (Some(IN_BALANCE), None | Some("00")) if !is_1993 => true,
            (Some(OUT_OF_BALANCE), _) if !is_1993 => false,
            _ => return refused,
        };
        let theirs = self.theirs(message, currency, minor_digits);
        // A host that says the one and shows the other does not agree.
        let says_otherwise = theirs.is_some() && theirs != ours;
        match is_in_balance && !says_otherwise {
            true => TotalsAnswer::InBalance,
            false => TotalsAnswer::OutOfBalance { theirs },
        }
    }

    /// The host's own totals. What it reversed within the date is taken off.
    fn theirs(
        &self,
        message: &Message<'_>,
        currency: Currency,
        minor_digits: &MinorDigits,
    ) -> Option<BatchTotals> {
        let number = |named: NamedTotal| {
            let is_it = |source: &TotalsSource| *source == TotalsSource::Named(named);
            let (de, _) = self
                .message
                .fields
                .iter()
                .find(|(_, source)| is_it(source))?;
            i64::try_from(message.number(*de)?).ok()
        };
        let amount = |named| minor_digits.minor_of(number(named)?, currency);
        let reversed = |named| number(named).unwrap_or(0);
        let given_back = |named| amount(named).unwrap_or(0);
        use NamedTotal as N;
        Some(BatchTotals {
            capture_count: number(N::DebitsNumber)?
                .checked_sub(reversed(N::DebitsReversalNumber))?,
            captured_minor: amount(N::DebitsAmount)?
                .checked_sub(given_back(N::DebitsReversalAmount))?,
            refund_count: number(N::CreditsNumber)?
                .checked_sub(reversed(N::CreditsReversalNumber))?,
            refunded_minor: amount(N::CreditsAmount)?
                .checked_sub(given_back(N::CreditsReversalAmount))?,
        })
    }
}

impl NamedTotal {
    fn value(
        self,
        message: &TotalsMessage<'_>,
        format: &TotalsFormat<'_>,
    ) -> Result<Option<String>, TotalsError> {
        let wire = |minor: i64| -> Result<u64, TotalsError> {
            Ok(format.minor_digits.wire_sum(minor, message.currency)?)
        };
        let local = || local_date_time_number(message.transmitted_at, format.time_zone);
        let totals = match &message.says {
            Said::Totals(totals) => *totals,
            Said::Item { .. } => BatchTotals::default(),
        };
        let text = match (self, &message.says) {
            (Self::TransmissionDateTime, _) => {
                format!("{:010}", transmission_date_time(message.transmitted_at))
            }
            (Self::Stan, _) => message.stan.to_string(),
            (Self::LocalTime, _) => format!("{:06}", local() % 1_000_000),
            (Self::LocalDate, _) => format!("{:04}", local() / 1_000_000 % 10_000),
            (Self::LocalDateTime, _) => format!("{:012}", local()),
            (Self::AcceptorId, _) => return Ok(message.acceptor_id.map(str::to_owned)),
            (Self::TerminalId, _) => return Ok(message.terminal_id.map(str::to_owned)),
            (Self::CurrencyNumeric, _) => format!("{:03}", message.currency.numeric()),
            (Self::CreditsNumber, _) => format!("{:010}", totals.refund_count),
            (Self::DebitsNumber, _) => format!("{:010}", totals.capture_count),
            (Self::CreditsReversalNumber | Self::DebitsReversalNumber, _) => format!("{:010}", 0),
            (Self::CreditsAmount, _) => format!("{:016}", wire(totals.refunded_minor)?),
            (Self::DebitsAmount, _) => format!("{:016}", wire(totals.captured_minor)?),
            (Self::CreditsReversalAmount | Self::DebitsReversalAmount, _) => format!("{:016}", 0),
            (Self::NetAmount, _) => {
                let net = totals.net_minor();
                // Credits less debits: D where more was taken than given back.
                let sign = if net > 0 { 'D' } else { 'C' };
                let net = i64::try_from(net.unsigned_abs()).unwrap_or(i64::MAX);
                format!("{sign}{:0NET$}", wire(net)?)
            }
            (Self::Amount, Said::Item { amount_minor, .. }) => {
                format!("{:012}", wire(*amount_minor)?)
            }
            (Self::Rrn, Said::Item { rrn, .. }) => rrn.to_string(),
            (Self::ApprovalCode, Said::Item { approval_code, .. }) if !approval_code.is_empty() => {
                (*approval_code).to_owned()
            }
            (Self::Amount | Self::Rrn | Self::ApprovalCode, _) => return Ok(None),
        };
        Ok(Some(text))
    }
}

/// A date in so many digits.
fn date_text(date: BusinessDate, digits: usize) -> String {
    let date = date.date();
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    match digits {
        4 => format!("{month:02}{day:02}"),
        6 => format!("{:02}{month:02}{day:02}", year.rem_euclid(100)),
        _ => format!("{year:04}{month:02}{day:02}"),
    }
}

#[cfg(test)]
mod tests;
