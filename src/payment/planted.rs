//! Mistakes that a test plants in the product's own functions, one at a time, to see that the walk through every race
//! (`app/tests/races.rs`) finds them. In any other build none is planted, and asking costs nothing.

#[cfg(test)]
use std::cell::Cell;

/// A mistake of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// No reversal is owed for an authorization whose outcome is not known.
    NothingOwed,
    /// An authorization that gets no answer in time fails.
    TimeOutFails,
    /// An operation that a dead node left is taken for not sent.
    RecoveredAsNotSent,
    /// An approval that comes after its reversal has ended owes nothing.
    LateApprovalForgotten,
    /// A bank that does not know the original of a reversal is believed at once.
    UnknownOriginalBelieved,
    /// A late decline ends a debt whose message was sent.
    DebtEndedAfterSending,
    /// An operation that was declined late counts.
    LateDeclineCounts,
    /// A reversal that is sent leaves its payment as it was.
    ReversalNotBegun,
    /// A merchant's cancellation of a request on its way is forgotten.
    CancellationForgotten,
    /// The amounts of a payment have no limits.
    NoLimits,
    /// A payment ends while something of it is on its way.
    EndsUnderPending,
    /// What is refused is not pending any more, and taken still.
    RefusedStaysPending,
    /// An advice that the bank refuses counts still.
    RefusalForgotten,
    /// A capture that its bank has not acknowledged is refunded.
    RefundOvertakes,
    /// A void leaves the increments of the hold.
    IncrementsForgotten,
    /// A release undoes the authorization alone, also where increments have added to the hold.
    IncrementsNotReleased,
    /// What an operator says to stand is not authorized.
    OperatorForgetsAmount,
    /// The end of a reversal is told for the answer to the request that it undoes.
    AnswerChanges,
}

#[cfg(test)]
impl Mistake {
    /// All of them.
    pub(crate) const ALL: [Self; 18] = [
        Self::NothingOwed,
        Self::TimeOutFails,
        Self::RecoveredAsNotSent,
        Self::LateApprovalForgotten,
        Self::UnknownOriginalBelieved,
        Self::DebtEndedAfterSending,
        Self::LateDeclineCounts,
        Self::ReversalNotBegun,
        Self::CancellationForgotten,
        Self::NoLimits,
        Self::EndsUnderPending,
        Self::RefusedStaysPending,
        Self::RefusalForgotten,
        Self::RefundOvertakes,
        Self::IncrementsForgotten,
        Self::IncrementsNotReleased,
        Self::OperatorForgetsAmount,
        Self::AnswerChanges,
    ];
}

#[cfg(test)]
thread_local! {
    static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// Plants a mistake in this thread, or none.
#[cfg(test)]
pub(crate) fn plant(mistake: Option<Mistake>) {
    PLANTED.set(mistake);
}

/// Whether a mistake is planted: in tests alone.
#[cfg(test)]
pub(crate) fn planted(mistake: Mistake) -> bool {
    PLANTED.get() == Some(mistake)
}

/// Never.
#[cfg(not(test))]
pub(crate) const fn planted(_mistake: Mistake) -> bool {
    false
}
