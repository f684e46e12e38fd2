//! The message type indicator: four digits that say version, class, function and origin
//! (ISO 8583:1987 clause 4.1, ISO 8583:2003 clause 5.2).

mod digits;

use std::fmt;
use std::str::FromStr;

pub use digits::{Class, Function, Origin, Version};

/// A message type indicator such as 0100 or 0421.
///
/// Any four digits are an MTI; digits that the standard reserves come back as `Reserved`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mti([u8; 4]);

/// Why a text is no MTI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MtiError {
    /// An MTI has four digits.
    #[error("expected an MTI of 4 digits, got {got} characters")]
    Length {
        /// The length of the text in bytes.
        got: usize,
    },
    /// A character is not a digit.
    #[error("expected an MTI of 4 digits, got byte 0x{got:02X} at position {position}")]
    Digit {
        /// The byte that is not a digit.
        got: u8,
        /// Where it stands, from 0.
        position: usize,
    },
}

impl Mti {
    /// 0100: authorization request.
    pub const AUTHORIZATION_REQUEST: Mti = Mti([0, 1, 0, 0]);
    /// 0110: authorization response.
    pub const AUTHORIZATION_RESPONSE: Mti = Mti([0, 1, 1, 0]);
    /// 0120: authorization advice.
    pub const AUTHORIZATION_ADVICE: Mti = Mti([0, 1, 2, 0]);
    /// 0200: financial request.
    pub const FINANCIAL_REQUEST: Mti = Mti([0, 2, 0, 0]);
    /// 0210: financial response.
    pub const FINANCIAL_RESPONSE: Mti = Mti([0, 2, 1, 0]);
    /// 0220: financial advice.
    pub const FINANCIAL_ADVICE: Mti = Mti([0, 2, 2, 0]);
    /// 0400: reversal request.
    pub const REVERSAL_REQUEST: Mti = Mti([0, 4, 0, 0]);
    /// 0420: reversal advice.
    pub const REVERSAL_ADVICE: Mti = Mti([0, 4, 2, 0]);
    /// 0430: response to a reversal advice.
    pub const REVERSAL_ADVICE_RESPONSE: Mti = Mti([0, 4, 3, 0]);
    /// 0800: network management request.
    pub const NETWORK_REQUEST: Mti = Mti([0, 8, 0, 0]);
    /// 0810: network management response.
    pub const NETWORK_RESPONSE: Mti = Mti([0, 8, 1, 0]);
    /// 1804: network management request of ISO 8583:1993.
    pub const NETWORK_REQUEST_1993: Mti = Mti([1, 8, 0, 4]);

    /// The MTI of these four digits (each 0 to 9, not ASCII); `None` when one is larger.
    #[must_use]
    pub const fn from_digits(digits: [u8; 4]) -> Option<Mti> {
        let [a, b, c, d] = digits;
        if a < 10 && b < 10 && c < 10 && d < 10 {
            Some(Mti(digits))
        } else {
            None
        }
    }

    /// The four digits, each 0 to 9.
    #[must_use]
    pub const fn digits(self) -> [u8; 4] {
        self.0
    }

    /// The four digits as ASCII characters.
    #[must_use]
    pub const fn ascii(self) -> [u8; 4] {
        let [a, b, c, d] = self.0;
        [b'0' + a, b'0' + b, b'0' + c, b'0' + d]
    }

    /// The MTI that two bytes of BCD hold; `None` when a nibble is no digit.
    #[must_use]
    pub const fn from_bcd(bytes: [u8; 2]) -> Option<Mti> {
        let [high, low] = bytes;
        Mti::from_digits([high >> 4, high & 0x0F, low >> 4, low & 0x0F])
    }

    /// The four digits as two bytes of BCD.
    #[must_use]
    pub const fn bcd(self) -> [u8; 2] {
        let [a, b, c, d] = self.0;
        [a << 4 | b, c << 4 | d]
    }

    /// Whether this edition of the standard gives each of its digits a meaning.
    #[must_use]
    pub fn is_of(self, version: Version) -> bool {
        self.version() == version
            && !matches!(self.class(), Class::Reserved(_))
            && !matches!(self.function(), Function::Reserved(_))
            && !matches!(self.origin(), Origin::Reserved(_))
    }

    /// The first digit.
    #[must_use]
    pub const fn version(self) -> Version {
        let [digit, _, _, _] = self.0;
        match digit {
            0 => Version::Iso1987,
            1 => Version::Iso1993,
            2 => Version::Iso2003,
            other => Version::Reserved(other),
        }
    }

    /// The second digit.
    #[must_use]
    pub const fn class(self) -> Class {
        let [_, digit, _, _] = self.0;
        match digit {
            1 => Class::Authorization,
            2 => Class::Financial,
            3 => Class::FileAction,
            4 => Class::Reversal,
            5 => Class::Reconciliation,
            6 => Class::Administrative,
            7 => Class::FeeCollection,
            8 => Class::NetworkManagement,
            other => Class::Reserved(other),
        }
    }

    /// The third digit.
    #[must_use]
    pub const fn function(self) -> Function {
        let [_, _, digit, _] = self.0;
        match digit {
            0 => Function::Request,
            1 => Function::RequestResponse,
            2 => Function::Advice,
            3 => Function::AdviceResponse,
            4 => Function::Notification,
            5 => Function::NotificationAcknowledgement,
            6 => Function::Instruction,
            7 => Function::InstructionAcknowledgement,
            other => Function::Reserved(other),
        }
    }

