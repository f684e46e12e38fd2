//! The clocks by which messages are dated: UTC in DE 7, the merchant's in DE 12 and DE 13.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::payment::moment::UnixMillis;

/// Whether there is a time zone of this IANA name, for instance `Europe/Madrid`.
pub fn is_time_zone(name: &str) -> bool {
    time_zone(name).is_some()
}

/// The time zones that exist, by their IANA names: those of the build, so that two machines agree.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    // Nearly every message asks, and this one needs no table.
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    static BUNDLED: std::sync::LazyLock<TimeZoneDatabase> =
        std::sync::LazyLock::new(TimeZoneDatabase::bundled);
    BUNDLED.get(name).ok()
}

/// MMDDhhmmss of a moment in a time zone, as a number.
pub(in crate::hosts) fn date_time_number(at: UnixMillis, zone: &TimeZone) -> u64 {
    local_date_time_number(at, zone) % 10_000_000_000
}

/// YYMMDDhhmmss of a moment in a time zone, as a number.
pub(in crate::hosts) fn local_date_time_number(at: UnixMillis, zone: &TimeZone) -> u64 {
    let local = local(at, zone);
    let year = u64::from(local.year().unsigned_abs()) % 100;
    [
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second(),
    ]
    .into_iter()
    .fold(year, |number, part| {
        number * 100 + u64::from(part.unsigned_abs())
    })
}

/// The moment in a time zone; a moment outside the calendar's range gives the epoch.
pub(in crate::hosts) fn local(at: UnixMillis, zone: &TimeZone) -> DateTime {
    let at = Timestamp::from_millisecond(at.as_i64()).unwrap_or_default();
    zone.to_datetime(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_follows_the_zone_and_its_daylight_saving() {
        // 2026-11-21T10:15:30Z and 2026-07-01T22:00:00Z.
        let (winter, summer) = (1_795_256_130_000, 1_782_943_200_000);
        for (name, at, expected) in [
            ("UTC", winter, 1_121_101_530),
            ("Europe/Madrid", winter, 1_121_111_530),
            ("Europe/Madrid", summer, 702_000_000),
            ("Asia/Kathmandu", winter, 1_121_160_030),
            ("Pacific/Kiritimati", winter, 1_122_001_530),
        ] {
            let zone = time_zone(name).unwrap();
            let got = date_time_number(UnixMillis::new(at), &zone);
            assert_eq!(got, expected, "{name}");
            let with_year = local_date_time_number(UnixMillis::new(at), &zone);
            assert_eq!(with_year, 260_000_000_000 + expected, "{name}");
        }
        assert!(time_zone("Europe/Atlantis").is_none());
    }
}
