//! Which events met which states, in the whole run; and why the others never meet.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::payment::event::PaymentEvent;
use crate::payment::state::PaymentState;

/// Why an event meets no other state than those of its row in [`TABLE`].
const REASONS: [(&str, &str); 6] = [
    (
        "unmade",
        "no flow of this version makes the event, and no payment is recorded in a state before AUTHORIZING",
    ),
    (
        "first",
        "it ends the authorization, whose version lets one end through, and the payment leaves AUTHORIZING only so",
    ),
    (
        "debt",
        "it is a step of the authorization's reversal, which is owed in these states alone",
    ),
    (
        "plan",
        "the flow refuses the request in the others, and no payment comes into them while one is recorded",
    ),
    (
        "end",
        "it ends a later operation, which keeps its payment from the others as long as it is pending or owed",
    ),
    (
        "clock",
        "only holds that last are looked for, and nothing else ends one between the look and its record",
    ),
];

/// An event; the states that take it; those that refuse it, where something else was recorded first; and why it meets
/// none but these.
const TABLE: &str = "
    ActionRequired | | | unmade
    AuthorizationStarted | | | unmade
    Approved | AUTHORIZING | | first
    Sold | AUTHORIZING REVERSING | | first
    Declined | AUTHORIZING | | first
    NotSent | AUTHORIZING | | first
    OutcomeUnknown | AUTHORIZING | | first
    CaptureStarted | AUTHORIZED | VOIDING | plan
    Captured | AUTHORIZED | PARTIALLY_CAPTURED VOIDED VOIDING | plan
    CaptureRefused | AUTHORIZED CAPTURED PARTIALLY_CAPTURED | | end
    RefundStarted | CAPTURED | | plan
    Refunded | CAPTURED PARTIALLY_CAPTURED | VOIDING | plan
    RefundRefused | CAPTURED | | end
    IncrementStarted | AUTHORIZED | CAPTURED VOIDING | plan
    IncrementUnknown | AUTHORIZED PARTIALLY_CAPTURED | | end
    Incremented | AUTHORIZED | | end
    IncrementRefused | AUTHORIZED PARTIALLY_CAPTURED | | end
    VoidStarted | AUTHORIZED | CAPTURED EXPIRED PARTIALLY_CAPTURED | plan
    SaleVoidStarted | CAPTURED | | plan
    SaleVoided | CAPTURED | | plan
    VoidUnknown | VOIDING | | end
    VoidConfirmed | AUTHORIZED VOIDING | PARTIALLY_CAPTURED | end
    VoidRefused | VOIDING | | end
    ReleaseStarted | | | end
    Released | | | end
    HoldExpired | AUTHORIZED PARTIALLY_CAPTURED | | clock
    DeclinedLate | AUTHORIZING | | debt
    FoundToStand | REVERSING | | debt
    ReversalStarted | AUTHORIZING | | debt
    ReversalConfirmed | REVERSED REVERSING | | debt
    ReversalOwedAgain | REVERSED | | debt";

/// What came of an event in a state, in any run.
#[derive(Debug, Clone, Default)]
pub(super) struct Reached {
    /// Whether the state has ever taken the event.
    pairs: BTreeMap<(&'static str, &'static str), bool>,
}

impl Reached {
    pub(super) fn event(&mut self, state: &PaymentState, event: &PaymentEvent, taken: bool) {
        let pair = self.pairs.entry((event.name(), state.name()));
        *pair.or_default() |= taken;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (pair, taken) in &other.pairs {
            *self.pairs.entry(*pair).or_default() |= taken;
        }
    }

    /// The rows of [`TABLE`] that this run has other ones for, as this run has them.
    pub(super) fn differing(&self) -> String {
        let mut differing = String::new();
        for row in TABLE.trim().lines() {
            let [event, taken, refused, why] =
                row.split('|').map(str::trim).collect::<Vec<_>>()[..]
            else {
                panic!("{row}");
            };
            assert!(REASONS.iter().any(|(name, _)| *name == why), "{row}");
            let is = |wanted: bool| {
                let of_event = self.pairs.iter().filter(|((name, _), _)| *name == event);
                let states = of_event.filter(|(_, taken)| **taken == wanted);
                states
                    .map(|((_, state), _)| *state)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let (is_taken, is_refused) = (is(true), is(false));
            if (taken, refused) != (is_taken.as_str(), is_refused.as_str()) {
                writeln!(differing, "{event} | {is_taken} | {is_refused} | {why}").unwrap();
            }
        }
        differing
    }
}
