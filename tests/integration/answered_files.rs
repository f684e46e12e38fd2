//! A bank that answers to clearing files: its day is funded once it has taken what the file claims.

use std::time::Duration;

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::admin_api::pb::take_clearing_answer_request::Part;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::SettlementBatchState as BatchState;
use tonic::{Code, Status};

use crate::capturing::{capture, of};
use crate::claiming::file_of;
use crate::database::Engine;
use crate::demo::as_operator;
use crate::harness::{Switch, authorize, eventually, on_both_engines, pay_with, unique};
use crate::operators::operator;
use crate::refunding::{refund_of, refunds_of, try_refund};
use crate::reporting::only_batch;
use crate::settling::{Days, cut_over, cutover_of, days, open_date, settlement_of};
use crate::styles::dual_message;

on_both_engines!(
    a_day_is_funded_once_its_file_is_taken_as_it_claims,
    an_approver_lets_a_file_count_as_it_is,
);

/// Longer than the gateway needs to fund what it may.
const A_LOOK_OR_TWO: Duration = Duration::from_millis(2_500);

/// A host of the dual-message kind whose clearing files are those of a national card switch.
fn answering() -> String {
    let text = dual_message();
    let csv = "format = \"csv\"\nname = \"{host}-{date}-{cycle}.csv\"";
    assert!(text.contains(csv), "{text}");
    let nps = "format = \"nps\"\nname = \"{host}-{date}-{cycle}.txt\"\nmember_id = \"00000004567\"\n\
        acquirer_id = \"00000009289\"\nfile_type = \"I\"\nmode = \"T\"";
    text.replace(csv, nps)
}

/// Gives an answer to the gateway.
pub(crate) async fn give(
    days: &mut Days,
    answer: &str,
    change: impl FnOnce(&mut admin::AnswerFile),
) -> Result<admin::TakeClearingAnswerResponse, Status> {
    let mut file = admin::AnswerFile {
        request_id: format!("answer-{}", unique()),
        reason: "the switch's answer".into(),
        host_id: "acquirer".into(),
        name: "answer.txt".into(),
        sha256: String::new(),
    };
    change(&mut file);
    let chunks = answer.as_bytes().chunks(100);
    let chunks = chunks.map(|chunk| Part::Chunk(chunk.to_vec()));
    let parts = std::iter::once(Part::File(file)).chain(chunks);
    let parts = parts.map(|part| admin::TakeClearingAnswerRequest { part: Some(part) });
    let parts = tokio_stream::iter(parts.collect::<Vec<_>>());
    let taken = days.take_clearing_answer(parts).await;
    taken.map(tonic::Response::into_inner)
}

/// The file header of a clearing file with another function code: that of an answer to it.
fn header(clearing_file: &str, code: &str) -> String {
    let header = clearing_file.lines().next().expect("a file header");
    header.replacen("^601^", &format!("^{code}^"), 1)
}

/// The summary of a switch that has taken this file; with another sum, it has taken something else.
fn summary(clearing_file: &str, more_minor: i64) -> String {
    let mut batches: Vec<(&str, i64, i64)> = Vec::new();
    for line in clearing_file.lines() {
        let fields: Vec<&str> = line.split('^').collect();
        match fields[..] {
            ["1664", "601", _, code] => batches.push((code, more_minor, 0)),
            ["1240", ..] => {
                let (_, sum, count) = batches.last_mut().expect("a batch");
                assert_eq!(fields[12], "978");
                *sum += fields[11]
                    .replace('.', "")
                    .parse::<i64>()
                    .expect("an amount");
                *count += 1;
            }
            _ => {}
        }
    }
    let amount = |minor: i64| format!("{}.{:02}", minor / 100, minor % 100);
    let mut text = header(clearing_file, "605") + "\n";
    for (index, (code, sum, count)) in batches.iter().enumerate() {
        text += &format!("978^{}^{code}^{}^{count}\n", index + 1, amount(*sum));
    }
    let sum = batches.iter().map(|(_, sum, _)| sum).sum();
    let count: i64 = batches.iter().map(|(_, _, count)| count).sum();
    text + &format!("1644^605^{}^{}^{count}\n", batches.len(), amount(sum))
}

/// The reject of a switch that finds this wrong with a file.
fn reject(clearing_file: &str, wrong: &str) -> String {
    let trailer = "1644^699^1^0.00^1";
    let record = clearing_file.lines().find(|line| line.starts_with("1240^"));
    let record = record.expect("an item");
    format!(
        "{}\n{record}\n{wrong}\n{trailer}\n",
        header(clearing_file, "699")
    )
}

/// A capture of 60.00 and a refund of 20.00 are in the clearing file of a day that has ended: the date and the file.
async fn closed_day(switch: &Switch, client: &mut Days) -> (String, String) {
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(switch).await;
    let today = open_date(client).await;
    let held = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    capture(&mut payments, of(&held, 6_000)).await;
    let refund = try_refund(&mut refunds, refund_of(&held, 2_000)).await;
    refund.expect("a refund");
    let ended = cut_over(client, cutover_of(&today)).await;
    ended.expect("a day");
    let file = file_of(client, &today).await;
    assert!(file.awaits_answer && file.answer.is_none(), "{file:?}");
    let path = switch.data().join("settlement").join(&file.name);
    (today, std::fs::read_to_string(path).expect("the file"))
}

