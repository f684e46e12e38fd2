//! Totals: the bank compares them with what it has booked.

use bank_sim::control::pb::{self, fault::What};
use iso8583::MessageBuilder;
use tonic::Code;

use super::{PAN, Sums, TODAY, booked, items, refund, sale, totals};
use crate::control::{control, inject};
use crate::harness::Banks;
use crate::postings::repeated;
use crate::switch::{Answer, Switch};

/// DE 39 and 66.
fn verdict(answer: &Answer) -> (String, &str) {
    (answer.mti_and_code(), answer.text(66).unwrap())
}

async fn told_date() -> Banks {
    Banks::start_on_29_november(|config| {
        config.acquirer.as_mut().unwrap().settlement_date = true;
    })
    .await
}

async fn pay(switch: &mut Switch, message: &MessageBuilder) -> Answer {
    let answer = switch.ask(message).await;
    assert_eq!(answer.code(), "00");
    answer
}

#[tokio::test]
async fn what_is_reconciled_with_a_date_stays_of_it_and_what_comes_later_is_of_a_later_one() {
    let banks = told_date().await;
    let mut switch = banks.switch().await;
    let bought = sale(&mut switch, 30_00);
    pay(&mut switch, &bought).await;
    let returned = refund(&mut switch, 5_00);
    pay(&mut switch, &returned).await;
    let sums = Sums {
        captures: (1, 30_00),
        refunds: (1, 5_00),
    };
    let asked = totals(&mut switch, "1129", sums);
    let answer = switch.ask(&asked).await;
    assert_eq!(verdict(&answer), ("0510 00".to_owned(), "1"));
    for de in [7, 11, 12, 13, 15, 32, 50] {
        assert_eq!(answer.text(de), asked.text_of(de).as_deref(), "DE {de}");
    }
    assert_eq!(answer.text(97), None);
    // It is told the day after, although the bank's own date is the same.
    let later = sale(&mut switch, 1_00);
    assert_eq!(pay(&mut switch, &later).await.text(15), Some("1130"));
    // Asked again in whatever way, the same is compared.
    for mti in ["0500", "0520", "0521"] {
        let mut again = totals(&mut switch, "1129", sums);
        again.set_mti(mti.parse().unwrap());
        assert_eq!(switch.ask(&again).await.text(66), Some("1"), "{mti}");
    }
    // What is reconciled is not taken out any more.
    let reversal = switch.reversal(&bought);
    assert_eq!(switch.ask(&reversal).await.code(), "00");
    assert_eq!(booked(&banks).len(), 3);
    let next = totals(&mut switch, "1130", Sums::captures(1, 1_00));
    assert_eq!(switch.ask(&next).await.text(66), Some("1"));
    let dates = items(&banks);
    let dates: Vec<_> = dates.iter().map(|item| item.reconciled_with).collect();
    assert_eq!(dates, [Some(TODAY), Some(TODAY), TODAY.next_day()]);
}

