//! Sales by number: as rows of the gateway's tables, as lines of the bank's report, and as a file of items.
//!
//! Rows and lines are those of one sale that was really made, but for what tells sales apart. What reconciliation never reads
//! is left out: events, journals, captures.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use payswitch::payment::moment::BusinessDate;

use crate::database::{Database, Engine};

/// Merchants that share the sales: those of one last digit are of one merchant.
const MERCHANTS: u64 = 10;
/// Rows that one statement writes.
const ROWS_AT_ONCE: u64 = 50_000;

// What tells sales apart, of the number n. Numbers of sixteen digits are the end of an id.
const ID: &str = "'06e9x3w8k1' || substr(CAST(10000000000000000 + n AS TEXT), 2)";
const RRN: &str = "'5' || substr(CAST(100000000000 + n AS TEXT), 2)";
const AMOUNT: &str = "1003 + n * 13 % 49999";
const MERCHANT: &str = "CASE WHEN n % 10 = 0 THEN 'shop' ELSE 'shop-' || (n % 10) END";
const ACCEPTOR: &str = "'SHOP' || substr(CAST(100000000001 + n % 10 AS TEXT), 2)";

fn rrn(number: u64) -> String {
    format!("5{number:011}")
}

fn amount_minor(number: u64) -> u64 {
    1_003 + number * 13 % 49_999
}

fn acceptor(merchant: u64) -> String {
    format!("SHOP{:011}", merchant + 1)
}

fn decimal(minor: u64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// The sales of a day: some numbers in a row.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    first: u64,
    last: u64,
}

impl Numbers {
    pub(super) const fn new(first: u64, count: u64) -> Self {
        Self {
            first,
            last: first + count - 1,
        }
    }

    pub(super) const fn count(self) -> u64 {
        self.last - self.first + 1
    }

    /// These, and those of all days before.
    pub(super) const fn with_all_before(self) -> Self {
        Self {
            first: 1,
            last: self.last,
        }
    }

    const fn all(self) -> RangeInclusive<u64> {
        self.first..=self.last
    }
}

/// The one sale that was made through the gateway and the bank.
pub(super) struct Made {
    pub(super) engine: Engine,
    pub(super) payment_id: String,
    /// The import of the report that has it.
    pub(super) import_id: String,
    pub(super) date: BusinessDate,
}

impl Made {
    /// More merchants like the one that there is.
    pub(super) async fn merchants(&self, database: &Database) {
        let but = [("id", MERCHANT), ("acceptor_id", ACCEPTOR)];
        let numbers = Numbers::new(1, MERCHANTS - 1);
        self.copy(database, ("merchants", "id = 'shop'"), numbers, &but)
            .await;
    }

    /// A day that is over: its sales, and the report that has settled them.
    pub(super) async fn settled_day(
        &self,
        database: &Database,
        numbers: Numbers,
        date: BusinessDate,
    ) {
        let one = Numbers::new(1, 1);
        let text = |text: String| format!("'{text}'");
        let (import_id, sha256) = (
            text(format!("imp_06e9x3w8k1{:016}", numbers.first)),
            text(format!("{:064}", numbers.first)),
        );
        let (date, lines) = (text(date.to_string()), numbers.count().to_string());
        let made_on = format!("business_date = '{}'", self.date);
        let day = [("business_date", &*date)];
        self.copy(database, ("business_days", &made_on), one, &day)
            .await;
        let import = [
            ("id", &*import_id),
            ("sha256", &sha256),
            ("business_date", &date),
            ("lines", &lines),
            ("applied_to", &lines),
            ("matched", &lines),
        ];
        self.copy(database, ("settlement_imports", &made_on), one, &import)
            .await;
        let line = format!("n - {} + 2", numbers.first);
        let settled = [("settled_by", &*import_id), ("settled_line", &line)];
        self.items(database, numbers, &date, &settled).await;
        let operation = format!("'op_' || {ID}");
        let of_import = format!("import_id = '{}'", self.import_id);
        let of_line = [
            ("import_id", &*import_id),
            ("line", &line),
            ("operation_id", &operation),
        ];
        self.copy(database, ("settled_lines", &of_import), numbers, &of_line)
            .await;
        let kept = [
            ("import_id", &*import_id),
            ("line", &line),
            ("acceptor", ACCEPTOR),
            ("operation_id", &operation),
        ];
        self.copy(database, ("report_lines", &of_import), numbers, &kept)
            .await;
    }

