//! Captures that are charged back, and given back.

use bank_sim::control::pb;
use bank_sim::settlement::ItemKind::{Capture, Chargeback, ChargebackReversed};
use tonic::Code;

use super::{PAN, Sums, TODAY, booked, items, sale, totals};
use crate::control::control;
use crate::harness::Banks;
use crate::postings::completion;

fn request(rrn: &str, amount: i64, gives_back: bool) -> pb::DisputeItemRequest {
    pb::DisputeItemRequest {
        host: "acquirer".to_owned(),
        rrn: rrn.to_owned(),
        amount,
        gives_back,
    }
}

#[tokio::test]
async fn a_dispute_stands_in_the_report_of_the_open_date_and_in_no_totals() {
    let banks = Banks::start_on_29_november(|_| {}).await;
    let mut control = control(&banks).await;
    let mut switch = banks.switch().await;
    let before = banks.balance("issuer-a", PAN, "EUR");
    let bought = sale(&mut switch, 100_00);
    let hold = switch.authorization(PAN, 60_00);
    let captured = completion(&mut switch, &hold, 50_00);
    for message in [&bought, &hold, &captured] {
        assert_eq!(switch.ask(message).await.code(), "00");
    }
    let (sold, completed) = (bought.text_of(37).unwrap(), captured.text_of(37).unwrap());
    let mut dispute = async |rrn: &str, amount, gives_back| {
        let answer = control.dispute_item(request(rrn, amount, gives_back)).await;
        answer.map(|answer| {
            let answer = answer.into_inner();
            assert_eq!(answer.currency, "EUR");
            (answer.business_date, answer.amount, answer.posted)
        })
    };
    for (rrn, amount, code) in [
        ("0", 1, Code::NotFound),
        (&sold, -1, Code::InvalidArgument),
        (&sold, 1_000_000_000_000, Code::InvalidArgument),
    ] {
        let error = dispute(rrn, amount, false).await.unwrap_err();
        assert_eq!(error.code(), code, "{rrn} {amount}");
    }
    let today = TODAY.to_string();
    for (rrn, amount, gives_back, expected) in [
        (&sold, 0, false, 100_00),
        (&completed, 20_00, false, 20_00),
        (&completed, 20_00, true, 20_00),
    ] {
        let answer = dispute(rrn, amount, gives_back).await.unwrap();
        assert_eq!(answer, (today.clone(), expected, true));
    }
    // What is still held is not what is given back.
    assert_eq!(banks.held("issuer-a", PAN, "EUR"), 10_00);
    assert_eq!(banks.balance("issuer-a", PAN, "EUR"), before - 50_00);

    let asked = totals(&mut switch, "1129", Sums::captures(2, 150_00));
    assert_eq!(switch.ask(&asked).await.text(66), Some("1"));
    // Today is closed. More than the capture is charged back, and more is given back than was charged back.
    let tomorrow = TODAY.next_day().unwrap().to_string();
    let answer = dispute(&sold, 100_01, false).await.unwrap();
    assert_eq!(answer, (tomorrow.clone(), 100_01, true));
    let most = 999_999_999_999;
    let answer = dispute(&sold, most, true).await.unwrap();
    assert_eq!(answer, (tomorrow, most, true));
    let expected = [
        (Capture, 100_00),
        (Chargeback, 100_00),
        (Chargeback, 100_01),
        (ChargebackReversed, most),
        (Capture, 50_00),
        (Chargeback, 20_00),
        (ChargebackReversed, 20_00),
    ];
    assert_eq!(booked(&banks), expected);
    let booked = items(&banks);
    let (capture, chargeback) = (&booked[0], &booked[1]);
    assert_eq!(capture.approval_code, chargeback.approval_code);
    assert_eq!(capture.card_masked, chargeback.card_masked);

    let report = banks.sim.settlement_report("acquirer", TODAY).unwrap();
    let report = String::from_utf8(report).unwrap();
    let lines: Vec<&str> = report.lines().collect();
    for (line, kind, money) in [
        (
            2,
            ",CHARGEBACK,",
            ",EUR,100.00,,0.00,0.00,0.00,EUR,100.00,,",
        ),
        (4, ",CHARGEBACK,", ",EUR,20.00,,0.00,0.00,0.00,EUR,20.00,,"),
        (
            5,
            ",CHARGEBACK_REVERSED,",
            ",EUR,,20.00,0.00,0.00,0.00,EUR,,20.00,",
        ),
    ] {
        assert!(
            lines[line].contains(kind) && lines[line].ends_with(money),
            "{report}"
        );
        assert!(
            lines[line].contains("MERCHANT0000001,TERM0001")
                && lines[line].contains("411111******1111")
        );
    }
    assert!(
        report.contains("\n<END>,5,120.00,170.00,120.00,"),
        "{report}"
    );
}
