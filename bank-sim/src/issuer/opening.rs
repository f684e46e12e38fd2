//! The accounts that an issuer opens: those behind the test cards of its name, and those of its configuration.

use super::{
    books::Books,
    card::{AccountToOpen, CardStatus, CardToOpen, Delivery, Limit},
    pin::ZonePinKey,
};
use crate::{
    config::{CardConfig, IssuerConfig},
    currency::Currency,
    test_cards::{CardBehaviour, TEST_CARDS, TestCard},
};

/// In which currencies every test card has an account. Any other currency is answered with 57.
const TEST_CURRENCIES: &[&str] = &[
    "EUR", "USD", "GBP", "JPY", "KWD", "CHF", "SEK", "INR", "AUD", "CAD", "BHD", "KRW", "TND",
];

/// The opening balance in minor units of a card that approves: a hundred thousand times the largest
/// amount that DE 4 can say, so that no load test exhausts it.
const GENEROUS_BALANCE_MINOR: i64 = 100_000_000_000_000_000;

/// The limit of one payment with the test card that has one, in whole units of the currency.
const TEST_LIMIT_WHOLE_UNITS: i64 = 100;
/// The most that the test card approves that approves a part, in whole units of the currency.
const TEST_PART_WHOLE_UNITS: i64 = 500;

/// The books of an issuer, with its own cards and the test cards of its name.
pub(crate) fn books_of(
    issuer: &IssuerConfig,
    zone_pin_key: ZonePinKey,
    max_exchanges: usize,
) -> Books {
    let mut books = Books::new(zone_pin_key, max_exchanges);
    for card in &issuer.cards {
        open_own(&mut books, card);
    }
    for card in TEST_CARDS.iter().filter(|card| card.issuer == issuer.name) {
        open_test_card(&mut books, card);
    }
    books
}

fn open_own(books: &mut Books, card: &CardConfig) {
    let accounts: Vec<_> = card
        .accounts
        .iter()
        .filter_map(|account| {
            Some(AccountToOpen {
                currency: Currency::from_code(&account.currency)?,
                balance_minor: account.balance_minor,
                credit_line_minor: account.credit_line_minor,
            })
        })
        .collect();
    let Ok(expiry_yymm) = card.expiry_yymm.as_bytes().try_into() else {
        // The configuration was checked: it is four digits.
        return;
    };
    books.open(&CardToOpen {
        pan: &card.pan,
        expiry_yymm,
        cvv2: Some(&card.cvv2),
        pin: &card.pin,
        status: CardStatus::Active,
        delivery: Delivery::AtOnce,
        limit: card.limit_whole_units.map(|whole_units| Limit {
            whole_units,
            approves_part: false,
        }),
        accounts: &accounts,
    });
}

fn open_test_card(books: &mut Books, card: &TestCard) {
    let balance_minor = match card.behaviour {
        CardBehaviour::InsufficientFunds => 0,
        _ => GENEROUS_BALANCE_MINOR,
    };
    let accounts: Vec<_> = TEST_CURRENCIES
        .iter()
        .filter_map(|code| Currency::from_code(code))
        .map(|currency| AccountToOpen {
            currency,
            balance_minor,
            credit_line_minor: 0,
        })
        .collect();
    let Ok(expiry_yymm) = card.expiry_yymm.as_bytes().try_into() else {
        // A test holds every row of the table to four digits.
        return;
    };
    books.open(&CardToOpen {
        pan: card.pan,
        expiry_yymm,
        cvv2: (card.behaviour != CardBehaviour::WrongCvv).then_some(card.cvv2),
        pin: card.pin,
        status: match card.behaviour {
            CardBehaviour::Blocked => CardStatus::Blocked,
            CardBehaviour::Lost => CardStatus::Lost,
            CardBehaviour::Stolen => CardStatus::Stolen,
            _ => CardStatus::Active,
        },
        delivery: match card.behaviour {
            CardBehaviour::AnswerLate => Delivery::Late,
            CardBehaviour::NoAnswer => Delivery::Never,
            _ => Delivery::AtOnce,
        },
        limit: match card.behaviour {
            CardBehaviour::OverLimit => Some(Limit {
                whole_units: TEST_LIMIT_WHOLE_UNITS,
                approves_part: false,
            }),
            CardBehaviour::ApprovesPart => Some(Limit {
                whole_units: TEST_PART_WHOLE_UNITS,
                approves_part: true,
            }),
            _ => None,
        },
        accounts: &accounts,
    });
}
