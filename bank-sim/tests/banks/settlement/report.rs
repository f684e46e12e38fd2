//! The settlement report.

use bank_sim::control::pb;
use iso8583::Mti;
use tonic::Code;

use super::{PAN, Sums, TODAY, refund, sale, totals};
use crate::control::control;
use crate::harness::Banks;

#[tokio::test]
async fn a_report_has_what_is_reconciled_with_its_date_and_is_the_same_twice() {
    let banks = Banks::start_on_29_november(|_| {}).await;
    let mut control = control(&banks).await;
    let mut switch = banks.switch().await;
    let bought = sale(&mut switch, 100_00);
    let returned = refund(&mut switch, 5_00);
    let yen = switch.payment(Mti::FINANCIAL_REQUEST, "4242424242424242", 1_000, "392");
    for message in [&bought, &returned, &yen] {
        assert_eq!(switch.ask(message).await.code(), "00");
    }
    let sums = Sums {
        captures: (1, 100_00),
        refunds: (1, 5_00),
    };
    let asked = totals(&mut switch, "1129", sums);
    assert_eq!(switch.ask(&asked).await.text(66), Some("1"));
    // Of the next date in euros, and of none yet in yen.
    let later = sale(&mut switch, 7_00);
    assert_eq!(switch.ask(&later).await.code(), "00");
    let report = banks.sim.settlement_report("acquirer", TODAY).unwrap();
    let text = String::from_utf8(report.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [_, first, second, third, euros, end] = lines[..] else {
        panic!("{text}")
    };
    assert!(first.contains(",SALE,") && first.contains(",EUR,,100.00,0.20,0.05,0.00,EUR,,99.75,"));
    assert!(second.contains(",REFUND,") && second.contains(",EUR,5.00,,0.00,0.00,0.00,EUR,5.00,,"));
    assert!(third.contains(",JPY,,1000,2,0,0,JPY,,998,"));
    assert!(first.contains("411111******1111") && !text.contains(PAN));
    assert_eq!(euros, "<END>,2,5.00,100.00,5.00,99.75,EUR");
    assert_eq!(end, "<END>,1,0,1000,0,998,JPY");

    let request = pb::WriteSettlementReportRequest {
        host: "acquirer".to_owned(),
        business_date: TODAY.to_string(),
    };
    let parts = control.write_settlement_report(request.clone()).await;
    let mut parts = parts.unwrap().into_inner();
    let mut streamed = Vec::new();
    while let Some(part) = parts.message().await.unwrap() {
        streamed.extend(part.chunk);
    }
    assert_eq!(streamed, report);
    let undated = pb::WriteSettlementReportRequest {
        business_date: String::new(),
        ..request
    };
    let error = control.write_settlement_report(undated).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}
