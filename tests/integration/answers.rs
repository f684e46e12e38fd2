//! Authorizations that a bank answers, each in its own way: every test card, every token, every amount
//! that provokes an answer.

use bank_sim::issuer::Standing;
use bank_sim::test_cards::{PROVOKING_AMOUNTS, TEST_CARDS};
use futures_util::future::join_all;
use payswitch::card::test_methods::TEST_METHODS;
use payswitch::merchant_api::pb;
use pb::{DeclineAdvice as Advice, DeclineReason as Reason, PaymentState as State};

use crate::database::Engine;
use crate::faults::{change, fault_of, inject};
use crate::harness::{
    ANSWER_WITHIN, Switch, authorize, on_both_engines, pay_with, response_code, timed,
};
use crate::sealing::card;
use crate::unknown_outcomes::{assert_owes_a_reversal, reversed};

on_both_engines!(
    what_amount_and_code_say_together_is_what_the_merchant_is_told,
    every_test_card_ends_as_documented,
    every_test_token_ends_as_its_card_does,
    every_amount_that_provokes_an_answer_gets_it,
);

/// What an answer is changed to, and what becomes of the payment: an approval of another amount is none, and a
/// copy may be approved.
async fn what_amount_and_code_say_together_is_what_the_merchant_is_told(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let pending = |reason| (State::Authorizing, Some(reason), None);
    let declined = |reason, advice| (State::Declined, None, Some((reason, advice)));
    use pb::PendingReason::{AmountDiffers, DuplicateAtBank};
    let table = [
        (4, "000000000500", pending(AmountDiffers)),
        (4, "000000000000", pending(AmountDiffers)),
        (49, "", (State::Authorized, None, None)),
        (39, "10", pending(AmountDiffers)),
        (39, "32", pending(AmountDiffers)),
        (39, "94", pending(DuplicateAtBank)),
        (39, "25", pending(pb::PendingReason::AnswerNotUnderstood)),
        (
            39,
            "R1",
            declined(Reason::StoppedByCardholder, Advice::DoNotRetry),
        ),
        (
            39,
            "1A",
            declined(Reason::AuthenticationRequired, Advice::Authenticate),
        ),
    ];
    let (mut owed, mut held_minor) = (Vec::new(), 0);
    for (amount_minor, (de, value, (state, pending, decline))) in (20_001..).zip(table) {
        inject(&switch, fault_of("0100", amount_minor, change(de, value))).await;
        let request = pay_with("pm_test_visa", amount_minor, "EUR");
        let payment = authorize(&mut payments, request).await;
        assert_eq!(payment.state(), state, "DE {de} = {value}: {payment:?}");
        let told = payment.decline.as_ref();
        let told = told.map(|decline| (decline.reason(), decline.advice()));
        assert_eq!(told, decline, "DE {de} = {value}");
        if let Some(reason) = pending {
            assert_owes_a_reversal(&switch, &payment, reason).await;
            owed.push(payment.payment_id);
        } else {
            // The fault changes the answer alone: the issuer holds what the acquirer then declines.
            held_minor += amount_minor;
        }
    }
    // What is pending is never declined: what the bank holds is given back.
    for payment_id in owed {
        reversed(&mut payments, &payment_id).await;
    }
    let books = switch.banks.books("issuer-a").expect("books");
    let account = books.account("4242424242424242", "EUR");
    assert_eq!(account.map(|account| account.held_minor), Some(held_minor));
}

/// A test card, what becomes of it, and why.
type Documented = (&'static str, State, &'static str, Option<(Reason, Advice)>);

const DOCUMENTED: [Documented; 17] = {
    use Advice::{CorrectEntry, DoNotRetry, RetryLater, UseAnotherCard};
    const fn declined(
        pan: &'static str,
        code: &'static str,
        reason: Reason,
        advice: Advice,
    ) -> Documented {
        (pan, State::Declined, code, Some((reason, advice)))
    }
    [
        ("4111111111111111", State::Authorized, "00", None),
        ("4242424242424242", State::Authorized, "00", None),
        ("5555555555554444", State::Authorized, "00", None),
        ("5105105105105100", State::Authorized, "00", None),
        ("2223003122003222", State::Authorized, "00", None),
        ("378282246310005", State::Authorized, "00", None),
        declined(
            "4000000000009995",
            "51",
            Reason::InsufficientFunds,
            RetryLater,
        ),
        declined("4000000000000069", "54", Reason::ExpiredCard, CorrectEntry),
        declined("4000000000009987", "41", Reason::LostCard, DoNotRetry),
        declined("4000000000009979", "43", Reason::StolenCard, DoNotRetry),
        declined(
            "4000000000006207",
            "62",
            Reason::NotPermitted,
            UseAnotherCard,
        ),
        declined("4000000000000127", "N7", Reason::CvvMismatch, CorrectEntry),
        declined("4000000000006108", "61", Reason::LimitExceeded, RetryLater),
        ("4000000000006710", State::Authorized, "00", None),
        declined(
            "6011111111111117",
            "91",
            Reason::IssuerUnavailable,
            RetryLater,
        ),
        ("4000000000006009", State::Authorizing, "", None),
        ("4000000000009912", State::Authorizing, "", None),
    ]
};