    /// The fourth digit.
    #[must_use]
    pub const fn origin(self) -> Origin {
        let [_, _, _, digit] = self.0;
        match digit {
            0 => Origin::Acquirer,
            1 => Origin::AcquirerRepeat,
            2 => Origin::Issuer,
            3 => Origin::IssuerRepeat,
            4 => Origin::Other,
            5 => Origin::OtherRepeat,
            other => Origin::Reserved(other),
        }
    }

    /// Whether this is a request, advice, notification or instruction.
    #[must_use]
    pub const fn is_request(self) -> bool {
        matches!(
            self.function(),
            Function::Request | Function::Advice | Function::Notification | Function::Instruction
        )
    }

    /// Whether this is a response or an acknowledgement.
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(
            self.function(),
            Function::RequestResponse
                | Function::AdviceResponse
                | Function::NotificationAcknowledgement
                | Function::InstructionAcknowledgement
        )
    }

    /// Whether the message is marked as sent again.
    #[must_use]
    pub const fn is_repeat(self) -> bool {
        matches!(
            self.origin(),
            Origin::AcquirerRepeat | Origin::IssuerRepeat | Origin::OtherRepeat
        )
    }

    /// The MTI that answers this one: 0100 gives 0110, 0420 and 0421 give 0430.
    ///
    /// `None` for what is itself an answer, and where the standard reserves a digit.
    #[must_use]
    pub const fn response(self) -> Option<Mti> {
        let [version, class, function, origin] = self.0;
        if !self.is_request() || matches!(self.origin(), Origin::Reserved(_)) {
            return None;
        }
        // A repeat is answered like the original: origins 1, 3 and 5 become 0, 2 and 4.
        Some(Mti([version, class, function + 1, origin & !1]))
    }

    /// The MTI of the same message sent again: 0420 gives 0421. A repeat gives itself.
    ///
    /// `None` for answers, which are never repeated, and where the standard reserves a digit.
    #[must_use]
    pub const fn repeat(self) -> Option<Mti> {
        let [version, class, function, origin] = self.0;
        if !self.is_request() || matches!(self.origin(), Origin::Reserved(_)) {
            return None;
        }
        Some(Mti([version, class, function, origin | 1]))
    }
}

impl FromStr for Mti {
    type Err = MtiError;

    fn from_str(text: &str) -> Result<Mti, MtiError> {
        let ascii: [u8; 4] = text
            .as_bytes()
            .try_into()
            .map_err(|_| MtiError::Length { got: text.len() })?;
        if let Some((position, got)) = ascii.iter().enumerate().find(|(_, b)| !b.is_ascii_digit()) {
            return Err(MtiError::Digit {
                got: *got,
                position,
            });
        }
        Ok(Mti(ascii.map(|byte| byte & 0x0F)))
    }
}

impl fmt::Display for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a}{b}{c}{d}")
    }
}

impl fmt::Debug for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mti({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mti(text: &str) -> Mti {
        text.parse().unwrap()
    }

    #[test]
    fn responses_and_repeats() {
        let cases = [
            // request, its response, its repeat
            ("0100", Some("0110"), Some("0101")),
            ("0101", Some("0110"), Some("0101")),
            ("0120", Some("0130"), Some("0121")),
            ("0200", Some("0210"), Some("0201")),
            ("0220", Some("0230"), Some("0221")),
            ("0221", Some("0230"), Some("0221")),
            ("0400", Some("0410"), Some("0401")),
            ("0420", Some("0430"), Some("0421")),
            ("0421", Some("0430"), Some("0421")),
            ("0422", Some("0432"), Some("0423")),
            ("0423", Some("0432"), Some("0423")),
            ("0800", Some("0810"), Some("0801")),
            ("1804", Some("1814"), Some("1805")),
            ("1644", Some("1654"), Some("1645")),
            ("2160", Some("2170"), Some("2161")),
            ("0110", None, None),
            ("0430", None, None),
            ("0180", None, None),
            ("0106", None, None),
        ];
        for (request, response, repeat) in cases {
            assert_eq!(
                mti(request).response(),
                response.map(mti),
                "response to {request}"
            );
            assert_eq!(
                mti(request).repeat(),
                repeat.map(mti),
                "repeat of {request}"
            );
        }
    }

    #[test]
    fn digits_have_meanings() {
        let reversal = mti("0421");
        assert_eq!(reversal.version(), Version::Iso1987);
        assert_eq!(reversal.class(), Class::Reversal);
        assert_eq!(reversal.function(), Function::Advice);
        assert_eq!(reversal.origin(), Origin::AcquirerRepeat);
        assert!(reversal.is_request() && !reversal.is_response() && reversal.is_repeat());
        assert_eq!(mti("9999").version(), Version::Reserved(9));
        assert_eq!(mti("0099").class(), Class::Reserved(0));
        assert!(mti("0110").is_response() && !mti("0110").is_request());
        assert!(!mti("0190").is_response() && !mti("0190").is_request());
    }

    #[test]
    fn text_bcd_and_digits_agree() {
        assert_eq!(mti("0421").bcd(), [0x04, 0x21]);
        assert_eq!(Mti::from_bcd([0x04, 0x21]), Some(mti("0421")));
        assert_eq!(Mti::from_bcd([0x04, 0x2A]), None);
        assert_eq!(Mti::from_digits([0, 4, 2, 10]), None);
        assert_eq!(&mti("0421").ascii(), b"0421");
        assert_eq!(mti("0421").to_string(), "0421");
        assert_eq!("042".parse::<Mti>(), Err(MtiError::Length { got: 3 }));
        assert_eq!(
            "+100".parse::<Mti>(),
            Err(MtiError::Digit {
                got: b'+',
                position: 0
            })
        );
    }
}
