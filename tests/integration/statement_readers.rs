//! Statements of banks, read by libraries that we did not write: they find the same amounts, signs and dates in the same
//! file.

use std::path::PathBuf;

use payswitch::payment::bank_statement::LineState;
use payswitch::payment::money::Decimal;
use payswitch::reconciliation::statement::format::{StatementFormat, read_statements};
use payswitch::reconciliation::statement::part::StatementPart;
use serde_json::{Value, json};

use crate::tools::{printed_by, tool};

/// Prints what it reads: of each statement its account, currency and balances, and its lines.
const PEER: &str = r#"
import json, pathlib, runpy, sys
from decimal import Decimal

def camt(path):
    import importlib
    import pyiso20022
    from xsdata.formats.dataclass.parsers import XmlParser
    from xsdata.formats.dataclass.parsers.config import ParserConfig
    text = pathlib.Path(path).read_text()
    message = text.split("urn:iso:std:iso:20022:tech:xsd:")[1].split('"')[0]
    of = importlib.import_module("pyiso20022.camt." + message.replace(".", "_"))
    tools = pathlib.Path(pyiso20022.__file__).with_name("tools")
    validate_message = runpy.run_path(str(tools / "validation.py"))["validate_message"]
    document = XmlParser(ParserConfig(fail_on_converter_warnings=True)).parse(path, of.Document)
    problems = validate_message(document, strict=False)
    assert problems.is_valid, problems
    if "052" in message:
        statements = document.bk_to_cstmr_acct_rpt.rpt
    else:
        statements = document.bk_to_cstmr_stmt.stmt
    sign = lambda it: 1 if it.cdt_dbt_ind.value == "CRDT" else -1
    day = lambda it: None if it is None else str(it.dt or it.dt_tm.to_datetime().date())
    def lines(entry):
        details = [it for detail in entry.ntry_dtls for it in detail.tx_dtls] or [None]
        for it in details:
            amount = getattr(it, "amt", None) or entry.amt
            of = it if getattr(it, "cdt_dbt_ind", None) else entry
            status = getattr(entry.sts, "cd", None) or entry.sts
            yield {
                "amount": str(sign(of) * amount.value),
                "state": getattr(status, "value", status),
                "booked": day(entry.bookg_dt), "valued": day(entry.val_dt),
                "bank": entry.acct_svcr_ref, "own": it and it.refs and it.refs.end_to_end_id,
                "reverses": bool(entry.rvsl_ind),
            }
    return [
        {
            "account": statement.acct.id.iban,
            "currency": statement.acct.ccy,
            "balances": [str(sign(it) * it.amt.value) for it in statement.bal],
            "lines": [line for entry in statement.ntry for line in lines(entry)],
        }
        for statement in statements
    ]

def mt940(path):
    import mt940
    # By itself the library leaves the sign of a reversal as it is written.
    options = mt940.Options(reversal_sign=True)
    statements = []
    for text in pathlib.Path(path).read_text().split("-}\n")[:-1]:
        read = mt940.models.Transactions(options=options)
        read.parse(text.split("{4:\n")[1])
        data = read.data
        opening = data.get("final_opening_balance") or data["intermediate_opening_balance"]
        closing = data.get("final_closing_balance") or data["intermediate_closing_balance"]
        statements.append({
            "account": data["account_identification"],
            "currency": opening.amount.currency,
            "balances": [str(opening.amount.amount), str(closing.amount.amount)],
            "lines": [
                {
                    "amount": str(it.data["amount"].amount), "state": "BOOK",
                    "booked": str(it.data["entry_date"]) if it.data.get("entry_date") else None,
                    "valued": str(it.data["date"]),
                    "bank": it.data["bank_reference"],
                    "own": (it.data["customer_reference"] or "").replace("NONREF", "") or None,
                    "reverses": it.data["status"].startswith("R"),
                }
                for it in read.transactions
            ],
        })
    return statements

def bai2(path):
    from bai2.bai2 import parse_from_file
    with open(path) as file:
        read = parse_from_file(file)
    places = lambda minor: str(Decimal(minor).scaleb(-2))
    def line(group, it):
        sign = {"credit": 1, "debit": -1}[it.type_code.transaction.value]
        valued = (it.availability or {}).get("date")
        return {
            "amount": places(sign * it.amount), "state": "BOOK",
            "booked": str(group.header.as_of_date), "valued": valued and str(valued),
            "bank": it.bank_reference, "own": it.customer_reference, "reverses": False,
        }
    return [
        {
            "account": account.header.customer_account_number,
            "currency": account.header.currency or group.header.currency,
            "balances": [places(it.amount) for it in account.header.summary_items if it.type_code.code in ("010", "015")],
            "lines": [line(group, it) for it in account.children],
        }
        for group in read.children for account in group.children
    ]