#[tokio::test]
async fn totals_that_are_not_the_banks_get_the_banks_and_the_date_is_closed_all_the_same() {
    let banks = told_date().await;
    let mut control = control(&banks).await;
    let mut switch = banks.switch().await;
    let bought = sale(&mut switch, 30_00);
    pay(&mut switch, &bought).await;
    let mut misbooked = async |rrn: &str, delta_minor| {
        let request = pb::MisbookItemRequest {
            host: "acquirer".to_owned(),
            rrn: rrn.to_owned(),
            delta_minor,
        };
        let answer = control.misbook_item(request).await;
        answer.map(|answer| answer.into_inner().amount)
    };
    let rrn = bought.text_of(37).unwrap();
    assert_eq!(misbooked(&rrn, -1).await.unwrap(), 29_99);
    assert_eq!(
        misbooked(&rrn, -29_99).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(misbooked("0", 1).await.unwrap_err().code(), Code::NotFound);
    let asked = totals(&mut switch, "1129", Sums::captures(1, 30_00));
    let answer = switch.ask(&asked).await;
    assert_eq!(verdict(&answer), ("0510 00".to_owned(), "2"));
    for (de, value) in Sums::captures(1, 29_99).elements() {
        assert_eq!(answer.text(de), Some(value.as_str()), "DE {de}");
    }
    let later = sale(&mut switch, 1_00);
    assert_eq!(pay(&mut switch, &later).await.text(15), Some("1130"));
    // With a sign, a count or an amount that is wrong it is not in balance either; with the bank's own it is.
    for (de, wrong) in [
        (74, "0000000001"),
        (77, "0000000001"),
        (76, "0000000002"),
        (87, "0000000000000001"),
        (88, "0000000000003000"),
        (97, "C0000000000002999"),
    ] {
        let mut asked = totals(&mut switch, "1129", Sums::captures(1, 29_99));
        asked.text(de, wrong);
        assert_eq!(switch.ask(&asked).await.text(66), Some("2"), "DE {de}");
    }
    let asked = totals(&mut switch, "1129", Sums::captures(1, 29_99));
    assert_eq!(switch.ask(&asked).await.text(66), Some("1"));
}

#[tokio::test]
async fn a_scope_is_the_host_an_acceptor_or_a_terminal_in_one_currency() {
    let banks = told_date().await;
    let mut switch = banks.switch().await;
    for (terminal, acceptor, currency, amount_minor) in [
        ("TERM0001", "MERCHANT0000001", "978", 1_00),
        ("TERM0002", "MERCHANT0000001", "978", 2_00),
        ("TERM0001", "MERCHANT0000002", "978", 4_00),
        ("TERM0001", "MERCHANT0000001", "840", 8_00),
    ] {
        let mut bought = sale(&mut switch, amount_minor);
        bought
            .text(41, terminal)
            .text(42, acceptor)
            .text(49, currency);
        pay(&mut switch, &bought).await;
    }
    let mut compare = async |scope: &[(u8, &str)], count, amount_minor| {
        let mut asked = totals(&mut switch, "1129", Sums::captures(count, amount_minor));
        for (de, value) in scope {
            asked.text(*de, value);
        }
        let answer = switch.ask(&asked).await;
        for (de, value) in scope {
            assert_eq!(answer.text(*de), Some(*value));
        }
        assert_eq!(answer.text(66), Some("1"), "{scope:?}");
    };
    let (terminal, acceptor) = ((41, "TERM0001"), (42, "MERCHANT0000001"));
    compare(&[terminal, acceptor], 1, 1_00).await;
    // What one scope has reconciled with a date is of that date in all of them.
    compare(&[acceptor], 2, 3_00).await;
    compare(&[], 3, 7_00).await;
    compare(&[terminal, acceptor], 1, 1_00).await;
    compare(&[(50, "840")], 1, 8_00).await;
    // All of a scope that is reconciled is told the next date, and another currency is not.
    for (terminal, told) in [("TERM0001", "1130"), ("TERM0009", "1130")] {
        let mut bought = sale(&mut switch, 1_00);
        bought.text(41, terminal);
        assert_eq!(pay(&mut switch, &bought).await.text(15), Some(told));
    }
    let mut yen = switch.payment("0200".parse().unwrap(), PAN, 5, "392");
    yen.text(42, "MERCHANT0000002");
    assert_eq!(pay(&mut switch, &yen).await.text(15), Some("1129"));
}

#[tokio::test]
async fn totals_without_what_they_need_are_in_error_and_close_nothing() {
    let banks = told_date().await;
    let mut switch = banks.switch().await;
    let bought = sale(&mut switch, 30_00);
    pay(&mut switch, &bought).await;
    for de in [15, 50, 74, 75, 76, 77, 86, 87, 88, 89, 97] {
        let mut asked = totals(&mut switch, "1129", Sums::captures(1, 30_00));
        asked.remove(de);
        let answer = switch.ask(&asked).await;
        assert_eq!(verdict(&answer), ("0510 30".to_owned(), "3"), "DE {de}");
    }
    for (de, wrong) in [(15, "1332"), (41, "TERM0001")] {
        let mut asked = totals(&mut switch, "1129", Sums::captures(1, 30_00));
        asked.text(de, wrong);
        assert_eq!(switch.ask(&asked).await.text(66), Some("3"), "DE {de}");
    }
    assert_eq!(items(&banks)[0].reconciled_with, None);
    let mut unsigned = banks.unsigned_switch().await;
    let asked = totals(&mut unsigned, "1129", Sums::captures(1, 30_00));
    assert_eq!(unsigned.ask(&asked).await.mti_and_code(), "0510 91");
    assert_eq!(items(&banks)[0].reconciled_with, None);
}

#[tokio::test]
async fn faults_strike_totals_and_the_log_has_them() {
    let banks = told_date().await;
    let mut control = control(&banks).await;
    let mut switch = banks.switch().await;
    let asked = totals(&mut switch, "1129", Sums::captures(0, 0));
    let dropped = What::DropResponse(pb::DropResponse { after_effect: true });
    inject(&mut control, "acquirer", "0500", dropped)
        .await
        .unwrap();
    switch.send(&asked).await;
    let mut advice = asked.clone();
    advice.set_mti("0520".parse().unwrap());
    let changed = What::Change(pb::Change {
        de: 66,
        value: "2".to_owned(),
    });
    inject(&mut control, "acquirer", "0521", changed)
        .await
        .unwrap();
    assert_eq!(switch.ask(&repeated(&advice)).await.text(66), Some("2"));
    // The item that it was too late for is of the next date: the effect was there although no answer came.
    let bought = sale(&mut switch, 1_00);
    assert_eq!(pay(&mut switch, &bought).await.text(15), Some("1130"));
    let query = pb::ListMessagesRequest {
        host: "acquirer".to_owned(),
        ..pb::ListMessagesRequest::default()
    };
    let listed = control.list_messages(query).await.unwrap().into_inner();
    let mtis = listed.messages.iter().map(|message| message.mti.as_str());
    let mtis: Vec<_> = mtis.filter(|mti| mti.starts_with("05")).collect();
    assert_eq!(mtis, ["0500", "0521", "0530"]);
}

#[tokio::test]
async fn the_edition_of_1993_says_it_in_de_39() {
    let banks = Banks::start_on_29_november(|config| {
        config.acquirer.as_mut().unwrap().dialect = "iso1993-ascii".to_owned();
    })
    .await;
    let mut switch = banks.unsigned_switch().await;
    switch.sign_on_1993().await;
    let sale = switch.payment_of_1993("1200", PAN, 30_00);
    assert_eq!(switch.ask(&sale).await.code(), "000");
    let mut said = async |mti: &str, function: &str, amount_minor| {
        let mut asked = MessageBuilder::new(mti.parse().unwrap());
        asked
            .text(11, &switch.next_stan())
            .text(12, "261129230000")
            .text(24, function)
            .text(28, "261129")
            .text(32, "123456")
            .text(50, "978");
        for (de, value) in Sums::captures(1, amount_minor).elements() {
            asked.text(de, &value);
        }
        let answer = switch.ask(&asked).await;
        assert_eq!(answer.text(28), Some("261129"));
        (answer.mti_and_code(), answer.text(88).map(str::to_owned))
    };
    let in_balance = |mti: &str| (format!("{mti} 500"), None);
    assert_eq!(said("1500", "500", 30_00).await, in_balance("1510"));
    assert_eq!(said("1520", "500", 30_00).await, in_balance("1530"));
    let banks_own = Some("0000000000003000".to_owned());
    assert_eq!(
        said("1521", "500", 31_00).await,
        ("1530 501".to_owned(), banks_own)
    );
    assert_eq!(
        said("1520", "502", 30_00).await,
        ("1530 904".to_owned(), None)
    );

    let mut item = MessageBuilder::new("1320".parse().unwrap());
    for de in [3, 37, 41, 42, 49] {
        item.text(de, &sale.text_of(de).unwrap());
    }
    item.number(4, 29_00)
        .text(7, "1129230000")
        .text(11, "000900")
        .text(15, "261129");
    for _ in 0..2 {
        assert_eq!(switch.ask(&item).await.mti_and_code(), "1330 300");
        item = repeated(&item);
    }
    assert_eq!(items(&banks)[0].amount_minor, 29_00);
}
