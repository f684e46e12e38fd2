//! Statements of the bank: taken in once by the command, their lines matched with the payout and the day, and the rest said by
//! an operator.

use std::path::PathBuf;

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::payout_admin_service_client::PayoutAdminServiceClient;
use payswitch::admin_api::pb::reconciliation_admin_service_client::ReconciliationAdminServiceClient;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb::ListDiscrepanciesRequest;
use payswitch::merchant_api::pb::reconciliation_service_client::ReconciliationServiceClient;
use payswitch::payment::moment::BusinessDate;
use serde_json::Value;

use crate::database::Engine;
use crate::demo::as_operator;
use crate::harness::{Switch, authorize, on_both_engines, unique, until};
use crate::operators::operator;
use crate::paying_out::{IBAN, Shop, payouts_now};
use crate::sales::sale;
use crate::settling::{cut_over, cutover_of, open_date};
use crate::tools::{output, printed_by};

on_both_engines!(
    a_statement_is_taken_in_once_and_its_lines_find_what_they_are,
    what_an_account_has_otherwise_is_decided_in_the_one_list,
);

/// A camt.053 that opens with 1000.00, on the account that pays.
pub(crate) fn statement(date: &str, closing: &str, entries: &[(&str, &str, &str)]) -> String {
    statement_of(date, ("1000.00", closing), entries)
}

/// A camt.053 of the account that pays.
fn statement_of(
    date: &str,
    (opening, closing): (&str, &str),
    entries: &[(&str, &str, &str)],
) -> String {
    let balance = |code: &str, amount: &str| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
             <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{date}</Dt></Dt></Bal>\n"
        )
    };
    let entry = |(amount, mark, reference): &(&str, &str, &str)| {
        format!(
            "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
             <BookgDt><Dt>{date}</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs>\
             </TxDtls></NtryDtls></Ntry>\n"
        )
    };
    let entries: String = entries.iter().map(entry).collect();
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt>\n\
         <Stmt><Id>S-1</Id><Acct><Id><IBAN>DE75512108001245126199</IBAN></Id><Ccy>EUR</Ccy></Acct>\n{}{}{entries}\
         </Stmt></BkToCstmrStmt></Document>\n",
        balance("OPBD", opening),
        balance("CLBD", closing),
    )
}

pub(crate) fn reconcile(switch: &Switch, arguments: &[&str]) -> Value {
    let all = [&["reconcile", "--json"], arguments].concat();
    let printed = printed_by(&mut as_operator(switch, &all));
    serde_json::from_str(&printed).expect("JSON")
}

pub(crate) fn lines(switch: &Switch) -> Vec<Value> {
    let shown = reconcile(switch, &["statement-lines", "main"]);
    shown["lines"].as_array().expect("lines").clone()
}

