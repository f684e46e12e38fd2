//! The values that a message can hold, each written as its data element wants it.

use std::borrow::Cow;

use arrayvec::ArrayString;
use jiff::tz::TimeZone;

use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;

use super::contents::{Original, Outgoing};
use super::definition::{Mapping, Messages};
use super::element;
use super::error::MessageError;
use super::format::Format;
use super::local_clock::{date_time_number, local_date_time_number, time_zone};
use super::name_location::NAME_LOCATION;
use super::source::{NamedSource, OriginalPart, Source};

/// The longest original data, in characters: DE 90 has 42.
pub(in crate::hosts) const ORIGINAL_DATA: usize = 64;
/// DE 95: an amount of the transaction, one of settlement, and two fees.
const REPLACEMENT_AMOUNTS: usize = 42;
/// Digits of an institution in the original data.
const INSTITUTION: usize = 11;

/// The values of one message, each written with as many digits as it has places.
pub(super) struct Values<'a> {
    outgoing: Outgoing<'a>,
    mapping: &'a Mapping,
    messages: &'a Messages,
    amount: Digits,
    transmitted: Digits,
    stan: Digits,
    local: LocalDateTime,
    country: Digits,
    currency: Digits,
    name_location: [u8; NAME_LOCATION],
    original: Option<OriginalValues<'a>>,
}

/// The values of the original.
struct OriginalValues<'a> {
    original: Original<'a>,
    stan: Digits,
    transmitted: Digits,
    amount: Digits,
    /// What its host approved.
    approved: Digits,
    /// What stays of it: none where nothing does, an error where the operation takes more than there is.
    replacement: Result<Option<ArrayString<REPLACEMENT_AMOUNTS>>, MessageError>,
    local: LocalDateTime,
}

impl<'a> OriginalValues<'a> {
    fn of(
        original: Original<'a>,
        undoing: &Operation,
        zone: &TimeZone,
        format: &Format<'a>,
    ) -> Result<Self, MessageError> {
        let operation = original.operation;
        let amount = format.minor_digits.wire_amount(operation.amount)?;
        let approved = format
            .minor_digits
            .wire_amount(operation.approved_amount())?;
        let mut undone = format.minor_digits.wire_amount(undoing.amount)?;
        if undoing.kind == OperationKind::Release {
            // What was released before does not stay either. Releases of earlier versions do not say it.
            let all = undoing.releases_minor.max(undoing.amount.amount_minor());
            let all = Money::new(all, operation.amount.currency());
            undone = format
                .minor_digits
                .wire_amount(all.map_err(|_| MessageError::NoOriginal)?)?;
        }
        Ok(Self {
            replacement: replacement(approved.checked_sub(undone)),
            original,
            stan: stan(operation),
            transmitted: transmitted(operation),
            amount: Digits::of(amount, 12),
            approved: Digits::of(approved, 12),
            local: LocalDateTime::of(operation.transmitted_at, zone),
        })
    }
}

/// DE 95 (ISO 8583:1987), where so much stays.
fn replacement(
    stays: Option<u64>,
) -> Result<Option<ArrayString<REPLACEMENT_AMOUNTS>>, MessageError> {
    let stays = stays.ok_or(MessageError::NoOriginal)?;
    let mut amounts = ArrayString::new();
    for part in [Digits::of(stays, 12), Digits::of(0, 12), Digits::of(0, 18)] {
        let pushed = amounts.try_push_str(part.as_str());
        pushed.map_err(|_| MessageError::NoOriginal)?;
    }
    Ok(Some(amounts).filter(|_| stays > 0))
}

/// A moment at the merchant: DE 12 and DE 13.
struct LocalDateTime {
    time: Digits,
    date: Digits,
    /// Both, behind the year.
    with_year: Digits,
}

impl LocalDateTime {
    fn of(at: UnixMillis, zone: &TimeZone) -> Self {
        let number = local_date_time_number(at, zone);
        Self {
            time: Digits::of(number, 6),
            date: Digits::of(number / 1_000_000, 4),
            with_year: Digits::of(number, 12),
        }
    }
}

