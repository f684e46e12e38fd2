//! Sub-elements of DE 48 as card networks write them: a tag of two digits, a length of two digits,
//! and the value. `9203123` is sub-element 92 (CVC2) with the value 123.

/// One sub-element. `Debug` does not show its value, which may be a card security code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Subelement<'a> {
    /// The tag, 0 to 99.
    pub tag: u8,
    /// The value, 0 to 99 characters.
    pub value: &'a str,
}

impl std::fmt::Debug for Subelement<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subelement")
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

/// Why a text is no list of sub-elements, or a sub-element can't be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubelementError {
    /// A tag or a length is not two digits.
    #[error("sub-elements at offset {offset}: expected two digits of {part}")]
    Digits {
        /// Where they should be, in bytes from the start of the text.
        offset: usize,
        /// `tag` or `length`.
        part: &'static str,
    },
    /// The text ends before the value does.
    #[error("sub-element {tag} at offset {offset}: expected {expected} characters, got {got}")]
    Truncated {
        /// The tag.
        tag: u8,
        /// Where the value begins.
        offset: usize,
        /// The length stated.
        expected: usize,
        /// The characters left.
        got: usize,
    },
    /// A tag of more than two digits was to be written.
    #[error("sub-element: expected a tag of at most 99, got {got}")]
    Tag {
        /// The tag.
        got: u8,
    },
    /// A value that two digits of length can't say, or that is not ASCII, was to be written.
    #[error("sub-element {tag}: expected at most 99 ASCII characters, got {got} bytes")]
    Value {
        /// The tag.
        tag: u8,
        /// The length of the value in bytes.
        got: usize,
    },
}

/// Goes through the sub-elements of a text. After an error it ends.
#[derive(Clone)]
pub struct Subelements<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Subelements<'a> {
    /// Goes through `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Subelements<'a> {
        Subelements { text, at: 0 }
    }

    /// The value of the first sub-element with this tag; `None` when there is none before the end
    /// of the text or the first error.
    #[must_use]
    pub fn find(text: &'a str, tag: u8) -> Option<&'a str> {
        Subelements::new(text)
            .map_while(Result::ok)
            .find(|subelement| subelement.tag == tag)
            .map(|subelement| subelement.value)
    }

    fn two_digits(&mut self, part: &'static str) -> Result<u8, SubelementError> {
        let offset = self.at;
        match self.text.as_bytes().get(offset..offset + 2) {
            Some([high @ b'0'..=b'9', low @ b'0'..=b'9']) => {
                self.at += 2;
                Ok((high - b'0') * 10 + (low - b'0'))
            }
            _ => Err(SubelementError::Digits { offset, part }),
        }
    }

    fn read(&mut self) -> Result<Subelement<'a>, SubelementError> {
        let tag = self.two_digits("tag")?;
        let length = usize::from(self.two_digits("length")?);
        let offset = self.at;
        let left = self.text.len().saturating_sub(offset);
        let truncated = SubelementError::Truncated {
            tag,
            offset,
            expected: length,
            got: left,
        };
        // A length that ends inside a character beyond ASCII gets no text either.
        let value = self.text.get(offset..offset + length).ok_or(truncated)?;
        self.at += length;
        Ok(Subelement { tag, value })
    }
}

impl<'a> Iterator for Subelements<'a> {
    type Item = Result<Subelement<'a>, SubelementError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.text.len() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.at = self.text.len();
        }
        Some(read)
    }
}

/// Appends one sub-element to `out`.
///
/// # Errors
/// When the tag or the length has more than two digits, or the value is not ASCII. `out` is then
/// as it was before.
pub fn append_subelement(out: &mut String, tag: u8, value: &str) -> Result<(), SubelementError> {
    use std::fmt::Write;

    if tag > 99 {
        return Err(SubelementError::Tag { got: tag });
    }
    if value.len() > 99 || !value.is_ascii() {
        return Err(SubelementError::Value {
            tag,
            got: value.len(),
        });
    }
    // Writing to a String can't fail.
    let _ = write!(out, "{tag:02}{:02}{value}", value.len());
    Ok(())
}
