//! How lines come up, stay up and break.

use iso8583::{MessageBuilder, Mti};

use super::*;
use crate::clock::Clock;
use crate::hosts::line::unmatched::FLOOD;
use crate::hosts::notice::QuarantineReason;
use crate::hosts::status::LineState;
use crate::hosts::tests::bank::{answer, confirmation};
use crate::net::Net;
use crate::payment::decline::{FailureReason, UnknownReason};
use crate::payment::moment::UnixMillis;
use crate::random::Random;

/// Each way in which a bank may break a connection while a payment waits, and the fault of the line.
#[tokio::test]
async fn a_connection_that_breaks_leaves_the_outcome_unknown_and_is_made_again() {
    type Break = fn(BankLine, MessageBuilder) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    let table: [(&str, Break, bool); 4] = [
        (
            "broke",
            |mut line, request| {
                Box::pin(async move {
                    let frame = line.frame(&answer(&request, "00"));
                    line.write_raw(&frame[..frame.len() / 2]).await;
                    line.reset();
                })
            },
            false,
        ),
        ("broke", |line, _| Box::pin(async { line.cut() }), false),
        (
            "could not be read",
            |mut line, _| Box::pin(async move { line.write_raw(&[0, 5, 1, 2, 3, 4, 5]).await }),
            true,
        ),
        (
            "frame length: expected at most 8192",
            |mut line, _| Box::pin(async move { line.write_raw(&[0xFF, 0xFF, 1]).await }),
            true,
        ),
    ];
    let (mut started, bank, mut line) = Started::signed_on(|_| {}).await;
    for (number, (fault, break_it, undecodable)) in (1..).zip(table) {
        let payment = started.pay(number);
        let request = line.read_request().await;
        break_it(line, request).await;
        let end = end_of(payment).await;
        assert_eq!(
            end,
            Exchange::Unknown(UnknownReason::ConnectionLost),
            "{number}"
        );
        if undecodable {
            let quarantined = started.quarantined().await;
            let QuarantineReason::Undecodable { .. } = quarantined.reason else {
                panic!("{number}: {:?}", quarantined.reason);
            };
            assert!(!quarantined.masked.contains(CARD.pan));
        }
        line = bank.accept_signed_on().await;
        let status = started.line_status(|line| line.signed_on).await;
        let got = status.last_fault.unwrap();
        assert!(got.contains(fault), "{number}: {got}");
    }
    let payment = started.pay(99);
    let request = line.read_request().await;
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
}

