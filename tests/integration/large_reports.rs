//! What a large report costs: two days in turn, before a history that earlier reports have settled. Each line finds its item,
//! and what the import takes is compared with what the database itself takes to load the same files and to join them.
//!
//! `scripts/reconcile --cost` runs it with a million lines a day and ten million of history, and is there for the times and
//! ratios that it prints.
#![expect(clippy::print_stdout, reason = "a measurement says what came out")]

mod bulk;
mod sold;

use std::path::Path;
use std::time::Duration;

use payswitch::commands::demo::stand::reporting_profile;
use payswitch::payment::moment::BusinessDate;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::database::Engine;
use crate::demo::text;
use crate::harness::{TempFolder, authorize, on_both_engines, within};
use crate::killing::scene::{Gateway, Scene};
use crate::reporting::report_from;
use crate::sales::sale;
use bulk::Bulk;
use sold::{Made, Numbers, ReportForm};

on_both_engines!(
    a_large_report_takes_little_memory_and_finds_each_item,
    a_line_that_comes_again_while_the_first_is_written_settles_nothing,
);

/// Lines of a day, and of all days before: unless `RECONCILED_LINES` and `RECONCILED_HISTORY` say otherwise.
const LINES: u64 = 2_000;
const HISTORY: u64 = 10_000;
/// The promise: the gateway takes less memory than this, whatever the report has.
const MOST_KIB: u64 = 512 * 1024;
/// What the gateway does by itself at the end of a day comes within this, also where the day has a million items.
const DAY_ENDS_WITHIN: Duration = Duration::from_secs(3_600);

/// What a day took.
struct Cost {
    import: Duration,
    /// The database's own work with the report and the items of its day, and with all items that there are.
    bulk_of_day: Duration,
    bulk_of_all: Duration,
    /// The most memory that the gateway has taken.
    kib: u64,
}

fn number_of(variable: &str, usually: u64) -> u64 {
    std::env::var(variable).map_or(usually, |text| text.parse().expect("a number"))
}

async fn a_large_report_takes_little_memory_and_finds_each_item(engine: Engine) {
    let lines = number_of("RECONCILED_LINES", LINES);
    let history = number_of("RECONCILED_HISTORY", HISTORY);
    let folder = TempFolder::new("large-reports");
    let scene = Scene::set_with(engine, &folder, &reporting_profile()).await;
    let stage = Stage {
        engine,
        scene: &scene,
        bulk: Bulk::new(engine),
    };
    let (made, form) = stage.first_day().await;
    made.merchants(&scene.database).await;
    let mut next = 1;
    for days_before in 1.. {
        let of_day = lines.min(history - (next - 1));
        if of_day == 0 {
            break;
        }
        let numbers = Numbers::new(next, of_day);
        let date = made.date.days_before(days_before);
        made.settled_day(&scene.database, numbers, date).await;
        next += of_day;
    }
    let mut costs = Vec::new();
    for _ in 0..2 {
        let numbers = Numbers::new(next, lines);
        costs.push(stage.day(&made, &form, numbers).await);
        next += lines;
    }
    let [first, second] = &costs[..] else {
        panic!("two days");
    };
    stage.print(lines, history, (first, second));
}

/// The bank has a line once more, and rejects it there. Both are near each other, and are not written together: while the
/// first is being written, the second is compared.
async fn a_line_that_comes_again_while_the_first_is_written_settles_nothing(engine: Engine) {
    let folder = TempFolder::new("lines-again");
    let scene = Scene::set_with(engine, &folder, &reporting_profile()).await;
    let stage = Stage {
        engine,
        scene: &scene,
        bulk: Bulk::new(engine),
    };
    let (made, form) = stage.first_day().await;
    made.merchants(&scene.database).await;
    let numbers = Numbers::new(1, 1_100);
    let date = stage.open_date().await;
    let business_date = date.parse().expect("a date");
    made.open_items(&scene.database, numbers, business_date)
        .await;
    let files = form.write(&scene.at(""), numbers, &date, Some((1_000, 1_030)));
    let gateway = scene.gateway("gateway", None).await;
    stage.end_day(&date).await;
    let done = stage.import(&files.report).await;
    let (counted, matched) = (&done["line_count"], &done["matched_count"]);
    assert_eq!((counted, matched), (&json!(1_101), &json!(1_100)), "{done}");
    assert_eq!(done["differences"], json!({"DUPLICATE_LINE": 1}), "{done}");
    stop(gateway).await;
}

struct Stage<'a> {
    engine: Engine,
    scene: &'a Scene,
    bulk: Bulk,
}

