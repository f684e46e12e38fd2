//! Every race of one payment, walked through: each order in which a merchant asks, nodes record, send, hear, die and
//! recover, the network delivers, loses and doubles, the bank does or refuses, and an operator looks.

use std::sync::Mutex;

use self::play::{Ask, Budget, Play, Style};
use self::reached::Reached;
use self::search::walk;

mod bank;
mod ends;
mod play;
mod promises;
mod reached;
mod records;
mod search;
mod steps;
mod world;

const ALONE: Play = Play {
    name: "an authorization alone",
    is_sale: false,
    amount: 3,
    asks: &[],
    capture: Style::Advice,
    void: Style::Advice,
    refund: Style::Waits,
    increment: Style::Reversed,
    doubts: true,
    budget: Budget {
        deaths: 1,
        mistaken: 1,
        twice: 1,
        repeats: 1,
        operator: 1,
        ages: 1,
        hold_ends: 0,
    },
    depth: None,
};

#[test]
fn try_it() {
    let most = std::env::var("RACES").map_or(100_000, |it| it.parse().unwrap());
    let mut reached = Reached::default();
    let walked = walk(&ALONE, most, &mut reached);
    println!("{} {} states, depth {} {}", ALONE.name, walked.states, walked.depth, walked.is_whole);
    if let Some(story) = walked.broken {
        println!("{}", story.acts.join("\n"));
        panic!("{}", story.promise);
    }
}
