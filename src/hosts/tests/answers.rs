//! The answers of banks, and the outcomes of the requests.

use iso8583::{Dialect, Mti};
use tokio::time::Instant;

use super::*;
use crate::hosts::message::contents::Outgoing;
use crate::hosts::message::match_key::KeyField;
use crate::hosts::notice::QuarantineReason;
use crate::hosts::tests::bank::answer;
use crate::payment::decline::{DeclineReason, FailureReason, UnknownReason};

#[tokio::test]
async fn an_approval_and_a_decline_come_back() {
    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let request = line.read_request().await;
    assert_eq!(request.text_of(2).as_deref(), Some("4111111111111111"));
    assert_eq!(request.text_of(48).as_deref(), Some("9203123"));
    assert_eq!(started.hosts.status()[0].lines[0].in_flight, 1);
    line.write(&answer(&request, "00")).await;
    let approved = end_of(payment).await;
    assert!(is_approved(&approved), "{approved:?}");
    assert_eq!(started.hosts.status()[0].lines[0].in_flight, 0);

    let payment = started.pay(7);
    let request = line.read_request().await;
    line.write(&answer(&request, "51")).await;
    let declined = end_of(payment).await;
    assert!(
        matches!(declined, Exchange::Declined { decline, .. }
            if decline.reason == DeclineReason::InsufficientFunds
                && decline.response_code.as_str() == "51"),
        "{declined:?}"
    );
}

#[tokio::test]
async fn an_answer_without_a_readable_code_is_not_understood() {
    // A dialect in which DE 39 may hold anything.
    let lax = "name = \"lax\"\nbase = \"iso1987-bcd\"\nfields.39 = { format = \"ans\" }";
    let lax = Dialect::from_toml(lax).unwrap();
    let (mut started, _bank, mut line) = Started::signed_on(|profile| {
        profile.dialect = Arc::new(lax.clone());
    })
    .await;
    line.dialect = lax.clone();
    for (number, code) in [(1, None), (2, Some("?0")), (3, Some("0 ")), (4, Some("10"))] {
        let payment = started.pay(number);
        let mut reply = answer(&line.read_request().await, "00");
        match code {
            None => reply.remove(39),
            Some(code) => reply.text(39, code),
        };
        line.write(&reply).await;
        let end = end_of(payment).await;
        let expected = match code {
            Some("10") => UnknownReason::AmountDiffers,
            _ => UnknownReason::AnswerNotUnderstood,
        };
        assert!(
            matches!(&end, Exchange::Unclear { reason, .. } if *reason == expected),
            "{code:?}: {end:?}"
        );
        // The rest of the answer is not lost.
        let Some(response_code) = code.and_then(|code| code.parse().ok()) else {
            let quarantined = started.quarantined().await;
            assert_eq!(quarantined.reason, QuarantineReason::NoResponseCode);
            assert_eq!(quarantined.approval_code, "A1B2C3");
            continue;
        };
        let expected = HostNotice::LateResponse {
            host_id: "acquirer".parse().unwrap(),
            operation_id: known::numbered(number).id,
            response_code,
            approval_code: "A1B2C3".into(),
            exchange: Exchange::Unknown(UnknownReason::AnswerNotUnderstood),
            at: known::NOW,
        };
        assert_eq!(started.notice().await, expected, "{code:?}");
    }
}

#[tokio::test]
async fn a_silent_bank_leaves_the_outcome_unknown_and_its_late_answer_is_noticed_once() {
    let (mut started, _bank, mut line) = Started::signed_on(|profile| {
        profile.reply_timeout = Duration::from_millis(50);
    })
    .await;
    let payment = started.pay(6);
    let request = line.read_request().await;
    let end = end_of(payment).await;
    assert_eq!(end, Exchange::Unknown(UnknownReason::NoAnswerInTime));
    assert_eq!(started.hosts.status()[0].lines[0].in_flight, 0);

    line.write(&answer(&request, "00")).await;
    let HostNotice::LateResponse {
        operation_id,
        approval_code,
        exchange: Exchange::Approved { approval, .. },
        at,
        ..
    } = started.notice().await
    else {
        panic!("a late approval");
    };
    assert_eq!((operation_id, at), (known::numbered(6).id, known::NOW));
    assert_eq!(approval.response_code, ResponseCode::APPROVED);
    assert_eq!(approval_code, approval.approval_code);
    line.write(&answer(&request, "00")).await;
    assert_eq!(
        started.quarantined().await.reason,
        QuarantineReason::Duplicate
    );
}

