//! The first byte picks a framing, the rest is a stream: each frame found is written again as it
//! was.

#![no_main]

use iso8583::{Framing, Prefix};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((pick, mut rest)) = input.split_first() else {
        return;
    };
    let prefix = [Prefix::Binary2, Prefix::Binary4, Prefix::Ascii4][usize::from(pick % 3)];
    let framing = Framing { prefix, inclusive: pick & 0x80 != 0, max_frame_bytes: 512 };
    while let Ok(Some((start, end))) = framing.split(rest) {
        let mut again = Vec::new();
        let written = framing.write(&mut again, |out| {
            out.extend_from_slice(&rest[start..end]);
            Ok::<_, ()>(())
        });
        assert_eq!(written, Ok(()));
        assert_eq!(again, rest[..end]);
        rest = &rest[end..];
    }
});
