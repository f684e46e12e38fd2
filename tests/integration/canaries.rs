//! A search for what must be nowhere: card numbers, CVVs and keys, in what the demo leaves behind.

pub(crate) mod search;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bank_sim::test_cards::TEST_CARDS;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use payswitch::card::master_key::{self, MasterKey};
use payswitch::merchant_api::pb;
use payswitch::random::Random;

use crate::demo::{Demo, text};
use crate::harness::{TempFolder, pay_with, run};
use crate::sealing::{Claims, card_with, with_sealed};
use search::{Secrets, bcd, contents, ebcdic, find, stands_alone, ways, ways_of_cvv, ways_of_pan};

/// A card number in a public test range, with a right check digit.
fn canary_pan(number: u32) -> String {
    let first = format!("400000{:09}", 271_828_182 + u64::from(number) * 7_919);
    let sum: u32 = first
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            match place % 2 {
                0 if digit > 4 => 2 * digit - 9,
                0 => 2 * digit,
                _ => digit,
            }
        })
        .sum();
    format!("{first}{}", (10 - sum % 10) % 10)
}

/// Four digits that no number begins with, and that are neither a date nor a time.
fn canary_cvv(number: u32) -> String {
    format!("09{:02}", 61 + number)
}

/// The private halves of every key that the demo keeps, unwrapped.
fn private_keys(data: &Path) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut path = data.as_os_str().to_owned();
    path.push(".key");
    let path = PathBuf::from(path);
    let master_key = MasterKey::read_file(&path, &Random::SYSTEM).expect("the master key");
    let mut keys = vec![(
        "the master key".to_owned(),
        ways(text(&path).trim().as_bytes()),
    )];
    for (path, _) in contents(data, &[]) {
        if let Ok(pkcs8) = master_key::read_private_key(&path, &master_key) {
            // Beyond the algorithm's identifiers, within the private numbers, for EC and for RSA.
            let middle = if pkcs8.len() < 200 { 36..66 } else { 400..440 };
            let name = format!("the key in {}", path.display());
            let secret = pkcs8.get(middle).unwrap_or(&pkcs8);
            keys.push((name, ways(secret)));
        }
    }
    keys
}

#[test]
fn nothing_secret_is_left_behind_in_clear() {
    const CARDS: u32 = 24;
    run(async {
        let folder = TempFolder::new("canaries");
        // Everything that anything in the program says.
        let log = "trace";
        let demo = Demo::start_logging(&folder, &[], Some(log)).await;
        let mut payments = demo.payments().await;
        let recipient = demo.recipient();
        let mut secrets = Secrets::default();
        for number in 0..CARDS {
            let (pan, cvv) = (canary_pan(number), canary_cvv(number));
            let request = pb::AuthorizePaymentRequest {
                customer_reference: format!("canary-{number}-was-here"),
                ..pay_with("", 1250, "EUR")
            };
            let claims = Claims::of(demo.said("merchant_id"), &request);
            let sealed = claims.seal(&recipient, &card_with(&pan, "3012", &cvv));
            // Every other one is refused at the door, and the bank gets the rest.
            let mut request = with_sealed(request, sealed);
            if number % 2 == 1 {
                request.merchant_reference.push('x');
            }
            let answer = payments.authorize_payment(request).await;
            assert_eq!(answer.is_ok(), number % 2 == 0);
            secrets.add(&format!("card number {number}"), ways_of_pan(&pan));
            secrets.add(&format!("CVV {number}"), ways_of_cvv(&cvv));
        }
        // A merchant's mistake: a card number where none may be.
        let clear = canary_pan(CARDS);
        let mut mistaken = pay_with("pm_test_visa", 1250, "EUR");
        mistaken.description.clone_from(&clear);
        payments
            .authorize_payment(mistaken)
            .await
            .expect_err("a refusal");
        secrets.add("the card number in clear", ways_of_pan(&clear));
        for card in TEST_CARDS {
            let name = format!("test card {}", &card.pan[card.pan.len() - 4..]);
            secrets.add(&name, ways_of_pan(card.pan));
        }
        let (_, secret) = demo.said("api_key").split_once('.').expect("a key");
        let secret_bytes = URL_SAFE_NO_PAD.decode(secret).expect("base64url");
        secrets.add("the API key", ways(secret.as_bytes()));
        secrets.add("the API key's bytes", ways(&secret_bytes));
        let keys = private_keys(&demo.data);
        // Gateway, merchant, three hosts with two each, two sealing keys, the API key, the master key.
        assert!(
            keys.len() >= 12,
            "{:?}",
            keys.iter().map(|key| &key.0).collect::<Vec<_>>()
        );
        for (name, ways) in keys {
            secrets.add(&name, ways);
        }
        secrets.add("a private key", vec![b"PRIVATE KEY-".to_vec()]);
        secrets.add(
            "a private JWK",
            vec![b"\"d\":".to_vec(), b"\"d\" :".to_vec()],
        );

        // The API key is printed on purpose, for the lines that are to be pasted.
        let printed = text(&demo.printed).replace(secret, "");
        std::fs::write(&demo.printed, printed).expect("what was printed, without the key");
        let (data, printed) = (demo.data.clone(), demo.printed.clone());
        let while_it_runs = contents(&data, std::slice::from_ref(&printed));
        demo.terminate();
        assert!(demo.ended().await.success());
        for contents in [while_it_runs, contents(&data, &[printed])] {
            assert_canaries_lived(&contents, CARDS);
            secrets.assert_absent(&contents);
            for (path, haystack) in &contents {
                for number in 0..CARDS {
                    let cvv = canary_cvv(number);
                    let alone = stands_alone(haystack, cvv.as_bytes());
                    assert!(!alone, "CVV {number} in {}", path.display());
                }
            }
        }
    });
}