async fn a_statement_is_taken_in_once_and_its_lines_find_what_they_are(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (id, key) = (switch.merchant_id, switch.api_key.clone());
    let shop = Shop::with(&switch, id, key, IBAN).await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    let mut payments = switch.payments_of(&shop.key).await;
    authorize(&mut payments, sale("pm_test_visa", 10_000)).await;
    let closed = cut_over(&mut days, cutover_of(&today)).await;
    closed.expect("a day");
    until("money to pay out", async || {
        shop.balance(&switch).await[1] > 0
    })
    .await;
    let mut payouts = PayoutAdminServiceClient::new(operator(&switch).await);
    let made = payouts.make_payouts(payouts_now()).await.expect("payouts");
    let payout = made.into_inner().decisions[0].payout_id.clone();
    let reference = payout.replace('_', "-");

    let file = |name: &str, text: &str| -> PathBuf {
        let path = switch.data().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let day = format!("acquirer/{today}/EUR");
    let entries = [
        ("99.00", "DBIT", reference.as_str()),
        ("100.00", "CRDT", "NOTPROVIDED"),
        ("5.00", "DBIT", "NOTPROVIDED"),
    ];
    let text = statement(&today, "996.00", &entries);
    let wrong = file("wrong.xml", &text.replace("996.00", "996.01"));
    let import = ["reconcile", "statement", "main"];
    let mut command = as_operator(&switch, &import);
    let refused = output(command.arg(&wrong).args(["--reason", "the bank's file"]));
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(told.contains("line 2, column 1"), "{told}");
    assert!(told.contains("expected 99600 minor units"), "{told}");
    assert_eq!(lines(&switch), [] as [Value; 0]);

    let right = file("right.xml", &text);
    let right = right.to_str().expect("a path");
    let given = ["statement", "main", right, "--reason", "the bank's file"];
    let taken = reconcile(&switch, &given);
    let counts = ["line_count", "matched_count", "unmatched_count"];
    let counted = counts.map(|name| taken["statements"][0][name].as_i64());
    assert_eq!(counted, [Some(3), Some(2), Some(1)]);
    let again = reconcile(&switch, &given);
    assert_eq!(again["was_there"], true);
    assert_eq!(again["matched_count"], 0);
    let shown = lines(&switch);
    let told: Vec<_> = shown
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().expect("a text").to_owned();
            let amount = line["amount_minor"].as_i64().expect("an amount");
            (amount, text("state"), text("matched_with"), text("rule"))
        })
        .collect();
    let expected = |minor: i64, state: &str, with: &str, rule: &str| {
        (minor, state.to_owned(), with.to_owned(), rule.to_owned())
    };
    assert_eq!(
        told,
        [
            expected(-9_900, "MATCHED", &payout, "PAYOUT"),
            expected(10_000, "MATCHED", &day, "SETTLEMENT"),
            expected(-500, "UNMATCHED", "", ""),
        ]
    );
    let open = reconcile(&switch, &["statement-lines", "main", "--open"]);
    assert_eq!(open["lines"].as_array().map(Vec::len), Some(1));

    // By hand nothing is matched twice, and nothing with another amount.
    let mut client = ReconciliationAdminServiceClient::new(operator(&switch).await);
    for (line, with, expected) in [
        (&shown[0], day.as_str(), "MATCH_AMOUNT_DIFFERS"),
        (&shown[0], payout.as_str(), "MATCH_TAKEN"),
        (&shown[2], payout.as_str(), "MATCH_AMOUNT_DIFFERS"),
        (&shown[2], "acquirer/2020-01-01/EUR", "MATCH_NOT_FOUND"),
    ] {
        let request = admin::MatchStatementLineRequest {
            request_id: format!("match-{}", unique()),
            reason: "told by telephone".into(),
            line_id: line["line_id"].as_str().expect("an id").into(),
            with: with.into(),
        };
        let refused = client.match_statement_line(request).await;
        let refused = refused.expect_err("it is not that");
        assert_eq!(error_reason(&refused).as_deref(), Some(expected), "{with}");
    }
    let request = admin::ListStatementLinesRequest {
        account: "other".into(),
        ..Default::default()
    };
    let unknown = client.list_statement_lines(request).await;
    let unknown = error_reason(&unknown.expect_err("no such account"));
    assert_eq!(unknown.as_deref(), Some("STATEMENT_ACCOUNT_NOT_FOUND"));
    let audit = printed_by(&mut as_operator(&switch, &["audit", "list"]));
    for told in [
        "ReconciliationAdminService.ImportStatement",
        "FAILED STATEMENT_FAULTY",
        "REFUSED MATCH_TAKEN",
    ] {
        assert!(audit.contains(told), "{told}: {audit}");
    }
}

/// So many days after a date.
fn days_after(date: &str, days: i64) -> String {
    let date: BusinessDate = date.parse().expect("a date");
    (date.date() + time::Duration::days(days)).to_string()
}