impl<'a> Values<'a> {
    /// The values of a message.
    ///
    /// # Errors
    /// When the host can't be told the amount, or the merchant's time zone does not exist.
    pub(super) fn of(
        outgoing: Outgoing<'a>,
        mapping: &'a Mapping,
        format: &Format<'a>,
    ) -> Result<Self, MessageError> {
        let Outgoing {
            operation,
            merchant,
            original,
            ..
        } = outgoing;
        let zone = zone_of(format.time_zone, &merchant.time_zone)?;
        let zone = &*zone;
        let amount = format.minor_digits.wire_amount(operation.amount)?;
        Ok(Self {
            mapping,
            messages: format.messages,
            amount: Digits::of(amount, 12),
            transmitted: transmitted(operation),
            stan: stan(operation),
            local: LocalDateTime::of(operation.transmitted_at, zone),
            country: Digits::of(u64::from(merchant.country_numeric), 3),
            currency: Digits::of(u64::from(operation.amount.currency().numeric()), 3),
            name_location: format.name_location.write(merchant),
            original: original
                .map(|original| OriginalValues::of(original, operation, zone, format))
                .transpose()?,
            outgoing,
        })
    }

    /// The value of a source that is one text; `None` where this message has none.
    ///
    /// # Errors
    /// When the message needs what the operation does not have.
    pub(super) fn get<'b>(&'b self, source: &'b Source) -> Result<Option<&'b str>, MessageError> {
        match source {
            Source::Named(named) => self.named(*named),
            Source::Literal(text) => Ok(Some(text)),
            Source::Kept(name) => Ok(name.find(&self.original()?.original.operation.kept)),
            Source::AcceptsPartial(text) => {
                let accepts = self.outgoing.operation.accepts_partial;
                Ok(accepts.then_some(text.as_str()))
            }
            Source::OrElse(first, second) => match self.get(first)? {
                None => self.get(second),
                found => Ok(found),
            },
            Source::AsSent(name) => name
                .find(&self.original()?.original.operation.sent)
                .map(Some)
                .ok_or_else(|| MessageError::NotRecorded {
                    element: name.clone(),
                }),
            // Composed by the builder.
            Source::OriginalData(_) | Source::Subelements(_) => Ok(None),
        }
    }

    fn named(&self, source: NamedSource) -> Result<Option<&str>, MessageError> {
        let Outgoing {
            operation,
            merchant,
            card,
            ..
        } = &self.outgoing;
        let card = || card.as_ref().ok_or(MessageError::NoCard);
        use NamedSource as N;
        Ok(Some(match source {
            N::Pan => card()?.pan,
            N::Amount => self.amount.as_str(),
            N::TransmissionDateTime => self.transmitted.as_str(),
            N::Stan => self.stan.as_str(),
            N::LocalTime => self.local.time.as_str(),
            N::LocalDate => self.local.date.as_str(),
            N::LocalDateTime => self.local.with_year.as_str(),
            N::Expiry => card()?.expiry_yymm,
            N::Mcc => &merchant.mcc,
            N::Country => self.country.as_str(),
            N::Rrn => operation.rrn.as_str(),
            N::TerminalId => &operation.terminal_id,
            N::AcceptorId => &merchant.acceptor_id,
            N::AcceptorNameLocation => std::str::from_utf8(&self.name_location).unwrap_or_default(),
            N::CurrencyNumeric => self.currency.as_str(),
            N::Cvv => return Ok(card()?.cvv),
            N::Reason => self.reason()?,
            N::OriginalAmount => self.original()?.approved.as_str(),
            N::ReplacementAmounts => match &self.original()?.replacement {
                Ok(Some(amounts)) => amounts,
                // It is undone whole.
                Ok(None) => return Ok(None),
                Err(error) => return Err(error.clone()),
            },
            N::OriginalStan => self.original()?.stan.as_str(),
            N::OriginalRrn => self.original()?.original.operation.rrn.as_str(),
            N::OriginalTransmissionDateTime => self.original()?.transmitted.as_str(),
            N::OriginalLocalTime => self.original()?.local.time.as_str(),
            N::OriginalLocalDate => self.original()?.local.date.as_str(),
            N::OriginalLocalDateTime => self.original()?.local.with_year.as_str(),
            N::OriginalApprovalCode => return Ok(self.original()?.original.approval_code),
        }))
    }

