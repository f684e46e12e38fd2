//! The account that a merchant's payouts go to, and the account that they are paid from, as they are kept: JSON.

use serde::{Deserialize, Serialize};

use super::bank_account::{AccountNumber, BankAccount, Bic, Iban, InvalidAccount};
use super::pain001::Party;
use super::pain001::text::{TextFault, TextKind, check_text};
use crate::store::merchant_money::AccountText;

/// The longest name of an account's holder.
const MAX_NAME: usize = 70;
/// The longest number of an account that is no IBAN.
const MAX_NUMBER: usize = 34;

/// An account and whose it is. Its number is not shown by `Debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutAccount(Party);

/// Why this is no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayoutAccountError {
    /// Neither an IBAN nor another number, or both.
    #[error("account: expected an IBAN or another number, got {0}")]
    Number(&'static str),
    /// The IBAN, the number or the BIC.
    #[error("{key}: {fault}")]
    Account {
        /// The key.
        key: &'static str,
        /// What is wrong.
        fault: InvalidAccount,
    },
    /// A text that banks don't take.
    #[error("{key}: {fault}")]
    Text {
        /// The key.
        key: &'static str,
        /// What is wrong.
        fault: TextFault,
    },
    /// Kept text that does not read.
    #[error("expected an account as JSON, got another text")]
    Corrupt,
}

/// An account as it is written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    iban: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    other: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    bic: String,
}

impl PayoutAccount {
    /// The account of `name` with this IBAN or, where that is empty, this other number, at the bank with this BIC, which
    /// may be empty.
    ///
    /// # Errors
    /// [`PayoutAccountError`], the first that there is.
    pub fn new(name: &str, iban: &str, other: &str, bic: &str) -> Result<Self, PayoutAccountError> {
        let fault = |key| move |fault| PayoutAccountError::Account { key, fault };
        let text = |key, value: &str, kind, most| {
            check_text(value, most, kind).map_err(|fault| PayoutAccountError::Text { key, fault })
        };
        text("name", name, TextKind::Prose, MAX_NAME)?;
        let account = match (iban, other) {
            ("", "") => return Err(PayoutAccountError::Number("neither")),
            (_, "") => BankAccount::Iban(iban.parse::<Iban>().map_err(fault("iban"))?),
            ("", _) => {
                text("other", other, TextKind::Reference, MAX_NUMBER)?;
                BankAccount::Other(other.parse::<AccountNumber>().map_err(fault("other"))?)
            }
            _ => return Err(PayoutAccountError::Number("both")),
        };
        let bank = match bic {
            "" => None,
            _ => Some(bic.parse::<Bic>().map_err(fault("bic"))?),
        };
        Ok(Self(Party {
            name: name.to_owned(),
            account,
            bank,
        }))
    }

    /// The same account, where payments to it are made out to `legal_name`; its holder where that is empty.
    ///
    /// # Errors
    /// When banks don't take the name.
    pub fn made_out_to(self, legal_name: &str) -> Result<Self, PayoutAccountError> {
        if legal_name.is_empty() {
            return Ok(self);
        }
        check_text(legal_name, MAX_NAME, TextKind::Prose)
            .map_err(|fault| PayoutAccountError::Text { key: "name", fault })?;
        Ok(Self(Party {
            name: legal_name.to_owned(),
            ..self.0
        }))
    }

    /// The account that is kept as this text.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_text(text: &AccountText) -> Result<Self, PayoutAccountError> {
        let written: Written =
            serde_json::from_str(&text.0).map_err(|_| PayoutAccountError::Corrupt)?;
        Self::new(&written.name, &written.iban, &written.other, &written.bic)
    }

    /// As it is kept. The same account is the same text.
    #[must_use]
    pub fn to_text(&self) -> AccountText {
        let party = &self.0;
        let number = party.account.number().as_str().to_owned();
        let (iban, other) = match party.account {
            BankAccount::Iban(_) => (number, String::new()),
            BankAccount::Other(_) => (String::new(), number),
        };
        let bank = party.bank.as_ref();
        let written = Written {
            name: party.name.clone(),
            iban,
            other,
            bic: bank.map_or_else(String::new, |bank| bank.as_str().to_owned()),
        };
        // Four texts are always JSON.
        AccountText(serde_json::to_string(&written).unwrap_or_default())
    }

    /// What may be shown of its number.
    #[must_use]
    pub fn masked(&self) -> String {
        self.number().masked()
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> &AccountNumber {
        self.0.account.number()
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The BIC of its bank; empty where that is not known.
    #[must_use]
    pub fn bic(&self) -> &str {
        self.0.bank.as_ref().map_or("", Bic::as_str)
    }

    /// As one side of a transfer.
    #[must_use]
    pub fn party(&self) -> Party {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IBAN: &str = "DE89370400440532013000";

    #[test]
    fn an_account_reads_back_and_does_not_show_its_number() {
        for (iban, other, bic) in [(IBAN, "", ""), ("", "12345678901", "COBADEFF")] {
            let account = PayoutAccount::new("Demo Shop GmbH", iban, other, bic).unwrap();
            let text = account.to_text();
            assert_eq!(PayoutAccount::from_text(&text), Ok(account.clone()));
            let shown = format!("{account:?} {text:?} {}", account.masked());
            assert!(
                !shown.contains("0532013") && !shown.contains("345678"),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_is_no_account_is_refused_by_its_key() {
        for ((name, iban, other, bic), expected) in [
            (("", IBAN, "", ""), "name: "),
            (
                ("Shop", "", "", ""),
                "account: expected an IBAN or another number, got neither",
            ),
            (
                ("Shop", IBAN, "1", ""),
                "account: expected an IBAN or another number, got both",
            ),
            (("Shop", "DE89370400440532013001", "", ""), "iban: "),
            (("Shop", IBAN, "", "COBA"), "bic: "),
        ] {
            let error = PayoutAccount::new(name, iban, other, bic)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let corrupt = AccountText("{}".into());
        assert!(PayoutAccount::from_text(&corrupt).is_err());
    }
}
