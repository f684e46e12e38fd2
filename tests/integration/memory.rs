//! Where a card is in the gateway's memory: in one place while it is needed, nowhere afterwards; and who may look.

mod process;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use bank_sim::config::{AccountConfig, CardConfig};
use futures_util::future::join_all;
use payswitch::card::header::Algorithm;
use payswitch::card::seal::{Recipient, SessionKey};
use payswitch::merchant_api::pb;
use payswitch::random::Random;
use tokio::time::sleep;
use tonic::Code;

use crate::canaries::search::{Secrets, ebcdic, ways, ways_of_pan};
use crate::canaries::{digits, pan};
use crate::demo::text;
use crate::gateway::{Gateway, NOBODY, User, command};
use crate::harness::{Payments, pay_with, run, until, with_key};
use crate::sealing::{Claims, card_with, create_session, seal_session_key, with_sealed};
use process::Memory;

/// The rule: so long after the last answer no card is in memory.
const WIPED_WITHIN: Duration = Duration::from_secs(20);
const MERCHANT: &str = "shop-a";
/// The payments with a card number that the test made.
const CARDS: usize = 200;
/// How their numbers begin: two that the issuers know, in two dialects, two that they don't, and one whose issuer is
/// not there.
const BINS: [&str; 5] = ["400000", "510510", "222300", "378282", "601111"];
/// The payments that are under way at once.
const AT_ONCE: usize = 40;
/// A public test card whose issuer never answers.
const NO_ANSWER: &str = "4000000000009912";
/// Public test cards: one that is approved, one whose answer is late, and one whose issuer never answers. Their digits
/// repeat no pair: eight equal bytes of anything else would be found for those.
const PUBLIC_CARDS: [&str; 3] = ["4000000000006710", "4000000000006009", NO_ANSWER];
const THEIR_CVV: &str = "123";

/// What must not be found of a card: its number, most of its number, and its CVV as messages have it.
fn add_card(secrets: &mut Secrets, pan: &str, cvv: &str) {
    let name = format!("{pan} {cvv}");
    secrets.add(&name, ways_of_pan(pan));
    // A few digits and nothing but noughts are in any message.
    let is_rare = |part: &&str| part.matches('0').count() <= part.len() / 2;
    let parts = [&pan[..12], &pan[pan.len() - 12..]];
    for part in parts.into_iter().filter(is_rare) {
        let part_name = format!("{name}, a part");
        secrets.add(&part_name, ways(part.as_bytes()));
        secrets.add(&part_name, vec![ebcdic(part)]);
    }
    let cvv_name = format!("{name}, its CVV");
    let in_message = format!("920{}{cvv}", cvv.len());
    for written in [&in_message, &format!("\"cvv\":\"{cvv}\"")] {
        secrets.add(&cvv_name, ways(written.as_bytes()));
    }
    secrets.add(&cvv_name, vec![ebcdic(&in_message)]);
}

/// The card as its issuer knows it.
fn with_account(pan: &str, cvv: &str) -> CardConfig {
    CardConfig {
        pan: pan.to_owned(),
        expiry_yymm: "3012".to_owned(),
        cvv2: cvv.to_owned(),
        pin: "1234".to_owned(),
        limit_whole_units: None,
        accounts: vec![AccountConfig {
            currency: "EUR".to_owned(),
            balance_minor: 100_000,
            credit_line_minor: 0,
        }],
    }
}

/// Seals cards: every other one under a session key.
struct Shop {
    payments: Payments,
    recipients: [Recipient; 2],
}

impl Shop {
    async fn open(gateway: &Gateway) -> Self {
        let jwks_path = gateway.ready["jwks_path"].as_str().expect("a path");
        let jwks = text(jwks_path.as_ref());
        let random = Random::SYSTEM;
        let own = Recipient::from_jwks(&jwks, Algorithm::EcdhEs, &random).expect("a key");
        let key = SessionKey::generate(&random).expect("randomness");
        let sealed = seal_session_key(&own, MERCHANT, &key);
        let api_key = &gateway.api_keys[0];
        let kid = create_session(gateway.connect().await, api_key, sealed).await;
        let session = Recipient::session(kid, &key, &random).expect("a session");
        Self {
            payments: with_key(gateway.connect().await, api_key),
            recipients: [own, session],
        }
    }

