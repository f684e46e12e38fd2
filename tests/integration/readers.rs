//! What banks and merchants are given, read by libraries that we did not write: the order, the bank's notification of
//! it, and the statement on paper. Lines of the statement are followed to the bank's own record of them.

use std::path::{Path, PathBuf};

use payswitch::admin_api::pb::payout_admin_service_client::PayoutAdminServiceClient;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::merchant_api::pb;
use pb::CaptureState;
use serde_json::{Value, json};

use crate::capturing::{capture, ended, minor, of};
use crate::database::Engine;
use crate::demo::as_operator;
use crate::explaining::is_at_the_bank;
use crate::harness::{Switch, authorize, now, on_both_engines, pay_with, until};
use crate::ledger::entries;
use crate::operators::operator;
use crate::paying_out::{
    CLOSED_IBAN, IBAN, Shop, notify, order_for_bank, other_acceptor, payouts_now, taken_by_bank,
};
use crate::refunding::{refund_of, refunds_of, try_refund};
use crate::sales::sale;
use crate::settling::{cut_over, cutover_of, open_date};
use crate::tools::{printed_by, tool};

on_both_engines!(others_read_what_is_paid_and_each_line_is_in_the_banks_record);

/// The account that the gateway pays from.
const PAYER: &str = "DE75512108001245126199";

/// Reads an order and a notification with classes that were made of the schemas of ISO 20022, and a statement by where
/// its texts stand on the page.
const PEER: &str = r#"
import json, pathlib, runpy, sys
from xml.etree import ElementTree
import pdfplumber, pyiso20022
from pyiso20022.camt import camt_054_001_08 as camt
from pyiso20022.pain import pain_001_001_09 as pain
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig
from xsdata.formats.dataclass.serializers import XmlSerializer

# The package that it is in asks for pandas.
tools = pathlib.Path(pyiso20022.__file__).with_name("tools")
validate_message = runpy.run_path(str(tools / "validation.py"))["validate_message"]

def read(path, of):
    strict = ParserConfig(fail_on_converter_warnings=True)
    document = XmlParser(strict).parse(path, of.Document)
    problems = validate_message(document, strict=False)
    assert problems.is_valid, problems
    # The classes write their elements in the order of the schema.
    written = ElementTree.fromstring(XmlSerializer().render(document))
    given = ElementTree.parse(path).getroot()
    names = [[element.tag for element in root.iter()] for root in [given, written]]
    assert names[0] == names[1], names
    return document

def order(path):
    initiation = read(path, pain).cstmr_cdt_trf_initn
    header = initiation.grp_hdr
    transfers = [
        {
            "of": payment.dbtr_acct.id.iban,
            "id": it.pmt_id.end_to_end_id,
            "amount": str(it.amt.instd_amt.value),
            "currency": it.amt.instd_amt.ccy,
            "to": it.cdtr_acct.id.iban,
        }
        for payment in initiation.pmt_inf for it in payment.cdt_trf_tx_inf
    ]
    return {"count": header.nb_of_txs, "sum": str(header.ctrl_sum), "transfers": transfers}

def notification(path):
    return [
        {
            "of": told.acct.id.iban,
            "id": it.refs.end_to_end_id,
            "reference": it.refs.acct_svcr_ref,
            "amount": str(it.amt.value),
            "currency": it.amt.ccy,
            "sign": it.cdt_dbt_ind.value,
        }
        for told in read(path, camt).bk_to_cstmr_dbt_cdt_ntfctn.ntfctn
        for entry in told.ntry for details in entry.ntry_dtls for it in details.tx_dtls
    ]

LEFT, RIGHT = ["Date", "Kind", "Reference", "Description"], ["Gross", "Fees", "Net", "Balance"]

def statement(path):
    rows = []
    with pdfplumber.open(path) as pdf:
        for page in pdf.pages:
            words = page.extract_words(keep_blank_chars=True)
            title = {word["text"]: word for word in words}
            begin = {round(title[name]["x0"]): name for name in LEFT}
            end = {round(title[name]["x1"]): name for name in RIGHT}
            # Under the last line of the table is the page's number.
            above, below = title["Date"]["bottom"], max(rect["bottom"] for rect in page.rects)
            cells = [word for word in words if above < word["top"] < below]
            for top in sorted({round(cell["top"]) for cell in cells}):
                row = {}
                for cell in cells:
                    if round(cell["top"]) == top:
                        name = end.get(round(cell["x1"])) or begin.get(round(cell["x0"]))
                        row[name] = cell["text"]
                rows.append(row)
    return rows

json.dump([order(sys.argv[1]), notification(sys.argv[2]), statement(sys.argv[3])], sys.stdout)
"#;

/// Reads the sheet of a day by where its texts stand on its pages. What was done goes on below.
const SHEET: &str = r#"
import json, sys
import pdfplumber