/// The discrepancies of the account, in the order of their kinds.
fn otherwise(switch: &Switch, all: bool) -> Vec<Value> {
    let mut arguments = vec!["reconcile", "--json", "list", "--account", "main"];
    arguments.extend(all.then_some("--all"));
    let printed = printed_by(&mut as_operator(switch, &arguments));
    let lines = printed.lines();
    let mut found: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    found.sort_by_key(|one| one["kind"].to_string());
    found
}

fn kinds(found: &[Value]) -> Vec<(&str, &str)> {
    let text = |one: &'_ Value, name: &str| one[name].as_str().map(str::to_owned);
    assert!(
        found
            .iter()
            .all(|one| text(one, "side").as_deref() == Some("STATEMENT"))
    );
    let kinds = found.iter();
    kinds
        .map(|one| {
            let text = |name| one[name].as_str().expect("a text");
            (text("kind"), text("state"))
        })
        .collect()
}

/// Takes a step of a discrepancy: whether it is taken, and what is said.
fn stepped(switch: &Switch, step: &[&str]) -> (bool, String) {
    let all = [&["reconcile"], step, &["--reason", "told by telephone"]].concat();
    let ran = output(&mut as_operator(switch, &all));
    let told = [ran.stdout, ran.stderr].concat();
    (
        ran.status.success(),
        String::from_utf8_lossy(&told).into_owned(),
    )
}