read = {"camt": camt, "mt940": mt940, "bai2": bai2}[sys.argv[1]]
def same(it):
    plain = lambda text: f"{Decimal(text).normalize():f}"
    it["balances"] = [plain(text) for text in it["balances"]]
    for line in it["lines"]:
        line["amount"] = plain(line["amount"])
    return it
json.dump([same(it) for it in read(sys.argv[2])], sys.stdout)
"#;

/// A decimal as the peer writes it: without zeros behind it.
fn decimal(minor: i64, places: u32) -> String {
    let text = Decimal {
        units: minor.into(),
        places,
    }
    .to_string();
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// What we read, in the peer's words.
fn ours(format: StatementFormat, text: &str) -> Value {
    let today = "2026-12-02".parse().expect("a date");
    let (mut statements, mut lines) = (Vec::new(), Vec::new());
    let mut statement = json!({});
    for part in read_statements(format, text.as_bytes(), today) {
        match part.expect("a part") {
            StatementPart::Begin(head) => {
                let places = head.currency.minor_digits();
                let opening = head.opening.expect("a balance").amount_minor;
                statement = json!({
                    "account": head.account.as_str(),
                    "currency": head.currency.code(),
                    "balances": [decimal(opening, places)],
                    "places": places,
                });
            }
            StatementPart::Line(line) => lines.push(json!({
                "amount": decimal(line.amount_minor, line.currency.minor_digits()),
                "state": match line.state {
                    LineState::Booked => "BOOK",
                    LineState::Pending => "PDNG",
                    LineState::Other => "INFO",
                },
                "booked": line.booking_date.map(|date| date.to_string()),
                "valued": line.value_date.map(|date| date.to_string()),
                "bank": line.bank_reference,
                "own": line.own_reference,
                "reverses": line.reverses,
            })),
            StatementPart::End(end) => {
                let mut statement = statement.take();
                let fields = statement.as_object_mut().expect("a statement");
                let places = fields.remove("places").and_then(|it| it.as_u64());
                let places = u32::try_from(places.expect("places")).expect("a few");
                let closing = end.closing.expect("a balance").amount_minor;
                let balances = fields["balances"].as_array_mut().expect("balances");
                balances.push(decimal(closing, places).into());
                fields.insert("lines".to_owned(), std::mem::take(&mut lines).into());
                statements.push(statement);
            }
        }
    }
    statements.into()
}

/// What we read and what the peer reads are the same, and there are so many lines.
fn compare(format: StatementFormat, name: &str, text: &str, lines: usize) {
    let file = format!("payswitch-{name}-{}", std::process::id());
    let path: PathBuf = std::env::temp_dir().join(file);
    std::fs::write(&path, text).expect("a file");
    let peer = name.split('-').next().expect("a name");
    let mut command = tool("python3");
    let read = printed_by(command.args(["-c", PEER, peer]).arg(&path));
    let theirs: Value = serde_json::from_str(&read).expect("what the peer read");
    let ours = ours(format, text);
    assert_eq!(ours, theirs, "{text}");
    let count = |statement: &Value| statement["lines"].as_array().map_or(0, Vec::len);
    let statements = ours.as_array().expect("statements");
    assert_eq!(statements.iter().map(count).sum::<usize>(), lines);
    std::fs::remove_file(&path).expect("the file");
}

fn balance(code: &str, amount: &str, mark: &str) -> String {
    format!(
        "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
         <CdtDbtInd>{mark}</CdtDbtInd><Dt><Dt>2026-11-30</Dt></Dt></Bal>"
    )
}

fn entry(amount: &str, mark: &str, reverses: &str, status: &str, rest: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd><RvslInd>{reverses}</RvslInd>\
         <Sts>{status}</Sts><BookgDt><Dt>2026-11-30</Dt></BookgDt><ValDt><DtTm>2026-12-01T23:30:00+02:00</DtTm></ValDt>\
         <AcctSvcrRef>B{amount}</AcctSvcrRef><BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd>{rest}</Ntry>"
    )
}

