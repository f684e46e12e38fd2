//! The issuer: holds accounts, decides, holds funds, and undoes.

mod books;
mod card;
mod currency;
mod history;
#[cfg(test)]
mod money_tests;
mod pin;
mod request;
#[cfg(test)]
mod rules_tests;
mod test_accounts;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use iso8583::{
    Mti,
    mti::{Class, Function},
};

use self::{
    books::Books,
    card::Delivery,
    request::{CardRequest, FormatError},
};
pub use self::{
    books::snapshot::{AccountSnapshot, BooksSnapshot, SeenExchange},
    currency::Currency,
    history::{MAX_REMEMBERED_EXCHANGES, MAX_REVERSALS_WITHOUT_ORIGINAL, Standing},
    pin::{PinKeyError, pin_block},
    request::MessageKind,
};
pub(crate) use self::{
    pin::ZonePinKey,
    request::{ExchangeKey, pan},
    test_accounts::with_test_cards,
};
use crate::{
    clock::Clock,
    message::{BankMessage, ECHOED_DES},
    outcome::Outcome,
    response_code::ResponseCode,
};

/// Decides for an issuer's connections; the books outlive a stop and a start of the host.
#[derive(Debug)]
pub(crate) struct Issuer {
    name: Arc<str>,
    books: Mutex<Books>,
    late_answer: Duration,
    clock: Arc<dyn Clock>,
}

impl Issuer {
    pub(crate) fn new(
        name: Arc<str>,
        books: Books,
        late_answer: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            name,
            books: Mutex::new(books),
            late_answer,
            clock,
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A panic while deciding would leave the books as they were before the last step, which is
        // better than no issuer.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> BooksSnapshot {
        self.books().snapshot()
    }

    /// Decides about a financial message of a line that is signed on.
    pub(crate) fn decide(&self, message: &BankMessage) -> Outcome {
        let decided = match kind_of(message.mti()) {
            Some(FinancialKind::Card(kind)) => self.decide_card(message, kind),
            Some(FinancialKind::Reversal) => self.reverse(message),
            None => Ok(Outcome::answer_with(
                message,
                ResponseCode::INVALID_TRANSACTION,
            )),
        };
        decided.unwrap_or_else(|fault| {
            let stan = message.text(11).unwrap_or("?");
            tracing::warn!(host.id = %self.name, stan, %fault, "a message was refused with 30");
            Outcome::answer_with(message, ResponseCode::FORMAT_ERROR)
        })
    }

    fn decide_card(
        &self,
        message: &BankMessage,
        kind: MessageKind,
    ) -> Result<Outcome, FormatError> {
        let request = CardRequest::read(message, kind)?;
        let now = self.clock.now_utc();
        let decision = self.books().decide(&request, now);
        let Some(mut answer) = message.answer(ECHOED_DES, decision.response_code) else {
            return Ok(Outcome::Nothing);
        };
        if let Some(approval_code) = decision.approval_code {
            answer.set(38, approval_code);
        }
        tracing::debug!(
            host.id = %self.name,
            stan = message.text(11).unwrap_or("?"),
            rrn = message.text(37).unwrap_or("?"),
            response_code = %decision.response_code,
            "a card request was decided"
        );
        Ok(match decision.delivery {
            Delivery::AtOnce => Outcome::Answer(answer),
            Delivery::Late => Outcome::AnswerAfter(self.late_answer, answer),
            Delivery::Never => Outcome::Nothing,
        })
    }

    fn reverse(&self, message: &BankMessage) -> Result<Outcome, FormatError> {
        let original = ExchangeKey::of_original(message)?;
        let code = self.books().reverse(&original);
        tracing::debug!(
            host.id = %self.name,
            stan = message.text(11).unwrap_or("?"),
            rrn = message.text(37).unwrap_or("?"),
            response_code = %code,
            "a reversal was decided"
        );
        Ok(Outcome::answer_with(message, code))
    }
}

/// The kinds of financial messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinancialKind {
    /// 0100, 0200, 0220 and their repeats.
    Card(MessageKind),
    /// 0400, 0420 and their repeats.
    Reversal,
}

/// The kind of an MTI; `None` for one that these hosts do not support.
pub(crate) fn kind_of(mti: Mti) -> Option<FinancialKind> {
    Some(match (mti.class(), mti.function()) {
        (Class::Authorization, Function::Request) => {
            FinancialKind::Card(MessageKind::Authorization)
        }
        (Class::Financial, Function::Request) => FinancialKind::Card(MessageKind::Financial),
        (Class::Financial, Function::Advice) => FinancialKind::Card(MessageKind::FinancialAdvice),
        (Class::Reversal, Function::Request | Function::Advice) => FinancialKind::Reversal,
        _ => return None,
    })
}
