//! A capture: all or part of an authorized amount is taken.

use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::Travel;
use crate::operations::acknowledgement::counts_unless_refused;
use crate::operations::basis::Found;
use crate::operations::flow::{Decision, Flow, OwedDecision, OwedFlow, OwedSubject, Subject};
use crate::operations::later::{
    LaterRefusal, Why, amount_of, decided, no_repeat, numbers_of_authorization, way_of,
    way_of_release,
};
use crate::operations::plan::{NewResource, Owes, Plan};
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::capture::MOST_CAPTURES;
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;
use crate::payment::record::Payment;
use crate::payment::state::PaymentState;

/// A request to capture, checked field by field.
#[derive(Debug)]
pub struct CapturePayment {
    /// The payment.
    pub payment_id: PaymentId,
    /// How much; more than zero. All that is left where it is none.
    pub amount: Option<Money>,
    /// Whether it is the last one.
    pub is_final: bool,
    /// The merchant's own reference of it.
    pub merchant_reference: Option<String>,
}

const KIND: OperationKind = OperationKind::Capture;

/// The flow of captures.
pub struct Capture;

impl Flow for Capture {
    type Command = CapturePayment;
    type Basis = Found;
    type Refusal = LaterRefusal;

    const METHOD: &'static str = "CapturePayment";

    fn payment_id(&self, command: &CapturePayment) -> Option<PaymentId> {
        Some(command.payment_id)
    }

    /// Each capture is a version of its payment at least. They are counted well before the last one, since of captures
    /// at once each counts the same.
    fn reads_captures(&self, payment: &Payment) -> bool {
        usize::try_from(payment.version).is_ok_and(|version| version > MOST_CAPTURES / 2)
    }

    /// An amount that travels as a request is pending until it is approved; any other counts as soon as it is recorded.
    fn plan(
        &self,
        _merchant: &Merchant,
        command: &CapturePayment,
        found: Found,
        now: UnixMillis,
    ) -> Result<Plan, LaterRefusal> {
        let way = way_of(&found, KIND)?;
        let payment = &found.payment;
        let left_minor = capturable_minor(payment, now)?;
        no_repeat(&found, KIND, numbers_of_authorization(payment))?;
        if found.captures.len() >= MOST_CAPTURES {
            return Err(LaterRefusal::of(payment, Why::TooManyCaptures));
        }
        let too_much = Why::ExceedsCapturable { left_minor };
        let amount = amount_of(payment, command.amount, left_minor, too_much)?;
        let amount_minor = amount.amount_minor();
        // What an increment on its way adds would be left, and could be captured after the last capture.
        if command.is_final && payment.amounts.authorized_pending_minor > 0 {
            return Err(LaterRefusal::of(payment, Why::InProgress));
        }
        let rest_minor = match command.is_final {
            true => left_minor - amount_minor,
            false => 0,
        };
        if rest_minor > 0 {
            way_of_release(&found)?;
        }
        let (event, pending_minor) = match way.travel {
            Travel::Once => (PaymentEvent::CaptureStarted, amount_minor),
            Travel::Repeated | Travel::Recorded => (PaymentEvent::Captured, 0),
        };
        // Where the bank may say no, the rest is kept from other captures, and given back with its approval.
        let (releases_minor, owes) = match way.travel {
            Travel::Once => (rest_minor, Vec::new()),
            Travel::Repeated | Travel::Recorded => (0, Owes::release(payment, rest_minor)),
        };
        let reason = if amount_minor == payment.amounts.authorized_minor {
            Reason::SameAmount
        } else {
            Reason::OtherAmount
        };
        let adjustment = Adjustment {
            event,
            change: Amounts {
                captured_minor: amount_minor,
                captured_pending_minor: pending_minor,
                released_minor: rest_minor,
                ..Amounts::ZERO
            },
            at: now,
            custody: CustodyEnd::Unchanged,
        };
        Ok(Plan {
            reason: Some(reason),
            // An increment that came between would be left, and its message may be the one that is undone.
            unmoved: way.only_one || !found.captures.is_empty() || command.is_final,
            resource: Some(NewResource::Capture {
                is_final: command.is_final,
                merchant_reference: command.merchant_reference.clone(),
            }),
            owes,
            releases_minor,
            ..Plan::later(found.payment, (KIND, way), amount, adjustment)
        })
    }
}

/// What can be captured of a payment, in minor units.
fn capturable_minor(payment: &Payment, now: UnixMillis) -> Result<i64, LaterRefusal> {
    let expires_at = match payment.state {
        PaymentState::Authorized { expires_at, .. }
        | PaymentState::PartiallyCaptured { expires_at, .. } => expires_at,
        PaymentState::Expired => return Err(LaterRefusal::of(payment, Why::HoldExpired)),
        // Nothing is left of it.
        PaymentState::Captured {
            expires_at: Some(_),
            ..
        } => return Ok(0),
        _ => {
            let why = Why::State(OperationKind::Capture);
            return Err(LaterRefusal::of(payment, why));
        }
    };
    if expires_at <= now {
        return Err(LaterRefusal::of(payment, Why::HoldExpired));
    }
    Ok(payment.amounts.capturable_minor())
}

