//! A card in clear: masked in `Debug`, never cloned. Each of its values lies in one place, where it is wiped on
//! drop: moving a card moves pointers only.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::payment::record::{CardBrand, CardSummary};

/// Digits of a PAN (ISO/IEC 7812-1; ISO 8583 DE 2 carries up to 19). Of a shorter one, the BIN and the
/// last four digits would be nearly the whole.
pub const PAN_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Characters of a cardholder's name (ISO/IEC 7813 track 1 has 26; longer ones are typed on the web).
pub const MAX_HOLDER_CHARACTERS: usize = 64;

/// Why a card can't be one. It never says what it got: that may be a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCard {
    /// The PAN has a wrong number of digits, or other characters.
    #[error("expected a card number of 13 to 19 digits")]
    PanDigits,
    /// The PAN's last digit is wrong (Luhn, ISO/IEC 7812-1 annex B).
    #[error("the card number's check digit is wrong")]
    PanCheckDigit,
    /// The expiry is not four digits with a month of 01 to 12.
    #[error("expected an expiry date as YYMM, for instance 3012 for December 2030")]
    Expiry,
    /// The card verification value is not three or four digits.
    #[error("expected a card verification value of three or four digits")]
    Cvv,
    /// The holder's name is empty, too long, or has control characters.
    #[error("expected a cardholder name of 1 to {MAX_HOLDER_CHARACTERS} printable characters")]
    Holder,
}

/// Up to `N` digits. They are boxed, so that a move leaves no copy of them behind.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Digits<const N: usize> {
    bytes: Box<[u8; N]>,
    length: usize,
}

impl<const N: usize> Digits<N> {
    fn new(text: &str) -> Option<Self> {
        let mut digits = Self {
            bytes: Box::new([0; N]),
            length: text.len(),
        };
        let place = digits.bytes.get_mut(..text.len())?;
        place.copy_from_slice(text.as_bytes());
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(digits)
    }

    fn as_str(&self) -> &str {
        self.bytes
            .get(..self.length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

/// A primary account number: 13 to 19 digits with a right check digit.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Pan(Digits<19>);

impl Pan {
    /// A PAN of `digits`.
    ///
    /// # Errors
    /// When it has other characters, fewer than 13 or more than 19 digits, or a wrong check digit.
    pub fn from_digits(digits: &str) -> Result<Self, InvalidCard> {
        if !PAN_DIGITS.contains(&digits.len()) {
            return Err(InvalidCard::PanDigits);
        }
        let pan = Self(Digits::new(digits).ok_or(InvalidCard::PanDigits)?);
        if passes_luhn(digits.bytes()) {
            Ok(pan)
        } else {
            Err(InvalidCard::PanCheckDigit)
        }
    }

    /// All its digits, in clear: for DE 2 and routing only.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.as_str()
    }

    /// The first six digits: what may be shown of the issuer.
    #[must_use]
    pub fn bin(&self) -> &str {
        self.digits().get(..6).unwrap_or_default()
    }

    /// The last four digits: what may be shown of the account.
    #[must_use]
    pub fn last_four(&self) -> &str {
        let digits = self.digits();
        digits
            .get(digits.len().saturating_sub(4)..)
            .unwrap_or_default()
    }

    /// The brand, by the first digits.
    #[must_use]
    pub fn brand(&self) -> CardBrand {
        let bin: u32 = self.bin().parse().unwrap_or(0);
        match bin {
            400_000..=499_999 => CardBrand::Visa,
            510_000..=559_999 | 222_100..=272_099 => CardBrand::Mastercard,
            340_000..=349_999 | 370_000..=379_999 => CardBrand::AmericanExpress,
            601_100..=601_199 | 644_000..=649_999 | 650_000..=659_999 => CardBrand::Discover,
            352_800..=358_999 => CardBrand::Jcb,
            300_000..=305_999 | 360_000..=369_999 | 380_000..=389_999 => CardBrand::DinersClub,
            620_000..=629_999 => CardBrand::UnionPay,
            _ => CardBrand::Other,
        }
    }
}

/// BIN and last four, the most that may be shown.
impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pan({}...{})", self.bin(), self.last_four())
    }
}

/// An expiry date, as DE 14 has it: YYMM.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Expiry(Digits<4>);

impl Expiry {
    /// The date `yymm`, for instance `3012` for December 2030.
    ///
    /// # Errors
    /// When it is not four digits, or the month is not 01 to 12.
    pub fn from_yymm(yymm: &str) -> Result<Self, InvalidCard> {
        let digits = Digits::new(yymm).filter(|digits| digits.length == 4);
        let month = yymm.get(2..).and_then(|month| month.parse::<u8>().ok());
        match (digits, month) {
            (Some(digits), Some(1..=12)) => Ok(Self(digits)),
            _ => Err(InvalidCard::Expiry),
        }
    }

    /// The four digits, in clear: for DE 14 only.
    #[must_use]
    pub fn yymm(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Expiry(masked)")
    }
}

