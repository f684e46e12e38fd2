//! Our sealing and opening against the JOSE libraries that merchants use: joserfc (Python) and jose
//! (Node), through the very examples that merchants copy.
//!
//! They are skipped where the libraries are not installed, unless `PAYSWITCH_REQUIRE_PEERS` is set:
//! `pip install -r examples/python/requirements.txt`, `npm install --prefix examples/node`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::card::envelope::{Binding, Opener};
use crate::card::keys::SealingKeys;
use crate::card::master_key::{MasterKey, private_key_pem};
use crate::card::pan::{Cvv, Expiry, Holder, Pan};
use crate::card::sealing_key::SealingKey;
use crate::clock::SystemClock;
use crate::payment::ids::MerchantId;
use crate::random::Random;

/// Opens with joserfc what stands on standard input.
const JOSERFC_OPENS: &str = r#"
import json, sys
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey
given = json.load(sys.stdin)
kind = {"ECDH-ES": ECKey, "RSA-OAEP-256": RSAKey, "dir": OctKey}[given["alg"]]
registry = jwe.JWERegistry(algorithms=[given["alg"], "A256GCM"], strict_check_header=False)
opened = jwe.decrypt_compact(given["jwe"], kind.import_key(given["key"]), registry=registry)
json.dump({"header": opened.protected, "payload": opened.plaintext.decode()}, sys.stdout)
"#;

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".into())
}

/// Whether a library is there; without it the test is skipped, or fails where peers are required.
fn is_there(name: &str, probe: &mut Command) -> bool {
    let found = probe
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let required = std::env::var_os("PAYSWITCH_REQUIRE_PEERS").is_some();
    assert!(found || !required, "{name} is not installed");
    if !found {
        println!("skipped: {name} is not installed");
    }
    found
}

fn joserfc_is_there() -> bool {
    is_there(
        "joserfc",
        Command::new(python()).args(["-c", "import joserfc"]),
    )
}

fn answer(command: &mut Command, input: &str) -> String {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn master_key() -> MasterKey {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode([5; 32]);
    MasterKey::from_base64(&text, &Random::SYSTEM).unwrap()
}

fn card() -> Card {
    Card {
        pan: Pan::from_digits("5555555555554444").unwrap(),
        expiry: Expiry::from_yymm("3012").unwrap(),
        cvv: Some(Cvv::from_digits("123").unwrap()),
        holder: Some(Holder::new("Zoë Ångström").unwrap()),
    }
}

fn amount() -> Money {
    Money::new(1250, "KWD".parse().unwrap()).unwrap()
}

fn claims<'a>(jti: &'a str, now: UnixMillis) -> CardClaims<'a> {
    CardClaims {
        merchant: "demo-shop",
        order: "order-1042",
        amount: amount(),
        jti,
        issued_at: now,
        lifetime_s: 300,
    }
}

#[test]
fn joserfc_opens_what_we_seal() {
    if !joserfc_is_there() {
        return;
    }
    let (ecdh, ecdh_pkcs8) = SealingKey::generate_p256().unwrap();
    let (rsa, rsa_pkcs8) = SealingKey::generate_rsa().unwrap();
    let jwks = SealingKeys::new([ecdh, rsa]).jwks();
    let session_key = SessionKey([8; CONTENT_KEY_BYTES]);
    let pem = |pkcs8: &[u8]| String::from_utf8(private_key_pem(pkcs8).to_vec()).unwrap();
    let from_jwks = |algorithm| Recipient::from_jwks(&jwks, algorithm, &Random::SYSTEM).unwrap();
    for (recipient, key) in [
        (
            from_jwks(Algorithm::EcdhEs),
            serde_json::json!(pem(&ecdh_pkcs8)),
        ),
        (
            from_jwks(Algorithm::RsaOaep256),
            serde_json::json!(pem(&rsa_pkcs8)),
        ),
        (
            Recipient::session("session.A".into(), &session_key, &Random::SYSTEM).unwrap(),
            serde_json::json!({ "kty": "oct", "k": encode(&session_key.0) }),
        ),
    ] {
        let now = SystemClock.now();
        let sealed = recipient
            .seal_card(&card(), &claims("abcdefghijklmnop", now))
            .unwrap();
        let alg = recipient.algorithm().name();
        let given = serde_json::json!({ "alg": alg, "key": key, "jwe": sealed.as_str() });
        let mut command = Command::new(python());
        let opened = answer(command.args(["-c", JOSERFC_OPENS]), &given.to_string());
        let opened: serde_json::Value = serde_json::from_str(&opened).unwrap();
        let payload = opened["payload"].as_str().unwrap();
        let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
        assert_eq!(
            payload,
            serde_json::json!({
                "pan": "5555555555554444", "expiry": "3012", "cvv": "123", "holder": "Zoë Ångström"
            })
        );
        for (name, expected) in [
            ("alg", serde_json::json!(alg)),
            ("enc", "A256GCM".into()),
            ("typ", CARD_TYPE.into()),
            ("merchant", "demo-shop".into()),
            ("order", "order-1042".into()),
            ("amount_minor", 1250.into()),
            ("currency", "KWD".into()),
            ("jti", "abcdefghijklmnop".into()),
            ("iat", (now.as_i64() / 1000).into()),
            ("exp", (now.as_i64() / 1000 + 300).into()),
        ] {
            assert_eq!(opened["header"][name], expected, "{alg}: {name}");
        }
    }
}

