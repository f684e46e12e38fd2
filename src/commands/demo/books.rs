//! What merchant, ledger, acquirer and issuers have in their books of the tour's payments, compared to the cent; and
//! how the payments without an answer end.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};

use super::banks::{Account, Message, Totals};
use super::stand::Stand;
use super::tour::{Connection, Payments, Visited, current, look_until};
use crate::commands::error::CommandError;
use crate::commands::output::print_line;
use crate::merchant_api::pb;
use crate::merchant_api::pb::balance_service_client::BalanceServiceClient;
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::merchant_api::pb::settlement_service_client::SettlementServiceClient;
use crate::payment::money::{Currency, Decimal};

/// Waits until every payment that had no answer in time is reversed, and shows its reversals at the acquirer. Gives
/// how many were not.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn show_reversals(
    stand: &Stand,
    payments: &mut Payments,
    visited: &[Visited],
) -> Result<usize, CommandError> {
    let unanswered = visited
        .iter()
        .filter(|visit| visit.stop.state == pb::PaymentState::Authorizing);
    let mut left = 0;
    for visit in unanswered {
        let (what, id) = (&visit.stop.what, &visit.payment.payment_id);
        let state = look_until(async || {
            let state = current(payments, id).await?.state();
            Ok((state, state == pb::PaymentState::Reversed))
        })
        .await?;
        print_line!(
            "{id} ({what}) is {}. Its reversal at the acquirer:\n",
            state.as_str_name()
        )?;
        for hop in stand.banks.reversal_of(visit.payment.rrn()) {
            print_line!("{hop}")?;
        }
        left += usize::from(state != pb::PaymentState::Reversed);
    }
    Ok(left)
}

/// By masked card and currency.
type Accounts = BTreeMap<(String, String), Account>;
/// What payswitch owes the merchant, in minor units by currency.
type Owed = BTreeMap<String, i64>;

/// The books before the tour. Those of the banks begin anew with each demo, the gateway's go on.
pub struct Opening {
    accounts: Accounts,
    owed: Owed,
    settled: Owed,
}

/// What one party says of one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    held_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
}

/// What everybody says of the tour's payments.
struct Books {
    /// By card and currency, from GetPayment: what is held, and less than nothing where the customer has paid.
    payments: Accounts,
    /// The same by card and currency, from the issuers' accounts.
    accounts: Accounts,
    /// By currency.
    merchant: BTreeMap<String, Sums>,
    /// By currency.
    owed: Owed,
    /// By currency, from the merchant's batches: captures less refunds.
    settled: Owed,
    /// By numeric currency.
    acquirer: BTreeMap<String, Sums>,
    /// By currency.
    issuers: BTreeMap<String, Totals>,
}

/// Looks into the books before the tour.
///
/// # Errors
/// When the gateway or the banks can't be asked.
pub async fn open(stand: &Stand, connection: &Connection) -> Result<Opening, CommandError> {
    Ok(Opening {
        accounts: stand.banks.accounts().await?,
        owed: owed(connection).await?,
        settled: settled(connection).await?,
    })
}

/// Waits until merchant, ledger, acquirer and issuers agree about the payments, and prints what each of them says.
/// Gives in how many lines they differ.
///
/// # Errors
/// When the gateway or the banks can't be asked.
pub async fn compare(
    stand: &Stand,
    connection: &Connection,
    opening: &Opening,
    payment_ids: &[&str],
) -> Result<usize, CommandError> {
    let lines = look_until(async || {
        let books = books(stand, connection, opening, payment_ids).await?;
        let lines = lines(&books)?;
        let agree = lines.iter().all(Line::agrees);
        Ok((lines, agree))
    })
    .await?;
    print_line!("What everybody's own books say of the payments of this run:\n")?;
    print_line!("{}", table(&lines))?;
    Ok(lines.iter().filter(|line| !line.agrees()).count())
}

