//! A hold, message by message: the authorization and each increment are undone and released by messages of their own.

use crate::payment::ids::OperationId;
use crate::payment::money::Money;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::planted::{Mistake, planted};
use crate::payment::reason::Reason;
use crate::payment::record::{Operation, Payment};

use super::plan::Owes;

/// Whether it is an increment that the bank has approved.
fn is_standing_increment(operation: &Operation) -> bool {
    operation.kind == OperationKind::Increment && operation.state.counts()
}

/// The increments of which the bank holds something, oldest first. `all` are the payment's operations, oldest first.
pub(crate) fn held_increments(all: &[Operation]) -> impl Iterator<Item = &Operation> {
    use OperationState::Resolved;
    // One that an operator found out not to be done gives nothing back.
    let is_done = |release: &Operation| !matches!(release.state, Resolved { took_effect, .. } if !took_effect);
    let is_held = move |increment: &&Operation| {
        is_standing_increment(increment)
            && released_minor(increment.id, all, is_done)
                < increment.approved_amount().amount_minor()
    };
    all.iter().filter(is_held)
}

/// What is owed, each release split into one for each message of the hold that it undoes. The payment's released amount
/// has it already. `all` as in [`releases`].
pub(crate) fn by_message(payment: &Payment, all: &[Operation], owes: &[Owes]) -> Vec<Owes> {
    let split = |owes: &Owes| {
        if owes.kind != OperationKind::Release || owes.original_id.is_some() {
            return vec![owes.clone()];
        }
        let minor = owes.amount.amount_minor();
        let before_minor = payment.amounts.released_minor - minor;
        releases(payment, all, (before_minor, minor))
    };
    owes.iter().flat_map(split).collect()
}

/// What releases so much of a payment's hold, of which `before_minor` were released before: first what the latest
/// increment has added, and last what the authorization has. So all but the last of them undo their message whole.
/// `all` are the payment's operations, oldest first; they may be left out where its hold was not incremented.
pub(super) fn releases(
    payment: &Payment,
    all: &[Operation],
    (mut before_minor, mut left_minor): (i64, i64),
) -> Vec<Owes> {
    let mut parts = Vec::new();
    let standing = all.iter().rev().filter(|it| is_standing_increment(it));
    for increment in standing.filter(|_| !planted(Mistake::IncrementsNotReleased)) {
        let of_it_minor = released_minor(increment.id, all, |_| true);
        let added_minor = increment.approved_amount().amount_minor();
        let part_minor = left_minor.min(added_minor - of_it_minor);
        parts.push((increment.id, part_minor, of_it_minor + part_minor));
        before_minor -= of_it_minor;
        left_minor -= part_minor;
    }
    let first = payment.authorization.operation_id;
    parts.push((first, left_minor, before_minor + left_minor));
    let owes = |(original_id, minor, releases_minor)| {
        let amount = Money::new(minor, payment.amount.currency());
        Some(Owes {
            kind: OperationKind::Release,
            original_id: Some(original_id),
            reason: Reason::Release,
            amount: amount.ok().filter(|_| minor > 0)?,
            releases_minor,
        })
    };
    parts.into_iter().filter_map(owes).collect()
}