#[tokio::test]
async fn a_late_answer_finds_its_operation_on_the_next_connection() {
    let (mut started, bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let request = line.read_request().await;
    line.cut();
    end_of(payment).await;
    let mut line = bank.accept_signed_on().await;
    line.write(&answer(&request, "00")).await;
    assert!(matches!(
        started.notice().await,
        HostNotice::LateResponse { operation_id, .. } if operation_id == known::numbered(6).id
    ));
}

/// Where lines stand is on the board: notices are bounded, and are kept for answers.
#[tokio::test]
async fn lines_come_and_go_on_the_board_without_a_notice() {
    let (mut started, bank, line) = Started::signed_on(|_| {}).await;
    assert!(
        started
            .line_status(|line| line.signed_on)
            .await
            .last_fault
            .is_none()
    );
    line.cut();
    let _line = bank.accept_signed_on().await;
    let back = |line: &LineStatus| line.signed_on && line.last_fault.is_some();
    started.line_status(back).await;
    assert!(started.notices.try_recv().is_err());
}

#[tokio::test]
async fn nothing_is_sent_before_the_sign_on_is_confirmed() {
    let bank = Bank::start().await;
    let started = Started::new(bank.profile());
    let mut line = bank.accept().await;
    let sign_on = line.read().await.unwrap();
    assert_eq!(sign_on.text_of(7).as_deref(), Some("1121101530"));
    started
        .line_status(|line| line.state == LineState::SigningOn)
        .await;
    let unavailable = Exchange::NotSent(FailureReason::HostUnavailable);
    assert_eq!(end_of(started.pay(1)).await, unavailable);
    assert!(!started.hosts.ready(Duration::from_millis(1)).await);

    // Refused: the line is dropped, and tried again.
    line.write(&confirmation(&sign_on, "91")).await;
    let mut line = bank.accept().await;
    assert!(
        started
            .fault()
            .await
            .contains("the host answered the sign-on with 91")
    );
    assert_eq!(end_of(started.pay(2)).await, unavailable);

    // An answer to another sign-on confirms nothing.
    let sign_on = line.read().await.unwrap();
    let mut other = confirmation(&sign_on, "00");
    let stan: u64 = sign_on.text_of(11).unwrap().parse().unwrap();
    other.number(11, stan % 999_999 + 1);
    line.write(&other).await;
    line.write(&confirmation(&sign_on, "00")).await;
    assert!(started.hosts.ready(TEST_TIMEOUT).await);
    let payment = started.pay(3);
    let request = line.read_request().await;
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
}

#[tokio::test]
async fn a_host_without_sign_on_is_ready_once_connected() {
    let bank = Bank::start().await;
    let mut profile = bank.profile();
    profile.network.sign_on = false;
    let started = Started::new(profile);
    let mut line = bank.accept().await;
    assert!(started.hosts.ready(TEST_TIMEOUT).await);
    let payment = started.pay(1);
    let request = line.read_request().await;
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
    assert!(started.hosts.drain(TEST_TIMEOUT).await);
    assert!(line.read().await.is_none());
}

/// As long as frames end where they should, an answer that can't be read costs one payment, and the line goes
/// on.
#[tokio::test]
async fn an_answer_that_is_unreadable_is_its_own_payments_alone() {
    let (mut started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let other = started.pay(99);
    let other_request = line.read_request().await;
    type Spoil = fn(&mut Vec<u8>);
    let spoil: [(&str, Spoil); 3] = [
        ("a byte after the last element", |frame| frame.push(0)),
        ("a terminal with a NUL", |frame| {
            let terminal = frame.windows(8).position(|bytes| bytes == b"TERM0001");
            frame[terminal.unwrap() + 7] = 0;
        }),
        ("elements that don't follow", |frame| {
            frame[2 + 5 + 2..][..8].fill(0xFF);
        }),
    ];
    for (number, (what, spoil)) in (1..).zip(spoil) {
        let spoilt = started.pay_until(number, Instant::now() + Duration::from_millis(200));
        let request = line.read_request().await;
        let mut frame = line.frame(&answer(&request, "00"));
        spoil(&mut frame);
        let length = u16::try_from(frame.len() - 2).unwrap();
        frame[..2].copy_from_slice(&length.to_be_bytes());
        line.write_raw(&frame).await;
        let end = end_of(spoilt).await;
        let is_unknown = matches!(end, Exchange::Unknown(_) | Exchange::Unclear { .. });
        assert!(is_unknown, "{what}: {end:?}");
        let reason = started.quarantined().await.reason;
        let is_undecodable = matches!(reason, QuarantineReason::Undecodable { .. });
        assert!(is_undecodable, "{what}: {reason:?}");
    }
    line.write(&answer(&other_request, "00")).await;
    assert!(is_approved(&end_of(other).await));
}

/// What decides nothing is kept in the quarantine, and the answer counts; whatever the key does not need may
/// be missing.
#[tokio::test]
async fn an_odd_byte_in_an_element_that_decides_nothing_changes_nothing() {
    let (mut started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let payment = started.pay(6);
    let mut reply = answer(&line.read_request().await, "05");
    reply.remove(4).remove(49).text(44, "M?NCHEN");
    let mut frame = line.frame(&reply);
    let odd = frame.iter().rposition(|byte| *byte == b'?').unwrap();
    frame[odd] = 0xDC;
    line.write_raw(&frame).await;
    let end = end_of(payment).await;
    assert!(matches!(end, Exchange::Declined { .. }), "{end:?}");
    let quarantined = started.quarantined().await;
    assert!(
        matches!(&quarantined.reason, QuarantineReason::Undecodable { detail } if detail.contains("DE 44")),
        "{:?}",
        quarantined.reason
    );
}

/// A line that falls silent while a request waits is found by the echo at once, and takes no payment before it
/// is answered.
#[tokio::test]
async fn a_line_that_falls_silent_takes_no_payment_until_it_answers_an_echo() {
    let (started, _bank, mut line) = Started::signed_on(|profile| {
        profile.network.silence = Duration::from_millis(20);
        profile.network.echo_interval = TEST_TIMEOUT;
    })
    .await;
    let waiting = started.pay(6);
    let request = line.read_request().await;
    let echo = line.read().await.unwrap();
    assert_eq!(echo.text_of(70).as_deref(), Some("301"));
    let unavailable = Exchange::NotSent(FailureReason::HostUnavailable);
    assert_eq!(end_of(started.pay(7)).await, unavailable);
    line.write(&confirmation(&echo, "00")).await;
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(waiting).await));
    let next = started.pay(8);
    let request = line.read_request().await;
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(next).await));
}

