//! The elements of messages for people: masked as the host's dialect says, without those of the card.

use iso8583::{MessageBuilder, Mti, masked};

use crate::payment::decline::ResponseCode;
use crate::payment::operation::OperationState;
use crate::payment::record::{Element, Operation};

use super::build::{elements_without_card, fixed_elements};
use super::contents::{CardFields, Outgoing};
use super::definition::MessageProfile;
use super::element::parse_de;
use super::error::MessageError;
use super::format::Format;
use super::source::Source;

/// A card of which nothing is known.
const NO_CARD: CardFields<'static> = CardFields {
    pan: "",
    expiry_yymm: "",
    cvv: None,
};
/// In place of what is not shown.
const HIDDEN: &str = "***";

/// A data element, or a part of one, fit for people to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownElement {
    /// Its number, and that of its part: `4`, `48.002`.
    pub number: String,
    /// Its name in the dialect; empty where that has none.
    pub name: String,
    /// Its value, masked.
    pub value_masked: String,
}

/// The message of an operation: with the elements that are recorded of it where it is repeated, else built anew as the
/// profile says now.
///
/// # Errors
/// When it can't be built.
pub(in crate::hosts) fn request(
    message: &MessageProfile,
    format: Format<'_>,
    outgoing: Outgoing<'_>,
) -> Result<Vec<ShownElement>, MessageError> {
    let elements = match fixed_elements(message, outgoing.operation) {
        Some(fixed) => fixed.to_vec(),
        None => {
            let card = Some(NO_CARD);
            elements_without_card(message, format, Outgoing { card, ..outgoing })?
        }
    };
    let mut shown = elements_of(message, format, &elements);
    let of_card = |(_, source): &&(u8, Source)| source.contains(Source::is_of_the_card);
    shown.extend(
        message
            .fields()
            .iter()
            .filter(of_card)
            .map(|(de, _)| hidden(format, de.to_string())),
    );
    shown.sort_by_key(|element| de_of(&element.number));
    Ok(shown)
}

/// What is recorded of the answer to an operation: DE 38 and DE 39, and what later messages need.
pub(in crate::hosts) fn answer(
    message: &MessageProfile,
    format: Format<'_>,
    operation: &Operation,
) -> Vec<ShownElement> {
    use OperationState as S;
    let (approval_code, response_code) = match &operation.state {
        S::Approved { approval, .. } => (
            Some(approval.approval_code.as_str()).filter(|code| !code.is_empty()),
            Some(approval.response_code),
        ),
        S::Declined { decline } if !decline.is_own() => (None, Some(decline.response_code)),
        S::Suspended { response_code, .. } => (None, *response_code),
        _ => (None, None),
    };
    let codes = [
        ("38", approval_code),
        ("39", response_code.as_ref().map(ResponseCode::as_str)),
    ];
    let code = |(name, value): (&str, Option<&str>)| {
        Some(Element {
            name: name.to_owned(),
            value: value?.to_owned(),
        })
    };
    let codes = codes.into_iter().filter_map(code);
    let mut elements: Vec<Element> = codes.chain(operation.kept.iter().cloned()).collect();
    elements.sort_by_key(|element| de_of(&element.name));
    elements.dedup_by(|one, other| one.name == other.name);
    elements_of(message, format, &elements)
}

/// Elements of a message, in their order.
pub(in crate::hosts) fn elements_of(
    message: &MessageProfile,
    format: Format<'_>,
    elements: &[Element],
) -> Vec<ShownElement> {
    let mapping = message.mapping.as_ref();
    let mti = mapping.map_or(Mti::AUTHORIZATION_REQUEST, |mapping| mapping.mti);
    let shown = |element: &Element| {
        let number = element.name.clone();
        let value_masked = value_masked(mti, format, element);
        ShownElement {
            value_masked: value_masked.unwrap_or_else(|| HIDDEN.to_owned()),
            ..hidden(format, number)
        }
    };
    elements.iter().map(shown).collect()
}

fn hidden(format: Format<'_>, number: String) -> ShownElement {
    let spec = de_of(&number).and_then(|de| format.dialect.field(de));
    ShownElement {
        name: spec.map_or_else(String::new, |spec| spec.name().to_owned()),
        value_masked: HIDDEN.to_owned(),
        number,
    }
}

fn de_of(number: &str) -> Option<u8> {
    parse_de(number.split('.').next()?)
}

/// The value alone in a message, as the dialect shows it there. A part of an element is shown as the whole would be.
fn value_masked(mti: Mti, format: Format<'_>, element: &Element) -> Option<String> {
    let mut builder = MessageBuilder::new(mti);
    builder.header(format.header);
    builder.text(de_of(&element.name)?, &element.value);
    let mut bytes = Vec::new();
    format.dialect.encode(&builder, &mut bytes).ok()?;
    let message = format.dialect.decode(&bytes).ok()?;
    let described = masked::describe(format.dialect, &message);
    Some(described.into_iter().next()?.value_masked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::tests::known::{merchant, operation, outgoing, template};
    use crate::payment::operation_kind::OperationKind;

    #[test]
    fn a_card_is_not_shown_and_what_else_is_sent_is() {
        let (profile, operation, merchant) = (template(), operation(), merchant());
        let message = profile.messages.get(OperationKind::Authorization).unwrap();
        let outgoing = Outgoing {
            card: None,
            ..outgoing(&operation, &merchant)
        };
        let shown = request(message, profile.format(), outgoing).unwrap();
        let value = |number: &str| {
            let found = shown.iter().find(|it| it.number == number);
            found.map(|it| it.value_masked.as_str())
        };
        for (number, expected) in [
            ("2", HIDDEN),
            ("4", "000000001250"),
            ("11", "000007"),
            ("14", HIDDEN),
        ] {
            assert_eq!(value(number), Some(expected), "{number}");
        }
        assert!(shown.is_sorted_by_key(|it| de_of(&it.number)));
        let kept = [
            ("2", "4111111111111111", "411111******1111"),
            ("39", "00", "00"),
            ("48.87", "M", "*** (1 characters)"),
            ("52", "no PIN block", HIDDEN),
        ];
        let elements = kept.map(|(name, value, _)| Element {
            name: name.into(),
            value: value.into(),
        });
        let shown = elements_of(message, profile.format(), &elements);
        let values: Vec<_> = shown.iter().map(|it| it.value_masked.as_str()).collect();
        assert_eq!(values, kept.map(|(_, _, expected)| expected));
        assert_eq!(shown[1].name, "Response code");
    }
}
