//! Where money goes to: accounts and banks, by their international names. Account numbers are not shown by `Debug`.

use std::fmt;
use std::str::FromStr;

/// The longest account number (ISO 13616, ISO 20022 Max34Text).
const MAX_ACCOUNT_LENGTH: usize = 34;
/// The shortest IBAN that a country has (Norway).
const MIN_IBAN_LENGTH: usize = 15;

/// A text that is no account or bank. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccount {
    /// It has not the form.
    #[error("expected {expected}, got another text of {length} bytes")]
    Form {
        /// What the form is.
        expected: &'static str,
        /// How long the text is.
        length: usize,
    },
    /// It has the form, and a mistake in it.
    #[error("expected an IBAN whose check digits fit the rest, got one whose do not")]
    CheckDigits,
}

/// An account number as a bank writes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountNumber(String);

impl AccountNumber {
    /// The number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What may be shown of it: its country, where it begins with one, and the last four characters, such as
    /// `DE** **** 3000`. Nothing of a number of less than ten.
    #[must_use]
    pub fn masked(&self) -> String {
        let number = &self.0;
        let end = number.len().checked_sub(4).filter(|end| *end >= 6);
        let last = end.and_then(|end| number.get(end..)).unwrap_or("");
        let letters = |country: &&str| country.bytes().all(|byte| byte.is_ascii_uppercase());
        let country = number.get(..2).filter(letters);
        let country = country.filter(|_| end.is_some()).unwrap_or("");
        format!("{country}** **** {last}").trim_end().to_owned()
    }
}

impl fmt::Debug for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl FromStr for AccountNumber {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_printable = text.chars().all(|letter| !letter.is_control());
        if is_printable && (1..=MAX_ACCOUNT_LENGTH).contains(&text.chars().count()) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidAccount::Form {
            expected: "1 to 34 printable characters",
            length: text.len(),
        })
    }
}

/// An account: by IBAN, or by another number that its bank knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BankAccount {
    /// An IBAN.
    Iban(Iban),
    /// Another number.
    Other(AccountNumber),
}

impl BankAccount {
    /// The number of either kind.
    #[must_use]
    pub fn number(&self) -> &AccountNumber {
        match self {
            Self::Iban(iban) => &iban.0,
            Self::Other(number) => number,
        }
    }
}

/// An IBAN (ISO 13616) whose check digits fit, without spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iban(AccountNumber);

impl FromStr for Iban {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let has_form = (MIN_IBAN_LENGTH..=MAX_ACCOUNT_LENGTH).contains(&bytes.len())
            && bytes.iter().enumerate().all(|(place, byte)| match place {
                0 | 1 => byte.is_ascii_uppercase(),
                2 | 3 => byte.is_ascii_digit(),
                _ => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            });
        if !has_form {
            return Err(InvalidAccount::Form {
                expected: "an IBAN of 15 to 34 capital letters and digits without spaces",
                length: text.len(),
            });
        }
        // The first four come last, and a letter counts as two digits: A as 10, Z as 35.
        let moved = bytes.iter().skip(4).chain(bytes.iter().take(4));
        let rest = moved.fold(0_u32, |rest, byte| match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            _ => (rest * 100 + u32::from(byte.saturating_sub(b'A')) + 10) % 97,
        });
        match rest {
            1 => Ok(Self(AccountNumber(text.to_owned()))),
            _ => Err(InvalidAccount::CheckDigits),
        }
    }
}

/// A bank's BIC (ISO 9362) of 8 or 11 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bic(String);

impl Bic {
    /// The BIC.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Bic {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let has_form = matches!(text.len(), 8 | 11)
            && text.bytes().enumerate().all(|(place, byte)| match place {
                4 | 5 => byte.is_ascii_uppercase(),
                _ => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            });
        match has_form {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidAccount::Form {
                expected: "a BIC of 8 or 11 capital letters and digits",
                length: text.len(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iban_is_checked_by_its_digits() {
        for text in [
            "DE89370400440532013000",
            "GB82WEST12345698765432",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            let iban: Iban = text.parse().unwrap();
            assert_eq!(BankAccount::Iban(iban).number().as_str(), text);
        }
        // One digit is wrong, and two are swapped.
        for text in ["DE89370400440532013001", "DE89370400440532010300"] {
            assert_eq!(text.parse::<Iban>(), Err(InvalidAccount::CheckDigits));
        }
        for text in [
            "",
            "DE89 3704 0044 0532 0130 00",
            "de89370400440532013000",
            "8989370400440532013000",
            "DEXX370400440532013000",
            "DE8937040044053",
            "DE89370400440532013000DE89370400440",
            "DE8937040044053201300\u{e9}",
        ] {
            assert!(text.parse::<Iban>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bic_has_eight_or_eleven_characters() {
        for (text, is_bic) in [
            ("COBADEFF", true),
            ("COBADEFFXXX", true),
            ("C0BADE2F", true),
            ("COBADEF", false),
            ("COBADEFFX", false),
            ("COBA1EFF", false),
            ("cobadeff", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Bic>().is_ok(), is_bic, "{text:?}");
        }
    }

    #[test]
    fn a_number_is_shown_by_its_end() {
        let longest = "x".repeat(34);
        for (number, shown) in [
            ("DE89370400440532013000", "DE** **** 3000"),
            ("1234567890", "** **** 7890"),
            ("123456789", "** ****"),
            ("DE345678", "** ****"),
            (
                "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
                "** **** \u{e9}\u{e9}",
            ),
            (longest.as_str(), "** **** xxxx"),
        ] {
            let number: AccountNumber = number.parse().unwrap();
            assert_eq!(number.masked(), shown);
            assert_eq!(format!("{number:?}"), shown);
        }
        for text in ["", "1\n2", "x".repeat(35).as_str()] {
            assert!(text.parse::<AccountNumber>().is_err(), "{text:?}");
        }
    }
}
