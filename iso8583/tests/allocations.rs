//! Decoding and encoding allocate nothing once memory has grown to its size. In a program of its
//! own, because the allocator that counts is the whole program's.

use iso8583::framing::{Framing, Prefix};
use iso8583::tlv::{self, Tag, Tlvs};
use iso8583::{Dialect, MessageBuilder, Mti};

const CHIP: [u8; 11] = [0x9F, 0x26, 0x08, 1, 2, 3, 4, 5, 6, 7, 8];

fn build(builder: &mut MessageBuilder) {
    builder.clear(Mti::AUTHORIZATION_REQUEST);
    builder
        .number(11, 42)
        .text(2, "371449635398431")
        .number(4, 1250)
        .text(7, "1121204500");
    builder
        .text(35, "371449635398431=2512101")
        .text(41, "TERM01")
        .bytes(55, &CHIP);
    builder
        .text(2, "4111111111111111")
        .remove(7)
        .number(70, 301);
}

#[test]
fn decoding_and_encoding_allocate_nothing_once_warm() {
    let framing = Framing::new(Prefix::Binary2);
    for name in Dialect::builtin_names() {
        let dialect = Dialect::builtin(name).unwrap();
        let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
        let mut out = Vec::new();
        let mut text = Vec::with_capacity(64);
        let mut exchange = || {
            build(&mut builder);
            out.clear();
            framing
                .write(&mut out, |out| dialect.encode(&builder, out))
                .unwrap();
            let (start, end) = framing.split(&out).unwrap().unwrap();
            let message = dialect.decode(out.get(start..end).unwrap()).unwrap();
            assert_eq!(message.number(4), Some(1250));
            assert_eq!(message.number(70), Some(301));
            text.clear();
            assert!(message.append_bytes(2, &mut text));
            assert_eq!(text, b"4111111111111111");
            if *name != "iso1987-ascii-hex" {
                let chip = message.bytes(55).unwrap();
                assert_eq!(tlv::check(&chip), Ok(1));
                assert!(Tlvs::find(&chip, Tag::CRYPTOGRAM).is_some());
            }
        };
        exchange();
        let counted = allocation_counter::measure(|| (0..100).for_each(|_| exchange()));
        assert_eq!(counted.count_total, 0, "{name}");
    }
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1, 2, 3])));
    assert_eq!(counted.count_total, 1, "the counter counts");
}
