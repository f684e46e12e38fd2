//! What the test cards and the provoking amounts are answered with, through both issuers.

use bank_sim::{
    config::DEVELOPMENT_ZONE_PIN_KEY_HEX,
    issuer::{Standing, pin_block},
    test_cards::{PROVOKING_AMOUNTS, TEST_CARDS},
};

use crate::harness::Banks;

#[tokio::test]
async fn every_test_card_is_answered_as_the_table_says() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    for card in TEST_CARDS {
        // The cards without an answer in time have a test of their own.
        let Some(expected) = card.response_code else {
            continue;
        };
        let request = switch.authorization(card.pan, 123_45);
        let answer = switch.ask(&request).await;
        assert_eq!(answer.mti, "0110");
        assert_eq!(answer.code(), expected.as_str(), "{}", card.pan);
        let approves = expected.is_approved();
        assert_eq!(answer.text(38).is_some(), approves, "{}", card.pan);
        for de in [3, 7, 11, 12, 13, 32, 37, 41, 42, 49] {
            let sent = request.text_of(de);
            assert_eq!(answer.text(de), sent.as_deref(), "DE {de}, {}", card.pan);
        }
        assert_eq!(answer.text(4), Some("000000012345"));
        for de in [2, 14, 48] {
            assert_eq!(answer.text(de), None, "DE {de} is not echoed");
        }
    }
}

#[tokio::test]
async fn every_provoking_amount_is_answered_with_its_code_by_both_issuers() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    for pan in ["4111111111111111", "5555555555554444"] {
        for row in PROVOKING_AMOUNTS {
            let amount_minor = 7_000 + u64::from(row.last_three_digits);
            let request = switch.authorization(pan, amount_minor);
            let answer = switch.ask(&request).await;
            let expected = row.response_code.as_str();
            assert_eq!(answer.code(), expected, "{amount_minor} on {pan}");
        }
    }
    assert_eq!(banks.held("issuer-a", "4111111111111111", "EUR"), 0);
    assert_eq!(banks.held("issuer-b", "5555555555554444", "EUR"), 0);
}

#[tokio::test]
async fn an_approval_holds_funds_in_currencies_of_no_two_and_three_decimals() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    for (issuer, pan) in [
        ("issuer-a", "4242424242424242"),
        ("issuer-b", "378282246310005"),
    ] {
        for (numeric, code) in [("392", "JPY"), ("978", "EUR"), ("414", "KWD")] {
            let before = banks.account(issuer, pan, code);
            let request =
                switch.payment(iso8583::Mti::AUTHORIZATION_REQUEST, pan, 1_234_567, numeric);
            assert_eq!(switch.ask(&request).await.code(), "00");
            let after = banks.account(issuer, pan, code);
            assert_eq!(after.balance_minor, before.balance_minor);
            assert_eq!(after.held_minor, 1_234_567);
            assert_eq!(after.available_minor, before.available_minor - 1_234_567);
        }
    }
}

#[tokio::test]
async fn the_books_know_each_payment_by_the_rrn_of_the_switch() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let request = switch.authorization("5105105105105100", 42_00);
    let answer = switch.ask(&request).await;
    let books = banks.sim.books("issuer-b").unwrap();
    let rrn = request.text_of(37).unwrap();
    let seen: Vec<_> = books.by_rrn(&rrn).collect();
    let [seen] = seen[..] else {
        panic!("one exchange, got {}", seen.len())
    };
    assert_eq!(seen.amount_minor, 42_00);
    assert_eq!(seen.currency.as_deref(), Some("EUR"));
    assert_eq!(seen.terminal, "TERM0001");
    assert_eq!(seen.masked_pan.as_deref(), Some("510510******5100"));
    assert_eq!(seen.approval_code.as_deref(), answer.text(38));
    let remaining_minor = 42_00;
    assert_eq!(seen.standing, Standing::Held { remaining_minor });
}

#[tokio::test]
async fn wrong_card_details_are_declined_and_hold_nothing() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let key = DEVELOPMENT_ZONE_PIN_KEY_HEX;
    for pan in ["4111111111111111", "5555555555554444"] {
        let right_pin = pin_block(key, "1234", pan).unwrap().unwrap();
        let wrong_pin = pin_block(key, "4321", pan).unwrap().unwrap();
        let cases: [(&str, &str, Option<[u8; 8]>, &str); 6] = [
            ("3011", "9203123", None, "54"),
            ("3012", "9203999", None, "N7"),
            // A CVV2 behind another sub-element is found; a DE 48 that is no list is refused.
            ("3012", "0102XY9203999", None, "N7"),
            ("3012", "92x3123", None, "30"),
            ("3012", "9203123", Some(wrong_pin), "55"),
            ("3012", "9203123", Some(right_pin), "00"),
        ];
        for (expiry, additional, pin, expected) in cases {
            let mut request = switch.authorization(pan, 10_00);
            request.text(14, expiry).text(48, additional);
            if let Some(pin) = pin {
                request.bytes(52, &pin);
            }
            let code = switch.ask(&request).await.code();
            assert_eq!(code, expected, "{pan} {expiry} {additional}");
        }
        let issuer = if pan.starts_with('4') {
            "issuer-a"
        } else {
            "issuer-b"
        };
        assert_eq!(banks.held(issuer, pan, "EUR"), 10_00);
    }
}

#[tokio::test]
async fn a_card_takes_three_wrong_pins() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let pan = "2223003122003222";
    let block = |pin| {
        pin_block(DEVELOPMENT_ZONE_PIN_KEY_HEX, pin, pan)
            .unwrap()
            .unwrap()
    };
    for (pin, expected) in [
        ("1111", "55"),
        ("1234", "00"),
        ("1111", "55"),
        ("2222", "55"),
        ("3333", "55"),
        ("1234", "75"),
    ] {
        let mut request = switch.authorization(pan, 1_00);
        request.bytes(52, &block(pin));
        assert_eq!(switch.ask(&request).await.code(), expected, "{pin}");
    }
}

#[tokio::test]
async fn a_card_that_nobody_issued_and_a_currency_without_account_are_declined() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    for (pan, currency, expected) in [
        ("4012888888881881", "978", "14"),
        ("9999999999999995", "978", "14"),
        ("4111111111111111", "986", "57"),
        ("4111111111111111", "000", "57"),
    ] {
        let request = switch.payment(iso8583::Mti::AUTHORIZATION_REQUEST, pan, 1_00, currency);
        let code = switch.ask(&request).await.code();
        assert_eq!(code, expected, "{pan} {currency}");
    }
}
