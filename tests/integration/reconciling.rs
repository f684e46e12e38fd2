//! Reconciliation, measured: errors are seeded into the bank's own reports, and each is found and named, and nothing else.
//!
//! `tools/` seeds and scores, and shares nothing with what finds. `scripts/reconcile` runs it with a million lines.
#![expect(clippy::print_stdout, reason = "a measurement says what came out")]

mod ablation;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::database::Engine;
use crate::demo::as_operator;
use crate::harness::{Switch, authorize, on_both_engines};
use crate::operators::operator;
use crate::reporting::{agreed, import, report_of};
use crate::sales::sale;
use crate::settling::{cut_over, cutover_of, open_date};
use crate::tools::{output, tool};

on_both_engines!(each_seeded_error_is_found_and_nothing_else);

/// Sales of the day with the errors, unless `RECONCILED_LINES` says otherwise.
const LINES: u64 = 600;
/// Payments at once.
const WORKERS: u64 = 16;

/// What the simulated bank keeps.
const FEES: &str = "
[settlement.fees]

[[settlement.fees.interchange]]
ppm = 2_000

[[settlement.fees.scheme_fee]]
ppm = 500

[[settlement.fees.commission]]
";

/// The profile of the bank, with what it is agreed to keep.
fn profile() -> String {
    reporting_profile() + FEES
}

/// A bank's day that was reported.
#[derive(Clone)]
struct Day {
    date: String,
    /// The bank's report, as it is right.
    clean: PathBuf,
}

/// What the program prints.
fn printed(switch: &Switch, arguments: &[&str]) -> String {
    let ran = output(&mut as_operator(switch, arguments));
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{arguments:?}: {told}");
    String::from_utf8(ran.stdout).expect("a text")
}

/// Sells `count` times, for all merchants in turn, and ends the day.
async fn day(switch: &Switch, keys: &[String], count: u64) -> Day {
    let mut days = SettlementAdminServiceClient::new(operator(switch).await);
    let date = open_date(&mut days).await;
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let mut payments = Vec::new();
        for key in keys {
            payments.push(switch.payments_of(key).await);
        }
        let next = Arc::clone(&next);
        workers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                let of = usize::try_from(number).expect("a number") % payments.len();
                // Each amount is there a few times.
                let amount = 1_003 + number * 13 % (count / 5) * 7;
                let amount = i64::try_from(amount).expect("an amount");
                authorize(&mut payments[of], sale("pm_test_visa", amount)).await;
            }
        });
    }
    workers.join_all().await;
    cut_over(&mut days, cutover_of(&date)).await.expect("a day");
    agreed(&mut days, &date).await;
    let clean = switch.data().join(format!("clean-{date}.csv"));
    std::fs::write(&clean, report_of(switch, &date).await).expect("a report");
    Day { date, clean }
}

/// Takes in a report, and writes what was found of it as `score.py` reads it.
async fn found(switch: &Switch, day: &Day, report: &Path) -> PathBuf {
    let mut days = SettlementAdminServiceClient::new(operator(switch).await);
    let bytes = std::fs::read(report).expect("the report");
    let began = Instant::now();
    let answer = import(&mut days, &bytes, |file| {
        file.business_date.clone_from(&day.date);
    });
    let answer = answer.await.expect("an answer");
    assert_eq!(answer.faults, [], "{}", report.display());
    let done = answer.settlement_import.expect("it is applied");
    println!(
        "{} lines were taken in within {:.2} s",
        done.line_count,
        began.elapsed().as_secs_f64()
    );
    let mut shown = "{\"import\":\"DONE\"}\n".to_owned();
    let all = [
        "reconcile",
        "list",
        "--all",
        "--json",
        "--limit",
        "100000000",
    ];
    for line in printed(switch, &all).lines() {
        let one: Value = serde_json::from_str(line).expect("JSON");
        if one["import_id"] == *done.import_id {
            writeln!(shown, "{line}").expect("a text");
        }
    }
    let lines = [
        "reconcile",
        "lines",
        &done.import_id,
        "--json",
        "--limit",
        "100000000",
    ];
    for line in printed(switch, &lines).lines() {
        let one: Value = serde_json::from_str(line).expect("JSON");
        if one["state"] == "MATCHED" {
            writeln!(shown, "{line}").expect("a text");
        }
    }
    let path = report.with_extension("found.jsonl");
    std::fs::write(&path, shown).expect("what was found");
    path
}

