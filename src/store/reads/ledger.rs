//! Reads the ledger: journals as they are kept, balances, a merchant's entries. What was written is told as it
//! stands, also where somebody has changed it by hand.

use std::fmt;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::ledger::account::AccountKind;
use crate::ledger::journal::canonical_text;
use crate::ledger::template;
use crate::payment::ids::{HostId, MerchantId, PaymentId};
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::Currency;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::owed::IDS;
use crate::store::records::{ListOrder, MAX_PAGE_SIZE};
use crate::store::tables::columns::{Columns, first_integer};

/// A journal as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptJournal {
    /// The position of its event.
    pub position: i64,
    /// What caused it, ':', and the name of its template.
    pub id: String,
    /// The payment that it is about, if any.
    pub payment_id: Option<String>,
    /// The bank's date of what it settles; none before there is one.
    pub business_date: Option<String>,
    /// When what it records happened.
    pub at: UnixMillis,
    /// SHA-256 of its canonical text when it was written, as hexadecimal digits.
    pub content_sha256: String,
    /// Its lines, in order.
    pub lines: Vec<KeptLine>,
}

/// A line of a journal as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLine {
    /// The account's kind.
    pub account: String,
    /// Whose business it is.
    pub merchant_id: String,
    /// The host that it is settled with.
    pub host_id: String,
    /// ISO 4217.
    pub currency: String,
    /// Minor units: a debit is positive, a credit negative.
    pub amount_minor: i64,
}

impl fmt::Display for KeptLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            account,
            merchant_id,
            host_id,
            currency,
            amount_minor,
        } = self;
        write!(
            f,
            "{account} {merchant_id} {host_id} {currency} {amount_minor}"
        )
    }
}

impl KeptJournal {
    /// Its canonical text, from what is kept.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        canonical_text(&self.id, self.at, &self.lines)
    }
}

/// The ledger between two positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPart {
    /// The journals, in the order of their positions.
    pub journals: Vec<KeptJournal>,
    /// The positions of lines that no journal has.
    pub without_journal: Vec<i64>,
}

/// A payment whose amounts are not what its journals sum to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentOffItsJournals {
    /// The payment.
    pub payment_id: String,
    /// The positions of its first and its last event in the part that was looked at.
    pub positions: (i64, i64),
    /// What it has captured, less what it has refunded; without what is pending.
    pub payment_minor: i64,
    /// What its journals say of that.
    pub journals_minor: i64,
}

/// What is booked on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountBalance {
    /// The account's kind.
    pub kind: AccountKind,
    /// The host that it is settled with.
    pub host_id: HostId,
    /// The currency.
    pub currency: Currency,
    /// Minor units: a debit is positive, a credit negative.
    pub amount_minor: i64,
}

/// What a journal changed of what a merchant is owed in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceEntry {
    /// The journal.
    pub journal_id: String,
    /// The payment that it is about, if any.
    pub payment_id: Option<PaymentId>,
    /// The bank's date of what it settles; none before there is one.
    pub business_date: Option<String>,
    /// When.
    pub at: UnixMillis,
    /// The currency.
    pub currency: Currency,
    /// Minor units; negative where the merchant is owed less.
    pub amount_minor: i64,
}

/// Which entries a list shows. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// In this currency.
    pub currency: Option<Currency>,
    /// Of this payment.
    pub payment_id: Option<PaymentId>,
    /// Of journals with one of these templates.
    pub templates: Vec<&'static str>,
    /// Of this business date.
    pub business_date: Option<BusinessDate>,
    /// Made at this moment or later.
    pub created_from: Option<UnixMillis>,
    /// Made before this moment.
    pub created_before: Option<UnixMillis>,
}