/// Above the limit of the card that has one, and enough for no other card to notice.
const AMOUNT_MINOR: i64 = 25_000;

/// The payment says what the table says, and nothing that belongs to another state.
fn assert_as_documented(payment: &pb::Payment, documented: &Documented) {
    let (pan, state, code, why) = documented;
    assert_eq!(payment.state(), *state, "{pan}: {payment:?}");
    assert_eq!(response_code(payment), *code, "{pan}");
    let decline = payment
        .decline
        .as_ref()
        .map(|decline| (decline.reason(), decline.advice()));
    assert_eq!(decline, *why, "{pan}");
    let held = match state {
        State::Authorized => AMOUNT_MINOR,
        _ => 0,
    };
    let authorized = payment.authorized_amount.as_ref().expect("an amount");
    assert_eq!(authorized.amount_minor, held, "{pan}");
    assert_eq!(payment.pending.is_some(), *state == State::Authorizing);
    if let Some(pending) = &payment.pending {
        assert_eq!(pending.reason(), pb::PendingReason::NoAnswerInTime, "{pan}");
        assert!(pending.reversal_owed, "{pan}");
    }
    let shown = payment.card.as_ref().expect("a card");
    assert_eq!(shown.bin, pan[..6]);
    assert_eq!(shown.last4, pan[pan.len() - 4..]);
}

/// The issuer has seen exactly one request, and holds what it says it approved.
fn assert_at_issuer(switch: &Switch, payment: &pb::Payment, documented: &Documented) {
    let (pan, state, code, _) = documented;
    let listed = TEST_CARDS.iter().find(|listed| listed.pan == *pan);
    let issuer = listed.expect("a test card").issuer;
    let Some(books) = switch.banks.books(issuer) else {
        assert_eq!(*code, "91", "only an issuer that is down has no books");
        return;
    };
    let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
    assert_eq!(seen.len(), 1, "{pan}");
    assert_eq!(seen[0].amount_minor, AMOUNT_MINOR, "{pan}");
    assert_eq!(seen[0].currency.as_deref(), Some("EUR"), "{pan}");
    assert_eq!(seen[0].terminal, "WEB00001", "{pan}");
    let (standing, answered) = match state {
        State::Declined => (Standing::Declined, *code),
        // An answer that is late or never sent is an approval, which the gateway can't know.
        _ => (
            Standing::Held {
                remaining_minor: AMOUNT_MINOR,
            },
            "00",
        ),
    };
    // Its reversal may have come since.
    let reversed = payment.pending.is_some() && seen[0].standing == Standing::Reversed;
    assert!(reversed || seen[0].standing == standing, "{pan}: {seen:?}");
    assert_eq!(seen[0].response_code.as_str(), answered, "{pan}");
    let authorization = payment.authorization.as_ref().expect("it is routed");
    if !authorization.approval_code.is_empty() {
        assert_eq!(
            seen[0].approval_code.as_deref(),
            Some(&*authorization.approval_code)
        );
        assert!(authorization.expire_time.is_some());
    }
}

async fn every_test_card_ends_as_documented(engine: Engine) {
    assert_eq!(DOCUMENTED.len(), TEST_CARDS.len());
    let switch = Switch::start(engine).await;
    let payments = switch.payments().await;
    let visits = DOCUMENTED.iter().map(|documented| {
        let request = switch.pay_sealed(&card(documented.0), AMOUNT_MINOR, "EUR");
        let mut payments = payments.clone();
        async move { (documented, timed(&mut payments, request).await) }
    });
    let visited = join_all(visits).await;
    for (documented, (payment, took)) in &visited {
        assert!(*took < ANSWER_WITHIN, "{}: {took:?}", documented.0);
        assert_as_documented(payment, documented);
        assert_at_issuer(&switch, payment, documented);
    }
    assert_eq!(switch.at_acquirer(), 17);
    // The acquirer answers for the issuer that is down.
    assert_eq!(
        switch.at_issuer("issuer-a") + switch.at_issuer("issuer-b"),
        16
    );
    assert_eq!(switch.database.count("payments").await, 17);
    assert_eq!(switch.database.reversals().await, 2);
}

async fn every_test_token_ends_as_its_card_does(engine: Engine) {
    let switch = Switch::start(engine).await;
    let payments = switch.payments().await;
    let mut pans: Vec<_> = TEST_METHODS.iter().map(|method| method.pan).collect();
    let mut listed: Vec<_> = TEST_CARDS.iter().map(|card| card.pan).collect();
    pans.sort_unstable();
    listed.sort_unstable();
    assert_eq!(
        pans, listed,
        "the tokens stand for the banks' own test cards"
    );
    for method in TEST_METHODS {
        let card = TEST_CARDS.iter().find(|card| card.pan == method.pan);
        assert_eq!(
            card.map(|card| card.cvv2),
            Some(method.cvv),
            "{}",
            method.token
        );
    }
    let visits = TEST_METHODS.iter().map(|method| {
        let mut payments = payments.clone();
        async move {
            let request = pay_with(method.token, AMOUNT_MINOR, "EUR");
            (method, timed(&mut payments, request).await)
        }
    });
    for (method, (payment, took)) in join_all(visits).await {
        let documented = DOCUMENTED
            .iter()
            .find(|documented| documented.0 == method.pan);
        assert_as_documented(&payment, documented.expect("a documented card"));
        assert!(took < ANSWER_WITHIN, "{}: {took:?}", method.token);
    }
    assert_eq!(switch.at_acquirer(), 17);
}

