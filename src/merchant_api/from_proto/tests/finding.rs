//! Requests that find payments again: by id, as a list, by what a merchant knows of them.

use super::*;

#[test]
fn payment_ids_are_read() {
    let id = PaymentId::from_parts(UnixMillis::new(1_763_757_000_000), [9; 10]);
    assert_eq!(payment_id(&id.to_string()), Ok(id));
    for text in ["", "pay_1", "op_06e9x3w8k1z7h4n2m5q0r8t6va"] {
        let found = violations(payment_id(text).unwrap_err());
        assert_eq!(found[0].0, "payment_id");
    }
}

#[test]
fn a_list_is_read() {
    let read = list(&pb::ListPaymentsRequest::default()).unwrap();
    assert_eq!(read.filter, PaymentFilter::default());
    assert_eq!(
        (read.order, read.page_size, read.after),
        (ListOrder::NewestFirst, 50, None)
    );
    let found = violations(
        list(&pb::ListPaymentsRequest {
            page_size: 101,
            page_token: "?".into(),
            filter: "amount=5".into(),
            order_by: "amount".into(),
        })
        .unwrap_err(),
    );
    let fields: Vec<&str> = found.iter().map(|(field, _)| *field).collect();
    assert_eq!(fields, ["page_size", "filter", "order_by", "page_token"]);
    for page_size in [-1, i32::MIN, i32::MAX] {
        let request = pb::ListPaymentsRequest {
            page_size,
            ..Default::default()
        };
        assert!(list(&request).is_err(), "{page_size}");
    }
}

#[test]
fn a_page_token_works_for_its_own_filter_and_order_alone() {
    let request = |filter: &str, order_by: &str, page_token: &str| pb::ListPaymentsRequest {
        page_size: 2,
        page_token: page_token.into(),
        filter: filter.into(),
        order_by: order_by.into(),
    };
    let id = PaymentId::from_parts(UnixMillis::new(1_763_757_000_000), [9; 10]);
    let last = PaymentCursor {
        created_at: UnixMillis::new(1_763_757_000_123),
        id,
    };
    let first_page = list(&request("state=AUTHORIZED", "", "")).unwrap();
    let token = first_page.page_token(last);
    let second_page = list(&request("state=AUTHORIZED", "", &token)).unwrap();
    assert_eq!(second_page.after, Some(last));
    // The default order by its name is the same order.
    assert!(list(&request("state=AUTHORIZED", "create_time desc", &token)).is_ok());
    assert!(list(&request("state=DECLINED", "", &token)).is_err());
    assert!(list(&request("state=AUTHORIZED", "create_time asc", &token)).is_err());
    assert!(list(&request("state=AUTHORIZED", "", &token[1..])).is_err());
    // Whichever character is changed, also where the cursor would still be one.
    for place in 0..token.len() {
        let mut changed = token.clone();
        let other = if &token[place..=place] == "A" {
            "B"
        } else {
            "A"
        };
        changed.replace_range(place..=place, other);
        let refused = list(&request("state=AUTHORIZED", "", &changed));
        assert!(refused.is_err(), "{changed}");
    }
    assert!(list(&request("state=AUTHORIZED", "", &"A".repeat(1000))).is_err());
}

#[test]
fn a_look_up_is_read() {
    let request = |key, business_date: &str| pb::LookupPaymentRequest {
        key,
        business_date: business_date.into(),
    };
    let reference = |text: &str| Some(PbKey::MerchantReference(text.into()));
    let rrn = |text: &str| Some(PbKey::Rrn(text.into()));
    assert_eq!(
        lookup(request(reference("order-1"), "")),
        Ok(PaymentKey::MerchantReference("order-1".into()))
    );
    assert_eq!(
        lookup(request(rrn("632500000042"), "2026-11-21")),
        Ok(PaymentKey::Rrn {
            rrn: "632500000042".parse().unwrap(),
            business_date: Some("2026-11-21".parse().unwrap()),
        })
    );
    for (wrong, fields) in [
        (request(None, ""), &["key"][..]),
        (request(reference(""), ""), &["merchant_reference"]),
        (request(reference("a"), "2026-11-21"), &["business_date"]),
        (request(rrn("42"), ""), &["rrn"]),
        (
            request(rrn("632500000042"), "21.11.2026"),
            &["business_date"],
        ),
        (request(rrn(""), "2026-13-01"), &["business_date", "rrn"]),
    ] {
        let found = violations(lookup(wrong).unwrap_err());
        let found: Vec<&str> = found.iter().map(|(field, _)| *field).collect();
        assert_eq!(found, fields);
    }
}