impl Store {
    /// The position that was taken last; 0 before there is one.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn last_position(&self) -> Result<i64, StoreError> {
        let text = "SELECT next - 1 FROM positions WHERE stream = 0";
        let rows = self.read(text, &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::NotFound {
            what: "row of the table positions",
            id: "0".into(),
        })?;
        first_integer(row, "positions", "next", "0")
    }

    /// The ledger from position `first` to `last`, both included.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn ledger_part(&self, first: i64, last: i64) -> Result<LedgerPart, StoreError> {
        let text = format!("{SELECT_JOURNALS} AND journals.position BETWEEN $1 AND $2 {IN_ORDER}");
        let values = [first.into(), last.into()];
        let journals = self.read(AssertSqlSafe(text), &values).await?;
        let text = format!("{SELECT_LINES} BETWEEN $1 AND $2 ORDER BY position, n");
        let lines = self.read(AssertSqlSafe(text), &values).await?;
        with_lines(&journals, &lines)
    }

    /// The payments with events from position `first` to `last` whose amounts are not what their journals sum to.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn payments_off_their_journals(
        &self,
        first: i64,
        last: i64,
    ) -> Result<Vec<PaymentOffItsJournals>, StoreError> {
        let names = template_names();
        let text = format!(
            "SELECT * FROM (SELECT payments.id, changed.first_position, changed.last_position, \
                payments.captured_minor - payments.captured_pending_minor \
                    - payments.refunded_minor + payments.refunded_pending_minor AS payment_minor, \
                CAST(COALESCE((SELECT SUM(ledger_lines.amount_minor) FROM operations CROSS JOIN {names} \
                    JOIN journals ON journals.id = operations.id || ':' || names.column1 \
                    JOIN ledger_lines ON ledger_lines.stream = 0 \
                        AND ledger_lines.position = journals.position \
                    WHERE operations.payment_id = payments.id \
                        AND ledger_lines.account = 'RECEIVABLE'), 0) AS BIGINT) AS journals_minor \
                FROM (SELECT payment_id, MIN(position) AS first_position, \
                    MAX(position) AS last_position FROM events \
                    WHERE stream = 0 AND position BETWEEN $1 AND $2 GROUP BY payment_id) AS changed \
                JOIN payments ON payments.id = changed.payment_id) AS compared \
             WHERE payment_minor <> journals_minor ORDER BY first_position"
        );
        let values = [first.into(), last.into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        let off = |row: &AnyRow| {
            let columns = Columns::of(row, "payments", "id")?;
            Ok(PaymentOffItsJournals {
                payment_id: columns.text("id")?.to_owned(),
                positions: (
                    columns.integer("first_position")?,
                    columns.integer("last_position")?,
                ),
                payment_minor: columns.integer("payment_minor")?,
                journals_minor: columns.integer("journals_minor")?,
            })
        };
        rows.iter().map(off).collect()
    }

    /// The journals at positions after `after`, of one payment or of all, in the order of their positions; `limit` is
    /// 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn journals_after(
        &self,
        payment: Option<PaymentId>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<KeptJournal>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let mut values = vec![after.into(), limit.into()];
        let mut of_payment = String::new();
        if let Some(payment) = payment {
            values.push(payment.to_string().into());
            // By their ids, which are those of the payment's operations.
            of_payment = format!(
                " AND journals.id IN (SELECT operations.id || ':' || names.column1 FROM operations \
                CROSS JOIN {} WHERE operations.payment_id = $3)",
                template_names()
            );
        }
        let text =
            format!("{SELECT_JOURNALS} AND journals.position > $1{of_payment} {IN_ORDER} LIMIT $2");
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        let positions = rows.iter().map(|row| {
            let columns = Columns::named(row, "journals", String::new());
            columns.integer("position")
        });
        let positions = positions.collect::<Result<Vec<i64>, _>>()?;
        // Those of one payment may lie far apart: what lies between them is not read.
        let text = format!("{SELECT_LINES} {IDS} ORDER BY position, n");
        let lines = self.of_ids(&text, positions).await?;
        Ok(with_lines(&rows, &lines)?.journals)
    }

    /// What is booked on the accounts of a merchant, by host, currency and account: what was summed before, and the
    /// lines after it. Accounts with a balance of 0 are left out.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn balances(&self, merchant: &MerchantId) -> Result<Vec<AccountBalance>, StoreError> {
        let last = i64::MAX;
        let mut balances = self.balances_until(merchant, last).await?;
        balances.retain(|balance| balance.amount_minor != 0);
        Ok(balances)
    }

    /// As [`balances`](Self::balances), up to a position. An account that was summed up to a later one may be told
    /// wrong: what is written of it then is not taken.
    async fn balances_until(
        &self,
        merchant: &MerchantId,
        last: i64,
    ) -> Result<Vec<AccountBalance>, StoreError> {
        // The lines are never changed, so it does not matter that somebody may sum them again in between.
        let text = "SELECT host_id, currency, account, amount_minor, position \
            FROM ledger_checkpoints WHERE merchant_id = $1 AND position <= $2";
        let values = [merchant.as_str().into(), last.into()];
        let summed = self.read(text, &values).await?;
        let mut after = 0;
        let mut sums: HashMap<(HostId, Currency, AccountKind), i64> = HashMap::default();
        for row in &summed {
            let columns = Columns::named(row, "ledger_checkpoints", merchant.to_string());
            after = after.max(columns.integer("position")?);
            add(&mut sums, &columns)?;
        }
        let text = "SELECT host_id, currency, account, \
            CAST(SUM(amount_minor) AS BIGINT) AS amount_minor FROM ledger_lines \
            WHERE merchant_id = $1 AND stream = 0 AND position > $2 AND position <= $3 \
            GROUP BY host_id, currency, account";
        let values = [merchant.as_str().into(), after.into(), last.into()];
        for row in &self.read(text, &values).await? {
            let columns = Columns::named(row, "ledger_lines", merchant.to_string());
            add(&mut sums, &columns)?;
        }
        let balance = |((host_id, currency, kind), amount_minor)| AccountBalance {
            kind,
            host_id,
            currency,
            amount_minor,
        };
        let mut balances: Vec<AccountBalance> = sums.into_iter().map(balance).collect();
        balances.sort_by_key(|it| (it.host_id, it.currency.code(), it.kind.to_string()));
        Ok(balances)
    }

    /// Sums the lines up to the last position, where `every` positions or more have come since that was done last. Two
    /// nodes may do so at once: the later position stands.
    ///
    /// # Errors
    /// When the database can't be read or written.
    pub async fn checkpoint_balances(&self, every: i64) -> Result<(), StoreError> {
        let last = self.last_position().await?;
        let text = "SELECT COALESCE(MAX(position), 0) FROM ledger_checkpoints";
        let rows = self.read(text, &[]).await?;
        let row = rows.first();
        let before = row.map_or(Ok(0), |row| {
            first_integer(row, "ledger_checkpoints", "position", "")
        });
        let before = before?;
        if last - before < every {
            return Ok(());
        }
        let text = "SELECT DISTINCT merchant_id FROM ledger_lines \
            WHERE stream = 0 AND position > $1 AND position <= $2";
        let mut statements = Vec::new();
        for row in &self.read(text, &[before.into(), last.into()]).await? {
            let columns = Columns::named(row, "ledger_lines", String::new());
            let merchant: MerchantId = columns.parsed("merchant_id")?;
            for balance in self.balances_until(&merchant, last).await? {
                statements.push(checkpoint(&merchant, &balance, last));
            }
        }
        self.inner.housekeeping.run(statements).await.map(drop)
    }

    /// What journals changed of what a merchant is owed, going on after the journal `after`; `limit` is 1 to
    /// [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn balance_entries(
        &self,
        merchant: &MerchantId,
        filter: &EntryFilter,
        order: ListOrder,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Vec<BalanceEntry>, StoreError> {
        let (text, values) = entries_statement(merchant, filter, order, limit, after);
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        let entry = |row: &AnyRow| {
            let columns = Columns::of(row, "journals", "id")?;
            Ok(BalanceEntry {
                journal_id: columns.text("id")?.to_owned(),
                payment_id: columns.optional_parsed("payment_id")?,
                business_date: columns.optional_text("business_date")?,
                at: columns.moment("at_ms")?,
                currency: columns.parsed("currency")?,
                amount_minor: columns.integer("owed_minor")?,
            })
        };
        rows.iter().map(entry).collect()
    }
}

