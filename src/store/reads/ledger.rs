//! Reads the ledger: journals as they are kept. What was written is told as it stands, also where somebody has changed
//! it by hand.

use std::fmt;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::ledger::journal::canonical_text;
use crate::ledger::template::AnyTemplate;
use crate::payment::ids::PaymentId;
use crate::payment::moment::UnixMillis;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::tables::columns::Columns;

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

impl Store {
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
    let names: Vec<String> = AnyTemplate::all()
        .map(|template| format!("('{}')", template.name()))
        .collect();
    format!("(VALUES {}) AS names", names.join(", "))
}

const IN_ORDER: &str = "ORDER BY journals.position";