impl Stage<'_> {
    /// A day with one sale, which the bank reports: all other rows and lines are made like its own.
    async fn first_day(&self) -> (Made, ReportForm) {
        let gateway = self.scene.gateway("gateway", None).await;
        let address = gateway.address.expect("a gateway that is ready");
        let clients = self.scene.shop().clients(address).await;
        let mut payments = clients.expect("a connection").payments;
        let date = self.open_date().await;
        let sold = authorize(&mut payments, sale("pm_test_visa", 1_250)).await;
        self.end_day(&date).await;
        let report = report_from(self.scene.control().await, &date).await;
        let path = self.scene.at("first.csv");
        std::fs::write(&path, &report).expect("a file");
        let done = self.import(&path).await;
        assert_eq!(done["matched_count"], 1, "{done}");
        self.is_settled(&date).await;
        stop(gateway).await;
        let form = ReportForm::of(&String::from_utf8(report).expect("a text"));
        let made = Made {
            engine: self.engine,
            payment_id: sold.payment_id,
            import_id: done["import_id"].as_str().expect("an id").to_owned(),
            date: date.parse().expect("a date"),
        };
        (made, form)
    }

    /// Sells while the gateway is stopped; then ends the day, and takes its report in.
    async fn day(&self, made: &Made, form: &ReportForm, numbers: Numbers) -> Cost {
        let database = &self.scene.database;
        let date = self.open_date().await;
        let business_date: BusinessDate = date.parse().expect("a date");
        made.open_items(database, numbers, business_date).await;
        made.tidy(database).await;
        let files = form.write(&self.scene.at(""), numbers, &date, None);
        let gateway = self.scene.gateway("gateway", None).await;
        self.end_day(&date).await;
        let began = Instant::now();
        let done = self.import(&files.report).await;
        let import = began.elapsed();

        let lines = numbers.count();
        let (counted, matched) = (&done["line_count"], &done["matched_count"]);
        assert_eq!((counted, matched), (&json!(lines), &json!(lines)), "{done}");
        assert_eq!(done["differences"], json!({}), "{done}");
        let settled = format!(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM settlement_items WHERE settled_by = '{}' AND business_date = '{date}'",
            done["import_id"].as_str().expect("an id")
        );
        let settled = database.number(settled).await;
        assert_eq!(u64::try_from(settled).ok(), Some(lines));
        assert_eq!(database.count("settlement_differences").await, 0);
        self.is_settled(&date).await;
        let kib = most_memory(&gateway);
        assert!(kib < MOST_KIB, "the gateway took {kib} KiB");
        stop(gateway).await;

        let bulk_of_day = self.bulk.run(&files.plain, &files.items, lines).await;
        let all = form.write_items(&self.scene.at("all.csv"), numbers.with_all_before());
        let bulk_of_all = self.bulk.run(&files.plain, &all, lines).await;
        Cost {
            import,
            bulk_of_day,
            bulk_of_all,
            kib,
        }
    }

    async fn open_date(&self) -> String {
        let open =
            "SELECT COALESCE(MAX(business_date), '') FROM business_days WHERE cut_at_ms IS NULL";
        let found = within(DAY_ENDS_WITHIN, "an open day", async || {
            Some(self.scene.database.text(open).await).filter(|date| !date.is_empty())
        });
        found.await
    }

    /// Ends the open day, and waits until the bank has been told its totals. (It knows nothing of most sales: the totals
    /// are out of balance, and the profile goes on with that.)
    async fn end_day(&self, date: &str) {
        self.scene.cut_over().await;
        let told = format!(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM settlement_totals WHERE business_date = '{date}' AND state <> 'DUE'"
        );
        let is_told = async || (self.scene.database.number(told.clone()).await > 0).then_some(());
        within(DAY_ENDS_WITHIN, "totals that were told", is_told).await;
    }

    async fn is_settled(&self, date: &str) {
        let settled = format!(
            "SELECT CAST(COUNT(settled_at_ms) AS BIGINT) FROM business_days WHERE business_date = '{date}'"
        );
        let is_settled = async || {
            let settled = self.scene.database.number(settled.clone()).await;
            (settled > 0).then_some(())
        };
        within(DAY_ENDS_WITHIN, "a day that is settled", is_settled).await;
    }

    /// Gives a report to the program, as an operator does.
    async fn import(&self, report: &Path) -> Value {
        let report = report.to_str().expect("a path in UTF-8");
        let import = [
            "settle",
            "import",
            "acquirer",
            report,
            "--reason",
            "a measurement",
        ];
        let log = || text(&self.scene.at("gateway.log"));
        let told = self.scene.ask(&import).await;
        let told = told.unwrap_or_else(|why| panic!("{why}\n{}", log()));
        told["settlement_import"].clone()
    }

    fn print(&self, lines: u64, history: u64, (first, second): (&Cost, &Cost)) {
        let seconds = |cost: &Cost| cost.import.as_secs_f64();
        let times = |of: fn(&Cost) -> Duration| {
            let [first, second] =
                [first, second].map(|cost| (of(cost).as_secs_f64(), seconds(cost)));
            format!(
                "{:.2} s and {:.2} s, so that the imports took {:.1} and {:.1} times that",
                first.0,
                second.0,
                first.1 / first.0,
                second.1 / second.0
            )
        };
        println!(
            "{:?}, {lines} lines a day, {history} items of earlier days: the first day's report was taken in within {:.2} s, \
             the second day's within {:.2} s ({:.2} of the first)",
            self.engine,
            seconds(first),
            seconds(second),
            seconds(second) / seconds(first)
        );
        println!(
            "  {}, report and items of the day: {}",
            self.bulk.name(),
            times(|cost| cost.bulk_of_day)
        );
        println!(
            "  the same with all items: {}",
            times(|cost| cost.bulk_of_all)
        );
        println!(
            "  the gateway took {} MiB at most on the first day, {} MiB on the second",
            first.kib / 1024,
            second.kib / 1024
        );
    }
}

/// The most memory that a gateway has taken, in KiB.
fn most_memory(gateway: &Gateway) -> u64 {
    let status = text(format!("/proc/{}/status", gateway.process.id()).as_ref());
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most = most
        .expect("the most memory")
        .trim()
        .trim_end_matches(" kB");
    most.parse().expect("a number of KiB")
}

/// Ends a gateway in order.
async fn stop(gateway: Gateway) {
    gateway.process.send("TERM");
    let ended = gateway.process.ended().await;
    assert!(ended.success(), "{ended}");
}