#[tokio::test]
async fn a_silent_host_gets_an_echo_and_is_dropped_without_an_answer() {
    let bank = Bank::start().await;
    let mut profile = bank.profile();
    profile.network.echo_interval = Duration::from_millis(20);
    profile.network.echo_timeout = Duration::from_millis(2000);
    let started = Started::new(profile);
    let mut line = bank.accept_signed_on().await;
    for _ in 0..3 {
        let echo = line.read().await.unwrap();
        assert_eq!(echo.mti(), Mti::NETWORK_REQUEST);
        assert_eq!(echo.text_of(70).as_deref(), Some("301"));
        line.write(&confirmation(&echo, "00")).await;
    }
    // Not answered any more, with a payment in flight: a black hole.
    let payment = started.pay(6);
    let end = end_of(payment).await;
    assert_eq!(end, Exchange::Unknown(UnknownReason::ConnectionLost));
    assert!(
        started
            .fault()
            .await
            .contains("did not answer the echo in time")
    );
    bank.accept_signed_on().await;
}

#[tokio::test]
async fn a_hosts_echo_is_answered_and_its_answers_are_not() {
    let (mut started, _bank, mut line) = Started::signed_on(|_| {}).await;
    let mut echo = MessageBuilder::new(Mti::NETWORK_REQUEST);
    echo.text(7, "1121101531").number(11, 77).number(70, 301);
    // An answer that nobody asked for, twice: neither is answered, or it would never end.
    let unasked = confirmation(&echo, "00");
    for _ in 0..2 {
        line.write(&unasked).await;
        let quarantined = started.quarantined().await;
        assert_eq!(quarantined.reason, QuarantineReason::NoMatch);
        assert_eq!(quarantined.mti.as_deref(), Some("0810"));
    }
    // A request about something else (161, a change of keys) is not ours to confirm.
    let mut key_change = echo.clone();
    key_change.number(70, 161);
    line.write(&key_change).await;
    assert_eq!(
        started.quarantined().await.reason,
        QuarantineReason::UnexpectedRequest
    );
    // A host may say that it is up, too.
    for (function, code) in [(1, "001"), (301, "301")] {
        echo.number(70, function);
        line.write(&echo).await;
        let reply = line.read().await.unwrap();
        assert_eq!(reply.mti(), Mti::NETWORK_RESPONSE);
        for (de, expected) in [(7, "1121101531"), (11, "000077"), (39, "00"), (70, code)] {
            assert_eq!(reply.text_of(de).as_deref(), Some(expected), "DE {de}");
        }
    }
}

#[tokio::test]
async fn the_least_loaded_line_is_taken_and_answers_belong_to_their_line() {
    let bank = Bank::start().await;
    let mut profile = bank.profile();
    profile.lines = 2;
    let mut started = Started::new(profile);
    let (mut a, mut b) = tokio::join!(bank.accept_signed_on(), bank.accept_signed_on());
    let both_up = |hosts: &Vec<crate::hosts::status::HostStatus>| {
        hosts[0].lines.iter().all(|line| line.signed_on)
    };
    let mut status = started.hosts.watch();
    tokio::time::timeout(TEST_TIMEOUT, status.wait_for(both_up))
        .await
        .unwrap()
        .unwrap();
    let first = started.pay(6);
    let (first_request, on_a) = tokio::select! {
        request = a.read_request() => (request, true),
        request = b.read_request() => (request, false),
    };
    let (mine, other) = if on_a {
        (&mut a, &mut b)
    } else {
        (&mut b, &mut a)
    };
    let second = started.pay(7);
    let second_request = other.read_request().await;
    other.write(&answer(&first_request, "00")).await;
    assert_eq!(
        started.quarantined().await.reason,
        QuarantineReason::NoMatch
    );
    mine.write(&answer(&first_request, "00")).await;
    other.write(&answer(&second_request, "00")).await;
    assert!(is_approved(&end_of(first).await));
    assert!(is_approved(&end_of(second).await));
}

