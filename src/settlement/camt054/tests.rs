use std::io::BufReader;

use super::*;
use crate::payment::moment::BusinessDate;
use crate::settlement::iso20022::booking::EntryStatus;
use crate::settlement::iso20022::error::Iso20022Fault;
use crate::settlement::position::Position;

mod bounds;
mod faults;
mod random;

/// A notification of version `version` of one account in euros, with these entries.
fn file(version: &str, entries: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.{version}">
<BkToCstmrDbtCdtNtfctn>
<GrpHdr><MsgId>N1</MsgId><CreDtTm>2026-11-30T18:00:00Z</CreDtTm></GrpHdr>
<Ntfctn><Id>N1-1</Id><Acct><Id><IBAN>GB82WEST12345698765432</IBAN></Id><Ccy>EUR</Ccy></Acct>
{entries}
</Ntfctn>
</BkToCstmrDbtCdtNtfctn>
</Document>
"#
    )
}

/// An entry of 149.80 that was debited, with these other elements after its status.
fn entry(rest: &str) -> String {
    format!(
        r#"<Ntry><Amt Ccy="EUR">149.80</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>{rest}</Ntry>"#
    )
}

fn read(text: &str) -> Result<Vec<Booking>, Iso20022Error> {
    read_camt054(text.as_bytes()).collect()
}

fn bookings(text: &str) -> Vec<Booking> {
    read(text).unwrap()
}