#[tokio::test]
async fn the_deadline_ends_the_wait_too() {
    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay_until(6, Instant::now() + Duration::from_millis(100));
    line.read_request().await;
    let end = end_of(payment).await;
    assert_eq!(end, Exchange::Unknown(UnknownReason::NoAnswerInTime));

    let end = end_of(started.pay_until(7, Instant::now())).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::DeadlineBeforeSend));
}

#[tokio::test]
async fn a_payer_that_goes_away_leaves_a_late_answer_behind() {
    let (mut started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let request = line.read_request().await;
    payment.abort();
    assert!(payment.await.unwrap_err().is_cancelled());
    assert_eq!(started.hosts.status()[0].lines[0].in_flight, 0);
    line.write(&answer(&request, "05")).await;
    assert!(matches!(
        started.notice().await,
        HostNotice::LateResponse { operation_id, .. } if operation_id == known::numbered(6).id
    ));
}

#[tokio::test]
async fn duplicates_and_unmatched_answers_go_to_the_quarantine_masked() {
    let (mut started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let mut reply = answer(&line.read_request().await, "00");
    // A bank that echoes the PAN.
    reply.text(2, CARD.pan);
    line.write(&reply).await;
    line.write(&reply).await;
    assert!(is_approved(&end_of(payment).await));
    let duplicate = started.quarantined().await;
    assert_eq!(duplicate.reason, QuarantineReason::Duplicate);
    assert_eq!(duplicate.mti.as_deref(), Some("0110"));
    assert_eq!(duplicate.stan, Some(known::numbered(6).stan));
    assert_eq!(duplicate.rrn, Some(known::numbered(6).rrn));
    assert_eq!(duplicate.response_code, Some(ResponseCode::APPROVED));
    assert!(
        duplicate.masked.contains("411111******1111"),
        "{}",
        duplicate.masked
    );

    reply.number(11, 424_242);
    line.write(&reply).await;
    assert_eq!(
        started.quarantined().await.reason,
        QuarantineReason::NoMatch
    );

    // A request from the bank that payswitch does not serve, and is not answered.
    reply.set_mti(Mti::REVERSAL_ADVICE);
    line.write(&reply).await;
    assert_eq!(
        started.quarantined().await.reason,
        QuarantineReason::UnexpectedRequest
    );
}

/// Each answer below is for somebody else in one field: it is quarantined, and the right answer
/// still reaches the payer.
#[tokio::test]
async fn an_answer_must_match_on_the_whole_key() {
    let (mut started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let right = answer(&line.read_request().await, "00");
    let wrong = |change: &dyn Fn(&mut iso8583::MessageBuilder)| {
        let mut reply = right.clone();
        change(&mut reply);
        reply
    };
    let table = [
        (
            wrong(&|reply| {
                reply.text(7, "1121101531");
            }),
            vec![KeyField::TransmissionDateTime],
        ),
        (
            wrong(&|reply| {
                reply.text(37, "632500000007");
            }),
            vec![KeyField::Rrn],
        ),
        (
            wrong(&|reply| {
                reply.remove(41);
            }),
            vec![KeyField::TerminalId],
        ),
        (
            wrong(&|reply| {
                reply.set_mti(Mti::FINANCIAL_RESPONSE);
                reply.text(37, "632500000007");
            }),
            vec![KeyField::Mti, KeyField::Rrn],
        ),
    ];
    for (reply, fields) in table {
        line.write(&reply).await;
        assert_eq!(
            started.quarantined().await.reason,
            QuarantineReason::KeyMismatch { fields }
        );
    }
    line.write(&right).await;
    assert!(is_approved(&end_of(payment).await));
}

#[tokio::test]
async fn swapped_answers_reach_nobody() {
    let (mut started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let first = started.pay(6);
    let first_request = line.read_request().await;
    let second = started.pay(7);
    let second_request = line.read_request().await;
    let mut swapped = answer(&first_request, "00");
    swapped.text(11, &second_request.text_of(11).unwrap());
    line.write(&swapped).await;
    assert_eq!(
        started.quarantined().await.reason,
        QuarantineReason::KeyMismatch {
            fields: vec![KeyField::Rrn]
        }
    );
    // In the other order than they were asked, and in one write.
    let both = [
        line.frame(&answer(&second_request, "05")),
        line.frame(&answer(&first_request, "00")),
    ]
    .concat();
    line.write_raw(&both).await;
    assert!(is_approved(&end_of(first).await));
    assert!(matches!(end_of(second).await, Exchange::Declined { .. }));
}

#[tokio::test]
async fn an_answer_in_single_bytes_is_one_answer() {
    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let reply = answer(&line.read_request().await, "00");
    // An empty frame before it, as some hosts send to keep a line open.
    let frame = [vec![0, 0], line.frame(&reply)].concat();
    for byte in frame {
        line.write_raw(&[byte]).await;
    }
    assert!(is_approved(&end_of(payment).await));
}

#[tokio::test]
async fn a_stan_in_flight_is_never_sent_again() {
    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let first = started.pay(6);
    let request = line.read_request().await;
    // 999,999 later the STAN comes again, under another RRN.
    let repeat = known::numbered(6 + 999_999);
    assert_eq!(repeat.stan, known::numbered(6).stan);
    let end = end_of(started.pay(6 + 999_999)).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::HostBusy));
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(first).await));
    // Answered, it is free.
    let again = started.pay(6 + 999_999);
    let request = line.read_request().await;
    assert_eq!(request.text_of(37).as_deref(), Some(repeat.rrn.as_str()));
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(again).await));
}

