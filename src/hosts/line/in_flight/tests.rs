use std::cell::Cell;
use std::rc::Rc;

use iso8583::Mti;
use proptest::prelude::*;

use super::*;
use crate::hosts::message::amount::AskedAmount;
use crate::hosts::message::match_key::{KeyField, MatchRule, Part, TerminalId};

/// A waiter that waits until the test says otherwise.
#[derive(Debug, Clone)]
struct TestWaiter {
    name: usize,
    waits: Rc<Cell<bool>>,
}

impl PartialEq for TestWaiter {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Waiting for TestWaiter {
    fn is_waiting(&self) -> bool {
        self.waits.get()
    }
}

fn waiter(name: usize) -> TestWaiter {
    TestWaiter {
        name,
        waits: Rc::new(Cell::new(true)),
    }
}

fn key(stan: u32, round: u32) -> RequestKey {
    RequestKey {
        rule: MatchRule::default(),
        response_mti: Mti::AUTHORIZATION_RESPONSE,
        asked: AskedAmount {
            amount_minor: 100,
            currency: 978,
            partial_of_minor: None,
        },
        transmitted: 1_121_000_000,
        stan: Stan::try_from(stan).unwrap(),
        rrn: format!("{round:06}{stan:06}").parse().unwrap(),
        terminal_id: TerminalId::new("TERM").unwrap(),
    }
}

fn echo(key: &RequestKey) -> ReceivedKey {
    ReceivedKey {
        mti: key.response_mti,
        transmitted: Part::Is(key.transmitted),
        stan: Some(key.stan),
        rrn: Part::Is(key.rrn),
        terminal_id: Part::Is(key.terminal_id),
        currency: Part::Is(key.asked.currency),
    }
}

fn table() -> InFlight<TestWaiter> {
    InFlight::new(4)
}

#[test]
fn an_answer_is_found_once() {
    let mut table = table();
    let sent = key(7, 0);
    table.insert(sent, waiter(1), Instant::now()).unwrap();
    assert_eq!(table.answer(&echo(&key(8, 0))), Match::Unmatched);
    assert_eq!(table.answer(&echo(&sent)), Match::Found(waiter(1)));
    assert_eq!(table.answer(&echo(&sent)), Match::Duplicate);
}

#[test]
fn a_mismatch_leaves_the_waiter_waiting() {
    let mut table = table();
    let sent = key(7, 0);
    table.insert(sent, waiter(1), Instant::now()).unwrap();
    let swapped = ReceivedKey {
        rrn: Part::Is(key(8, 0).rrn),
        ..echo(&sent)
    };
    let expected = KeyFields::default().with(KeyField::Rrn);
    assert_eq!(table.answer(&swapped), Match::Mismatch(expected));
    assert_eq!(table.answer(&echo(&sent)), Match::Found(waiter(1)));
}

#[test]
fn a_stan_in_flight_is_not_overwritten() {
    let mut table = table();
    let (first, second) = (key(7, 0), key(7, 1));
    let first_waiter = waiter(1);
    table
        .insert(first, first_waiter.clone(), Instant::now())
        .unwrap();
    assert_eq!(
        table.insert(second, waiter(2), Instant::now()),
        Err(StanInFlight(waiter(2)))
    );
    // Once the first is not waited for any more, its STAN is free again, and both are known.
    first_waiter.waits.set(false);
    table.insert(second, waiter(2), Instant::now()).unwrap();
    assert_eq!(table.answer(&echo(&first)), Match::Found(first_waiter));
    assert_eq!(table.answer(&echo(&second)), Match::Found(waiter(2)));
    assert_eq!(table.answer(&echo(&first)), Match::Duplicate);
}

/// A reversal may go under the STAN of its original, while that is still waited for.
#[test]
fn a_stan_may_be_waited_for_once_in_each_class() {
    let mut table = table();
    let original = key(7, 0);
    let reversal = RequestKey {
        response_mti: Mti::REVERSAL_ADVICE_RESPONSE,
        ..original
    };
    table.insert(original, waiter(1), Instant::now()).unwrap();
    table.insert(reversal, waiter(2), Instant::now()).unwrap();
    let again = table.insert(reversal, waiter(3), Instant::now());
    assert_eq!(again, Err(StanInFlight(waiter(3))));
    let late_answer = table.answer(&echo(&original));
    assert_eq!(late_answer, Match::Found(waiter(1)));
    let acknowledged = table.answer(&echo(&reversal));
    assert_eq!(acknowledged, Match::Found(waiter(2)));
}

#[test]
fn a_request_that_was_not_sent_leaves_no_trace() {
    let mut table = table();
    let (first, second) = (key(7, 0), key(8, 0));
    table.insert(first, waiter(1), Instant::now()).unwrap();
    table.insert(second, waiter(2), Instant::now()).unwrap();
    assert_eq!(table.withdraw(&first), Some(waiter(1)));
    assert_eq!(table.withdraw(&first), None);
    assert_eq!(table.len(), 1);
    assert_eq!(table.answer(&echo(&first)), Match::Unmatched);
    table.insert(first, waiter(3), Instant::now()).unwrap();
    assert_eq!(table.answer(&echo(&first)), Match::Found(waiter(3)));
}

#[test]
fn the_unanswered_are_forgotten_in_time_but_not_while_waited_for() {
    let mut table = table();
    let start = Instant::now();
    let (late, awaited) = (waiter(1), waiter(2));
    table.insert(key(1, 0), late.clone(), start).unwrap();
    table.insert(key(2, 0), awaited, start).unwrap();
    late.waits.set(false);
    table.expire(start + UNANSWERED_MEMORY - Duration::from_millis(1));
    assert_eq!(table.len(), 2);
    table.expire(start + UNANSWERED_MEMORY);
    assert_eq!(table.answer(&echo(&key(1, 0))), Match::Unmatched);
    assert_eq!(table.answer(&echo(&key(2, 0))), Match::Found(waiter(2)));
}

#[test]
fn memory_is_bounded() {
    let mut table = table();
    let start = Instant::now();
    let limit = 4 + UNANSWERED_REMEMBERED;
    for number in 0..limit + 100 {
        let silent = waiter(number);
        silent.waits.set(false);
        let stan = u32::try_from(number + 1).unwrap();
        table.insert(key(stan, 0), silent, start).unwrap();
    }
    assert_eq!(table.len(), limit);
    assert_eq!(table.answer(&echo(&key(100, 0))), Match::Unmatched);
    assert!(matches!(table.answer(&echo(&key(101, 0))), Match::Found(_)));

    let mut table = self::table();
    for number in 0..ANSWERED_REMEMBERED + 5000 {
        let sent = key(u32::try_from(number + 1).unwrap(), 0);
        table.insert(sent, waiter(number), start).unwrap();
        assert_eq!(table.answer(&echo(&sent)), Match::Found(waiter(number)));
    }
    assert_eq!(table.len(), ANSWERED_REMEMBERED);
    assert!(table.unanswered.len() <= 1025, "{}", table.unanswered.len());
}

/// The calls to a table.
#[derive(Debug, Clone)]
enum Step {
    Insert { stan: u32, round: u32 },
    Answer { stan: u32, round: u32 },
    GiveUp { index: usize },
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..6_u32, 0..4_u32).prop_map(|(stan, round)| Step::Insert { stan, round }),
        (1..6_u32, 0..4_u32).prop_map(|(stan, round)| Step::Answer { stan, round }),
        (0..20_usize).prop_map(|index| Step::GiveUp { index }),
        Just(Step::Lose),
    ]
}

