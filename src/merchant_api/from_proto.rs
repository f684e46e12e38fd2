//! Reads requests: the wire format stops here. What passes has been checked field by field, and a
//! request that does not pass is told everything that is wrong with it at once.

use prost::Message as _;
use ring::digest;

use super::filter;
use super::page_token::PageTokens;
use super::pb;
use super::pb::authorize_payment_request::PaymentMethod as PbPaymentMethod;
use super::pb::lookup_payment_request::Key as PbKey;
use super::violations::{Findings, InvalidRequest, Shape, length_of};
use crate::payment::ids::PaymentId;
use crate::payment::moment::BusinessDate;
use crate::payment::money::{Currency, MAX_AMOUNT_MINOR, Money};
use crate::payment::reference::Rrn;
use crate::store::records::{ListOrder, PaymentCursor, PaymentFilter};

/// The largest page of a list.
const MAX_PAGE_SIZE: usize = 100;
/// The page of a caller who names none.
const DEFAULT_PAGE_SIZE: usize = 50;

const REQUEST_ID: Shape = Shape {
    min: 1,
    max: 64,
    allows: |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'),
    expected: "1 to 64 characters of A-Z a-z 0-9 _ - . :",
};
const REFERENCE: Shape = Shape {
    min: 1,
    max: 64,
    allows: is_printable_ascii,
    expected: "1 to 64 printable ASCII characters",
};
const DESCRIPTION: Shape = Shape {
    min: 0,
    max: 200,
    allows: |c| !c.is_control(),
    expected: "up to 200 characters, none of them a control character",
};
const TERMINAL_ID: Shape = Shape {
    min: 1,
    max: 8,
    allows: |c| c.is_ascii_alphanumeric(),
    expected: "1 to 8 characters of A-Z a-z 0-9, or nothing",
};
const PAYMENT_METHOD_TOKEN: Shape = Shape {
    min: 1,
    max: 64,
    allows: |c| c.is_ascii_alphanumeric() || c == '_',
    expected: "1 to 64 characters of A-Z a-z 0-9 _",
};

fn is_printable_ascii(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// A checked AuthorizePaymentRequest.
#[derive(Debug)]
pub(super) struct Authorize {
    pub(super) request_id: String,
    pub(super) body_hash: [u8; 32],
    pub(super) amount: Money,
    pub(super) merchant_reference: String,
    pub(super) customer_reference: Option<String>,
    pub(super) description: Option<String>,
    pub(super) terminal_id: Option<String>,
    pub(super) payment_method: Method,
}

/// What pays. What a sealed card holds is looked at by `card/` alone.
pub(super) enum Method {
    SealedCard(String),
    Token(String),
}

/// A token is shown; of a sealed card only that it is one.
impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SealedCard(_) => f.write_str("SealedCard"),
            Self::Token(token) => f.debug_tuple("Token").field(token).finish(),
        }
    }
}

/// Reads an AuthorizePaymentRequest.
pub(super) fn authorize(request: pb::AuthorizePaymentRequest) -> Result<Authorize, InvalidRequest> {
    let body_hash = body_hash(&request);
    let mut findings = Findings::default();
    let found = &mut findings;
    let request_id = REQUEST_ID.read(found, "request_id", request.request_id);
    let amount = amount_to_pay(found, request.amount);
    let merchant_reference =
        REFERENCE.read(found, "merchant_reference", request.merchant_reference);
    let customer_reference =
        REFERENCE.read_optional(found, "customer_reference", request.customer_reference);
    let description = DESCRIPTION.read_optional(found, "description", request.description);
    let terminal_id = TERMINAL_ID.read_optional(found, "terminal_id", request.terminal_id);
    let payment_method = payment_method(found, request.payment_method);
    let read = (|| {
        Some(Authorize {
            request_id: request_id?,
            body_hash,
            amount: amount?,
            merchant_reference: merchant_reference?,
            customer_reference: customer_reference?,
            description: description?,
            terminal_id: terminal_id?,
            payment_method: payment_method?,
        })
    })();
    findings.finish(read)
}

