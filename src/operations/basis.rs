//! What an operation begins on: nothing, or a recorded payment, with what was read beside it.

use crate::hosts::message::definition::Travel;
use crate::payment::capture::Capture;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Mti;

/// What an operation begins on.
pub trait Basis: Sized + Send {
    /// It, from what was found; none where that is not enough.
    fn of(found: Option<Found>) -> Option<Self>;
}

/// An operation that makes its payment.
impl Basis for () {
    fn of(_found: Option<Found>) -> Option<Self> {
        Some(())
    }
}

impl Basis for Found {
    fn of(found: Option<Found>) -> Option<Self> {
        found
    }
}

/// A recorded payment, and how its host takes operations of the flow's kind.
#[derive(Debug)]
pub struct Found {
    /// The payment as it was read.
    pub payment: Box<Payment>,
    /// How later operations travel to the payment's host.
    pub ways: Ways,
    /// The payment's captures, oldest first, each with its operation; empty for a flow that does not look at them.
    pub captures: Vec<(Capture, Operation)>,
    /// The payment's operations, oldest first, where the host takes only one of some kind, or the hold was incremented.
    pub earlier: Vec<Operation>,
    /// Whether its sale is settled with a day that is closed; false for a flow that does not look at that.
    pub in_clearing: bool,
}

#[cfg(test)]
impl Found {
    pub(crate) fn with_ways(payment: Payment, ways: Ways) -> Self {
        Self {
            payment: Box::new(payment),
            ways,
            captures: Vec::new(),
            earlier: Vec::new(),
            in_clearing: false,
        }
    }
}

/// How operations travel to a host, by their kind; those are not there that the host does not take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways(pub Vec<(OperationKind, Way)>);

impl Ways {
    /// How operations of this kind travel, where the host takes them.
    #[must_use]
    pub fn of(&self, kind: OperationKind) -> Option<Way> {
        let known = self.0.iter().find(|(known, _)| *known == kind);
        known.map(|(_, way)| *way)
    }

    /// Whether the host takes only one operation of some kind.
    #[must_use]
    pub fn take_one(&self) -> bool {
        self.0.iter().any(|(_, way)| way.only_one)
    }
}

/// How operations of one kind travel to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// How.
    pub travel: Travel,
    /// The message type; none where no message travels.
    pub mti: Option<Mti>,
    /// Whether the message has all numbers of its original, so that the host would take a second one for a repeat.
    pub only_one: bool,
}

#[cfg(test)]
impl Way {
    pub(crate) const fn of(travel: Travel) -> Self {
        Self {
            travel,
            mti: None,
            only_one: false,
        }
    }
}
