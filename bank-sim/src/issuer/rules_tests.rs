//! The issuer's rules as tables.

use time::{Date, Month, OffsetDateTime, Time};

use super::{
    books::Books,
    books::snapshot::AccountSnapshot,
    books_of,
    card::{AccountToOpen, CardStatus, CardToOpen, Delivery, Limit},
    pin::ZonePinKey,
    request::{CardRequest, ExchangeKey, MessageKind, PaymentKind, Reversal},
};
use crate::{
    config::{DEVELOPMENT_ZONE_PIN_KEY_HEX, IssuerConfig},
    currency::Currency,
    outcome::Effect,
    response_code::ResponseCode,
};

const PAN: &str = "4242424242424242";
pub(super) const JPY: u16 = 392;
pub(super) const EUR: u16 = 978;
pub(super) const KWD: u16 = 414;
const BRL: u16 = 986;

fn zone_pin_key() -> ZonePinKey {
    ZonePinKey::from_hex(DEVELOPMENT_ZONE_PIN_KEY_HEX).unwrap()
}

/// The 21st of November 2026, at noon.
pub(super) fn now() -> OffsetDateTime {
    let date = Date::from_calendar_date(2026, Month::November, 21).unwrap();
    OffsetDateTime::new_utc(date, Time::from_hms(12, 0, 0).unwrap())
}

/// A card with a thousand yen, a thousand euros and a thousand dinars.
pub(super) fn books() -> Books {
    books_with_room_for(usize::MAX)
}

fn books_with_room_for(max_exchanges: usize) -> Books {
    let mut books = Books::new(zone_pin_key(), max_exchanges);
    let accounts = [JPY, EUR, KWD].map(|numeric| {
        let currency = Currency::from_numeric(numeric).unwrap();
        AccountToOpen {
            currency,
            balance_minor: currency.minor_units(1_000).unwrap(),
            credit_line_minor: 0,
        }
    });
    books.open(&CardToOpen {
        pan: PAN,
        expiry_yymm: *b"3012",
        cvv2: Some("123"),
        pin: "1234",
        status: CardStatus::Active,
        delivery: Delivery::AtOnce,
        limit: Some(Limit {
            whole_units: 900,
            approves_part: false,
        }),
        accounts: &accounts,
    });
    books
}

fn key(kind: MessageKind, number: usize) -> ExchangeKey {
    let mut key = ExchangeKey {
        kind,
        stan: *b"000000",
        transmitted: *b"1121120000",
        rrn: *b"632512000000",
        terminal: *b"TERM0001",
    };
    let number = format!("{number:06}");
    key.stan.copy_from_slice(number.as_bytes());
    key.rrn[6..].copy_from_slice(number.as_bytes());
    key
}

/// The reversal of all of a request.
pub(super) fn reversal(of: &CardRequest, number: usize) -> Reversal {
    Reversal {
        key: key(MessageKind::Reversal, number),
        original: of.key,
        pan: Some(of.pan.clone()),
        amount_minor: Some(of.amount_minor),
        kept_minor: None,
    }
}

/// An issuer of any name, with a card of its own.
fn issuer(name: &str) -> IssuerConfig {
    let text = format!(
        "name = \"{name}\"\n\
         listen = \"127.0.0.1:0\"\n\
         dialect = \"iso1987-bcd\"\n\
         tls = {{ certificate = \"-\", key = \"-\", client_ca = \"-\" }}\n\
         [[card]]\n\
         pan = \"4929000000000006\"\n\
         [[card.account]]\n\
         currency = \"EUR\"\n\
         balance_minor = 1000\n\
         credit_line_minor = 500\n"
    );
    toml::from_str(&text).unwrap()
}

pub(super) fn request(
    kind: MessageKind,
    number: usize,
    amount_minor: i64,
    currency: u16,
) -> CardRequest {
    CardRequest {
        key: key(kind, number),
        pan: PAN.to_owned(),
        kind: PaymentKind::Debit,
        amount_minor,
        currency_numeric: currency,
        expiry_yymm: Some(*b"3012"),
        cvv2: Some("123".to_owned()),
        pin_block: None,
        original: None,
    }
}

