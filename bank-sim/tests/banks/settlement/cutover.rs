//! The bank moves on to another date.

use bank_sim::control::pb::{self, LineOutcome};
use iso8583::{MessageBuilder, Mti};
use tonic::Code;

use super::{items, sale};
use crate::control::control;
use crate::harness::Banks;
use crate::switch::Switch;

fn cutover(next_date: &str) -> pb::CutoverRequest {
    pb::CutoverRequest {
        host: String::new(),
        next_date: next_date.to_owned(),
    }
}

/// Takes the bank's 0800 and answers it with this code.
async fn answer_cutover(switch: &mut Switch, code: &str) -> String {
    let request = switch.receive().await;
    assert_eq!(request.mti, "0800");
    assert_eq!(request.text(70), Some("201"));
    let mut answer = MessageBuilder::new(Mti::NETWORK_RESPONSE);
    for de in [7, 11, 70] {
        answer.text(de, request.text(de).unwrap());
    }
    answer.text(39, code);
    switch.send(&answer).await;
    request.text(15).unwrap().to_owned()
}

#[tokio::test]
async fn the_date_moves_on_and_each_line_that_is_signed_on_hears_of_it() {
    let banks = Banks::start_on_29_november(|config| {
        config.acquirer.as_mut().unwrap().settlement_date = true;
    })
    .await;
    let mut control = control(&banks).await;
    let mut takes_it = banks.switch().await;
    let mut refuses_it = banks.switch().await;
    let mut ends = banks.switch().await;
    let mut unsigned = banks.unsigned_switch().await;
    let ending = async {
        ends.receive().await;
        drop(ends);
    };
    let (answer, told, _, ()) = tokio::join!(
        control.cutover(cutover("")),
        answer_cutover(&mut takes_it, "00"),
        answer_cutover(&mut refuses_it, "96"),
        ending,
    );
    let answer = answer.unwrap().into_inner();
    assert_eq!(
        (answer.business_date.as_str(), told.as_str()),
        ("2026-11-30", "1130")
    );
    let lines = answer.lines.iter();
    let lines: Vec<_> = lines
        .map(|line| (line.outcome(), line.response_code.as_str()))
        .collect();
    let expected = [
        (LineOutcome::Answered, "00"),
        (LineOutcome::Answered, "96"),
        (LineOutcome::Ended, ""),
    ];
    assert_eq!(lines, expected);
    // The line that is not signed on has heard nothing: its next message is the answer to its echo.
    assert_eq!(unsigned.network("301").await, "00");
    let bought = sale(&mut takes_it, 1_00);
    assert_eq!(takes_it.ask(&bought).await.text(15), Some("1130"));
    assert_eq!(items(&banks)[0].business_date.to_string(), "2026-11-30");

    for (request, code) in [
        (cutover("2026-11-30"), Code::FailedPrecondition),
        (cutover("30.11.2026"), Code::InvalidArgument),
        (
            pb::CutoverRequest {
                host: "issuer-a".to_owned(),
                ..cutover("")
            },
            Code::FailedPrecondition,
        ),
    ] {
        assert_eq!(control.cutover(request).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn a_line_of_1993_hears_of_it_in_its_own_words() {
    let banks = Banks::start_on_29_november(|config| {
        config.acquirer.as_mut().unwrap().dialect = "iso1993-ascii".to_owned();
    })
    .await;
    let mut control = control(&banks).await;
    let mut switch = banks.unsigned_switch().await;
    switch.sign_on_1993().await;
    let answering = async {
        let request = switch.receive().await;
        let mut answer = MessageBuilder::new("1814".parse().unwrap());
        answer.text(11, request.text(11).unwrap()).text(39, "800");
        switch.send(&answer).await;
        request
    };
    let (answer, request) = tokio::join!(control.cutover(cutover("2027-01-01")), answering);
    assert_eq!(answer.unwrap().into_inner().lines[0].response_code, "800");
    assert_eq!(request.mti, "1804");
    assert_eq!(
        (request.text(24), request.text(28)),
        (Some("821"), Some("270101"))
    );
}
