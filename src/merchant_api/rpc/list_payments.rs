//! ListPayments: a merchant's payments, page by page.

use tonic::{Request, Response, Status};

use super::views::PaymentViews;
use crate::grpc::status;
use crate::grpc::violations::InvalidRequest;
use crate::merchant_api::pb;
use crate::merchant_api::read::list::FilteredList;
use crate::merchant_api::transport::gate;
use crate::store::records::lists::{PaymentCursor, PaymentFilter};

type List = FilteredList<PaymentFilter, PaymentCursor>;

/// Answers the call.
pub(super) async fn call(
    views: &PaymentViews,
    request: Request<pb::ListPaymentsRequest>,
) -> Result<Response<pb::ListPaymentsResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let list = read(request.get_ref()).map_err(status::of_invalid_request)?;
    let page = views
        .store
        .list_payments(
            &merchant.id,
            &list.filter,
            list.order,
            list.page_size,
            list.after,
        )
        .await
        .map_err(|error| status::of_unavailable(&error))?;
    let next_page_token = list.next_page_token(page.next);
    Ok(Response::new(pb::ListPaymentsResponse {
        payments: views
            .of(page.items)
            .await
            .map_err(|error| status::of_unavailable(&error))?,
        next_page_token,
    }))
}

fn read(request: &pb::ListPaymentsRequest) -> Result<List, InvalidRequest> {
    let conditions = (&*request.filter, &*request.order_by);
    let page = (request.page_size, &*request.page_token);
    List::read("payments", conditions, page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::testing::violated_fields;
    use crate::payment::ids::PaymentId;
    use crate::payment::moment::UnixMillis;
    use crate::store::records::lists::ListOrder;

    #[test]
    fn a_list_is_read() {
        let list = read(&pb::ListPaymentsRequest::default()).unwrap();
        assert_eq!(list.filter, PaymentFilter::default());
        assert_eq!(
            (list.order, list.page_size, list.after),
            (ListOrder::NewestFirst, 50, None)
        );
        let found = violated_fields(
            read(&pb::ListPaymentsRequest {
                page_size: 101,
                page_token: "?".into(),
                filter: "amount=5".into(),
                order_by: "amount".into(),
            })
            .unwrap_err(),
        );
        assert_eq!(found, ["page_size", "filter", "order_by", "page_token"]);
        for page_size in [-1, i32::MIN, i32::MAX] {
            let request = pb::ListPaymentsRequest {
                page_size,
                ..Default::default()
            };
            assert!(read(&request).is_err(), "{page_size}");
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
        let first_page = read(&request("state=AUTHORIZED", "", "")).unwrap();
        let token = first_page.page_tokens.write(last);
        let second_page = read(&request("state=AUTHORIZED", "", &token)).unwrap();
        assert_eq!(second_page.after, Some(last));
        // The default order by its name is the same order.
        assert!(read(&request("state=AUTHORIZED", "create_time desc", &token)).is_ok());
        assert!(read(&request("state=DECLINED", "", &token)).is_err());
        assert!(read(&request("state=AUTHORIZED", "create_time asc", &token)).is_err());
        assert!(read(&request("state=AUTHORIZED", "", &token[1..])).is_err());
        // Whichever character is changed, also where the cursor would still be one.
        for place in 0..token.len() {
            let mut changed = token.clone();
            let other = if &token[place..=place] == "A" {
                "B"
            } else {
                "A"
            };
            changed.replace_range(place..=place, other);
            let refused = read(&request("state=AUTHORIZED", "", &changed));
            assert!(refused.is_err(), "{changed}");
        }
        assert!(read(&request("state=AUTHORIZED", "", &"A".repeat(1000))).is_err());
    }
}
