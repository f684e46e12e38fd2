//! What came of the calls: how long they took, and how they ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tonic::{Response, Status};

use crate::grpc::client;
use crate::merchant_api::client::encoded::{Answer, RefundAnswer};
use crate::merchant_api::pb;
use crate::merchant_api::transport::trailers::{BANK_US, OWN_US};

/// The longest time that is told apart, in microseconds; what took longer counts as this.
const LONGEST_US: u64 = 60_000_000;
/// Digits of a time that are kept: an error of at most 0.1 percent.
const DIGITS: u8 = 3;
/// Different reasons that are counted apart; more of them come together under one name.
const MAX_REASONS: usize = 200;
/// The name for those.
const OTHER_REASONS: &str = "(others)";

/// Counts calls while they run; shared by all of them.
pub(super) struct Tally {
    started: AtomicU64,
    sheet: Mutex<Sheet>,
}

/// What was counted.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    /// Calls that were made.
    pub(super) started: u64,
    /// Calls that ended in a state that is an answer ([`Counts`]).
    pub(super) answered: u64,
    /// Calls that ended otherwise.
    pub(super) errors: u64,
    /// Calls that were due and never made.
    pub(super) not_made: u64,
    /// From the (intended) start until the answer, in microseconds; for calls that were never made,
    /// until the end of the run.
    pub(super) total_us: Histogram<u64>,
    /// What the bank took of it, as the gateway says.
    pub(super) bank_us: Histogram<u64>,
    /// What the gateway took of it, as it says.
    pub(super) own_us: Histogram<u64>,
    /// Payments, or refunds, by state.
    pub(super) states: BTreeMap<&'static str, u64>,
    /// Why they are in that state, where there is a reason.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Errors by code and reason.
    pub(super) error_reasons: BTreeMap<String, u64>,
}

impl Tally {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// Never: the bounds are constants.
    pub(super) fn new() -> Result<Self, hdrhistogram::CreationError> {
        let empty = Histogram::new_with_max(LONGEST_US, DIGITS)?;
        Ok(Self {
            started: AtomicU64::new(0),
            sheet: Mutex::new(Sheet {
                started: 0,
                answered: 0,
                errors: 0,
                not_made: 0,
                total_us: empty.clone(),
                bank_us: empty.clone(),
                own_us: empty,
                states: BTreeMap::new(),
                reasons: BTreeMap::new(),
                error_reasons: BTreeMap::new(),
            }),
        })
    }

