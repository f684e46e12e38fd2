//! Orders that are paid, refused, repeated, and what is told of them.

use std::sync::Arc;

use proptest::prelude::*;
use time::macros::datetime;

use super::{OrderAnswer, Payouts};
use crate::clock::FixedClock;

fn payouts() -> Payouts {
    Payouts::new(Arc::new(FixedClock(datetime!(2026-11-29 18:30 UTC))))
}

fn transfer(id: &str, amount: &str, currency: &str, account: &str) -> String {
    format!(
        "<CdtTrfTxInf><PmtId><EndToEndId>{id}</EndToEndId></PmtId>\
         <Amt><InstdAmt Ccy=\"{currency}\">{amount}</InstdAmt></Amt>\
         <CdtrAgt><FinInstnId><BICFI>BANKMTMTXXX</BICFI></FinInstnId></CdtrAgt>\
         <Cdtr><Nm>Shop &amp; Sons</Nm></Cdtr><CdtrAcct><Id>{account}</Id></CdtrAcct>\
         <RmtInf><Ustrd>Payout</Ustrd></RmtInf></CdtTrfTxInf>\n"
    )
}

/// An order of two transfers: one is paid, one comes back.
fn order() -> String {
    let transfers = [
        transfer(
            "po_1",
            "149.87",
            "EUR",
            "<IBAN>MT84MALT011000012345MTLCAST001S</IBAN>",
        ),
        transfer("po_2", "1.250", "KWD", "<Othr><Id>1234560000</Id></Othr>"),
    ];
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.001.001.09\"><CstmrCdtTrfInitn>\n\
         <GrpHdr><MsgId>MSG-1</MsgId><CreDtTm>2026-11-29T18:00:00Z</CreDtTm>\
         <NbOfTxs>2</NbOfTxs><CtrlSum>151.12</CtrlSum><InitgPty><Nm>Switch</Nm></InitgPty></GrpHdr>\n\
         <PmtInf><PmtInfId>PMT-1</PmtInfId><PmtMtd>TRF</PmtMtd>\
         <ReqdExctnDt><Dt>2026-11-30</Dt></ReqdExctnDt><Dbtr><Nm>Switch</Nm></Dbtr>\
         <DbtrAcct><Id><IBAN>MT84MALT011000012345MTLCAST002S</IBAN></Id></DbtrAcct>\
         <DbtrAgt><FinInstnId><BICFI>BANKMTMTXXX</BICFI></FinInstnId></DbtrAgt>\n\
         {}</PmtInf></CstmrCdtTrfInitn></Document>\n",
        transfers.concat()
    )
}

fn refusal(document: &str) -> (&'static str, String) {
    match payouts().submit(document.as_bytes()) {
        OrderAnswer::Refused { code, reason } => (code, reason),
        OrderAnswer::Accepted { .. } => panic!("accepted: {document}"),
    }
}

#[test]
fn an_order_is_paid_once_and_told_the_same_whenever_it_is_asked() {
    let payouts = payouts();
    let order = order();
    let mut answers = Vec::new();
    for expected_duplicate in [false, true] {
        let OrderAnswer::Accepted {
            message_id,
            transfers,
            is_duplicate,
        } = payouts.submit(order.as_bytes())
        else {
            panic!("refused")
        };
        assert_eq!(
            (message_id.as_str(), is_duplicate),
            ("MSG-1", expected_duplicate)
        );
        answers.push(transfers);
    }
    assert_eq!(answers[0], answers[1]);
    let [paid, returned] = &answers[0][..] else {
        panic!("{answers:?}")
    };
    assert_eq!((paid.amount_minor, paid.return_reason), (14_987, None));
    assert_eq!(
        (returned.amount_minor, returned.return_reason),
        (1_250, Some("AC04"))
    );
    assert!(paid.utr.len() == 22 && paid.utr != returned.utr);
    let other = order.replace("Payout", "Another");
    let OrderAnswer::Refused { code, .. } = payouts.submit(other.as_bytes()) else {
        panic!("accepted")
    };
    assert_eq!(code, "DU01");

    let told = payouts.notification("MSG-1").unwrap();
    let told = String::from_utf8(told).unwrap();
    let once = told.replace("  ", "").replace('\n', "");
    let entries: Vec<&str> = once.split("<Ntry>").skip(1).collect();
    let [first, second] = entries[..] else {
        panic!("{told}")
    };
    let utr = &paid.utr;
    assert!(first.starts_with(&format!(
        "<Amt Ccy=\"EUR\">149.87</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
         <BookgDt><Dt>2026-11-29</Dt></BookgDt><ValDt><Dt>2026-11-29</Dt></ValDt>\
         <AcctSvcrRef>{utr}</AcctSvcrRef>"
    )));
    assert!(first.contains("<EndToEndId>po_1</EndToEndId>") && !first.contains("RtrInf"));
    assert!(second.contains("<Amt Ccy=\"KWD\">1.250</Amt><CdtDbtInd>CRDT</CdtDbtInd>"));
    assert!(second.contains("<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"));
    assert!(once.contains("<Acct><Id><IBAN>MT84MALT011000012345MTLCAST002S</IBAN></Id></Acct>"));
    assert_eq!(payouts.notification("MSG-2"), None);
}

