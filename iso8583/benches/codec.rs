//! Decoding, and building and encoding, of a 0100 with 22 fields and 143 bytes of DE 55.

#![expect(
    clippy::expect_used,
    reason = "a bench of what does not work must not run"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use iso8583::{Dialect, MessageBuilder, Mti, masked};

/// Puts the fields of an authorization request into a builder, as a switch does.
fn build(builder: &mut MessageBuilder, chip: &[u8]) {
    builder.clear(Mti::AUTHORIZATION_REQUEST);
    builder
        .text(2, "4111111111111111")
        .text(3, "000000")
        .number(4, 12_50)
        .text(7, "1121204500")
        .number(11, 42)
        .text(12, "204500")
        .text(13, "1121")
        .text(14, "2812")
        .text(18, "5411")
        .text(19, "276")
        .text(22, "051")
        .text(23, "001")
        .text(25, "00")
        .text(32, "12345678901")
        .text(35, "4111111111111111=28121010000012345678")
        .text(37, "632520000042")
        .text(41, "TERM0001")
        .text(42, "MERCHANT0000001")
        .text(43, "PAYSWITCH TEST STORE     BERLIN       DE")
        .text(49, "978")
        .bytes(52, &[0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE, 0xF0])
        .bytes(55, chip);
}

fn codec(criterion: &mut Criterion) {
    let chip = [0x5A; 143];
    // The message is one of 1987.
    let of_1987 = |name: &&&str| name.starts_with("iso1987");
    for name in Dialect::builtin_names().iter().filter(of_1987) {
        let dialect = Dialect::builtin(name).expect("a built-in dialect");
        let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
        build(&mut builder, &chip);
        let mut frame = Vec::new();
        dialect
            .encode(&builder, &mut frame)
            .expect("a message that can be written");
        assert_eq!(builder.iter_des().count(), 22);

        let mut group = criterion.benchmark_group(*name);
        group.bench_function("decode", |bench| {
            bench.iter(|| {
                dialect
                    .decode(black_box(&frame))
                    .map(|message| message.has(2))
                    .is_ok()
            });
        });
        let mut out = Vec::with_capacity(1_024);
        group.bench_function("build + encode", |bench| {
            bench.iter(|| {
                build(&mut builder, black_box(&chip));
                out.clear();
                dialect.encode(&builder, &mut out).is_ok()
            });
        });
        group.bench_function("masked hex", |bench| {
            bench.iter(|| masked::masked_hex(&dialect, black_box(&frame)));
        });
        group.finish();
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