/// The control: what may be there is found, so the search looks in the right places.
fn assert_canaries_lived(contents: &BTreeMap<PathBuf, Vec<u8>>, cards: u32) {
    let everywhere = contents.values().flatten().copied().collect::<Vec<u8>>();
    for number in (0..cards).step_by(2) {
        let reference = format!("canary-{number}-was-here");
        assert!(
            find(&everywhere, reference.as_bytes()).is_some(),
            "{reference}"
        );
    }
    let log = contents
        .iter()
        .find(|(path, _)| path.ends_with("payswitch.log"));
    let (_, log) = log.expect("a log");
    assert!(
        find(log, b"DEBUG").or(find(log, b"TRACE")).is_some(),
        "the log says much"
    );
}

#[test]
fn the_search_finds_what_it_is_given() {
    let pan = canary_pan(3);
    let cvv = canary_cvv(3);
    let mut secrets = Secrets::default();
    secrets.add("the card number", ways_of_pan(&pan));
    secrets.add("the CVV", ways_of_cvv(&cvv));
    assert_eq!(secrets.first_in(b"nothing of the kind, 0000"), None);
    for way in [
        format!("a{pan}b").into_bytes(),
        iso8583::hex::encode_lower(pan.as_bytes()).into_bytes(),
        format!("{:?}", pan.as_bytes()).into_bytes(),
        ebcdic(&pan),
        bcd(&pan)[0].clone(),
        bcd(&format!("0{pan}0"))[0].clone(),
        URL_SAFE_NO_PAD
            .encode(format!("{{\"pan\":\"{pan}\"}}"))
            .into_bytes(),
        URL_SAFE_NO_PAD
            .encode(format!("{{ \"pan\":\"{pan}\"}}"))
            .into_bytes(),
        URL_SAFE_NO_PAD
            .encode(format!("{{  \"pan\":\"{pan}\"}}"))
            .into_bytes(),
    ] {
        let found = secrets.first_in(&way).is_some();
        assert!(found, "{}", String::from_utf8_lossy(&way));
    }
    for way in [
        format!("\"cvv\":\"{cvv}\"").into_bytes(),
        URL_SAFE_NO_PAD
            .encode(format!("..\"cvv\":\"{cvv}\""))
            .into_bytes(),
        ebcdic(&cvv),
    ] {
        let found = secrets.first_in(&way).is_some();
        assert!(found, "{}", String::from_utf8_lossy(&way));
    }
    assert!(stands_alone(
        format!("x {cvv} y").as_bytes(),
        cvv.as_bytes()
    ));
    assert!(!stands_alone(
        format!("x{cvv} y").as_bytes(),
        cvv.as_bytes()
    ));
}
