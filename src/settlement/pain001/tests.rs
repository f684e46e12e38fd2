use proptest::prelude::*;
use quick_xml::events::Event;

use super::*;

fn party(name: &str, account: BankAccount, bank: Option<&str>) -> Party {
    Party {
        name: name.to_owned(),
        account,
        bank: bank.map(|bic| bic.parse().unwrap()),
    }
}

fn iban(text: &str) -> BankAccount {
    BankAccount::Iban(text.parse().unwrap())
}

fn money(amount_minor: i64, currency: &str) -> Money {
    Money::new(amount_minor, currency.parse().unwrap()).unwrap()
}

fn transfer(payout_id: &str, amount: Money) -> Transfer {
    Transfer {
        payout_id: payout_id.to_owned(),
        amount,
        execution_date: "2026-11-30".parse().unwrap(),
        creditor: party("Demo Shop", iban("DE89370400440532013000"), None),
        remittance: None,
    }
}

/// Euros, yen, and euros a day later.
fn order() -> PaymentOrder {
    let other = BankAccount::Other("0012-345".parse().unwrap());
    PaymentOrder {
        message_id: "out-2026-11-30-1".to_owned(),
        created_at: UnixMillis::new(1_795_962_096_999),
        initiating_party: "payswitch (demo)".to_owned(),
        debtor: party(
            "Acquirer Ltd",
            iban("GB82WEST12345698765432"),
            Some("WESTGB22"),
        ),
        transfers: vec![
            Transfer {
                remittance: Some("Payout of 2026-11-29, O'Neill + Co".to_owned()),
                ..transfer("out_2", money(14_980, "EUR"))
            },
            Transfer {
                creditor: party("Cafe 7", other, Some("COBADEFFXXX")),
                ..transfer("out_1", money(5, "EUR"))
            },
            transfer("out_3", money(1_500, "JPY")),
            Transfer {
                execution_date: "2026-12-01".parse().unwrap(),
                ..transfer("out_0", money(1, "EUR"))
            },
        ],
    }
}

const FILE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09">
  <CstmrCdtTrfInitn>
    <GrpHdr>
      <MsgId>out-2026-11-30-1</MsgId>
      <CreDtTm>2026-11-29T14:21:36Z</CreDtTm>
      <NbOfTxs>4</NbOfTxs>
      <CtrlSum>1649.86</CtrlSum>
      <InitgPty>
        <Nm>payswitch (demo)</Nm>
      </InitgPty>
    </GrpHdr>
    <PmtInf>
      <PmtInfId>out-2026-11-30-1-0001</PmtInfId>
      <PmtMtd>TRF</PmtMtd>
      <NbOfTxs>2</NbOfTxs>
      <CtrlSum>149.85</CtrlSum>
      <ReqdExctnDt>
        <Dt>2026-11-30</Dt>
      </ReqdExctnDt>
      <Dbtr>
        <Nm>Acquirer Ltd</Nm>
      </Dbtr>
      <DbtrAcct>
        <Id>
          <IBAN>GB82WEST12345698765432</IBAN>
        </Id>
      </DbtrAcct>
      <DbtrAgt>
        <FinInstnId>
          <BICFI>WESTGB22</BICFI>
        </FinInstnId>
      </DbtrAgt>
      <CdtTrfTxInf>
        <PmtId>
          <EndToEndId>out-1</EndToEndId>
        </PmtId>
        <Amt>
          <InstdAmt Ccy="EUR">0.05</InstdAmt>
        </Amt>
        <CdtrAgt>
          <FinInstnId>
            <BICFI>COBADEFFXXX</BICFI>
          </FinInstnId>
        </CdtrAgt>
        <Cdtr>
          <Nm>Cafe 7</Nm>
        </Cdtr>
        <CdtrAcct>
          <Id>
            <Othr>
              <Id>0012-345</Id>
            </Othr>
          </Id>
        </CdtrAcct>
      </CdtTrfTxInf>
      <CdtTrfTxInf>
        <PmtId>
          <EndToEndId>out-2</EndToEndId>
        </PmtId>
        <Amt>
          <InstdAmt Ccy="EUR">149.80</InstdAmt>
        </Amt>
        <Cdtr>
          <Nm>Demo Shop</Nm>
        </Cdtr>
        <CdtrAcct>
          <Id>
            <IBAN>DE89370400440532013000</IBAN>
          </Id>
        </CdtrAcct>
        <RmtInf>
          <Ustrd>Payout of 2026-11-29, O&apos;Neill + Co</Ustrd>
        </RmtInf>
      </CdtTrfTxInf>
    </PmtInf>
