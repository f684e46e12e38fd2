//! A switch whose totals are not the bank's uploads its batch, and that is what counts from then on.

use bank_sim::settlement::ItemKind::Capture;

use super::{PAN, Sums, booked, items, sale, totals, upload};
use crate::harness::Banks;
use crate::postings::{completion, repeated};

#[tokio::test]
async fn what_was_uploaded_is_what_the_next_totals_are_compared_with() {
    let banks = Banks::start_on_29_november(|_| {}).await;
    let mut switch = banks.switch().await;
    // One item with another amount, one that the switch does not know, and one that the bank booked too late.
    let differs = sale(&mut switch, 30_00);
    let unknown_there = sale(&mut switch, 7_00);
    for bought in [&differs, &unknown_there] {
        assert_eq!(switch.ask(bought).await.code(), "00");
    }
    banks
        .sim
        .misbook_item("acquirer", &differs.text_of(37).unwrap(), 1)
        .unwrap();
    let asked = totals(&mut switch, "1129", Sums::captures(3, 75_00));
    assert_eq!(switch.ask(&asked).await.text(66), Some("2"));
    let too_late = sale(&mut switch, 40_00);
    assert_eq!(switch.ask(&too_late).await.code(), "00");
    // And one that the bank never had.
    let unknown_here = sale(&mut switch, 5_00);
    for (item, amount_minor) in [(&differs, 30_00), (&too_late, 40_00), (&unknown_here, 5_00)] {
        let uploaded = upload(&mut switch, item, "1129", amount_minor);
        let answer = switch.ask(&uploaded).await;
        assert_eq!(answer.mti_and_code(), "0330 00");
        for de in [3, 4, 7, 11, 15, 37, 41, 42, 49] {
            assert_eq!(answer.text(de), uploaded.text_of(de).as_deref(), "DE {de}");
        }
        assert_eq!(switch.ask(&repeated(&uploaded)).await.code(), "00");
    }
    for _ in 0..2 {
        let asked = totals(&mut switch, "1129", Sums::captures(3, 75_00));
        assert_eq!(switch.ask(&asked).await.text(66), Some("1"));
    }
    // What the switch did not upload is of the next date.
    let next = totals(&mut switch, "1130", Sums::captures(1, 7_00));
    assert_eq!(switch.ask(&next).await.text(66), Some("1"));
    assert_eq!(items(&banks).len(), 4);
}

#[tokio::test]
async fn an_item_that_came_by_upload_and_is_not_uploaded_again_is_gone() {
    let banks = Banks::start_on_29_november(|_| {}).await;
    let mut switch = banks.switch().await;
    let bought = sale(&mut switch, 30_00);
    assert_eq!(switch.ask(&bought).await.code(), "00");
    let invented = sale(&mut switch, 9_00);
    for item in [&bought, &invented] {
        let uploaded = upload(&mut switch, item, "1129", 9_00);
        assert_eq!(switch.ask(&uploaded).await.code(), "00");
    }
    let asked = totals(&mut switch, "1129", Sums::captures(2, 18_00));
    assert_eq!(switch.ask(&asked).await.text(66), Some("1"));
    let uploaded = upload(&mut switch, &bought, "1129", 30_00);
    assert_eq!(switch.ask(&uploaded).await.code(), "00");
    let asked = totals(&mut switch, "1129", Sums::captures(1, 30_00));
    assert_eq!(switch.ask(&asked).await.text(66), Some("1"));
    assert_eq!(booked(&banks), [(Capture, 30_00)]);
}

#[tokio::test]
async fn parts_of_one_authorization_are_uploaded_one_by_one() {
    let banks = Banks::start_on_29_november(|_| {}).await;
    let mut switch = banks.switch().await;
    let hold = switch.authorization(PAN, 100_00);
    assert_eq!(switch.ask(&hold).await.code(), "00");
    for amount_minor in [40_00, 20_00, 20_00] {
        let advice = completion(&mut switch, &hold, amount_minor);
        assert_eq!(switch.ask(&advice).await.code(), "00");
    }
    // In another order, and one of them not.
    for amount_minor in [20_00, 40_00] {
        let uploaded = upload(&mut switch, &hold, "1129", amount_minor);
        assert_eq!(switch.ask(&uploaded).await.code(), "00");
    }
    let asked = totals(&mut switch, "1129", Sums::captures(2, 60_00));
    assert_eq!(switch.ask(&asked).await.text(66), Some("1"));
    assert_eq!(
        booked(&banks),
        [(Capture, 40_00), (Capture, 20_00), (Capture, 20_00)]
    );
}

#[tokio::test]
async fn an_upload_without_what_it_needs_is_refused() {
    let banks = Banks::start_on_29_november(|_| {}).await;
    let mut switch = banks.switch().await;
    let bought = sale(&mut switch, 30_00);
    for de in [3, 4, 7, 15, 37, 41, 42, 49] {
        let mut uploaded = upload(&mut switch, &bought, "1129", 30_00);
        uploaded.remove(de);
        let answer = switch.ask(&uploaded).await;
        assert_eq!(answer.mti_and_code(), "0330 30", "DE {de}");
        assert_eq!(answer.text(66), None);
    }
    let mut request = upload(&mut switch, &bought, "1129", 30_00);
    request.set_mti("0300".parse().unwrap());
    assert_eq!(switch.ask(&request).await.mti_and_code(), "0310 12");
    assert!(items(&banks).is_empty());
}
