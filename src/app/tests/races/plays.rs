//! The plays that are walked through, and in which of them each planted mistake shows.

use super::super::banks::Style;
use super::play::{Ask, Budget, Play};
use crate::payment::planted::Mistake;

const NONE: Budget = Budget {
    deaths: 0,
    mistaken: 0,
    twice: 0,
    repeats: 0,
    operator: 0,
    ages: 0,
    slow: 0,
    unsure: 0,
    hold_ends: 0,
};
/// A node dies, an operator looks, and time passes.
const SOME: Budget = Budget {
    deaths: 1,
    operator: 1,
    ages: 1,
    ..NONE
};
/// What two operations at once are walked through with.
const FEW: Budget = Budget {
    deaths: 1,
    repeats: 1,
    ..NONE
};

const ALONE: Play = Play {
    name: "an authorization",
    is_sale: false,
    amount: 3,
    asks: &[],
    capture: Style::Advice,
    void: Style::Advice,
    refund: Style::Waits,
    increment: Style::Reversed,
    doubts: false,
    budget: SOME,
    depth: None,
};

/// So many acts of two operations at once.
const DEPTH: Option<usize> = Some(12);

pub(super) const PLAYS: &[Play] = &[
    Play {
        doubts: true,
        budget: Budget {
            mistaken: 1,
            twice: 1,
            repeats: 1,
            ..SOME
        },
        ..ALONE
    },
    Play {
        name: "a sale",
        is_sale: true,
        budget: Budget {
            mistaken: 1,
            repeats: 1,
            ..SOME
        },
        ..ALONE
    },
    Play {
        name: "an authorization at a slow bank",
        doubts: true,
        budget: Budget {
            ages: 2,
            slow: 1,
            twice: 1,
            ..NONE
        },
        ..ALONE
    },
    Play {
        name: "a cancellation",
        asks: &[Ask::Cancel],
        budget: Budget {
            deaths: 1,
            ages: 1,
            repeats: 1,
            ..NONE
        },
        ..ALONE
    },
    Play {
        name: "a sale and its cancellation",
        is_sale: true,
        asks: &[Ask::Cancel],
        budget: FEW,
        ..ALONE
    },
    Play {
        name: "a hold that ends",
        asks: &[Ask::Capture(Some(1))],
        budget: Budget {
            hold_ends: 1,
            ..NONE
        },
        ..ALONE
    },
    Play {
        name: "a capture by request and a hold that ends",
        asks: &[Ask::Capture(Some(1))],
        capture: Style::Waits,
        budget: Budget {
            hold_ends: 1,
            operator: 1,
            ..NONE
        },
        ..ALONE
    },
    Play {
        name: "a void and a hold that ends",
        asks: &[Ask::Void],
        budget: Budget {
            hold_ends: 1,
            operator: 1,
            ..NONE
        },
        ..ALONE
    },
    Play {
        name: "the void of a sale",
        is_sale: true,
        asks: &[Ask::Void],
        budget: FEW,
        ..ALONE
    },
    Play {
        name: "the void of a sale by request",
        is_sale: true,
        asks: &[Ask::Void],
        void: Style::Waits,
        budget: FEW,
        ..ALONE
    },
    Play {
        name: "the void of a sale in a file",
        is_sale: true,
        asks: &[Ask::Void],
        void: Style::File,
        budget: FEW,
        ..ALONE
    },
    Play {
        name: "a void in a file",
        asks: &[Ask::Void, Ask::Capture(Some(1))],
        void: Style::File,
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "a capture",
        asks: &[Ask::LastCapture(Some(1))],
        budget: Budget { unsure: 1, ..SOME },
        ..ALONE
    },
    Play {
        name: "a capture by request",
        asks: &[Ask::LastCapture(Some(1))],
        capture: Style::Waits,
        budget: Budget {
            unsure: 1,
            operator: 1,
            ..FEW
        },
        ..ALONE
    },
    Play {
        name: "a capture by request that is reversed",
        asks: &[Ask::LastCapture(Some(2))],
        capture: Style::Reversed,
        budget: SOME,
        ..ALONE
    },
    Play {
        name: "a capture by request that is reversed at a slow bank",
        asks: &[Ask::Capture(Some(2))],
        capture: Style::Reversed,
        budget: Budget {
            ages: 2,
            slow: 1,
            ..NONE
        },
        ..ALONE
    },
    Play {
        name: "two captures at once",
        asks: &[Ask::Capture(Some(2)), Ask::Capture(Some(2))],
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "two captures by request at once",
        asks: &[Ask::Capture(Some(1)), Ask::LastCapture(None)],
        capture: Style::Reversed,
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "a capture and a void at once",
        asks: &[Ask::Capture(None), Ask::Void],
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "a capture and a void by request at once",
        asks: &[Ask::Capture(Some(1)), Ask::Void],
        capture: Style::Waits,
        void: Style::Waits,
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "a capture and its refund",
        asks: &[Ask::Capture(Some(2)), Ask::Refund(Some(1))],
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "two refunds of a sale at once",
        is_sale: true,
        asks: &[Ask::Refund(Some(2)), Ask::Refund(Some(2))],
        budget: Budget { operator: 1, ..FEW },
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "two refunds by advice and the void of a sale at once",
        is_sale: true,
        asks: &[Ask::Refund(Some(2)), Ask::Void],
        refund: Style::Advice,
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "a capture and all of it undone",
        asks: &[Ask::Capture(Some(2)), Ask::Reverse],
        capture: Style::File,
        refund: Style::Advice,
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "an increment and a void",
        asks: &[Ask::Increment(1), Ask::Void],
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "an increment and a last capture",
        asks: &[Ask::Increment(2), Ask::LastCapture(Some(1))],
        capture: Style::File,
        budget: NONE,
        ..ALONE
    },
    Play {
        name: "an increment and a last capture by request",
        asks: &[Ask::Increment(1), Ask::LastCapture(Some(2))],
        capture: Style::Reversed,
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
    Play {
        name: "an increment and a capture at once",
        asks: &[Ask::Increment(1), Ask::Capture(None)],
        increment: Style::Waits,
        budget: FEW,
        depth: DEPTH,
        ..ALONE
    },
];

/// A world in which little happens, so that a deep mistake is found soon.
const NARROW: Play = Play {
    name: "an authorization whose reversal nobody answers",
    budget: Budget {
        operator: 1,
        ..NONE
    },
    ..ALONE
};

/// The play in which a mistake shows.
pub(super) fn shows(mistake: Mistake) -> Play {
    use Mistake as M;
    let named = |name| {
        let play = PLAYS.iter().find(|play| play.name == name);
        *play.expect("a play of that name")
    };
    // So that a deep mistake is found soon.
    let bare = |name| Play {
        budget: NONE,
        depth: None,
        ..named(name)
    };
    match mistake {
        M::NothingOwed
        | M::TimeOutFails
        | M::RecoveredAsNotSent
        | M::UnknownOriginalBelieved
        | M::DebtEndedAfterSending
        | M::LateDeclineCounts
        | M::ReversalNotBegun
        | M::AnswerChanges => Play {
            budget: SOME,
            ..ALONE
        },
        M::OperatorForgetsAmount => NARROW,
        M::LateApprovalForgotten => named("an authorization at a slow bank"),
        M::CancellationForgotten => named("a cancellation"),
        M::NoLimits => bare("two captures at once"),
        M::EndsUnderPending => bare("a capture and a void by request at once"),
        M::RefusedStaysPending => bare("a capture by request"),
        M::RefusalForgotten => bare("a capture"),
        M::RefundOvertakes => bare("a capture and its refund"),
        M::IncrementsForgotten => bare("an increment and a void"),
        M::IncrementsNotReleased => bare("an increment and a last capture"),
    }
}
