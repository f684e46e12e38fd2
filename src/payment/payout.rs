//! Where a payout stands, and what may become of it.

/// Where a payout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayoutState {
    /// Recorded, not sent.
    Created,
    /// Sent to the bank.
    Sent,
    /// Credited to the merchant's account. It may still come back.
    Paid,
    /// Returned by the bank; the amount is available again. Final.
    Returned,
    /// Refused by the bank at once; the amount is available again. Final.
    Failed,
}

impl PayoutState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Created,
        Self::Sent,
        Self::Paid,
        Self::Returned,
        Self::Failed,
    ];

    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Sent => "SENT",
            Self::Paid => "PAID",
            Self::Returned => "RETURNED",
            Self::Failed => "FAILED",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What happens to a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayoutEvent {
    /// The order that it is in was handed to the bank.
    Sent,
    /// The bank has booked it.
    Credited,
    /// The bank has booked that it came back.
    Returned,
    /// The bank has refused the order that it is in.
    Refused,
}

impl PayoutEvent {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sent, Self::Credited, Self::Returned, Self::Refused];
}

/// What may not happen to a payout. It stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected no {event:?} of a payout that is {}", state.name())]
pub struct IllegalPayoutTransition {
    /// Where it stands.
    pub state: PayoutState,
    /// What does not fit.
    pub event: PayoutEvent,
}

/// Where a payout stands after an event.
///
/// # Errors
/// When the event can't happen there. A state that is final stays.
pub const fn apply(
    state: PayoutState,
    event: PayoutEvent,
) -> Result<PayoutState, IllegalPayoutTransition> {
    use PayoutEvent as E;
    use PayoutState as S;
    Ok(match (state, event) {
        (S::Created, E::Sent) => S::Sent,
        (S::Sent, E::Refused) => S::Failed,
        (S::Sent, E::Credited) => S::Paid,
        // A bank books what it pays at once, and that it came back days later.
        (S::Sent | S::Paid, E::Returned) => S::Returned,
        (S::Created, _)
        | (S::Sent, E::Sent)
        | (S::Paid, E::Sent | E::Credited | E::Refused)
        | (S::Returned | S::Failed, _) => {
            return Err(IllegalPayoutTransition { state, event });
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_state_and_event_is_decided() {
        use PayoutEvent as E;
        use PayoutState as S;
        let allowed = BTreeMap::from([
            (("CREATED", "Sent"), S::Sent),
            (("SENT", "Credited"), S::Paid),
            (("SENT", "Returned"), S::Returned),
            (("SENT", "Refused"), S::Failed),
            (("PAID", "Returned"), S::Returned),
        ]);
        for state in S::ALL {
            assert_eq!(S::from_name(state.name()), Some(state));
            for event in E::ALL {
                let name = format!("{event:?}");
                let expected = allowed.get(&(state.name(), name.as_str())).copied();
                let expected = expected.ok_or(IllegalPayoutTransition { state, event });
                assert_eq!(apply(state, event), expected);
            }
        }
        let refused = apply(S::Paid, E::Refused).unwrap_err().to_string();
        assert_eq!(refused, "expected no Refused of a payout that is PAID");
    }
}