/// Seeds errors into the report of a day: the report with them, and their key.
fn seeded(day: &Day, more: &[(&str, String)]) -> (PathBuf, PathBuf) {
    let (wrong, key) = (
        day.clean.with_extension("wrong.csv"),
        day.clean.with_extension("key.jsonl"),
    );
    let mut seed = tool("python3");
    seed.args(["tools/seed_errors.py", "--seed", "7", "--in"])
        .arg(&day.clean)
        .arg("--out")
        .arg(&wrong)
        .arg("--key")
        .arg(&key)
        .args(more.iter().flat_map(|(name, value)| [*name, value]));
    let ran = output(&mut seed);
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    (wrong, key)
}

fn score(key: &Path, found: &Path, more: &[&str]) {
    let mut score = tool("python3");
    score
        .args(["tools/score.py", "--strict", "--key"])
        .arg(key)
        .arg("--found")
        .arg(found);
    let ran = output(score.args(more));
    let told = String::from_utf8_lossy(&ran.stdout);
    println!("{told}");
    let kept = found.display();
    assert!(
        ran.status.success(),
        "{told}{} {kept}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

async fn each_seeded_error_is_found_and_nothing_else(engine: Engine) {
    let count = std::env::var("RECONCILED_LINES");
    let count = count.map_or(LINES, |text| text.parse().expect("a number"));
    let rate = if count > 10_000 { "0.01" } else { "0.1" };
    // The simulated banks' books have room for two million messages.
    let quarters = |how_many: u64| (count * how_many / 4).min(100_000 * how_many);
    let switch = Switch::start_with(engine, Some(profile())).await;
    let mut keys = vec![switch.api_key.clone()];
    for number in 1..=2 {
        let name = format!("shop-{number}");
        let acceptor = format!("SHOP{number:011}");
        let (_, key) = switch
            .add_merchant(&name, |merchant| {
                merchant.acceptor_id = acceptor.parse().expect("an acceptor");
            })
            .await;
        keys.push(key);
    }
    // A clean report says nothing.
    let first = day(&switch, &keys, quarters(1)).await;
    let nothing = found(&switch, &first, &first.clean).await;
    let nothing = std::fs::read_to_string(nothing).expect("what was found");
    assert!(!nothing.contains("\"kind\""), "{nothing}");

    let second = day(&switch, &keys, count).await;
    let third = day(&switch, &keys, quarters(2)).await;
    let fourth = day(&switch, &keys, quarters(1)).await;
    let late = second.clean.with_extension("late.csv");
    let path = |path: &Path| path.to_str().expect("a path").to_owned();
    let (wrong, key) = seeded(
        &second,
        &[
            ("--rate", rate.to_owned()),
            ("--previous", path(&first.clean)),
            ("--late", path(&late)),
            ("--late-into", path(&fourth.clean)),
        ],
    );
    ablation::print(&switch, &second, &wrong, &key).await;
    score(&key, &found(&switch, &second, &wrong).await, &["--rules"]);
    // Errors that no rule was written for are matched by nobody.
    let foreign = [
        ("--rate", rate.to_owned()),
        ("--kinds", "foreign".to_owned()),
    ];
    let (foreign, foreign_key) = seeded(&third, &foreign);
    score(&foreign_key, &found(&switch, &third, &foreign).await, &[]);

    let missing = open_of(&switch, "MISSING_AT_BANK");
    score(
        &key,
        &found(&switch, &fourth, &late).await,
        &["--file", "late"],
    );
    let lines = std::fs::read_to_string(&key).expect("the key");
    let came_late = lines.matches("\"LATE_PRESENTMENT\"").count();
    assert!(came_late > 0, "{lines}");
    // What has come is not missed any more.
    assert_eq!(open_of(&switch, "MISSING_AT_BANK"), missing - came_late);
}

/// How many discrepancies of a kind nobody has decided on.
fn open_of(switch: &Switch, kind: &str) -> usize {
    let list = [
        "reconcile",
        "list",
        "--kind",
        kind,
        "--json",
        "--limit",
        "100000000",
    ];
    printed(switch, &list).lines().count()
}
