//! Chip data: what is accepted is written again as it was.

#![no_main]

use iso8583::TlvBuilder;
use iso8583::tlv::{self, Tlvs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let counted = tlv::check(bytes);
    let mut again = TlvBuilder::new();
    let mut whole = true;
    for tlv in Tlvs::new(bytes) {
        match tlv {
            Ok(tlv) => {
                assert!(tlv.tag.is_valid());
                again.push_raw(&tlv);
            }
            Err(_) => whole = false,
        }
    }
    assert!(whole || counted.is_err());
    assert!(!whole || again.as_bytes() == bytes);
});
