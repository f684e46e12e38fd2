//! Duplicates, reversals, sales, completions, refunds: each has its effect once.

use bank_sim::issuer::Standing;
use iso8583::{MessageBuilder, Mti};

use crate::harness::Banks;
use crate::switch::{Switch, original_data};

const A: (&str, &str) = ("issuer-a", "4111111111111111");
const B: (&str, &str) = ("issuer-b", "5555555555554444");

pub(crate) fn repeated(message: &MessageBuilder) -> MessageBuilder {
    let mut repeat = message.clone();
    repeat.set_mti(message.mti().repeat().unwrap());
    repeat
}

#[tokio::test]
async fn a_duplicate_is_answered_with_94_and_holds_nothing_more() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    for (issuer, pan) in [A, B] {
        let request = switch.authorization(pan, 55_00);
        assert_eq!(switch.ask(&request).await.code(), "00");
        assert_eq!(switch.ask(&request).await.code(), "94");
        assert_eq!(switch.ask(&repeated(&request)).await.code(), "94");
        assert_eq!(banks.held(issuer, pan, "EUR"), 55_00);
    }
    // Straight at the issuer, without the acquirer's own memory.
    let mut line = banks.at_issuer_b().await;
    let request = line.authorization(B.1, 7_00);
    assert_eq!(line.ask(&request).await.code(), "00");
    assert_eq!(line.ask(&request).await.code(), "94");
    assert_eq!(banks.held(B.0, B.1, "EUR"), 62_00);
}

#[tokio::test]
async fn a_reversal_releases_the_hold_however_often_it_comes() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    for (issuer, pan) in [A, B] {
        let request = switch.authorization(pan, 80_00);
        assert_eq!(switch.ask(&request).await.code(), "00");
        assert_eq!(banks.held(issuer, pan, "EUR"), 80_00);
        let reversal = switch.reversal(&request);
        let answer = switch.ask(&reversal).await;
        assert_eq!(answer.mti_and_code(), "0430 00");
        assert_eq!(answer.text(90), reversal.text_of(90).as_deref());
        assert_eq!(banks.held(issuer, pan, "EUR"), 0);
        let answer = switch.ask(&repeated(&reversal)).await;
        assert_eq!(answer.mti_and_code(), "0430 00");
        assert_eq!(banks.held(issuer, pan, "EUR"), 0);
        let books = banks.sim.books(issuer).unwrap();
        assert_eq!(books.exchanges.last().unwrap().standing, Standing::Reversed);
    }
}

#[tokio::test]
async fn a_reversal_of_what_never_came_is_25_and_the_original_is_declined_afterwards() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let mut line = banks.at_issuer_b().await;
    for (line, (issuer, pan)) in [(&mut switch, A), (&mut line, B)] {
        let request = line.authorization(pan, 80_00);
        let reversal = line.reversal(&request);
        assert_eq!(line.ask(&reversal).await.code(), "25");
        assert_eq!(line.ask(&request).await.code(), "05");
        assert_eq!(banks.held(issuer, pan, "EUR"), 0);
    }
}

#[tokio::test]
async fn a_sale_debits_at_once_and_its_reversal_gives_back() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    for (issuer, pan) in [A, B] {
        let before = banks.balance(issuer, pan, "EUR");
        let sale = switch.payment(Mti::FINANCIAL_REQUEST, pan, 30_00, "978");
        let answer = switch.ask(&sale).await;
        assert_eq!(answer.mti_and_code(), "0210 00");
        assert_eq!(banks.balance(issuer, pan, "EUR"), before - 30_00);
        assert_eq!(banks.held(issuer, pan, "EUR"), 0);
        let reversal = switch.reversal(&sale);
        assert_eq!(switch.ask(&reversal).await.code(), "00");
        assert_eq!(banks.balance(issuer, pan, "EUR"), before);
    }
}

#[tokio::test]
async fn a_refund_credits_once() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let before = banks.balance(B.0, B.1, "EUR");
    let mut refund = switch.payment(Mti::FINANCIAL_REQUEST, B.1, 30_00, "978");
    refund.text(3, "200000");
    assert_eq!(switch.ask(&refund).await.code(), "00");
    assert_eq!(switch.ask(&refund).await.code(), "94");
    assert_eq!(banks.balance(B.0, B.1, "EUR"), before + 30_00);
}

pub(crate) fn completion(
    switch: &mut Switch,
    authorization: &MessageBuilder,
    amount_minor: u64,
) -> MessageBuilder {
    let pan = authorization.text_of(2).unwrap();
    let mut advice = switch.payment(Mti::FINANCIAL_ADVICE, &pan, amount_minor, "978");
    advice
        .text(37, &authorization.text_of(37).unwrap())
        .text(90, &original_data(authorization));
    advice
}

#[tokio::test]
async fn a_completion_posts_against_the_hold_once_however_often_it_is_repeated() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    for (issuer, pan) in [A, B] {
        let before = banks.balance(issuer, pan, "EUR");
        let request = switch.authorization(pan, 100_00);
        assert_eq!(switch.ask(&request).await.code(), "00");
        let advice = completion(&mut switch, &request, 40_00);
        let answer = switch.ask(&advice).await;
        assert_eq!(answer.mti_and_code(), "0230 00");
        assert_eq!(switch.ask(&repeated(&advice)).await, answer);
        assert_eq!(banks.balance(issuer, pan, "EUR"), before - 40_00);
        assert_eq!(banks.held(issuer, pan, "EUR"), 60_00);
        // More than is left is refused; the rest empties the hold; then there is nothing to post on.
        let too_much = completion(&mut switch, &request, 60_01);
        assert_eq!(switch.ask(&too_much).await.code(), "61");
        let rest = completion(&mut switch, &request, 60_00);
        assert_eq!(switch.ask(&rest).await.code(), "00");
        assert_eq!(banks.balance(issuer, pan, "EUR"), before - 100_00);
        assert_eq!(banks.held(issuer, pan, "EUR"), 0);
        let more = completion(&mut switch, &request, 1);
        assert_eq!(switch.ask(&more).await.code(), "25");
    }
}