/// Reads a merchant's reference of an order as a request's is read: what would be refused later can be
/// refused before a card is sealed for it.
///
/// # Errors
/// Says what was expected and what came instead, without repeating it.
pub fn merchant_reference(text: &str) -> Result<String, String> {
    let mut findings = Findings::default();
    let read = REFERENCE.read(&mut findings, "merchant_reference", text.to_owned());
    findings.finish(read).map_err(|invalid| match invalid {
        InvalidRequest::Violations(violations) => violations
            .into_iter()
            .map(|violation| violation.description)
            .collect(),
        InvalidRequest::ClearCard(_) => {
            format!(
                "expected {}, got a card number in clear",
                REFERENCE.expected
            )
        }
    })
}

/// SHA-256 over the encoded request: what "the same request again" is judged by. Fields that this
/// version does not know are not part of it. The encoding has one form: fields in the order of their
/// numbers, maps in the order of their keys.
fn body_hash(request: &pb::AuthorizePaymentRequest) -> [u8; 32] {
    let hash = digest::digest(&digest::SHA256, &request.encode_to_vec());
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    bytes
}

/// A number of more digits is described by how many it has.
const MOST_DIGITS_SHOWN: usize = 13;

fn amount_to_pay(findings: &mut Findings, amount: Option<pb::Money>) -> Option<Money> {
    let Some(amount) = amount else {
        findings.add("amount", "an amount and its currency", "nothing");
        return None;
    };
    let minor = (1..=MAX_AMOUNT_MINOR).contains(&amount.amount_minor);
    if !minor {
        let got = amount.amount_minor.to_string();
        // Whoever mixes up two fields may have written a card number here.
        if findings.no_clear_card("amount.amount_minor", &got) {
            let digits = got.trim_start_matches('-').len();
            let got = if digits > MOST_DIGITS_SHOWN {
                format!("a number of {digits} digits")
            } else {
                got
            };
            let expected = "1 to 999999999999 minor units";
            findings.add("amount.amount_minor", expected, got);
        }
    }
    let currency = currency(findings, "amount.currency", &amount.currency)?;
    // The range is the domain's own, so that this can only fail where a violation was noted.
    Money::new(amount.amount_minor, currency)
        .ok()
        .filter(|_| minor)
}

fn currency(findings: &mut Findings, field: &'static str, code: &str) -> Option<Currency> {
    /// A longer code is described by its length.
    const MAX_SHOWN: usize = 8;
    if !findings.no_clear_card(field, code) {
        return None;
    }
    let read = code.parse().map_err(|_| {
        if (1..=MAX_SHOWN).contains(&code.len()) && code.chars().all(is_printable_ascii) {
            format!("{code:?}")
        } else {
            length_of(code)
        }
    });
    findings.keep(field, "an ISO 4217 code such as \"EUR\"", read)
}

fn payment_method(findings: &mut Findings, method: Option<PbPaymentMethod>) -> Option<Method> {
    match method {
        None => {
            findings.add(
                "payment_method",
                "either sealed_card or payment_method_token",
                "neither",
            );
            None
        }
        Some(PbPaymentMethod::SealedCard(jwe)) => {
            // Only something else than an envelope can hold a card number in clear.
            (is_shaped_like_jwe(&jwe) || findings.no_clear_card("sealed_card", &jwe))
                .then_some(Method::SealedCard(jwe))
        }
        Some(PbPaymentMethod::PaymentMethodToken(token)) => PAYMENT_METHOD_TOKEN
            .read(findings, "payment_method_token", token)
            .map(Method::Token),
    }
}