/// A card verification value (CVV2, CVC2, CID): three or four digits. It lives until the
/// authorization ends and is never stored.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Cvv(Digits<4>);

impl Cvv {
    /// The value `digits`.
    ///
    /// # Errors
    /// When it is not three or four digits.
    pub fn from_digits(digits: &str) -> Result<Self, InvalidCard> {
        Digits::new(digits)
            .filter(|digits| digits.length >= 3)
            .map(Self)
            .ok_or(InvalidCard::Cvv)
    }

    /// The digits, in clear: for the message to the bank only.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Cvv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cvv(masked)")
    }
}

/// The cardholder's name.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Holder(String);

impl Holder {
    /// The name `name`.
    ///
    /// # Errors
    /// When it is empty, has over [`MAX_HOLDER_CHARACTERS`] characters, or a control character.
    pub fn new(name: &str) -> Result<Self, InvalidCard> {
        let length = name.chars().count();
        if (1..=MAX_HOLDER_CHARACTERS).contains(&length) && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidCard::Holder)
        }
    }

    /// The name, in clear.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holder(masked)")
    }
}

/// A card in clear.
#[derive(Debug)]
pub struct Card {
    /// Its number.
    pub pan: Pan,
    /// When it expires.
    pub expiry: Expiry,
    /// Its verification value, when the cardholder gave it.
    pub cvv: Option<Cvv>,
    /// Whose it is, when the merchant said so.
    pub holder: Option<Holder>,
}

impl Card {
    /// What may be shown and stored of it.
    #[must_use]
    pub fn summary(&self) -> CardSummary {
        CardSummary {
            brand: self.pan.brand(),
            bin: self.pan.bin().to_owned(),
            last_four: self.pan.last_four().to_owned(),
        }
    }
}

/// Whether the last of these ASCII digits is the check digit of those before it (ISO/IEC 7812-1,
/// annex B).
pub(crate) fn passes_luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte.saturating_sub(b'0'));
            match (place % 2, digit) {
                (0, digit) => digit,
                (_, digit @ 0..=4) => 2 * digit,
                (_, digit) => 2 * digit - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pan_has_digits_and_a_check_digit() {
        for (digits, expected) in [
            ("4242424242424242", Ok(CardBrand::Visa)),
            ("5555555555554444", Ok(CardBrand::Mastercard)),
            ("2223003122003222", Ok(CardBrand::Mastercard)),
            ("378282246310005", Ok(CardBrand::AmericanExpress)),
            ("6011111111111117", Ok(CardBrand::Discover)),
            ("3530111333300000", Ok(CardBrand::Jcb)),
            ("36227206271667", Ok(CardBrand::DinersClub)),
            ("6200000000000005", Ok(CardBrand::UnionPay)),
            ("9792030394440796", Ok(CardBrand::Other)),
            ("4242424242424241", Err(InvalidCard::PanCheckDigit)),
            ("42424242424", Err(InvalidCard::PanDigits)),
            ("42424242424242424242", Err(InvalidCard::PanDigits)),
            ("4242 4242 4242 4242", Err(InvalidCard::PanDigits)),
            ("٤٢٤٢٤٢", Err(InvalidCard::PanDigits)),
            ("", Err(InvalidCard::PanDigits)),
        ] {
            let brand = Pan::from_digits(digits).map(|pan| pan.brand());
            assert_eq!(brand, expected, "{digits}");
        }
    }

    #[test]
    fn expiry_cvv_and_holder_are_checked() {
        for bad in ["", "301", "3013", "3000", "30125", "30 1", "3o12", "+312"] {
            assert!(Expiry::from_yymm(bad).is_err(), "{bad}");
        }
        assert_eq!(Expiry::from_yymm("3012").unwrap().yymm(), "3012");
        for bad in ["", "12", "12345", "12a", "+12"] {
            assert!(Cvv::from_digits(bad).is_err(), "{bad}");
        }
        assert_eq!(Cvv::from_digits("1234").unwrap().digits(), "1234");
        for bad in ["", "a\nb", "a\u{1b}[31m", &"x".repeat(65)] {
            assert!(Holder::new(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Holder::new("Zoë Ångström").unwrap().as_str(),
            "Zoë Ångström"
        );
    }

    #[test]
    fn debug_shows_bin_and_last_four_at_most() {
        let card = Card {
            pan: Pan::from_digits("4999990123456714").unwrap(),
            expiry: Expiry::from_yymm("3107").unwrap(),
            cvv: Some(Cvv::from_digits("8642").unwrap()),
            holder: Some(Holder::new("CANARY NAME").unwrap()),
        };
        let shown = format!("{card:?} {card:#?}");
        for secret in ["0123456", "90123", "3107", "8642", "CANARY"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("499999...6714"), "{shown}");
        assert_eq!(
            card.summary(),
            CardSummary {
                brand: CardBrand::Visa,
                bin: "499999".into(),
                last_four: "6714".into()
            }
        );
    }
}
