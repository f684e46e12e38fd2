//! Network management, 0800 and 0810: sign-on, sign-off, echo.

use iso8583::{Message, MessageBuilder, Mti};

use crate::payment::decline::ResponseCode;
use crate::payment::moment::UnixMillis;

use crate::hosts::message::values::transmission_date_time;

/// The function of a network management message: DE 70 (ISO 8583:1987, annex A, table A.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NetworkFunction {
    SignOn,
    SignOff,
    Echo,
}

impl NetworkFunction {
    /// DE 70.
    pub(super) fn code(self) -> u64 {
        match self {
            Self::SignOn => 1,
            Self::SignOff => 2,
            Self::Echo => 301,
        }
    }

    fn of(code: u64) -> Option<Self> {
        [Self::SignOn, Self::SignOff, Self::Echo]
            .into_iter()
            .find(|function| function.code() == code)
    }

    /// A name for logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SignOn => "sign-on",
            Self::SignOff => "sign-off",
            Self::Echo => "echo",
        }
    }
}

/// The STANs of a line's network management messages. They are no payment's, so they come from a
/// counter of the line's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct NetworkStans(u32);

impl NetworkStans {
    /// A counter that begins somewhere, so that the lines of a host differ.
    pub(super) fn starting_at(random: u32) -> Self {
        Self(random)
    }

    /// The next STAN, 1 to 999999; after 999999 comes 1.
    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0 % LAST_STAN + 1;
        self.0
    }
}

/// The largest STAN: six digits.
const LAST_STAN: u32 = 999_999;

/// Puts a 0800 into `builder`.
pub(super) fn build_request(
    builder: &mut MessageBuilder,
    header: &[u8],
    function: NetworkFunction,
    stan: u32,
    now: UnixMillis,
) {
    builder.clear(Mti::NETWORK_REQUEST);
    builder
        .header(header)
        .number(7, transmission_date_time(now))
        .number(11, u64::from(stan))
        .number(70, function.code());
}

/// The function that the host requests, if this is a request. Answers are not answered: they would go back
/// and forth for ever.
pub(super) fn requested(message: &Message<'_>) -> Option<NetworkFunction> {
    if message.mti() == Mti::NETWORK_REQUEST {
        NetworkFunction::of(message.number(70)?)
    } else {
        None
    }
}

/// Puts the 0810 that confirms `request` into `builder`.
pub(super) fn build_confirmation(builder: &mut MessageBuilder, request: &Message<'_>) {
    builder.clear(Mti::NETWORK_RESPONSE);
    builder.header(request.header());
    for de in [7, 11, 70] {
        if let Some(text) = request.text(de) {
            builder.text(de, &text);
        }
    }
    builder.text(39, ResponseCode::APPROVED.as_str());
}

/// Whether `message` answers the 0800 that was sent.
pub(super) fn answers(message: &Message<'_>, function: NetworkFunction, stan: u32) -> bool {
    message.mti() == Mti::NETWORK_RESPONSE
        && message.number(11) == Some(u64::from(stan))
        && message
            .number(70)
            .is_none_or(|code| code == function.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_stans_wrap_and_are_never_zero() {
        let mut stans = NetworkStans::starting_at(999_997);
        let numbers: Vec<u32> = (0..4).map(|_| stans.next()).collect();
        assert_eq!(numbers, [999_998, 999_999, 1, 2]);
        for start in [0, 999_999, 1_000_000, u32::MAX] {
            let stan = NetworkStans::starting_at(start).next();
            assert!((1..=LAST_STAN).contains(&stan), "{start}: {stan}");
        }
    }
}
