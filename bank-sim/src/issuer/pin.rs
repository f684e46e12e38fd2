//! PIN blocks: ISO 9564-1 format 0 under TDES.

use std::fmt;

use des::{
    TdesEde2, TdesEde3,
    cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use thiserror::Error;

/// How many wrong PINs in a row a card takes before it answers 75 to every further one.
pub(crate) const MAX_PIN_TRIES: u8 = 3;

/// A PIN key that cannot be used. The message never shows the key.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PinKeyError {
    /// Neither a double nor a triple length key.
    #[error("a PIN key has 32 or 48 hex digits, got {got} characters")]
    Length {
        /// How many characters were given.
        got: usize,
    },
    /// Not hex.
    #[error("a PIN key has hex digits only, and the character at {offset} is none")]
    NotHex {
        /// The first offset that is no hex digit.
        offset: usize,
    },
}

/// The key under which a zone's PIN blocks are encrypted: TDES, double or triple length.
pub(crate) enum ZonePinKey {
    Double(Box<TdesEde2>),
    Triple(Box<TdesEde3>),
}

impl fmt::Debug for ZonePinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ZonePinKey(..)")
    }
}

impl ZonePinKey {
    pub(crate) fn from_hex(hex: &str) -> Result<Self, PinKeyError> {
        if let Some(offset) = hex.bytes().position(|byte| !byte.is_ascii_hexdigit()) {
            return Err(PinKeyError::NotHex { offset });
        }
        let bytes = iso8583::hex::decode(hex).unwrap_or_default();
        match bytes.len() {
            16 => TdesEde2::new_from_slice(&bytes).map(|key| Self::Double(Box::new(key))),
            24 => TdesEde3::new_from_slice(&bytes).map(|key| Self::Triple(Box::new(key))),
            _ => return Err(PinKeyError::Length { got: hex.len() }),
        }
        .map_err(|_| PinKeyError::Length { got: hex.len() })
    }

    fn decrypt(&self, block: [u8; 8]) -> [u8; 8] {
        let mut block: Block<TdesEde2> = block.into();
        match self {
            Self::Double(key) => key.decrypt_block(&mut block),
            Self::Triple(key) => key.decrypt_block(&mut block),
        }
        block.into()
    }

    fn encrypt(&self, block: [u8; 8]) -> [u8; 8] {
        let mut block: Block<TdesEde2> = block.into();
        match self {
            Self::Double(key) => key.encrypt_block(&mut block),
            Self::Triple(key) => key.encrypt_block(&mut block),
        }
        block.into()
    }

    /// Whether the block holds this PIN for this card: ISO 9564-1, 9.3.2. The expected block is made
    /// and compared as a whole after decryption, so a malformed block is simply a wrong PIN.
    pub(crate) fn holds(&self, encrypted: [u8; 8], pin: &str, pan: &str) -> bool {
        clear_block(pin, pan).is_some_and(|expected| self.decrypt(encrypted) == expected)
    }

    /// The PIN block of a PIN for a card, or `None` when the PIN is not 4 to 12 digits.
    pub(crate) fn seal(&self, pin: &str, pan: &str) -> Option<[u8; 8]> {
        clear_block(pin, pan).map(|block| self.encrypt(block))
    }
}

/// The encrypted PIN block (DE 52) of a PIN, for who drives a simulated issuer in a test: ISO 9564-1
/// format 0 under the TDES key of 32 or 48 hex digits. `None` when the PIN is not 4 to 12 digits.
///
/// # Errors
/// A key that is no key.
pub fn pin_block(key_hex: &str, pin: &str, pan: &str) -> Result<Option<[u8; 8]>, PinKeyError> {
    ZonePinKey::from_hex(key_hex).map(|key| key.seal(pin, pan))
}

/// Control digit 0, PIN length, PIN, filler F; XOR the twelve rightmost digits of the PAN without
/// its check digit.
fn clear_block(pin: &str, pan: &str) -> Option<[u8; 8]> {
    let pin_length = u8::try_from(pin.len())
        .ok()
        .filter(|length| (4..=12).contains(length))?;
    let mut pin_nibbles = [0xF_u8; 16];
    let mut pan_nibbles = [0_u8; 16];
    let pin_digits = pin.bytes().map(digit);
    for (place, nibble) in pin_nibbles
        .iter_mut()
        .zip([Some(0), Some(pin_length)].into_iter().chain(pin_digits))
    {
        *place = nibble?;
    }
    // From the right, the check digit left out: the last nibble of the block is the PAN's last but one.
    for (place, byte) in pan_nibbles
        .iter_mut()
        .rev()
        .take(12)
        .zip(pan.bytes().rev().skip(1))
    {
        *place = digit(byte)?;
    }
    let mut block = [0_u8; 8];
    let nibbles = pin_nibbles
        .iter()
        .zip(&pan_nibbles)
        .map(|(pin, pan)| pin ^ pan);
    for (index, nibble) in nibbles.enumerate() {
        let byte = block.get_mut(index / 2)?;
        *byte = *byte << 4 | nibble;
    }
    Some(block)
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_another_implementation() {
        // Made by psec 1.3 (PyPI): `encode_pinblock_iso_0`, then `encrypt_tdes_ecb`.
        let double = crate::config::DEVELOPMENT_ZONE_PIN_KEY_HEX;
        let triple = "0123456789ABCDEFFEDCBA98765432100011223344556677";
        for (key, pin, pan, expected) in [
            (
                double,
                "1234",
                "4111111111111111",
                0x2A3D_408A_1977_DDE9_u64,
            ),
            (triple, "1234", "4111111111111111", 0xC3B4_2B75_35A3_8B49),
            (double, "1234", "378282246310005", 0xA7C2_2CA2_4972_9E9A),
            (triple, "1234", "378282246310005", 0xD694_D82B_8069_F015),
            (
                double,
                "987654321012",
                "5555555555554444",
                0xABCF_190A_833F_BFAC,
            ),
            (
                triple,
                "987654321012",
                "5555555555554444",
                0x1F1F_1B75_2FB0_0C8F,
            ),
        ] {
            assert_eq!(pin_block(key, pin, pan), Ok(Some(expected.to_be_bytes())));
        }
        assert_eq!(pin_block(double, "123", "4111111111111111"), Ok(None));
        assert_eq!(pin_block(double, "12a4", "4111111111111111"), Ok(None));
    }

    #[test]
    fn a_block_holds_its_own_pin_for_its_own_card_only() {
        let key = ZonePinKey::from_hex(crate::config::DEVELOPMENT_ZONE_PIN_KEY_HEX).unwrap();
        let block = key.seal("1234", "4111111111111111").unwrap();
        assert!(key.holds(block, "1234", "4111111111111111"));
        assert!(!key.holds(block, "1235", "4111111111111111"));
        assert!(!key.holds(block, "1234", "4242424242424242"));
        assert!(!key.holds([0; 8], "1234", "4111111111111111"));
    }

    #[test]
    fn a_key_is_refused_without_being_shown() {
        assert_eq!(
            ZonePinKey::from_hex("0123").unwrap_err(),
            PinKeyError::Length { got: 4 }
        );
        let error = ZonePinKey::from_hex("0123456789ABCDEFFEDCBA987654321Z").unwrap_err();
        assert_eq!(error, PinKeyError::NotHex { offset: 31 });
        assert!(!error.to_string().contains("0123"));
    }
}
