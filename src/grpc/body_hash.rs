//! The hash of a request: what "the same request again" is judged by.

use prost::Message;
use ring::digest;

/// SHA-256 over the encoded request. Fields that this version does not know are not part of it. The encoding
/// has one form: fields in the order of their numbers, maps in the order of their keys.
pub(crate) fn body_hash(request: &impl Message) -> [u8; 32] {
    let hash = digest::digest(&digest::SHA256, &request.encode_to_vec());
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    bytes
}
