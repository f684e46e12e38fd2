//! A bank that errs: four wrongs in its report of a further day, which reconciliation finds. One is corrected by a rule, the
//! others are for a person.

use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::day::{Days, FOLDER, HOST, cut_over, import, request_id, shown};
use super::life::sent;
use super::stand::Stand;
use super::tour::{Connection, look_until};
use crate::admin_api::pb as admin;
use crate::admin_api::pb::ledger_service_client::LedgerServiceClient;
use crate::admin_api::pb::reconciliation_admin_service_client::ReconciliationAdminServiceClient;
use crate::commands::error::CommandError;
use crate::commands::output::{amount, print_line};
use crate::merchant_api::pb;
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod;
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::payment::money::Money;

/// What is sold on that day, in minor units. The bank has one cent more for the first, nothing for the second, the third
/// twice, and only one of the two that are alike, without its references.
const SALES: [i64; 7] = [2_500, 3_100, 4_400, 1_750, 1_750, 900, 1_200];
/// What is found of that: how many of each kind, and how many of them are corrected.
const FOUND: [(&str, usize, usize); 4] = [
    ("AMOUNT_DIFFERS", 1, 1),
    ("MISSING_AT_BANK", 3, 0),
    ("DUPLICATE_AT_BANK", 1, 0),
    ("AMBIGUOUS", 1, 0),
];

/// Sells, ends the day, has the bank report it with four wrongs, and shows what is found. Gives how much of it came out other
/// than expected.
///
/// # Errors
/// When the gateway or the bank can't be asked, or the report is not as the bank writes it.
pub async fn find(
    stand: &Stand,
    data: &Path,
    connection: &Connection,
) -> Result<usize, CommandError> {
    for minor in SALES {
        sell(connection, minor).await?;
    }
    let mut days = Days::new(stand.connect_operator().await?);
    let date = cut_over(&mut days, HOST).await?;
    look_until(async || {
        let request = admin::ListTotalsRequest {
            host_id: HOST.to_owned(),
            business_date: date.clone(),
            ..admin::ListTotalsRequest::default()
        };
        let totals = days.list_totals(request).await?.into_inner().totals;
        let are_agreed = totals
            .iter()
            .all(|it| it.state() != admin::TotalsState::Due);
        Ok(((), !totals.is_empty() && are_agreed))
    })
    .await?;
    let report = String::from_utf8(stand.banks.report(HOST, &date)?)?;
    let wrong = Report::read(&report)?.with_wrongs()?;
    let path = data.join(FOLDER).join(format!("{HOST}-{date}.report.csv"));
    std::fs::write(&path, &wrong)?;
    import(&mut days, &path, wrong.into_bytes()).await?;

    let mut books = ReconciliationAdminServiceClient::new(stand.connect_operator().await?);
    let request = admin::ListDiscrepanciesRequest {
        host_id: HOST.to_owned(),
        business_date: date.clone(),
        all: true,
        ..admin::ListDiscrepanciesRequest::default()
    };
    let mut listed = books.list_discrepancies(request).await?.into_inner();
    let order = |it: &admin::Discrepancy| (it.kind.clone(), it.ours.clone());
    listed.discrepancies.sort_by_key(order);
    print_line!(
        "\nThe bank errs: its report of {date} has one cent more for a sale of 25.00, nothing of one of 31.00, one of 44.00 \
         twice, and of two of 17.50 only one, with references that nobody knows. Reconciliation finds ({}):\n",
        path.display()
    )?;
    print_line!("{}", found(&listed.discrepancies))?;
    let mut ledger = LedgerServiceClient::new(stand.connect_operator().await?);
    let request = admin::ListAccountBalancesRequest {
        merchant_id: stand.merchant_id.to_string(),
        ..admin::ListAccountBalancesRequest::default()
    };
    let balances = ledger.list_account_balances(request).await?.into_inner();
    let parts: Vec<String> = (balances.balances.iter())
        .filter(|it| it.host_id == HOST)
        .map(|it| format!("{} {}", it.account, amount(it.amount_minor, &it.currency)))
        .collect();
    print_line!("the ledger after the correction: {}", parts.join(", "))?;
    let is_as_expected = FOUND.iter().all(|(kind, count, corrected)| {
        let of_kind = || listed.discrepancies.iter().filter(|it| it.kind == *kind);
        let done = of_kind().filter(|it| it.state == "CORRECTED").count();
        (of_kind().count(), done) == (*count, *corrected)
    });
    Ok(usize::from(!is_as_expected))
}

