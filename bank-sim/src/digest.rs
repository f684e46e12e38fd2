//! The digest by which a file is known again, and references that are made of one.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut own = [0; 32];
    for (place, byte) in own.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *place = *byte;
    }
    own
}

/// The first bytes of the SHA-256 of a text in hex, two characters each.
pub(crate) fn reference(of: &str, bytes: usize) -> String {
    let digest = sha256(of.as_bytes());
    digest
        .iter()
        .take(bytes)
        .fold(String::new(), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02X}");
            text
        })
}
