//! A wrong cent is found, named, explained and corrected, by the command line from end to end.

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::reconciliation_admin_service_client::ReconciliationAdminServiceClient;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use pb::BalanceEntryKind as EntryKind;
use pb::balance_service_client::BalanceServiceClient;
use pb::reconciliation_service_client::ReconciliationServiceClient;
use pb::{DiscrepancyKind, DiscrepancyState, SettlementBatchState as BatchState};
use serde_json::{Value, json};

use crate::capturing::minor;
use crate::database::Engine;
use crate::demo::as_operator;
use crate::following::statement;
use crate::harness::{Switch, authorize, eventually, on_both_engines, unique};
use crate::ledger::entries;
use crate::operators::{operator, trail};
use crate::readers;
use crate::reporting::{agreed, import, misbook, only_batch, report_of};
use crate::sales::sale;
use crate::settling::{self, Days, cut_over, cutover_of, open_date, settlement_of};
use crate::tools::{output, printed_by};

on_both_engines!(
    a_wrong_cent_is_found_named_explained_and_corrected,
    a_person_says_what_a_line_is_about,
    a_person_splits_a_line,
);

pub(crate) fn reconcile(switch: &Switch, arguments: &[&str]) -> String {
    let all = [&["reconcile"], arguments].concat();
    printed_by(&mut as_operator(switch, &all))
}