LEFT, RIGHT = ["Discrepancy", "Kind", "State", "What was done"], ["Ours", "The bank's", "Line"]
rows, texts = [], []
with pdfplumber.open(sys.argv[1]) as pdf:
    for number, page in enumerate(pdf.pages, 1):
        words = page.extract_words(keep_blank_chars=True)
        texts += [word["text"] for word in words]
        assert f"page {number} of {len(pdf.pages)}" in texts, texts
        title = {word["text"]: word for word in words}
        if "Discrepancy" not in title:
            continue
        begin = {round(title[name]["x0"]): name for name in LEFT}
        end = {round(title[name]["x1"]): name for name in RIGHT}
        above = title["Discrepancy"]["bottom"]
        # The lines of the table are as wide as it is; those to sign on are not.
        below = max(rect["bottom"] for rect in page.rects if rect["width"] > 700)
        cells = [word for word in words if above < word["top"] < below]
        for cell in sorted(cells, key=lambda cell: (round(cell["top"]), cell["x0"])):
            name = end.get(round(cell["x1"])) or begin[round(cell["x0"])]
            if name == "Discrepancy":
                rows.append({})
            row = rows[-1]
            row[name] = f"{row[name]} {cell['text']}" if name in row else cell["text"]
json.dump({"rows": rows, "texts": texts}, sys.stdout)
"#;

/// What stands on the sheet of a day: its rows, and all its texts.
pub(crate) fn sheet(path: &Path) -> Value {
    let read = printed_by(tool("python3").args(["-c", SHEET]).arg(path));
    serde_json::from_str(&read).expect("what the peer read")
}

/// What the peer reads: the order, what the notification tells of each transfer, and the statement's rows.
fn ask(files: [&Path; 3]) -> [Value; 3] {
    let read = printed_by(tool("python3").args(["-c", PEER]).args(files));
    serde_json::from_str(&read).expect("what the peer read")
}

