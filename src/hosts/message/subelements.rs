//! Sub-elements of a data element: a tag, a length and a value each, with as many digits of tag and length
//! as the host writes. `9203123` is sub-element 92 with the value 123; `051003123` is 051 of a host that
//! writes three digits each.

use std::fmt::Write;

/// How many digits a tag and a length have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubelementWidths {
    /// Digits of a tag, 2 or 3.
    pub tag_digits: u8,
    /// Digits of a length, 2 or 3.
    pub length_digits: u8,
}

impl Default for SubelementWidths {
    /// Two digits each, as card networks write DE 48.
    fn default() -> Self {
        Self {
            tag_digits: 2,
            length_digits: 2,
        }
    }
}

impl SubelementWidths {
    /// The longest value that a length can say, in characters.
    #[must_use]
    pub fn longest_value(self) -> usize {
        10_usize.saturating_pow(self.length_digits.into()) - 1
    }

    /// The tag that `text` is: exactly as many digits as a tag has.
    #[must_use]
    pub fn parse_tag(self, text: &str) -> Option<u16> {
        number(text, self.tag_digits)
    }

    /// Appends one sub-element to `out`; `false`, and nothing is appended, where the value is too long or is
    /// not ASCII.
    #[must_use]
    pub fn append(self, out: &mut String, tag: u16, value: &str) -> bool {
        if value.len() > self.longest_value() || !value.is_ascii() {
            return false;
        }
        let (tag_width, length_width) = (self.tag_digits.into(), self.length_digits.into());
        // Writing to a String can't fail.
        let _ = write!(
            out,
            "{tag:0tag_width$}{:0length_width$}{value}",
            value.len()
        );
        true
    }

    /// The value of the first sub-element with this tag; `None` when there is none before the end of the
    /// text, or before what is no sub-element.
    #[must_use]
    pub fn find(self, text: &str, tag: u16) -> Option<&str> {
        let mut rest = text;
        while !rest.is_empty() {
            let (found, after_tag) = rest.split_at_checked(self.tag_digits.into())?;
            let (length, after_length) = after_tag.split_at_checked(self.length_digits.into())?;
            let length = number(length, self.length_digits)?;
            let (value, after_value) = after_length.split_at_checked(length.into())?;
            if number(found, self.tag_digits)? == tag {
                return Some(value);
            }
            rest = after_value;
        }
        None
    }
}

/// The number that exactly `digits` digits are; `parse` alone would take a sign.
fn number(text: &str, digits: u8) -> Option<u16> {
    (text.len() == usize::from(digits) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: SubelementWidths = SubelementWidths {
        tag_digits: 3,
        length_digits: 3,
    };

    #[test]
    fn what_is_written_is_found() {
        for (widths, expected) in [
            (SubelementWidths::default(), "92031230100"),
            (THREE, "092003123001000"),
        ] {
            let mut text = String::new();
            assert!(widths.append(&mut text, 92, "123") && widths.append(&mut text, 1, ""));
            assert_eq!(text, expected);
            assert_eq!(widths.find(&text, 92), Some("123"));
            assert_eq!(widths.find(&text, 1), Some(""));
            assert_eq!(widths.find(&text, 2), None);
        }
    }

    #[test]
    fn what_is_no_sub_element_ends_the_search() {
        let widths = SubelementWidths::default();
        for text in [
            "9",
            "92",
            "920",
            "92+1x",
            "9205123",
            "92\u{e9}3123",
            "9x03123",
        ] {
            assert_eq!(widths.find(text, 92), None, "{text}");
        }
        let mut out = "kept".to_owned();
        assert!(!widths.append(&mut out, 92, &"1".repeat(100)));
        assert!(!widths.append(&mut out, 92, "é"));
        assert_eq!(out, "kept");
        assert!(THREE.append(&mut out, 92, &"1".repeat(999)));
        for (text, tag) in [("92", Some(92)), ("092", None), ("9", None), ("+9", None)] {
            assert_eq!(widths.parse_tag(text), tag, "{text}");
        }
    }
}
