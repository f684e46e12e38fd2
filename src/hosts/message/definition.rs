//! One message of a host, as its profile describes it: how an operation of one kind travels.

use std::time::Duration;

use iso8583::Mti;

use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;
use crate::payment::reference;

use super::element::ElementName;
use super::match_key::MatchRule;
use super::response_codes::ResponseCodes;
use super::source::Source;

/// How an operation travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// As a request that the host approves or declines; it is written at most once.
    Request,
    /// As an advice that is sent again until the host acknowledges it.
    Advice,
    /// In a file of the business date.
    File,
    /// Not at all: the host knows by itself.
    None,
}

/// What an operation's style and its rule for unknown outcomes come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// As a message that is written at most once: its end is waited for.
    Once,
    /// As a message that is sent again until the host acknowledges it.
    Repeated,
    /// Not as a message: it counts as soon as it is recorded.
    Recorded,
}

/// What follows when the outcome of an operation is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownRule {
    /// A reversal is owed.
    Reverse,
    /// The same message is sent again.
    Repeat,
    /// The host is asked.
    Inquire,
    /// Nothing, until the host's report or an operator says what happened.
    Wait,
}

/// How a message is sent again until the host acknowledges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeats {
    /// The message type of a repeat; the message's own where the host knows none.
    pub mti: Mti,
    /// The wait before the first repeat.
    pub first: Duration,
    /// Each wait is so many times the one before, 1 to 10.
    pub factor: u32,
    /// No wait is longer.
    pub longest: Duration,
    /// After so many messages the operation is suspended; none where it is sent until it is acknowledged.
    pub cap: Option<u32>,
    /// The most messages to the host in a second.
    pub per_second: u32,
    /// The most messages that wait for the host's answer at once.
    pub window: usize,
    /// So long after its original's deadline a host that does not know the original will never see it.
    pub original_gone: Duration,
}

impl Repeats {
    /// Some repeats: for tests.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            mti: Mti::AUTHORIZATION_REQUEST,
            first: Duration::from_secs(1),
            factor: 2,
            longest: Duration::from_secs(300),
            cap: None,
            per_second: 50,
            window: 32,
            original_gone: Duration::from_secs(15),
        }
    }

    /// The wait after so many messages, before the next one; none before the first.
    #[must_use]
    pub fn wait_after(&self, messages: u32) -> Duration {
        let Some(doublings) = messages.checked_sub(1) else {
            return Duration::ZERO;
        };
        let grown = self.factor.saturating_pow(doublings);
        self.first.saturating_mul(grown).min(self.longest)
    }
}

/// Where the amount of a partial approval stands in an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PartialAmount {
    /// In DE 4.
    #[default]
    Amount,
    /// In DE 54, as the additional amount of this type.
    Additional([u8; 2]),
}

/// Whether an operation has numbers of its own, or goes under those of its original.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OriginalNumbers {
    /// DE 11 is the original's.
    pub stan: bool,
    /// DE 37 is the original's.
    pub rrn: bool,
    /// DE 7 is the original's.
    pub transmission_date_time: bool,
    /// DE 4 is the original's.
    pub amount: bool,
}

/// The message itself, where the operation travels as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The message type.
    pub mti: Mti,
    /// The same, as operations record it.
    pub recorded_mti: reference::Mti,
    /// The message type of its answer.
    pub response_mti: Mti,
    /// The data elements, in ascending order.
    pub fields: Vec<(u8, Source)>,
    /// The code of each reason, for the source `reason`.
    pub reasons: Vec<(Reason, String)>,
}

