//! Network management: sign-on, sign-off, echo, and the host's cutover. 0800 and 0810 with the function in DE 70 (ISO 8583:1987, annex A,
//! table A.11), or 1804 and 1814 with it in DE 24 (ISO 8583:1993).

use iso8583::mti::{Class, Version};
use iso8583::{Dialect, Message, MessageBuilder, Mti};
use jiff::tz::TimeZone;

use crate::payment::moment::UnixMillis;

use crate::hosts::message::local_clock::local_date_time_number;
use crate::hosts::message::standard_codes::Edition;
use crate::hosts::message::values::transmission_date_time;

/// The function of a network management message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NetworkFunction {
    SignOn,
    SignOff,
    Echo,
    /// The host's date has changed. Only hosts send it.
    Cutover,
}

/// The data element that holds the function.
fn function_element(version: Version) -> u8 {
    if version == Version::Iso1993 { 24 } else { 70 }
}

impl NetworkFunction {
    /// What the function's element holds.
    fn code(self, version: Version) -> u64 {
        match (self, version) {
            (Self::SignOn, Version::Iso1993) => 801,
            (Self::SignOff, Version::Iso1993) => 802,
            (Self::Echo, Version::Iso1993) => 831,
            (Self::Cutover, Version::Iso1993) => 821,
            (Self::SignOn, _) => 1,
            (Self::SignOff, _) => 2,
            (Self::Echo, _) => 301,
            (Self::Cutover, _) => 201,
        }
    }

    fn of(message: &Message<'_>) -> Option<Self> {
        let version = message.dialect().version();
        let code = message.number(function_element(version))?;
        [Self::SignOn, Self::SignOff, Self::Echo, Self::Cutover]
            .into_iter()
            .find(|function| function.code(version) == code)
    }

    /// A name for logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SignOn => "sign-on",
            Self::SignOff => "sign-off",
            Self::Echo => "echo",
            Self::Cutover => "cutover",
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

/// Puts a request into `builder`: 0800, or 1804.
pub(super) fn build_request(
    builder: &mut MessageBuilder,
    dialect: &Dialect,
    header: &[u8],
    function: NetworkFunction,
    stan: u32,
    now: UnixMillis,
) {
    let version = dialect.version();
    let is_1993 = version == Version::Iso1993;
    builder.clear(if is_1993 {
        Mti::NETWORK_REQUEST_1993
    } else {
        Mti::NETWORK_REQUEST
    });
    builder
        .header(header)
        .number(11, u64::from(stan))
        .number(function_element(version), function.code(version));
    // A host of 1993 may have no DE 7.
    if dialect.field(7).is_some() {
        builder.number(7, transmission_date_time(now));
    }
    if is_1993 {
        builder.number(12, local_date_time_number(now, &TimeZone::UTC));
    }
}

/// The function that the host requests, if this is a request. Answers are not answered: they would go back
/// and forth for ever.
pub(super) fn requested(message: &Message<'_>) -> Option<NetworkFunction> {
    let mti = message.mti();
    let is_request = mti.class() == Class::NetworkManagement
        && mti.version() == message.dialect().version()
        && mti.is_request()
        && !mti.is_repeat();
    NetworkFunction::of(message).filter(|_| is_request)
}

/// Puts the answer that confirms `request` into `builder`.
pub(super) fn build_confirmation(builder: &mut MessageBuilder, request: &Message<'_>) {
    let version = request.dialect().version();
    builder.clear(request.mti().response().unwrap_or(Mti::NETWORK_RESPONSE));
    builder.header(request.header());
    for (de, text) in echoed(request) {
        builder.text(de, &text);
    }
    builder.text(39, Edition::of(version).network_accepted);
}

/// The elements of a request that its answer has too.
pub(super) fn echoed(request: &Message<'_>) -> Vec<(u8, String)> {
    let element = |de: u8| Some((de, request.text(de)?.into_owned()));
    let version = request.dialect().version();
    let [date, other] = date_elements(version);
    [7, 11, 12, function_element(version), date, other]
        .into_iter()
        .filter_map(element)
        .collect()
}

/// The elements that may hold the new date of a cutover: DE 15, settlement date; in 1993 also DE 28, date of
/// reconciliation, which is a fee in 1987.
fn date_elements(version: Version) -> [u8; 2] {
    if version == Version::Iso1993 {
        [28, 15]
    } else {
        [15, 15]
    }
}

/// The new date of a cutover, as the host writes it.
pub(super) fn cutover_date(request: &Message<'_>) -> Option<String> {
    let dates = date_elements(request.dialect().version());
    let text = dates.into_iter().find_map(|de| request.text(de));
    text.map(std::borrow::Cow::into_owned)
}

/// Whether `message` answers the request that was sent.
pub(super) fn answers(message: &Message<'_>, function: NetworkFunction, stan: u32) -> bool {
    let (mti, version) = (message.mti(), message.dialect().version());
    mti.class() == Class::NetworkManagement
        && mti.version() == version
        && mti.is_response()
        && message.number(11) == Some(u64::from(stan))
        && message
            .number(function_element(version))
            .is_none_or(|code| code == function.code(version))
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

    /// Each edition has its own message types, element of the function, and code of acceptance; the end that
    /// is asked confirms what the other end takes for the answer.
    #[test]
    fn both_ends_understand_each_edition() {
        for (dialect, expected) in [
            ("iso1987-ascii-hex", ["0800", "0810", "301", "00"]),
            ("iso1993-ascii", ["1804", "1814", "831", "800"]),
        ] {
            let dialect = Dialect::builtin(dialect).unwrap();
            let element = function_element(dialect.version());
            let mut builder = MessageBuilder::new(Mti::NETWORK_REQUEST);
            let now = UnixMillis::new(1_795_256_130_000);
            build_request(&mut builder, &dialect, &[], NetworkFunction::Echo, 7, now);
            let mut request = Vec::new();
            dialect.encode(&builder, &mut request).unwrap();
            let request = dialect.decode(&request).unwrap();
            assert_eq!(request.mti().to_string(), expected[0]);
            assert_eq!(request.text(element).as_deref(), Some(expected[2]));
            assert_eq!(requested(&request), Some(NetworkFunction::Echo));
            assert!(!answers(&request, NetworkFunction::Echo, 7));

            build_confirmation(&mut builder, &request);
            let mut answer = Vec::new();
            dialect.encode(&builder, &mut answer).unwrap();
            let answer = dialect.decode(&answer).unwrap();
            assert_eq!(answer.mti().to_string(), expected[1]);
            assert_eq!(answer.text(39).as_deref(), Some(expected[3]));
            assert!(answers(&answer, NetworkFunction::Echo, 7));
            assert!(!answers(&answer, NetworkFunction::Echo, 8));
            assert!(!answers(&answer, NetworkFunction::SignOn, 7));
            assert_eq!(requested(&answer), None);
        }
    }
}
