//! The issuer's rules as tables.

use time::{Date, Month, OffsetDateTime, Time};

use super::{
    books::Books,
    books::snapshot::AccountSnapshot,
    card::{CardStatus, CardToOpen, Delivery},
    currency::Currency,
    history::Standing,
    pin::ZonePinKey,
    request::{CardRequest, ExchangeKey, MessageKind, PaymentKind},
    with_test_cards,
};
use crate::{config::DEVELOPMENT_ZONE_PIN_KEY_HEX, response_code::ResponseCode};

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
    let mut books = Books::new(zone_pin_key());
    let accounts = [JPY, EUR, KWD].map(|numeric| {
        let currency = Currency::from_numeric(numeric).unwrap();
        (currency, currency.minor_units(1_000).unwrap())
    });
    books.open(&CardToOpen {
        pan: PAN,
        expiry_yymm: *b"3012",
        cvv2: Some("123"),
        pin: "1234",
        status: CardStatus::Active,
        delivery: Delivery::AtOnce,
        limit_whole_units: Some(900),
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
    key.stan.copy_from_slice(format!("{number:06}").as_bytes());
    key
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
4111111111111111 | 0 | EUR | 3012 | 123 | 00 | 0
4111111111111111 | 100 | BRL | 3012 | 123 | 57 | 0
4111111111111111 | 100 | 999 | 3012 | 123 | 57 | 0
4111111111111111 | 100 | EUR | 3011 | 123 | 54 | 0
4111111111111111 | 100 | EUR | 3012 | 124 | N7 | 0
4111111111111111 | 100 | EUR | 3012 |  | N7 | 0
4111111111111111 | 605 | EUR | 3012 | 123 | 05 | 0
4111111111111111 | 2687 | KWD | 3012 | 123 | N7 | 0
4000000000009995 | 1 | EUR | 3012 | 123 | 51 | 0
4000000000009995 | 0 | EUR | 3012 | 123 | 00 | 0
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
        let mut books = with_test_cards("issuer-a", zone_pin_key());
        let amount_minor = amount.parse().unwrap();
        let mut asked = request(MessageKind::Authorization, 1, amount_minor, currency);
        asked.pan = pan.to_owned();
        asked.expiry_yymm = Some(expiry.as_bytes().try_into().unwrap());
        asked.cvv2 = (cvv2 != "-").then(|| cvv2.to_owned());
        let before = books.snapshot();
        let decision = books.decide(&asked, now());
        assert_eq!(decision.response_code.as_str(), expected, "{row}");
        assert_eq!(decision.approval_code.is_some(), expected == "00", "{row}");
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
                after.balance_minor - after.held_minor,
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
    assert_eq!(
        books.reverse(&key(MessageKind::Authorization, 1)),
        ResponseCode::APPROVED
    );
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
    assert_eq!(books.reverse(&refund.key), ResponseCode::INSUFFICIENT_FUNDS);
    assert_eq!(account(&books, "EUR").balance_minor, 0);
}

#[test]
fn the_oldest_settled_exchange_is_forgotten_before_an_open_hold() {
    use super::history::{Exchange, History};
    let exchange = |standing| Exchange {
        account: None,
        card: None,
        amount_minor: 1,
        currency_numeric: EUR,
        posted_minor: 0,
        standing,
        response_code: ResponseCode::APPROVED,
        approval_code: None,
    };
    let mut history = History::new(3);
    let open = Standing::Held { remaining_minor: 1 };
    for (number, standing) in [(1, open), (2, Standing::Declined), (3, open), (4, open)] {
        history.remember(key(MessageKind::Authorization, number), exchange(standing));
    }
    let known = |history: &History| {
        let known = |number: &usize| {
            history
                .get(&key(MessageKind::Authorization, *number))
                .is_some()
        };
        (1..=5).filter(known).collect::<Vec<_>>()
    };
    assert_eq!(known(&history), [1, 3, 4]);
    history.change(&key(MessageKind::Authorization, 3), |settled| {
        settled.standing = Standing::Posted;
    });
    history.remember(key(MessageKind::Authorization, 5), exchange(open));
    assert_eq!(known(&history), [1, 4, 5], "the one that was settled since");
    history.remember(key(MessageKind::Authorization, 2), exchange(open));
    assert_eq!(known(&history), [2, 4, 5], "the oldest, as none is settled");
    for number in [1, 3, 1, 3] {
        history.remember(key(MessageKind::Authorization, number), exchange(open));
    }
    assert_eq!(history.iter().count(), 3, "each is in it once");
    let sale = key(MessageKind::Financial, 9);
    history.remember(sale, exchange(Standing::Posted));
    assert!(
        history.get(&sale).is_some(),
        "settled when it comes, and remembered"
    );
}
