//! Every race of one payment, walked through: each order in which a merchant asks, nodes record, send, hear, die and
//! recover, the network delivers, loses and doubles, the bank does or refuses, and an operator looks.
//!
//! The product's own functions say what follows: the state tables, the flows' plans and decisions, and what the machine
//! makes of them. The store, the bank and the network are small models. `scripts/races` walks everything; the tests
//! walk the beginning of every play.

use std::collections::VecDeque;
use std::sync::Mutex;

use self::play::Play;
use self::plays::{PLAYS, shows};
use self::reached::Reached;
use self::search::{Story, Walked, walk};
use crate::payment::planted::{Mistake, plant};

mod bank;
mod ends;
mod intents;
mod play;
mod plays;
mod promises;
mod reached;
mod records;
mod search;
mod steps;
mod world;

/// So many states of each play, unless `RACES` says how many; 0 are all of them.
const STATES: usize = 3_000;
/// The most states until a planted mistake is found.
const UNTIL_FOUND: usize = 200_000;

/// How many states of each play are walked.
fn asked_for() -> usize {
    let asked = std::env::var("RACES").ok();
    match asked.map(|it| it.parse().expect("RACES is a number")) {
        None => STATES,
        Some(0) => usize::MAX,
        Some(states) => states,
    }
}

/// Walks through plays on two threads.
fn walk_all(plays: Vec<Play>, most: usize) -> (Vec<(Play, Walked)>, Reached) {
    let (plays, done) = (Mutex::new(VecDeque::from(plays)), Mutex::default());
    let work = || {
        let mut reached = Reached::default();
        loop {
            let Some(play) = plays.lock().unwrap().pop_front() else {
                return reached;
            };
            let walked = walk(&play, most, &mut reached);
            let shown = (walked.states, walked.depth, walked.is_whole);
            println!(
                "{}: {} states, {} acts deep, whole: {}",
                play.name, shown.0, shown.1, shown.2
            );
            let mut done: std::sync::MutexGuard<'_, Vec<_>> = done.lock().unwrap();
            done.push((play, walked));
        }
    };
    let mut reached = Reached::default();
    std::thread::scope(|scope| {
        for thread in [scope.spawn(work), scope.spawn(work)] {
            reached.add(&thread.join().unwrap());
        }
    });
    (done.into_inner().unwrap(), reached)
}

fn tell(play: &Play, story: &Story) {
    println!("\n{}:", play.name);
    for act in &story.acts {
        println!("  {act}");
    }
    println!("  => {}", story.promise);
}

#[test]
fn every_race_keeps_every_promise() {
    let most = asked_for();
    let (walked, reached) = walk_all(PLAYS.to_vec(), most);
    let states: usize = walked.iter().map(|(_, it)| it.states).sum();
    println!("{states} states");
    let mut broken = 0;
    for (play, walked) in &walked {
        if let Some(story) = &walked.broken {
            tell(play, story);
            broken += 1;
        }
    }
    let differing = reached.differing();
    println!("{differing}");
    assert_eq!(broken, 0);
    if most == usize::MAX {
        assert_eq!(differing, "");
    }
}

#[test]
fn every_planted_mistake_is_found() {
    let mut missed = Vec::new();
    for mistake in Mistake::ALL {
        plant(Some(mistake));
        let play = shows(mistake);
        let walked = walk(&play, UNTIL_FOUND, &mut Reached::default());
        plant(None);
        println!("\n{mistake:?} is found after {} states", walked.states);
        match walked.broken {
            Some(story) => tell(&play, &story),
            None => missed.push(mistake),
        }
    }
    assert_eq!(missed, []);
}