    /// A call is about to be made.
    pub(super) fn start(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    /// It came back after `took`. Whether it was answered.
    pub(super) fn end<A: Counts>(
        &self,
        took: Duration,
        answer: &Result<Response<A>, Status>,
    ) -> bool {
        let mut sheet = self.sheet();
        sheet.total_us.saturating_record(micros(took));
        match answer {
            Ok(response) => sheet.response(response),
            Err(status) => {
                sheet.error(error_reason(status));
                false
            }
        }
    }

    /// A call was due for `waited` and will not be made.
    pub(super) fn skip(&self, waited: Duration) {
        let mut sheet = self.sheet();
        sheet.not_made += 1;
        sheet.total_us.saturating_record(micros(waited));
    }

    /// Calls that came back, and those of them that were not answered.
    pub(super) fn so_far(&self) -> (u64, u64) {
        let sheet = self.sheet();
        (sheet.answered + sheet.errors, sheet.errors)
    }

    /// What was counted. Calls that have not come back are errors by now.
    pub(super) fn close(&self) -> Sheet {
        let mut sheet = self.sheet().clone();
        sheet.started = self.started.load(Ordering::Relaxed);
        let silent = sheet.started.saturating_sub(sheet.answered + sheet.errors);
        if silent > 0 {
            sheet.errors += silent;
            sheet
                .error_reasons
                .insert("no answer when the run ended".to_owned(), silent);
        }
        sheet
    }

    fn sheet(&self) -> MutexGuard<'_, Sheet> {
        // Counts stay right even when a thread panicked between two of them.
        self.sheet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sheet {
    fn response<A: Counts>(&mut self, response: &Response<A>) -> bool {
        for (name, times) in [(BANK_US, &mut self.bank_us), (OWN_US, &mut self.own_us)] {
            let text = response.metadata().get(name.as_str());
            if let Some(us) = text.and_then(|text| text.to_str().ok()?.parse().ok()) {
                times.saturating_record(us);
            }
        }
        let Some(end) = response.get_ref().end() else {
            self.error("OK without what was asked for".to_owned());
            return false;
        };
        *self.states.entry(end.state).or_default() += 1;
        if let Some(reason) = end.reason {
            count(&mut self.reasons, format!("{} {reason}", end.state));
        }
        if end.is_answer {
            self.answered += 1;
        } else {
            self.errors += 1;
        }
        end.is_answer
    }

    fn error(&mut self, reason: String) {
        self.errors += 1;
        count(&mut self.error_reasons, reason);
    }

    /// The error that came most often.
    pub(super) fn commonest_error(&self) -> Option<&str> {
        let errors = self.error_reasons.iter().chain(&self.reasons);
        errors
            .max_by_key(|(_, calls)| **calls)
            .map(|(reason, _)| reason.as_str())
    }
}

fn count(counts: &mut BTreeMap<String, u64>, reason: String) {
    let known = counts.len() < MAX_REASONS || counts.contains_key(&reason);
    let reason = if known {
        reason
    } else {
        OTHER_REASONS.to_owned()
    };
    *counts.entry(reason).or_default() += 1;
}

fn short<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// How a call ended that was answered with OK.
pub(super) struct End {
    /// The state of what was asked for.
    state: &'static str,
    /// Why, where there is a reason.
    reason: Option<String>,
    /// Whether that is an answer: FAILED is none.
    is_answer: bool,
}

/// An answer that can be counted.
pub(super) trait Counts {
    /// How its call ended; `None` when it holds nothing.
    fn end(&self) -> Option<End>;
}

impl Counts for Answer {
    fn end(&self) -> Option<End> {
        use pb::PaymentState as State;
        let payment = self.payment.as_ref()?;
        let state = payment.state();
        Some(End {
            state: short(state.as_str_name(), "PAYMENT_STATE_"),
            reason: reason(&payment.decline, &payment.failure, &payment.pending),
            is_answer: matches!(
                state,
                State::Authorized
                    | State::Declined
                    | State::Authorizing
                    | State::Captured
                    | State::Voiding
                    | State::Voided
            ),
        })
    }
}

impl Counts for RefundAnswer {
    fn end(&self) -> Option<End> {
        use pb::RefundState as State;
        let refund = self.refund.as_ref()?;
        let state = refund.state();
        Some(End {
            state: short(state.as_str_name(), "REFUND_STATE_"),
            reason: reason(&refund.decline, &refund.failure, &refund.pending),
            is_answer: matches!(state, State::Refunded | State::Declined | State::Sending),
        })
    }
}

fn reason(
    decline: &Option<pb::Decline>,
    failure: &Option<pb::Failure>,
    pending: &Option<pb::Pending>,
) -> Option<String> {
    if let Some(decline) = decline {
        let reason = short(decline.reason().as_str_name(), "DECLINE_REASON_");
        return Some(format!("{reason} (DE 39 {})", decline.response_code));
    }
    let failure = failure
        .as_ref()
        .map(|failure| short(failure.reason().as_str_name(), "FAILURE_REASON_"));
    let pending = pending
        .as_ref()
        .map(|pending| short(pending.reason().as_str_name(), "PENDING_REASON_"));
    failure.or(pending).map(str::to_owned)
}

/// `CODE REASON`: the gateway's own reason, or what the client says of the connection.
fn error_reason(status: &Status) -> String {
    let reason =
        client::error_reason(status).unwrap_or_else(|| status.message().chars().take(80).collect());
    format!("{:?} {reason}", status.code())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merchant_api::client::encoded::Ended;

    fn answer(payment: Ended) -> Result<Response<Answer>, Status> {
        let mut response = Response::new(Answer {
            payment: Some(payment),
        });
        for (name, us) in [(BANK_US, "700"), (OWN_US, "300")] {
            let name: tonic::metadata::AsciiMetadataKey = name.as_str().parse().unwrap();
            response.metadata_mut().insert(name, us.parse().unwrap());
        }
        Ok(response)
    }

    fn in_state(state: pb::PaymentState) -> Ended {
        Ended {
            state: state.into(),
            ..Ended::default()
        }
    }

    #[test]
    fn every_call_is_counted_once() {
        let tally = Tally::new().unwrap();
        let declined = Ended {
            decline: Some(pb::Decline {
                reason: pb::DeclineReason::LostCard.into(),
                response_code: "41".into(),
                ..pb::Decline::default()
            }),
            ..in_state(pb::PaymentState::Declined)
        };
        let answers = [
            (answer(in_state(pb::PaymentState::Authorized)), true),
            (answer(declined), true),
            (answer(in_state(pb::PaymentState::Authorizing)), true),
            (answer(in_state(pb::PaymentState::Failed)), false),
            (Err(Status::unavailable("gone")), false),
        ];
        for (answer, answered) in &answers {
            tally.start();
            assert_eq!(tally.end(Duration::from_millis(1), answer), *answered);
        }
        tally.start();
        tally.skip(Duration::from_millis(50));
        let sheet = tally.close();
        assert_eq!((sheet.started, sheet.answered, sheet.errors), (6, 3, 3));
        assert_eq!(sheet.not_made, 1);
        assert_eq!(sheet.total_us.len(), 6);
        assert_eq!(sheet.bank_us.len(), 4);
        assert_eq!(sheet.bank_us.max(), 700);
        assert_eq!(sheet.states["DECLINED"], 1);
        assert_eq!(sheet.reasons["DECLINED LOST_CARD (DE 39 41)"], 1);
        assert_eq!(sheet.error_reasons["Unavailable gone"], 1);
        assert_eq!(sheet.error_reasons["no answer when the run ended"], 1);
    }

    #[test]
    fn the_reasons_are_bounded() {
        let mut counts = BTreeMap::new();
        for number in 0..1000 {
            count(&mut counts, number.to_string());
        }
        assert_eq!(counts.len(), MAX_REASONS + 1);
        assert_eq!(counts.values().sum::<u64>(), 1000);
    }
}
