//! Texts of elements, read as what they mean.

use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::settlement::amount_form::minor_of_decimal;

use super::booking::EntryStatus;
use super::error::Iso20022Fault;
use super::limits::{MAX_REFERENCE, MAX_SHOWN, MAX_TEXT_BYTES};

/// What a bank writes where the payer gave no reference.
const NOT_PROVIDED: &str = "NOTPROVIDED";

/// An amount: minor units, never negative, of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// The minor units.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// A text of an element that is read.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    /// The element, from what it is in.
    pub element: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Value<'_> {
    fn fault(self, expected: impl Into<String>) -> Iso20022Fault {
        Iso20022Fault::Value {
            element: self.element.to_owned(),
            expected: expected.into(),
            got: self.text.chars().take(MAX_SHOWN).collect(),
        }
    }

    /// One of a list of words.
    pub(super) fn word<T: Copy>(
        self,
        expected: &'static str,
        words: &[(&str, T)],
    ) -> Result<T, Iso20022Fault> {
        let word = words.iter().find(|(word, _)| *word == self.text);
        word.map(|(_, value)| *value)
            .ok_or_else(|| self.fault(expected))
    }

    /// What the text is by its own type's rule.
    ///
    /// # Errors
    /// When it is none.
    pub fn parsed<T: std::str::FromStr>(self, expected: &'static str) -> Result<T, Iso20022Fault> {
        self.text.parse().map_err(|_| self.fault(expected))
    }

    /// Whether the entry is a credit.
    ///
    /// # Errors
    /// When it is neither word.
    pub fn is_credit(self) -> Result<bool, Iso20022Fault> {
        self.word("CRDT or DBIT", &[("CRDT", true), ("DBIT", false)])
    }

    /// A yes or no.
    pub(super) fn is_true(self) -> Result<bool, Iso20022Fault> {
        let words = [("true", true), ("1", true), ("false", false), ("0", false)];
        self.word("true or false", &words)
    }

    /// The code of a status.
    pub(super) fn status(self) -> Result<EntryStatus, Iso20022Fault> {
        Ok(match self.text {
            "BOOK" => EntryStatus::Booked,
            "PDNG" => EntryStatus::Pending,
            "INFO" => EntryStatus::Information,
            _ => EntryStatus::Other(self.reference()?.unwrap_or_default()),
        })
    }

    /// A reference or code; none where nothing is in it.
    ///
    /// # Errors
    /// When it is too long, or has a control character.
    pub fn reference(self) -> Result<Option<String>, Iso20022Fault> {
        let is_printable = self.text.chars().all(|letter| !letter.is_control());
        if !is_printable || self.text.chars().count() > MAX_REFERENCE {
            return Err(self.fault("at most 140 printable characters"));
        }
        Ok(Some(self.text.to_owned()).filter(|text| !text.is_empty()))
    }

    /// The payer's reference; none where the bank says that there is none.
    pub(super) fn end_to_end_id(self) -> Result<Option<String>, Iso20022Fault> {
        let reference = self.reference()?;
        Ok(reference.filter(|reference| reference != NOT_PROVIDED))
    }

    /// The date of a date. Its zone, if it has one, changes nothing: it is the date of the bank.
    ///
    /// # Errors
    /// When it is none.
    pub fn date(self) -> Result<BusinessDate, Iso20022Fault> {
        self.date_before(is_zone)
            .ok_or_else(|| self.fault("a date as YYYY-MM-DD"))
    }

    /// The date of a date and time, in its own zone.
    ///
    /// # Errors
    /// When it is none.
    pub fn date_of_time(self) -> Result<BusinessDate, Iso20022Fault> {
        self.date_before(is_time)
            .ok_or_else(|| self.fault("a date and time as YYYY-MM-DDThh:mm:ss"))
    }

    fn date_before(self, is_rest: fn(&str) -> bool) -> Option<BusinessDate> {
        let (date, rest) = self.text.split_at_checked(10)?;
        date.parse().ok().filter(|_| is_rest(rest))
    }

    /// The amount, in the currency that the element's attribute names.
    pub(super) fn amount(self, currency: Option<&str>) -> Result<Amount, Iso20022Fault> {
        let element = format!("{}/@Ccy", self.element);
        let currency: Currency = Value {
            element: &element,
            text: currency.unwrap_or(""),
        }
        .parsed("an ISO 4217 currency code of three capital letters")?;
        let minor = self.minor(currency)?;
        Ok(Amount { minor, currency })
    }

    /// The minor units of an amount whose currency another element names.
    ///
    /// # Errors
    /// When it is none, or more exact than the currency.
    pub fn minor(self, currency: Currency) -> Result<i64, Iso20022Fault> {
        let minor = minor_of_decimal(self.text, currency.minor_digits());
        minor.map_err(|invalid| self.fault(invalid.to_string()))
    }

    /// An amount that must be in a known currency.
    ///
    /// # Errors
    /// When it is none, or in another currency.
    pub fn amount_in(
        self,
        currency: Option<&str>,
        expected: Option<Currency>,
    ) -> Result<Amount, Iso20022Fault> {
        let amount = self.amount(currency)?;
        match expected {
            Some(expected) if amount.currency != expected => Err(Iso20022Fault::Currency {
                element: self.element.to_owned(),
                expected,
                got: amount.currency,
            }),
            _ => Ok(amount),
        }
    }

    /// A free text; none where nothing is in it.
    pub(super) fn free_text(self) -> Result<Option<String>, Iso20022Fault> {
        if self.text.len() > MAX_TEXT_BYTES {
            return Err(self.fault(format!("at most {MAX_TEXT_BYTES} bytes")));
        }
        Ok(Some(self.text.to_owned()).filter(|text| !text.is_empty()))
    }
}

/// Whether a text is the end of a date or time: nothing, `Z`, or an offset such as `+01:00`.
fn is_zone(text: &str) -> bool {
    match text.as_bytes() {
        [] | [b'Z'] => true,
        [b'+' | b'-', rest @ ..] => is_shape(rest, b"00:00"),
        _ => false,
    }
}

/// Whether a text is a `T`, a time, perhaps with a fraction of a second, and a zone.
fn is_time(text: &str) -> bool {
    let Some((time, rest)) = text.split_at_checked(9) else {
        return false;
    };
    let digits = |fraction: &str| fraction.len() - fraction.trim_start_matches(is_digit).len();
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) if digits(fraction) > 0 => fraction.trim_start_matches(is_digit),
        Some(_) => return false,
    };
    is_shape(time.as_bytes(), b"T00:00:00") && is_zone(zone)
}

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}

/// Whether the bytes have the form of `shape`, in which a 0 stands for any digit.
fn is_shape(bytes: &[u8], shape: &[u8]) -> bool {
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        _ => byte == shape,
    };
    bytes.len() == shape.len() && bytes.iter().zip(shape).all(fits)
}
