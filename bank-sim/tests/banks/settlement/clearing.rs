//! Captures and refunds that travel by file only.

use bank_sim::control::pb::{self, ClearingVerdict as Verdict};
use bank_sim::settlement::{
    Dispute,
    ItemKind::{Capture, Refund},
};

use super::{PAN, TODAY, booked, items};
use crate::control::control;
use crate::harness::Banks;

const HEADER: &str =
    "Record,Business Date,Acceptor,Terminal,Type,RRN,Approval Code,Amount,Currency,Reference\n";

fn parts(file: &str) -> impl Iterator<Item = pb::TakeClearingFileRequest> + use<> {
    let chunks: Vec<Vec<u8>> = file.as_bytes().chunks(7).map(<[u8]>::to_vec).collect();
    chunks.into_iter().map(|chunk| pb::TakeClearingFileRequest {
        host: "acquirer".to_owned(),
        chunk,
    })
}

#[tokio::test]
async fn a_file_is_booked_once_and_makes_debits_of_holds() {
    let banks = Banks::start_on_29_november(|_| {}).await;
    let mut control = control(&banks).await;
    let mut switch = banks.switch().await;
    let before = banks.balance("issuer-a", PAN, "EUR");
    let hold = switch.authorization(PAN, 60_00);
    assert_eq!(switch.ask(&hold).await.code(), "00");
    let rrn = hold.text_of(37).unwrap();
    let line = |kind: &str, rrn: &str, amount: &str| {
        format!("D,2026-11-29,MERCHANT0000001,TERM0001,{kind},{rrn},000001,{amount},EUR,cap_1\n")
    };
    let details = [
        line("SALE", &rrn, "50.00"),
        line("REFUND", &rrn, "20"),
        // Its authorization was another bank's.
        line("SALE", "633399999999", "7.50"),
    ];
    let file = format!("{HEADER}{}T,2026-11-29,,,,,,7750,EUR,3\n", details.concat());
    let mut take = async |file: &str| {
        let answer = control
            .take_clearing_file(tokio_stream::iter(parts(file)))
            .await;
        answer.unwrap().into_inner()
    };
    let wrong = file.replace("7750", "7751");
    let answer = take(&wrong).await;
    assert_eq!(
        (answer.verdict(), answer.fault_count),
        (Verdict::Refused, 1)
    );
    assert_eq!(answer.faults[0].line, 5);
    assert!(answer.faults[0].problem.contains("7750"), "{answer:?}");
    assert!(booked(&banks).is_empty());

    let answer = take(&file).await;
    let counts = (answer.verdict(), answer.item_count, answer.posted_count);
    assert_eq!(counts, (Verdict::Accepted, 3, 2));
    assert_eq!(take(&file).await.verdict(), Verdict::Duplicate);
    assert_eq!(
        booked(&banks),
        [(Capture, 50_00), (Refund, 20_00), (Capture, 7_50)]
    );
    let cards = items(&banks);
    let cards: Vec<_> = cards.iter().map(|item| item.card_masked.as_str()).collect();
    assert_eq!(cards, ["411111******1111", "411111******1111", ""]);
    assert_eq!(banks.held("issuer-a", PAN, "EUR"), 10_00);
    assert_eq!(banks.balance("issuer-a", PAN, "EUR"), before - 30_00);
    let report = banks.sim.settlement_report("acquirer", TODAY).unwrap();
    let report = String::from_utf8(report).unwrap();
    assert!(report.contains("\n<END>,3,20.00,57.50,"), "{report}");
    // A capture that came by file is credited to the card too, where an issuer knows the card.
    for (rrn, is_posted) in [(&*rrn, true), ("633399999999", false)] {
        let dispute = Dispute {
            rrn: rrn.to_owned(),
            amount_minor: None,
            gives_back: false,
        };
        let booked = banks.sim.dispute_item("acquirer", &dispute).unwrap();
        assert_eq!(booked.is_posted, is_posted, "{rrn}");
    }
    assert_eq!(banks.balance("issuer-a", PAN, "EUR"), before + 20_00);
}
