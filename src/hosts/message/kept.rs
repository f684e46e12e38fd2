//! Reads the elements of an answer that later messages need.

use iso8583::Message;

use crate::payment::record::Element;

use super::element::ElementName;
use super::subelements::SubelementWidths;

/// The elements that `keep` names, as far as the answer has them; nothing, and no memory, where it names
/// none.
pub(in crate::hosts) fn kept_elements(
    message: &Message<'_>,
    keep: &[ElementName],
    widths: SubelementWidths,
) -> Vec<Element> {
    let value = |name: &ElementName| {
        let text = message.text(name.de)?;
        Some(match name.tag {
            None => text.into_owned(),
            Some(tag) => widths.find(&text, tag)?.to_owned(),
        })
    };
    keep.iter()
        .filter_map(|name| {
            Some(Element {
                name: name.as_str().to_owned(),
                value: value(name)?,
            })
        })
        .collect()
}
