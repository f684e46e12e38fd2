//! The issuer's money against a model: exact in currencies of no, two and three decimals, never below
//! zero, and undone by a reversal to the last unit, but for what others captured.

use proptest::prelude::*;

use super::{
    books::{Books, Decision},
    request::{CardRequest, MessageKind, PaymentKind, Reversal},
    rules_tests::{EUR, JPY, KWD, account, books, now, request, reversal},
};
use crate::{
    currency::Currency, outcome::Effect, response_code::ResponseCode, test_cards::provoked_by,
};

/// A step of the model. Indices choose among earlier steps.
#[derive(Debug, Clone)]
enum Step {
    Authorize(i64),
    Sell(i64),
    Refund(i64),
    Complete(prop::sample::Index, i64),
    /// Down to an amount.
    Reverse(prop::sample::Index, i64),
    Duplicate(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let amount = || prop_oneof![1..2_000_i64, 1..100_000_i64, Just(605), Just(100_000)];
    let index = any::<prop::sample::Index>;
    let step = prop_oneof![
        4 => amount().prop_map(Step::Authorize),
        2 => amount().prop_map(Step::Sell),
        1 => amount().prop_map(Step::Refund),
        3 => (index(), amount()).prop_map(|(index, amount)| Step::Complete(index, amount)),
        3 => (index(), prop_oneof![Just(0), amount()])
            .prop_map(|(index, kept)| Step::Reverse(index, kept)),
        2 => index().prop_map(Step::Duplicate),
    ];
    prop::collection::vec(step, 1..60)
}

/// Money the long way: every exchange apart, in numbers that cannot overflow.
#[derive(Default)]
struct Model {
    opening: i128,
    limit: i128,
    exchanges: Vec<ModelExchange>,
}

struct ModelExchange {
    asked: CardRequest,
    held: i128,
    posted: i128,
    /// Approved, and not undone.
    is_open: bool,
    /// The authorization that it captures from.
    hold: Option<usize>,
}

impl Model {
    fn balance(&self) -> i128 {
        self.opening
            - self
                .exchanges
                .iter()
                .map(|exchange| exchange.posted)
                .sum::<i128>()
    }

    fn held(&self) -> i128 {
        self.exchanges.iter().map(|exchange| exchange.held).sum()
    }

    /// The expected answer to a request that does not refer to another.
    fn expect(&self, amount: i64, is_credit: bool) -> ResponseCode {
        if !is_credit && i128::from(amount) > self.limit {
            ResponseCode::EXCEEDS_LIMIT
        } else if let Some(code) = provoked_by(amount).filter(|_| !is_credit) {
            code
        } else if !is_credit && i128::from(amount) > self.balance() - self.held() {
            ResponseCode::INSUFFICIENT_FUNDS
        } else {
            ResponseCode::APPROVED
        }
    }

    fn push(&mut self, asked: CardRequest, code: ResponseCode, held: i64, posted: i64) {
        let counts = i128::from(code.is_approved());
        self.exchanges.push(ModelExchange {
            asked,
            held: counts * i128::from(held),
            posted: counts * i128::from(posted),
            is_open: code.is_approved(),
            hold: None,
        });
    }

