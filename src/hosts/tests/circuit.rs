//! A bank that answers echoes and no payment: its circuit, and how it is closed again.

use super::bank::{answer, confirmation};
use super::owed::{acknowledgement, is_acknowledged, reversal_on, send};
use super::*;
use crate::hosts::circuit::{CircuitRule, CircuitState};
use crate::payment::decline::{FailureReason, UnknownReason};

impl Started {
    async fn circuit_is(&self, state: CircuitState) {
        let host = self.hosts.host("acquirer".parse().unwrap()).unwrap();
        let stands = tokio::time::timeout(TEST_TIMEOUT, host.circuit.stands(state));
        stands.await.expect("in time");
        assert_eq!(self.hosts.views()[0].circuit.state, state);
    }
}

async fn answer_echo(line: &mut BankLine) {
    let echo = line.read().await.expect("an echo");
    assert_eq!(echo.text_of(70).as_deref(), Some("301"));
    line.write(&confirmation(&echo, "00")).await;
}

#[tokio::test]
async fn payments_to_a_host_that_answers_none_fail_unsent_until_it_answers_again() {
    let (started, _bank, mut line) = Started::signed_on(|profile| {
        profile.reply_timeout = Duration::from_millis(300);
        profile.circuit = CircuitRule {
            unanswered: 3,
            probation: 2,
        };
    })
    .await;
    let unanswered = Exchange::Unknown(UnknownReason::NoAnswerInTime);
    let refused = Exchange::NotSent(FailureReason::CircuitOpen);
    let sent = [started.pay(1), started.pay(2), started.pay(3)];
    for payment in sent {
        line.read_request().await;
        assert_eq!(end_of(payment).await, unanswered);
    }
    started.circuit_is(CircuitState::Open).await;
    assert_eq!(end_of(started.pay(4)).await, refused);
    let echo = line.read().await.expect("an echo");
    assert_eq!(echo.text_of(70).as_deref(), Some("301"));
    // What is owed goes on.
    let owed = send(&started, known::numbered(1), false);
    let (reversal, mti) = reversal_on(&mut line).await;
    assert_eq!(mti, "0420");
    line.write(&acknowledgement(&reversal)).await;
    assert!(is_acknowledged(&end_of(owed).await));

    line.write(&confirmation(&echo, "00")).await;
    for (number, state) in [(5, CircuitState::Open), (8, CircuitState::Closed)] {
        let is_answered = state == CircuitState::Closed;
        if is_answered {
            answer_echo(&mut line).await;
        }
        started.circuit_is(CircuitState::Probation).await;
        let payment = started.pay(number);
        let request = line.read_request().await;
        // The merchant has one on its way.
        assert_eq!(end_of(started.pay(7)).await, refused);
        if is_answered {
            line.write(&answer(&request, "00")).await;
        }
        assert_eq!(is_approved(&end_of(payment).await), is_answered);
        started.circuit_is(state).await;
    }
    let payment = started.pay(10);
    let request = line.read_request().await;
    line.write(&answer(&request, "05")).await;
    assert!(end_of(payment).await.is_decided());
}
