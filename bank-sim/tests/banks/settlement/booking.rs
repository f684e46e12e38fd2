//! What the acquirer books, and what it takes out again.

use bank_sim::{
    config::HostRules,
    settlement::ItemKind::{Capture, Refund},
};
use iso8583::{MessageBuilder, Mti};

use super::{PAN, TODAY, booked, items, refund, sale};
use crate::harness::Banks;
use crate::postings::{completion, repeated};

#[tokio::test]
async fn what_moves_money_is_booked_once() {
    let banks = Banks::start_on_29_november(|_| {}).await;
    let mut switch = banks.switch().await;
    let bought = sale(&mut switch, 30_00);
    let answer = switch.ask(&bought).await;
    // Nobody asked for it.
    assert_eq!((answer.code().as_str(), answer.text(15)), ("00", None));
    assert_eq!(switch.ask(&bought).await.code(), "94");
    let declined = sale(&mut switch, 76_05);
    assert_eq!(switch.ask(&declined).await.code(), "05");
    let part = switch.payment(Mti::FINANCIAL_REQUEST, "4000000000006710", 600_00, "978");
    assert_eq!(switch.ask(&part).await.code(), "10");
    let returned = refund(&mut switch, 5_00);
    assert_eq!(switch.ask(&returned).await.code(), "00");
    // Two captures of one hold share its RRN; each is an item, and none a second time.
    let hold = switch.authorization(PAN, 100_00);
    assert_eq!(switch.ask(&hold).await.code(), "00");
    for amount_minor in [40_00, 40_00] {
        let advice = completion(&mut switch, &hold, amount_minor);
        assert_eq!(switch.ask(&advice).await.code(), "00");
        assert_eq!(switch.ask(&repeated(&advice)).await.code(), "00");
    }
    let amounts = booked(&banks);
    let expected = [
        (Capture, 30_00),
        (Capture, 500_00),
        (Refund, 5_00),
        (Capture, 40_00),
        (Capture, 40_00),
    ];
    assert_eq!(amounts, expected);
    let first = &items(&banks)[0];
    assert_eq!(
        (first.acceptor.as_str(), first.terminal.as_str()),
        ("MERCHANT0000001", "TERM0001")
    );
    assert_eq!(Some(first.rrn.as_str()), bought.text_of(37).as_deref());
    assert_eq!(Some(first.approval_code.as_str()), answer.text(38));
    assert_eq!(first.card_masked, "411111******1111");
    assert_eq!((first.currency_numeric, first.business_date), (978, TODAY));
}

#[tokio::test]
async fn a_reversal_takes_the_item_out_whether_it_comes_after_the_approval_or_before() {
    let banks = Banks::start_on_29_november(|config| {
        config.issuers[0].late_answer_ms = 300;
    })
    .await;
    let mut switch = banks.switch().await;
    let bought = sale(&mut switch, 30_00);
    switch.ask(&bought).await;
    let hold = switch.authorization(PAN, 100_00);
    switch.ask(&hold).await;
    let captured = completion(&mut switch, &hold, 40_00);
    switch.ask(&captured).await;
    let kept = sale(&mut switch, 7_00);
    switch.ask(&kept).await;
    for original in [&bought, &captured] {
        let reversal = switch.reversal(original);
        assert_eq!(switch.ask(&reversal).await.code(), "00");
    }
    // What is left of the hold goes, what was captured of it has gone by itself.
    let mut part = switch.reversal(&kept);
    part.text(95, &format!("{:012}{:030}", 3_00, 0));
    assert_eq!(switch.ask(&part).await.code(), "00");
    assert_eq!(booked(&banks), [(Capture, 3_00)]);
    assert_eq!(switch.ask(&repeated(&captured)).await.code(), "00");
    assert_eq!(booked(&banks), [(Capture, 3_00)]);

    let late = switch.payment(Mti::FINANCIAL_REQUEST, "4000000000006009", 9_00, "978");
    switch.send(&late).await;
    let reversal = switch.reversal(&late);
    assert_eq!(switch.ask(&reversal).await.mti_and_code(), "0430 00");
    assert_eq!(switch.receive().await.mti_and_code(), "0210 00");
    assert_eq!(booked(&banks), [(Capture, 3_00)]);
}

