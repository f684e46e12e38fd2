//! The bank accounts whose statements are taken in, as they are configured.

use std::collections::BTreeMap;

use super::statement::format::StatementFormat;
use crate::config::reconciliation::{ReconciliationConfig, StatementAccountConfig};
use crate::payment::ids::{BankAccountName, HostId};
use crate::payment::money::Currency;
use crate::settlement::bank_account::AccountNumber;

/// The longest time in which the money of a day may come, in days.
const MOST_WINDOW_DAYS: u16 = 31;
/// How many days after today a statement may begin or close: clocks and time zones differ. What is missing is looked for
/// up to the last closing date, and one that is far off would end that.
pub(super) const MOST_DAYS_AHEAD: u16 = 14;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementAccount {
    /// Its name in the configuration.
    pub name: BankAccountName,
    /// Its number, as its statements have it.
    pub number: AccountNumber,
    /// The format of its statements.
    pub format: StatementFormat,
    /// Its currency.
    pub currency: Currency,
    /// The hosts whose days are paid on it, and whose payouts are paid from it.
    pub hosts: Vec<HostId>,
    /// How many days after a host's date its money may come.
    pub window_days: u16,
}

/// A setting of an account that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected reconciliation.accounts.{account}.{key} to be {expected}")]
pub struct InvalidAccountSetting {
    /// The account.
    account: String,
    /// The key.
    key: &'static str,
    /// What it may be.
    expected: String,
}

/// Reads the accounts. `hosts` are those that there are.
///
/// # Errors
/// When a setting can't be used.
pub fn read_accounts(
    config: &ReconciliationConfig,
    hosts: &[HostId],
) -> Result<BTreeMap<BankAccountName, StatementAccount>, InvalidAccountSetting> {
    let mut accounts = BTreeMap::new();
    for (name, config) in &config.accounts {
        let account = read_account(name, config, hosts)?;
        accounts.insert(account.name, account);
    }
    Ok(accounts)
}

fn read_account(
    name: &str,
    config: &StatementAccountConfig,
    hosts: &[HostId],
) -> Result<StatementAccount, InvalidAccountSetting> {
    let wrong = |key, expected: &str| InvalidAccountSetting {
        account: name.to_owned(),
        key,
        expected: expected.to_owned(),
    };
    let own_name = name
        .parse()
        .map_err(|_| wrong("name", "1 to 40 of the characters a-z, 0-9, '-' and '_'"))?;
    let number = "1 to 34 printable characters";
    let number = config.number.parse().map_err(|_| wrong("number", number))?;
    let format = match config.format.as_str() {
        "camt" => StatementFormat::Camt,
        "mt940" => StatementFormat::Mt940,
        "bai2" => StatementFormat::Bai2,
        _ => return Err(wrong("format", "\"camt\", \"mt940\" or \"bai2\"")),
    };
    let currency = "an ISO 4217 currency code of three capital letters";
    let currency = config
        .currency
        .parse()
        .map_err(|_| wrong("currency", currency))?;
    let mut own_hosts = Vec::with_capacity(config.hosts.len());
    for host in &config.hosts {
        let host = host.parse().ok().filter(|host| hosts.contains(host));
        own_hosts.push(host.ok_or_else(|| wrong("hosts", "names of host profiles"))?);
    }
    if config.window_days > MOST_WINDOW_DAYS {
        return Err(wrong("window_days", "0 to 31"));
    }
    Ok(StatementAccount {
        name: own_name,
        number,
        format,
        currency,
        hosts: own_hosts,
        window_days: config.window_days,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_can_not_be_used_is_named() {
        let host: HostId = "acquirer".parse().unwrap();
        let right = StatementAccountConfig {
            number: "DE89370400440532013000".to_owned(),
            format: "camt".to_owned(),
            currency: "EUR".to_owned(),
            hosts: vec!["acquirer".to_owned()],
            window_days: 7,
        };
        let read = |config: &StatementAccountConfig, name: &str| {
            let accounts = BTreeMap::from([(name.to_owned(), config.clone())]);
            read_accounts(
                &ReconciliationConfig {
                    accounts,
                    ..ReconciliationConfig::default()
                },
                &[host],
            )
        };
        let accounts = read(&right, "main").unwrap();
        assert_eq!(accounts[&"main".parse().unwrap()].hosts, [host]);
        assert!(!format!("{right:?}").contains("3704"));
        type Change = fn(&mut StatementAccountConfig);
        let changes: [(Change, &str); 5] = [
            (|it| it.number.clear(), "main.number to be 1 to 34"),
            (
                |it| it.format = "csv".to_owned(),
                "main.format to be \"camt\"",
            ),
            (
                |it| it.currency = "eur".to_owned(),
                "main.currency to be an ISO",
            ),
            (
                |it| it.hosts.push("other".to_owned()),
                "main.hosts to be names",
            ),
            (|it| it.window_days = 32, "main.window_days to be 0 to 31"),
        ];
        for (change, expected) in changes {
            let mut wrong = right.clone();
            change(&mut wrong);
            let error = read(&wrong, "main").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = read(&right, "Main").unwrap_err().to_string();
        assert!(error.contains("Main.name"), "{error}");
    }
}
