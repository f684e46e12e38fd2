//! The plays: what a merchant asks for, how the bank takes it, and how often each misfortune may strike.

use super::super::banks::Style;
use crate::hosts::message::definition::{Travel, UnknownRule};
use crate::operations::basis::{Way, Ways};
use crate::payment::operation_kind::OperationKind;

/// What a merchant asks for, once it has paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// So much, or all that is left.
    Capture(Option<i64>),
    LastCapture(Option<i64>),
    Refund(Option<i64>),
    Increment(i64),
    Void,
    Reverse,
    /// By the name of the request that has made the payment.
    Cancel,
}

/// How often each of these happens at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// A node dies.
    pub(super) deaths: u8,
    /// A living node is taken for dead.
    pub(super) mistaken: u8,
    /// The network delivers a message twice.
    pub(super) twice: u8,
    /// The merchant repeats a request.
    pub(super) repeats: u8,
    /// An operator does something.
    pub(super) operator: u8,
    /// So much time passes that no bank sees an original any more.
    pub(super) ages: u8,
    /// A bank sees originals after all that it should not see any more. Its answers are not lost then: what it did so
    /// late nobody could know.
    pub(super) slow: u8,
    /// An intent is committed, and the node that asked for that is not told.
    pub(super) unsure: u8,
    /// The hold ends by itself.
    pub(super) hold_ends: u8,
}

/// One world, from its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Play {
    pub(super) name: &'static str,
    pub(super) is_sale: bool,
    /// In minor units.
    pub(super) amount: i64,
    pub(super) asks: &'static [Ask],
    pub(super) capture: Style,
    pub(super) void: Style,
    pub(super) refund: Style,
    pub(super) increment: Style,
    /// Whether the bank says of some messages that it has taken them, and not what it did.
    pub(super) doubts: bool,
    pub(super) budget: Budget,
    /// The most acts in a row; none where it is walked to its end.
    pub(super) depth: Option<usize>,
}

impl Play {
    pub(super) fn style(&self, kind: OperationKind) -> Style {
        match kind {
            OperationKind::Authorization | OperationKind::Sale => Style::Reversed,
            OperationKind::Increment => self.increment,
            OperationKind::Capture => self.capture,
            OperationKind::Refund => self.refund,
            OperationKind::Void => self.void,
            _ => Style::Advice,
        }
    }

    pub(super) fn unknown(&self, kind: OperationKind) -> UnknownRule {
        self.style(kind).unknown()
    }

    pub(super) fn ways(&self) -> Ways {
        use OperationKind::{Capture, Increment, Refund, Release, Void};
        let way = |kind| {
            let travel = match self.style(kind) {
                Style::Reversed | Style::Waits => Travel::Once,
                Style::Advice => Travel::Repeated,
                Style::File => Travel::Recorded,
            };
            (kind, Way::of(travel))
        };
        Ways([Capture, Increment, Refund, Release, Void].map(way).into())
    }
}