/// A gateway's keys, with the files that a client of it reads.
struct Gateway {
    opener: Opener,
    merchant_id: MerchantId,
    folder: PathBuf,
}

impl Gateway {
    fn new() -> Self {
        let random = u64::from_be_bytes(Random::SYSTEM.bytes().unwrap());
        let folder = std::env::temp_dir().join(format!("payswitch-peers-{random:016x}"));
        std::fs::create_dir_all(&folder).unwrap();
        let (ecdh, rsa) = (SealingKey::generate_p256(), SealingKey::generate_rsa());
        let keys = SealingKeys::new([ecdh.unwrap().0, rsa.unwrap().0]);
        let jwks_path = folder.join("jwks.json");
        keys.write_jwks(&jwks_path).unwrap();
        let ready = serde_json::json!({ "jwks_path": jwks_path, "merchant_id": "demo-shop" });
        std::fs::write(folder.join("ready.json"), ready.to_string()).unwrap();
        Self {
            opener: Opener::new(keys, &master_key(), &Random::SYSTEM).unwrap(),
            merchant_id: "demo-shop".parse().unwrap(),
            folder,
        }
    }

    fn opens_what_is_sealed_by(&self, program: &str, script: &Path) {
        for alg in ["ECDH-ES", "RSA-OAEP-256"] {
            let ready = self.folder.join("ready.json");
            let mut command = Command::new(program);
            command
                .arg(script)
                .arg("--seal-only")
                .arg("--ready-file")
                .arg(ready);
            command.args(["--alg", alg, "--pan", "5555555555554444", "--cvv", "321"]);
            command.args([
                "--holder",
                "Zoë \"Z\" Ångström",
                "--order",
                "order/1042 \"x\"",
            ]);
            command.args(["--amount-minor", "1250", "--currency", "KWD"]);
            let sealed = SealedCard::from(answer(&mut command, ""));
            let binding = Binding {
                merchant_id: &self.merchant_id,
                merchant_reference: "order/1042 \"x\"",
                amount: amount(),
            };
            let opened = self
                .opener
                .open(&sealed, &binding, SystemClock.now())
                .unwrap();
            assert_eq!(opened.card.pan.digits(), "5555555555554444", "{alg}");
            assert_eq!(opened.card.cvv.as_ref().unwrap().digits(), "321");
            let holder = opened.card.holder.as_ref().unwrap();
            assert_eq!(holder.as_str(), "Zoë \"Z\" Ångström");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn we_open_what_the_python_example_seals() {
    if joserfc_is_there() {
        Gateway::new().opens_what_is_sealed_by(&python(), &in_project("examples/python/pay.py"));
    }
}

#[test]
fn we_open_what_the_node_example_seals() {
    let library = in_project("examples/node/node_modules/jose/package.json");
    if is_there(
        "jose",
        Command::new("node")
            .args(["-p"])
            .arg(format!("require({library:?})")),
    ) {
        Gateway::new().opens_what_is_sealed_by("node", &in_project("examples/node/pay.mjs"));
    }
}

#[test]
fn names_grow_and_never_look_like_card_numbers() {
    let names: Vec<String> = (0..1000)
        .map(|_| new_jti(&SystemClock, &Random::SYSTEM).unwrap())
        .collect();
    for name in &names {
        let (time, random) = name.split_at(14);
        assert!(
            time.bytes().all(|byte| (b'a'..=b'p').contains(&byte)),
            "{name}"
        );
        assert_eq!(random.len(), 16, "{name}");
    }
    let times: Vec<&str> = names.iter().map(|name| &name[..14]).collect();
    assert!(times.is_sorted());
    assert!(times.first() < times.last());
}
