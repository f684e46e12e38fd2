//! Our codec against pyiso8583, which we did not write: each reads what the other has built.

use std::io::Write as _;
use std::process::Stdio;

use iso8583::{Dialect, MessageBuilder, Mti, hex};
use serde_json::{Map, Value, json};

use crate::tools::tool;

/// Reads frames, answers what is in them, and builds them anew. Its own table for ASCII is changed
/// only in how bytes and texts are encoded, where the dialect says so.
const PEER: &str = r#"
import copy, json, sys
import iso8583
from iso8583.specs import default_ascii

BYTES = ["52", "55", "64", "96", "128"]

def spec_of(dialect):
    spec = copy.deepcopy(default_ascii)
    if dialect == "iso1987-ascii-hex":
        return spec
    if dialect == "iso1987-ebcdic":
        for field in spec.values():
            field["data_enc"] = field["len_enc"] = "cp500"
    for name in ["p", "1"]:
        spec[name].update(data_enc="b", max_len=8)
    for name in BYTES:
        fixed = {} if spec[name]["len_type"] else {"max_len": 8}
        spec[name].update(data_enc="b", **fixed)
    spec["55"]["max_len"] = 255
    return spec

answers = []
for given in json.load(sys.stdin):
    spec = spec_of(given["dialect"])
    decoded, _ = iso8583.decode(bytes.fromhex(given["frame"]), spec)
    built, _ = iso8583.encode({de: decoded[de] for de in decoded if de not in "hp1"}, spec)
    answers.append({"decoded": decoded, "built": built.hex()})
json.dump(answers, sys.stdout)
"#;

const DIALECTS: [&str; 3] = [
    "iso1987-ascii-hex",
    "iso1987-ascii-binary",
    "iso1987-ebcdic",
];

/// Data elements whose content is bytes; the peer writes them in hexadecimal.
const BYTES: [u8; 5] = [52, 55, 64, 96, 128];

/// Values for every data element that a card payment, a reversal or a network message uses.
fn value_of(de: u8) -> &'static str {
    match de {
        2 => "4111111111111111",
        3 => "000000",
        4 => "000000001250",
        7 => "1121123456",
        11 => "000042",
        12 => "123456",
        13 => "1121",
        14 => "3012",
        18 => "5732",
        19 => "276",
        22 => "812",
        25 => "59",
        32 => "400001",
        35 => "4111111111111111=30121010000000000000",
        37 => "632512000123",
        38 => "A1B2C3",
        39 => "N7",
        41 => "WEB00001",
        42 => "DEMOSHOP0000001",
        43 => "Demo Shop              Berlin         DE",
        48 => "9203123",
        49 => "978",
        52 => "0123456789ABCDEF",
        54 => "0002978D000000001250",
        55 => "9F2608A1B2C3D4E5F60718820219809F360200425F2A020978",
        63 => "free text: {}",
        64 => "FEDCBA9876543210",
        70 => "301",
        90 => "010000004211211234560000040000100000000000",
        95 => "000000001000000000000000000000000000000000",
        100 => "12345678901",
        102 => "DE02120300000000202051",
        103 => "X",
        128 => "0011223344556677",
        _ => panic!("no value for DE {de}"),
    }
}

const MESSAGES: [(&str, &[u8]); 8] = [
    (
        "0100",
        &[
            2, 3, 4, 7, 11, 12, 13, 14, 18, 19, 22, 25, 32, 37, 41, 42, 43, 48, 49,
        ],
    ),
    ("0100", &[2, 3, 4, 7, 11, 22, 35, 37, 41, 49, 52, 55, 64]),
    ("0110", &[4, 7, 11, 37, 38, 39, 41, 54]),
    ("0200", &[2, 3, 4, 11, 49, 63, 102, 103]),
    ("0420", &[2, 4, 7, 11, 37, 39, 41, 49, 90, 95, 128]),
    ("0430", &[7, 11, 39]),
    ("0800", &[7, 11, 70]),
    ("0810", &[7, 11, 39, 70, 100]),
];

fn built(dialect: &Dialect, mti: &str, des: &[u8]) -> Vec<u8> {
    let mut builder = MessageBuilder::new(mti.parse::<Mti>().expect("an MTI"));
    for &de in des {
        if BYTES.contains(&de) {
            builder.bytes(de, &hex::decode(value_of(de)).expect("hexadecimal"));
        } else {
            builder.text(de, value_of(de));
        }
    }
    let mut frame = Vec::new();
    dialect.encode(&builder, &mut frame).expect("a message");
    frame
}

/// Asks the peer about all frames at once.
fn ask(frames: &Value) -> Vec<Value> {
    let mut child = tool("python3")
        .args(["-c", PEER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python with pyiso8583; `scripts/test --tools` installs it");
    let mut stdin = child.stdin.take().expect("its standard input");
    stdin
        .write_all(frames.to_string().as_bytes())
        .expect("frames for the peer");
    drop(stdin);
    let output = child.wait_with_output().expect("the peer ends");
    assert!(output.status.success(), "the peer could not read a frame");
    serde_json::from_slice(&output.stdout).expect("the peer's answers")
}

#[test]
fn each_codec_reads_what_the_other_builds() {
    let mut cases = Vec::new();
    for name in DIALECTS {
        for (mti, des) in MESSAGES {
            cases.push((name, mti, des));
        }
    }
    let dialect = |name: &str| Dialect::builtin(name).expect("a built-in dialect");
    let frames: Vec<Value> = cases
        .iter()
        .map(|(name, mti, des)| {
            json!({ "dialect": name, "frame": hex::encode(&built(&dialect(name), mti, des)) })
        })
        .collect();
    let answers = ask(&Value::Array(frames));
    assert_eq!(answers.len(), cases.len());
    for ((name, mti, des), answer) in cases.into_iter().zip(answers) {
        // The peer has read exactly what we wrote.
        let mut expected: Map<String, Value> = des
            .iter()
            .map(|de| (de.to_string(), json!(value_of(*de))))
            .collect();
        expected.insert("t".into(), json!(mti));
        let mut decoded = answer["decoded"].as_object().expect("elements").clone();
        decoded.retain(|de, _| !["h", "p", "1"].contains(&de.as_str()));
        assert_eq!(decoded, expected, "{name} {mti}");
        // And what it writes is what we read, to the byte.
        let frame = hex::decode(answer["built"].as_str().expect("a frame")).expect("hexadecimal");
        let dialect = dialect(name);
        assert_eq!(frame, built(&dialect, mti, des), "{name} {mti}");
        let message = dialect.decode(&frame).expect("a message of the peer");
        assert_eq!(message.mti().to_string(), mti);
        assert!(message.iter_des().eq(des.iter().copied()));
        for &de in des {
            let value = match BYTES.contains(&de) {
                true => hex::encode(&message.bytes(de).expect("bytes")),
                false => message.text(de).expect("a text").into_owned(),
            };
            assert_eq!(value, value_of(de), "{name} {mti} DE {de}");
        }
    }
}