    fn original(&self) -> Result<&OriginalValues<'a>, MessageError> {
        self.original.as_ref().ok_or(MessageError::NoOriginal)
    }

    fn reason(&self) -> Result<&str, MessageError> {
        let got = self.outgoing.operation.reason;
        self.mapping
            .reasons
            .iter()
            .find(|(reason, _)| Some(*reason) == got)
            .map(|(_, code)| code.as_str())
            .ok_or(MessageError::Reason { got })
    }

    /// The parts of the original, one after another. A part that was recorded as sent is taken from the
    /// record; the others are computed.
    ///
    /// # Errors
    /// When the operation has no original, or an institution does not fit.
    pub(super) fn original_data(
        &self,
        parts: &[OriginalPart],
    ) -> Result<ArrayString<ORIGINAL_DATA>, MessageError> {
        let values = self.original()?;
        let operation = values.original.operation;
        let sent = |name| element::find(&operation.sent, name);
        let institution =
            |name, de| sent(name).unwrap_or_else(|| self.literal_of_original(operation, de));
        let mut data = ArrayString::new();
        for part in parts {
            let text = match part {
                OriginalPart::Mti => operation.mti.as_str(),
                OriginalPart::Stan => values.stan.as_str(),
                OriginalPart::TransmissionDateTime => values.transmitted.as_str(),
                OriginalPart::LocalTime => sent("12").unwrap_or(values.local.time.as_str()),
                OriginalPart::LocalDate => sent("13").unwrap_or(values.local.date.as_str()),
                OriginalPart::LocalDateTime => {
                    sent("12").unwrap_or(values.local.with_year.as_str())
                }
                OriginalPart::Amount => values.amount.as_str(),
                OriginalPart::NoAmount => "",
                OriginalPart::AcquiringInstitution
                | OriginalPart::AcquiringInstitutionWithLength => institution("32", 32),
                OriginalPart::ForwardingInstitution => institution("33", 33),
            };
            let de = match part {
                OriginalPart::ForwardingInstitution => 33,
                _ => 32,
            };
            let length = Digits::of(u64::try_from(text.len()).unwrap_or(u64::MAX), 2);
            let (prefix, width) = match part {
                OriginalPart::AcquiringInstitutionWithLength if text.len() <= INSTITUTION => {
                    (length.as_str(), text.len())
                }
                OriginalPart::AcquiringInstitutionWithLength => ("", INSTITUTION),
                part => ("", part.width()),
            };
            let zeros = width
                .checked_sub(text.len())
                .ok_or(MessageError::Institution {
                    de,
                    got: text.len(),
                })?;
            let zeros = ZEROS.get(..zeros).unwrap_or_default();
            // The profile's check has counted the widths.
            let fits = [prefix, zeros, text]
                .into_iter()
                .all(|piece| data.try_push_str(piece).is_ok());
            if !fits {
                return Err(MessageError::TooLong {
                    expected: ORIGINAL_DATA,
                    got: data.len() + text.len(),
                });
            }
        }
        Ok(data)
    }

    /// The text that messages of the original's kind always have in a data element; empty where they don't
    /// have it.
    fn literal_of_original(&self, operation: &Operation, de: u8) -> &str {
        let message = self.messages.get(operation.kind);
        match message.and_then(|message| message.source(de)) {
            Some(Source::Literal(text)) => text,
            _ => "",
        }
    }
}

/// The time zone of DE 12 and DE 13: the host's own, or the merchant's.
fn zone_of<'a>(
    host: Option<&'a TimeZone>,
    merchant: &str,
) -> Result<Cow<'a, TimeZone>, MessageError> {
    match host {
        Some(zone) => Ok(Cow::Borrowed(zone)),
        None => time_zone(merchant)
            .map(Cow::Owned)
            .ok_or_else(|| MessageError::TimeZone {
                got: merchant.to_owned(),
            }),
    }
}

const ZEROS: &str = match std::str::from_utf8(&[b'0'; 12]) {
    Ok(zeros) => zeros,
    Err(_) => "",
};

/// A number with leading zeros, in up to 20 places.
struct Digits {
    digits: [u8; 20],
    places: usize,
}

impl Digits {
    fn of(number: u64, places: usize) -> Self {
        let mut digits = [b'0'; 20];
        let mut rest = number;
        for digit in digits.iter_mut().take(places).rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        Self { digits, places }
    }

    fn as_str(&self) -> &str {
        self.digits
            .get(..self.places)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .unwrap_or_default()
    }
}

fn transmitted(operation: &Operation) -> Digits {
    Digits::of(transmission_date_time(operation.transmitted_at), 10)
}

fn stan(operation: &Operation) -> Digits {
    Digits::of(u64::from(operation.stan.get()), 6)
}

/// MMDDhhmmss in UTC, as a number: DE 7.
pub(in crate::hosts) fn transmission_date_time(at: UnixMillis) -> u64 {
    date_time_number(at, &TimeZone::UTC)
}
