//! What operators do with a host: sign it off and on, and ask for an echo.

use super::*;
use crate::hosts::line::orders::Echo;
use crate::hosts::service::NoEcho;
use crate::hosts::status::LineState;
use crate::hosts::tests::bank::{answer, confirmation};
use crate::payment::decline::{FailureReason, ResponseCode};
use crate::payment::ids::HostId;

fn host_id() -> HostId {
    known::numbered(1).host_id
}

async fn assert_takes_no_payment(started: &Started) {
    let refused = end_of(started.pay(7)).await;
    assert_eq!(refused, Exchange::NotSent(FailureReason::HostUnavailable));
}

/// The bank's side of a sign-off.
async fn confirm_sign_off(line: &mut BankLine) {
    let sign_off = line.read().await.unwrap();
    assert_eq!(sign_off.text_of(70).as_deref(), Some("002"));
    line.write(&confirmation(&sign_off, "00")).await;
    assert_eq!(line.end().await, std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_host_that_is_signed_off_takes_no_payments_until_it_is_signed_on() {
    let (started, bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let request = line.read_request().await;
    let hosts = Arc::clone(&started.hosts);
    let signed_off = tokio::spawn(async move { hosts.sign_off(host_id()).await });
    started
        .line_status(|line| line.state == LineState::Draining)
        .await;
    assert_takes_no_payment(&started).await;
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
    confirm_sign_off(&mut line).await;
    assert_eq!(signed_off.await.unwrap(), Some(true));
    let view = &started.hosts.views()[0];
    assert!(view.signed_off && !view.status.signed_on());
    assert_eq!(view.status.lines[0].state, LineState::SignedOff);
    assert_eq!(view.status.lines[0].last_fault, None);
    assert_takes_no_payment(&started).await;
    assert_eq!(
        started.hosts.echo(host_id()).await,
        Some(vec![Err(NoEcho::NotSignedOn)])
    );
    // Once more is no more.
    assert_eq!(started.hosts.sign_off(host_id()).await, Some(true));

    let hosts = Arc::clone(&started.hosts);
    let signed_on = tokio::spawn(async move { hosts.sign_on(host_id()).await });
    let mut line = bank.accept_signed_on().await;
    assert_eq!(signed_on.await.unwrap(), Some(true));
    assert!(!started.hosts.views()[0].signed_off);
    let payment = started.pay(8);
    let request = line.read_request().await;
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
}

/// A line that was lost before, or signed off by its host, is not connected again.
#[tokio::test]
async fn a_line_that_is_down_stays_down() {
    let (started, bank, line) = Started::signed_on(|profile| {
        profile.back_off.first = Duration::from_secs(60);
        profile.back_off.longest = Duration::from_secs(60);
    })
    .await;
    drop(line);
    started
        .line_status(|line| line.state == LineState::BackingOff)
        .await;
    assert_eq!(started.hosts.sign_off(host_id()).await, Some(true));
    let hosts = Arc::clone(&started.hosts);
    let signed_on = tokio::spawn(async move { hosts.sign_on(host_id()).await });
    // Whoever signs it on does not wait for the back-off.
    let _line = bank.accept_signed_on().await;
    assert_eq!(signed_on.await.unwrap(), Some(true));
    let other = "other".parse().unwrap();
    assert_eq!(started.hosts.sign_off(other).await, None);
    assert_eq!(started.hosts.sign_on(other).await, None);
    assert_eq!(started.hosts.echo(other).await, None);
}

#[tokio::test]
async fn a_signed_off_line_ends_with_its_process() {
    let (started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let hosts = Arc::clone(&started.hosts);
    let signed_off = tokio::spawn(async move { hosts.sign_off(host_id()).await });
    confirm_sign_off(&mut line).await;
    assert_eq!(signed_off.await.unwrap(), Some(true));
    assert!(started.hosts.drain(TEST_TIMEOUT).await);
    started
        .line_status(|line| line.state == LineState::Closed)
        .await;
    // The end is final.
    assert!(started.hosts.views().iter().all(|view| !view.signed_off));
}

#[tokio::test]
async fn an_echo_tells_what_came_and_how_long_it_took() {
    let (started, _bank, mut line) = Started::signed_on(|profile| {
        profile.network.echo_timeout = Duration::from_millis(200);
    })
    .await;
    let echo = || {
        let hosts = Arc::clone(&started.hosts);
        tokio::spawn(async move { hosts.echo(host_id()).await.unwrap() })
    };
    let waiting = echo();
    let request = line.read().await.unwrap();
    assert_eq!(request.text_of(70).as_deref(), Some("301"));
    line.write(&confirmation(&request, "00")).await;
    let [
        Ok(Echo {
            response_code,
            took,
        }),
    ] = waiting.await.unwrap()[..]
    else {
        panic!("no echo");
    };
    assert_eq!(response_code, Some(ResponseCode::APPROVED));
    assert!(Duration::ZERO < took && took < TEST_TIMEOUT);

    // Not answered, the line is lost, as with an echo of its own.
    let waiting = echo();
    line.read().await.unwrap();
    assert_eq!(waiting.await.unwrap(), [Err(NoEcho::NotAnswered)]);
    assert!(started.fault().await.contains("echo"));
}
