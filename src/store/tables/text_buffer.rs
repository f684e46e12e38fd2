//! Records as texts, for values to bind.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;

use serde::Serialize;

use crate::store::error::StoreError;

/// About what the longest text of a payment takes.
const TYPICAL_BYTES: usize = 512;

/// Where texts are written before each is copied out as long as it turned out to be: a payment has some
/// twenty, and a buffer of its own for each would be made, made larger and thrown away every time.
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

    /// A value as JSON. The domain's values have no key that JSON can't write.
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

    /// Both writers write UTF-8, and finding that out is several times faster than replacing what isn't.
    fn copy(&self) -> Arc<str> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(&self.0).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_anything_for_the_next() {
        let mut texts = TextBuffer::new();
        assert_eq!(&*texts.text("a longer text"), "a longer text");
        assert_eq!(&*texts.text(7), "7");
        assert_eq!(&*texts.json(&["é"]).unwrap(), "[\"é\"]");
        let unwritable = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(texts.json(&unwritable).is_err());
        assert_eq!(&*texts.text(""), "");
    }
}