pub(super) fn account(books: &Books, currency: &str) -> AccountSnapshot {
    books.snapshot().account(PAN, currency).unwrap().clone()
}

/// Card | amount | currency | expiry | CVV2 (`-`: none sent) | DE 39 | the amount held afterwards.
const RULES: &str = "
4111111111111111 | 12345 | EUR | 3012 | 123 | 00 | 12345
4111111111111111 | 1 | JPY | 3012 | - | 00 | 1
4111111111111111 | 9999999 | KWD | 3012 | 123 | 00 | 9999999
4111111111111111 | 999999999999 | EUR | 3012 | 123 | 00 | 999999999999
# Nothing is asked for: the card is verified.
4111111111111111 | 0 | EUR | 3012 | 123 | 85 | 0
4111111111111111 | 100 | BRL | 3012 | 123 | 57 | 0
4111111111111111 | 100 | 999 | 3012 | 123 | 57 | 0
4111111111111111 | 100 | EUR | 3011 | 123 | 54 | 0
4111111111111111 | 100 | EUR | 3012 | 124 | N7 | 0
4111111111111111 | 100 | EUR | 3012 |  | N7 | 0
4111111111111111 | 605 | EUR | 3012 | 123 | 05 | 0
4111111111111111 | 2687 | KWD | 3012 | 123 | N7 | 0
4000000000009995 | 1 | EUR | 3012 | 123 | 51 | 0
4000000000009995 | 0 | EUR | 3012 | 123 | 85 | 0
4000000000000069 | 100 | EUR | 3012 | 123 | 54 | 0
4000000000000069 | 100 | EUR | 2012 | 123 | 54 | 0
4000000000009987 | 100 | EUR | 3012 | 123 | 41 | 0
4000000000009979 | 100 | EUR | 3012 | 123 | 43 | 0
4000000000006207 | 100 | EUR | 3012 | 123 | 62 | 0
4000000000000127 | 100 | EUR | 3012 | 123 | N7 | 0
4000000000000127 | 100 | EUR | 3012 | - | 00 | 100
4000000000006108 | 10000 | EUR | 3012 | 123 | 00 | 10000
4000000000006108 | 10001 | EUR | 3012 | 123 | 61 | 0
4000000000006108 | 101 | JPY | 3012 | 123 | 61 | 0
4000000000006108 | 100000 | KWD | 3012 | 123 | 00 | 100000
4000000000006710 | 50000 | EUR | 3012 | 123 | 00 | 50000
4000000000006710 | 50001 | EUR | 3012 | 123 | 10 | 50000
4000000000006710 | 501 | JPY | 3012 | 123 | 10 | 500
4012888888881881 | 100 | EUR | 3012 | 123 | 14 | 0
# A fault of the card comes before the answer that the amount provokes.
4000000000009987 | 605 | EUR | 3012 | 123 | 41 | 0
";

#[test]
fn each_rule_declines_with_its_code_and_only_an_approval_moves_money() {
    for row in RULES
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'))
    {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [pan, amount, currency, expiry, cvv2, expected, held] = columns[..] else {
            panic!("{row}")
        };
        let currency = match currency {
            "EUR" => EUR,
            "JPY" => JPY,
            "KWD" => KWD,
            "BRL" => BRL,
            numeric => numeric.parse().unwrap(),
        };
        let mut books = books_of(&issuer("issuer-a"), zone_pin_key(), usize::MAX);
        let amount_minor = amount.parse().unwrap();
        let mut asked = request(MessageKind::Authorization, 1, amount_minor, currency);
        asked.pan = pan.to_owned();
        asked.expiry_yymm = Some(expiry.as_bytes().try_into().unwrap());
        asked.cvv2 = (cvv2 != "-").then(|| cvv2.to_owned());
        let before = books.snapshot();
        let decision = books.decide(&asked, now());
        assert_eq!(decision.response_code.as_str(), expected, "{row}");
        let approves = ["00", "10", "85"].contains(&expected);
        assert_eq!(decision.approval_code.is_some(), approves, "{row}");
        let after = books.snapshot();
        let total: i64 = after
            .accounts
            .iter()
            .map(|account| account.held_minor)
            .sum();
        assert_eq!(total, held.parse::<i64>().unwrap(), "{row}");
        for (before, after) in before.accounts.iter().zip(&after.accounts) {
            assert_eq!(after.balance_minor, before.balance_minor, "{row}");
            assert_eq!(
                after.available_minor,
                before.available_minor - after.held_minor,
                "{row}"
            );
        }
    }
}