fn euros(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

fn cents(amount: &Value) -> i64 {
    let text = amount.as_str().expect("an amount");
    let (_, decimals) = text.split_once('.').expect("a point");
    assert_eq!(decimals.len(), 2, "{text}");
    text.replace('.', "").parse().expect("digits")
}

/// A row of the CSV as it stands on paper.
fn on_paper(row: &str) -> Value {
    let fields: Vec<_> = row.split(',').collect();
    let [
        date,
        kind,
        reference,
        text,
        "EUR",
        gross,
        fees,
        net,
        balance,
    ] = fields[..]
    else {
        panic!("nine fields: {row}");
    };
    let (first, rest) = kind.split_at(1);
    let kind = first.to_owned() + &rest.to_lowercase().replace('_', " ");
    if kind.ends_with(" balance") {
        return json!({ "Date": date, "Description": kind, "Balance": balance });
    }
    json!({
        "Date": date, "Kind": kind, "Reference": reference, "Description": text,
        "Gross": gross, "Fees": fees, "Net": net, "Balance": balance,
    })
}

/// The balance that the lines make of the opening balance. Each line has its own.
fn balance_after(opening: &Value, lines: &[Value]) -> i64 {
    let mut balance_minor = cents(&opening["Balance"]);
    for line in lines {
        let [gross, fees, net] = ["Gross", "Fees", "Net"].map(|name| cents(&line[name]));
        assert_eq!(net, gross - fees, "{line}");
        balance_minor += net;
        assert_eq!(cents(&line["Balance"]), balance_minor, "{line}");
    }
    balance_minor
}

/// What bank and merchant have to do before anything is paid: a capture, a sale, a refund, and the end of the day.
async fn settle(switch: &Switch, paid: &Shop, returned: &Shop) {
    let mut days = SettlementAdminServiceClient::new(operator(switch).await);
    let today = open_date(&mut days).await;
    let mut payments = switch.payments_of(&paid.key).await;
    let held = authorize(&mut payments, pay_with("pm_test_visa", 150_000, "EUR")).await;
    let (_, told) = capture(&mut payments, of(&held, 123_456)).await;
    ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    let sold = authorize(&mut payments, sale("pm_test_visa", 6_170)).await;
    let refund = refund_of(&sold, 1_205);
    let refund = try_refund(&mut refunds_of(switch).await, refund).await;
    refund.expect("a refund");
    let mut payments = switch.payments_of(&returned.key).await;
    authorize(&mut payments, sale("pm_test_visa", 5_000)).await;
    let closed = cut_over(&mut days, cutover_of(&today)).await;
    closed.expect("a day");
    for shop in [paid, returned] {
        until("money to pay out", async || {
            shop.balance(switch).await[1] > 0
        })
        .await;
    }
}

/// The statement of the merchant around today, in a file.
fn statement(switch: &Switch, shop: &Shop, ending: &str) -> PathBuf {
    const DAY_MS: i64 = 86_400_000;
    let day = |days: i64| now().plus_ms(days * DAY_MS).utc().date().to_string();
    let path = switch.data().join(format!("statement.{ending}"));
    let mut command = as_operator(switch, &["statement", shop.id.as_str()]);
    command.args(["--from", &day(-1), "--to", &day(1), "--currency", "EUR"]);
    printed_by(command.arg("--out").arg(&path));
    path
}

async fn others_read_what_is_paid_and_each_line_is_in_the_banks_record(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (id, key) = (switch.merchant_id, switch.api_key.clone());
    let mut paid = Shop::with(&switch, id, key, IBAN).await;
    let (id, key) = switch.add_merchant("other-shop", other_acceptor).await;
    let mut returned = Shop::with(&switch, id, key, CLOSED_IBAN).await;
    settle(&switch, &paid, &returned).await;
    let mut client = PayoutAdminServiceClient::new(operator(&switch).await);
    let made = client.make_payouts(payouts_now()).await.expect("payouts");
    let made = made.into_inner().decisions;
    let order = order_for_bank(&switch);
    let (taken, told) = taken_by_bank(&switch, &order).await;
    notify(&mut client, &told).await;
    let notification = switch.data().join("notification.xml");
    std::fs::write(&notification, &told).expect("a file");
    // What is pending yet is on the statement too.
    let mut payments = switch.payments_of(&paid.key).await;
    authorize(&mut payments, sale("pm_test_visa", 777)).await;
    let pdf = statement(&switch, &paid, "pdf");
    let csv = statement(&switch, &paid, "csv");
    let [ordered, notified, rows] = ask([&order, &notification, &pdf]);

    // The order has the payouts, and the notification what became of each.
    let (mut transfers, mut booked, mut sum) = (Vec::new(), Vec::new(), 0);
    let mut paid_out = None;
    for (shop, iban, sign) in [
        (&mut paid, IBAN, "DBIT"),
        (&mut returned, CLOSED_IBAN, "CRDT"),
    ] {
        let decision = made.iter().find(|it| it.merchant_id == shop.id.as_str());
        let payout = shop.payout(&decision.expect("a decision").payout_id).await;
        let amount_minor = minor(&payout.amount);
        sum += amount_minor;
        let (id, amount) = (payout.payout_id.replace('_', "-"), euros(amount_minor));
        let transfer = taken.transfers.iter().find(|it| it.end_to_end_id == id);
        let reference = &transfer.expect("the transfer").utr;
        transfers.push(json!({
            "of": PAYER, "id": id, "amount": amount, "currency": "EUR", "to": iban,
        }));
        booked.push(json!({
            "of": PAYER, "id": id, "reference": reference, "amount": amount, "currency": "EUR", "sign": sign,
        }));
        paid_out = paid_out.or(Some((payout.payout_id, -amount_minor)));
    }
    // Both files have them by their ids.
    for all in [&mut transfers, &mut booked] {
        all.sort_by_key(|it| it["id"].to_string());
    }
    assert_eq!(
        ordered,
        json!({ "count": "2", "sum": euros(sum), "transfers": transfers })
    );
    assert_eq!(notified, Value::from(booked));

    // On paper is what the CSV has, it adds up, and it is what the ledger has.
    let csv = std::fs::read_to_string(csv).expect("the statement");
    let expected: Vec<_> = csv.lines().skip(1).map(on_paper).collect();
    assert_eq!(rows, Value::from(expected));
    let rows = rows.as_array().expect("rows");
    let [opening, lines @ .., closing] = &rows[..] else {
        panic!("two balances: {rows:?}");
    };
    let balance_minor = balance_after(opening, lines);
    assert_eq!(cents(&closing["Balance"]), balance_minor);
    let [pending, available, _] = paid.balance(&switch).await;
    assert_eq!((pending + available, pending), (balance_minor, 777));
    let in_ledger = entries(&switch, &paid.key, "").await;
    let in_ledger = in_ledger.iter().map(|(_, amount_minor, _)| *amount_minor);
    assert!(lines.iter().map(|line| cents(&line["Net"])).eq(in_ledger));
    let payout = lines.iter().find(|line| line["Kind"] == "Payout");
    let payout = payout.expect("the payout");
    let reference = payout["Reference"].as_str().expect("an id").to_owned();
    assert_eq!(Some((reference, cents(&payout["Net"]))), paid_out);

    for (line, kind) in lines.iter().zip(["Capture", "Capture", "Refund"]) {
        assert_eq!(line["Kind"], kind);
        let reference = line["Reference"].as_str().expect("an id");
        is_at_the_bank(&switch, reference, cents(&line["Gross"])).await;
    }
}
