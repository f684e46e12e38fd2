//! How lines end: signed off by either side, drained, or reset.

use iso8583::{MessageBuilder, Mti};

use super::*;
use crate::hosts::status::LineState;
use crate::hosts::tests::bank::{answer, confirmation};
use crate::payment::decline::{FailureReason, UnknownReason};

/// A line that is about to end takes nothing new, and the answer to what it sent still counts.
async fn assert_winds_up(
    started: &Started,
    line: &mut BankLine,
    payment: JoinHandle<Exchange>,
    request: &MessageBuilder,
) {
    started
        .line_status(|line| line.state == LineState::Draining)
        .await;
    let refused = end_of(started.pay(7)).await;
    assert_eq!(refused, Exchange::NotSent(FailureReason::HostUnavailable));
    line.write(&answer(request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
}

/// Its requests are answered, it gets nothing more, and the line is made anew.
#[tokio::test]
async fn a_host_may_sign_off() {
    let (started, bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let request = line.read_request().await;
    let mut sign_off = MessageBuilder::new(Mti::NETWORK_REQUEST);
    sign_off.text(7, "1121101531").number(11, 77).number(70, 2);
    line.write(&sign_off).await;
    let reply = line.read().await.unwrap();
    assert_eq!(reply.text_of(70).as_deref(), Some("002"));
    assert_eq!(reply.text_of(39).as_deref(), Some("00"));
    assert_winds_up(&started, &mut line, payment, &request).await;
    assert_eq!(line.end().await, std::io::ErrorKind::UnexpectedEof);
    assert!(started.fault().await.contains("the host signed off"));
    let mut line = bank.accept_signed_on().await;
    started.line_status(|line| line.signed_on).await;
    let payment = started.pay(8);
    let request = line.read_request().await;
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
}

#[tokio::test]
async fn draining_waits_for_answers_and_signs_off() {
    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let request = line.read_request().await;
    let hosts = Arc::clone(&started.hosts);
    let drained = tokio::spawn(async move { hosts.drain(TEST_TIMEOUT).await });
    assert_winds_up(&started, &mut line, payment, &request).await;
    let sign_off = line.read().await.unwrap();
    assert_eq!(sign_off.text_of(70).as_deref(), Some("002"));
    line.write(&confirmation(&sign_off, "00")).await;
    assert!(drained.await.unwrap());
    assert!(line.read().await.is_none());
    started
        .line_status(|line| line.state == LineState::Closed)
        .await;
}

/// A reset takes back what the kernel holds; only a sign-off ends a line in order.
#[tokio::test]
async fn a_line_that_is_not_signed_off_is_reset() {
    use std::io::ErrorKind::{ConnectionReset, UnexpectedEof};
    let (started, bank, mut line) = Started::signed_on(|_| {}).await;
    line.write_raw(&[0, 5, 1, 2, 3, 4, 5]).await;
    assert_eq!(line.end().await, ConnectionReset);

    // Drained, but the bank does not confirm the sign-off in time.
    let mut line = bank.accept_signed_on().await;
    started.line_status(|line| line.signed_on).await;
    let hosts = Arc::clone(&started.hosts);
    let drained = tokio::spawn(async move { hosts.drain(Duration::from_millis(500)).await });
    let sign_off = line.read().await.unwrap();
    assert_eq!(sign_off.text_of(70).as_deref(), Some("002"));
    assert!(!drained.await.unwrap());
    assert_eq!(line.end().await, ConnectionReset);

    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let hosts = Arc::clone(&started.hosts);
    let drained = tokio::spawn(async move { hosts.drain(TEST_TIMEOUT).await });
    let sign_off = line.read().await.unwrap();
    line.write(&confirmation(&sign_off, "00")).await;
    assert_eq!(line.end().await, UnexpectedEof);
    assert!(drained.await.unwrap());
}

/// Some banks close instead of confirming a sign-off.
#[tokio::test]
async fn a_sign_off_may_be_answered_by_closing() {
    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let hosts = Arc::clone(&started.hosts);
    let drained = tokio::spawn(async move { hosts.drain(TEST_TIMEOUT).await });
    line.read().await.unwrap();
    line.close().await;
    assert!(drained.await.unwrap());
    let status = started
        .line_status(|line| line.state == LineState::Closed)
        .await;
    assert_eq!(status.last_fault, None);
}

#[tokio::test]
async fn draining_ends_in_time_when_a_bank_does_not_answer() {
    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    line.read_request().await;
    assert!(!started.hosts.drain(Duration::from_millis(20)).await);
    let end = end_of(payment).await;
    assert_eq!(end, Exchange::Unknown(UnknownReason::ConnectionLost));
}