/// Discrepancies of a kind.
pub(crate) fn listed(switch: &Switch, kind: &str) -> Vec<Value> {
    let listed = reconcile(switch, &["list", "--all", "--kind", kind, "--json"]);
    let lines = listed.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// On paper is what the list has, each with what was done.
fn sheet_on_paper(switch: &Switch, date: &str) {
    let path = switch.data().join("sheet.pdf");
    let out = path.to_str().expect("a path");
    reconcile(switch, &["sheet", "acquirer", "--date", date, "--out", out]);
    let read = readers::sheet(&path);
    let listed = listed(switch, "");
    let rows = read["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), listed.len());
    let euros = |minor: &Value| {
        let minor = minor.as_i64().expect("an amount");
        format!("{}.{:02} EUR", minor / 100, minor % 100)
    };
    for (row, one) in rows.iter().zip(&listed) {
        assert_eq!(row["Discrepancy"], one["discrepancy_id"]);
        assert_eq!(row["Kind"], one["kind"]);
        assert_eq!(row["State"], one["state"]);
        assert_eq!(row["Ours"], euros(&one["own_minor"]));
        assert_eq!(row["The bank's"], euros(&one["bank_minor"]));
        assert_eq!(row["Line"], one["line"].to_string());
        let done = row["What was done"].as_str().unwrap_or_default();
        for step in one["history"].as_array().expect("steps") {
            for part in ["time", "state", "actor", "reason"] {
                let part = step[part].as_str().expect("a text");
                assert!(done.contains(part), "{part} in {done}");
            }
        }
    }
    let texts = read["texts"].as_array().expect("texts");
    for text in [
        "Prepared by, date",
        "Approved by, date",
        "97.00 EUR",
        "92.01 EUR",
    ] {
        assert!(texts.iter().any(|it| it == text), "{text} in {texts:?}");
    }
    // The same day is the same bytes; and nothing else is written than what its name says.
    let before = std::fs::read(&path).expect("the sheet");
    reconcile(switch, &["sheet", "acquirer", "--date", date, "--out", out]);
    assert_eq!(std::fs::read(&path).expect("the sheet"), before);
    let odd = [
        "reconcile",
        "sheet",
        "acquirer",
        "--date",
        date,
        "--out",
        "a.csv",
    ];
    let refused = output(&mut as_operator(switch, &odd));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("expected FILE.html or FILE.pdf"), "{told}");
}

pub(crate) async fn available(switch: &Switch) -> i64 {
    let key = ApiKey::new(&switch.api_key).expect("an API key");
    let mut balances = BalanceServiceClient::new(key.on(switch.connect(None).await));
    let found = balances
        .get_balances(pb::GetBalancesRequest::default())
        .await;
    let found = found.expect("the balances").into_inner().balances;
    found.first().map_or(0, |euros| minor(&euros.available))
}

async fn a_wrong_cent_is_found_named_explained_and_corrected(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    let mut sold = Vec::new();
    for amount in [2_500, 700, 9_000] {
        sold.push(authorize(&mut payments, sale("pm_test_visa", amount)).await);
    }
    assert_eq!(misbook(&switch, &sold[1], 1).await, 701);
    assert_eq!(misbook(&switch, &sold[2], -500).await, 8_500);
    cut_over(&mut days, cutover_of(&today))
        .await
        .expect("a day");
    agreed(&mut days, &today).await;
    let report = report_of(&switch, &today).await;
    import(&mut days, &report, |_| {}).await.expect("an answer");
    only_batch(&mut settlement, BatchState::Disputed).await;
    let before = available(&switch).await;
    assert_eq!(before, 12_200);

    // Found, named, and explained down to the bank's own line.
    let listed = listed(&switch, "AMOUNT_DIFFERS");
    let of = |ours: i64| {
        let found = listed.iter().find(|it| it["own_minor"] == ours);
        found.expect("a discrepancy")["discrepancy_id"]
            .as_str()
            .expect("its name")
    };
    assert_eq!(listed.len(), 2);
    let (cent, much) = (of(700), of(9_000));
    let shown = reconcile(&switch, &["show", cent]);
    for part in [
        "AMOUNT_DIFFERS",
        "7.00",
        "7.01",
        "report.csv",
        sold[1].rrn(),
        "OPEN",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    // One person corrects the cent; the merchant sees that, and has it.
    let why = ["--reason", "rounded by the bank"];
    let bears = [&["correct", cent, "--bears", "merchant"][..], &why].concat();
    assert!(reconcile(&switch, &bears).contains("CORRECTED"));
    assert_eq!(available(&switch).await, before + 1);
    let corrections = entries(&switch, &switch.api_key, "kind = CORRECTION").await;
    assert_eq!(corrections, [(EntryKind::Correction, 1, String::new())]);
    let lines = statement(&switch);
    let lines = lines
        .iter()
        .filter(|[_, reference, _]| reference.starts_with(cent));
    let lines: Vec<_> = lines.map(|[kind, _, net]| (&**kind, &**net)).collect();
    assert_eq!(lines, [("CORRECTION", "0.01")]);
    let key = ApiKey::new(&switch.api_key).expect("an API key");
    let mut books = ReconciliationServiceClient::new(key.on(switch.connect(None).await));
    let request = pb::GetDiscrepancyRequest {
        discrepancy_id: cent.to_owned(),
    };
    let seen = books
        .get_discrepancy(request)
        .await
        .expect("it")
        .into_inner();
    let seen = seen.discrepancy.expect("the discrepancy");
    assert_eq!(
        (seen.kind(), seen.state()),
        (DiscrepancyKind::AmountDiffers, DiscrepancyState::Corrected)
    );
    assert_eq!(
        (minor(&seen.own_amount), minor(&seen.bank_amount)),
        (700, 701)
    );
    assert!(
        seen.correction_entry_id
            .ends_with(":correction_of_merchant"),
        "{seen:?}"
    );
    assert_eq!(seen.evidence.len(), 2);
    assert_eq!(seen.evidence[1].fields["gross_minor"], "701");
    assert_eq!(seen.history[0].reason, why[1]);
    let filter = pb::ListDiscrepanciesRequest {
        filter: "state = OPEN AND kind = AMOUNT_DIFFERS".into(),
        ..Default::default()
    };
    let open = books
        .list_discrepancies(filter)
        .await
        .expect("a list")
        .into_inner();
    assert_eq!(open.discrepancies.len(), 1);
    let runs = books.list_reconciliation_runs(pb::ListReconciliationRunsRequest::default());
    let runs = runs.await.expect("runs").into_inner().reconciliation_runs;
    assert_eq!((runs[0].matched_count, runs[0].discrepancy_count), (3, 2));
    // Nobody else's.
    let (_, other) = switch.add_merchant("other-shop", |_| {}).await;
    let key = ApiKey::new(&other).expect("an API key");
    let mut others = ReconciliationServiceClient::new(key.on(switch.connect(None).await));
    let request = pb::GetDiscrepancyRequest {
        discrepancy_id: cent.to_owned(),
    };
    let hidden = others
        .get_discrepancy(request)
        .await
        .expect_err("another's");
    assert_eq!(
        error_reason(&hidden).as_deref(),
        Some("DISCREPANCY_NOT_FOUND")
    );

    // Its sheet, for two people to sign.
    let sheet = switch.data().join("sheet.html");
    let path = sheet.to_str().expect("a path");
    let arguments = ["sheet", "acquirer", "--date", &today, "--out", path];
    let told = reconcile(&switch, &[&arguments[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        (&told["file"], &told["discrepancy_count"]),
        (&json!(path), &json!(2))
    );
    let sheet = std::fs::read_to_string(sheet).expect("the sheet");
    for part in [
        cent,
        much,
        "7.01 EUR",
        "rounded by the bank",
        "Approved by",
        "<svg",
    ] {
        assert!(sheet.contains(part), "{part} in {sheet}");
    }

    sheet_on_paper(&switch, &today);

    // Five euros take a second person, who is another one.
    let bears = [&["correct", much, "--bears", "house"][..], &why].concat();
    assert!(reconcile(&switch, &bears).contains("PROPOSED"));
    let mut door = ReconciliationAdminServiceClient::new(operator(&switch).await);
    let mut resolve = async |id: &str, step| {
        let request = admin::ResolveDiscrepancyRequest {
            request_id: format!("resolve-{}", unique()),
            reason: "looked at".into(),
            discrepancy_id: id.to_owned(),
            step: Some(step),
        };
        let resolved = door.resolve_discrepancy(request).await;
        resolved.map(|it| it.into_inner().discrepancy.expect("it").state)
    };
    use admin::resolve_discrepancy_request::Step;
    let own = resolve(much, Step::Approve(true))
        .await
        .expect_err("the same person");
    assert_eq!(error_reason(&own).as_deref(), Some("FOUR_EYES"));
    assert_eq!(
        resolve(much, Step::Reopen(true)).await.expect("open again"),
        "OPEN"
    );
    let none = resolve(much, Step::Approve(false))
        .await
        .expect_err("no step");
    assert_eq!(none.code(), tonic::Code::InvalidArgument);
    // What was corrected is undone by another journal.
    assert_eq!(
        resolve(cent, Step::Reopen(true)).await.expect("open again"),
        "OPEN"
    );
    assert_eq!(available(&switch).await, before);
    let trail = trail(operator(&switch).await).await;
    let action = "ReconciliationAdminService.ResolveDiscrepancy";
    let corrected = trail
        .iter()
        .any(|entry| entry.action == action && entry.target == format!("{cent} CORRECT MERCHANT"));
    assert!(corrected, "{trail:?}");
}

fn name(of: &Value, field: &str) -> String {
    of[field].as_str().expect("a text").to_owned()
}

/// What a step with a reason comes to: whether it is taken, and what is said of it.
fn stepped(switch: &Switch, what: &[&str]) -> (bool, String) {
    let why = ["--reason", "the bank has said so by telephone"];
    let ran = output(&mut as_operator(
        switch,
        &[&["reconcile"], what, &why].concat(),
    ));
    let told = [ran.stdout, ran.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (ran.status.success(), told)
}

fn takes(switch: &Switch, what: &[&str], state: &str) {
    let (is_taken, told) = stepped(switch, what);
    assert!(is_taken && told.contains(state), "{what:?}: {told}");
}

fn refuses(switch: &Switch, what: &[&str], part: &str) {
    let (is_taken, told) = stepped(switch, what);
    assert!(!is_taken && told.contains(part), "{what:?}: {told}");
}

/// Sells for these amounts, and ends the day: its date, and the bank's report of it.
async fn sold_day(switch: &Switch, days: &mut Days, amounts: &[i64]) -> (String, String) {
    let mut payments = switch.payments().await;
    let today = open_date(days).await;
    for amount in amounts {
        authorize(&mut payments, sale("pm_test_visa", *amount)).await;
    }
    cut_over(days, cutover_of(&today)).await.expect("a day");
    agreed(days, &today).await;
    let report = report_of(switch, &today).await;
    (today, String::from_utf8(report).expect("a text"))
}

/// The bank pays two sales with one line, under a reference that nobody knows.
async fn a_person_splits_a_line(engine: Engine) {
    let holds =
        reporting_profile().replace("out_of_balance = \"fund\"", "out_of_balance = \"stop\"");
    let switch = Switch::start_with(engine, Some(holds)).await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let (today, right) = sold_day(&switch, &mut days, &[1_111, 2_222, 900]).await;
    let columns: Vec<&str> = right.lines().next().expect("names").split(',').collect();
    let rows = right
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let row = |amount| {
        let found = rows.clone().find(|row| row.contains(&amount));
        found.expect("a line")
    };
    let (one, other, third) = (row("11.11"), row("22.22"), row("9.00"));
    // As long as nobody has looked at this one, nothing of the day is funded.
    let code = columns.iter().position(|it| *it == "Approval Code");
    let code = third[code.expect("a column")];
    let cents = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<i64>().ok()
    };
    let merged = columns.iter().zip(one.iter().zip(&other));
    let merged = merged.map(|(column, (one, other))| match *column {
        "RRN" => "999999999999".to_owned(),
        "Approval Code" => String::new(),
        _ if one.contains('.') => {
            let sum = cents(one).zip(cents(other)).map(|(one, other)| one + other);
            let sum = sum.expect("amounts");
            format!("{}.{:02}", sum / 100, sum % 100)
        }
        _ => (*one).to_owned(),
    });
    let merged = merged.collect::<Vec<_>>().join(",");
    let mut report = String::new();
    for line in right.lines() {
        if line == one.join(",") {
            report += &format!("{merged}\n");
        } else if let Some(totals) = line.strip_prefix("<END>,3,") {
            report += &format!("<END>,2,{totals}\n");
        } else if line == third.join(",") {
            report += &format!("{}\n", line.replace(&format!(",{code},"), ",X,"));
        } else if line != other.join(",") {
            report += &format!("{line}\n");
        }
    }
    import(&mut days, report.as_bytes(), |_| {})
        .await
        .expect("an answer");
    // What is charged after a match stays as it is charged.
    eventually("fees", async || {
        let charged = "SELECT CAST(COUNT(fees_at_ms) AS BIGINT) FROM settlement_batches";
        (switch.database.number(charged.into()).await > 0).then_some(())
    })
    .await;
    let unknown = listed(&switch, "UNKNOWN_TO_PAYSWITCH");
    let missing = listed(&switch, "MISSING_AT_BANK");
    assert_eq!((unknown.len(), missing.len()), (1, 2), "{report}");
    let line = name(&unknown[0], "discrepancy_id");
    let [first, second] = [0, 1].map(|place: usize| name(&missing[place], "subject_id"));

    // What is missed of it all makes up the line, and nothing less does.
    refuses(&switch, &["match", &line, &first], "MATCH_AMOUNT_DIFFERS");
    refuses(&switch, &["split", &line, &first, &first], "each once");
    takes(&switch, &["split", &line, &first, &second], "ACCEPTED");
    refuses(
        &switch,
        &["split", &line, &first, &second],
        "DISCREPANCY_STATE",
    );
    let import = name(&unknown[0], "import_id");
    let is = |state: &str, by_hand: usize| {
        for it in listed(&switch, "MISSING_AT_BANK") {
            assert_eq!(it["state"], state, "{it}");
        }
        let kept = reconcile(&switch, &["lines", &import]);
        assert_eq!(kept.matches("by-hand").count(), by_hand, "{kept}");
        for subject in [&first, &second] {
            assert_eq!(kept.contains(subject), by_hand > 0, "{kept}");
        }
    };
    is("ACCEPTED", 2);
    // What a person has matched is undone, and may be matched again.
    takes(&switch, &["reopen", &line], "OPEN");
    is("OPEN", 0);
    takes(&switch, &["split", &line, &second, &first], "ACCEPTED");
    is("ACCEPTED", 2);
    // Once the day is funded with it, it stays.
    let code = name(&listed(&switch, "REFERENCE_DIFFERS")[0], "discrepancy_id");
    takes(&switch, &["accept", &code], "ACCEPTED");
    eventually("a day that is settled", async || {
        let all = settling::days(&mut days).await;
        let day = all.iter().find(|day| day.business_date == today)?;
        (day.state() == admin::BusinessDayState::Settled).then_some(())
    })
    .await;
    refuses(&switch, &["reopen", &line], "BATCHES_FUNDED");
    is("ACCEPTED", 2);
}

/// Two lines of one amount, whose references nobody knows, and two sales of it.
async fn a_person_says_what_a_line_is_about(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let (_, right) = sold_day(&switch, &mut days, &[1_750, 1_750, 900]).await;
    let mut report = String::new();
    let columns = right.lines().next().expect("names").split(',');
    let place = |name| columns.clone().position(|it| it == name).expect("a column");
    let (rrn, code) = (place("RRN"), place("Approval Code"));
    for (number, line) in right.lines().enumerate() {
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        if fields.iter().any(|field| field == "17.50") && !line.starts_with('<') {
            fields[rrn] = format!("99999999999{number}");
            fields[code] = String::new();
        }
        report += &(fields.join(",") + "\n");
    }
    import(&mut days, report.as_bytes(), |_| {})
        .await
        .expect("an answer");
    let ambiguous = listed(&switch, "AMBIGUOUS");
    let missing = listed(&switch, "MISSING_AT_BANK");
    assert_eq!((ambiguous.len(), missing.len()), (2, 2), "{ambiguous:?}");

    let lines: Vec<String> = (ambiguous.iter())
        .map(|it| name(it, "discrepancy_id"))
        .collect();
    let missed = name(&missing[0], "discrepancy_id");
    let (first, second) = (
        name(&missing[0], "subject_id"),
        name(&missing[1], "subject_id"),
    );
    let (takes, refuses) = (
        |what: &[&str], state: &str| takes(&switch, what, state),
        |what: &[&str], part: &str| refuses(&switch, what, part),
    );
    // A decision that somebody else has to agree with, or to undo, is not undone on the way.
    takes(&["correct", &missed, "--bears", "house"], "PROPOSED");
    refuses(&["match", &lines[0], &first], "reopen");
    takes(&["reopen", &missed], "OPEN");
    takes(&["match", &lines[0], &first], "ACCEPTED");
    refuses(&["match", &lines[1], &first], "MATCH_TAKEN");
    takes(&["match", &lines[1], &second], "ACCEPTED");
    for kind in ["AMBIGUOUS", "MISSING_AT_BANK"] {
        let states: Vec<String> = (listed(&switch, kind).iter())
            .map(|it| name(it, "state"))
            .collect();
        assert_eq!(states, ["ACCEPTED", "ACCEPTED"], "{kind}");
    }
    let kept = reconcile(&switch, &["lines", &name(&ambiguous[0], "import_id")]);
    assert_eq!(kept.matches("by-hand").count(), 2, "{kept}");
}