    /// What was debited through an authorization's captures.
    fn captured(&self, place: usize) -> i128 {
        let captures = self.exchanges.iter();
        captures
            .filter(|exchange| exchange.hold == Some(place))
            .map(|exchange| exchange.posted)
            .sum()
    }
}

fn code_of(decision: Decision) -> ResponseCode {
    decision.response_code
}

/// Runs steps against the books and the model, and compares them after each.
fn run(steps: &[Step], currency: Currency) {
    let mut books = books();
    let code = currency.code();
    let mut model = Model {
        opening: i128::from(currency.minor_units(1_000).unwrap()),
        limit: i128::from(currency.minor_units(900).unwrap()),
        exchanges: Vec::new(),
    };
    for (number, step) in steps.iter().enumerate() {
        let ask = |kind, amount| request(kind, number, amount, currency.numeric());
        match step {
            Step::Authorize(amount) => {
                let asked = ask(MessageKind::Authorization, *amount);
                let expected = model.expect(*amount, false);
                assert_eq!(code_of(books.decide(&asked, now())), expected, "{step:?}");
                model.push(asked, expected, *amount, 0);
            }
            Step::Sell(amount) => {
                let asked = ask(MessageKind::Financial, *amount);
                let expected = model.expect(*amount, false);
                assert_eq!(code_of(books.decide(&asked, now())), expected, "{step:?}");
                model.push(asked, expected, 0, *amount);
            }
            Step::Refund(amount) => {
                let mut asked = ask(MessageKind::Financial, *amount);
                asked.kind = PaymentKind::Credit;
                let expected = model.expect(*amount, true);
                assert_eq!(code_of(books.decide(&asked, now())), expected, "{step:?}");
                model.push(asked, expected, 0, -*amount);
            }
            Step::Complete(index, amount) => {
                complete(
                    &mut books,
                    &mut model,
                    index,
                    ask(MessageKind::FinancialAdvice, *amount),
                );
            }
            Step::Reverse(index, kept) => {
                let Some(place) = place(&model, index) else {
                    continue;
                };
                let mut asked = reversal(&model.exchanges[place].asked, number);
                asked.kept_minor = (*kept > 0).then_some(*kept);
                reverse(&mut books, &mut model, place, &asked);
            }
            Step::Duplicate(index) => {
                let Some(place) = place(&model, index) else {
                    continue;
                };
                let asked = &model.exchanges[place].asked;
                if asked.key.kind != MessageKind::FinancialAdvice {
                    let again = code_of(books.decide(asked, now()));
                    assert_eq!(again, ResponseCode::DUPLICATE);
                }
            }
        }
        let account = account(&books, code);
        assert_eq!(
            i128::from(account.balance_minor),
            model.balance(),
            "after {step:?}"
        );
        assert_eq!(
            i128::from(account.held_minor),
            model.held(),
            "after {step:?}"
        );
        assert_eq!(
            account.available_minor,
            account.balance_minor - account.held_minor
        );
        assert!(account.available_minor >= 0 && account.held_minor >= 0);
    }
}

fn place(model: &Model, index: &prop::sample::Index) -> Option<usize> {
    (!model.exchanges.is_empty()).then(|| index.index(model.exchanges.len()))
}

fn reverse(books: &mut Books, model: &mut Model, place: usize, asked: &Reversal) {
    let kept = i128::from(asked.kept_minor.unwrap_or(0));
    let (balance, held, captured) = (model.balance(), model.held(), model.captured(place));
    let exchange = &model.exchanges[place];
    let kind = exchange.asked.key.kind;
    let hold = exchange.hold.filter(|hold| model.exchanges[*hold].is_open);
    // What stays of it.
    let stays_held = (kept - captured).clamp(0, exchange.held);
    let stays_posted = exchange.posted.clamp(-kept, kept);
    let given = exchange.posted - stays_posted;
    let held_again = if hold.is_some() { given } else { 0 };
    let expected = if kept > i128::from(exchange.asked.amount_minor) {
        ResponseCode::INVALID_AMOUNT
    } else if exchange.is_open
        && kind != MessageKind::Authorization
        && balance + given < held + held_again
    {
        ResponseCode::INSUFFICIENT_FUNDS
    } else {
        ResponseCode::APPROVED
    };
    // Once, and then again: the answer is the same, and nothing more is undone.
    for _ in 0..2 {
        assert_eq!(
            books.reverse(asked).response_code,
            expected,
            "reversing {place} to {kept}"
        );
    }
    if !expected.is_approved() || !exchange.is_open {
        return;
    }
    if let Some(hold) = hold {
        model.exchanges[hold].held += given;
    }
    let exchange = &mut model.exchanges[place];
    exchange.posted = stays_posted;
    if kind == MessageKind::Authorization {
        let is_used_up = exchange.held == 0 && captured > 0;
        exchange.held = stays_held;
        // What was captured to the last unit has nothing to undo, and may be held again.
        exchange.is_open = kept > 0 || is_used_up;
    } else {
        exchange.is_open = kept > 0;
    }
}

fn complete(
    books: &mut Books,
    model: &mut Model,
    index: &prop::sample::Index,
    mut advice: CardRequest,
) {
    let Some(place) = place(model, index) else {
        return;
    };
    let exchange = &mut model.exchanges[place];
    advice.original = Some(exchange.asked.key);
    let amount = i128::from(advice.amount_minor);
    // A hold that was completed to the last unit is closed.
    let is_hold = exchange.asked.key.kind == MessageKind::Authorization && exchange.held > 0;
    let holds = exchange.is_open && is_hold;
    let expected = if !holds {
        ResponseCode::ORIGINAL_NOT_FOUND
    } else if amount > exchange.held {
        ResponseCode::EXCEEDS_LIMIT
    } else {
        exchange.held -= amount;
        ResponseCode::APPROVED
    };
    let first = books.decide(&advice, now());
    assert_eq!(
        first.response_code, expected,
        "completing {place} with {amount}"
    );
    // A repeat is answered alike and moves nothing.
    let repeat = books.decide(&advice, now());
    assert_eq!(
        (repeat.response_code, repeat.approval_code, repeat.effect),
        (first.response_code, first.approval_code, Effect::None)
    );
    model.push(advice, expected, 0, i64::try_from(amount).unwrap());
    if let Some(capture) = model
        .exchanges
        .last_mut()
        .filter(|_| expected.is_approved())
    {
        capture.hold = Some(place);
    }
}

proptest! {
    #[test]
    fn money_is_exact_in_yen(steps in steps()) {
        run(&steps, Currency::from_numeric(JPY).unwrap());
    }

    #[test]
    fn money_is_exact_in_euros(steps in steps()) {
        run(&steps, Currency::from_numeric(EUR).unwrap());
    }

    #[test]
    fn money_is_exact_in_dinars(steps in steps()) {
        run(&steps, Currency::from_numeric(KWD).unwrap());
    }
}
