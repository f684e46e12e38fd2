//! The decision of a host about a message.

use std::time::Duration;

use crate::{
    message::{BankMessage, ECHOED_DES},
    response_code::ResponseCode,
};

/// The decision about one message.
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
            .answer(ECHOED_DES, code)
            .map_or(Self::Nothing, Self::Answer)
    }
}
