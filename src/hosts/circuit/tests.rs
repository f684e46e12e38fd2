use std::time::Duration;

use super::*;
use crate::clock::ManualClock;
use crate::hosts::tests::known;

fn circuit() -> Circuit {
    let rule = CircuitRule {
        unanswered: 3,
        probation: 2,
    };
    let clock = Arc::new(ManualClock::at(known::NOW));
    Circuit::new("acquirer".parse().unwrap(), rule, clock)
}

/// A merchant, each number another one.
fn shop(number: usize) -> MerchantId {
    format!("shop-{number}").parse().unwrap()
}

/// Each row: what happens in order, where it stands then, and how often it was tried in vain. `+` and `-` are requests
/// that are answered or not, `0` one that is not sent, `!` one that is not let through, `E` and `e` an echo that is
/// answered or not, `L` an answer that nobody waited for.
#[test]
fn a_circuit_opens_and_is_closed_by_what_is_answered() {
    use CircuitState::{Closed, Open, Probation};
    for (steps, state, failures) in [
        ("", Closed, 0),
        ("--", Closed, 0),
        ("---!", Open, 0),
        // In a row, and only those that were sent.
        ("--+--", Closed, 0),
        ("--+---!", Open, 0),
        ("--000", Closed, 0),
        // An echo says nothing of a circuit that is closed.
        ("--Ee", Closed, 0),
        ("---e!e!", Open, 2),
        ("---E", Probation, 0),
        ("---E00", Probation, 0),
        ("---E+", Closed, 0),
        // Afterwards it is as new.
        ("---E+--", Closed, 0),
        ("---E+---!", Open, 0),
        ("---E-!", Open, 1),
        ("---eE-!e!", Open, 3),
        ("---eE-E+---", Open, 0),
        // An answer that comes late is one.
        ("--L--", Closed, 0),
        ("---L!", Open, 0),
    ] {
        let circuit = circuit();
        let mut now = Instant::now();
        for step in steps.chars() {
            let admitted = circuit.admit(shop(0), now + Duration::from_millis(1));
            now += Duration::from_secs(4);
            match (step, admitted) {
                ('!', admitted) => assert!(admitted.is_none(), "{steps}"),
                ('+', Some(admitted)) => admitted.ended(true, now),
                ('-', Some(admitted)) => admitted.ended(false, now),
                ('0', Some(admitted)) => drop(admitted),
                ('E' | 'e', admitted) => {
                    drop(admitted);
                    circuit.echoed(step == 'E');
                }
                ('L', admitted) => {
                    drop(admitted);
                    circuit.answered_late(now);
                }
                other => panic!("{steps}: {}", other.0),
            }
        }
        assert_eq!(circuit.view().state, state, "{steps}");
        assert_eq!(circuit.count().failures, failures, "{steps}");
    }
}

/// Whose card the host gives no answer to costs nobody else theirs.
#[test]
fn a_host_that_answers_others_meanwhile_is_not_dead() {
    let circuit = circuit();
    let mut now = Instant::now();
    for answers_others in [true, true, false] {
        let unanswered: Vec<_> = (0..10)
            .map(|_| circuit.admit(shop(0), now).unwrap())
            .collect();
        now += Duration::from_secs(1);
        if answers_others {
            circuit.admit(shop(1), now).unwrap().ended(true, now);
        }
        now += Duration::from_secs(3);
        for admitted in unanswered {
            admitted.ended(false, now);
        }
        let state = match answers_others {
            true => CircuitState::Closed,
            false => CircuitState::Open,
        };
        assert_eq!(circuit.view().state, state);
    }
}

/// What is under way when the state changes says nothing of the host after it.
#[test]
fn a_request_counts_where_it_was_let_through() {
    let (circuit, now) = (circuit(), Instant::now());
    let let_through: Vec<_> = (0..6)
        .map(|_| circuit.admit(shop(0), now).unwrap())
        .collect();
    for admitted in let_through {
        admitted.ended(false, now);
    }
    assert_eq!(circuit.count().failures, 0);
    circuit.echoed(true);
    // One of each merchant is let through, and it opens again when none of them was answered.
    let first = circuit.admit(shop(0), now).unwrap();
    assert!(circuit.admit(shop(0), now).is_none());
    let second = circuit.admit(shop(1), now).unwrap();
    assert!(circuit.admit(shop(2), now).is_none());
    first.ended(false, now);
    assert_eq!(circuit.view().state, CircuitState::Probation);
    assert!(circuit.admit(shop(0), now).is_none());
    second.ended(false, now);
    assert_eq!(circuit.count().failures, 1);
    // One that is not sent leaves its room.
    circuit.echoed(true);
    drop(circuit.admit(shop(0), now));
    let again = [0, 1].map(|number| circuit.admit(shop(number), now).unwrap());
    let [first, second] = again;
    first.ended(false, now);
    second.ended(true, now);
    assert_eq!(circuit.view().state, CircuitState::Closed);
}

#[tokio::test]
async fn it_is_waited_for_until_it_is_open() {
    let (circuit, now) = (circuit(), Instant::now());
    let opens = circuit.stands(CircuitState::Open);
    tokio::pin!(opens);
    assert!(futures_util::poll!(&mut opens).is_pending());
    for _ in 0..3 {
        circuit.admit(shop(0), now).unwrap().ended(false, now);
    }
    assert_eq!(opens.await, 0);
    circuit.echoed(false);
    assert_eq!(circuit.stands(CircuitState::Open).await, 1);
}