#[tokio::test]
async fn a_host_that_is_down_is_not_waited_for() {
    let bank = Bank::start().await;
    let profile = bank.profile();
    drop(bank);
    let started = Started::new(profile);
    assert!(started.fault().await.contains("failed to connect"));
    let end = end_of(started.pay(1)).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::HostUnavailable));
    assert!(started.hosts.drain(TEST_TIMEOUT).await);
}

/// What a host sends beyond all measure costs its own line, and is not kept.
#[tokio::test]
async fn a_host_that_floods_loses_its_line() {
    let bank = Bank::start().await;
    let started = Started::new(bank.profile());
    let mut line = bank.accept_signed_on().await;
    assert!(started.hosts.ready(TEST_TIMEOUT).await);
    let payment = started.pay(6);
    let request = line.read_request().await;
    let mut unmatched = answer(&request, "00");
    unmatched.number(11, 424_242);
    for _ in 0..FLOOD {
        line.write(&unmatched).await;
    }
    let end = end_of(payment).await;
    assert_eq!(end, Exchange::Unknown(UnknownReason::ConnectionLost));
    let status = started.hosts.status();
    let line = &status[0].lines[0];
    assert_eq!(line.unmatched, u64::from(FLOOD));
    let fault = line.last_fault.as_deref().unwrap();
    assert!(fault.contains("that nobody waits for"), "{fault}");
}

/// A clock that panics when it is asked for the first time after it was armed.
#[derive(Debug)]
struct PanicOnce(ManualClock, std::sync::atomic::AtomicBool);

impl Clock for PanicOnce {
    fn now(&self) -> UnixMillis {
        let armed = self.1.swap(false, std::sync::atomic::Ordering::AcqRel);
        assert!(!armed, "the armed clock panics");
        self.0.now()
    }
}

/// A fault of this program on one line costs what is in flight there, and the line is made again.
#[tokio::test]
async fn a_line_whose_task_panics_is_started_again() {
    let bank = Bank::start().await;
    let clock = Arc::new(PanicOnce(ManualClock::at(known::NOW), false.into()));
    let (notices, _receiver) = mpsc::channel(64);
    let hosts = Hosts::start(
        vec![bank.profile()],
        None,
        Net::SYSTEM,
        Arc::clone(&clock) as Arc<dyn Clock>,
        Random::SYSTEM,
        notices,
    );
    let hosts = Arc::new(hosts.unwrap());
    let mut line = bank.accept_signed_on().await;
    assert!(hosts.ready(TEST_TIMEOUT).await);
    let (operation, merchant) = (known::numbered(6), known::merchant());
    let deadline = Instant::now() + TEST_TIMEOUT;
    let payment = hosts.send(known::outgoing(&operation, &merchant), deadline);
    let panic = async {
        let request = line.read_request().await;
        clock.1.store(true, std::sync::atomic::Ordering::Release);
        // What matches nothing is reported with its time.
        let mut unmatched = answer(&request, "00");
        unmatched.number(11, 424_242);
        line.write(&unmatched).await;
    };
    let (end, ()) = tokio::join!(payment, panic);
    assert_eq!(end, Exchange::Unknown(UnknownReason::ConnectionLost));
    // Until it is signed on again it takes nothing.
    let meanwhile = known::numbered(8);
    let meanwhile = hosts.send(known::outgoing(&meanwhile, &merchant), deadline);
    let not_sent = Exchange::NotSent(FailureReason::HostUnavailable);
    assert_eq!(meanwhile.await, not_sent);

    let mut line = bank.accept_signed_on().await;
    assert!(hosts.ready(TEST_TIMEOUT).await);
    let status = hosts.status();
    let fault = status[0].lines[0].last_fault.as_deref();
    assert_eq!(fault, Some("the line's task panicked"));
    let operation = known::numbered(7);
    let deadline = Instant::now() + TEST_TIMEOUT;
    let payment = hosts.send(known::outgoing(&operation, &merchant), deadline);
    let answer_it = async {
        let request = line.read_request().await;
        line.write(&answer(&request, "00")).await;
    };
    let (end, ()) = tokio::join!(payment, answer_it);
    assert!(is_approved(&end));
}
