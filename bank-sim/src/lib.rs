//! Simulated banks: an acquirer and issuers with accounts and money, which speak ISO 8583 over mutual
//! TLS. Never depends on the switch that it is the neighbour of.
//!
//! The modules, in the order in which a message meets them:
//!
//! - [`config`]: what to simulate; [`sim`]: starts it, and is the handle to what runs.
//! - `tls`: TLS 1.3, mutual, a private root for each host.
//! - `listener`: takes the connections of a host; `connection`: what comes and goes on one; `line`: bytes and
//!   frames; `codec`: between bytes and messages, by our codec or by [`iso8583_rs_codec`], another project's in a
//!   process of its own.
//! - `host`: what a host has beside its connections, and what it decides.
//! - `message`: a message apart from any dialect; `network`: sign-on, sign-off, echo; [`cutover`]: another business
//!   date; `lines`: what a host sends by itself.
//! - `acquirer`: forwards by BIN over its own links and relays the answers; [`settlement`]: what it books of them
//!   for the end of the bank's day.
//! - [`issuer`]: accounts, rules and holds; [`currency`]: how many decimals they have; [`response_code`]: what DE 39
//!   can say.
//! - [`test_cards`]: the cards and the amounts that provoke every answer.
//! - [`faults`]: what a host does wrong when it is told to.
//! - [`message_log`] and [`counters`]: what has passed. [`control`]: the API that shows it and the books, and adds
//!   faults.
//! - [`payouts`]: the bank that takes payment orders and tells what became of them.
//! - [`net`], [`clock`], `random`: sockets, time and hash seeds, which a simulation replaces; `recent`: the keys that
//!   came last; `digest`: by which a file is known again.
//!
//! # What the hosts answer
//!
//! | message | answer |
//! |---|---|
//! | 0800, DE 70 = 001, 002, 301 | 0810: sign-on and sign-off hold for this line, echo is always answered |
//! | 0100, 0200, 0220, 0400, 0420 before sign-on | 91: to a host, a party that has not signed on is inoperative |
//! | 0100 | 0110: 00 with DE 38, and the amount is held; or 10, and as much as DE 4 of the answer says; or why not |
//! | 0100 with DE 90 | as 0100: the amount is held beside the hold that DE 90 names, captured with it, and reversed by itself; 25 when nothing is held |
//! | 0100 with the amount zero | 0110: 85 where the card is good, and nothing is held; what came of the CVV2 in sub-element 87 of DE 48: M, N, P (not processed) |
//! | 0200 | 0210: debited at once, or credited when DE 3 is 20xxxx |
//! | 0220, 0221 | 0230: posted against the hold that DE 90 names, or on its own; a repeat moves nothing |
//! | 0400, 0420, 0421 | 0410, 0430: what DE 90 and DE 37 name is undone, down to the amount of DE 95 if it is there; captured money stays. 25 when it is unknown, 13 when DE 4 is not the original's |
//! | an original whose reversal came first | 05 |
//! | 0100 or 0200 again (same DE 7, 11, 37, 41) | 94, and nothing moves |
//! | 0500, 0520, 0521 | 0510, 0530 from the acquirer: 00 with DE 66 = 1 when the totals are what it has booked, 2 and its own when they are not, 30 and 3 when something is missing |
//! | 0320, 0321 | 0330 from the acquirer: the item counts in the next totals of its date |
//! | a card number without a route, or that nobody issued | 14 |
//! | an issuer that is not connected | 91 at once, from the acquirer |
//! | an issuer that does not answer | nothing until the acquirer's time-out, then 91 |
//! | a request for which the books have no room (`max_exchanges`) | 96 |
//! | bytes that are no message | 30 when MTI and DE 11 can be read; otherwise the line is dropped |
//! | an answer | nothing, ever |
//!
//! The acquirer takes the messages of ISO 8583:1993 likewise; there DE 39 = 500 or 501 says what DE 66 does. With the
//! rules of NPS it takes 0120 in place of 0220. It books each capture and refund that it relays an approval of once,
//! under its business date or, where totals of that date have been reconciled, under the next one; a reversal takes
//! out what is not reconciled. A cutover moves the date on: 0800 with DE 70 = 201 and the date in DE 15.
//!
//! Answers carry the request's DE 3, 4, 7, 11, 12, 13, 32, 33, 37, 41, 42, 49 and 90 (those about totals DE 15 and 50
//! too), never its DE 2. The
//! acquirer answers 91 at its time-out without reversing at the issuer: a switch whose own time-out
//! was earlier owes the reversal, and a simulator that made up for a forgotten one would hide it.
//! PIN blocks pass the acquirer unchanged: one development key is shared by switch and issuers.
//!
//! # Example
//!
//! ```no_run
//! use bank_sim::{BankSim, SimConfig};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = SimConfig::read("bank-sim/bank-sim.toml".as_ref())?;
//! let sim = BankSim::start(config).await?;
//! assert!(sim.wait_for_links(std::time::Duration::from_secs(10)).await);
//! println!("the acquirer listens on {:?}", sim.address("acquirer"));
//! sim.stop_host("issuer-a").await?;
//! sim.start_host("issuer-a").await?;
//! let held = sim.books("issuer-a").map(|books| books.accounts);
//! sim.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod acquirer;
mod codec;
mod connection;
mod digest;
mod host;
mod line;
mod lines;
mod listener;
mod message;
mod network;
mod outcome;
mod random;
mod recent;
mod tls;

pub mod clock;
pub mod config;
pub mod control;
pub mod counters;
pub mod currency;
pub mod cutover;
pub mod faults;
pub mod iso8583_rs_codec;
pub mod issuer;
pub mod message_log;
pub mod net;
pub mod payouts;
pub mod response_code;
pub mod settlement;
pub mod sim;
pub mod test_cards;

pub use config::SimConfig;
pub use iso8583_rs_codec::run_codec_child_if_asked;
pub use listener::MAX_CONNECTIONS;
pub use outcome::Effect;
pub use sim::{RunningSim, SimError, start::BankSim};
pub use tls::TlsError;