fn date(text: &str) -> Option<BusinessDate> {
    Some(text.parse().unwrap())
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A payout that was booked, and one that came back.
const BOOKED: &str = r#"<Ntry>
<NtryRef>1</NtryRef><Amt Ccy="EUR">149.80</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-11-30</Dt></BookgDt><ValDt><Dt>2026-12-01</Dt></ValDt><AcctSvcrRef>UTR0001</AcctSvcrRef>
<NtryDtls><TxDtls><Refs><EndToEndId>out-1</EndToEndId></Refs></TxDtls></NtryDtls>
</Ntry>
<Ntry>
<Amt Ccy="EUR">20</Amt><CdtDbtInd>CRDT</CdtDbtInd><RvslInd>true</RvslInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><DtTm>2026-11-30T23:30:00.5-05:00</DtTm></BookgDt><AcctSvcrRef>UTR0002</AcctSvcrRef>
<NtryDtls><TxDtls><Refs><EndToEndId>out-2</EndToEndId></Refs><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls></NtryDtls>
</Ntry>"#;

#[test]
fn an_entry_is_a_booking() {
    let file = file("08", BOOKED);
    let first = Booking {
        account: "GB82WEST12345698765432".parse().unwrap(),
        amount_minor: 14_980,
        currency: "EUR".parse().unwrap(),
        is_credit: false,
        is_reversal: false,
        status: EntryStatus::Booked,
        booking_date: date("2026-11-30"),
        value_date: date("2026-12-01"),
        servicer_reference: text("UTR0001"),
        end_to_end_id: text("out-1"),
        return_reason: None,
        text: None,
        entry_number: 1,
        transaction_number: 1,
        position: Position {
            line: 9,
            column: 11,
            offset: u64::try_from(file.find("<TxDtls>").unwrap()).unwrap(),
        },
    };
    let second = Booking {
        amount_minor: 2_000,
        is_credit: true,
        is_reversal: true,
        value_date: None,
        servicer_reference: text("UTR0002"),
        end_to_end_id: text("out-2"),
        return_reason: text("AC04"),
        entry_number: 2,
        position: Position {
            line: 14,
            column: 11,
            offset: u64::try_from(file.rfind("<TxDtls>").unwrap()).unwrap(),
        },
        ..first.clone()
    };
    assert_eq!(bookings(&file), [first, second]);
}

/// What a bank writes is kept, and shown to people.
#[test]
fn no_booking_has_a_card_number() {
    let text = BOOKED
        .replace("UTR0001", "0004242424242424242")
        .replace("<Cd>AC04</Cd>", "<Prtry>4111 1111 1111 1111</Prtry>");
    let bookings = bookings(&file("08", &text));
    let reference = bookings[0].servicer_reference.as_deref();
    assert_eq!(reference, Some("000************4242"));
    let reason = bookings[1].return_reason.as_deref();
    assert_eq!(reason, Some("**** **** **** 1111"));
}

#[test]
fn every_version_is_read() {
    let old_status = BOOKED.replace("<Sts><Cd>BOOK</Cd></Sts>", "<Sts>BOOK</Sts>");
    let expected = bookings(&file("08", BOOKED));
    assert_eq!(bookings(&file("10", BOOKED)), expected);
    for (booking, expected) in bookings(&file("02", &old_status)).iter().zip(&expected) {
        let position = booking.position;
        assert_eq!(
            booking,
            &Booking {
                position,
                ..expected.clone()
            }
        );
    }
    let prefixed = file("08", BOOKED)
        .replace('<', "<c:")
        .replace("<c:/", "</c:")
        .replace("<c:?", "<?")
        .replace("xmlns=", "xmlns:c=");
    let prefixed = bookings(&prefixed);
    assert_eq!(prefixed.len(), 2);
    assert_eq!(prefixed[1].end_to_end_id, text("out-2"));
}

/// By the standard, the indicator already is the direction of the entry that undoes another one.
#[test]
fn a_reversal_has_the_direction_that_it_says() {
    for (indicator, reversal, is_credit, is_reversal) in [
        ("DBIT", "<RvslInd>true</RvslInd>", false, true),
        ("CRDT", "<RvslInd>1</RvslInd>", true, true),
        ("CRDT", "<RvslInd>false</RvslInd>", true, false),
        ("DBIT", "", false, false),
    ] {
        let entry = entry(reversal).replace("DBIT", indicator);
        let booking = &bookings(&file("08", &entry))[0];
        let got = (booking.is_credit, booking.is_reversal);
        assert_eq!(got, (is_credit, is_reversal));
    }
}

#[test]
fn only_what_is_booked_counts() {
    for (status, expected) in [
        ("<Sts><Cd>BOOK</Cd></Sts>", EntryStatus::Booked),
        ("<Sts> BOOK\n</Sts>", EntryStatus::Booked),
        ("<Sts><Cd>PDNG</Cd></Sts>", EntryStatus::Pending),
        ("<Sts>INFO</Sts>", EntryStatus::Information),
        (
            "<Sts><Cd>FUTR</Cd></Sts>",
            EntryStatus::Other("FUTR".to_owned()),
        ),
        (
            "<Sts><Prtry>BOOK</Prtry></Sts>",
            EntryStatus::Other("BOOK".to_owned()),
        ),
    ] {
        let entry = entry("").replace("<Sts><Cd>BOOK</Cd></Sts>", status);
        let booking = &bookings(&file("08", &entry))[0];
        assert_eq!(
            booking.is_booked(),
            expected == EntryStatus::Booked,
            "{status}"
        );
        assert_eq!(booking.status, expected);
    }
}

fn transaction(amount: &str, reference: &str, rest: &str) -> String {
    format!(
        "<TxDtls><Refs><EndToEndId>{reference}</EndToEndId>{rest}</Refs>\
         <Amt Ccy=\"EUR\">{amount}</Amt></TxDtls>"
    )
}

#[test]
fn an_entry_of_several_transactions_is_as_many_bookings() {
    let details = [
        transaction("100", "out-1", "<AcctSvcrRef>UTR1</AcctSvcrRef>"),
        transaction("49.8", "NOTPROVIDED", ""),
    ];
    let details = format!(
        "<AcctSvcrRef>UTR0</AcctSvcrRef><NtryDtls>{}</NtryDtls>",
        details.concat()
    );
    let got = bookings(&file("08", &(entry(&details) + &entry(""))));
    let told = got.iter().map(|booking| {
        let numbers = (booking.entry_number, booking.transaction_number);
        let references = (
            booking.servicer_reference.as_deref(),
            booking.end_to_end_id.as_deref(),
        );
        (booking.amount_minor, numbers, references)
    });
    let expected = [
        (10_000, (1, 1), (Some("UTR1"), Some("out-1"))),
        (4_980, (1, 2), (Some("UTR0"), None)),
        (14_980, (2, 0), (None, None)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

/// Two payouts of 100.00, of which 50.20 came back, in one entry of 149.80.
#[test]
fn a_transaction_may_go_the_other_way_than_its_entry() {
    let back = transaction("50.20", "out-3", "")
        .replace("</TxDtls>", "<CdtDbtInd>CRDT</CdtDbtInd></TxDtls>");
    let details = [
        transaction("100", "out-1", ""),
        transaction("100", "out-2", ""),
        back,
    ];
    let got = bookings(&file(
        "08",
        &entry(&format!("<NtryDtls>{}</NtryDtls>", details.concat())),
    ));
    let directions: Vec<_> = got.iter().map(|booking| booking.is_credit).collect();
    assert_eq!(directions, [false, false, true]);
}

#[test]
fn older_versions_have_the_amount_of_a_transaction_elsewhere() {
    let details = r#"<NtryDtls>
        <TxDtls><AmtDtls><InstdAmt><Amt Ccy="USD">120</Amt></InstdAmt><TxAmt><Amt Ccy="EUR">100</Amt></TxAmt></AmtDtls></TxDtls>
        <TxDtls><AmtDtls><TxAmt><Amt Ccy="EUR">49.80</Amt></TxAmt></AmtDtls></TxDtls></NtryDtls>"#;
    let got = bookings(&file("02", &entry(details)));
    let amounts: Vec<_> = got.iter().map(|booking| booking.amount_minor).collect();
    assert_eq!(amounts, [10_000, 4_980]);
}

#[test]
fn an_amount_is_read_in_its_currency() {
    for (currency, amount, expected) in [
        ("EUR", "000000000000149.87", 14_987),
        ("EUR", "149.8", 14_980),
        ("EUR", "\n 149 ", 14_900),
        ("JPY", "149.00", 149),
        ("KWD", "1.250", 1_250),
    ] {
        let file = file("08", &entry(""))
            .replace("EUR", currency)
            .replace("149.80", amount);
        let booking = &bookings(&file)[0];
        assert_eq!(
            (booking.amount_minor, booking.currency.code()),
            (expected, currency)
        );
    }
}

#[test]
fn each_notification_has_its_own_account() {
    let (head, tail) = file("08", &entry(""))
        .split_once("</Ntfctn>")
        .map(|(head, tail)| (head.to_owned(), tail.to_owned()))
        .unwrap();
    let second = format!(
        "</Ntfctn><Ntfctn><Acct><Id><Othr><Id>0012</Id></Othr></Id></Acct>{}</Ntfctn>",
        entry("").replace("EUR", "JPY").replace("149.80", "5")
    );
    let got = bookings(&(head + &second + &tail));
    let accounts: Vec<_> = got.iter().map(|booking| booking.account.as_str()).collect();
    assert_eq!(accounts, ["GB82WEST12345698765432", "0012"]);
    let amount = (got[1].amount_minor, got[1].currency.code());
    assert_eq!(amount, (5, "JPY"));
    assert_eq!(got[1].entry_number, 2);
}

#[test]
fn what_is_not_needed_is_passed_over() {
    let rest = r#"<!-- a comment --><AddtlNtryInf>a &amp; b <![CDATA[<c>]]></AddtlNtryInf>
        <AcctSvcrRef>A<!-- in a text -->&lt;&#66;<![CDATA[&C]]></AcctSvcrRef>
        <SplmtryData><Envlp><x:Ntry xmlns:x="urn:other"><x:Amt Ccy="?">x</x:Amt></x:Ntry></Envlp></SplmtryData>
        <NtryDtls><Btch><NbOfTxs>2</NbOfTxs></Btch></NtryDtls><?a target?>"#;
    let got = bookings(&file("08", &entry(rest)));
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].servicer_reference, text("A<B&C"));
    assert_eq!(got[0].text, text("a & b <c>"));
    assert!(bookings(&file("08", "")).is_empty());
    assert!(bookings(&format!("\u{feff}{}", file("08", ""))).is_empty());
}