#[test]
fn what_is_wrong_with_an_order_is_said_with_its_place() {
    for (from, to, code, named) in [
        (
            "<NbOfTxs>2<",
            "<NbOfTxs>3<",
            "AM18",
            "line 3, column 68: NbOfTxs: expected 2, got \"3\"",
        ),
        ("151.12", "151.13", "AM10", "CtrlSum: expected 151.1200"),
        (
            "<CtrlSum>151.12</CtrlSum>",
            "",
            "FF01",
            "GrpHdr: expected CtrlSum",
        ),
        (
            "<MsgId>MSG-1</MsgId>",
            "<MsgId/>",
            "FF01",
            "MsgId: expected 1 to 35",
        ),
        ("TRF", "CHK", "FF01", "PmtMtd: expected TRF"),
        (
            "2026-11-30",
            "30.11.2026",
            "FF01",
            "Dt: expected YYYY-MM-DD",
        ),
        ("po_2", "po_1", "DU04", "EndToEndId"),
        ("149.87", "149.875", "AM12", "InstdAmt"),
        ("149.87", "1e2", "AM12", "InstdAmt"),
        ("\"EUR\"", "\"XAU\"", "AM12", "InstdAmt"),
        ("MT84MALT011000012345MTLCAST001S", "84MT", "FF01", "IBAN"),
        (
            "pain.001.001.09",
            "pain.001.001.03",
            "FF01",
            "expected one root",
        ),
        ("</Document>", "", "FF01", "Document: expected its end"),
        ("<GrpHdr>", "<GrpHdr>&unknown;", "FF01", "entity"),
        (
            "<Document ",
            "<!DOCTYPE x><Document ",
            "FF01",
            "document type",
        ),
        ("</GrpHdr>", "</GrpHdr2>", "FF01", "line 3"),
    ] {
        let document = order();
        assert!(document.contains(from), "{from}");
        let (got, reason) = refusal(&document.replace(from, to));
        assert_eq!(got, code, "{from} -> {to}: {reason}");
        assert!(reason.contains(named), "{from} -> {to}: {reason}");
    }
    let deep = format!("{}{}", order().replace("</Document>", ""), "<a>".repeat(40));
    assert!(refusal(&deep).1.contains("32 deep"));
}

#[test]
fn a_prefix_is_as_good_as_none_and_sums_of_a_payment_are_checked_too() {
    let prefixed = order()
        .replace("xmlns=", "xmlns:p=")
        .replace("</", "</p:")
        .replace('<', "<p:")
        .replace("<p:/p:", "</p:")
        .replace("<p:?", "<?");
    let answer = payouts().submit(prefixed.as_bytes());
    assert!(matches!(answer, OrderAnswer::Accepted { .. }), "{answer:?}");
    let wrong = order().replace("<PmtMtd>", "<NbOfTxs>1</NbOfTxs><PmtMtd>");
    assert_eq!(refusal(&wrong).0, "AM18");
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let answer = payouts().submit(&bytes);
        let is_refused = matches!(answer, OrderAnswer::Refused { .. });
        prop_assert!(is_refused);
    }

    #[test]
    fn a_byte_that_is_changed_never_panics(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut document = order().into_bytes();
        let at = at.index(document.len());
        document[at] = to;
        let _ = payouts().submit(&document);
    }
}
