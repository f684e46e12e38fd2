//! ExplainPayment: finds a payment by whatever names it, and tells everything that is recorded of it in order.

use std::str::FromStr;

use tonic::{Request, Response, Status};

use crate::admin_api::explain::standing::{next, stands};
use crate::admin_api::explain::timeline::{Entry, EntryKind, timeline};
use crate::admin_api::show::errors::payment_not_found;
use crate::admin_api::show::explanation::{entry, explained};
use crate::admin_api::{gate, pb, read};
use crate::clock::Clock;
use crate::flows::authorization::Authorization;
use crate::flows::cancellation::Cancellation;
use crate::flows::capture::Capture;
use crate::flows::increment::Increment;
use crate::flows::refund::Refund;
use crate::flows::reverse::Reverse;
use crate::flows::verification::Verification;
use crate::flows::void::Void;
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::text::Shape;
use crate::grpc::time::timestamp;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::hosts::Hosts;
use crate::hosts::message::contents::{Original, Outgoing};
use crate::operations::flow::Flow as _;
use crate::payment::ids::{HostId, MerchantId, VerificationId};
use crate::payment::moment::UnixMillis;
use crate::payment::record::Payment;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::explain::{PaymentName, PaymentRecords};
use crate::store::records::callers::OperatorRole;

/// Payments that are listed at most where several fit.
const MOST_CANDIDATES: usize = 100;
/// Entries of an explanation at most, so that it fits into a message.
const MOST_ENTRIES: usize = 2_000;
/// The RPCs whose requests are recorded.
const METHODS: [&str; 8] = [
    Authorization::METHOD,
    Verification::METHOD,
    Increment::METHOD,
    Capture::METHOD,
    Void::METHOD,
    Refund::METHOD,
    Reverse::METHOD,
    Cancellation::METHOD,
];

const SUBJECT: Shape = Shape {
    min: 1,
    max: 64,
    allows: |c| matches!(c, ' '..='~'),
    expected: "1 to 64 printable ASCII characters",
};

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    hosts: &Hosts,
    clock: &dyn Clock,
    request: &Request<pb::ExplainPaymentRequest>,
) -> Result<Response<pb::ExplainPaymentResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let subject = read_subject(request.get_ref()).map_err(of_invalid_request)?;
    let found = find(store, &subject).await;
    let mut found = found.map_err(|error| of_unavailable(&error))?;
    if found.len() > 1 {
        let candidates = found
            .iter()
            .map(|(payment, found_by)| explained(payment, found_by));
        return Ok(Response::new(pb::ExplainPaymentResponse {
            explanation: None,
            candidates: candidates.collect(),
        }));
    }
    let Some((payment, found_by)) = found.pop() else {
        let looked_for = subject.names().into_iter().map(|(what, _)| what);
        let looked_for: Vec<_> = looked_for.collect();
        return Err(payment_not_found(&subject.text, &looked_for));
    };
    let payment_shown = explained(&payment, found_by);
    let explanation = explain((store, hosts), clock.now(), payment, payment_shown).await;
    Ok(Response::new(pb::ExplainPaymentResponse {
        explanation: Some(explanation.map_err(|error| of_unavailable(&error))?),
        candidates: Vec::new(),
    }))
}

/// What names the payment.
struct Subject {
    text: String,
    merchant_id: Option<MerchantId>,
    /// The RPCs whose request it may name.
    methods: Vec<&'static str>,
    /// Whether it is the name of a request, and nothing else.
    is_request: bool,
}

fn read_subject(request: &pb::ExplainPaymentRequest) -> Result<Subject, InvalidRequest> {
    let mut findings = Findings::default();
    let found = &mut findings;
    let text = SUBJECT.read(found, "subject", request.subject.clone());
    let merchant_id = match request.merchant_id.as_str() {
        "" => Some(None),
        text => read::merchant_id(found, text).map(Some),
    };
    let is_request = !request.method.is_empty();
    let methods = METHODS
        .into_iter()
        .filter(|method| !is_request || *method == request.method);
    let methods: Vec<_> = methods.collect();
    if methods.is_empty() {
        let expected = format!("one of {}", METHODS.join(", "));
        found.add("method", &expected, "another name");
    }
    let subject = text.zip(merchant_id).map(|(text, merchant_id)| Subject {
        text,
        merchant_id,
        methods,
        is_request,
    });
    // Without a merchant no index finds a reference or a request.
    if subject
        .as_ref()
        .is_some_and(|subject| subject.names().is_empty())
    {
        let expected = "the merchant where the subject is a reference or a request_id: it is no id that begins with \
                        pay_, op_, cap_, ref_ or ver_, and no RRN of twelve letters or digits";
        found.add("merchant_id", expected, "none");
    }
    findings.finish(subject)
}