#[test]
fn a_card_is_good_until_the_end_of_its_month() {
    let last = Date::from_calendar_date(2030, Month::December, 31).unwrap();
    let last = OffsetDateTime::new_utc(last, Time::from_hms(23, 59, 59).unwrap());
    let ask = |at| {
        books()
            .decide(&request(MessageKind::Authorization, 1, 100, EUR), at)
            .response_code
    };
    assert_eq!(ask(last), ResponseCode::APPROVED);
    assert_eq!(
        ask(last + time::Duration::SECOND),
        ResponseCode::EXPIRED_CARD
    );
}

#[test]
fn what_is_held_cannot_be_spent_again() {
    let mut books = books();
    let ask = |books: &mut Books, number, amount_minor| {
        books.decide(
            &request(MessageKind::Authorization, number, amount_minor, EUR),
            now(),
        )
    };
    assert_eq!(
        ask(&mut books, 1, 90_000).response_code,
        ResponseCode::APPROVED
    );
    assert_eq!(
        ask(&mut books, 2, 10_001).response_code,
        ResponseCode::INSUFFICIENT_FUNDS
    );
    assert_eq!(
        ask(&mut books, 3, 10_000).response_code,
        ResponseCode::APPROVED
    );
    assert_eq!(account(&books, "EUR").available_minor, 0);
    assert_eq!(account(&books, "KWD").available_minor, 1_000_000);
    let first = request(MessageKind::Authorization, 1, 90_000, EUR);
    let undone = books.reverse(&reversal(&first, 4));
    assert_eq!(undone.response_code, ResponseCode::APPROVED);
    assert_eq!(undone.effect, Effect::Reversed);
    assert_eq!(account(&books, "EUR").available_minor, 90_000);
}

#[test]
fn an_authorization_of_a_refund_or_of_anything_else_is_not_permitted() {
    for (kind, payment, expected) in [
        (MessageKind::Authorization, PaymentKind::Credit, "57"),
        (MessageKind::Authorization, PaymentKind::Other, "57"),
        (MessageKind::Financial, PaymentKind::Credit, "00"),
        (MessageKind::Financial, PaymentKind::Other, "57"),
        (MessageKind::FinancialAdvice, PaymentKind::Credit, "00"),
    ] {
        let mut asked = request(kind, 1, 100, EUR);
        asked.kind = payment;
        let decision = books().decide(&asked, now());
        assert_eq!(
            decision.response_code.as_str(),
            expected,
            "{kind:?} {payment:?}"
        );
    }
}

#[test]
fn a_refund_that_was_spent_cannot_be_reversed() {
    let mut books = books();
    let mut refund = request(MessageKind::Financial, 1, 50_000, EUR);
    refund.kind = PaymentKind::Credit;
    assert!(books.decide(&refund, now()).response_code.is_approved());
    for number in [2, 3] {
        let sale = request(MessageKind::Financial, number, 75_000, EUR);
        assert!(books.decide(&sale, now()).response_code.is_approved());
    }
    assert_eq!(account(&books, "EUR").balance_minor, 0);
    let undone = books.reverse(&reversal(&refund, 4));
    assert_eq!(undone.response_code, ResponseCode::INSUFFICIENT_FUNDS);
    assert_eq!(account(&books, "EUR").balance_minor, 0);
}