/// What is released of a message of the hold, in minor units, by those releases that `counts`.
fn released_minor(
    message: OperationId,
    all: &[Operation],
    counts: impl Fn(&Operation) -> bool,
) -> i64 {
    let of_it = all.iter().filter(|it| {
        it.kind == OperationKind::Release && it.original_id == Some(message) && counts(it)
    });
    of_it.map(|it| it.amount.amount_minor()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payment::amounts::Amounts;
    use crate::payment::operation::ResolvedBy;
    use crate::payment::samples::{self, NOW, eur};

    fn operation(number: usize, kind: OperationKind, minor: i64) -> Operation {
        Operation {
            id: OperationId::from_parts(NOW, [u8::try_from(number).unwrap(); 10]),
            kind,
            amount: eur(minor),
            state: OperationState::Recorded,
            ..samples::operation()
        }
    }

    /// A hold of these messages, the authorization first.
    fn hold(messages: &[i64]) -> (Payment, Vec<Operation>) {
        let mut all = Vec::new();
        for (number, minor) in messages.iter().enumerate() {
            let kind = match number {
                0 => OperationKind::Authorization,
                _ => OperationKind::Increment,
            };
            all.push(operation(number, kind, *minor));
        }
        let mut payment = samples::payment_of(&all[0]);
        payment.amounts = Amounts {
            authorized_minor: messages.iter().sum(),
            ..Amounts::ZERO
        };
        (payment, all)
    }

    /// Records the release of so much: which message, how much of it, and how much of it in all.
    fn release(
        payment: &mut Payment,
        all: &mut Vec<Operation>,
        minor: i64,
    ) -> Vec<(usize, i64, i64)> {
        let before_minor = payment.amounts.released_minor;
        payment.amounts.released_minor += minor;
        let mut shown = Vec::new();
        for part in releases(payment, all, (before_minor, minor)) {
            let original_id = part.original_id.unwrap();
            let number = all.iter().position(|it| it.id == original_id).unwrap();
            let part_minor = part.amount.amount_minor();
            shown.push((number, part_minor, part.releases_minor));
            all.push(Operation {
                original_id: Some(original_id),
                ..operation(all.len(), OperationKind::Release, part_minor)
            });
        }
        shown
    }

    #[test]
    fn the_latest_increment_is_released_first() {
        for (messages, released, expected) in [
            (&[100][..], &[30][..], &[(0, 30, 30)][..]),
            (&[100], &[30, 20], &[(0, 20, 50)]),
            (&[100, 50], &[30], &[(1, 30, 30)]),
            (&[100, 50], &[50], &[(1, 50, 50)]),
            (&[100, 50], &[70], &[(1, 50, 50), (0, 20, 20)]),
            (&[100, 50], &[30, 70], &[(1, 20, 50), (0, 50, 50)]),
            (&[100, 50, 7], &[60], &[(2, 7, 7), (1, 50, 50), (0, 3, 3)]),
        ] {
            let (mut payment, mut all) = hold(messages);
            let each = released
                .iter()
                .map(|minor| release(&mut payment, &mut all, *minor));
            assert_eq!(each.last().unwrap(), expected, "{messages:?} {released:?}");
        }
    }

    /// Its release is owed, or an operator has found out that the bank has released nothing.
    #[test]
    fn an_increment_that_is_released_whole_is_not_undone_again() {
        let (mut payment, mut all) = hold(&[100, 50, 7]);
        release(&mut payment, &mut all, 40);
        let held = |all: &[Operation]| held_increments(all).count();
        assert_eq!(held(&all), 1);
        let of_last = all.iter().position(|it| it.original_id == Some(all[2].id));
        all[of_last.unwrap()].state = OperationState::Resolved {
            by: ResolvedBy::Operator,
            response_code: None,
            took_effect: false,
            decline: None,
        };
        assert_eq!(held(&all), 2);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole_and_only_the_last_keeps_a_part_of_its_message(
            messages in prop::collection::vec(1..100_i64, 1..8),
            shares in prop::collection::vec(0..100_i64, 1..5),
        ) {
            let (mut payment, mut all) = hold(&messages);
            for share in shares {
                let left_minor = payment.amounts.capturable_minor();
                let minor = left_minor * share / 100;
                let parts = release(&mut payment, &mut all, minor);
                prop_assert_eq!(parts.iter().map(|(_, minor, _)| minor).sum::<i64>(), minor);
                for (place, (number, minor, in_all)) in parts.iter().enumerate() {
                    let is_last = place + 1 == parts.len();
                    prop_assert!(*minor > 0 && minor <= in_all);
                    prop_assert!(*in_all <= messages[*number]);
                    prop_assert!(is_last || *in_all == messages[*number]);
                }
                let numbers: Vec<_> = parts.iter().map(|(number, ..)| *number).collect();
                prop_assert!(numbers.is_sorted_by(|later, earlier| later > earlier));
            }
        }
    }
}