#[tokio::test]
async fn the_edition_of_1993_is_booked_likewise_and_told_the_date() {
    let banks = Banks::start_on_29_november(|config| {
        let acquirer = config.acquirer.as_mut().unwrap();
        acquirer.dialect = "iso1993-ascii".to_owned();
        acquirer.settlement_date = true;
    })
    .await;
    let mut switch = banks.unsigned_switch().await;
    switch.sign_on_1993().await;
    let mut sale = switch.payment_of_1993("1200", PAN, 30_00);
    let answer = switch.ask(&sale).await;
    assert_eq!(
        (answer.code().as_str(), answer.text(15)),
        ("000", Some("261129"))
    );
    assert_eq!(booked(&banks), [(Capture, 30_00)]);

    let hold = switch.payment_of_1993("1100", PAN, 20_00);
    let answer = switch.ask(&hold).await;
    assert_eq!(
        (answer.code().as_str(), answer.text(15)),
        ("000", Some("261129"))
    );
    let mut capture = switch.payment_of_1993("1220", PAN, 20_00);
    capture
        .text(37, &hold.text_of(37).unwrap())
        .text(56, &original_of_1993(&hold));
    for _ in 0..2 {
        assert_eq!(switch.ask(&capture).await.code(), "000");
        capture = repeated(&capture);
    }
    let mut refund = switch.payment_of_1993("1220", PAN, 4_00);
    refund.text(3, "200000");
    assert_eq!(switch.ask(&refund).await.code(), "000");
    assert_eq!(
        booked(&banks),
        [(Capture, 30_00), (Capture, 20_00), (Refund, 4_00)]
    );

    let original = original_of_1993(&sale);
    sale.set_mti("1420".parse().unwrap());
    for de in [14, 22, 48] {
        sale.remove(de);
    }
    sale.text(11, "000099").text(24, "400").text(56, &original);
    assert_eq!(switch.ask(&sale).await.code(), "400");
    assert_eq!(booked(&banks), [(Capture, 20_00), (Refund, 4_00)]);
}

fn original_of_1993(original: &MessageBuilder) -> String {
    let (stan, at) = (original.text_of(11).unwrap(), original.text_of(12).unwrap());
    format!("{}{stan}{at}06123456", original.mti())
}

/// DE 90 as NPS has it.
fn original_of_nps(original: &MessageBuilder) -> String {
    let text = |de| original.text_of(de).unwrap();
    let named = format!("{}{}{}{}", original.mti(), text(11), text(12), text(13));
    format!("{named}{:0>11}{:0>11}", text(32), "")
}

#[tokio::test]
async fn a_switch_of_nps_captures_and_refunds_by_0120() {
    let banks = Banks::start_on_29_november(|config| {
        let acquirer = config.acquirer.as_mut().unwrap();
        acquirer.rules = HostRules::Nps;
        acquirer.settlement_date = true;
    })
    .await;
    let mut switch = banks.switch().await;
    let before = banks.balance("issuer-a", PAN, "EUR");
    let mut hold = switch.authorization(PAN, 60_00);
    hold.text(48, "05000201051003123");
    let answer = switch.ask(&hold).await;
    assert_eq!(
        (answer.code().as_str(), answer.text(15)),
        ("00", Some("1129"))
    );
    let mut capture = hold.clone();
    capture.set_mti(Mti::AUTHORIZATION_ADVICE);
    capture.text(3, "030000").number(4, 50_00);
    capture.remove(14);
    capture.remove(48);
    for _ in 0..2 {
        let answer = switch.ask(&capture).await;
        assert_eq!(answer.mti_and_code(), "0130 00");
        assert_eq!(answer.text(3), Some("030000"));
    }
    let mut refund = switch.payment(Mti::AUTHORIZATION_ADVICE, PAN, 20_00, "978");
    refund
        .text(3, "200000")
        .text(48, "05000201")
        .text(90, &original_of_nps(&capture));
    assert_eq!(switch.ask(&refund).await.mti_and_code(), "0130 00");
    assert_eq!(booked(&banks), [(Capture, 50_00), (Refund, 20_00)]);
    assert_eq!(banks.held("issuer-a", PAN, "EUR"), 10_00);
    assert_eq!(banks.balance("issuer-a", PAN, "EUR"), before - 30_00);

    // The completion is voided under its own numbers, with a reason.
    let mut void = capture.clone();
    void.set_mti(Mti::REVERSAL_ADVICE);
    void.text(19, "524").text(39, "17").text(48, "05000201");
    void.text(61, "000000000000")
        .text(90, &original_of_nps(&capture));
    assert_eq!(switch.ask(&void).await.mti_and_code(), "0430 00");
    assert_eq!(booked(&banks), [(Refund, 20_00)]);
    void.text(39, "98");
    assert_eq!(switch.ask(&void).await.code(), "CA");
}
