//! The line of a report that a presentment or chargeback is.

use iso8583::Message;

use super::format::{DateOf, IpmFormat};
use super::message::private;
use crate::card::clear_card::without_card_numbers;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::settlement::report::format::ReportKind;
use crate::settlement::report::line::ReportLine;

/// The function codes (DE 24) of a second presentment, whole or in part: what was charged back is given back.
const SECOND: [u64; 2] = [205, 282];
/// That of a first presentment.
const FIRST: u64 = 200;
/// Those of chargebacks: the first one, and the one before an arbitration, whole or in part.
const CHARGEBACKS: [u64; 4] = [450, 453, 451, 454];

/// What is wrong with an element.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) de: u8,
    /// The byte of the message, where the element has one.
    pub(super) offset: usize,
    pub(super) expected: String,
    pub(super) got: String,
}

/// A message of which a line is made.
pub(super) struct Presentment<'m> {
    pub(super) format: &'m IpmFormat,
    pub(super) message: &'m Message<'m>,
    /// The number of its record.
    pub(super) number: u64,
    /// The date of its file.
    pub(super) file_date: Option<BusinessDate>,
    /// Whether it is a chargeback, and no presentment.
    pub(super) is_chargeback: bool,
}

impl Presentment<'_> {
    /// The line; none of a kind that is left out.
    pub(super) fn line(&self) -> Result<Option<ReportLine>, Wrong> {
        let Some(of) = self.paid_or_refunded()? else {
            return Ok(None);
        };
        let is_reversal = self
            .private("0025")?
            .is_some_and(|said| said.starts_with('R'));
        let kind = self.kind(of, is_reversal)?;
        let (currency, minor) = self.amount()?;
        // A purchase is to the merchant. A chargeback and a reversal each go the other way.
        let is_credit = (of == ReportKind::Capture) ^ self.is_chargeback ^ is_reversal;
        let line = ReportLine {
            number: self.number,
            business_date: self.business_date(kind)?,
            acceptor: self
                .as_it_came(42)
                .ok_or_else(|| self.wrong(42, "an acceptor"))?,
            kind,
            rrn: self.text(37),
            acquirer_reference: self.text(31),
            approval_code: self.text(38),
            merchant_reference: None,
            currency,
            gross_minor: if is_credit {
                minor
            } else {
                minor.saturating_neg()
            },
            interchange_minor: None,
            scheme_fee_minor: None,
            commission_minor: None,
            net_minor: None,
            reject_code: None,
            cycle: None,
        };
        if line.rrn.is_none() && line.acquirer_reference.is_none() {
            return Err(self.wrong(37, "an RRN, or an acquirer's reference in DE 31"));
        }
        Ok(Some(line))
    }

    /// Whether it is about a purchase or a refund, by its processing code; none of a code that is left out.
    fn paid_or_refunded(&self) -> Result<Option<ReportKind>, Wrong> {
        let code = self.text(3).unwrap_or_default();
        let code = code.get(..2).unwrap_or_default();
        self.format.kinds.get(code).copied().ok_or_else(|| {
            let known: Vec<_> = self.format.kinds.keys().map(String::as_str).collect();
            self.wrong(
                3,
                format!("a processing code that begins with {}", known.join(", ")),
            )
        })
    }

    fn kind(&self, of: ReportKind, is_reversal: bool) -> Result<ReportKind, Wrong> {
        let function = self.message.number(24).unwrap_or_default();
        match (self.is_chargeback, is_reversal) {
            (false, _) if function == FIRST => Ok(of),
            (false, _) if SECOND.contains(&function) => Ok(ReportKind::ChargebackReversal),
            (false, _) => Err(self.wrong(24, "the function code 200, 205 or 282 of a presentment")),
            (true, false) if CHARGEBACKS.contains(&function) => Ok(ReportKind::Chargeback),
            (true, true) if CHARGEBACKS.contains(&function) => Ok(ReportKind::ChargebackReversal),
            (true, _) => {
                Err(self.wrong(24, "the function code 450, 451, 453 or 454 of a chargeback"))
            }
        }
    }

    /// The currency, and the amount in its minor units. The message says how many decimals its amounts have (PDS 0148: for
    /// each currency its number, and a digit).
    fn amount(&self) -> Result<(Currency, i64), Wrong> {
        let code = self.text(49).unwrap_or_default();
        let currency = code.parse().ok().and_then(Currency::of_numeric);
        let currency = currency.ok_or_else(|| self.wrong(49, "the number of a currency"))?;
        let said = self.private("0148")?.unwrap_or_default();
        let exponent = said
            .as_bytes()
            .chunks(4)
            .find_map(|entry| match entry.split_last() {
                Some((digit, number)) if number == code.as_bytes() => Some(*digit),
                _ => None,
            })
            .filter(u8::is_ascii_digit)
            .map(|digit| u32::from(digit.wrapping_sub(b'0')));
        let exponent = exponent.ok_or_else(|| Wrong {
            got: said.clone(),
            ..self.wrong(48, format!("PDS 0148 with the exponent of {code}"))
        })?;
        let minor = self.message.number(4).and_then(|it| i64::try_from(it).ok());
        let minor = minor.ok_or_else(|| self.wrong(4, "an amount"))?;
        let own = currency.minor_digits();
        let scaled = match 10_i64.checked_pow(own.abs_diff(exponent)) {
            Some(factor) if exponent <= own => minor.checked_mul(factor),
            Some(factor) if minor.checked_rem(factor) == Some(0) => minor.checked_div(factor),
            _ => None,
        };
        let scaled = scaled.ok_or_else(|| {
            let expected = format!("{exponent} decimals that {currency} has room for");
            Wrong {
                got: minor.to_string(),
                ..self.wrong(4, expected)
            }
        })?;
        Ok((currency, scaled))
    }

    /// What is charged back or given back is of the day of its file: DE 12 has the time of the purchase.
    fn business_date(&self, kind: ReportKind) -> Result<BusinessDate, Wrong> {
        let is_own = matches!(kind, ReportKind::Capture | ReportKind::Refund);
        if self.format.date == DateOf::File || !is_own {
            let in_header = "PDS 0105 with the date of the file in the header";
            return self.file_date.ok_or_else(|| self.wrong(24, in_header));
        }
        let text = self.message.text_trimmed(12).unwrap_or_default();
        date(&text).ok_or_else(|| Wrong {
            // All twelve digits would look like a card's.
            got: text.chars().take(6).collect(),
            ..self.wrong(12, "a date and time as YYMMDDhhmmss")
        })
    }

    fn private(&self, tag: &str) -> Result<Option<String>, Wrong> {
        private(self.message, tag).map_err(|fault| Wrong {
            de: fault.de,
            offset: fault.offset,
            expected: fault.expected.to_owned(),
            got: "other characters".to_owned(),
        })
    }

    /// The text of an element without its spaces, and without card numbers; none where nothing is left.
    fn text(&self, de: u8) -> Option<String> {
        let text = self.as_it_came(de)?;
        Some(without_card_numbers(&text).into_owned())
    }

    /// The text of an element without its spaces; none where nothing is left.
    fn as_it_came(&self, de: u8) -> Option<String> {
        let text = self.message.text_trimmed(de)?;
        let text = text.trim_start_matches(' ');
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn wrong(&self, de: u8, expected: impl Into<String>) -> Wrong {
        Wrong {
            de,
            offset: self.message.offset(de).unwrap_or_default(),
            expected: expected.into(),
            got: match self.message.has(de) {
                true => self.text(de).unwrap_or_default(),
                false => "none".to_owned(),
            },
        }
    }
}

/// The date of a text that begins with YYMMDD: of this century.
pub(super) fn date(text: &str) -> Option<BusinessDate> {
    let digits = text
        .get(..6)
        .filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (year, rest) = digits.split_at_checked(2)?;
    let (month, day) = rest.split_at_checked(2)?;
    let year: i32 = year.parse().ok()?;
    let (month, day) = (month.parse().ok()?, day.parse().ok()?);
    BusinessDate::of_calendar(year.saturating_add(2_000), month, day)
}