#[test]
fn a_reversal_undoes_its_own_message_only() {
    let mut books = books();
    let asked = request(MessageKind::Authorization, 1, 500, EUR);
    let other = request(MessageKind::Authorization, 2, 700, EUR);
    for asked in [&asked, &other] {
        assert!(books.decide(asked, now()).response_code.is_approved());
    }
    let whole = || reversal(&asked, 9);
    // Reversal | DE 39 | effect | held afterwards, in this order.
    let of_another_card = Reversal {
        pan: Some("4111111111111111".to_owned()),
        ..whole()
    };
    let of_another_amount = Reversal {
        amount_minor: Some(501),
        ..whole()
    };
    let never_came = Reversal {
        original: key(MessageKind::Authorization, 3),
        ..whole()
    };
    let down_to = |kept_minor, number| Reversal {
        kept_minor: Some(kept_minor),
        ..reversal(&asked, number)
    };
    for (number, (reversal, code, effect, held)) in [
        (of_another_card, "25", Effect::None, 1_200),
        (of_another_amount, "13", Effect::None, 1_200),
        (down_to(501, 8), "13", Effect::None, 1_200),
        (never_came, "25", Effect::None, 1_200),
        (down_to(200, 10), "00", Effect::Partly, 900),
        (down_to(300, 11), "00", Effect::None, 900),
        (whole(), "00", Effect::Reversed, 700),
        (whole(), "00", Effect::None, 700),
    ]
    .into_iter()
    .enumerate()
    {
        let decided = books.reverse(&reversal);
        assert_eq!(decided.response_code.as_str(), code, "{number}");
        assert_eq!(decided.effect, effect, "{number}");
        assert_eq!(account(&books, "EUR").held_minor, held, "{number}");
    }
    let tallies = books.tallies();
    let [(currency, tally)] = &tallies[..] else {
        panic!("{tallies:?}")
    };
    assert_eq!(currency, "EUR");
    assert_eq!((tally.held_minor, tally.reversed_minor), (1_200, 500));
    assert_eq!(tally.effects_more_than_once, 0);
}

/// 100.00, and 50.00 that are added; what others captured before is given back.
#[test]
fn a_hold_and_what_was_added_are_released_down_to_what_was_captured() {
    for (given_back_minor, captured_minor, kept) in [
        (None, 12_000, [Some(2_000), None]),
        (None, 8_000, [Some(0), Some(8_000)]),
        (Some(12_000), 8_000, [Some(0), Some(8_000)]),
        (Some(15_000), 12_000, [Some(2_000), None]),
    ] {
        let mut books = books();
        let hold = request(MessageKind::Authorization, 1, 10_000, EUR);
        let mut added = request(MessageKind::Authorization, 2, 5_000, EUR);
        added.original = Some(hold.key);
        let capture = |number, amount_minor| CardRequest {
            original: Some(hold.key),
            ..request(MessageKind::FinancialAdvice, number, amount_minor, EUR)
        };
        let first = given_back_minor.map(|minor| capture(3, minor));
        for asked in [&hold, &added].into_iter().chain(&first) {
            assert!(books.decide(asked, now()).response_code.is_approved());
        }
        if let Some(first) = first {
            let undone = books.reverse(&reversal(&first, 4));
            assert!(undone.response_code.is_approved());
        }
        assert_eq!(account(&books, "EUR").held_minor, 15_000);
        let captured = books.decide(&capture(5, captured_minor), now());
        assert!(captured.response_code.is_approved());
        for (number, (message, kept_minor)) in [&added, &hold].into_iter().zip(kept).enumerate() {
            let Some(kept_minor) = kept_minor else {
                continue;
            };
            let asked = Reversal {
                kept_minor: Some(kept_minor).filter(|minor| *minor > 0),
                ..reversal(message, 6 + number)
            };
            for _ in 0..2 {
                assert!(books.reverse(&asked).response_code.is_approved());
            }
        }
        let after = account(&books, "EUR");
        assert_eq!(
            (after.held_minor, 100_000 - after.balance_minor),
            (0, captured_minor)
        );
    }
}