/// Journals with their lines, from the rows of both.
fn with_lines(journals: &[AnyRow], line_rows: &[AnyRow]) -> Result<LedgerPart, StoreError> {
    let mut lines: HashMap<i64, Vec<KeptLine>> = HashMap::default();
    for row in line_rows {
        let columns = Columns::named(row, "ledger_lines", String::new());
        let text = |name| columns.text(name).map(str::to_owned);
        let line = KeptLine {
            account: text("account")?,
            merchant_id: text("merchant_id")?,
            host_id: text("host_id")?,
            currency: text("currency")?,
            amount_minor: columns.integer("amount_minor")?,
        };
        let position = columns.integer("position")?;
        lines.entry(position).or_default().push(line);
    }
    let mut part = LedgerPart {
        journals: Vec::with_capacity(journals.len()),
        without_journal: Vec::new(),
    };
    for row in journals {
        let columns = Columns::of(row, "journals", "id")?;
        let position = columns.integer("position")?;
        part.journals.push(KeptJournal {
            position,
            id: columns.text("id")?.to_owned(),
            payment_id: columns.optional_text("payment_id")?,
            business_date: columns.optional_text("business_date")?,
            at: columns.moment("at_ms")?,
            content_sha256: columns.text("content_sha256")?.to_owned(),
            lines: lines.remove(&position).unwrap_or_default(),
        });
    }
    part.without_journal = lines.into_keys().collect();
    part.without_journal.sort_unstable();
    Ok(part)
}

const SELECT_LINES: &str = "SELECT position, account, merchant_id, host_id, currency, amount_minor \
    FROM ledger_lines WHERE stream = 0 AND position";
const SELECT_JOURNALS: &str = "SELECT journals.position, journals.id, journals.business_date, \
    journals.at_ms, journals.content_sha256, events.payment_id \
    FROM journals LEFT JOIN events ON events.stream = 0 AND events.position = journals.position \
    WHERE journals.stream = 0";
