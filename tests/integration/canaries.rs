//! A search for what must be nowhere: card numbers, CVVs and keys, in what the demo leaves behind.

pub(crate) mod search;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bank_sim::control::pb::control_service_client::ControlServiceClient;
use bank_sim::control::pb::{Fault, InjectFaultRequest};
use bank_sim::test_cards::TEST_CARDS;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use payswitch::card::master_key::{self, MasterKey};
use payswitch::merchant_api::pb;
use payswitch::random::Random;
use pb::PaymentState as State;

use crate::database::{Database, Engine};
use crate::demo::{Demo, text};
use crate::faults::{UNANSWERED, fault, with_code};
use crate::harness::{Payments, TempFolder, pay_with, run, until};
use crate::operator_commands::done;
use crate::sealing::{Claims, card_with, with_sealed};
use search::{Secrets, bcd, contents, ebcdic, find, stands_alone, ways, ways_of_cvv, ways_of_pan};

/// Digits that nobody has seen.
pub(crate) fn digits(count: usize) -> String {
    let bytes: [u8; 19] = Random::SYSTEM.bytes().expect("randomness");
    let digits = bytes.iter().map(|byte| char::from(b'0' + byte % 10));
    digits.take(count).collect()
}

/// A card number that begins so, with a right check digit: 15 digits for an American Express, else 16.
pub(crate) fn pan(bin: &str) -> String {
    let length = if bin.starts_with('3') { 15 } else { 16 };
    let account = format!("{bin}{}", digits(length - 1 - bin.len()));
    (0..10)
        .map(|check_digit| format!("{account}{check_digit}"))
        .find(|pan| payswitch::card::pan::Pan::from_digits(pan).is_ok())
        .expect("one check digit is right")
}

/// Four digits that no number begins with, and that are neither a date nor a time.
fn canary_cvv(number: usize) -> String {
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
    run(async {
        let folder = TempFolder::new("canaries");
        // Everything that anything in the program says.
        let log = "trace";
        let demo = Demo::start_logging(&folder, &[], Some(log)).await;
        let mut payments = demo.payments().await;
        let mut secrets = Secrets::default();
        let cards = canaries();
        for (number, canary) in cards.iter().enumerate() {
            secrets.add(&format!("card number {number}"), ways_of_pan(&canary.pan));
            secrets.add(&format!("CVV {number}"), ways_of_cvv(&canary.cvv));
        }
        pay(&demo, &payments, &cards).await;
        // A merchant's mistake: a card number where none may be.
        let clear = pan("424242");
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
            assert_canaries_lived(&contents, &cards);
            secrets.assert_absent(&contents);
            for (path, haystack) in &contents {
                // Spans are for a collector alone, also where everything is logged.
                let span = find(haystack, b"rpc.system");
                assert_eq!(span, None, "in {}", path.display());
                for Canary { cvv, .. } in &cards {
                    let alone = stands_alone(haystack, cvv.as_bytes());
                    assert!(!alone, "CVV {cvv} in {}", path.display());
                }
            }
        }
        // Sealed, a card is there for as long as a message may still need it.
        let database = Database::fresh(Engine::Sqlite, &data).await;
        for (state, kept) in [
            (State::Authorized, true),
            (State::Reversed, false),
            (State::Declined, false),
            (State::Failed, false),
        ] {
            let state = short(state);
            let of_state = format!(
                "FROM payments WHERE state = '{state}' AND customer_reference LIKE 'canary-%'"
            );
            let all = format!("SELECT CAST(COUNT(*) AS BIGINT) {of_state}");
            let sealed = format!("SELECT CAST(COUNT(custody) AS BIGINT) {of_state}");
            assert_eq!(database.number(all).await, 3, "{state}");
            let expected = if kept { 3 } else { 0 };
            assert_eq!(database.number(sealed).await, expected, "{state}");
        }
    });
}

/// The files of a database on PostgreSQL, and of its log since the payments.
#[test]
fn no_card_is_in_the_files_of_postgresql() {
    run(async {
        let folder = TempFolder::new("canaries-postgres");
        let database = Database::fresh(Engine::Postgres, folder.path()).await;
        let log_file = "SELECT pg_walfile_name(pg_current_wal_lsn())";
        let first = database.text(log_file).await;
        let url = database.url();
        let demo = Demo::start(&folder, &["--no-tour", "--database-url", &url]).await;
        let payments = demo.payments().await;
        let cards = canaries();
        let mut secrets = Secrets::default();
        for (number, canary) in cards.iter().enumerate() {
            secrets.add(&format!("card number {number}"), ways_of_pan(&canary.pan));
            secrets.add(&format!("CVV {number}"), ways_of_cvv(&canary.cvv));
        }
        pay(&demo, &payments, &cards).await;
        demo.terminate();
        assert!(demo.ended().await.success());
        database.execute("CHECKPOINT").await;
        let cluster = PathBuf::from(database.text("SHOW data_directory").await);
        let own = "SELECT CAST(oid AS TEXT) FROM pg_database WHERE datname = current_database()";
        let own = cluster.join("base").join(database.text(own).await);
        let last = database.text(log_file).await;
        let segments = std::fs::read_dir(cluster.join("pg_wal")).expect("the log's files");
        let segments = segments.map(|entry| entry.expect("an entry").path());
        let of_the_payments = segments.filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            (&*first..=&*last).contains(&&*name)
        });
        let log = of_the_payments.map(|path| {
            let read = std::fs::read(&path).expect("a segment of the log");
            (path, read)
        });
        // The control: what may be there is found, so the search looks in the right places.
        for files in [contents(&own, &[]), log.collect()] {
            for canary in cards.iter().filter(|canary| canary.end.is_some()) {
                let reference = canary.reference.as_bytes();
                let lived = files.values().any(|file| find(file, reference).is_some());
                assert!(lived, "{}", canary.reference);
            }
            secrets.assert_absent(&files);
        }
    });
}