fn camt(message: &str, root: &str, part: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:{message}\"><{root}>\
         <GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-12-01T05:00:00Z</CreDtTm></GrpHdr>\
         <{part}><Id>S-1</Id><ElctrncSeqNb>231</ElctrncSeqNb><CreDtTm>2026-12-01T05:00:00Z</CreDtTm>\
         <Acct><Id><IBAN>GB82WEST12345698765432</IBAN></Id><Ccy>EUR</Ccy></Acct>{content}</{part}></{root}></Document>"
    )
}

#[test]
fn camt_statements_are_read_as_another_reads_them() {
    let transaction = |amount: &str, id: &str| {
        let transaction = format!(
            "<TxDtls><Refs><EndToEndId>{id}</EndToEndId></Refs><Amt Ccy=\"EUR\">{amount}</Amt>\
             <CdtDbtInd>DBIT</CdtDbtInd></TxDtls>"
        );
        transaction
    };
    let details = transaction("100", "out-1") + &transaction("49.87", "out-2");
    let details = format!("<NtryDtls>{details}</NtryDtls>");
    for (message, root, part, book, pending, lines) in [
        (
            "camt.053.001.08",
            "BkToCstmrStmt",
            "Stmt",
            "<Cd>BOOK</Cd>",
            None,
            5,
        ),
        ("camt.053.001.02", "BkToCstmrStmt", "Stmt", "BOOK", None, 4),
        (
            "camt.052.001.08",
            "BkToCstmrAcctRpt",
            "Rpt",
            "<Cd>BOOK</Cd>",
            Some("<Cd>PDNG</Cd>"),
            6,
        ),
        (
            "camt.052.001.02",
            "BkToCstmrAcctRpt",
            "Rpt",
            "BOOK",
            Some("PDNG"),
            5,
        ),
    ] {
        // The amount of a transaction stands elsewhere in .02.
        let details = if message.ends_with("02") {
            ""
        } else {
            &details
        };
        let content = [
            balance("OPBD", "10.5", "DBIT"),
            balance(if part == "Rpt" { "ITBD" } else { "CLBD" }, "4.37", "DBIT"),
            entry("149.87", "DBIT", "false", book, details),
            entry("000000000056.00", "CRDT", "false", book, ""),
            entry("50.00", "DBIT", "true", book, ""),
            entry("150", "CRDT", "true", book, ""),
            pending.map_or(String::new(), |status| {
                entry("7", "CRDT", "false", status, "")
            }),
        ];
        compare(
            StatementFormat::Camt,
            &format!("camt-{message}"),
            &camt(message, root, part, &content.concat()),
            lines,
        );
    }
}

#[test]
fn mt940_statements_are_read_as_another_reads_them() {
    let header = "{1:F01BANKDEFFAXXX0000000000}{2:O9400000000000}{4:\n";
    let text = format!(
        "{header}:20:ST-1\n:25:GB82WEST12345698765432\n:28C:231/1\n:60F:D261230EUR10,5\n\
         :61:2612311231D149,87NTRFOUT-1//B1\nDETAILS\n:86:a text\n\
         :61:2612310101C56,NMSCNONREF//B2\n\
         :61:2701011231RC50,00S103OUT-3//B3\n\
         :61:2701010101RD150,00FMSCOUT-4//B4\n\
         :62M:D270101EUR4,37\n-}}\n\
         {header}:20:ST-2\n:25:GB82WEST12345698765432\n:28C:231/2\n:60M:D270101EUR4,37\n\
         :61:2701010101CR10,NTRFOUT-5//B5\n:86:another text\nMORE\n\
         :61:270101DR0,63NTRFNONREF//B6\n\
         :62F:C270101EUR5,00\n:64:C270101EUR5,00\n-}}\n"
    );
    compare(StatementFormat::Mt940, "mt940", &text, 6);
}

#[test]
fn bai2_statements_are_read_as_another_reads_them() {
    let text = "01,BANKUS33,PAYSWITCH,261201,0500,7,80,1,2/\n\
        02,PAYSWITCH,BANKUS33,1,261130,2400,USD,2/\n\
        03,0012345678,USD,010,-1050,,,015,+12000,,/\n\
        88,100,20600,2,,400,14987,1,/\n\
        16,475,14987,V,261201,9999,B1,OUT-1,to a merchant\n88,and, more\n\
        16,175,5600,Z,B2,C2,from a bank\n\
        16,195,15000,S,15000,0,0,B3,C3,by wire\n\
        49,82124,7/\n\
        03,0099,EUR,010,0,,,015,700,,/\n16,142,700,,B4,C4,x\n49,1400,3/\n\
        98,83524,2,12/\n\
        99,83524,1,14/\n";
    compare(StatementFormat::Bai2, "bai2", text, 4);
}
