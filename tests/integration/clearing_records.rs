//! Mastercard's clearing file (IPM) as a report, as `cardutil` writes it, which we did not write: in both codes of letters,
//! with blocks and without.

use std::path::Path;

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::settlement::report::file_format::ReportFormat;
use payswitch::settlement::report::line::ReportLine;
use serde_json::{Value, json};

use crate::database::Engine;
use crate::harness::{Switch, TempFolder, authorize, on_both_engines};
use crate::operators::operator;
use crate::reporting::{agreed, differences, import};
use crate::sales::sale;
use crate::settling::{cut_over, cutover_of, open_date};
use crate::tools::{printed_by, tool};

on_both_engines!(a_clearing_file_is_taken_in_as_a_report);

/// Writes messages, and reads them again.
const PEER: &str = r#"
import datetime, json, sys
from cardutil.mciipm import IpmReader, IpmWriter

given, path = json.loads(sys.argv[1]), sys.argv[2]
with open(path, "wb") as out:
    writer = IpmWriter(out, encoding=given["encoding"], blocked=given["blocked"])
    for message in given["messages"]:
        if "DE12" in message:
            message["DE12"] = datetime.datetime.fromisoformat(message["DE12"])
        writer.write(message)
    writer.close()
with open(path, "rb") as written:
    read = list(IpmReader(written, encoding=given["encoding"], blocked=given["blocked"]))
print(len(read))
"#;

/// A file of these messages, between a header and a trailer.
fn written(path: &Path, encoding: &str, blocked: bool, messages: &[Value]) -> Vec<u8> {
    let amounts = messages.iter().map(|it| it["DE4"].as_u64().expect("DE 4"));
    let (sum, count) = (amounts.sum::<u64>(), messages.len() + 2);
    let id = "0022611290000002032400001";
    let mut all = vec![json!({ "MTI": "1644", "DE24": "697", "PDS0105": id, "DE71": 1 })];
    all.extend_from_slice(messages);
    all.push(json!({
        "MTI": "1644", "DE24": "695", "PDS0105": id, "PDS0301": format!("{sum:016}"),
        "PDS0306": format!("{count:08}"), "DE71": count,
    }));
    let given = json!({ "encoding": encoding, "blocked": blocked, "messages": all }).to_string();
    let read = printed_by(tool("python3").args(["-c", PEER, &given]).arg(path));
    assert_eq!(read.trim(), count.to_string());
    std::fs::read(path).expect("the file")
}

/// A presentment of a day.
fn presentment(rrn: &str, date: &str, amount_minor: i64, currency: (u16, u32)) -> Value {
    let (number, exponent) = currency;
    json!({
        "MTI": "1240", "DE2": "5413330000000019", "DE3": "000000", "DE4": amount_minor,
        "DE12": format!("{date}T10:11:12"), "DE22": "510101510101", "DE24": "200", "DE26": 5942,
        "DE31": "74000006333000000000012", "DE33": "020324", "DE37": rrn, "DE42": "DEMOSHOP0000001",
        "DE43": "Café Nuño\\Gran Vía 1\\Madrid\\28013        ESP", "DE49": format!("{number:03}"),
        "PDS0023": "CT1", "PDS0148": format!("{number:03}{exponent}"), "PDS0165": "M", "DE71": 2,
        "DE93": "020324", "DE94": "020324",
    })
}

#[test]
fn what_others_write_is_read_with_the_same_values() {
    let folder = TempFolder::new("ipm");
    let format = ReportFormat::from_table(toml::toml! { format = "ipm" }).expect("a format");
    let amounts = [
        (14_987, "EUR", (978, 2)),
        (700, "JPY", (392, 0)),
        (1_250, "KWD", (414, 3)),
    ];
    let mut messages = Vec::new();
    for number in 0..30 {
        let (minor, _, currency) = amounts[number % amounts.len()];
        let rrn = format!("6333000000{number:02}");
        let mut message = presentment(&rrn, "2026-11-29", minor, currency);
        message["DE38"] = json!("A1B2C3");
        messages.push(message);
    }
    messages[1]["DE3"] = json!("200000");
    messages[2]["MTI"] = json!("1442");
    messages[2]["DE24"] = json!("450");
    for encoding in ["latin_1", "cp500"] {
        for blocked in [false, true] {
            let path = folder.path().join("written.ipm");
            let bytes = written(&path, encoding, blocked, &messages);
            assert_eq!(blocked, bytes.len().is_multiple_of(1014));
            let lines = format.read(&bytes[..]).expect("a clearing file");
            let lines: Vec<ReportLine> = lines.collect::<Result<_, _>>().expect("its lines");
            assert_eq!(lines.len(), messages.len(), "{encoding}");
            for (number, (line, message)) in lines.iter().zip(&messages).enumerate() {
                let (minor, code, _) = amounts[number % amounts.len()];
                let (kind, gross) = match number {
                    1 => ("refund", -minor),
                    2 => ("chargeback", -minor),
                    _ => ("capture", minor),
                };
                let shown = json!(line.shown());
                assert_eq!(shown["type"], kind);
                assert_eq!(shown["gross_minor"], gross.to_string());
                assert_eq!(shown["currency"], code);
                assert_eq!(shown["business_date"], "2026-11-29");
                for (name, element) in [
                    ("rrn", "DE37"),
                    ("acquirer_reference", "DE31"),
                    ("approval_code", "DE38"),
                    ("acceptor", "DE42"),
                ] {
                    assert_eq!(shown[name], message[element], "{name}");
                }
            }
        }
    }
}

/// The demo's profile, whose host sends clearing files.
fn profile() -> String {
    let profile = reporting_profile();
    let (before, report) = profile.split_once("[settlement.report]").expect("a report");
    let (_, after) = report.split_once("\n\n").expect("the end of its table");
    format!("{before}[settlement.report]\nformat = \"ipm\"\n\n{after}")
}

async fn a_clearing_file_is_taken_in_as_a_report(engine: Engine) {
    let switch = Switch::start_with(engine, Some(profile())).await;
    let mut payments = switch.payments().await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    let mut messages = Vec::new();
    // The bank has a cent more of the second one.
    for (amount, told) in [(2_500, 2_500), (700, 701)] {
        let sold = authorize(&mut payments, sale("pm_test_visa", amount)).await;
        messages.push(presentment(sold.rrn(), &today, told, (978, 2)));
    }
    cut_over(&mut days, cutover_of(&today))
        .await
        .expect("a day");
    agreed(&mut days, &today).await;
    let name = |file: &mut admin::ReportFile| file.name = "T112.ipm".into();

    let other = import(&mut days, b"1IP727010-AA CLEARING CYCLE 001", name).await;
    let other = other.expect("it has a fault");
    assert_eq!((other.settlement_import, other.fault_count), (None, 1));
    assert_eq!(other.faults[0].column, "byte 0");
    assert_eq!(other.faults[0].got, "31 49 50 37");

    let path = switch.data().join("T112.ipm");
    let file = written(&path, "cp500", true, &messages);
    let done = import(&mut days, &file, name).await.expect("an answer");
    let done = done.settlement_import.expect("it is applied");
    assert_eq!((done.line_count, done.matched_count), (2, 2));
    let found = differences(&mut days, &today).await;
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.kind(), &*it.ours, &*it.theirs))
        .collect();
    assert_eq!(
        found,
        [(admin::DifferenceKind::AmountDiffers, "700", "701")]
    );
}
