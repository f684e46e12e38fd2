//! The texts that merchants send, by their shape.

use crate::grpc::text::{Shape, alone};

/// A merchant's reference, of an order or a customer.
pub(crate) const REFERENCE: Shape = Shape {
    min: 1,
    max: 64,
    allows: is_printable_ascii,
    expected: "1 to 64 printable ASCII characters",
};
/// What a payment is for.
pub(crate) const DESCRIPTION: Shape = Shape {
    min: 0,
    max: 200,
    allows: |c| !c.is_control(),
    expected: "up to 200 characters, none of them a control character",
};
/// The terminal that a payment is sent under (DE 41).
pub(crate) const TERMINAL_ID: Shape = Shape {
    min: 1,
    max: 8,
    allows: |c| c.is_ascii_alphanumeric(),
    expected: "1 to 8 characters of A-Z a-z 0-9, or nothing",
};

/// Whether a character is printable ASCII.
pub(crate) fn is_printable_ascii(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// Reads a merchant's reference of an order as a request's is read: what would be refused later can be
/// refused before a card is sealed for it.
///
/// # Errors
/// Says what was expected and what came instead, without repeating it.
pub(crate) fn merchant_reference(text: &str) -> Result<String, String> {
    alone(REFERENCE.expected, |findings| {
        REFERENCE.read(findings, "merchant_reference", text.to_owned())
    })
}

/// Five parts in base64url, the first of which is a JSON object (RFC 7516, section 7.1).
pub(crate) fn is_shaped_like_jwe(text: &str) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'_' | b'.');
    // It goes to the end, whatever comes, because without a way out of the loop the compiler makes it
    // look at many bytes at a time.
    let are_base64url = || text.bytes().fold(true, |all, byte| all & base64url(byte));
    let dots = || text.bytes().filter(|&byte| byte == b'.').count();
    text.starts_with("eyJ") && are_base64url() && dots() == 4
}