/// How operations of one kind travel to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageProfile {
    /// The kind of the operations.
    pub kind: OperationKind,
    /// How they travel.
    pub style: Style,
    /// The message; none where the style is a file or nothing.
    pub mapping: Option<Mapping>,
    /// Which of its numbers are those of its original.
    pub numbers: OriginalNumbers,
    /// What follows when the outcome is not known.
    pub unknown: UnknownRule,
    /// How it is sent again.
    pub repeats: Repeats,
    /// Which parts of the key an answer must carry.
    pub match_rule: MatchRule,
    /// The meanings of DE 39 in its answer.
    pub response_codes: ResponseCodes,
    /// A data element that an answer has only where the host found an error: its approval is none then.
    pub error_element: Option<u8>,
    /// Where its answer says how much is approved, where that is less than was asked for.
    pub partial_amount: PartialAmount,
    /// Of a void: whether it undoes whole sales, too.
    pub sales: bool,
    /// The elements of its answer that later messages need.
    pub keep: Vec<ElementName>,
    /// Where its answer says what came of the card verification value; it is among what is kept.
    pub cvv_result: Option<ElementName>,
    /// Where it says what came of the cardholder's address, likewise.
    pub avs_result: Option<ElementName>,
    /// The elements of the message that later messages repeat as they were sent.
    pub sent: Vec<ElementName>,
}

impl MessageProfile {
    /// Whether a source of the message is `wanted`.
    #[must_use]
    pub fn has_source(&self, wanted: impl Fn(&Source) -> bool) -> bool {
        self.fields()
            .iter()
            .any(|(_, source)| source.contains(&wanted))
    }

    /// How it travels.
    #[must_use]
    pub fn travel(&self) -> Travel {
        match (&self.mapping, self.unknown) {
            (None, _) => Travel::Recorded,
            (Some(_), UnknownRule::Repeat) => Travel::Repeated,
            (Some(_), _) => Travel::Once,
        }
    }

    /// Whether it is sent again until the host acknowledges it.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        self.travel() == Travel::Repeated
    }

    /// Whether it has all numbers of its original, so that the host would take a second one for a repeat.
    #[must_use]
    pub fn only_one(&self) -> bool {
        self.numbers.stan && self.numbers.rrn
    }

    /// Whether it can't be built without the card.
    #[must_use]
    pub fn needs_card(&self) -> bool {
        self.has_source(Source::is_of_the_card)
    }

    /// The data elements of the message.
    #[must_use]
    pub fn fields(&self) -> &[(u8, Source)] {
        self.mapping.as_ref().map_or(&[], |mapping| &mapping.fields)
    }

    /// The source of a data element.
    #[must_use]
    pub fn source(&self, de: u8) -> Option<&Source> {
        self.fields()
            .iter()
            .find(|(there, _)| *there == de)
            .map(|(_, source)| source)
    }
}

/// The messages of a host by the kind of their operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages(Vec<MessageProfile>);

impl Messages {
    /// The messages of a profile, one for each kind.
    #[must_use]
    pub fn new(messages: Vec<MessageProfile>) -> Self {
        Self(messages)
    }

    /// How operations of this kind travel; none where the host has no such operations.
    #[must_use]
    pub fn get(&self, kind: OperationKind) -> Option<&MessageProfile> {
        self.0.iter().find(|message| message.kind == kind)
    }

    /// Has an element of every answer kept.
    pub(in crate::hosts) fn keep_everywhere(&mut self, de: u8) {
        let name = ElementName::of_de(de);
        for message in &mut self.0 {
            if !message.keep.contains(&name) {
                message.keep.push(name.clone());
            }
        }
    }

    /// Every message.
    pub fn iter(&self) -> impl Iterator<Item = &MessageProfile> {
        self.0.iter()
    }

    /// Every message, to be changed: for tests.
    #[cfg(test)]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut MessageProfile> {
        self.0.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_a_multiple_of_the_one_before_up_to_the_longest() {
        let repeats = Repeats::sample();
        for (messages, expected_s) in [(0, 0), (1, 1), (2, 2), (9, 256), (10, 300), (u32::MAX, 300)]
        {
            let wait = repeats.wait_after(messages);
            assert_eq!(wait, Duration::from_secs(expected_s), "{messages}");
        }
    }
}
