//! Opens what merchants sealed: the one place, apart from the flow that pays, `operations` and the bank
//! messages, where a card is in clear.
//!
//! - [`pan`]: a card in clear: masked in `Debug`, zeroized on drop.
//! - `clear_card`: finds card numbers in clear where none may be.
//! - [`envelope`]: a sealed card, and opening it.
//! - [`fault`]: in which way a sealed card is bad.
//! - [`header`]: the clear, authenticated header of an envelope, parsed strictly.
//! - [`jwe`]: the compact serialization and its cryptography: ECDH-ES, RSA-OAEP-256, `dir`.
//! - [`sealing_key`]: one private key that opens envelopes, with its only algorithm.
//! - [`keys`]: all of them, and the JWKS. [`key_rotation`]: how one follows another.
//! - [`key_folder`]: where they are, looked at again while the gateway runs.
//! - [`session`]: session keys, carried by the merchant as tickets.
//! - [`seal`]: the client's side: sealing.
//! - [`test_methods`]: the test payment methods (`pm_test_visa`, ...).
//! - `payload`: what is inside an envelope once it is decrypted.
//! - [`custody`]: PAN and expiry, sealed for later messages. [`fingerprint`]: hashes that know a card again.
//! - [`master_key`]: the master key, what is derived from it, and private keys wrapped under it. [`derived_key`],
//!   [`masters`], [`master_file`]: its parts. [`master_rotation`]: how one follows another.
//! - [`key_files`]: files of keys and certificates: written whole, and who may read them.

pub(crate) mod clear_card;
pub mod custody;
pub mod derived_key;
pub mod envelope;
pub mod fault;
pub mod fingerprint;
pub mod header;
pub mod jwe;
pub mod key_files;
pub mod key_folder;
pub mod key_rotation;
pub mod keys;
pub mod master_file;
pub mod master_key;
pub mod master_rotation;
pub mod masters;
pub mod pan;
mod payload;
pub mod seal;
pub mod sealing_key;
pub mod session;
pub mod test_methods;
