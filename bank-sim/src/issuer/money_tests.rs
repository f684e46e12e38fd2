//! The issuer's money against a model: exact in currencies of no, two and three decimals, never below
//! zero, and whole again after a reversal.

use proptest::prelude::*;

use super::{
    books::{Books, Decision},
    currency::Currency,
    request::{CardRequest, MessageKind, PaymentKind},
    rules_tests::{EUR, JPY, KWD, account, books, now, request},
};
use crate::{response_code::ResponseCode, test_cards::provoked_by};

/// A step of the model. Indices choose among earlier steps.
#[derive(Debug, Clone)]
enum Step {
    Authorize(i64),
    Sell(i64),
    Refund(i64),
    Complete(prop::sample::Index, i64),
    Reverse(prop::sample::Index),
    Duplicate(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let amount = || prop_oneof![0..2_000_i64, 0..100_000_i64, Just(605), Just(100_000)];
    let index = any::<prop::sample::Index>;
    let step = prop_oneof![
        4 => amount().prop_map(Step::Authorize),
        2 => amount().prop_map(Step::Sell),
        1 => amount().prop_map(Step::Refund),
        3 => (index(), amount()).prop_map(|(index, amount)| Step::Complete(index, amount)),
        3 => index().prop_map(Step::Reverse),
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
    is_open: bool,
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
        if i128::from(amount) > self.limit {
            ResponseCode::EXCEEDS_LIMIT
        } else if let Some(code) = provoked_by(amount) {
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
        });
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
            Step::Reverse(index) => {
                let Some(place) = place(&model, index) else {
                    continue;
                };
                let balance = model.balance();
                let held = model.held();
                let exchange = &mut model.exchanges[place];
                let answer = books.reverse(&exchange.asked.key);
                let is_spent = exchange.is_open && balance + exchange.posted < held - exchange.held;
                if is_spent {
                    assert_eq!(answer, ResponseCode::INSUFFICIENT_FUNDS);
                } else {
                    assert_eq!(answer, ResponseCode::APPROVED);
                    (exchange.held, exchange.posted, exchange.is_open) = (0, 0, false);
                }
            }
            Step::Duplicate(index) => {
                let Some(place) = place(&model, index) else {
                    continue;
                };
                let again = code_of(books.decide(&model.exchanges[place].asked, now()));
                assert_eq!(again, ResponseCode::DUPLICATE);
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
    let holds = exchange.is_open
        && exchange.held >= 0
        && exchange.asked.key.kind == MessageKind::Authorization
        // A hold that was completed to the last unit is closed; one of nothing stays open.
        && (exchange.held > 0 || exchange.posted == 0 && exchange.asked.amount_minor == 0);
    let expected = if !holds {
        ResponseCode::ORIGINAL_NOT_FOUND
    } else if amount > exchange.held {
        ResponseCode::EXCEEDS_LIMIT
    } else {
        exchange.held -= amount;
        exchange.posted += amount;
        ResponseCode::APPROVED
    };
    let closes_empty_hold = expected.is_approved() && exchange.asked.amount_minor == 0;
    let first = books.decide(&advice, now());
    assert_eq!(
        first.response_code, expected,
        "completing {place} with {amount}"
    );
    // A repeat is answered alike and moves nothing.
    assert_eq!(books.decide(&advice, now()), first);
    if closes_empty_hold {
        // The zero hold is posted now, so the model must not complete it again.
        exchange.asked.amount_minor = -1;
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