#[tokio::test]
async fn in_flight_is_bounded() {
    let (started, _bank, mut line) = Started::signed_on(|profile| {
        profile.in_flight_limit = 1;
    })
    .await;
    let first = started.pay(6);
    let request = line.read_request().await;
    let end = end_of(started.pay(7)).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::HostBusy));
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(first).await));
}

#[tokio::test]
async fn what_can_not_be_built_is_not_sent() {
    let (started, _bank, _line) = Started::signed_on(|_| {}).await;
    let not_buildable = FailureReason::MessageNotBuildable;
    let (good, merchant) = (known::operation(), known::merchant());
    let mut long_acceptor = known::merchant();
    long_acceptor.acceptor_id = "A".repeat(16);
    let mut inquiry = known::operation();
    inquiry.kind = crate::payment::operation_kind::OperationKind::Inquiry;
    let mut elsewhere = known::operation();
    elsewhere.host_id = "elsewhere".parse().unwrap();
    let no_card = Outgoing {
        card: None,
        ..known::outgoing(&good, &merchant)
    };
    for (outgoing, reason) in [
        (known::outgoing(&good, &long_acceptor), not_buildable),
        (known::outgoing(&inquiry, &merchant), not_buildable),
        (no_card, not_buildable),
        (
            known::outgoing(&elsewhere, &merchant),
            FailureReason::HostUnavailable,
        ),
    ] {
        let deadline = Instant::now() + TEST_TIMEOUT;
        let end = started.hosts.send(outgoing, deadline).await;
        assert_eq!(end, Exchange::NotSent(reason));
    }
    assert_eq!(started.hosts.status()[0].lines[0].in_flight, 0);
}

#[tokio::test]
async fn nothing_is_sent_with_less_time_left_than_the_bank_needs() {
    let (started, _bank, mut line) = Started::signed_on(|profile| {
        profile.least_reply = Duration::from_secs(5);
        profile.reply_timeout = Duration::from_secs(10);
    })
    .await;
    let soon = Instant::now() + Duration::from_secs(5);
    let end = end_of(started.pay_until(6, soon)).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::NoTimeForTheBank));
    let payment = started.pay(7);
    let request = line.read_request().await;
    assert_eq!(request.text_of(11).as_deref(), Some("000008"));
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
}