/// Runs `payswitch settle` with these arguments and a reason: its exit code and what it says.
async fn settle(switch: &Switch, arguments: &[&str]) -> (Option<i32>, String) {
    let command = as_operator(switch, &[&["settle"], arguments].concat());
    let run = tokio::process::Command::from(command).output().await;
    let run = run.expect("the program runs");
    let told = [run.stdout, run.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (run.status.code(), told)
}

async fn state_of_day(client: &mut Days, date: &str) -> admin::BusinessDayState {
    let mut found = days(client).await.into_iter();
    let day = found.find(|day| day.business_date == date);
    day.expect("the day").state()
}

/// Nothing of a day is funded, although there was time to.
async fn is_held(client: &mut Days, date: &str) {
    tokio::time::sleep(A_LOOK_OR_TWO).await;
    let state = state_of_day(client, date).await;
    assert_eq!(state, admin::BusinessDayState::Closed);
}

fn state_of(taken: &admin::TakeClearingAnswerResponse) -> (admin::FileAnswerState, bool, bool) {
    let file = taken.settlement_file.as_ref().expect("the file");
    let answer = file.answer.as_ref().expect("the answer");
    (answer.state(), answer.agrees, taken.was_there)
}

async fn a_day_is_funded_once_its_file_is_taken_as_it_claims(engine: Engine) {
    use admin::FileAnswerState::{Accepted, Rejected};
    let switch = Switch::start_with(engine, Some(answering())).await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let (today, file) = closed_day(&switch, &mut client).await;
    only_batch(&mut settlement, BatchState::Submitted).await;

    // What is about no file here, or is cut, counts for nothing.
    let right = summary(&file, 0);
    let other_cycle = right.replacen("^1^I^T", "^2^I^T", 1);
    let other_member = right.replacen("^00000004567^", "^00000004568^", 1);
    for (answer, reason) in [
        (other_cycle.as_str(), "CLEARING_FILE_NOT_FOUND"),
        (&other_member, "CLEARING_FILE_NOT_FOUND"),
    ] {
        let refused = give(&mut client, answer, |_| {}).await;
        let refused = refused.expect_err("another file");
        assert_eq!(error_reason(&refused).as_deref(), Some(reason));
    }
    let nobody = give(&mut client, &right, |file| file.host_id = "nobody".into()).await;
    let nobody = error_reason(&nobody.expect_err("no host"));
    assert_eq!(nobody.as_deref(), Some("HOST_NOT_FOUND"));
    let cut = right.lines().take(2).collect::<Vec<_>>().join("\n");
    let damaged = give(&mut client, &cut, |_| {})
        .await
        .expect_err("it is cut");
    assert_eq!(damaged.code(), Code::InvalidArgument, "{damaged}");
    let given = switch.data().join("answer.txt");
    let given_path = given.to_str().expect("a path in UTF-8");
    let by_program = ["answer", "acquirer", given_path, "--reason", "it came"];
    std::fs::write(&given, &cut).expect("a file for the program");
    let (code, told) = settle(&switch, &by_program).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("expected in line 2 a trailer, 1644^605, got \"the end of the file\""),
        "{told}"
    );
    let incomplete = give(&mut client, &right, |file| file.sha256 = "0".repeat(64)).await;
    let incomplete = error_reason(&incomplete.expect_err("other bytes"));
    assert_eq!(incomplete.as_deref(), Some("FILE_INCOMPLETE"));

    let rejected = reject(&file, "Forwarding ID^0000000928A^Value should be numeric");
    std::fs::write(&given, &rejected).expect("a file for the program");
    let (code, told) = settle(&switch, &by_program).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("is REJECTED") && told.contains("Forwarding ID \"0000000928A\": Value"),
        "{told}"
    );
    let again = give(&mut client, &rejected, |_| {})
        .await
        .expect("an answer");
    assert_eq!(state_of(&again), (Rejected, false, true));
    only_batch(&mut settlement, BatchState::Disputed).await;
    let differs = give(&mut client, &summary(&file, 1), |_| {}).await;
    assert_eq!(
        state_of(&differs.expect("an answer")),
        (Accepted, false, false)
    );
    is_held(&mut client, &today).await;

    let taken = give(&mut client, &right, |_| {}).await.expect("an answer");
    assert_eq!(state_of(&taken), (Accepted, true, false));
    assert_eq!(taken.business_date, today);
    only_batch(&mut settlement, BatchState::Settled).await;
    // What was there, or calls the file a duplicate, says nothing new.
    let duplicate = reject(&file, "File ID^00000004567202611271^Duplicate File ID");
    for known in [&right, &rejected, &duplicate] {
        let known = give(&mut client, known, |_| {}).await.expect("an answer");
        assert_eq!(state_of(&known), (Accepted, true, true));
    }
    let (code, told) = settle(&switch, &["files", "acquirer", "--date", &today]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(" ACCEPTED "), "{told}");
}

async fn an_approver_lets_a_file_count_as_it_is(engine: Engine) {
    let switch = Switch::start_with(engine, Some(answering())).await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let (today, file) = closed_day(&switch, &mut client).await;
    let differs = give(&mut client, &summary(&file, 1), |_| {}).await;
    differs.expect("an answer");
    is_held(&mut client, &today).await;
    let submit = [
        "submit",
        "acquirer",
        "--date",
        &today,
        "--accept",
        "--reason",
        "agreed by telephone",
    ];
    let (code, told) = settle(&switch, &submit).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("1 clearing files count as they are"),
        "{told}"
    );
    eventually("a day that is settled", async || {
        let state = state_of_day(&mut client, &today).await;
        (state == admin::BusinessDayState::Settled).then_some(())
    })
    .await;
    only_batch(&mut settlement, BatchState::Disputed).await;
    let (_, told) = settle(&switch, &["files", "acquirer", "--date", &today]).await;
    assert!(told.contains("ACCEPTED, others, counts as it is"), "{told}");
}
