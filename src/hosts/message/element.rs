//! Names of data elements and of their sub-elements, as profiles and records write them: `15`, `48.002`.

use std::fmt;

use crate::payment::record::Element;

use super::subelements::SubelementWidths;

/// A data element, or one sub-element of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementName {
    /// The data element, 2 to 128.
    pub de: u8,
    /// The sub-element, where one is meant.
    pub tag: Option<u16>,
    text: Box<str>,
}

impl ElementName {
    /// The name that `text` is; `None` where it is none. A tag has as many digits as the host writes.
    #[must_use]
    pub fn parse(text: &str, widths: SubelementWidths) -> Option<Self> {
        let (de, tag) = match text.split_once('.') {
            None => (text, None),
            Some((de, tag)) => (de, Some(widths.parse_tag(tag)?)),
        };
        let de = parse_de(de)?;
        let text = match tag {
            None => de.to_string(),
            Some(tag) => format!("{de}.{tag:0width$}", width = usize::from(widths.tag_digits)),
        };
        Some(Self {
            de,
            tag,
            text: text.into(),
        })
    }

    /// The name of a whole data element, 2 to 128.
    #[must_use]
    pub(in crate::hosts) fn of_de(de: u8) -> Self {
        Self {
            de,
            tag: None,
            text: de.to_string().into(),
        }
    }

    /// The name as records have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value of this element in a record.
    #[must_use]
    pub fn find<'a>(&self, elements: &'a [Element]) -> Option<&'a str> {
        find(elements, &self.text)
    }
}

impl fmt::Display for ElementName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The number of a data element that a message can have: 2 to 128 without 65, the third bitmap's.
pub(in crate::hosts) fn parse_de(text: &str) -> Option<u8> {
    text.parse()
        .ok()
        .filter(|de| (2..=128).contains(de) && *de != 65)
}

/// The value under `name` in a record.
pub(in crate::hosts) fn find<'a>(elements: &'a [Element], name: &str) -> Option<&'a str> {
    elements
        .iter()
        .find(|element| element.name == name)
        .map(|element| element.value.as_str())
}
