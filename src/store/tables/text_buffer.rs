//! Writes values as the texts that statements bind.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;

use serde::Serialize;

use crate::store::error::StoreError;

/// About the length of a payment's longest text.
const TYPICAL_BYTES: usize = 512;

/// One buffer for many texts; each is copied out at its own length. A payment has some twenty texts, and a
/// buffer for each would be allocated, grown and freed every time.
pub(in crate::store) struct TextBuffer(Vec<u8>);

impl TextBuffer {
    pub(in crate::store) fn new() -> Self {
        Self(Vec::with_capacity(TYPICAL_BYTES))
    }

    pub(in crate::store) fn text(&mut self, value: impl Display) -> Arc<str> {
        self.0.clear();
        // Writing to a Vec fails only where the value itself does, and none of ours does.
        let _ = write!(self.0, "{value}");
        self.copy()
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// When a map has a key that is no text. No value of the domain has one.
    pub(in crate::store) fn json(
        &mut self,
        value: &impl Serialize,
    ) -> Result<Arc<str>, StoreError> {
        self.0.clear();
        serde_json::to_writer(&mut self.0, value).map_err(|error| StoreError::Invalid {
            expected: "a record that JSON can hold",
            got: error.to_string(),
        })?;
        Ok(self.copy())
    }

    /// Both writers write UTF-8. Checking that is several times faster than a lossy conversion.
    fn copy(&self) -> Arc<str> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(&self.0).into(),
        }
    }
}

/// The texts that several rows of one change hold, written once.
#[derive(Debug)]
pub(in crate::store) struct Names {
    pub(in crate::store) payment_id: Arc<str>,
    pub(in crate::store) operation_id: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_do_not_mix() {
        let mut texts = TextBuffer::new();
        assert_eq!(&*texts.text("a longer text"), "a longer text");
        assert_eq!(&*texts.text(7), "7");
        assert_eq!(&*texts.json(&["é"]).unwrap(), "[\"é\"]");
        let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(texts.json(&unwritable).is_err());
        assert_eq!(&*texts.text(""), "");
    }
}
