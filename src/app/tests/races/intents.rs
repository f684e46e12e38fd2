//! What a merchant asks for, from its plan to its intent.

use std::sync::{Arc, LazyLock};

use super::play::{Ask, Play};
use super::reached::Reached;
use super::records::Records;
use super::steps::{Broken, node, nth};
use super::world::{Task, World, request_id};
use crate::flows::cancellation::{CancelPayment, Cancellation};
use crate::flows::capture::{Capture, CapturePayment};
use crate::flows::increment::{Increment, IncrementAuthorization};
use crate::flows::refund::Refund;
use crate::flows::reverse::{Reverse, ReversePayment};
use crate::flows::void::{Void, VoidPayment};
use crate::hosts::message::definition::Travel;
use crate::operations::basis::Found;
use crate::operations::cancel::{Cancelling, mark};
use crate::operations::flow::Flow;
use crate::operations::giving_back::CreateRefund;
use crate::operations::intent::{Intent, planned_operation};
use crate::operations::later::LaterRefusal;
use crate::operations::plan::{Plan, PlannedPayment};
use crate::operations::resource::Resource;
use crate::payment::merchant::Merchant;
use crate::payment::money::Money;
use crate::payment::record::Payment;
use crate::payment::samples::{self, NOW};
use crate::store::change::{Change, PaymentChange, RequestClaim, Verdict};

static MERCHANT: LazyLock<Merchant> = LazyLock::new(samples::merchant);

impl World {
    pub(super) fn record_intent(
        &mut self,
        play: &Play,
        place: u8,
        is_sure: bool,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        let Task::Asked { request, basis } = self.tasks.remove(usize::from(place)) else {
            panic!("it is another task");
        };
        let Ok(plan) = plan(play, request, &basis) else {
            return self.tell_as_before(request);
        };
        let travel = plan.travel;
        let intent = match self.intent(request, plan) {
            Some(intent) => intent,
            None => {
                self.reads(request);
                return Ok(());
            }
        };
        match self.commit(&intent.change(), reached)? {
            Verdict::Committed { payment } => {
                let payment = Arc::from(payment.unwrap_or(intent.payment));
                let operation = Arc::from(intent.operation);
                // Where that is not sure it counts, and its merchant asks again.
                if travel != Travel::Once && !is_sure {
                    return Ok(());
                }
                if travel != Travel::Once {
                    return self.tell(request, &payment, &operation);
                }
                self.tasks.push(Task::Waiting {
                    request,
                    payment,
                    operation,
                    is_sent: false,
                    is_late: !is_sure,
                });
                Ok(())
            }
            Verdict::RequestTaken => self.tell_as_before(request),
            _ => {
                self.reads(request);
                Ok(())
            }
        }
    }

    /// The intent of a plan; none when the payment can't take its adjustment.
    fn intent(&self, request: u8, plan: Plan) -> Option<Intent> {
        let records = &self.records;
        let (payment_id, merchant_id) = (records.payment.id, records.payment.merchant_id);
        let (id, numbers) = self.next_numbers(0);
        let resource = plan.resource.as_ref().map(|new| {
            let of = (payment_id, id, merchant_id);
            Resource::new(
                new,
                of,
                plan.amount,
                (NOW, [nth(records.operations.len()); 10]),
            )
        });
        let original = plan.original_id.map(|id| &**records.operation(id));
        let operation = planned_operation(
            &plan,
            (payment_id, id, node()),
            numbers,
            (original, resource.as_ref()),
            NOW,
        );
        let PlannedPayment::Adjusted {
            payment,
            adjustment,
        } = plan.payment
        else {
            panic!("it makes a payment");
        };
        let payment = adjustment.apply(payment).ok()?;
        let owes = self.owed_by(&payment, &operation, &plan.owes, 1);
        Some(Intent {
            claim: claim(request),
            envelope: None,
            payment,
            new_card: None,
            adjustment: Some(adjustment),
            unmoved: plan.unmoved,
            operation: Box::new(operation),
            number: None,
            original: None,
            card: None,
            kept_card: None,
            resource,
            owes,
        })
    }

    pub(super) fn mark_cancelled(
        &mut self,
        request: u8,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        let adjustment = mark(NOW);
        let before = Box::new(Payment::clone(&self.records.payment));
        let after = match Cancelling::of(&before.state) {
            Cancelling::Marks => Some(adjustment.apply(before).map_err(|it| it.to_string())?),
            Cancelling::Nothing => None,
            // It is told that the payment is busy, or planned anew.
            Cancelling::Busy | Cancelling::TookEffect => return Ok(()),
        };
        let claim = claim(request);
        let first = Arc::clone(&self.records.operations[0]);
        let change = Change {
            claim: Some(&claim),
            payment: after.as_deref().map(|expected| PaymentChange::Adjusted {
                expected,
                adjustment: &adjustment,
            }),
            about: Some(&first),
            ..Change::default()
        };
        self.commit_now(&change, reached)
    }
}

fn claim(request: u8) -> RequestClaim {
    RequestClaim {
        merchant_id: MERCHANT.id,
        method: "Any",
        request_id: request_id(request),
        body_hash: [7; 32],
    }
}

/// What a request comes to, by what was recorded when it was read.
fn plan(play: &Play, request: u8, basis: &Records) -> Result<Plan, LaterRefusal> {
    let payment = Payment::clone(&basis.payment);
    let (payment_id, currency) = (payment.id, payment.amount.currency());
    let money = |minor| Money::new(minor, currency).unwrap();
    let ask = play.asks[usize::from(request) - 1];
    match ask {
        Ask::Capture(minor) | Ask::LastCapture(minor) => {
            let command = CapturePayment {
                payment_id,
                amount: minor.map(money),
                is_final: matches!(ask, Ask::LastCapture(_)),
                merchant_reference: None,
            };
            planned(&Capture, &command, play, basis)
        }
        Ask::Refund(minor) => {
            let command = CreateRefund {
                payment_id,
                amount: minor.map(money),
                capture_id: None,
                merchant_reference: None,
            };
            planned(&Refund, &command, play, basis)
        }
        Ask::Increment(minor) => {
            let amount = money(minor);
            let command = IncrementAuthorization { payment_id, amount };
            planned(&Increment, &command, play, basis)
        }
        Ask::Void => planned(&Void, &VoidPayment { payment_id }, play, basis),
        Ask::Reverse => planned(&Reverse, &ReversePayment { payment_id }, play, basis),
        Ask::Cancel => planned(&Cancellation, &CancelPayment { payment_id }, play, basis),
    }
}

fn planned<F: Flow<Basis = Found, Refusal = LaterRefusal>>(
    flow: &F,
    command: &F::Command,
    play: &Play,
    basis: &Records,
) -> Result<Plan, LaterRefusal> {
    let payment = Box::new(Payment::clone(&basis.payment));
    let captures = match flow.reads_captures(&payment) {
        true => basis.captures(),
        false => Vec::new(),
    };
    let ways = play.ways();
    let earlier = match flow.reads_operations(&payment, &ways) {
        true => basis.all(),
        false => Vec::new(),
    };
    let found = Found {
        payment,
        ways,
        captures,
        earlier,
        in_clearing: false,
    };
    flow.plan(&MERCHANT, command, found, NOW)
}