/// A card that nobody has seen before, and how its payment ends; `None` where it is refused at the door.
struct Canary {
    pan: String,
    cvv: String,
    reference: String,
    end: Option<State>,
}

/// Three cards for each end, of both issuers. No two end in the same four digits.
fn canaries() -> Vec<Canary> {
    let ends = [
        Some(State::Authorized),
        Some(State::Authorizing),
        Some(State::Declined),
        Some(State::Failed),
        None,
    ];
    let mut canaries: Vec<Canary> = Vec::new();
    while canaries.len() < 3 * ends.len() {
        let number = canaries.len();
        let pan = pan(["424242", "555555"][number % 2]);
        if canaries.iter().all(|other| other.pan[12..] != pan[12..]) {
            canaries.push(Canary {
                pan,
                cvv: canary_cvv(number),
                reference: format!("canary-{number}-was-here"),
                end: ends[number % ends.len()],
            });
        }
    }
    canaries
}

/// Pays with each card. The banks know none of them: what they answer otherwise is told them.
async fn pay(demo: &Demo, payments: &Payments, cards: &[Canary]) {
    let banks = format!("http://{}", demo.said("bank_sim"));
    let mut banks = ControlServiceClient::connect(banks)
        .await
        .expect("the banks");
    let recipient = demo.recipient();
    let mut paying = Vec::new();
    for canary in cards {
        let request = pb::AuthorizePaymentRequest {
            customer_reference: canary.reference.clone(),
            ..pay_with("", 1250, "EUR")
        };
        let claims = Claims::of(demo.said("merchant_id"), &request);
        let card = card_with(&canary.pan, "3012", &canary.cvv);
        let mut request = with_sealed(request, claims.seal(&recipient, &card));
        let what = match canary.end {
            Some(State::Authorized) => Some(with_code("00")),
            Some(State::Authorizing) => Some(UNANSWERED),
            _ => None,
        };
        if let Some(what) = what {
            let fault = Some(Fault {
                card_last4: canary.pan[12..].to_owned(),
                ..fault("0100", what)
            });
            let request = InjectFaultRequest { fault };
            banks.inject_fault(request).await.expect("a fault");
        }
        if canary.end.is_none() {
            request.merchant_reference.push('x');
        }
        paying.push((canary, request));
    }
    // A host that is signed off takes nothing.
    let (failing, others): (Vec<_>, Vec<_>) = paying
        .into_iter()
        .partition(|(canary, _)| canary.end == Some(State::Failed));
    for part in [others, failing] {
        let answers = part.iter().map(|(_, request)| {
            let mut payments = payments.clone();
            async move { payments.authorize_payment(request.clone()).await }
        });
        let answers = join_all(answers).await;
        for ((canary, _), answer) in part.iter().zip(answers) {
            let payment = answer.ok().and_then(|answer| answer.into_inner().payment);
            let state = payment.as_ref().map(|payment| payment.state());
            assert_eq!(state, canary.end, "{}", canary.reference);
            if let Some(pending) = payment.filter(|it| it.state() == State::Authorizing) {
                // Its reversal is built from what is kept of the card.
                let request = pb::GetPaymentRequest {
                    payment_id: pending.payment_id,
                };
                until("a reversal", async || {
                    let read = payments.clone().get_payment(request.clone()).await;
                    let payment = read.expect("the payment").into_inner().payment;
                    payment.expect("the payment").state() == State::Reversed
                })
                .await;
            }
        }
        let why = ["--reason", "the rest fails"];
        done(
            demo,
            &[&["hosts", "sign-off", "acquirer"][..], &why].concat(),
        );
    }
}

/// A state as the database names it.
fn short(state: State) -> &'static str {
    state.as_str_name().trim_start_matches("PAYMENT_STATE_")
}

/// The control: what may be there is found, so the search looks in the right places.
fn assert_canaries_lived(contents: &BTreeMap<PathBuf, Vec<u8>>, cards: &[Canary]) {
    let everywhere = contents.values().flatten().copied().collect::<Vec<u8>>();
    for Canary { reference, .. } in cards.iter().filter(|canary| canary.end.is_some()) {
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
    let pan = pan("424242");
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