    /// Sales that no report has settled yet.
    pub(super) async fn open_items(
        &self,
        database: &Database,
        numbers: Numbers,
        date: BusinessDate,
    ) {
        let nothing = [
            "bank_date",
            "acquirer_reference",
            "interchange_minor",
            "scheme_fee_minor",
            "commission_minor",
            "bank_minor",
            "reject_code",
            "settled_by",
            "settled_line",
        ];
        let nothing = nothing.map(|column| (column, "NULL"));
        let date = format!("'{date}'");
        self.items(database, numbers, &date, &nothing).await;
    }

    /// What PostgreSQL does by itself some time after many rows have come; and all of it is on the disk before anything is
    /// measured.
    pub(super) async fn tidy(&self, database: &Database) {
        if self.engine == Engine::Postgres {
            database.execute("VACUUM ANALYZE").await;
            database.execute("CHECKPOINT").await;
        }
        let synced = std::process::Command::new("sync").status();
        assert!(synced.expect("sync").success());
    }

    async fn items(
        &self,
        database: &Database,
        numbers: Numbers,
        date: &str,
        settled: &[(&str, &str)],
    ) {
        let [payment, operation, capture] =
            ["pay_", "op_", "cap_"].map(|prefix| format!("'{prefix}' || {ID}"));
        let payment_columns = [
            ("id", &*payment),
            ("merchant_id", MERCHANT),
            ("merchant_reference", &operation),
            ("operation_id", &operation),
            ("amount_minor", AMOUNT),
            ("authorized_minor", AMOUNT),
            ("captured_minor", AMOUNT),
        ];
        let operation_columns = [
            ("id", &*operation),
            ("payment_id", &payment),
            ("subject_id", &capture),
            ("amount_minor", AMOUNT),
            ("rrn", RRN),
        ];
        let item_columns = [
            ("operation_id", &*operation),
            ("subject_id", &capture),
            ("payment_id", &payment),
            ("merchant_id", MERCHANT),
            ("amount_minor", AMOUNT),
            ("business_date", date),
        ];
        let item_columns = [&item_columns[..], settled].concat();
        let by_id = format!("id = '{}'", self.payment_id);
        let by_payment = format!("payment_id = '{}'", self.payment_id);
        self.copy(database, ("payments", &by_id), numbers, &payment_columns)
            .await;
        let operations = ("operations", &*by_payment);
        self.copy(database, operations, numbers, &operation_columns)
            .await;
        let items = ("settlement_items", &*by_payment);
        self.copy(database, items, numbers, &item_columns).await;
    }

