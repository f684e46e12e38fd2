//! LookupPayment: payments by what a merchant or its bank knows of them.

use tonic::{Request, Response, Status};

use super::views::PaymentViews;
use crate::flows::authorization::Authorization;
use crate::grpc::status;
use crate::grpc::text::{REQUEST_ID, Shape};
use crate::grpc::violations::{Findings, InvalidRequest, length_of};
use crate::merchant_api::pb;
use crate::merchant_api::pb::lookup_payment_request::Key as PbKey;
use crate::merchant_api::read::text::{REFERENCE, is_printable_ascii};
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;
use crate::operations::flow::Flow as _;
use crate::payment::ids::{HostId, MerchantId};
use crate::payment::moment::NumberDate;
use crate::payment::record::Payment;
use crate::payment::reference::Rrn;
use crate::store::Store;
use crate::store::error::StoreError;

/// Payments that a look-up gives at most.
const MAX_FOUND: usize = 100;

const APPROVAL_CODE: Shape = Shape {
    min: 1,
    max: 6,
    allows: is_printable_ascii,
    expected: "1 to 6 printable ASCII characters",
};

/// Answers the call.
pub(super) async fn call(
    views: &PaymentViews,
    request: Request<pb::LookupPaymentRequest>,
) -> Result<Response<pb::LookupPaymentResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let key = read(request.into_inner()).map_err(status::of_invalid_request)?;
    let store = &views.store;
    let found = match &key {
        PaymentKey::MerchantReference(reference) => {
            store
                .payments_by_merchant_reference(&merchant.id, reference)
                .await
        }
        PaymentKey::RequestId(request_id) => {
            let found = by_request_id(store, &merchant.id, request_id).await;
            found.map(|found| found.into_iter().collect())
        }
        PaymentKey::Rrn { rrn, .. } => store.payments_by_rrn(&merchant.id, *rrn).await,
        // No index finds it, and a search through all payments would take other merchants' time.
        PaymentKey::ApprovalCode => {
            return Err(errors::not_built(
                "PaymentService/LookupPayment by approval_code",
            ));
        }
    };
    let mut found = found.map_err(|error| status::of_unavailable(&error))?;
    if let PaymentKey::Rrn {
        business_date,
        host_id,
        ..
    } = key
    {
        found.retain(|payment| {
            let sent = &payment.authorization;
            business_date.is_none_or(|date| NumberDate::of(sent.transmitted_at) == date)
                && host_id.is_none_or(|host_id| sent.host_id == host_id)
        });
    }
    found.truncate(MAX_FOUND);
    if found.is_empty() {
        return Err(errors::payment_not_found());
    }
    Ok(Response::new(pb::LookupPaymentResponse {
        payments: views
            .of(found)
            .await
            .map_err(|error| status::of_unavailable(&error))?,
    }))
}

/// The payment that the merchant's AuthorizePayment with this request_id made.
async fn by_request_id(
    store: &Store,
    merchant_id: &MerchantId,
    request_id: &str,
) -> Result<Option<Payment>, StoreError> {
    let answer = store
        .find_answer(merchant_id, Authorization::METHOD, request_id)
        .await?;
    match answer {
        Some(answer) => store.payment(merchant_id, answer.payment_id).await,
        None => Ok(None),
    }
}

/// What is known of a payment that is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PaymentKey {
    /// The merchant's order reference.
    MerchantReference(String),
    /// The merchant's name of the request that made it.
    RequestId(String),
    /// The bank's number.
    Rrn {
        /// DE 37.
        rrn: Rrn,
        /// The date that it belongs to; any when not set.
        business_date: Option<NumberDate>,
        /// The host that knows it by this number; any when not set.
        host_id: Option<HostId>,
    },
    /// The issuer's approval code.
    ApprovalCode,
}

