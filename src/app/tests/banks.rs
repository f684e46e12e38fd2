//! Banks that say to each merchant's messages what a test has written for it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::hosts::exchange::Exchange;
use crate::hosts::message::contents::Outgoing;
use crate::hosts::message::definition::{self, UnknownRule};
use crate::hosts::message::meaning::usual_advice;
use crate::hosts::profile::HostProfile;
use crate::payment::decline::{
    Approval, Decline, DeclineReason, FailureReason, ResponseCode, UnknownReason,
};
use crate::payment::ids::{HostId, MerchantId, OperationId};
use crate::payment::operation_kind::OperationKind;

/// What is approved of 1000 where less is.
const PARTLY_MINOR: i64 = 600;

/// What comes of a message at its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Answer {
    Approved,
    /// For less, where it is asked to hold or to take an amount of a card.
    Partly,
    Declined,
    /// The host can't read the message.
    FormatError,
    /// An advice is taken, now or before.
    Taken,
    /// The host does not know what an advice is about.
    OriginalUnknown,
    /// No answer comes, or none that says anything.
    Lost,
    NotSent,
}

impl Answer {
    pub(super) fn response_code(self) -> ResponseCode {
        let code = match self {
            Self::Declined => "57",
            Self::FormatError => "30",
            Self::Taken => "94",
            Self::OriginalUnknown => "25",
            Self::Partly => "10",
            Self::Approved | Self::Lost | Self::NotSent => "00",
        };
        code.parse().unwrap()
    }

    pub(super) fn exchange(self) -> Exchange {
        let bank_us = 900;
        let response_code = self.response_code();
        let declined = |reason| {
            Exchange::declined(Decline {
                reason,
                response_code,
                advice: usual_advice(reason),
            })
        };
        match self {
            Self::Approved | Self::Partly => Exchange::approved(Approval {
                approval_code: "A1B2C3".into(),
                response_code,
                partial_minor: (self == Self::Partly).then_some(PARTLY_MINOR),
            }),
            Self::Declined => declined(DeclineReason::NotPermitted),
            Self::FormatError => declined(DeclineReason::FormatError),
            Self::Taken => Exchange::Taken {
                response_code,
                bank_us,
            },
            Self::OriginalUnknown => Exchange::OriginalUnknown {
                response_code,
                bank_us,
            },
            Self::Lost => Exchange::Unknown(UnknownReason::NoAnswerInTime),
            Self::NotSent => Exchange::NotSent(FailureReason::HostBusy),
        }
    }
}

/// How a kind of message travels to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Sent once; without an outcome it is reversed.
    Reversed,
    /// Sent once; without an outcome it waits.
    Waits,
    /// Sent again until it is acknowledged.
    Advice,
    /// No message travels.
    File,
}

impl Style {
    pub(super) const ALL: [Self; 4] = [Self::Reversed, Self::Waits, Self::Advice, Self::File];

    pub(super) const fn unknown(self) -> UnknownRule {
        match self {
            Self::Reversed => UnknownRule::Reverse,
            Self::Advice => UnknownRule::Repeat,
            Self::Waits | Self::File => UnknownRule::Wait,
        }
    }
}

/// The host that takes captures, voids and refunds so. Only a capture is ever reversed.
pub(super) fn host(styles: [Style; 3]) -> HostId {
    let name = styles.map(|style| format!("{style:?}").to_lowercase());
    name.join("-").parse().unwrap()
}

/// A host for each three styles.
pub(super) fn profiles(of_bank: &HostProfile) -> Vec<HostProfile> {
    let mut profiles = Vec::new();
    for number in 0..4 * 3 * 3 {
        let styles = [number % 4, 1 + number / 4 % 3, 1 + number / 12].map(|it| Style::ALL[it]);
        let mut profile = HostProfile {
            host_id: host(styles),
            lines: 0,
            ..of_bank.clone()
        };
        let kinds = [
            OperationKind::Capture,
            OperationKind::Void,
            OperationKind::Refund,
        ];
        for message in profile.messages.iter_mut() {
            message.repeats.cap = None;
            let Some(place) = kinds.iter().position(|kind| *kind == message.kind) else {
                continue;
            };
            message.unknown = styles[place].unknown();
            message.style = match styles[place] {
                Style::Reversed | Style::Waits => definition::Style::Request,
                Style::Advice => definition::Style::Advice,
                Style::File => definition::Style::File,
            };
            if styles[place] == Style::File {
                message.mapping = None;
            }
        }
        profiles.push(profile);
    }
    profiles
}

/// What hosts say to the messages of each merchant: the next one of its answers, and what was answered.
#[derive(Default)]
pub(super) struct Script(pub(super) Mutex<BTreeMap<MerchantId, Answers>>);

#[derive(Default)]
pub(super) struct Answers {
    pub(super) next: Vec<Answer>,
    pub(super) asked: usize,
    pub(super) given: BTreeMap<OperationId, Vec<Answer>>,
}

impl Script {
    pub(super) fn answer(&self, outgoing: &Outgoing<'_>) -> Exchange {
        let mut script = self.0.lock().unwrap();
        let answers = script.get_mut(&outgoing.merchant.id).unwrap();
        let answer = answers.next[answers.asked % answers.next.len()];
        let answer = match outgoing.operation.kind {
            OperationKind::Authorization | OperationKind::Sale => answer,
            // Nothing that comes later is done in part.
            _ if answer == Answer::Partly => Answer::Lost,
            _ => answer,
        };
        answers.asked += 1;
        let given = answers.given.entry(outgoing.operation.id).or_default();
        given.push(answer);
        answer.exchange()
    }
}
