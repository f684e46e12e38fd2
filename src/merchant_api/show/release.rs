//! What is left of a hold and is given back, as the API shows it.

use super::money::money;
use crate::merchant_api::pb;
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;

/// The releases of one payment together: their amount, and where the one stands that has come least far. None where
/// nothing is released, or an operator has found that nothing was.
pub(super) fn release<'a>(operations: impl Iterator<Item = &'a Operation>) -> Option<pb::Release> {
    use pb::ReleaseState as R;
    let known = operations.filter_map(|operation| Some((operation, state(&operation.state)?)));
    let (released, states): (Vec<&Operation>, Vec<R>) = known.unzip();
    let amount_minor = released
        .iter()
        .map(|operation| operation.amount.amount_minor())
        .sum();
    let state = [R::Suspended, R::Owed, R::Sending, R::Released]
        .into_iter()
        .find(|state| states.contains(state))?;
    Some(pb::Release {
        amount: released
            .first()
            .map(|operation| money(amount_minor, operation.amount.currency())),
        state: state.into(),
    })
}

fn state(of_operation: &OperationState) -> Option<pb::ReleaseState> {
    use OperationState as S;
    use pb::ReleaseState as R;
    match of_operation {
        S::Queued => Some(R::Owed),
        S::Sent => Some(R::Sending),
        S::Suspended { .. } => Some(R::Suspended),
        S::Approved { .. }
        | S::Recorded
        | S::Resolved {
            took_effect: true, ..
        } => Some(R::Released),
        _ => None,
    }
}
