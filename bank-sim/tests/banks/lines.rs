//! Lines: sign-on, echo, frames that are split, joined, malformed; both codecs.

use std::time::Duration;

use iso8583::{MessageBuilder, Mti};

use crate::harness::Banks;
use crate::switch::BINARY_2;

const PAN: &str = "4111111111111111";

/// A switch that speaks ISO 8583:1993: sign-on, a hold, its reversal and the repeat of that, an original that
/// nobody knows.
#[tokio::test]
async fn an_acquirer_understands_the_edition_of_1993() {
    let banks = Banks::start_with(|config| {
        config.acquirer.as_mut().unwrap().dialect = "iso1993-ascii".to_owned();
    })
    .await;
    let mut switch = banks.unsigned_switch().await;
    let mut message = MessageBuilder::new(Mti::NETWORK_REQUEST_1993);
    message
        .text(11, "000001")
        .text(12, "261121120000")
        .text(24, "801");
    let answer = switch.ask(&message).await;
    assert_eq!(
        (answer.mti.as_str(), answer.text(39)),
        ("1814", Some("800"))
    );

    let mut hold = MessageBuilder::new("1100".parse().unwrap());
    hold.text(2, PAN)
        .text(3, "000000")
        .number(4, 1250)
        .text(11, "000002")
        .text(12, "261121120000")
        .text(14, "3012")
        .text(22, "100850100110")
        .text(24, "100")
        .text(32, "123456")
        .text(37, "632512000002")
        .text(41, "TERM0001")
        .text(42, "MERCHANT0000001")
        .text(48, "9203123")
        .text(49, "978");
    let answer = switch.ask(&hold).await;
    assert_eq!(
        (answer.mti.as_str(), answer.text(39)),
        ("1110", Some("000"))
    );
    assert_eq!(answer.text(12), Some("261121120000"));
    assert_eq!(banks.held("issuer-a", PAN, "EUR"), 1250);
    assert_eq!(switch.ask(&hold).await.text(39), Some("913"));

    let mut reversal = hold.clone();
    reversal.set_mti("1420".parse().unwrap());
    for de in [14, 22, 48] {
        reversal.remove(de);
    }
    reversal
        .text(11, "000003")
        .text(24, "400")
        .text(25, "4021")
        .text(56, "110000000226112112000006123456");
    let answer = switch.ask(&reversal).await;
    assert_eq!(
        (answer.mti.as_str(), answer.text(39)),
        ("1430", Some("400"))
    );
    assert_eq!(banks.held("issuer-a", PAN, "EUR"), 0);
    reversal.set_mti("1421".parse().unwrap());
    assert_eq!(switch.ask(&reversal).await.text(39), Some("400"));
    reversal
        .text(11, "000004")
        .text(56, "110000009926112112000006123456");
    assert_eq!(switch.ask(&reversal).await.text(39), Some("914"));
}

#[tokio::test]
async fn payments_are_refused_before_sign_on_and_after_sign_off_and_echo_is_always_answered() {
    let banks = Banks::start().await;
    let mut switch = banks.unsigned_switch().await;
    let request = switch.authorization("4111111111111111", 1_00);
    assert_eq!(switch.network("301").await, "00");
    assert_eq!(switch.ask(&request).await.code(), "91");
    assert_eq!(switch.network("001").await, "00");
    // What was refused was never seen, so it is no duplicate.
    assert_eq!(switch.ask(&request).await.code(), "00");
    assert_eq!(switch.network("002").await, "00");
    let request = switch.authorization("4111111111111111", 1_00);
    assert_eq!(switch.ask(&request).await.code(), "91");
    assert_eq!(switch.network("301").await, "00");
    assert_eq!(switch.network("999").await, "12");
    assert_eq!(banks.held("issuer-a", "4111111111111111", "EUR"), 1_00);
}

#[tokio::test]
async fn the_answers_header_is_turned_round() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let mut request = switch.authorization("4111111111111111", 1_00);
    request.header(&[0x60, 0x00, 0x03, 0x00, 0x09]);
    assert_eq!(
        switch.ask(&request).await.header,
        [0x60, 0x00, 0x09, 0x00, 0x03]
    );
}

