//! The decision of a host about a message.

use std::time::Duration;

use crate::{
    message::{BankMessage, echoed_des},
    response_code::ResponseCode,
};

/// What a message did to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// An amount is held.
    Held,
    /// An amount was taken.
    Debited,
    /// An amount was given.
    Credited,
    /// An earlier effect was undone.
    Reversed,
    /// An earlier effect was undone in part.
    Partly,
}

/// The answer to a message, what the message did, and whether it had come before.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) outcome: Outcome,
    pub(crate) effect: Effect,
    pub(crate) is_repeat: bool,
}

impl From<Outcome> for Decided {
    /// A message without any effect.
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            effect: Effect::None,
            is_repeat: false,
        }
    }
}

/// The answer to one message.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is answered at once.
    Answer(BankMessage),
    /// It is answered later.
    AnswerAfter(Duration, BankMessage),
    /// Nothing is sent now: it was no request, it was forwarded, or its card never answers.
    Nothing,
}

impl Outcome {
    /// The usual answer: the request's own data elements and DE 39.
    pub(crate) fn answer_with(request: &BankMessage, code: ResponseCode) -> Self {
        request
            .answer(echoed_des(request.mti().class()), code)
            .map_or(Self::Nothing, Self::Answer)
    }
}
