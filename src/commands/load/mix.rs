//! What follows an authorization in a mix: it is voided, or captured; and some captures are refunded. Or all are
//! captured and refunded, each kind of call after the one before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use tonic::client::Grpc;

use super::tally::{Sheet, Tally};
use super::target::Connection;
use crate::merchant_api::client::encoded::{self, Answer, EncodedRequest, Ended, RefundAnswer};
use crate::merchant_api::pb;

/// One payment in so many is voided instead of captured.
const VOIDED_EVERY: u64 = 20;
/// One payment in so many is refunded.
const REFUNDED_EVERY: u64 = 10;
/// Which of them: none that is voided.
const REFUNDED_AT: u64 = 5;
/// One card in so many is never answered.
const UNANSWERED_EVERY: u64 = 1000;
/// Which of them, so that a short run has one as well.
const UNANSWERED_AT: u64 = 100;
/// A refund waits for the bank's acknowledgement of its capture: so long after the first call, twice as long after
/// each further one, up to the longest, until the time is over.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(250);
const REFUNDABLE_WITHIN: Duration = Duration::from_secs(10);
/// The same where the refunds follow all captures.
const ALL_REFUNDABLE_WITHIN: Duration = Duration::from_secs(600);

/// Whether the card of this number is one that is never answered.
pub(super) fn is_unanswered(number: u64) -> bool {
    number % UNANSWERED_EVERY == UNANSWERED_AT
}

/// What becomes of an authorized payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Voided,
    Captured,
    Refunded,
}

impl Course {
    fn of(number: u64) -> Self {
        if number.is_multiple_of(VOIDED_EVERY) {
            Self::Voided
        } else if number % REFUNDED_EVERY == REFUNDED_AT {
            Self::Refunded
        } else {
            Self::Captured
        }
    }
}

/// The calls that follow authorizations, counted by kind.
pub(super) struct Mix {
    authorized: AtomicU64,
    /// The payments that are captured after the run; none where each goes on at once.
    later: Option<Mutex<Vec<String>>>,
    captures: Tally,
    voids: Tally,
    refunds: Tally,
}

impl Mix {
    /// Nothing has followed yet.
    ///
    /// # Errors
    /// Never: the bounds are constants.
    pub(super) fn new(in_phases: bool) -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            authorized: AtomicU64::new(0),
            later: in_phases.then(Mutex::default),
            captures: Tally::new()?,
            voids: Tally::new()?,
            refunds: Tally::new()?,
        })
    }

    /// Makes the calls that follow this authorization, one after the other. Whether all were answered.
    pub(super) async fn go_on(&self, service: &mut Grpc<Connection>, payment: &Ended) -> bool {
        if payment.state() != pb::PaymentState::Authorized {
            return true;
        }
        let id = &payment.payment_id;
        if let Some(later) = &self.later {
            locked(later).push(id.clone());
            return true;
        }
        match Course::of(self.authorized.fetch_add(1, Ordering::Relaxed)) {
            Course::Voided => self.void(service, id).await,
            Course::Captured => self.capture(service, id).await,
            Course::Refunded => self.capture(service, id).await && self.refund(service, id).await,
        }
    }

    /// The payments that were authorized, where they go on after the run.
    pub(super) fn later(&self) -> Vec<String> {
        let later = self.later.as_ref();
        later.map_or_else(Vec::new, |later| locked(later).clone())
    }

    pub(super) async fn capture(&self, service: &mut Grpc<Connection>, payment_id: &str) -> bool {
        let request = EncodedRequest::new(&pb::CapturePaymentRequest {
            request_id: format!("capture-{payment_id}"),
            payment_id: payment_id.to_owned(),
            ..pb::CapturePaymentRequest::default()
        });
        self.captures.start();
        let from = Instant::now();
        let answer = encoded::call::<Answer>(service, encoded::CAPTURE_PAYMENT, request).await;
        self.captures.end(from.elapsed(), &answer)
    }

    async fn void(&self, service: &mut Grpc<Connection>, payment_id: &str) -> bool {
        let request = EncodedRequest::new(&pb::VoidPaymentRequest {
            request_id: format!("void-{payment_id}"),
            payment_id: payment_id.to_owned(),
        });
        self.voids.start();
        let from = Instant::now();
        let answer = encoded::call::<Answer>(service, encoded::VOID_PAYMENT, request).await;
        self.voids.end(from.elapsed(), &answer)
    }

    /// Its time is that of the call that was answered: what it waited for is the bank's acknowledgement of the capture.
    pub(super) async fn refund(&self, service: &mut Grpc<Connection>, payment_id: &str) -> bool {
        let request = EncodedRequest::new(&pb::CreateRefundRequest {
            request_id: format!("refund-{payment_id}"),
            payment_id: payment_id.to_owned(),
            ..pb::CreateRefundRequest::default()
        });
        self.refunds.start();
        let within = match self.later {
            Some(_) => ALL_REFUNDABLE_WITHIN,
            None => REFUNDABLE_WITHIN,
        };
        let give_up_at = Instant::now() + within;
        let mut wait = FIRST_WAIT;
        loop {
            let (from, request) = (Instant::now(), request.clone());
            let answer =
                encoded::call::<RefundAnswer>(service, encoded::CREATE_REFUND, request).await;
            let is_too_early = answer
                .as_ref()
                .is_err_and(|status| status.code() == Code::Aborted);
            if !is_too_early || Instant::now() >= give_up_at {
                return self.refunds.end(from.elapsed(), &answer);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// What was counted, by the kind of call.
    pub(super) fn close(&self) -> [(&'static str, Sheet); 3] {
        [
            ("capture", self.captures.close()),
            ("void", self.voids.close()),
            ("refund", self.refunds.close()),
        ]
    }
}

fn locked(ids: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    // A panic elsewhere leaves a list that is still a list.
    ids.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_twenty_is_voided_and_one_in_ten_refunded() {
        let courses: Vec<Course> = (0..1000).map(Course::of).collect();
        let count = |course| courses.iter().filter(|it| **it == course).count();
        assert_eq!(count(Course::Voided), 50);
        assert_eq!(count(Course::Refunded), 100);
        assert_eq!(count(Course::Captured), 850);
        assert_eq!((0..3000).filter(|number| is_unanswered(*number)).count(), 3);
    }
}