/// Five parts in base64url, the first of which is a JSON object (RFC 7516, section 7.1).
fn is_shaped_like_jwe(text: &str) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'_' | b'.');
    // It goes to the end, whatever comes, because without a way out of the loop the compiler makes it
    // look at many bytes at a time.
    let are_base64url = || text.bytes().fold(true, |all, byte| all & base64url(byte));
    let dots = || text.bytes().filter(|&byte| byte == b'.').count();
    text.starts_with("eyJ") && are_base64url() && dots() == 4
}

/// Reads a CreateSealingSessionRequest.
pub(super) fn sealed_session_key(
    request: pb::CreateSealingSessionRequest,
) -> Result<String, InvalidRequest> {
    let mut findings = Findings::default();
    let sealed = request.sealed_session_key;
    let clear =
        !is_shaped_like_jwe(&sealed) && !findings.no_clear_card("sealed_session_key", &sealed);
    findings.finish((!clear).then_some(sealed))
}

/// Reads a payment id.
pub(super) fn payment_id(text: &str) -> Result<PaymentId, InvalidRequest> {
    let mut findings = Findings::default();
    let read = if findings.no_clear_card("payment_id", text) {
        let read = text.parse().map_err(|_| length_of(text));
        findings.keep("payment_id", "\"pay_\" and 26 characters", read)
    } else {
        None
    };
    findings.finish(read)
}

/// A checked ListPaymentsRequest.
#[derive(Debug)]
pub struct List {
    /// Which payments.
    pub filter: PaymentFilter,
    /// In which order.
    pub order: ListOrder,
    /// How many at most.
    pub page_size: usize,
    /// The last payment of the page before.
    pub after: Option<PaymentCursor>,
    /// The page tokens of this filter and order.
    page_tokens: PageTokens,
}

/// Reads a ListPaymentsRequest.
pub(super) fn list(request: &pb::ListPaymentsRequest) -> Result<List, InvalidRequest> {
    let mut findings = Findings::default();
    let found = &mut findings;
    let page_size = page_size(found, request.page_size);
    let filter = if found.no_clear_card("filter", &request.filter) {
        let read = filter::parse(&request.filter);
        found.keep("filter", "conditions joined by AND", read)
    } else {
        None
    };
    let order = match request.order_by.as_str() {
        "" | "create_time desc" => Some(ListOrder::NewestFirst),
        "create_time asc" => Some(ListOrder::OldestFirst),
        other => {
            let expected = "\"create_time desc\" or \"create_time asc\"";
            found.add("order_by", expected, length_of(other));
            None
        }
    };
    let page_tokens = PageTokens::new(&request.filter, order.unwrap_or_default());
    let after = read_page_token(found, &request.page_token, &page_tokens);
    let read = (|| {
        Some(List {
            filter: filter?,
            order: order?,
            page_size: page_size?,
            after: after?,
            page_tokens,
        })
    })();
    findings.finish(read)
}

fn page_size(findings: &mut Findings, page_size: i32) -> Option<usize> {
    match usize::try_from(page_size) {
        Ok(0) => Some(DEFAULT_PAGE_SIZE),
        Ok(size) if size <= MAX_PAGE_SIZE => Some(size),
        _ => {
            findings.add("page_size", "0 to 100", page_size);
            None
        }
    }
}

impl List {
    /// The token of the page that begins after `cursor`.
    pub(super) fn page_token(&self, cursor: PaymentCursor) -> String {
        self.page_tokens.write(cursor)
    }
}

/// `Some(None)` for the first page.
fn read_page_token(
    findings: &mut Findings,
    token: &str,
    page_tokens: &PageTokens,
) -> Option<Option<PaymentCursor>> {
    if token.is_empty() {
        return Some(None);
    }
    let read = page_tokens.read(token).ok_or_else(|| length_of(token));
    let expected = "the next_page_token of a page with the same filter and order_by";
    findings.keep("page_token", expected, read).map(Some)
}

/// What is known of a payment that is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentKey {
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
pub(super) fn lookup(request: pb::LookupPaymentRequest) -> Result<PaymentKey, InvalidRequest> {
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
mod tests;