/// Reads a LookupPaymentRequest.
fn read(request: pb::LookupPaymentRequest) -> Result<PaymentKey, InvalidRequest> {
    let mut findings = Findings::default();
    let found = &mut findings;
    let business_date = business_date(found, &request.business_date);
    let host_id = host_id(found, &request.host_id);
    if !matches!(request.key, None | Some(PbKey::Rrn(_))) && !request.business_date.is_empty() {
        found.add("business_date", "a business date with rrn alone", "both");
    }
    if !matches!(
        request.key,
        None | Some(PbKey::Rrn(_) | PbKey::ApprovalCode(_))
    ) && !request.host_id.is_empty()
    {
        let expected = "a host with rrn or approval_code alone";
        found.add("host_id", expected, "both");
    }
    let read = match request.key {
        None => {
            let expected = "one of merchant_reference, request_id, rrn, approval_code";
            found.add("key", expected, "none");
            None
        }
        Some(PbKey::MerchantReference(reference)) => REFERENCE
            .read(found, "merchant_reference", reference)
            .map(PaymentKey::MerchantReference),
        Some(PbKey::RequestId(request_id)) => REQUEST_ID
            .read(found, "request_id", request_id)
            .map(PaymentKey::RequestId),
        Some(PbKey::Rrn(rrn)) if found.no_clear_card("rrn", &rrn) => {
            let rrn = rrn.parse().map_err(|_| length_of(&rrn));
            let rrn = found.keep("rrn", "twelve letters or digits", rrn);
            (|| {
                Some(PaymentKey::Rrn {
                    rrn: rrn?,
                    business_date: business_date?,
                    host_id: host_id?,
                })
            })()
        }
        Some(PbKey::Rrn(_)) => None,
        Some(PbKey::ApprovalCode(code)) => APPROVAL_CODE
            .read(found, "approval_code", code)
            .map(|_| PaymentKey::ApprovalCode),
    };
    findings.finish(read)
}

/// `Some(None)` when none was sent.
fn host_id(findings: &mut Findings, text: &str) -> Option<Option<HostId>> {
    if text.is_empty() {
        return Some(None);
    }
    if !findings.no_clear_card("host_id", text) {
        return None;
    }
    let read = text.parse().map_err(|_| length_of(text));
    findings
        .keep("host_id", "the name of a host", read)
        .map(Some)
}

/// `Some(None)` when none was sent.
fn business_date(findings: &mut Findings, text: &str) -> Option<Option<NumberDate>> {
    if text.is_empty() {
        return Some(None);
    }
    if !findings.no_clear_card("business_date", text) {
        return None;
    }
    let read = text.parse().map_err(|_| length_of(text));
    findings.keep("business_date", "YYYY-MM-DD", read).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::testing::violated_fields;

    #[test]
    fn a_look_up_is_read() {
        let request = |key, business_date: &str, host_id: &str| pb::LookupPaymentRequest {
            key,
            business_date: business_date.into(),
            host_id: host_id.into(),
        };
        let reference = |text: &str| Some(PbKey::MerchantReference(text.into()));
        let request_id = |text: &str| Some(PbKey::RequestId(text.into()));
        let rrn = |text: &str| Some(PbKey::Rrn(text.into()));
        let approval_code = |text: &str| Some(PbKey::ApprovalCode(text.into()));
        let by_rrn = |business_date: Option<&str>, host_id: Option<&str>| PaymentKey::Rrn {
            rrn: "632500000042".parse().unwrap(),
            business_date: business_date.map(|date| date.parse().unwrap()),
            host_id: host_id.map(|host_id| host_id.parse().unwrap()),
        };
        let (number, date) = ("632500000042", "2026-11-21");
        for (request, expected) in [
            (
                request(reference("order-1"), "", ""),
                PaymentKey::MerchantReference("order-1".into()),
            ),
            (
                request(request_id("r-1"), "", ""),
                PaymentKey::RequestId("r-1".into()),
            ),
            (request(rrn(number), "", ""), by_rrn(None, None)),
            (
                request(rrn(number), date, "acquirer"),
                by_rrn(Some(date), Some("acquirer")),
            ),
            (
                request(approval_code("A1B2C3"), "", "acquirer"),
                PaymentKey::ApprovalCode,
            ),
        ] {
            assert_eq!(read(request), Ok(expected));
        }
        for (wrong, fields) in [
            (request(None, "", ""), &["key"][..]),
            (request(reference(""), "", ""), &["merchant_reference"]),
            (
                request(reference("a"), date, "acquirer"),
                &["business_date", "host_id"],
            ),
            (request(request_id("a b"), "", ""), &["request_id"]),
            (request(request_id("a"), "", "acquirer"), &["host_id"]),
            (
                request(approval_code("A1B2C3D"), "", ""),
                &["approval_code"],
            ),
            (request(approval_code("A"), date, ""), &["business_date"]),
            (request(rrn("42"), "", ""), &["rrn"]),
            (
                request(rrn(number), "21.11.2026", "A B"),
                &["business_date", "host_id"],
            ),
            (
                request(rrn(""), "2026-13-01", ""),
                &["business_date", "rrn"],
            ),
        ] {
            assert_eq!(violated_fields(read(wrong).unwrap_err()), fields);
        }
    }
}
