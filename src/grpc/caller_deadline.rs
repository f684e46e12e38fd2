//! How long a caller waits, as it says itself: `grpc-timeout` (gRPC over HTTP/2, "Requests").
//!
//! tonic ends a call at that time too, but with CANCELLED and without details, which tells a merchant
//! nothing about its payment. The gate reads the same header and is a moment earlier.

use std::time::Duration;

use http::HeaderMap;

/// The header.
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// The most digits that it may have.
const MOST_DIGITS: usize = 8;

/// How long the caller waits; `None` when it does not say, or not in the form that gRPC has for it.
pub(crate) fn caller_deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_nothing_else() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, text.parse().unwrap());
            caller_deadline(&headers)
        };
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("500m", Duration::from_millis(500)),
            ("7u", Duration::from_micros(7)),
            ("0n", Duration::ZERO),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "S",
            "5",
            "123456789S",
            "-1S",
            "+1S",
            "1.5S",
            "1s",
            "1 S",
            "1Sm",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(caller_deadline(&HeaderMap::new()), None);
    }
}
