//! Lengths in front of messages.

use iso8583::framing::{DEFAULT_MAX_FRAME_BYTES, FrameWriteError, Framing, Prefix};

use crate::{hex, rows};

fn framing(prefix: Prefix, inclusive: bool) -> Framing {
    Framing {
        prefix,
        inclusive,
        max_frame_bytes: 300,
    }
}

#[test]
fn frames_are_found_and_written() {
    let cases = [
        // prefix, inclusive, bytes of the prefix for a payload of 5, and of 258
        (Prefix::Binary2, false, "0005", "0102"),
        (Prefix::Binary2, true, "0007", "0104"),
        (Prefix::Binary4, false, "00000005", "00000102"),
        (Prefix::Binary4, true, "00000009", "00000106"),
        (Prefix::Ascii4, false, "30303035", "30323538"),
        (Prefix::Ascii4, true, "30303039", "30323632"),
    ];
    for (prefix, inclusive, five, long) in cases {
        let framing = framing(prefix, inclusive);
        for (length, prefix_bytes) in [(5, hex(five)), (258, hex(long))] {
            let mut frame = vec![0xAA];
            framing
                .write(&mut frame, |out| {
                    out.resize(out.len() + length, 7);
                    Ok::<_, ()>(())
                })
                .unwrap();
            let frame = &frame[1..];
            assert_eq!(
                frame[..prefix.bytes()],
                prefix_bytes,
                "{prefix:?} {inclusive}"
            );
            let whole = Ok(Some((prefix.bytes(), frame.len())));
            assert_eq!(framing.split(frame), whole);
            let mut more = frame.to_vec();
            more.push(0);
            assert_eq!(framing.split(&more), whole, "what follows is left alone");
            for end in 0..frame.len() {
                assert_eq!(
                    framing.split(&frame[..end]),
                    Ok(None),
                    "more bytes are needed"
                );
            }
        }
    }
}

/// Kind of prefix | inclusive | bytes | the error.
const BAD_LENGTHS: &str = "
ascii-4 | false | 302B3939 | Digit { offset: 1, got: 43 }
ascii-4 | false | 00303939 | Digit { offset: 0, got: 0 }
ascii-4 | true | 30303033 | TooShort { expected: 4, got: 3 }
binary-2 | true | 0001 | TooShort { expected: 2, got: 1 }
binary-2 | false | 012D | TooLong { expected: 300, got: 301 }
binary-2 | true | 012F | TooLong { expected: 300, got: 301 }
binary-4 | false | FFFFFFFF | TooLong { expected: 300, got: 4294967295 }
";

#[test]
fn bad_lengths_are_refused_as_soon_as_they_are_there() {
    for [kind, inclusive, bytes, expected] in rows(BAD_LENGTHS) {
        let toml = format!("kind = \"{kind}\"\ninclusive = {inclusive}\nmax_frame_bytes = 300");
        let framing: Framing = toml::from_str(&toml).unwrap();
        let error = framing.split(&hex(bytes)).unwrap_err();
        assert_eq!(format!("{error:?}"), expected, "{kind} {bytes}");
    }
    assert_eq!(
        framing(Prefix::Binary2, true).split(&hex("0002")),
        Ok(Some((2, 2)))
    );
}

#[test]
fn a_frame_that_cannot_be_written_leaves_no_trace() {
    let framing = framing(Prefix::Binary2, false);
    let mut out = vec![1, 2, 3];
    let failed = framing.write(&mut out, |out| {
        out.push(9);
        Err("no")
    });
    assert_eq!(failed, Err(FrameWriteError::Payload("no")));
    let too_long = framing.write(&mut out, |out| {
        out.resize(304 + 2, 0);
        Ok::<_, ()>(())
    });
    assert_eq!(
        too_long,
        Err(FrameWriteError::TooLong {
            expected: 300,
            got: 301
        })
    );
    let unlimited = Framing {
        max_frame_bytes: usize::MAX,
        ..framing
    };
    let too_long = unlimited.write(&mut out, |out| {
        out.resize(5 + 65_536, 0);
        Ok::<_, ()>(())
    });
    assert_eq!(
        too_long,
        Err(FrameWriteError::TooLong {
            expected: 65_535,
            got: 65_536
        })
    );
    let four = Framing {
        prefix: Prefix::Ascii4,
        inclusive: true,
        max_frame_bytes: usize::MAX,
    };
    let too_long = four.write(&mut out, |out| {
        out.resize(7 + 9_996, 0);
        Ok::<_, ()>(())
    });
    assert_eq!(
        too_long,
        Err(FrameWriteError::TooLong {
            expected: 9_995,
            got: 9_996
        })
    );
    let emptied = framing.write(&mut out, |out| {
        out.clear();
        Ok::<_, ()>(())
    });
    assert!(emptied.is_err());
}

#[test]
fn framing_comes_from_toml() {
    let framing: Framing =
        toml::from_str("kind = \"ascii-4\"\ninclusive = true\nmax_frame_bytes = 4096").unwrap();
    let expected = Framing {
        prefix: Prefix::Ascii4,
        inclusive: true,
        max_frame_bytes: 4096,
    };
    assert_eq!(framing, expected);
    let framing: Framing = toml::from_str("kind = \"binary-2\"").unwrap();
    assert_eq!(framing, Framing::new(Prefix::Binary2));
    assert_eq!(framing.max_frame_bytes, DEFAULT_MAX_FRAME_BYTES);
    assert!(toml::from_str::<Framing>("kind = \"binary-3\"").is_err());
    assert!(toml::from_str::<Framing>("kind = \"binary-2\"\ninclusiv = true").is_err());
}