    /// Writes a row for each number, like the one of the table under this condition but for these columns.
    async fn copy(
        &self,
        database: &Database,
        (table, like): (&str, &str),
        numbers: Numbers,
        but: &[(&str, &str)],
    ) {
        let columns = match self.engine {
            Engine::Sqlite => {
                format!("SELECT group_concat(name, ', ') FROM pragma_table_info('{table}')")
            }
            Engine::Postgres => format!(
                "SELECT string_agg(column_name, ', ') FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name = '{table}'"
            ),
        };
        let columns = database.text(columns).await;
        let values = columns.split(", ").map(|column| {
            let other = but.iter().find(|(name, _)| *name == column);
            other.map_or_else(
                || format!("made.{column}"),
                |(_, value)| (*value).to_owned(),
            )
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let mut first = numbers.first;
        while first <= numbers.last {
            let last = numbers.last.min(first + ROWS_AT_ONCE - 1);
            let copy = format!(
                "WITH RECURSIVE numbers (n) AS (SELECT CAST({first} AS BIGINT) UNION ALL SELECT n + 1 FROM numbers \
                 WHERE n < {last}) INSERT INTO {table} ({columns}) SELECT {values} FROM numbers, {table} AS made \
                 WHERE made.{like}"
            );
            database.execute(copy).await;
            first = last + 1;
        }
    }
}

/// The bank's report of the one sale.
pub(super) struct ReportForm {
    header: String,
    names: Vec<String>,
    line: Vec<String>,
}

/// The files of a day.
pub(super) struct DayFiles {
    /// The bank's report.
    pub(super) report: PathBuf,
    /// The same without its last line, which is no row of a table.
    pub(super) plain: PathBuf,
    /// The items that payswitch has.
    pub(super) items: PathBuf,
}

impl ReportForm {
    pub(super) fn of(report: &str) -> Self {
        let [header, line, _] = report.lines().collect::<Vec<_>>()[..] else {
            panic!("a report of one line: {report}");
        };
        let fields = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        Self {
            header: header.to_owned(),
            names: fields(header),
            line: fields(line),
        }
    }

    /// Writes the files of a day. The bank's lines come by acceptor and RRN. The line at the first place of `again`, from 0,
    /// comes once more at the second one, where the bank rejects it.
    pub(super) fn write(
        &self,
        folder: &Path,
        numbers: Numbers,
        date: &str,
        again: Option<(usize, usize)>,
    ) -> DayFiles {
        let at = |name: &str| folder.join(format!("{name}-{date}.csv"));
        let (report, plain) = (at("report"), at("plain"));
        let [mut with_end, mut without] = [&report, &plain].map(|path| written(path));
        let mut both = |line: String| {
            for file in [&mut with_end, &mut without] {
                writeln!(file, "{line}").expect("a line of a file");
            }
        };
        both(self.header.clone());
        let (mut gross_minor, mut net_minor, mut place) = (0, 0, 0);
        let mut kept = None;
        for merchant in 0..MERCHANTS {
            for number in numbers
                .all()
                .filter(|number| number % MERCHANTS == merchant)
            {
                let gross = amount_minor(number);
                let [interchange, scheme_fee] = [20, 5].map(|parts| gross * parts / 10_000);
                let net = gross - interchange - scheme_fee;
                (gross_minor, net_minor) = (gross_minor + gross, net_minor + net);
                let others = [
                    ("Business Date", date.to_owned()),
                    ("Acceptor", acceptor(merchant)),
                    ("RRN", rrn(number)),
                    ("ARN", format!("7400001{number:016}")),
                    ("Gross Credit", decimal(gross)),
                    ("Interchange", decimal(interchange)),
                    ("Scheme Fee", decimal(scheme_fee)),
                    ("Net Credit", decimal(net)),
                ];
                let mut fields = self.line.clone();
                for (name, value) in others {
                    fields[self.place(name)] = value;
                }
                both(fields.join(","));
                if again.is_some_and(|(first, _)| first == place) {
                    kept = Some((fields, gross, net));
                }
                place += 1;
                if again.is_some_and(|(_, second)| second == place)
                    && let Some((mut fields, gross, net)) = kept.take()
                {
                    fields[self.place("Reject Code")] = "R12".to_owned();
                    both(fields.join(","));
                    (gross_minor, net_minor) = (gross_minor + gross, net_minor + net);
                }
            }
        }
        let lines = numbers.count() + u64::from(again.is_some());
        let (gross, net) = (decimal(gross_minor), decimal(net_minor));
        writeln!(with_end, "<END>,{lines},0.00,{gross},0.00,{net}").expect("the last line");
        for mut file in [with_end, without] {
            file.flush().expect("all of a file");
        }
        DayFiles {
            report,
            plain,
            items: self.write_items(&at("items"), numbers),
        }
    }

    /// Writes what payswitch has, as a table for the same join.
    pub(super) fn write_items(&self, path: &Path, numbers: Numbers) -> PathBuf {
        let mut file = written(path);
        writeln!(file, "rrn,amount,currency,operation_id").expect("the names of the columns");
        let currency = &self.line[self.place("Gross Currency")];
        for number in numbers.all() {
            let (rrn, amount) = (rrn(number), decimal(amount_minor(number)));
            writeln!(file, "{rrn},{amount},{currency},op_06e9x3w8k1{number:016}")
                .expect("a line of a file");
        }
        file.flush().expect("all of a file");
        path.to_owned()
    }

    fn place(&self, name: &str) -> usize {
        let place = self.names.iter().position(|column| column == name);
        place.unwrap_or_else(|| panic!("{name} in {}", self.header))
    }
}

fn written(path: &Path) -> BufWriter<File> {
    BufWriter::new(File::create(path).expect("a file"))
}
