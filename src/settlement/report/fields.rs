//! A line of a report, taken apart into its fields.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

/// The most fields of a line.
const MOST_FIELDS: usize = 256;

/// Takes lines apart.
pub(super) struct Splitter {
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// The fields of a line.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field as it came: empty where there is none.
    pub(super) fn bytes(&self, index: usize) -> &'a [u8] {
        let begin = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied(),
            None => Some(0),
        };
        let end = self.ends.get(index).copied();
        let field = begin.zip(end);
        let field = field.and_then(|(begin, end)| self.text.get(begin..end));
        field.unwrap_or_default()
    }
}

impl Splitter {
    pub(super) fn new(separator: u8) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(separator);
        builder.terminator(Terminator::Any(b'\n'));
        Self {
            reader: builder.build(),
            text: Vec::new(),
            ends: vec![0; MOST_FIELDS],
        }
    }

    /// The fields of a line that has no line break.
    ///
    /// # Errors
    /// What was expected of the line.
    pub(super) fn split(&mut self, line: &[u8]) -> Result<Fields<'_>, &'static str> {
        if line.is_empty() {
            return Err("a line of fields");
        }
        self.reader.reset();
        // Taken apart, no line is longer; and the reader wants a place for one byte more.
        self.text.resize(line.len().saturating_add(1), 0);
        let (mut text_end, mut count) = (0, 0);
        for input in [line, b"\n"] {
            let text = self.text.get_mut(text_end..).unwrap_or_default();
            let ends = self.ends.get_mut(count..).unwrap_or_default();
            let (result, read, written, ended) = self.reader.read_record(input, text, ends);
            text_end = text_end.saturating_add(written);
            count = count.saturating_add(ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record if read == input.len() => {
                    return Ok(Fields {
                        text: self.text.get(..text_end).unwrap_or_default(),
                        ends: self.ends.get(..count).unwrap_or_default(),
                    });
                }
                _ => return Err("at most 256 fields"),
            }
        }
        Err("quotes that end on their line")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let mut splitter = Splitter::new(b',');
        for (line, expected) in [
            ("a,b,c", Ok(vec!["a", "b", "c"])),
            ("a", Ok(vec!["a"])),
            (",", Ok(vec!["", ""])),
            ("\"\"", Ok(vec![""])),
            ("a,\"b,\"\"c\"\"\",", Ok(vec!["a", "b,\"c\"", ""])),
            (" a , b ", Ok(vec![" a ", " b "])),
            ("a\rb,c", Ok(vec!["a\rb", "c"])),
            ("\u{feff}a,b", Ok(vec!["a", "b"])),
            ("", Err("a line of fields")),
            ("a,\"b", Err("quotes that end on their line")),
            ("a,\"b\"\"", Err("quotes that end on their line")),
        ] {
            let fields = splitter.split(line.as_bytes()).map(|fields| {
                let field = |index| str::from_utf8(fields.bytes(index)).unwrap();
                let fields = (0..fields.len()).map(field);
                fields.collect::<Vec<_>>()
            });
            assert_eq!(fields, expected, "{line:?}");
        }
        let most = ",".repeat(MOST_FIELDS - 1);
        let fields = splitter.split(most.as_bytes()).unwrap();
        assert_eq!((fields.len(), fields.bytes(256)), (256, &b""[..]));
        let more = ",".repeat(MOST_FIELDS);
        assert!(splitter.split(more.as_bytes()).is_err());
        let longer = format!("{}x", ",".repeat(MOST_FIELDS));
        assert!(splitter.split(longer.as_bytes()).is_err());
    }
}