#[tokio::test]
async fn frames_may_come_byte_by_byte_or_all_at_once() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let request = switch.authorization("5555555555554444", 1_00);
    for byte in switch.frame(&request) {
        switch.write(&[byte]).await;
    }
    assert_eq!(switch.receive().await.code(), "00");
    let mut all = Vec::new();
    let mut stans = Vec::new();
    for number in 0..200 {
        let pan = if number % 2 == 0 {
            "4111111111111111"
        } else {
            "5555555555554444"
        };
        let request = switch.authorization(pan, 1_00);
        stans.push(request.text_of(11).unwrap().into_owned());
        all.extend(switch.frame(&request));
        // A frame of no bytes only keeps the line open.
        all.extend([0, 0]);
    }
    switch.write(&all).await;
    let mut answered = Vec::new();
    for _ in 0..200 {
        let answer = switch.receive().await;
        assert_eq!(answer.code(), "00");
        answered.push(answer.text(11).unwrap().to_owned());
    }
    answered.sort();
    assert_eq!(answered, stans);
    assert_eq!(banks.held("issuer-a", "4111111111111111", "EUR"), 100_00);
    assert_eq!(banks.held("issuer-b", "5555555555554444", "EUR"), 101_00);
}

#[tokio::test]
async fn a_message_with_a_bad_data_element_is_answered_with_30_and_the_line_goes_on() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let request = switch.authorization("4111111111111111", 1_00);
    let mut frame = switch.frame(&request);
    // DE 4 follows header, MTI, bitmap, DE 2 with its length, and DE 3.
    let amount_at = 2 + 5 + 2 + 8 + 1 + 8 + 3;
    frame[amount_at] = 0xAB;
    switch.write(&frame).await;
    let answer = switch.receive().await;
    assert_eq!(answer.mti_and_code(), "0110 30");
    assert_eq!(answer.text(11), request.text_of(11).as_deref());
    // One without its RRN is well-formed and still not enough.
    let mut request = switch.authorization("4111111111111111", 1_00);
    request.remove(37);
    assert_eq!(switch.ask(&request).await.code(), "30");
    assert_eq!(switch.network("301").await, "00");
}

#[tokio::test]
async fn iso8583_rs_never_sees_bad_lengths_and_they_are_answered_with_30() {
    let banks = Banks::start().await;
    let mut line = banks.at_issuer_b().await;
    for (find, replace_with) in [
        (&b"0079203123"[..], &b"0x79203123"[..]),
        (b"0079203123", b"9999203123"),
    ] {
        let request = line.authorization("5555555555554444", 1_00);
        let mut frame = line.frame(&request);
        let at = frame
            .windows(find.len())
            .position(|window| window == find)
            .unwrap();
        frame[at..at + find.len()].copy_from_slice(replace_with);
        line.write(&frame).await;
        let answer = line.receive().await;
        assert_eq!(answer.mti_and_code(), "0110 30");
        assert_eq!(answer.text(11), request.text_of(11).as_deref());
    }
    let request = line.authorization("5555555555554444", 1_00);
    assert_eq!(line.ask(&request).await.code(), "00");
}

#[tokio::test]
async fn garbage_drops_the_line_and_only_that_one() {
    let banks = Banks::start().await;
    let mut other = banks.switch().await;
    for garbage in [
        &b"\0\x05\xFF\xFF\xFF\xFF\xFF"[..],
        b"\xFF\xFF",
        b"\0\x03GET",
    ] {
        let mut switch = banks.switch().await;
        switch.write(garbage).await;
        assert_eq!(switch.receive_or_end().await, None, "{garbage:?}");
    }
    let mut line = banks.at_issuer_b().await;
    line.write(b"\0\x04\xFF\xFF\xFF\xFF").await;
    assert_eq!(line.receive_or_end().await, None);
    let request = other.authorization("5555555555554444", 1_00);
    assert_eq!(other.ask(&request).await.code(), "00");
}

/// Marsaglia's xorshift: the same bytes in every run.
fn next_random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 32).unwrap()
}