async fn books(
    stand: &Stand,
    connection: &Connection,
    opening: &Opening,
    payment_ids: &[&str],
) -> Result<Books, CommandError> {
    let mut payments = PaymentServiceClient::new(connection.clone());
    let (mut by_card, mut merchant) = (Accounts::new(), BTreeMap::<String, Sums>::new());
    for payment_id in payment_ids {
        let payment = current(&mut payments, payment_id).await?;
        let minor = |amount: &Option<pb::Money>| amount.as_ref().map_or(0, |it| it.amount_minor);
        let (Some(card), Some(amount)) = (&payment.card, &payment.amount) else {
            continue;
        };
        let sums = merchant.entry(amount.currency.clone()).or_default();
        sums.held_minor += minor(&payment.capturable_amount);
        sums.captured_minor += minor(&payment.captured_amount);
        sums.refunded_minor += minor(&payment.refunded_amount);
        let card = format!("{}…{}", card.bin, card.last4);
        let account = by_card.entry((card, amount.currency.clone())).or_default();
        account.held_minor += minor(&payment.capturable_amount);
        account.balance_minor += minor(&payment.refunded_amount) - minor(&payment.captured_amount);
    }
    let mut accounts = stand.banks.accounts().await?;
    for (key, account) in &mut accounts {
        let before = opening.accounts.get(key).copied().unwrap_or_default();
        account.balance_minor -= before.balance_minor;
        account.held_minor -= before.held_minor;
    }
    let mut owed = owed(connection).await?;
    for (currency, minor) in &mut owed {
        *minor -= opening.owed.get(currency).copied().unwrap_or_default();
    }
    let mut settled = settled(connection).await?;
    for (currency, minor) in &mut settled {
        *minor -= opening.settled.get(currency).copied().unwrap_or_default();
    }
    Ok(Books {
        settled,
        payments: by_card,
        accounts,
        merchant,
        owed,
        acquirer: acquirer_sums(&stand.banks.acquirer_messages().await?),
        issuers: stand.banks.totals().await?,
    })
}

async fn owed(connection: &Connection) -> Result<Owed, CommandError> {
    let mut balances = BalanceServiceClient::new(connection.clone());
    let answer = balances
        .get_balances(pb::GetBalancesRequest::default())
        .await?;
    let mut owed = Owed::new();
    for balance in answer.into_inner().balances {
        // What is settled is available, and the rest is pending.
        for part in [balance.pending, balance.available].into_iter().flatten() {
            *owed.entry(part.currency).or_default() += part.amount_minor;
        }
    }
    Ok(owed)
}

/// What is settled with the merchant, whatever day it belongs to.
async fn settled(connection: &Connection) -> Result<Owed, CommandError> {
    let mut settlement = SettlementServiceClient::new(connection.clone());
    let mut request = pb::ListSettlementBatchesRequest::default();
    let mut settled = Owed::new();
    loop {
        let page = settlement.list_settlement_batches(request.clone()).await?;
        let page = page.into_inner();
        for net in page
            .settlement_batches
            .into_iter()
            .filter_map(|it| it.net_total)
        {
            *settled.entry(net.currency).or_default() += net.amount_minor;
        }
        if page.next_page_token.is_empty() {
            return Ok(settled);
        }
        request.page_token = page.next_page_token;
    }
}

/// What the messages that the acquirer has answered with 00 come to, by numeric currency.
fn acquirer_sums(messages: &[Message]) -> BTreeMap<String, Sums> {
    let mut requests = BTreeMap::new();
    // What is held, by RRN; `None` for a payment that was reversed, whatever is answered to it later.
    let mut holds: BTreeMap<&str, (&str, Option<i64>)> = BTreeMap::new();
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    for message in messages {
        let key = |kind: &'static str| (kind, message.stan.as_str(), message.rrn.as_str());
        match message.mti.as_str() {
            "0100" => drop(requests.insert(key("authorization"), message)),
            "0200" => drop(requests.insert(key("refund"), message)),
            "0220" | "0221" => drop(requests.insert(key("capture"), message)),
            "0420" | "0421" => drop(requests.insert(key("reversal"), message)),
            _ if message.response_code != "00" => {}
            answer => {
                let kind = match answer {
                    "0110" => "authorization",
                    "0210" => "refund",
                    "0230" => "capture",
                    "0430" => "reversal",
                    _ => continue,
                };
                // A repeat that is acknowledged once more changes nothing.
                let Some(request) = requests.remove(&key(kind)) else {
                    continue;
                };
                let amount_minor = request.amount_minor;
                let sum = sums.entry(request.currency_numeric.clone()).or_default();
                let (_, hold) = holds
                    .entry(&request.rrn)
                    .or_insert((&request.currency_numeric, Some(0)));
                match kind {
                    "authorization" => *hold = hold.map(|held| held + amount_minor),
                    "refund" => sum.refunded_minor += amount_minor,
                    "capture" => {
                        sum.captured_minor += amount_minor;
                        *hold = hold.map(|held| held - amount_minor);
                    }
                    _ => *hold = None,
                }
            }
        }
    }
    for (currency, hold) in holds.into_values() {
        sums.entry(currency.to_owned()).or_default().held_minor += hold.unwrap_or(0);
    }
    sums
}

