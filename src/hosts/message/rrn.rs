//! Retrieval reference numbers in the form that a host wants: DE 37.

use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::reference::{Rrn, SequenceNumber};

use super::local_clock::local;

/// The form of a host's retrieval reference numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RrnForm {
    /// The last digit of the year, the day of the year, and eight digits of the sequence: never twice on a
    /// date.
    #[default]
    Sequence,
    /// The last digit of the year, the day of the year and the hour, both at the merchant, and the STAN. It
    /// comes again when a merchant's host takes more than 999,999 messages in an hour.
    HourAndStan,
}

impl RrnForm {
    /// The number of a message that is sent at `at`, to a merchant in `zone`.
    #[must_use]
    pub(in crate::hosts) fn rrn(
        self,
        number: SequenceNumber,
        date: NumberDate,
        at: UnixMillis,
        zone: &jiff::tz::TimeZone,
    ) -> Rrn {
        match self {
            Self::Sequence => number.rrn(date),
            Self::HourAndStan => {
                let local = local(at, zone);
                let text = format!(
                    "{}{:03}{:02}{:06}",
                    local.year().rem_euclid(10),
                    local.day_of_year(),
                    local.hour(),
                    number.stan().get()
                );
                // Twelve digits always are one.
                text.parse().unwrap_or_else(|_| number.rrn(date))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::local_clock::time_zone;
    use super::*;

    #[test]
    fn an_rrn_may_carry_the_hour_and_the_stan() {
        let at = UnixMillis::new(1_795_256_130_000);
        let number = SequenceNumber::new(6).unwrap();
        let of = |form: RrnForm, zone| {
            let zone = time_zone(zone).unwrap();
            form.rrn(number, NumberDate::of(at), at, &zone).to_string()
        };
        assert_eq!(of(RrnForm::Sequence, "UTC"), "632500000006");
        assert_eq!(of(RrnForm::HourAndStan, "UTC"), "632510000007");
        // Half past midnight of the next day.
        assert_eq!(
            of(RrnForm::HourAndStan, "Pacific/Kiritimati"),
            "632600000007"
        );
        assert_eq!(of(RrnForm::HourAndStan, "Asia/Kathmandu"), "632516000007");
    }
}
