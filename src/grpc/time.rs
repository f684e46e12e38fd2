//! Moments.

use crate::payment::moment::UnixMillis;

/// A moment as protobuf writes it.
pub(crate) fn timestamp(moment: UnixMillis) -> prost_types::Timestamp {
    let millis = moment.as_i64();
    prost_types::Timestamp {
        seconds: millis.div_euclid(1000),
        // 0 to 999,000,000, which fits.
        nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_the_epoch_have_positive_nanos() {
        let time = timestamp(UnixMillis::new(-1));
        assert_eq!((time.seconds, time.nanos), (-1, 999_000_000));
    }
}
