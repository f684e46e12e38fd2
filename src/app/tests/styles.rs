//! What the end of a message means, by the kind of the operation and how it travels: the table of docs/iso8583.md, row
//! by row.

use std::collections::BTreeMap;

use super::banks::{Answer, Style, host};
use super::model::{Model, Standing, standing};
use super::stage::{Request, Stage, no_payment};
use crate::payment::operation::{Open, OperationState};
use crate::payment::operation_kind::OperationKind;
use crate::store::testing::TestDatabase;

/// The answers of the table's columns: the first, and one that comes late.
const COLUMNS: [(Answer, Option<Answer>); 6] = [
    (Answer::Approved, None),
    (Answer::Declined, None),
    (Answer::NotSent, None),
    (Answer::Lost, None),
    (Answer::Lost, Some(Answer::Approved)),
    (Answer::Lost, Some(Answer::Declined)),
];

#[tokio::test]
async fn each_row_of_the_documented_table_holds() {
    let stage = Stage::new(TestDatabase::sqlite().await, 1).await;
    let text = include_str!("../../../docs/iso8583.md");
    let (_, text) = text
        .split_once("## What the end of a message means")
        .unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    let mut walked = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (kind, way) = (cells[0], cells[1]);
        for ((first, late), expected) in COLUMNS.into_iter().zip(&cells[2..]) {
            let got = came_to(&stage, kind, way, first, late).await;
            assert_eq!(got, *expected, "{row}: {first:?}, then {late:?}");
        }
        walked.push((kind, way));
    }
    // No pair is left out, and none is there twice.
    let later = ["capture", "void", "refund"].into_iter();
    let pairs = later.flat_map(|kind| ["request", "advice", "file"].map(|way| (kind, way)));
    let expected = [
        ("authorization", "request"),
        ("sale", "request"),
        ("verification", "request"),
        ("increment", "request"),
        ("capture", "request, reversed"),
        ("release", "advice"),
    ];
    let mut expected: Vec<_> = expected.into_iter().chain(pairs).collect();
    expected.sort_unstable();
    walked.sort_unstable();
    assert_eq!(walked, expected);
    for store in stage.stores {
        store.close().await;
    }
}

/// What an operation comes to, in the words of the table.
async fn came_to(
    stage: &Stage,
    kind: &str,
    way: &str,
    first: Answer,
    late: Option<Answer>,
) -> String {
    let style = match way {
        "request, reversed" => Style::Reversed,
        "request" => Style::Waits,
        "advice" => Style::Advice,
        "file" => Style::File,
        other => panic!("{other}"),
    };
    // What comes before it travels as requests, which are approved.
    let request = Style::Waits;
    let (request, styles) = match kind {
        "authorization" => (Request::Pay { is_sale: false }, [request; 3]),
        "sale" => (Request::Pay { is_sale: true }, [request; 3]),
        "verification" => (Request::Verify, [request; 3]),
        "increment" => (Request::Increment(100), [request; 3]),
        // Of a last capture, which is recorded only.
        "release" => (
            Request::LastCapture(Some(400)),
            [Style::File, request, request],
        ),
        "capture" => (Request::Capture(Some(400)), [style, request, request]),
        "void" => (Request::Void, [request, style, request]),
        "refund" => (Request::Refund(Some(100)), [request, request, style]),
        other => panic!("{other}"),
    };
    let mut before = Vec::new();
    if !matches!(request, Request::Pay { .. } | Request::Verify) {
        before.push(Request::Pay { is_sale: false });
    }
    if let Request::Refund(_) = request {
        before.push(Request::Capture(Some(400)));
    }
    let shop = stage.merchant(host(styles), &[Answer::Approved]).await;
    let mut payment_id = no_payment();
    for request in before {
        // Requests of two methods may have the same name.
        let told = shop.ask(0, payment_id, "before", request);
        payment_id = told.await.unwrap().payment.id;
    }
    shop.answers(&[first]);
    let told = shop.ask(0, payment_id, "it", request).await.unwrap();
    payment_id = told.payment.id;
    let recorded = shop.store().operations_of(payment_id).await.unwrap();
    let release = recorded
        .into_iter()
        .find(|it| it.kind == OperationKind::Release);
    let it = release.unwrap_or(*told.operation);
    // The advice leaves; a reversal waits.
    if it.state == OperationState::Queued {
        shop.machines[0]
            .send_owed_of(payment_id, &shop.merchant)
            .await;
    }
    let id = it.id;
    if shop.given(id).is_empty() {
        assert_eq!(it.state, OperationState::Recorded);
        if (first, late) != COLUMNS[0] {
            return "-".to_owned();
        }
    }
    if let Some(late) = late {
        shop.hears_late(&it, late).await;
    }
    let operations = shop.store().operations_of(payment_id).await.unwrap();
    let operation = operations.iter().find(|it| it.id == id).unwrap();
    let mut shown = match standing(operation) {
        Standing::Counts => "counts",
        Standing::Pending => "pending",
        Standing::Gone => "no effect",
    }
    .to_owned();
    match operation.state {
        OperationState::Suspended { .. } => shown.push_str(", suspended"),
        _ if operation.state.open() == Open::Owed => shown.push_str(", sent again"),
        _ => {}
    }
    let reversal = operations
        .iter()
        .find(|it| it.kind == OperationKind::Reversal);
    match reversal.map(|it| &it.state) {
        None | Some(OperationState::Cancelled) => {}
        Some(OperationState::Queued) => shown.push_str(", a reversal is owed"),
        Some(other) => panic!("{other:?}"),
    }
    let model = Model {
        operations: operations.iter().collect(),
        heard: BTreeMap::new(),
        has_expired: false,
    };
    if kind == "verification" {
        return shown;
    }
    let payment = shop.payment(payment_id).await;
    assert_eq!(payment.amounts, model.amounts());
    assert_eq!(payment.state.name(), model.state());
    shown
}