#[tokio::test]
async fn thousands_of_mutated_frames_kill_neither_codec() {
    let banks = Banks::start().await;
    let mut state = 0x1234_5678_9ABC_DEF0;
    for host in ["acquirer", "issuer-a", "issuer-b"] {
        let mut line = banks.line(host).await;
        for _ in 0..700 {
            let request = line.authorization("5555555555554444", 1_00);
            let mut frame = line.frame(&request);
            let prefix = line.framing.prefix.bytes();
            for _ in 0..=next_random(&mut state) % 4 {
                // Behind the length, so that the stream stays in step.
                let at = prefix + next_random(&mut state) % (frame.len() - prefix);
                frame[at] = u8::try_from(next_random(&mut state) % 256).unwrap();
            }
            // Whatever becomes of the frame, the echo behind it is answered or the line is gone.
            let echo = line.echo();
            frame.extend(line.frame(&echo));
            line.write_anyhow(&frame).await;
            loop {
                match line.receive_or_end().await {
                    Some(answer)
                        if answer.mti == "0810"
                            && answer.text(11) == echo.text_of(11).as_deref() =>
                    {
                        break;
                    }
                    Some(_) => {}
                    None => {
                        line = banks.line(host).await;
                        break;
                    }
                }
            }
        }
    }
    let mut switch = banks.switch().await;
    for pan in ["4111111111111111", "5555555555554444"] {
        let mut request = switch.authorization(pan, 1_00);
        // The lines above have used the STANs of the other terminal.
        request.text(41, "TERM0002");
        assert_eq!(switch.ask(&request).await.code(), "00");
    }
}

#[tokio::test]
async fn a_late_answer_holds_up_no_other() {
    let banks = Banks::start_with(|config| {
        config.issuers[0].late_answer_ms = 300;
    })
    .await;
    let mut switch = banks.switch().await;
    let late = switch.authorization("4000000000006009", 1_00);
    let prompt = switch.authorization("4111111111111111", 1_00);
    switch.send(&late).await;
    switch.send(&prompt).await;
    assert_eq!(
        switch.receive().await.text(11),
        prompt.text_of(11).as_deref()
    );
    let answer = switch.receive().await;
    assert_eq!(answer.text(11), late.text_of(11).as_deref());
    assert_eq!(answer.code(), "00");
}

#[tokio::test]
async fn an_issuer_that_never_answers_is_91_after_the_acquirers_time_out_and_the_hold_stands() {
    let banks = Banks::start_with(|config| {
        config.acquirer.as_mut().unwrap().issuer_timeout_ms = 300;
    })
    .await;
    let mut switch = banks.switch().await;
    let request = switch.authorization("4000000000009912", 9_00);
    assert_eq!(switch.ask(&request).await.code(), "91");
    assert_eq!(banks.held("issuer-a", "4000000000009912", "EUR"), 9_00);
    let reversal = switch.reversal(&request);
    assert_eq!(switch.ask(&reversal).await.code(), "00");
    assert_eq!(banks.held("issuer-a", "4000000000009912", "EUR"), 0);
}

#[tokio::test]
async fn an_idle_host_sends_echoes_and_answers_no_answer() {
    let banks = Banks::start_with(|config| {
        config.acquirer.as_mut().unwrap().echo_idle_ms = Some(50);
    })
    .await;
    let mut switch = banks.switch().await;
    let echo = switch.receive().await;
    assert_eq!((echo.mti.as_str(), echo.text(70)), ("0800", Some("301")));
    // An answer that nobody waits for; were it answered, the next message would be that answer.
    let mut answer = MessageBuilder::new(Mti::NETWORK_RESPONSE);
    answer
        .text(7, "1121120000")
        .text(11, "999999")
        .text(39, "00")
        .text(70, "301");
    switch.send(&answer).await;
    assert_eq!(switch.receive().await.mti, "0800");
    // The links to the issuers were idle too.
    assert!(banks.sim.link_counters("issuer-b").unwrap().sent("0800") >= 1);
}

#[tokio::test]
async fn counters_know_each_side_apart() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    assert_eq!(switch.framing, BINARY_2);
    for pan in ["4111111111111111", "5555555555554444", "6011111111111117"] {
        let request = switch.authorization(pan, 1_00);
        switch.ask(&request).await;
    }
    let acquirer = banks.sim.counters("acquirer").unwrap();
    assert_eq!((acquirer.received("0100"), acquirer.sent("0110")), (3, 3));
    assert_eq!((acquirer.received("0800"), acquirer.sent("0810")), (1, 1));
    for issuer in ["issuer-a", "issuer-b"] {
        let link = banks.sim.link_counters(issuer).unwrap();
        assert_eq!((link.sent("0100"), link.received("0110")), (1, 1));
        let issuer = banks.sim.counters(issuer).unwrap();
        assert_eq!((issuer.received("0100"), issuer.sent("0110")), (1, 1));
    }
    assert!(
        tokio::time::timeout(Duration::from_secs(10), banks.sim.shutdown())
            .await
            .is_ok()
    );
}