"#;

#[test]
fn an_order_has_a_payment_for_each_day_and_currency() {
    let file = String::from_utf8(to_pain001(&order()).unwrap()).unwrap();
    let head = file.get(..FILE.len()).unwrap();
    assert_eq!(head, FILE);
    let texts = |element| {
        let tag = format!("<{element}>");
        let texts = file.split(&tag).skip(1);
        let texts = texts.map(|rest| rest.split('<').next().unwrap());
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    let ids = ["0001", "0002", "0003"].map(|number| format!("out-2026-11-30-1-{number}"));
    assert_eq!(texts("PmtInfId"), ids);
    assert_eq!(texts("EndToEndId"), ["out-1", "out-2", "out-3", "out-0"]);
    assert_eq!(texts("CtrlSum"), ["1649.86", "149.85", "1500", "0.01"]);
    assert_eq!(texts("Dt"), ["2026-11-30", "2026-11-30", "2026-12-01"]);
    assert!(file.contains("<InstdAmt Ccy=\"JPY\">1500</InstdAmt>"));
    let mut other = order();
    let account = BankAccount::Other("0012-345".parse().unwrap());
    other.debtor = party("Acquirer K.K.", account, None);
    let file = String::from_utf8(to_pain001(&other).unwrap()).unwrap();
    assert!(file.contains("<Othr>\n            <Id>NOTPROVIDED</Id>"));
}

#[test]
fn a_payout_is_known_again_by_its_reference() {
    let id = "out_06e9x3w8k1z7h4n2m5q0r8t6va";
    assert_eq!(end_to_end_id(id), "out-06e9x3w8k1z7h4n2m5q0r8t6va");
    assert_eq!(payout_id(&end_to_end_id(id)), id);
}

#[test]
fn the_longest_texts_are_taken() {
    let mut order = order();
    order.message_id = "m".repeat(35);
    order.transfers.truncate(1);
    let transfer = &mut order.transfers[0];
    transfer.payout_id = "p".repeat(35);
    transfer.creditor.name = "n".repeat(70);
    transfer.remittance = Some("r".repeat(140));
    transfer.creditor.account = BankAccount::Other("a".repeat(34).parse().unwrap());
    let file = String::from_utf8(to_pain001(&order).unwrap()).unwrap();
    let id = format!("<PmtInfId>{}-0001</PmtInfId>", "m".repeat(30));
    assert!(file.contains(&id));
}

fn text(field: &'static str, payout_id: Option<&str>, fault: TextFault) -> PaymentOrderError {
    PaymentOrderError::Text {
        field,
        payout_id: payout_id.map(str::to_owned),
        fault,
    }
}

#[test]
fn what_banks_do_not_take_is_refused_by_its_element() {
    type Change = fn(&mut PaymentOrder);
    let length = |most, got| TextFault::Length { most, got };
    let letter = |got, place| TextFault::Character { got, place };
    let changes: [(Change, PaymentOrderError); 14] = [
        (
            |order| order.message_id = "m".repeat(36),
            text("GrpHdr/MsgId", None, length(35, 36)),
        ),
        (
            |order| order.message_id = "out_1".to_owned(),
            text("GrpHdr/MsgId", None, letter('_', 4)),
        ),
        (
            |order| order.message_id = "a//b".to_owned(),
            text("GrpHdr/MsgId", None, TextFault::Slash),
        ),
        (
            |order| order.initiating_party = String::new(),
            text("InitgPty/Nm", None, length(70, 0)),
        ),
        (
            |order| order.created_at = UnixMillis::new(-90_000_000_000_000),
            PaymentOrderError::Year {
                field: "CreDtTm",
                got: -882,
            },
        ),
        (
            |order| order.transfers.clear(),
            PaymentOrderError::TransferCount { got: 0 },
        ),
        (
            |order| order.transfers[0].payout_id = "p".repeat(36),
            text("EndToEndId", Some(&"p".repeat(36)), length(35, 36)),
        ),
        (
            |order| order.transfers[0].payout_id = "out-2".to_owned(),
            PaymentOrderError::PayoutId {
                got: "out-2".to_owned(),
            },
        ),
        (
            |order| order.transfers[0].payout_id = "out_1".to_owned(),
            PaymentOrderError::PayoutTwice {
                payout_id: "out_1".to_owned(),
            },
        ),
        (
            |order| order.transfers[0].amount = money(0, "EUR"),
            PaymentOrderError::NoAmount {
                payout_id: "out_2".to_owned(),
            },
        ),
        (
            |order| order.transfers[0].creditor.name = "Caf\u{e9} <b>".to_owned(),
            text("Cdtr/Nm", Some("out_2"), letter('\u{e9}', 4)),
        ),
        (
            |order| order.transfers[0].remittance = Some(" a".to_owned()),
            text("RmtInf/Ustrd", Some("out_2"), TextFault::OuterSpace),
        ),
        (
            |order| {
                order.transfers[0].creditor.account = BankAccount::Other("12_34".parse().unwrap());
            },
            text("CdtrAcct/Id/Othr/Id", Some("out_2"), letter('_', 3)),
        ),
        (
            |order| order.debtor.name = "Acquirer_".to_owned(),
            text("Dbtr/Nm", None, letter('_', 9)),
        ),
    ];
    for (change, expected) in changes {
        let mut order = order();
        change(&mut order);
        assert_eq!(to_pain001(&order), Err(expected));
    }
}

#[test]
fn a_sum_of_more_than_eighteen_digits_is_refused() {
    let most = crate::payment::money::MAX_AMOUNT_MINOR;
    let mut order = order();
    let yen = (0..2_000).map(|number| transfer(&format!("out_{number}"), money(most, "JPY")));
    order.transfers = yen.collect();
    assert!(to_pain001(&order).is_ok());
    order.transfers.push(transfer("out_kwd", money(1, "KWD")));
    let got = "1999999999998000.001".to_owned();
    assert_eq!(
        to_pain001(&order),
        Err(PaymentOrderError::ControlSum { got })
    );
}

proptest! {
    /// The order in which payouts come changes no byte, and both levels of sums are those of what is written.
    #[test]
    fn the_same_payouts_give_the_same_bytes(
        amounts in prop::collection::vec(
            (1..=crate::payment::money::MAX_AMOUNT_MINOR, prop::sample::select(vec!["JPY", "EUR", "KWD"]), 1..4_u8),
            1..12,
        ),
        turn in any::<prop::sample::Index>(),
    ) {
        let transfers = amounts.iter().enumerate().map(|(number, (minor, currency, day))| Transfer {
            execution_date: BusinessDate::new(2026, 12, *day),
            ..transfer(&format!("out_{number}"), money(*minor, currency))
        });
        let mut order = PaymentOrder { transfers: transfers.collect(), ..order() };
        let file = to_pain001(&order).unwrap();
        let half = turn.index(order.transfers.len());
        order.transfers.rotate_left(half);
        order.transfers.reverse();
        prop_assert_eq!(&to_pain001(&order).unwrap(), &file);

        let (amounts, sums) = amounts_and_sums(&file);
        prop_assert_eq!(amounts.len(), order.transfers.len());
        let total: i128 = amounts.iter().sum();
        let (whole, parts) = sums.split_first().unwrap();
        prop_assert_eq!(*whole, total);
        prop_assert_eq!(parts.iter().sum::<i128>(), total);
    }

    /// A text is refused, or the file has it and nothing that banks don't take.
    #[test]
    fn no_text_breaks_the_file(name in "\\PC{0,80}", remittance in "[ -~]{0,150}") {
        let mut order = order();
        order.transfers[0].creditor.name = name;
        order.transfers[0].remittance = Some(remittance);
        if let Ok(file) = to_pain001(&order) {
            let text = quick_xml::escape::unescape(std::str::from_utf8(&file).unwrap()).unwrap().into_owned();
            prop_assert!(text.is_ascii());
            let name = format!("<Nm>{}</Nm>", order.transfers[0].creditor.name);
            prop_assert!(text.contains(&name));
            amounts_and_sums(&file);
        }
    }
}

/// The amounts of the transfers and the control sums of a file, in thousandths of a major unit: read without what wrote them.
fn amounts_and_sums(file: &[u8]) -> (Vec<i128>, Vec<i128>) {
    let mut reader = quick_xml::Reader::from_reader(file);
    let (mut element, mut amounts, mut sums) = (String::new(), Vec::new(), Vec::new());
    let mut buffer = Vec::new();
    loop {
        match reader.read_event_into(&mut buffer).unwrap() {
            Event::Start(start) => element = start.name().as_ref().to_owned(),
            Event::Text(text) if element == "InstdAmt" => amounts.push(thousandths(&text)),
            Event::Text(text) if element == "CtrlSum" => sums.push(thousandths(&text)),
            Event::End(_) => element.clear(),
            Event::Eof => return (amounts, sums),
            _ => {}
        }
    }
}

fn thousandths(text: &str) -> i128 {
    let (major, minor) = text.split_once('.').unwrap_or((text, ""));
    format!("{major}{minor:0<3}").parse().unwrap()
}
