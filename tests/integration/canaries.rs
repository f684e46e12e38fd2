//! A search for what must be nowhere: card numbers, CVVs and keys, in what the demo leaves behind.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use bank_sim::test_cards::TEST_CARDS;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use payswitch::card::custody::{self, MasterKey};
use payswitch::merchant_api::pb;

use crate::demo::{Demo, text};
use crate::harness::{TempFolder, pay_with, run};
use crate::sealing::{Claims, card_with, with_sealed};

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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ebcdic(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| byte - b'0' + 0xf0).collect()
}

/// Packed digits, from an even and from an odd place: without the half bytes at either end.
fn bcd(digits: &str) -> Vec<Vec<u8>> {
    let digits: Vec<u8> = digits.bytes().map(|byte| byte - b'0').collect();
    let pack = |digits: &[u8]| {
        digits
            .chunks_exact(2)
            .map(|two| two[0] << 4 | two[1])
            .collect()
    };
    vec![pack(&digits), pack(&digits[1..])]
}

/// Base64 of something in the middle of something else: at each of the three places in a group, cut
/// to what does not depend on its neighbours. Both alphabets.
fn base64(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for place in 0..3 {
        let padded = [&[0; 2][..place], bytes].concat();
        for encoded in [
            URL_SAFE_NO_PAD.encode(&padded),
            STANDARD_NO_PAD.encode(&padded),
        ] {
            let begin = (place * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            all.push(encoded.as_bytes()[begin..end].to_vec());
        }
    }
    all
}

/// Every way in which something could have been written.
fn ways(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut ways = vec![
        bytes.to_vec(),
        hex(bytes).into_bytes(),
        hex(bytes).to_uppercase().into_bytes(),
        bytes.iter().flat_map(|byte| [*byte, 0]).collect(),
        // As Debug writes bytes.
        format!("{bytes:?}").trim_matches(['[', ']']).into(),
    ];
    ways.extend(base64(bytes));
    ways
}

fn ways_of_pan(pan: &str) -> Vec<Vec<u8>> {
    let mut ways = ways(pan.as_bytes());
    let grouped = |by: &str| {
        format!(
            "{}{by}{}{by}{}{by}{}",
            &pan[..4],
            &pan[4..8],
            &pan[8..12],
            &pan[12..]
        )
    };
    ways.extend([" ", "-"].map(|by| grouped(by).into_bytes()));
    let in_ebcdic = ebcdic(pan);
    ways.push(hex(&in_ebcdic).into_bytes());
    ways.extend(base64(&in_ebcdic));
    ways.push(in_ebcdic);
    // The packed digits of a number that is nearly all noughts are everywhere.
    if pan.bytes().filter(|digit| *digit == b'0').count() < pan.len() / 2 {
        for packed in bcd(pan) {
            ways.extend(base64(&packed));
            ways.push(packed);
        }
    }
    ways
}

/// Four digits alone are everywhere; these are how a CVV would be written down.
fn ways_of_cvv(cvv: &str) -> Vec<Vec<u8>> {
    let mut ways = vec![hex(cvv.as_bytes()).into_bytes(), ebcdic(cvv)];
    // DE 48, sub-element 92, in ASCII; then the payload of a sealed card, and Debug of a CVV.
    for written in [
        format!("9204{cvv}"),
        format!("\"cvv\":\"{cvv}\""),
        format!("Cvv(\"{cvv}\")"),
        format!("cvv={cvv}"),
        format!("cvv: \"{cvv}\""),
    ] {
        ways.extend(base64(written.as_bytes()));
        ways.push(written.into_bytes());
    }
    ways.push(ebcdic(&format!("9204{cvv}")));
    ways
}

/// The same digits as a word of their own.
fn stands_alone(haystack: &[u8], digits: &[u8]) -> bool {
    let is_part = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._-+:".contains(byte))
    };
    let mut from = 0;
    while let Some(at) = find(&haystack[from..], digits) {
        let at = from + at;
        let before = at.checked_sub(1).and_then(|before| haystack.get(before));
        if !is_part(before) && !is_part(haystack.get(at + digits.len())) {
            return true;
        }
        from = at + 1;
    }
    false
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let last_start = haystack.len().checked_sub(needle.len())?;
    let mut from = 0;
    while from <= last_start {
        from += haystack[from..=last_start]
            .iter()
            .position(|byte| *byte == first)?;
        if haystack[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
    None
}

/// Everything under a folder, and the files beside it.
fn contents(folder: &Path, more: &[PathBuf]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(&path).expect("a file"));
            }
        }
    }
    for path in more {
        found.insert(path.clone(), std::fs::read(path).expect("a file"));
    }
    found
}

/// How a needle begins. None is shorter.
type Start = [u8; 4];

/// What is searched for, and what to call it when it is found: never the secret itself.
#[derive(Default)]
struct Secrets {
    /// A needle, whose it is, and which of its ways it is.
    needles: HashMap<Start, Vec<(Vec<u8>, String)>>,
    /// Whether any needle begins with these two bytes: most places in a file are passed by this.
    beginnings: HashSet<[u8; 2]>,
}

impl Secrets {
    fn add(&mut self, name: &str, ways: Vec<Vec<u8>>) {
        for (number, needle) in ways.into_iter().enumerate() {
            let start = *needle.first_chunk().expect("a needle of four bytes");
            self.beginnings.insert([needle[0], needle[1]]);
            let named = (needle, format!("{name}, written in way {number}"));
            self.needles.entry(start).or_default().push(named);
        }
    }

    /// What is found first, and where.
    fn first_in(&self, haystack: &[u8]) -> Option<(&str, usize)> {
        // A table for the common case; the set only says how to fill it.
        let mut begins = vec![false; 1 << 16];
        for two in &self.beginnings {
            begins[usize::from(u16::from_be_bytes(*two))] = true;
        }
        haystack.windows(4).enumerate().find_map(|(at, window)| {
            if !begins[usize::from(window[0]) << 8 | usize::from(window[1])] {
                return None;
            }
            let named = self.needles.get(window)?;
            let (_, name) = named
                .iter()
                .find(|(needle, _)| haystack[at..].starts_with(needle))?;
            Some((name.as_str(), at))
        })
    }

    fn assert_absent(&self, contents: &BTreeMap<PathBuf, Vec<u8>>) {
        for (path, haystack) in contents {
            assert_eq!(self.first_in(haystack), None, "in {}", path.display());
        }
    }
}

/// The private halves of every key that the demo keeps, unwrapped.
fn private_keys(data: &Path) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut path = data.as_os_str().to_owned();
    path.push(".key");
    let path = PathBuf::from(path);
    let master_key = MasterKey::read_file(&path).expect("the master key");
    let mut keys = vec![(
        "the master key".to_owned(),
        ways(text(&path).trim().as_bytes()),
    )];
    for (path, _) in contents(data, &[]) {
        if let Ok(pkcs8) = custody::read_private_key(&path, &master_key) {
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
        hex(pan.as_bytes()).into_bytes(),
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
