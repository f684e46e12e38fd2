//! The gateway is killed at each moment that a crash can part two things at the end of a bank's day: at its cutover, its
//! totals, its report, its fees, its payout, and while a file is written. Each time a day with the same payments comes to
//! the same end at the next gateway, also where nobody asks for anything again; and each file has the bytes that it had
//! before, and that it gets when nothing is in the way.
//!
//! Each engine takes every fourth moment, and the two have none in common. `scripts/kill` takes all of them on both.
#![expect(clippy::print_stdout, reason = "a campaign says what it has seen")]

mod day;
mod files;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use bank_sim::control::pb::GetTotalsRequest;
use payswitch::fault_points::FaultPoint;
use serde_json::json;

use crate::database::Engine;
use crate::demo::text;
use crate::harness::TempFolder;
use crate::killing;
use crate::killing::scene::Scene;
use crate::rotating_master;
use Step::{CutOver, Import, Nothing, Notify, PayOut};
use day::{Bank, Day, Step, agree_terms};
use files::Files;

/// Where the gateway dies, and what somebody asks the next one for: it does by itself what comes before that. The bank
/// learns of everything by messages. It is told totals, and sends a report.
const BY_MESSAGE: &[(&str, Step)] = &[
    ("cutover", CutOver),
    ("cutover_recorded", Import),
    ("batches", Import),
    ("batches_recorded", Import),
    ("totals_intent", Import),
    ("totals_send", Import),
    ("totals", Import),
    ("totals_recorded", Import),
    ("upload_intent", Import),
    ("upload", Import),
    ("upload_recorded", Import),
    ("report_kept", Import),
    ("report_recorded", PayOut),
    ("report_lines", PayOut),
    ("report_applied", PayOut),
    ("report_done", PayOut),
    ("fees", PayOut),
    ("fees_recorded", PayOut),
    ("funded", PayOut),
    ("items_told", PayOut),
    ("day_settled", PayOut),
    ("payout_made", Notify),
    ("order_made", Notify),
    ("file_opened", Notify),
    ("file_written", Notify),
    ("file_synced", Notify),
    ("file_renamed", Notify),
    ("file_kept", Notify),
    ("file_recorded", Notify),
    ("payout_ended", Nothing),
];

/// The same before a bank that ends its days itself, and learns of captures and refunds by the clearing file: the first
/// file of a day.
const BY_FILE: &[(&str, Step)] = &[
    ("cutover", CutOver),
    ("cutover_recorded", PayOut),
    ("file_opened", PayOut),
    ("file_written", PayOut),
    ("file_synced", PayOut),
    ("file_renamed", PayOut),
    ("file_kept", PayOut),
    ("file_recorded", PayOut),
];

/// A gateway that ends at its point does so within this.
const COME_WITHIN: Duration = Duration::from_secs(60);

mod sqlite {
    use super::{Bank, Engine, run};

    #[test]
    fn a_day_that_messages_settle_survives_each_crash() {
        run(Engine::Sqlite, Bank::ByMessage);
    }

    #[test]
    fn a_day_that_files_settle_survives_each_crash() {
        run(Engine::Sqlite, Bank::ByFile);
    }
}

mod postgres {
    use super::{Bank, Engine, run};

    #[test]
    fn a_day_that_messages_settle_survives_each_crash() {
        run(Engine::Postgres, Bank::ByMessage);
    }

    #[test]
    fn a_day_that_files_settle_survives_each_crash() {
        run(Engine::Postgres, Bank::ByFile);
    }
}

#[test]
fn each_point_is_hit_by_a_campaign() {
    let of_days = BY_MESSAGE.iter().chain(BY_FILE).map(|(point, _)| *point);
    let rotations = [rotating_master::POINT];
    let hit: BTreeSet<&str> = of_days.chain(killing::POINTS).chain(rotations).collect();
    let all: BTreeSet<&str> = FaultPoint::NAMES.iter().map(|(point, _)| *point).collect();
    assert_eq!(hit, all);
}

fn run(engine: Engine, bank: Bank) {
    let moments = match bank {
        Bank::ByMessage => BY_MESSAGE,
        Bank::ByFile => BY_FILE,
    };
    let is_long = std::env::var_os("KILL_COUNT").is_some();
    let first = 2 * usize::from(engine == Engine::Postgres);
    let (skipped, step) = if is_long { (0, 1) } else { (first, 4) };
    let moments: Vec<_> = moments.iter().skip(skipped).step_by(step).collect();
    let (one, other) = moments.split_at(moments.len() / 2);
    // Two at once: a campaign mostly waits.
    std::thread::scope(|scope| {
        for moments in [one, other] {
            scope.spawn(move || {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(Box::pin(campaign(engine, bank, moments)));
            });
        }
    });
}

async fn campaign(engine: Engine, bank: Bank, moments: &[&(&str, Step)]) {
    let folder = TempFolder::new("killing-days");
    let scene = Scene::set_with(engine, &folder, &bank.profile()).await;
    let log = || text(&scene.at("gateway.log"));
    let mut gateway = scene.gateway("gateway", None).await;
    agree_terms(&scene).await;
    let mut files = Files::of(&scene).await;
    for (days, (point, next)) in moments.iter().enumerate() {
        drop(gateway);
        let mut dying = scene.gateway("gateway", Some(&format!("{point}:1"))).await;
        let day = Day::begin(&scene, bank, &dying, point).await;
        let told = day.go_on(CutOver, &mut dying, &mut files).await;
        let ended = tokio::time::timeout(COME_WITHIN, dying.process.exit()).await;
        let status = ended.unwrap_or_else(|_| panic!("{point} did not come: {told:?}\n{}", log()));
        assert_eq!(status.signal(), Some(9), "{point}: {status}\n{}", log());
        let seen = day.seen(&files, days).await;
        println!("{engine:?}, {bank:?}, {point}: {seen}");
        files.bring().await;
        gateway = scene.gateway("gateway", None).await;
        let told = day.go_on(*next, &mut gateway, &mut files).await;
        told.unwrap_or_else(|why| panic!("{point}: {why}\n{}", log()));
        day.check(&gateway, &mut files, days + 1).await;
    }
    assert_eq!(scene.json(&["ledger", "verify"])["findings"], json!([]));
    let totals = scene.control().await.get_totals(GetTotalsRequest {}).await;
    for total in totals.expect("the totals").into_inner().totals {
        assert_eq!(total.effects_more_than_once, 0, "{total:?}");
    }
    drop(gateway);
    files.are_written_anew().await;
}