/// What the parties say of one thing, in minor units; `None` where a party has no word in it.
struct Line {
    what: String,
    currency: Currency,
    merchant: i64,
    ledger: Option<i64>,
    acquirer: Option<i64>,
    issuers: i64,
}

impl Line {
    fn agrees(&self) -> bool {
        let others = [self.ledger, self.acquirer, Some(self.issuers)];
        others.iter().flatten().all(|minor| *minor == self.merchant)
    }
}

/// A line for each currency and thing that there is something to say of, and for each card about which merchant and
/// issuer differ.
fn lines(books: &Books) -> Result<Vec<Line>, CommandError> {
    let mut lines = Vec::new();
    let known = books.merchant.keys().chain(books.owed.keys());
    for code in known.chain(books.issuers.keys()).collect::<BTreeSet<_>>() {
        let currency: Currency = code.parse()?;
        let merchant = books.merchant.get(code).copied().unwrap_or_default();
        let numeric = format!("{:03}", currency.numeric());
        let acquirer = books.acquirer.get(&numeric).copied().unwrap_or_default();
        let issuers = books.issuers.get(code).copied().unwrap_or_default();
        let accounts = books.accounts.iter().filter(|((_, of), _)| of == code);
        let held_minor = accounts.map(|(_, account)| account.held_minor).sum();
        let owed_minor = books.owed.get(code).copied().unwrap_or_default();
        let line = |what: &str, merchant, ledger, acquirer, issuers| Line {
            what: what.to_owned(),
            currency,
            merchant,
            ledger,
            acquirer: Some(acquirer),
            issuers,
        };
        let of_currency = [
            line(
                "held",
                merchant.held_minor,
                None,
                acquirer.held_minor,
                held_minor,
            ),
            line(
                "captured",
                merchant.captured_minor,
                None,
                acquirer.captured_minor,
                issuers.debited_minor,
            ),
            line(
                "refunded",
                merchant.refunded_minor,
                None,
                acquirer.refunded_minor,
                issuers.credited_minor,
            ),
            line(
                "captured less refunded",
                merchant.captured_minor - merchant.refunded_minor,
                Some(owed_minor),
                acquirer.captured_minor - acquirer.refunded_minor,
                issuers.debited_minor - issuers.credited_minor,
            ),
            line(
                "settled with the bank's day",
                books.settled.get(code).copied().unwrap_or_default(),
                Some(owed_minor),
                acquirer.captured_minor - acquirer.refunded_minor,
                issuers.debited_minor - issuers.credited_minor,
            ),
        ];
        let says_something = |line: &Line| line.merchant != 0 || !line.agrees();
        lines.extend(of_currency.into_iter().filter(says_something));
    }
    let cards = books.payments.keys().chain(books.accounts.keys());
    for key @ (card, code) in cards.collect::<BTreeSet<_>>() {
        let of = |accounts: &Accounts| accounts.get(key).copied().unwrap_or_default();
        let (merchant, issuer) = (of(&books.payments), of(&books.accounts));
        for (what, merchant, issuers) in [
            ("held", merchant.held_minor, issuer.held_minor),
            ("balance", merchant.balance_minor, issuer.balance_minor),
        ] {
            let line = Line {
                what: format!("{card} {what}"),
                currency: code.parse()?,
                merchant,
                ledger: None,
                acquirer: None,
                issuers,
            };
            lines.extend((!line.agrees()).then_some(line));
        }
    }
    Ok(lines)
}

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let names = ["merchant", "ledger", "acquirer", "issuers"];
    let mut header = vec![Cell::new(""), Cell::new("")];
    header.extend(names.map(|name| right(name.to_owned())));
    table.set_header(header);
    for line in lines {
        let shown = |minor: Option<i64>| right(minor.map_or("-".to_owned(), |it| line.amount(it)));
        let verdict = if line.agrees() {
            "✓"
        } else {
            "✗ they differ"
        };
        table.add_row([
            Cell::new(line.currency),
            Cell::new(&line.what),
            shown(Some(line.merchant)),
            shown(line.ledger),
            shown(line.acquirer),
            shown(Some(line.issuers)),
            Cell::new(verdict),
        ]);
    }
    table
}