/// What each DE 39 that an amount can provoke means to the merchant.
const PROVOKED: [(&str, Reason, Advice); 35] = {
    use Advice::{CorrectEntry, DoNotRetry, RetryLater, UseAnotherCard};
    [
        ("01", Reason::DoNotHonour, UseAnotherCard),
        ("02", Reason::DoNotHonour, UseAnotherCard),
        ("03", Reason::NotPermitted, UseAnotherCard),
        ("04", Reason::SuspectedFraud, DoNotRetry),
        ("05", Reason::DoNotHonour, UseAnotherCard),
        ("06", Reason::BankError, RetryLater),
        ("12", Reason::NotPermitted, UseAnotherCard),
        ("13", Reason::InvalidAmount, UseAnotherCard),
        ("14", Reason::InvalidCardNumber, CorrectEntry),
        ("15", Reason::InvalidCardNumber, CorrectEntry),
        ("19", Reason::BankError, RetryLater),
        ("30", Reason::FormatError, UseAnotherCard),
        ("39", Reason::NotPermitted, UseAnotherCard),
        ("41", Reason::LostCard, DoNotRetry),
        ("43", Reason::StolenCard, DoNotRetry),
        ("46", Reason::AccountClosed, DoNotRetry),
        ("51", Reason::InsufficientFunds, RetryLater),
        ("52", Reason::NotPermitted, UseAnotherCard),
        ("54", Reason::ExpiredCard, CorrectEntry),
        ("55", Reason::IncorrectPin, CorrectEntry),
        ("57", Reason::NotPermitted, UseAnotherCard),
        ("58", Reason::NotPermitted, UseAnotherCard),
        ("59", Reason::SuspectedFraud, DoNotRetry),
        ("61", Reason::LimitExceeded, RetryLater),
        ("62", Reason::NotPermitted, UseAnotherCard),
        ("63", Reason::SuspectedFraud, DoNotRetry),
        ("65", Reason::LimitExceeded, RetryLater),
        ("68", Reason::IssuerUnavailable, RetryLater),
        ("75", Reason::PinTriesExceeded, UseAnotherCard),
        ("78", Reason::Other, UseAnotherCard),
        ("79", Reason::AccountClosed, DoNotRetry),
        ("83", Reason::SuspectedFraud, DoNotRetry),
        ("N7", Reason::CvvMismatch, CorrectEntry),
        ("91", Reason::IssuerUnavailable, RetryLater),
        ("96", Reason::BankError, RetryLater),
    ]
};

async fn every_amount_that_provokes_an_answer_gets_it(engine: Engine) {
    // A duplicate (94) declines nothing: an earlier copy may be approved.
    assert_eq!(PROVOKED.len() + 1, PROVOKING_AMOUNTS.len());
    let switch = Switch::start(engine).await;
    let payments = switch.payments().await;
    // Both issuers: the one behind our codec and the one behind another's.
    for token in ["pm_test_visa", "pm_test_mastercard"] {
        let visits = PROVOKING_AMOUNTS.iter().map(|row| {
            let mut payments = payments.clone();
            let request = pay_with(token, 20_000 + i64::from(row.last_three_digits), "EUR");
            async move { (row, authorize(&mut payments, request).await) }
        });
        for (row, payment) in join_all(visits).await {
            let code = row.response_code.as_str();
            if code == "94" {
                let reason = pb::PendingReason::DuplicateAtBank;
                assert_owes_a_reversal(&switch, &payment, reason).await;
                continue;
            }
            let expected = PROVOKED.iter().find(|expected| expected.0 == code);
            let &(_, reason, advice) = expected.unwrap_or_else(|| panic!("{code} is in the table"));
            assert_eq!(payment.state(), State::Declined, "{code} {token}");
            let decline = payment.decline.expect("a decline");
            assert_eq!(decline.response_code, code);
            assert_eq!(
                (decline.reason(), decline.advice()),
                (reason, advice),
                "{code}"
            );
            assert!(!decline.text.is_empty());
        }
    }
    assert_eq!(switch.at_issuer("issuer-a"), 36);
    assert_eq!(switch.at_issuer("issuer-b"), 36);
    assert_eq!(switch.at_acquirer(), 72);
    for issuer in ["issuer-a", "issuer-b"] {
        let books = switch.banks.books(issuer).expect("books");
        assert!(books.accounts.iter().all(|account| account.held_minor == 0));
    }
}
