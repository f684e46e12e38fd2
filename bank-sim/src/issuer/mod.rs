//! The issuer: holds accounts, decides, holds funds, and undoes.

mod books;
mod card;
mod element;
mod history;
#[cfg(test)]
mod money_tests;
mod nps;
mod opening;
mod pin;
mod presentment;
mod request;
#[cfg(test)]
mod rules_tests;
mod tallies;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use self::{
    books::Books,
    card::Delivery,
    request::{CardRequest, Reversal},
};
pub use self::{
    books::snapshot::{AccountSnapshot, BooksSnapshot, SeenExchange},
    history::{MAX_REMEMBERED_DECLINES, MAX_REMEMBERED_REVERSALS, Standing},
    pin::{PinKeyError, pin_block},
    request::MessageKind,
    tallies::Tally,
};
pub(crate) use self::{
    card::masked,
    element::{FormatError, cvv2, digits, number, pan},
    nps::refuse as refuse_as_nps,
    opening::books_of,
    pin::ZonePinKey,
    presentment::{Presented, Presentment},
    request::{ExchangeKey, PaymentKind, kept_minor},
};
use crate::{
    clock::Clock,
    config::HostRules,
    message::{BankMessage, ECHOED_DES},
    outcome::{Decided, Outcome},
    response_code::ResponseCode,
};

/// Decides for an issuer's connections; the books outlive a stop and a start of the host.
#[derive(Debug)]
pub(crate) struct Issuer {
    name: Arc<str>,
    books: Mutex<Books>,
    late_answer: Duration,
    rules: HostRules,
    clock: Arc<dyn Clock>,
    /// Whether it was said that the books are full.
    said_full: AtomicBool,
}

impl Issuer {
    pub(crate) fn new(
        name: Arc<str>,
        books: Books,
        late_answer: Duration,
        rules: HostRules,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            name,
            books: Mutex::new(books),
            late_answer,
            rules,
            clock,
            said_full: AtomicBool::new(false),
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

    /// Every account of every card.
    pub(crate) fn accounts(&self) -> Vec<AccountSnapshot> {
        self.books().account_snapshots()
    }

    /// What was done, by ISO 4217 code.
    pub(crate) fn tallies(&self) -> Vec<(String, Tally)> {
        self.books().tallies()
    }

    /// Posts what no message asks for, as far as the books know the payments.
    pub(crate) fn present(&self, presentments: &[Presentment]) -> Vec<Presented> {
        let now = self.clock.now_utc();
        self.books().present(presentments, now)
    }

    /// Decides about a financial message of a line that is signed on.
    pub(crate) fn decide(&self, message: &BankMessage) -> Decided {
        let decided = match MessageKind::at(message.mti(), self.rules) {
            Some(MessageKind::Reversal) => self.reverse(message),
            Some(kind) => self.decide_card(message, kind),
            None => {
                let code = ResponseCode::INVALID_TRANSACTION;
                Ok(Outcome::answer_with(message, code).into())
            }
        };
        decided.unwrap_or_else(|fault| {
            let stan = message.text(11).unwrap_or("?");
            tracing::warn!(host.id = %self.name, stan, %fault, "a message was refused with 30");
            Outcome::answer_with(message, ResponseCode::FORMAT_ERROR).into()
        })
    }

    fn decide_card(
        &self,
        message: &BankMessage,
        kind: MessageKind,
    ) -> Result<Decided, FormatError> {
        let request = CardRequest::read(message, kind, self.rules)?;
        let now = self.clock.now_utc();
        let decision = self.books().decide(&request, now);
        if decision.is_full && !self.said_full.swap(true, Ordering::Relaxed) {
            tracing::error!(
                host.id = %self.name,
                "the books are full (`max_exchanges`): every further request is answered with 96"
            );
        }
        let code = decision.response_code;
        log(&self.name, message, code, "a card request was decided");
        let mut outcome = Outcome::Nothing;
        if let Some(mut answer) = message.answer(ECHOED_DES, code) {
            if let Some(approval_code) = decision.approval_code {
                answer.set(38, approval_code);
            }
            if let Some(part_minor) = decision.part_minor {
                answer.set(4, format!("{part_minor:012}"));
            }
            if let Some(result) =
                cvv_result(&request, code).filter(|_| self.rules == HostRules::Standard)
            {
                answer.set(48, format!("87{:02}{result}", result.len()));
            }
            outcome = match decision.delivery {
                Delivery::AtOnce => Outcome::Answer(answer),
                Delivery::Late => Outcome::AnswerAfter(self.late_answer, answer),
                Delivery::Never => Outcome::Nothing,
            };
        }
        Ok(Decided {
            outcome,
            effect: decision.effect,
            is_repeat: decision.is_repeat,
        })
    }

    fn reverse(&self, message: &BankMessage) -> Result<Decided, FormatError> {
        if let Some(refused) = nps::refuse(message, self.rules) {
            return Ok(refused.into());
        }
        let reversal = Reversal::read(message, self.rules)?;
        let decision = self.books().reverse(&reversal);
        let code = decision.response_code;
        log(&self.name, message, code, "a reversal was decided");
        Ok(Decided {
            outcome: Outcome::answer_with(message, code),
            effect: decision.effect,
            is_repeat: decision.is_repeat,
        })
    }
}

/// What came of the CVV2 of a card that was to be verified: matched, not matched, not processed.
fn cvv_result(request: &CardRequest, code: ResponseCode) -> Option<&'static str> {
    let was_given = request.verifies() && request.cvv2.is_some();
    was_given.then_some(match code {
        ResponseCode::NO_REASON_TO_DECLINE => "M",
        ResponseCode::CVV_MISMATCH => "N",
        _ => "P",
    })
}

fn log(name: &str, message: &BankMessage, response_code: ResponseCode, what: &str) {
    tracing::debug!(
        host.id = name,
        stan = message.text(11).unwrap_or("?"),
        rrn = message.text(37).unwrap_or("?"),
        %response_code,
        "{what}"
    );
}
