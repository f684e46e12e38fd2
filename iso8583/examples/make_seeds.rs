//! Writes the seed corpora of the fuzz targets: `cargo run -p iso8583 --example make_seeds`.
//!
//! A fuzzer that starts from valid messages finds faults that one without them misses.

use std::error::Error;
use std::fs;
use std::path::Path;

use iso8583::TlvBuilder;
use iso8583::tlv::Tag;
use iso8583::{Dialect, Framing, MessageBuilder, Mti, Prefix};

fn main() -> Result<(), Box<dyn Error>> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for target in ["decode", "framing", "tlv"] {
        fs::create_dir_all(seeds.join(target))?;
    }
    let chip = chip()?;
    let messages = [
        ("authorization", authorization(&chip)),
        ("authorization-response", response()),
        ("reversal", reversal()),
        ("sign-on", sign_on()),
    ];
    for (pick, name) in (0_u8..).zip(Dialect::builtin_names()) {
        if !name.starts_with("iso1987") {
            // The messages are of that edition.
            continue;
        }
        let dialect = Dialect::builtin(name).ok_or("a built-in dialect is missing")?;
        for (kind, message) in &messages {
            let mut seed = vec![pick];
            dialect.encode(message, &mut seed)?;
            fs::write(seeds.join("decode").join(format!("{name}-{kind}")), seed)?;
        }
    }
    // The fuzz target's bytes: which prefix, and the top bit for a length that counts itself.
    let framings = [
        (0_u8, Prefix::Binary2, false),
        (0x82, Prefix::Binary4, true),
        (2, Prefix::Ascii4, false),
        (0x80, Prefix::Ascii4, true),
    ];
    for (pick, prefix, inclusive) in framings {
        let framing = Framing {
            inclusive,
            ..Framing::new(prefix)
        };
        let mut seed = vec![pick];
        for payload in [&b"0800"[..], &b""[..], &chip[..]] {
            framing.write(&mut seed, |out| {
                out.extend_from_slice(payload);
                Ok::<_, std::convert::Infallible>(())
            })?;
        }
        let name = format!(
            "{prefix:?}-{}",
            if inclusive { "inclusive" } else { "exclusive" }
        );
        fs::write(seeds.join("framing").join(name.to_lowercase()), seed)?;
    }
    fs::write(seeds.join("tlv/chip"), &chip)?;
    fs::write(seeds.join("tlv/nested"), nested(&chip)?)?;
    Ok(())
}

/// Chip data as a terminal sends it, with one private tag.
fn chip() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut list = TlvBuilder::new();
    list.push(Tag::CRYPTOGRAM, &[1, 2, 3, 4, 5, 6, 7, 8])?
        .push(Tag::CRYPTOGRAM_INFORMATION, &[0x80])?
        .push(Tag::ISSUER_APPLICATION, &[6, 1, 0x0A, 3, 0xA0, 0xA8, 0])?
        .push(Tag::UNPREDICTABLE_NUMBER, &[0x1D, 0x2C, 0x3B, 0x4A])?
        .push(Tag::TRANSACTION_COUNTER, &[0, 0x2A])?
        .push(Tag::VERIFICATION_RESULTS, &[0, 0, 4, 0x80, 0])?
        .push(Tag(0x9A), &[0x26, 0x11, 0x21])?
        .push(Tag::INTERCHANGE_PROFILE, &[0x39, 0])?
        .push(Tag(0xDF_8101), &[5])?;
    Ok(list.into_bytes())
}

fn nested(chip: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut list = TlvBuilder::new();
    list.push(Tag(0xBF0C), chip)?;
    let mut outer = TlvBuilder::new();
    outer
        .push_list(Tag(0x70), &list)?
        .push(Tag::ISSUER_APPLICATION, &[7; 200])?;
    Ok(outer.into_bytes())
}

fn authorization(chip: &[u8]) -> MessageBuilder {
    let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
    builder
        .text(2, "371449635398431")
        .number(3, 0)
        .number(4, 12_50)
        .text(7, "1121204500")
        .number(11, 42)
        .text(14, "2812")
        .number(22, 51)
        .text(28, "D00000025")
        .text(32, "12345678901")
        .text(35, "371449635398431=2812101")
        .text(37, "632520000042")
        .text(41, "TERM0001")
        .text(45, "B371449635398431^DOE/JANE^2812101")
        .text(48, "9203123")
        .number(49, 978)
        .bytes(52, &[1, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF])
        .bytes(55, chip);
    builder
}

fn response() -> MessageBuilder {
    let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_RESPONSE);
    builder
        .number(4, 12_50)
        .number(11, 42)
        .text(37, "632520000042")
        .text(38, "A1B2C3")
        .text(39, "00")
        .text(54, "0002978C000000012345");
    builder
}

fn reversal() -> MessageBuilder {
    let mut builder = MessageBuilder::new(Mti::REVERSAL_ADVICE);
    builder
        .text(2, "4111111111111111")
        .number(4, 12_50)
        .number(11, 43)
        .text(90, "010000004211212045000001234567800000000000")
        .bytes(128, &[8, 7, 6, 5, 4, 3, 2, 1]);
    builder
}

fn sign_on() -> MessageBuilder {
    let mut builder = MessageBuilder::new(Mti::NETWORK_REQUEST);
    builder.text(7, "1121204500").number(11, 1).number(70, 1);
    builder
}
