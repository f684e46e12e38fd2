//! The values that a request can hold, each written as its data element wants it.

use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::record::Operation;

use super::contents::Contents;
use super::source::Source;

/// The values of one request, each written with as many digits as it has places.
pub(in crate::hosts) struct Values<'a> {
    contents: Contents<'a>,
    amount: Digits,
    transmitted: Digits,
    stan: Digits,
    local_time: Digits,
    local_date: Digits,
    country: Digits,
    currency: Digits,
    name_location: [u8; 40],
}

impl<'a> Values<'a> {
    pub(in crate::hosts) fn of(contents: Contents<'a>, utc_offset_minutes: i16) -> Self {
        let Contents {
            operation,
            merchant,
            ..
        } = contents;
        let offset_ms = i64::from(utc_offset_minutes) * 60_000;
        let local = transmission_date_time(operation.transmitted_at.plus_ms(offset_ms));
        Self {
            amount: Digits::of(amount_minor(operation), 12),
            transmitted: Digits::of(transmission_date_time(operation.transmitted_at), 10),
            stan: Digits::of(u64::from(operation.stan.get()), 6),
            local_time: Digits::of(local % 1_000_000, 6),
            local_date: Digits::of(local / 1_000_000, 4),
            country: Digits::of(u64::from(merchant.country_numeric), 3),
            currency: Digits::of(u64::from(operation.amount.currency().numeric()), 3),
            name_location: name_location(merchant),
            contents,
        }
    }

    /// The value of a source; `None` where this request has none.
    pub(in crate::hosts) fn get<'b>(&'b self, source: &'b Source) -> Option<&'b str> {
        let Contents {
            operation,
            merchant,
            card,
        } = &self.contents;
        Some(match source {
            Source::Pan => card.as_ref()?.pan,
            Source::Amount => self.amount.as_str(),
            Source::TransmissionDateTime => self.transmitted.as_str(),
            Source::Stan => self.stan.as_str(),
            Source::LocalTime => self.local_time.as_str(),
            Source::LocalDate => self.local_date.as_str(),
            Source::Expiry => card.as_ref()?.expiry_yymm,
            Source::Mcc => &merchant.mcc,
            Source::Country => self.country.as_str(),
            Source::Rrn => operation.rrn.as_str(),
            Source::TerminalId => &operation.terminal_id,
            Source::AcceptorId => &merchant.acceptor_id,
            Source::AcceptorNameLocation => {
                std::str::from_utf8(&self.name_location).unwrap_or_default()
            }
            Source::CurrencyNumeric => self.currency.as_str(),
            Source::Cvv => card.as_ref()?.cvv?,
            Source::Literal(text) => text,
            Source::Subelements(_) => return None,
        })
    }
}

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

/// MMDDhhmmss in UTC, as a number: DE 7.
pub(in crate::hosts) fn transmission_date_time(at: UnixMillis) -> u64 {
    let at = at.utc();
    let (_, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    [u8::from(month), day, hour, minute, second]
        .into_iter()
        .fold(0, |number, part| number * 100 + u64::from(part))
}

/// DE 4, in minor units.
pub(in crate::hosts) fn amount_minor(operation: &Operation) -> u64 {
    // An amount is never negative.
    u64::try_from(operation.amount.amount_minor()).unwrap_or(0)
}

/// DE 43 in the layout that hosts read: name 1-25, city 26-38, country 39-40. What is longer is
/// cut, and what no host could read becomes a question mark.
pub(in crate::hosts) fn name_location(merchant: &Merchant) -> [u8; 40] {
    const NAME: usize = 25;
    const CITY: usize = 13;
    let mut field = [b' '; 40];
    let (name, rest) = field.split_at_mut(NAME);
    let (city, country) = rest.split_at_mut(CITY);
    for (part, text) in [
        (name, &merchant.name),
        (city, &merchant.city),
        (country, &merchant.country),
    ] {
        for (place, character) in part.iter_mut().zip(text.chars()) {
            let readable = u8::try_from(character)
                .ok()
                .filter(|byte| (b' '..=b'~').contains(byte));
            *place = readable.unwrap_or(b'?');
        }
    }
    field
}
