//! Writing BER-TLV.

use std::fmt;

use super::{Tag, Tlv, TlvError};

/// Writes a list of elements, with the shortest lengths.
#[derive(Clone, Default)]
pub struct TlvBuilder {
    bytes: Vec<u8>,
}

impl TlvBuilder {
    /// An empty list.
    #[must_use]
    pub fn new() -> TlvBuilder {
        TlvBuilder::default()
    }

    /// Makes the list empty again, without giving back memory.
    pub fn clear(&mut self) {
        self.bytes.fill(0);
        self.bytes.clear();
    }

    /// Appends an element.
    ///
    /// # Errors
    /// When the number is no tag, or the value is too long. The list is then as it was before.
    pub fn push(&mut self, tag: Tag, value: &[u8]) -> Result<&mut Self, TlvError> {
        if !tag.is_valid() {
            return Err(TlvError::NotATag { got: tag });
        }
        let too_long = TlvError::TooLong {
            tag,
            got: value.len(),
        };
        let length = u16::try_from(value.len()).map_err(|_| too_long)?;
        let tag_bytes = tag.0.to_be_bytes();
        self.bytes
            .extend(tag_bytes.iter().skip(tag.leading_zeros()));
        let [high, low] = length.to_be_bytes();
        match (high, low) {
            (0, 0..=0x7F) => self.bytes.push(low),
            (0, _) => self.bytes.extend([0x81, low]),
            _ => self.bytes.extend([0x82, high, low]),
        }
        self.bytes.extend_from_slice(value);
        Ok(self)
    }

    /// Appends an element as it was read, whatever form its length has.
    pub fn push_raw(&mut self, tlv: &Tlv<'_>) -> &mut Self {
        self.bytes.extend_from_slice(tlv.raw());
        self
    }

    /// Appends a constructed element with this list within.
    ///
    /// # Errors
    /// When the number is no constructed tag, or the list is too long.
    pub fn push_list(&mut self, tag: Tag, list: &TlvBuilder) -> Result<&mut Self, TlvError> {
        if !tag.is_constructed() {
            return Err(TlvError::NotATag { got: tag });
        }
        self.push(tag, &list.bytes)
    }

    /// The list.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The list, as bytes of its own.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for TlvBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlvBuilder")
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