impl Subject {
    /// Everything that the subject may be: in words, and as it is looked up.
    fn names(&self) -> Vec<(&'static str, PaymentName<'_>)> {
        let text = self.text.as_str();
        let mut names = Vec::new();
        if !self.is_request {
            let verified = |id: VerificationId| PaymentName::Payment(id.payment_id());
            let of_rrn = |rrn| PaymentName::Rrn(rrn, self.merchant_id);
            let ids = [
                ("the payment's id", named(text, PaymentName::Payment)),
                (
                    "the id of an operation",
                    named(text, PaymentName::Operation),
                ),
                ("the id of a capture", named(text, PaymentName::Capture)),
                ("the id of a refund", named(text, PaymentName::Refund)),
                ("the id of a verification", named(text, verified)),
                ("the RRN of an operation", named(text, of_rrn)),
            ];
            let ids = ids.into_iter().map(|(what, name)| Some((what, name?)));
            names.extend(ids.flatten());
        }
        if let Some(merchant) = self.merchant_id {
            if !self.is_request {
                names.push((
                    "the merchant's reference",
                    PaymentName::MerchantReference(merchant, text),
                ));
            }
            names.push((
                "the request_id of a request",
                PaymentName::Request(merchant, &self.methods, text),
            ));
        }
        names
    }
}

fn named<'a, I: FromStr>(
    text: &str,
    name: impl FnOnce(I) -> PaymentName<'a>,
) -> Option<PaymentName<'a>> {
    text.parse().ok().map(name)
}

/// The payments that fit, newest first, each with what the subject is to it.
async fn find(
    store: &Store,
    subject: &Subject,
) -> Result<Vec<(Payment, &'static str)>, StoreError> {
    let mut found: Vec<(Payment, &'static str)> = Vec::new();
    for (what, name) in subject.names() {
        for payment in store.payments_named(name, MOST_CANDIDATES).await? {
            if found.iter().all(|(other, _)| other.id != payment.id) {
                found.push((payment, what));
            }
        }
    }
    found.sort_by_key(|(payment, _)| std::cmp::Reverse((payment.created_at, payment.id)));
    found.truncate(MOST_CANDIDATES);
    Ok(found)
}

async fn explain(
    (store, hosts): (&Store, &Hosts),
    now: UnixMillis,
    payment: Payment,
    shown: pb::ExplainedPayment,
) -> Result<pb::PaymentExplanation, StoreError> {
    let records = store.payment_records(payment).await?;
    let mut entries = timeline(&records);
    let left_out = entries.len().saturating_sub(MOST_ENTRIES);
    entries.drain(..left_out);
    with_elements((store, hosts), &records, &mut entries).await?;
    let views = hosts.views();
    let blocked = |host_id: HostId| {
        let Some(host) = views.iter().find(|view| view.status.host_id == host_id) else {
            return Some("there is no such host in the configuration of this gateway");
        };
        match (host.signed_off, host.status.signed_on()) {
            (true, _) => Some("an operator has signed the host off at this gateway"),
            (false, false) => Some("no line to it is signed on at this gateway"),
            (false, true) => None,
        }
    };
    Ok(pb::PaymentExplanation {
        payment: Some(shown),
        stands: stands(&records),
        next: next(&records, now, blocked),
        entries: entries.into_iter().map(entry).collect(),
        entries_left_out: i32::try_from(left_out).unwrap_or(i32::MAX),
        time: Some(timestamp(now)),
    })
}

/// Adds what is known of each message and answer.
async fn with_elements(
    (store, hosts): (&Store, &Hosts),
    records: &PaymentRecords,
    entries: &mut [Entry],
) -> Result<(), StoreError> {
    let payment = &records.payment;
    let merchant = store.merchant(&payment.merchant_id).await?;
    let operation = |id| records.operations.iter().find(|it| Some(it.id) == id);
    for entry in entries {
        let Some(about) = entry.operation_id.and_then(|id| operation(Some(id))) else {
            continue;
        };
        match (entry.kind, &merchant) {
            (EntryKind::Message, Some(merchant)) => {
                let original = operation(about.original_id);
                entry.elements = hosts.shown_request(Outgoing {
                    original: original.map(|original| Original::in_payment(original, payment)),
                    ..Outgoing::first(about, merchant, None)
                });
            }
            (EntryKind::Answer, _) => entry.elements = hosts.shown_answer(about),
            _ => {}
        }
    }
    Ok(())
}