    /// Pays; gives the payment's state, or the code of the error.
    async fn pay(&self, number: usize, pan: &str, cvv: &str) -> Result<pb::PaymentState, Code> {
        let request = pay_with("", 1250, "EUR");
        let recipient = &self.recipients[number % 2];
        let sealed = Claims::of(MERCHANT, &request).seal(recipient, &card_with(pan, "3012", cvv));
        let mut payments = self.payments.clone();
        let answer = payments
            .authorize_payment(with_sealed(request, sealed))
            .await
            .map_err(|status| status.code())?;
        Ok(answer.into_inner().payment.expect("a payment").state())
    }
}

#[test]
fn a_card_is_in_one_place_and_that_place_is_wiped() {
    run(async {
        let made = (0..CARDS).map(|number| (pan(BINS[number % BINS.len()]), digits(4)));
        let known = PUBLIC_CARDS.map(|pan| (pan.to_owned(), THEIR_CVV.to_owned()));
        let cards: Vec<_> = made.chain(known).collect();
        let mut secrets = Secrets::default();
        for (pan, cvv) in &cards {
            add_card(&mut secrets, pan, cvv);
        }
        let gateway = Gateway::start(User::Own, &[MERCHANT], |banks| {
            let acquirer = banks.acquirer.as_mut().expect("an acquirer");
            acquirer.echo_card_number = true;
            for (issuer, bin) in banks.issuers.iter_mut().zip(BINS) {
                let own = cards[..CARDS]
                    .iter()
                    .filter(|(pan, _)| pan.starts_with(bin));
                issuer.cards = own.map(|(pan, cvv)| with_account(pan, cvv)).collect();
            }
        })
        .await;
        let shop = Shop::open(&gateway).await;
        let mut states = BTreeMap::new();
        let numbered: Vec<_> = cards.iter().enumerate().collect();
        for some in numbered.chunks(AT_ONCE) {
            let calls = some
                .iter()
                .map(|(number, (pan, cvv))| shop.pay(*number, pan, cvv));
            for state in join_all(calls).await {
                *states.entry(state.expect("a payment")).or_insert(0) += 1;
            }
        }
        let expected = [
            (pb::PaymentState::Authorizing, 2),
            (pb::PaymentState::Authorized, CARDS * 2 / 5 + 1),
            (pb::PaymentState::Declined, CARDS * 3 / 5),
        ];
        assert_eq!(states, BTreeMap::from(expected));
        sleep(WIPED_WITHIN).await;
        let found = Memory::of(gateway.process.id()).places_of(&secrets);
        assert!(found.is_empty(), "\n{}", found.join("\n"));

        // While the bank is asked, the card lies in one place. So the search finds what is there.
        let mut waiting = Secrets::default();
        waiting.add("the card number", ways_of_pan(NO_ANSWER));
        let payment = shop.pay(0, NO_ANSWER, THEIR_CVV);
        let look = until("one place that holds the card", async || {
            Memory::of(gateway.process.id()).places_of(&waiting).len() == 1
        });
        let (state, ()) = tokio::join!(payment, look);
        assert_eq!(state, Ok(pb::PaymentState::Authorizing));
    });
}

#[test]
fn a_gateway_leaves_no_core_file_and_its_user_can_not_look_into_it() {
    run(async {
        let gateway = Gateway::start(User::Nobody, &[MERCHANT], |_| ()).await;
        let of_the_process = |name: &str| format!("/proc/{}/{name}", gateway.process.id());
        let owner = |name: &str| {
            let of_a_file = std::fs::metadata(of_the_process(name)).expect("it runs");
            of_a_file.uid()
        };
        assert_eq!((owner(""), owner("mem")), (NOBODY, 0));
        let maps = of_the_process("maps");
        let cat = command("cat".as_ref(), User::Nobody, "/".as_ref())
            .arg(&maps)
            .output();
        assert!(
            !cat.expect("cat").status.success(),
            "its user can read {maps}"
        );
        let limits = text(of_the_process("limits").as_ref());
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let words: Vec<_> = core.expect("a limit").split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"]);
        gateway.process.send("ABRT");
        let ended = gateway.process.ended().await;
        assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false));
    });
}