/// The names of all templates as a list of rows, whose column both databases name `column1`.
fn template_names() -> String {
    let names: Vec<String> = template::names()
        .map(|name| format!("('{name}')"))
        .collect();
    format!("(VALUES {}) AS names", names.join(", "))
}

const IN_ORDER: &str = "ORDER BY journals.position";

fn add(
    sums: &mut HashMap<(HostId, Currency, AccountKind), i64>,
    columns: &Columns<'_>,
) -> Result<(), StoreError> {
    let key = (
        columns.parsed("host_id")?,
        columns.parsed("currency")?,
        columns.parsed("account")?,
    );
    let sum = sums.entry(key).or_default();
    *sum = sum.saturating_add(columns.integer("amount_minor")?);
    Ok(())
}

/// The statement that keeps a balance up to `position`, unless a later one is kept.
fn checkpoint(merchant: &MerchantId, balance: &AccountBalance, position: i64) -> Statement {
    Statement {
        text: "INSERT INTO ledger_checkpoints \
            (merchant_id, host_id, currency, account, position, amount_minor) \
            VALUES ($1, $2, $3, $4, $5, $6) \
            ON CONFLICT (merchant_id, host_id, currency, account) DO UPDATE \
            SET position = excluded.position, amount_minor = excluded.amount_minor \
            WHERE excluded.position > ledger_checkpoints.position",
        values: vec![
            merchant.as_str().into(),
            balance.host_id.as_str().into(),
            Value::Static(balance.currency.code()),
            balance.kind.to_string().into(),
            position.into(),
            balance.amount_minor.into(),
        ],
        returning: false,
    }
}

fn entries_statement(
    merchant: &MerchantId,
    filter: &EntryFilter,
    order: ListOrder,
    limit: usize,
    after: Option<&str>,
) -> (String, Vec<Value>) {
    // What is pending and what is available: a journal that only moves between the two changes nothing.
    let mut text =
        "SELECT journals.id, journals.business_date, journals.at_ms, events.payment_id, \
        ledger_lines.currency, CAST(SUM(-ledger_lines.amount_minor) AS BIGINT) AS owed_minor \
        FROM ledger_lines \
        JOIN journals ON journals.stream = 0 AND journals.position = ledger_lines.position \
        LEFT JOIN events ON events.stream = 0 AND events.position = ledger_lines.position \
        WHERE ledger_lines.merchant_id = $1 AND ledger_lines.stream = 0 \
        AND ledger_lines.account IN ('PAYABLE_PENDING', 'PAYABLE_AVAILABLE')"
            .to_owned();
    let mut values: Vec<Value> = vec![merchant.as_str().into()];
    if !filter.templates.is_empty() {
        let patterns = filter.templates.iter().map(|name| format!("%:{name}"));
        values.extend(patterns.map(Value::from));
        let one_of: Vec<String> = (2..=values.len())
            .map(|number| format!("journals.id LIKE ${number}"))
            .collect();
        text.push_str(&format!(" AND ({})", one_of.join(" OR ")));
    }
    let mut also = |before: &str, value: Value, behind: &str| {
        values.push(value);
        text.push_str(&format!(" AND {before} ${}{behind}", values.len()));
    };
    if let Some(currency) = filter.currency {
        also(
            "ledger_lines.currency =",
            Value::Static(currency.code()),
            "",
        );
    }
    if let Some(payment) = filter.payment_id {
        also("events.payment_id =", payment.to_string().into(), "");
    }
    if let Some(date) = filter.business_date {
        also("journals.business_date =", date.to_string().into(), "");
    }
    if let Some(from) = filter.created_from {
        also("journals.at_ms >=", from.as_i64().into(), "");
    }
    if let Some(before) = filter.created_before {
        also("journals.at_ms <", before.as_i64().into(), "");
    }
    let (further, direction) = match order {
        ListOrder::NewestFirst => ("<", "DESC"),
        ListOrder::OldestFirst => (">", "ASC"),
    };
    if let Some(after) = after {
        also(
            &format!("ledger_lines.position {further} (SELECT position FROM journals WHERE id ="),
            after.into(),
            ")",
        );
    }
    let limit = limit.clamp(1, MAX_PAGE_SIZE);
    text.push_str(&format!(
        " GROUP BY ledger_lines.position, journals.id, journals.business_date, journals.at_ms, \
        events.payment_id, ledger_lines.currency \
        HAVING SUM(ledger_lines.amount_minor) <> 0 \
        ORDER BY ledger_lines.position {direction} LIMIT {limit}"
    ));
    (text, values)
}