/// The model: every request ever entered, in order.
struct Modelled {
    stan: u32,
    round: u32,
    waiter: TestWaiter,
    answered: bool,
}

proptest! {
    /// Against a plain list of all requests: the table finds the same, refuses the same, and never
    /// hands out a waiter twice.
    #[test]
    fn the_table_is_a_list_with_an_index(steps in proptest::collection::vec(step(), 1..200)) {
        let mut table = table();
        let mut model: Vec<Modelled> = Vec::new();
        let now = Instant::now();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert { stan, round } => {
                    // RRNs don't repeat on a number date, so no whole key comes twice.
                    if model.iter().any(|known| (known.stan, known.round) == (stan, round)) {
                        continue;
                    }
                    let busy = model.iter().any(|known| {
                        known.stan == stan && !known.answered && known.waiter.is_waiting()
                    });
                    let waiter = waiter(number);
                    let entered = table.insert(key(stan, round), waiter.clone(), now);
                    prop_assert_eq!(entered.is_err(), busy);
                    if !busy {
                        model.push(Modelled { stan, round, waiter, answered: false });
                    }
                }
                Step::Answer { stan, round } => {
                    let got = table.answer(&echo(&key(stan, round)));
                    let same_stan = model.iter().any(|known| known.stan == stan);
                    let known = model
                        .iter_mut()
                        .find(|known| (known.stan, known.round) == (stan, round));
                    match known {
                        Some(known) if known.answered => prop_assert_eq!(got, Match::Duplicate),
                        Some(known) => {
                            known.answered = true;
                            prop_assert_eq!(got, Match::Found(known.waiter.clone()));
                        }
                        None if same_stan => {
                            let rrn = KeyFields::default().with(KeyField::Rrn);
                            prop_assert_eq!(got, Match::Mismatch(rrn));
                        }
                        None => prop_assert_eq!(got, Match::Unmatched),
                    }
                }
                Step::GiveUp { index } => {
                    if let Some(known) = model.get(index) {
                        known.waiter.waits.set(false);
                    }
                }
                Step::Lose => {
                    let mut told = Vec::new();
                    table.for_each_unanswered(|waiter| {
                        waiter.waits.set(false);
                        told.push(waiter.name);
                    });
                    told.sort_unstable();
                    let expected: Vec<usize> = model
                        .iter()
                        .filter(|known| !known.answered)
                        .map(|known| known.waiter.name)
                        .collect();
                    prop_assert_eq!(told, expected);
                }
            }
        }
        prop_assert_eq!(table.len(), model.len());
    }
}
