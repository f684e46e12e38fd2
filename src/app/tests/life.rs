//! A life of a payment: what happens to it, drawn at random.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::banks::{Answer, Style};
use super::stage::Request;
use crate::operations::resolution::OwedResolution;

/// What happens to a payment.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// The merchant asks, so often at once.
    Ask(Request, usize),
    /// An earlier request comes once more.
    Again(Index),
    /// A node sends all that is owed once more.
    Send(usize),
    /// An answer to an earlier operation comes after its time.
    Late(Index, Answer),
    /// An operator says what became of an operation; none: that it is to be sent again.
    Operator(Index, Option<OwedResolution>),
    /// The hold ends by itself.
    Expire,
}

#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) styles: [Style; 3],
    pub(super) is_sale: bool,
    pub(super) first: Answer,
    pub(super) answers: Vec<Answer>,
    /// What happens at once; and whether time passes before it, so that no host will see an original any more.
    pub(super) steps: Vec<(Vec<Act>, bool)>,
}

/// Lives of all hosts.
pub(super) fn lives() -> impl Strategy<Value = Life> {
    use Answer as A;
    let answer = select(vec![
        A::Approved,
        A::Approved,
        A::Approved,
        A::Approved,
        A::Declined,
        A::FormatError,
        A::Taken,
        A::OriginalUnknown,
        A::Lost,
        A::Lost,
        A::NotSent,
    ]);
    let first = prop_oneof![8 => Just(A::Approved), 2 => Just(A::Partly), 2 => answer.clone()];
    let late = select(vec![A::Approved, A::Declined, A::Taken, A::OriginalUnknown]);
    let minor = || prop_oneof![1 => Just(None), 5 => (1..700_i64).prop_map(Some)];
    let request = prop_oneof![
        5 => minor().prop_map(Request::Capture),
        2 => (1..700_i64).prop_map(|minor| Request::LastCapture(Some(minor))),
        2 => (1..700_i64).prop_map(Request::Increment),
        5 => minor().prop_map(Request::Refund),
        1 => Just(Request::Void),
        1 => Just(Request::Reverse),
    ];
    let resolution = select(vec![
        None,
        Some(OwedResolution::Undone),
        Some(OwedResolution::Stands),
        Some(OwedResolution::NeverHappened),
    ]);
    let act = prop_oneof![
        12 => (request, 1..3_usize).prop_map(|(request, copies)| Act::Ask(request, copies)),
        2 => any::<Index>().prop_map(Act::Again),
        4 => (0..2_usize).prop_map(Act::Send),
        2 => (any::<Index>(), late).prop_map(|(which, answer)| Act::Late(which, answer)),
        1 => (any::<Index>(), resolution).prop_map(|(which, said)| Act::Operator(which, said)),
        1 => prop_oneof![1 => Just(Act::Expire), 2 => Just(Act::Send(0))],
    ];
    let steps = vec((vec(act, 1..5), any::<bool>()), 2..8);
    (
        (0..4_usize, 1..4_usize, 1..4_usize),
        prop::bool::weighted(0.15),
        first,
        vec(answer, 1..10),
        steps,
    )
        .prop_map(
            |((capture, void, refund), is_sale, first, answers, steps)| Life {
                styles: [capture, void, refund].map(|number| Style::ALL[number]),
                is_sale,
                first,
                answers,
                steps,
            },
        )
}
