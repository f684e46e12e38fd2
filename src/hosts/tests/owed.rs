//! Messages that are owed: the line that they leave on, and what answers them.

use iso8583::MessageBuilder;

use super::*;
use crate::hosts::message::contents::{Original, Outgoing};
use crate::hosts::notice::QuarantineReason;
use crate::payment::decline::UnknownReason;
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;
use crate::payment::record::Operation;

/// The reversal of the operation of sequence number `number`.
fn reversal_of(original: &Operation) -> Operation {
    Operation {
        kind: OperationKind::Reversal,
        original_id: Some(original.id),
        reason: Some(Reason::TimeOut),
        mti: "0420".parse().unwrap(),
        rrn: original.rrn,
        ..known::numbered(100)
    }
}

/// The 0430 to a 0420 or a 0421.
pub(super) fn acknowledgement(request: &MessageBuilder) -> MessageBuilder {
    let mut answer = request.clone();
    answer.set_mti("0430".parse().unwrap());
    for de in [2, 12, 13, 32, 42, 90] {
        answer.remove(de);
    }
    answer.text(39, "00");
    answer
}

pub(super) fn is_acknowledged(exchange: &Exchange) -> bool {
    matches!(exchange, Exchange::Approved { .. })
}

/// The next reversal that a line carries, and its message type.
pub(super) async fn reversal_on(line: &mut BankLine) -> (MessageBuilder, String) {
    let request = line.read().await.expect("a reversal");
    let mti = request.mti().to_string();
    (request, mti)
}

pub(super) fn send(started: &Started, original: Operation, repeat: bool) -> JoinHandle<Exchange> {
    let hosts = Arc::clone(&started.hosts);
    tokio::spawn(async move {
        let (reversal, merchant) = (reversal_of(&original), known::merchant());
        let outgoing = Outgoing {
            original: Some(Original::of(&original)),
            repeat,
            ..known::outgoing(&reversal, &merchant)
        };
        let claim_by = Instant::now() + TEST_TIMEOUT;
        hosts.send_owed(outgoing, claim_by).await
    })
}

#[tokio::test]
async fn a_reversal_leaves_on_the_connection_that_carried_its_original_while_that_lives() {
    let bank = Bank::start().await;
    let mut profile = bank.profile();
    profile.lines = 2;
    profile.reply_timeout = Duration::from_millis(200);
    profile.least_reply = Duration::from_millis(10);
    let started = Started::new(profile);
    let mut lines = [bank.accept_signed_on().await, bank.accept_signed_on().await];
    let mut status = started.hosts.watch();
    let both = status.wait_for(|hosts| hosts[0].lines.iter().all(|line| line.signed_on));
    both.await.unwrap();
    // The second goes on the line that the first has left free, and a third would go on the first line.
    let payments = [started.pay(6), started.pay(7)];
    let mut stans = Vec::new();
    for line in &mut lines {
        stans.push(line.read_request().await.text_of(11).unwrap().into_owned());
    }
    for payment in payments {
        let end = end_of(payment).await;
        assert_eq!(end, Exchange::Unknown(UnknownReason::NoAnswerInTime));
    }
    let carrier_of = |stan: &str| stans.iter().position(|seen| seen == stan).unwrap();
    for (number, stan) in [(6, "000007"), (7, "000008")] {
        let line = &mut lines[carrier_of(stan)];
        let sent = send(&started, known::numbered(number), false);
        let (request, mti) = reversal_on(line).await;
        assert_eq!(mti, "0420");
        line.write(&acknowledgement(&request)).await;
        assert!(is_acknowledged(&end_of(sent).await));
    }
    // Without that connection it leaves on the other one.
    let carrier = carrier_of("000008");
    let [first, second] = lines;
    let (lost, mut left) = if carrier == 0 {
        (first, second)
    } else {
        (second, first)
    };
    lost.reset();
    let mut status = started.hosts.watch();
    let one = status.wait_for(|hosts| hosts[0].lines.iter().any(|line| !line.signed_on));
    one.await.unwrap();
    let sent = send(&started, known::numbered(7), true);
    let (request, mti) = reversal_on(&mut left).await;
    assert_eq!(mti, "0421");
    left.write(&acknowledgement(&request)).await;
    assert!(is_acknowledged(&end_of(sent).await));
}

/// The acknowledgement of the first message comes after the second was written.
#[tokio::test]
async fn an_answer_to_any_message_of_an_entry_answers_it_and_the_others_are_not_kept() {
    let (mut started, _bank, mut line) = Started::signed_on(|profile| {
        profile.reply_timeout = Duration::from_millis(200);
        profile.least_reply = Duration::from_millis(10);
    })
    .await;
    let first = send(&started, known::numbered(6), false);
    let (request, _) = reversal_on(&mut line).await;
    assert!(matches!(end_of(first).await, Exchange::Unknown(_)));
    let second = send(&started, known::numbered(6), true);
    let (repeat, mti) = reversal_on(&mut line).await;
    assert_eq!(mti, "0421");
    line.write(&acknowledgement(&request)).await;
    assert!(is_acknowledged(&end_of(second).await));
    line.write(&acknowledgement(&repeat)).await;
    // Only a stranger is noticed.
    let mut stranger = acknowledgement(&request);
    stranger.text(37, "999999999999");
    line.write(&stranger).await;
    let quarantined = started.quarantined().await;
    assert!(matches!(
        quarantined.reason,
        QuarantineReason::KeyMismatch { .. }
    ));
    assert_eq!(
        quarantined.rrn.map(|rrn| rrn.to_string()).as_deref(),
        Some("999999999999")
    );
}

/// Whatever has become of the merchant since it was queued.
#[tokio::test]
async fn each_message_of_an_entry_is_the_same_but_for_its_type() {
    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let original = known::numbered(6);
    let mut reversal = reversal_of(&original);
    let mut merchant = known::merchant();
    let outgoing = Outgoing {
        original: Some(Original::of(&original)),
        ..Outgoing::first(&reversal, &merchant, None)
    };
    reversal.sent = started.hosts.sent_elements(outgoing).unwrap();
    let mut seen = Vec::new();
    for repeat in [false, true] {
        let outgoing = Outgoing {
            original: Some(Original::of(&original)),
            repeat,
            ..known::outgoing(&reversal, &merchant)
        };
        let send = started
            .hosts
            .send_owed(outgoing, Instant::now() + TEST_TIMEOUT);
        let answer = async {
            let (request, mti) = reversal_on(&mut line).await;
            line.write(&acknowledgement(&request)).await;
            let values = request
                .iter_des()
                .map(|de| (de, request.text_of(de).map(String::from)));
            seen.push((mti, values.collect::<Vec<_>>()));
        };
        let (end, ()) = tokio::join!(send, answer);
        assert!(is_acknowledged(&end), "{end:?}");
        merchant.acceptor_id = "ANOTHER00000001".into();
        merchant.time_zone = "Asia/Kathmandu".into();
    }
    let [(first, values), (second, again)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((&**first, &**second), ("0420", "0421"));
    assert_eq!(values, again);
    assert!(values.iter().any(|(de, value)| *de == 2 && value.is_some()));
    assert!(!reversal.sent.iter().any(|element| element.name == "2"));
}
