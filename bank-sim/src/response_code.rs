//! DE 39: what a host answers (ISO 8583:1987, table of response codes).

use std::fmt;

use iso8583::mti::Class;

/// A response code as it stands in DE 39: two characters.
///
/// Not an enum: a host may be told to answer with a code that no table lists.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResponseCode([u8; 2]);

impl ResponseCode {
    /// Approved or completed successfully.
    pub const APPROVED: Self = Self(*b"00");
    /// Do not honour.
    pub const DO_NOT_HONOUR: Self = Self(*b"05");
    /// Approved for less than was asked for.
    pub const PARTLY_APPROVED: Self = Self(*b"10");
    /// Invalid transaction: a request that the host does not know.
    pub const INVALID_TRANSACTION: Self = Self(*b"12");
    /// Invalid amount: a reversal of another amount than the original's.
    pub const INVALID_AMOUNT: Self = Self(*b"13");
    /// Invalid card number: no route leads to it, or the issuer never issued it.
    pub const INVALID_CARD: Self = Self(*b"14");
    /// Unable to locate the original, of a reversal or a completion.
    pub const ORIGINAL_NOT_FOUND: Self = Self(*b"25");
    /// Format error.
    pub const FORMAT_ERROR: Self = Self(*b"30");
    /// Format error, the acquirer's fault (NPS).
    pub const ACQUIRER_FORMAT_ERROR: Self = Self(*b"CA");
    /// Lost card, pick up.
    pub const LOST_CARD: Self = Self(*b"41");
    /// Stolen card, pick up.
    pub const STOLEN_CARD: Self = Self(*b"43");
    /// Not sufficient funds.
    pub const INSUFFICIENT_FUNDS: Self = Self(*b"51");
    /// Expired card, or an expiry date other than the card's.
    pub const EXPIRED_CARD: Self = Self(*b"54");
    /// Incorrect PIN.
    pub const INCORRECT_PIN: Self = Self(*b"55");
    /// Transaction not permitted to the cardholder: its kind, or its currency.
    pub const NOT_PERMITTED: Self = Self(*b"57");
    /// Exceeds the amount limit.
    pub const EXCEEDS_LIMIT: Self = Self(*b"61");
    /// Restricted card: the issuer blocked it.
    pub const RESTRICTED_CARD: Self = Self(*b"62");
    /// Allowable number of PIN tries exceeded.
    pub const PIN_TRIES_EXCEEDED: Self = Self(*b"75");
    /// No reason to decline: a card that was to be verified is good (card schemes' code).
    pub const NO_REASON_TO_DECLINE: Self = Self(*b"85");
    /// Issuer or switch inoperative; also what a line is told that has not signed on.
    pub const INOPERATIVE: Self = Self(*b"91");
    /// Duplicate transmission.
    pub const DUPLICATE: Self = Self(*b"94");
    /// System malfunction.
    pub const SYSTEM_MALFUNCTION: Self = Self(*b"96");
    /// CVV2 mismatch (card schemes' code).
    pub const CVV_MISMATCH: Self = Self(*b"N7");

    /// The code of two ASCII letters or digits, or `None` for anything else.
    #[must_use]
    pub const fn new(text: [u8; 2]) -> Option<Self> {
        let [first, second] = text;
        if first.is_ascii_alphanumeric() && second.is_ascii_alphanumeric() {
            Some(Self(text))
        } else {
            None
        }
    }

    /// The code of two characters, or `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        <[u8; 2]>::try_from(text.as_bytes())
            .ok()
            .and_then(Self::new)
    }

    /// The two characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only `new` and the constants make one, so it is always ASCII.
        str::from_utf8(&self.0).unwrap_or("96")
    }

    /// The action code of ISO 8583:1993 that says the same in the answer to a message of this class.
    pub(crate) fn action_code(self, class: Class) -> &'static str {
        match (&self.0, class) {
            (b"00", Class::Reversal) => "400",
            (b"00", Class::NetworkManagement) => "800",
            (b"00", Class::Reconciliation) => "500",
            (b"00", Class::FileAction) => "300",
            (b"00" | b"85", _) => "000",
            (b"10", _) => "002",
            (b"03", _) => "109",
            (b"04", _) => "200",
            (b"12", _) => "902",
            (b"13", _) => "110",
            (b"14" | b"15", _) => "111",
            (b"25", _) => "914",
            (b"30", _) => "904",
            (b"41", _) => "208",
            (b"43", _) => "209",
            (b"51", _) => "116",
            (b"54", _) => "101",
            (b"55", _) => "117",
            (b"57", _) => "119",
            (b"58", _) => "120",
            (b"59", _) => "102",
            (b"61", _) => "121",
            (b"62", _) => "104",
            (b"63" | b"N7", _) => "122",
            (b"65", _) => "123",
            (b"68", _) => "911",
            (b"75", _) => "106",
            (b"91", _) => "907",
            (b"94", _) => "913",
            (b"96", _) => "909",
            _ => "100",
        }
    }

    /// Whether this is an approval, `00`, or `10` of a part.
    #[must_use]
    pub fn is_approved(self) -> bool {
        [Self::APPROVED, Self::PARTLY_APPROVED].contains(&self)
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseCode({})", self.as_str())
    }
}