async fn what_an_account_has_otherwise_is_decided_in_the_one_list(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (id, key) = (switch.merchant_id, switch.api_key.clone());
    let shop = Shop::with(&switch, id, key, IBAN).await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let mut payments = switch.payments_of(&shop.key).await;
    let mut dates = Vec::new();
    for (amount, funded) in [(10_000, 9_900), (2_000, 9_900 + 1_980)] {
        let today = open_date(&mut days).await;
        authorize(&mut payments, sale("pm_test_visa", amount)).await;
        let closed = cut_over(&mut days, cutover_of(&today)).await;
        closed.expect("a day");
        dates.push(today);
        until("money to pay out", async || {
            shop.balance(&switch).await[1] == funded
        })
        .await;
    }
    let mut payouts = PayoutAdminServiceClient::new(operator(&switch).await);
    let made = payouts.make_payouts(payouts_now()).await.expect("payouts");
    let payout = made.into_inner().decisions[0].payout_id.clone();
    let take = |name: &str, text: &str| {
        let path = switch.data().join(name);
        std::fs::write(&path, text).expect("a file");
        let path = path.to_str().expect("a path");
        reconcile(
            &switch,
            &["statement", "main", path, "--reason", "the bank's file"],
        )
    };

    // The first day is on it; the payout without its reference, and a charge, are not known.
    let entries = [
        ("118.80", "DBIT", "NOTPROVIDED"),
        ("100.00", "CRDT", "NOTPROVIDED"),
        ("5.00", "DBIT", "NOTPROVIDED"),
    ];
    let first = statement_of(&dates[0], ("1000.00", "976.20"), &entries);
    take("first.xml", &first);
    let open = otherwise(&switch, false);
    assert_eq!(kinds(&open), [("UNEXPECTED_LINE", "OPEN"); 2]);
    let again = take("first.xml", &first);
    assert_eq!(again["was_there"], true);
    assert_eq!(otherwise(&switch, false), open);
    let of = |minor: i64| {
        let found = open.iter().find(|one| one["bank_minor"] == minor);
        let id = found.expect("a discrepancy")["discrepancy_id"].as_str();
        id.expect("its name")
    };
    let (sent, charge) = (of(-11_880), of(-500));
    let shown = printed_by(&mut as_operator(&switch, &["reconcile", "show", sent]));
    for part in [
        "main",
        "first.xml",
        "bln_",
        "bst_",
        "booking_date",
        "-118.80",
        "OPEN",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    // It is matched by hand and gone from the list; with its line.
    let day = format!("acquirer/{}/EUR", dates[1]);
    let (is_taken, told) = stepped(&switch, &["match", sent, &day]);
    assert!(!is_taken && told.contains("MATCH_AMOUNT_DIFFERS"), "{told}");
    let (is_taken, told) = stepped(&switch, &["match", sent, &payout]);
    assert!(is_taken && told.contains("ACCEPTED"), "{told}");
    let matched = lines(&switch);
    assert_eq!(matched[0]["matched_with"], payout.as_str());
    assert_eq!(
        kinds(&otherwise(&switch, false)),
        [("UNEXPECTED_LINE", "OPEN")]
    );
    // The charge is more than one person decides, and the ledger has no account for it.
    let (is_taken, told) = stepped(&switch, &["correct", charge, "--bears", "house"]);
    assert!(!is_taken && told.contains("NOT_IN_LEDGER"), "{told}");
    let (is_taken, told) = stepped(&switch, &["accept", charge]);
    assert!(is_taken && told.contains("PROPOSED"), "{told}");
    let (is_taken, told) = stepped(&switch, &["approve", charge]);
    assert!(!is_taken && told.contains("FOUR_EYES"), "{told}");

    // The second day is missing once its window is over; a statement that was left out has it, and breaks the chain.
    let later = days_after(&dates[1], 8);
    let last = statement_of(&later, ("976.20", "976.20"), &[]);
    take("last.xml", &last);
    let open = otherwise(&switch, false);
    let missing = ("MISSING_AT_BANK", "OPEN");
    let proposed = ("UNEXPECTED_LINE", "PROPOSED");
    assert_eq!(kinds(&open), [missing, proposed]);
    assert_eq!(open[0]["missing"], day.as_str());
    assert_eq!(
        (&open[0]["own_minor"], &open[0]["host_id"]),
        (&2_000.into(), &"acquirer".into())
    );
    let late = days_after(&dates[1], 2);
    let entries = [("20.00", "CRDT", "NOTPROVIDED")];
    take(
        "late.xml",
        &statement_of(&late, ("976.20", "996.20"), &entries),
    );
    let open = otherwise(&switch, false);
    let broken = ("STATEMENT_CHAIN_BROKEN", "OPEN");
    assert_eq!(kinds(&open), [broken, proposed]);
    let balances = (&open[0]["own_minor"], &open[0]["bank_minor"]);
    assert_eq!(balances, (&99_620.into(), &97_620.into()));
    // It ends when what is between them comes.
    let between = days_after(&dates[1], 3);
    let entries = [("20.00", "DBIT", "NOTPROVIDED")];
    take(
        "between.xml",
        &statement_of(&between, ("996.20", "976.20"), &entries),
    );
    let found = otherwise(&switch, true);
    let ended = [
        ("MISSING_AT_BANK", "ACCEPTED"),
        ("STATEMENT_CHAIN_BROKEN", "ACCEPTED"),
        ("UNEXPECTED_LINE", "ACCEPTED"),
        ("UNEXPECTED_LINE", "OPEN"),
        ("UNEXPECTED_LINE", "PROPOSED"),
    ];
    let mut shown = kinds(&found);
    shown.sort_unstable();
    assert_eq!(shown, ended);
    // No merchant sees any of it, and what was done is audited.
    let key = ApiKey::new(&shop.key).expect("an API key");
    let mut books = ReconciliationServiceClient::new(key.on(switch.connect(None).await));
    let listed = books.list_discrepancies(ListDiscrepanciesRequest::default());
    let listed = listed.await.expect("a list").into_inner();
    assert_eq!(listed.discrepancies, []);
    let audit = printed_by(&mut as_operator(&switch, &["audit", "list"]));
    for told in [
        "ResolveDiscrepancy",
        "REFUSED NOT_IN_LEDGER",
        "REFUSED FOUR_EYES",
    ] {
        assert!(audit.contains(told), "{told}: {audit}");
    }
}