/// What the end of a capture that travels as a request means.
pub(crate) fn decide(exchange: &Exchange, subject: &Subject<'_>) -> Decision {
    decided(exchange, subject, PaymentEvent::CaptureStarted)
}

impl OwedFlow for Capture {
    /// It counts since it was recorded.
    fn begun(&self, _payment: &Payment) -> Option<PaymentEvent> {
        None
    }

    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
        counts_unless_refused(exchange, subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::message::definition::UnknownRule;
    use crate::operations::basis::{Way, Ways};
    use crate::payment::decline::{
        Decline, DeclineAdvice, DeclineReason, FailureReason, UnknownReason,
    };
    use crate::payment::operation::OperationState;
    use crate::payment::record::Operation;
    use crate::payment::samples::{self, NOW, approval, eur};
    use crate::payment::state;

    fn declined(reason: DeclineReason, code: &str) -> Exchange {
        Exchange::declined(Decline {
            reason,
            response_code: code.parse().unwrap(),
            advice: DeclineAdvice::DoNotRetry,
        })
    }

    /// A payment of 12.50 EUR, authorized, of which 5.00 are captured.
    fn payment() -> Payment {
        let mut payment = samples::payment_of(&samples::operation());
        payment.amounts.authorized_minor = 1250;
        payment.amounts.captured_minor = 500;
        payment.state = PaymentState::PartiallyCaptured {
            approval: approval(),
            expires_at: NOW.plus_ms(1),
        };
        payment
    }

    /// A host that takes captures and releases so.
    fn ways(captures: Option<Travel>, releases: Option<Travel>) -> Ways {
        let way = |(kind, travel): (OperationKind, Option<Travel>)| Some((kind, Way::of(travel?)));
        let both = [
            (OperationKind::Capture, captures),
            (OperationKind::Release, releases),
        ];
        Ways(both.into_iter().filter_map(way).collect())
    }

    #[test]
    fn what_is_captured_is_taken_as_it_travels() {
        let usd = Money::new(750, "USD".parse().unwrap()).unwrap();
        let table = [
            (Some(eur(750)), false, NOW, "750"),
            (Some(eur(1)), false, NOW, "1"),
            (None, true, NOW, "750"),
            (Some(eur(751)), false, NOW, "no more than 750 minor units"),
            (Some(usd), false, NOW, "the amount is in USD"),
            (Some(eur(749)), true, NOW, "host acquirer takes no release"),
            (None, false, NOW.plus_ms(1), "the hold has ended"),
        ];
        for travel in [Travel::Once, Travel::Repeated, Travel::Recorded] {
            for (amount, is_final, now, expected) in table {
                let command = CapturePayment {
                    payment_id: payment().id,
                    amount,
                    is_final,
                    merchant_reference: None,
                };
                let found = Found::with_ways(payment(), ways(Some(travel), None));
                let plan = match Capture.plan(&samples::merchant(), &command, found, now) {
                    Ok(plan) => plan,
                    Err(refusal) => {
                        assert!(refusal.to_string().contains(expected), "{refusal}");
                        continue;
                    }
                };
                let minor = plan.amount.amount_minor();
                assert_eq!(minor.to_string(), expected);
                let pending = if travel == Travel::Once { minor } else { 0 };
                let after = plan.after_it();
                assert_eq!(after.amounts.captured_minor, 500 + minor);
                assert_eq!(after.amounts.captured_pending_minor, pending);
            }
        }
        for (travel, releases, owed) in [
            (Travel::Once, 250, vec![]),
            (Travel::Repeated, 0, vec![250]),
            (Travel::Recorded, 0, vec![250]),
        ] {
            let command = CapturePayment {
                payment_id: payment().id,
                amount: Some(eur(500)),
                is_final: true,
                merchant_reference: None,
            };
            let found = Found::with_ways(payment(), ways(Some(travel), Some(Travel::Recorded)));
            let plan = Capture.plan(&samples::merchant(), &command, found, NOW);
            let plan = plan.unwrap();
            assert_eq!(plan.releases_minor, releases);
            let owes = plan.owes.iter().map(|owes| owes.amount.amount_minor());
            assert_eq!(Vec::from_iter(owes), owed);
            assert_eq!(plan.after_it().amounts.capturable_minor(), 0);
        }
        // How much of the hold another last capture will have released is not known yet.
        let mut releasing = payment();
        releasing.amounts.captured_pending_minor = 100;
        releasing.amounts.released_minor = 50;
        let last = CapturePayment {
            payment_id: releasing.id,
            amount: Some(eur(500)),
            is_final: true,
            merchant_reference: None,
        };
        let found = Found::with_ways(releasing, ways(Some(Travel::Once), Some(Travel::Repeated)));
        let refused = Capture.plan(&samples::merchant(), &last, found, NOW);
        assert_eq!(refused.unwrap_err().why, Why::InProgress);
        // What an increment on its way adds would be left.
        let mut incrementing = payment();
        let left = incrementing.amounts.capturable_minor();
        incrementing.amounts.authorized_minor += 100;
        incrementing.amounts.authorized_pending_minor = 100;
        for (amount, is_final, refused) in [
            (None, true, true),
            (Some(left), true, true),
            (Some(left - 1), true, true),
            (None, false, false),
        ] {
            let command = CapturePayment {
                payment_id: incrementing.id,
                amount: amount.map(eur),
                is_final,
                merchant_reference: None,
            };
            let ways = ways(Some(Travel::Once), Some(Travel::Repeated));
            let found = Found::with_ways(incrementing.clone(), ways);
            let plan = Capture.plan(&samples::merchant(), &command, found, NOW);
            let why = plan.err().map(|refusal| refusal.why);
            assert_eq!(why, refused.then_some(Why::InProgress), "{command:?}");
        }
        let mut declined = payment();
        declined.state = PaymentState::Voided;
        for (payment, way, expected) in [
            (payment(), None, "host acquirer takes no capture"),
            (
                declined,
                Some(Travel::Once),
                "the payment's state allows no capture; the payment is VOIDED",
            ),
        ] {
            let command = CapturePayment {
                payment_id: payment.id,
                amount: None,
                is_final: false,
                merchant_reference: None,
            };
            let found = Found::with_ways(payment, ways(way, None));
            let refused = Capture.plan(&samples::merchant(), &command, found, NOW);
            let refused = refused.unwrap_err().to_string();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }

    /// A host that would take a second one for a repeat is sent one, whatever came of that; and a payment has so many.
    #[test]
    fn there_is_an_end_to_captures() {
        let payment = payment();
        let (stan, rrn) = numbers_of_authorization(&payment);
        let earlier = |state: OperationState| Operation {
            kind: OperationKind::Capture,
            state,
            stan,
            rrn,
            ..samples::operation()
        };
        let Exchange::Declined { decline, .. } = declined(DeclineReason::NotPermitted, "57") else {
            panic!("a decline");
        };
        let reason = FailureReason::HostBusy;
        let refused = earlier(OperationState::Declined { decline });
        let unsent = earlier(OperationState::Rejected { reason });
        let before = (samples::capture_of(&refused), refused.clone());
        for (only_one, earlier, captures, expected) in [
            (true, vec![], 0, "planned, unmoved true"),
            (true, vec![unsent], 0, "planned, unmoved true"),
            (true, vec![refused], 0, "OnlyOne"),
            (false, vec![], 0, "planned, unmoved false"),
            (false, vec![], MOST_CAPTURES - 1, "planned, unmoved true"),
            (false, vec![], MOST_CAPTURES, "TooManyCaptures"),
        ] {
            let way = Way {
                only_one,
                ..Way::of(Travel::Repeated)
            };
            let found = Found {
                payment: Box::new(payment.clone()),
                ways: Ways(vec![(KIND, way)]),
                captures: vec![before.clone(); captures],
                earlier,
                in_clearing: false,
            };
            let command = CapturePayment {
                payment_id: payment.id,
                amount: None,
                is_final: false,
                merchant_reference: None,
            };
            let shown = match Capture.plan(&samples::merchant(), &command, found, NOW) {
                Ok(plan) => format!("planned, unmoved {}", plan.unmoved),
                Err(refusal) => format!("{:?}", refusal.why),
            };
            assert!(shown.starts_with(expected), "{shown}");
        }
    }

    /// What a last capture leaves is released with its approval, and free again without one.
    #[test]
    fn a_last_capture_releases_with_its_approval_only() {
        let operation = Operation {
            kind: OperationKind::Capture,
            amount: eur(500),
            releases_minor: 250,
            ..samples::operation()
        };
        let mut payment = payment();
        payment.amounts.captured_minor = 1000;
        payment.amounts.captured_pending_minor = 500;
        payment.amounts.released_minor = 250;
        let approved = Exchange::approved(approval());
        let lost = Exchange::Unknown(UnknownReason::ConnectionLost);
        for (exchange, released, state) in [
            (approved, 250, "CAPTURED"),
            (
                declined(DeclineReason::NotPermitted, "57"),
                0,
                "PARTIALLY_CAPTURED",
            ),
            (lost, 250, "PARTIALLY_CAPTURED"),
        ] {
            let subject = Subject::of((&payment, &operation), UnknownRule::Wait, NOW);
            let decision = decide(&exchange, &subject);
            let amounts = payment.amounts.plus(&decision.change).unwrap();
            assert_eq!(amounts.released_minor, released);
            let after = state::apply(&payment.state, decision.payment.unwrap(), &amounts).unwrap();
            assert_eq!(after.name(), state);
            let owed = match state {
                "CAPTURED" => Owes::release(&payment, 250),
                _ => Vec::new(),
            };
            assert_eq!(decision.owes, owed);
        }
    }
}