async fn sell(connection: &Connection, minor: i64) -> Result<(), CommandError> {
    let request = pb::AuthorizePaymentRequest {
        request_id: request_id()?,
        merchant_reference: "reconciled".to_owned(),
        amount: Some(sent(Money::new(minor, "EUR".parse()?)?)),
        payment_method: Some(PaymentMethod::PaymentMethodToken("pm_test_visa".to_owned())),
        capture_mode: pb::CaptureMode::Automatic.into(),
        ..pb::AuthorizePaymentRequest::default()
    };
    let mut payments = PaymentServiceClient::new(connection.clone());
    let sold = payments
        .authorize_payment(request)
        .await?
        .into_inner()
        .payment;
    let captured = sold.and_then(|sold| sold.captured_amount);
    match captured.as_ref().map(|it| it.amount_minor) {
        Some(captured) if captured == minor => Ok(()),
        _ => Err(format!(
            "a sale captured {} instead of {minor}",
            shown(captured.as_ref())
        )
        .into()),
    }
}

fn found(discrepancies: &[admin::Discrepancy]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["kind", "ours", "the bank's", "rule", "state"]);
    for it in discrepancies {
        let side = |value: &str| {
            let minor = value.parse().ok();
            minor.map_or_else(String::new, |minor| amount(minor, &it.currency))
        };
        let state = match it.candidates.len() {
            0 => it.state.clone(),
            several => format!("{}, may be one of {several}", it.state),
        };
        table.add_row([
            it.kind.clone(),
            side(&it.ours),
            side(&it.theirs),
            it.rule.clone(),
            state,
        ]);
    }
    table
}

/// A report as the simulated bank writes it: names, lines, and a line of sums.
struct Report<'a> {
    names: Vec<&'a str>,
    lines: Vec<Vec<String>>,
}

impl<'a> Report<'a> {
    fn read(text: &'a str) -> Result<Self, CommandError> {
        let mut lines = text.lines();
        let names = lines.next().ok_or("the bank's report is empty")?;
        let lines = lines.filter(|line| !line.starts_with("<END>"));
        Ok(Self {
            names: names.split(',').collect(),
            lines: lines
                .map(|line| line.split(',').map(str::to_owned).collect())
                .collect(),
        })
    }

    fn place(&self, name: &str) -> Result<usize, CommandError> {
        let place = self.names.iter().position(|known| *known == name);
        Ok(place.ok_or_else(|| format!("the bank's report has no column {name}"))?)
    }

    fn minor(&self, line: &[String], name: &str) -> Result<i64, CommandError> {
        let text = line.get(self.place(name)?).map_or("", String::as_str);
        Ok(match text {
            "" => 0,
            text => text.replace('.', "").parse()?,
        })
    }

    /// The places of the lines with this gross amount.
    fn of(&self, minor: i64) -> Result<Vec<usize>, CommandError> {
        let mut places = Vec::new();
        for (place, line) in self.lines.iter().enumerate() {
            if self.minor(line, "Gross Credit")? == minor {
                places.push(place);
            }
        }
        Ok(places)
    }

    fn set(&mut self, line: usize, name: &str, text: String) -> Result<(), CommandError> {
        let column = self.place(name)?;
        let field = self
            .lines
            .get_mut(line)
            .and_then(|line| line.get_mut(column));
        *field.ok_or("the bank's report has too few fields")? = text;
        Ok(())
    }

    fn with_wrongs(mut self) -> Result<String, CommandError> {
        let [more, nothing, twice, alike, ..] = SALES;
        for place in self.of(more)? {
            for name in ["Gross Credit", "Net Credit"] {
                let line = self.lines.get(place).cloned().unwrap_or_default();
                let minor = self.minor(&line, name)?.saturating_add(1);
                self.set(place, name, amount(minor, "EUR"))?;
            }
        }
        for place in self.of(twice)? {
            let again = self.lines.get(place).cloned();
            self.lines.extend(again);
        }
        let mut alike = self.of(alike)?.into_iter();
        if let Some(place) = alike.next() {
            self.set(place, "RRN", "999999999999".to_owned())?;
            self.set(place, "Approval Code", String::new())?;
        }
        let left_out: Vec<usize> = alike.chain(self.of(nothing)?).collect();
        let mut place = 0;
        self.lines.retain(|_| {
            place += 1;
            !left_out.contains(&(place - 1))
        });
        let mut report = format!("{}\n", self.names.join(","));
        for line in &self.lines {
            report.push_str(&line.join(","));
            report.push('\n');
        }
        let mut end = format!("<END>,{}", self.lines.len());
        for name in ["Gross Debit", "Gross Credit", "Net Debit", "Net Credit"] {
            let mut sum = 0_i64;
            for line in &self.lines {
                sum = sum.saturating_add(self.minor(line, name)?);
            }
            end.push_str(&format!(",{}", amount(sum, "EUR")));
        }
        report.push_str(&end);
        report.push('\n');
        Ok(report)
    }
}
