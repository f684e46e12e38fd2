//! 200,000 seeded mutations of valid bytes for each decoder: none panics, and what is accepted is
//! written again as it was.

use iso8583::TlvBuilder;
use iso8583::framing::{Framing, Prefix};
use iso8583::tlv::{self, Tlvs};
use iso8583::{Dialect, MessageBuilder, Mti, masked};

use crate::{dialects, hex};

const MUTATIONS: u32 = 200_000;

/// Xorshift64*: the same mutations at each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[2]
    }
}

/// Changes one to three things about `valid`.
fn mutate(random: &mut Random, valid: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(valid);
    for _ in 0..=random.below(3) {
        let at = random.below(out.len());
        match random.below(7) {
            0 if at < out.len() => out[at] ^= 1 << random.below(8),
            1 if at < out.len() => out[at] = random.byte(),
            2 => out.insert(at, random.byte()),
            3 if at < out.len() => _ = out.remove(at),
            4 => out.truncate(at),
            5 if at < out.len() => out[at] = [b'0', b'9', b'+', b'D', 0x00, 0xFF][random.below(6)],
            _ => {
                let end = (at + random.below(8)).min(out.len());
                let copied = out[at..end].to_vec();
                let to = random.below(out.len());
                out.splice(to..to, copied);
            }
        }
    }
}

/// A valid message with fields of every kind, which both editions have.
pub(crate) fn authorization(dialect: &Dialect) -> Vec<u8> {
    let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
    builder
        .text(2, "371449635398431")
        .text(3, "000000")
        .number(4, 1250)
        .text(7, "1121204500")
        .number(11, 42)
        .text(14, "2512")
        .number(23, 51)
        .text(32, "12345678901")
        .text(35, "371449635398431=2512101")
        .text(37, "632520000042")
        .text(41, "TERM01")
        .text(45, "B371449635398431^DOE/JANE^2512101")
        .text(48, "9203123")
        .number(49, 978)
        .bytes(52, &hex("0123456789ABCDEF"))
        .bytes(55, &hex("9F2701808A023030"))
        .text(97, "C0000000000000025")
        .text(100, "123456")
        .text(102, "DE1234567890");
    let mut frame = Vec::new();
    dialect.encode(&builder, &mut frame).unwrap();
    frame
}

#[test]
fn decode() {
    for dialect in dialects() {
        let name = dialect.name();
        let valid = authorization(dialect);
        let mut random = Random(0x1987);
        let (mut bytes, mut again) = (Vec::new(), Vec::new());
        let mut accepted = 0;
        for _ in 0..MUTATIONS {
            mutate(&mut random, &valid, &mut bytes);
            let Ok(message) = dialect.decode(&bytes) else {
                continue;
            };
            accepted += 1;
            again.clear();
            dialect.encode(&message.to_builder(), &mut again).unwrap();
            // Hex digits of lower case come back in upper case.
            assert!(again.eq_ignore_ascii_case(&bytes), "{name}: {bytes:02X?}");
            if !["iso1987-ascii-hex", "odd"].contains(&name) {
                assert_eq!(again, bytes, "{name}");
            }
        }
        assert!(
            accepted > MUTATIONS / 100,
            "{name}: mutations that stay valid: {accepted}"
        );
    }
}

#[test]
fn masked() {
    for dialect in dialects() {
        let valid = authorization(dialect);
        let mut random = Random(0x4711);
        let mut bytes = Vec::new();
        for _ in 0..MUTATIONS / 4 {
            mutate(&mut random, &valid, &mut bytes);
            let shown = masked::masked_hex(dialect, &bytes);
            assert_eq!(shown.len(), bytes.len() * 2);
            match &dialect.decode(&bytes) {
                Ok(message) => drop(masked::describe(dialect, message)),
                Err(error) => {
                    for field in error
                        .partial()
                        .iter()
                        .flat_map(|m| masked::describe(dialect, m))
                    {
                        assert!(field.value_masked.starts_with("*** ("), "{field:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn framing() {
    let kinds = [Prefix::Binary2, Prefix::Binary4, Prefix::Ascii4];
    for (prefix, inclusive) in kinds
        .into_iter()
        .flat_map(|kind| [(kind, false), (kind, true)])
    {
        let framing = Framing {
            prefix,
            inclusive,
            max_frame_bytes: 300,
        };
        let mut valid = Vec::new();
        for length in [0, 5, 40, 1] {
            let payload = vec![0x37; length];
            framing
                .write(&mut valid, |out| {
                    out.extend(&payload);
                    Ok::<_, ()>(())
                })
                .unwrap();
        }
        let mut random = Random(0x8583);
        let mut bytes = Vec::new();
        for _ in 0..MUTATIONS / 6 {
            mutate(&mut random, &valid, &mut bytes);
            let mut rest = &bytes[..];
            while let Ok(Some((start, end))) = framing.split(rest) {
                assert!(start == prefix.bytes() && start <= end && end <= rest.len());
                assert!(end - start <= 300);
                let mut again = Vec::new();
                let payload = &rest[start..end];
                framing
                    .write(&mut again, |out| {
                        out.extend(payload);
                        Ok::<_, ()>(())
                    })
                    .unwrap();
                assert_eq!(again, rest[..end]);
                rest = &rest[end..];
            }
        }
    }
}

#[test]
fn tlv() {
    let valid = hex(
        "9F2608 0102030405060708 9F2701 80 8202 3900 7081 06 5A04 41111111 5F2A02 0978
         BF0C 05 9F4D02 0B0A DF8101 01 05 E1 08 E2 06 E3 04 9A02 2611",
    );
    assert_eq!(tlv::check(&valid), Ok(13));
    let mut random = Random(0x55);
    let mut bytes = Vec::new();
    for _ in 0..MUTATIONS {
        mutate(&mut random, &valid, &mut bytes);
        let counted = tlv::check(&bytes);
        let elements: Result<Vec<_>, _> = Tlvs::new(&bytes).collect();
        let Ok(elements) = elements else {
            assert!(counted.is_err());
            continue;
        };
        let mut again = TlvBuilder::new();
        elements
            .iter()
            .for_each(|element| _ = again.push_raw(element));
        assert_eq!(again.as_bytes(), bytes);
    }
}
