//! LookupPayment: payments by what a merchant or its bank knows of them.

use tonic::{Request, Response, Status};

use crate::merchant_api::pb;
use crate::merchant_api::pb::lookup_payment_request::Key as PbKey;
use crate::merchant_api::read::text::REFERENCE;
use crate::merchant_api::read::violations::{Findings, InvalidRequest, length_of};
use crate::merchant_api::records::PaymentRecords;
use crate::merchant_api::show::payment::payment;
use crate::merchant_api::show::status;
use crate::merchant_api::transport::gate;
use crate::payment::moment::BusinessDate;
use crate::payment::reference::Rrn;

/// Payments that a look-up gives at most.
const MAX_FOUND: usize = 100;

/// Answers the call.
pub(super) async fn call(
    records: &dyn PaymentRecords,
    request: Request<pb::LookupPaymentRequest>,
) -> Result<Response<pb::LookupPaymentResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let key = read(request.into_inner()).map_err(status::of_invalid_request)?;
    let found = match &key {
        PaymentKey::MerchantReference(reference) => {
            records.by_merchant_reference(&merchant.id, reference).await
        }
        PaymentKey::Rrn { rrn, .. } => records.by_rrn(&merchant.id, *rrn).await,
    };
    let mut found = found.map_err(|error| status::of_unavailable(&error))?;
    if let PaymentKey::Rrn {
        business_date: Some(date),
        ..
    } = key
    {
        found.retain(|payment| payment.business_date == date);
    }
    found.truncate(MAX_FOUND);
    if found.is_empty() {
        return Err(status::payment_not_found());
    }
    Ok(Response::new(pb::LookupPaymentResponse {
        payments: found.into_iter().map(payment).collect(),
    }))
}

/// What is known of a payment that is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PaymentKey {
    /// The merchant's order reference.
    MerchantReference(String),
    /// The bank's number.
    Rrn {
        /// DE 37.
        rrn: Rrn,
        /// The business date; any when not set.
        business_date: Option<BusinessDate>,
    },
}

/// Reads a LookupPaymentRequest.
fn read(request: pb::LookupPaymentRequest) -> Result<PaymentKey, InvalidRequest> {
    let mut findings = Findings::default();
    let found = &mut findings;
    let business_date = business_date(found, &request.business_date);
    let read = match request.key {
        None => {
            found.add("key", "either merchant_reference or rrn", "neither");
            None
        }
        Some(PbKey::MerchantReference(reference)) => {
            if !request.business_date.is_empty() {
                found.add("business_date", "a business date with rrn alone", "both");
            }
            REFERENCE
                .read(found, "merchant_reference", reference)
                .map(PaymentKey::MerchantReference)
        }
        Some(PbKey::Rrn(rrn)) if found.no_clear_card("rrn", &rrn) => {
            let rrn = rrn.parse().map_err(|_| length_of(&rrn));
            let rrn = found.keep("rrn", "twelve letters or digits", rrn);
            rrn.zip(business_date)
                .map(|(rrn, business_date)| PaymentKey::Rrn { rrn, business_date })
        }
        Some(PbKey::Rrn(_)) => None,
    };
    findings.finish(read)
}

/// `Some(None)` when none was sent.
fn business_date(findings: &mut Findings, text: &str) -> Option<Option<BusinessDate>> {
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
    use crate::merchant_api::testing::violated_fields;

    #[test]
    fn a_look_up_is_read() {
        let request = |key, business_date: &str| pb::LookupPaymentRequest {
            key,
            business_date: business_date.into(),
        };
        let reference = |text: &str| Some(PbKey::MerchantReference(text.into()));
        let rrn = |text: &str| Some(PbKey::Rrn(text.into()));
        assert_eq!(
            read(request(reference("order-1"), "")),
            Ok(PaymentKey::MerchantReference("order-1".into()))
        );
        assert_eq!(
            read(request(rrn("632500000042"), "2026-11-21")),
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
            let found = violated_fields(read(wrong).unwrap_err());
            assert_eq!(found, fields);
        }
    }
}