#[test]
fn what_comes_after_its_reversal_is_not_held() {
    let mut books = books();
    let asked = request(MessageKind::Authorization, 1, 500, EUR);
    for _ in 0..2 {
        let decided = books.reverse(&reversal(&asked, 2));
        assert_eq!(decided.response_code, ResponseCode::ORIGINAL_NOT_FOUND);
        let code = books.decide(&asked, now()).response_code;
        assert!(!code.is_approved(), "{code}");
    }
    assert_eq!(account(&books, "EUR").held_minor, 0);
}

#[test]
fn a_second_effect_under_one_rrn_is_counted_and_a_repeat_is_not() {
    let mut books = books();
    let first = request(MessageKind::Authorization, 1, 500, EUR);
    let mut again = request(MessageKind::Authorization, 2, 500, EUR);
    again.key.rrn = first.key.rrn;
    assert!(books.decide(&first, now()).response_code.is_approved());
    assert!(books.decide(&first, now()).is_repeat);
    assert_eq!(books.tallies()[0].1.effects_more_than_once, 0);
    assert!(books.decide(&again, now()).response_code.is_approved());
    let (_, tally) = &books.tallies()[0];
    assert_eq!(tally.effects_more_than_once, 1);
    assert_eq!(tally.effects_more_than_once_rrns, ["632512000001"]);
}

#[test]
fn full_books_answer_96_and_forget_nothing() {
    let mut books = books_with_room_for(2);
    let ask = |number, amount_minor| request(MessageKind::Authorization, number, amount_minor, EUR);
    let (declined, first, second) = (ask(1, 605), ask(2, 100), ask(3, 100));
    assert_eq!(books.decide(&declined, now()).response_code.as_str(), "05");
    for asked in [&first, &second] {
        assert!(books.decide(asked, now()).response_code.is_approved());
    }
    let refused = books.decide(&ask(4, 100), now());
    assert_eq!(refused.response_code, ResponseCode::SYSTEM_MALFUNCTION);
    assert!(refused.is_full);
    for (number, asked) in [(5, &first), (6, &second)] {
        assert_eq!(
            books.decide(asked, now()).response_code,
            ResponseCode::DUPLICATE
        );
        assert_eq!(
            books.reverse(&reversal(asked, number)).effect,
            Effect::Reversed
        );
    }
}

#[test]
fn amounts_and_cards_provoke_answers_to_what_asks_for_money_only() {
    let ask = |kind, payment| {
        let mut asked = request(kind, 1, 605, EUR);
        asked.pan = "4000000000009987".to_owned();
        asked.kind = payment;
        asked
    };
    for (kind, payment, expected) in [
        (MessageKind::Authorization, PaymentKind::Debit, "41"),
        (MessageKind::Financial, PaymentKind::Debit, "41"),
        (MessageKind::Financial, PaymentKind::Credit, "00"),
        (MessageKind::FinancialAdvice, PaymentKind::Debit, "00"),
    ] {
        let mut books = books_of(&issuer("issuer-a"), zone_pin_key(), usize::MAX);
        let decided = books.decide(&ask(kind, payment), now());
        assert_eq!(
            decided.response_code.as_str(),
            expected,
            "{kind:?} {payment:?}"
        );
    }
}

#[test]
fn an_issuer_of_any_name_has_its_own_cards_and_their_credit_line() {
    let mut books = books_of(&issuer("my-bank"), zone_pin_key(), usize::MAX);
    let mut asked = request(MessageKind::Authorization, 1, 1_500, EUR);
    asked.pan = "4929000000000006".to_owned();
    assert!(books.decide(&asked, now()).response_code.is_approved());
    asked.key = key(MessageKind::Authorization, 2);
    asked.amount_minor = 1;
    let refused = books.decide(&asked, now());
    assert_eq!(refused.response_code, ResponseCode::INSUFFICIENT_FUNDS);
    let snapshot = books.snapshot();
    let account = snapshot.account("4929000000000006", "EUR").unwrap();
    assert_eq!((account.held_minor, account.available_minor), (1_500, 0));
}
