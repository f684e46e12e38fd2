//! Reads what is booked for merchants: balances, and the entries that made them.

use sqlx::any::AnyRow;

use crate::ledger::account::AccountKind;
use crate::payment::ids::{HostId, MerchantId, PaymentId};
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::Currency;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::index_walk::{IndexWalk, page};
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, Page};
use crate::store::tables::columns::{Columns, first_integer};

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
    /// The bank's date of the day that it is settled with; none before there is one, and of what is in no day.
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
            WHERE merchant_id = $1 AND position > $2 AND position <= $3 \
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

    /// What journals changed of what a merchant is owed, `page_size` (1 to [`MAX_PAGE_SIZE`]) at a time, going on after the
    /// journal `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn balance_entries(
        &self,
        merchant: &MerchantId,
        filter: &EntryFilter,
        order: ListOrder,
        page_size: usize,
        after: Option<&str>,
    ) -> Result<Page<BalanceEntry, String>, StoreError> {
        let page_size = page_size.clamp(1, MAX_PAGE_SIZE);
        let after = match after {
            Some(journal) => match self.position_of(journal).await? {
                Some(position) => Some(position),
                None => return Ok(page(Vec::new(), page_size, |_| String::new(), None)),
            },
            None => None,
        };
        let mut walk = match filter.payment_id {
            Some(payment) => {
                let mut walk = IndexWalk::new(EVENTS_WITH_JOURNALS, &["events.position"], order);
                walk.only("events.payment_id =", Some(payment.to_string()));
                walk
            }
            None => {
                let mut walk = IndexWalk::new("ledger_lines", &["ledger_lines.position"], order);
                walk.only("ledger_lines.merchant_id =", Some(merchant.as_str()));
                walk
            }
        };
        walk.after(after.as_ref());
        let end: Option<i64> = self.end_of_look(&mut walk).await?;
        if filter.payment_id.is_some() {
            walk.filtered("ledger_lines.merchant_id", Some(merchant.as_str()));
        }
        filter.narrow(&mut walk);
        let group = format!(
            " GROUP BY {}, journals.id, journals.business_date, items.business_date, journals.at_ms, \
             events.payment_id, ledger_lines.currency HAVING SUM(ledger_lines.amount_minor) <> 0",
            walk.key()
        );
        let select = match filter.payment_id {
            Some(_) => {
                format!(
                    "{SELECT_ENTRIES} FROM {EVENTS_WITH_JOURNALS} {LINES_OF_EVENTS} {THEIR_ITEMS}"
                )
            }
            None => format!("{SELECT_ENTRIES} {FROM_LINES} {THEIR_ITEMS}"),
        };
        let rows = self.walked(&walk, &select, &group, page_size + 1).await?;
        let items = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let end = match end {
            Some(position) => self.journal_at(position).await?,
            None => None,
        };
        Ok(page(
            items,
            page_size,
            |last: &BalanceEntry| last.journal_id.clone(),
            end,
        ))
    }

    async fn position_of(&self, journal: &str) -> Result<Option<i64>, StoreError> {
        let text = "SELECT position FROM journals WHERE id = $1";
        let rows = self.read(text, &[journal.into()]).await?;
        let position = |row| first_integer(row, "journals", "position", journal);
        rows.first().map(position).transpose()
    }

    async fn journal_at(&self, position: i64) -> Result<Option<String>, StoreError> {
        let text = "SELECT id FROM journals WHERE stream = 0 AND position = $1";
        let rows = self.read(text, &[position.into()]).await?;
        let id = |row| Columns::named(row, "journals", position.to_string()).text("id");
        Ok(rows.first().map(id).transpose()?.map(str::to_owned))
    }
}

/// What an entry is read from. What is pending and what is available: a journal that only moves between the two changes
/// nothing.
const SELECT_ENTRIES: &str = "SELECT journals.id, \
    COALESCE(journals.business_date, items.business_date) AS business_date, journals.at_ms, events.payment_id, \
    ledger_lines.currency, CAST(SUM(-ledger_lines.amount_minor) AS BIGINT) AS owed_minor";
/// All entries of a merchant.
const FROM_LINES: &str = "FROM ledger_lines \
    JOIN journals ON journals.stream = 0 AND journals.position = ledger_lines.position \
    LEFT JOIN events ON events.stream = 0 AND events.position = ledger_lines.position";
/// Those of one payment.
const EVENTS_WITH_JOURNALS: &str =
    "events JOIN journals ON journals.stream = 0 AND journals.position = events.position";
const LINES_OF_EVENTS: &str =
    "JOIN ledger_lines ON ledger_lines.stream = 0 AND ledger_lines.position = events.position";
/// What the operations of those events are settled as: a journal is written before its day is known, and is never changed.
const THEIR_ITEMS: &str =
    "LEFT JOIN settlement_items AS items ON items.operation_id = events.operation_id";

impl EntryFilter {
    /// Leaves the other entries out.
    fn narrow(&self, walk: &mut IndexWalk) {
        walk.only_where("ledger_lines.account IN ('PAYABLE_PENDING', 'PAYABLE_AVAILABLE')");
        let patterns = self.templates.iter().map(|name| format!("%:{name}"));
        walk.only_like("journals.id", patterns);
        walk.only("ledger_lines.currency =", self.currency.map(Currency::code));
        let date = self.business_date.map(|date| date.to_string());
        walk.only(
            "COALESCE(journals.business_date, items.business_date) =",
            date,
        );
        let millis = |at: Option<UnixMillis>| at.map(UnixMillis::as_i64);
        walk.only("journals.at_ms >=", millis(self.created_from));
        walk.only("journals.at_ms <", millis(self.created_before));
    }
}

fn entry(row: &AnyRow) -> Result<BalanceEntry, StoreError> {
    let columns = Columns::of(row, "journals", "id")?;
    Ok(BalanceEntry {
        journal_id: columns.text("id")?.to_owned(),
        payment_id: columns.optional_parsed("payment_id")?,
        business_date: columns.optional_text("business_date")?,
        at: columns.moment("at_ms")?,
        currency: columns.parsed("currency")?,
        amount_minor: columns.integer("owed_minor")?,
    })
}

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