impl Line {
    /// An amount without its currency; below zero too.
    fn amount(&self, minor: i64) -> String {
        Decimal::of_minor(minor, self.currency).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(mti: &str, stan: &str, amount_minor: i64, response_code: &str) -> Message {
        Message {
            mti: mti.into(),
            stan: stan.into(),
            rrn: "rrn".into(),
            amount_minor,
            response_code: response_code.into(),
            currency_numeric: "978".into(),
        }
    }

    #[test]
    fn the_acquirer_counts_what_it_has_taken_once() {
        type Said<'a> = &'a [(&'a str, &'a str, i64, &'a str)];
        let held: Said = &[("0100", "1", 100, ""), ("0110", "1", 100, "00")];
        let late: Said = &[
            ("0100", "1", 100, ""),
            ("0420", "2", 100, "68"),
            ("0430", "2", 100, "00"),
            ("0110", "1", 100, "00"),
        ];
        let captured: Said = &[
            ("0220", "3", 60, ""),
            ("0221", "3", 60, ""),
            ("0230", "3", 60, "00"),
            ("0230", "3", 60, "00"),
        ];
        let refused: Said = &[("0220", "4", 40, ""), ("0230", "4", 40, "57")];
        let refunded: Said = &[("0200", "5", 25, ""), ("0210", "5", 25, "00")];
        for (what, messages, expected) in [
            ("a hold", [held, &[], &[]], (100, 0, 0)),
            ("reversed", [late, &[], &[]], (0, 0, 0)),
            ("captured", [held, captured, refused], (40, 60, 0)),
            ("refunded", [held, captured, refunded], (40, 60, 25)),
        ] {
            let all = messages.concat().into_iter();
            let all: Vec<_> = all
                .map(|(mti, stan, minor, code)| message(mti, stan, minor, code))
                .collect();
            let sums = acquirer_sums(&all)["978"];
            assert_eq!(
                (sums.held_minor, sums.captured_minor, sums.refunded_minor),
                expected,
                "{what}"
            );
        }
    }

    #[test]
    fn a_cent_is_a_difference() {
        let account = |held_minor| Account {
            held_minor,
            balance_minor: -100,
        };
        let sums = Sums {
            held_minor: 40,
            captured_minor: 100,
            refunded_minor: 0,
        };
        let key = ("411111…1111".to_owned(), "EUR".to_owned());
        let books = |ledger_minor, issuer_holds_minor| Books {
            payments: [(key.clone(), account(40))].into(),
            accounts: [(key.clone(), account(issuer_holds_minor))].into(),
            merchant: [("EUR".to_owned(), sums)].into(),
            owed: [("EUR".to_owned(), ledger_minor)].into(),
            settled: [("EUR".to_owned(), 100)].into(),
            acquirer: [("978".to_owned(), sums)].into(),
            issuers: [(
                "EUR".to_owned(),
                Totals {
                    debited_minor: 100,
                    credited_minor: 0,
                },
            )]
            .into(),
        };
        for (ledger_minor, issuer_holds_minor, differing) in
            [(100, 40, 0), (101, 40, 2), (100, 39, 2)]
        {
            let lines = lines(&books(ledger_minor, issuer_holds_minor)).unwrap();
            let differ = lines.iter().filter(|line| !line.agrees()).count();
            assert_eq!(differ, differing);
            assert_eq!(table(&lines).to_string().contains('✗'), differing > 0);
        }
    }
}
