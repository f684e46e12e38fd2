//! Reading requests. The wire format stops here: what passes has been checked field by field, and a request
//! that does not pass is told everything that is wrong with it at once.

use std::net::IpAddr;

use iso8583::hex;
use prost::Message;

use crate::admin_api::pb;
use crate::grpc::body_hash::body_hash;
use crate::grpc::text::{REQUEST_ID, Shape, read_words};
use crate::grpc::violations::{Findings, length_of};
use crate::payment::bank_statement::Candidate;
use crate::payment::ids::{
    AccountChangeId, BankAccountName, BankLineId, HostId, ImportId, MerchantId, OperationId,
    OperatorName, OrderId, PaymentId,
};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::store::records::callers::OperatorRole;

/// What every request that changes something says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The operator's own name of the request.
    pub(super) request_id: String,
    /// Why, in the operator's words.
    pub(super) reason: String,
    /// SHA-256 over the encoded request, by which the same request again is known.
    pub(super) body_hash: [u8; 32],
}

/// A request that changes something.
pub(super) trait Changes: Message {
    /// Service and RPC, as the audit trail has them.
    const ACTION: &'static str;

    /// The operator's own name of it.
    fn request_id(&self) -> &str;

    /// Why, in the operator's words.
    fn reason(&self) -> &str;
}

macro_rules! changes {
    ($($request:ident: $action:literal),* $(,)?) => {$(
        impl Changes for pb::$request {
            const ACTION: &'static str = $action;

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn reason(&self) -> &str {
                &self.reason
            }
        }
    )*};
}

changes!(
    ActivateOperatorRequest: "OperatorService.ActivateOperator",
    ActivateSealingKeyRequest: "KeyService.ActivateSealingKey",
    AddSealingKeyRequest: "KeyService.AddSealingKey",
    RetireSealingKeyRequest: "KeyService.RetireSealingKey",
    ReleaseCountsRequest: "RiskService.ReleaseCounts",
    AddOperatorRequest: "OperatorService.AddOperator",
    CancelPayoutAccountRequest: "MerchantService.CancelPayoutAccount",
    ConfirmPayoutAccountRequest: "MerchantService.ConfirmPayoutAccount",
    DeactivateOperatorRequest: "OperatorService.DeactivateOperator",
    CutoverRequest: "SettlementAdminService.Cutover",
    DestroyExpiredDataKeysRequest: "CustodyService.DestroyExpiredDataKeys",
    EchoHostRequest: "HostService.EchoHost",
    BankStatementFile: "ReconciliationAdminService.ImportStatement",
    MatchStatementLineRequest: "ReconciliationAdminService.MatchStatementLine",
    AnswerFile: "SettlementAdminService.TakeClearingAnswer",
    ReportFile: "SettlementAdminService.ImportReport",
    MakePayoutsRequest: "PayoutAdminService.MakePayouts",
    NotifyPayoutsRequest: "PayoutAdminService.NotifyPayouts",
    ProposePayoutAccountRequest: "MerchantService.ProposePayoutAccount",
    ReloadRequest: "ReloadService.Reload",
    RefuseOrderRequest: "PayoutAdminService.RefuseOrder",
    ResolveDiscrepancyRequest: "ReconciliationAdminService.ResolveDiscrepancy",
    ResolveOwedRequest: "OwedService.ResolveOwed",
    RetryOwedRequest: "OwedService.RetryOwed",
    RotateDataKeyRequest: "CustodyService.RotateDataKey",
    SetFeePlanRequest: "MerchantService.SetFeePlan",
    SetPayoutPlanRequest: "MerchantService.SetPayoutPlan",
    SetMerchantDetailsRequest: "MerchantService.SetMerchantDetails",
    SetOperatorRoleRequest: "OperatorService.SetOperatorRole",
    SignOffHostRequest: "HostService.SignOffHost",
    SignOnHostRequest: "HostService.SignOnHost",
    SubmitTotalsRequest: "SettlementAdminService.SubmitTotals",
);

/// Reads what every request that changes something says.
pub(super) fn asked(findings: &mut Findings, request: &impl Changes) -> Option<Asked> {
    let request_id = REQUEST_ID.read(findings, "request_id", request.request_id().to_owned());
    let reason = read_words(findings, "reason", request.reason().to_owned());
    Some(Asked {
        request_id: request_id?,
        reason: reason?,
        body_hash: body_hash(request),
    })
}

/// Reads the name of a host.
pub(super) fn host_id(findings: &mut Findings, text: &str) -> Option<HostId> {
    name(findings, "host_id", text)
}

/// Reads a business date.
pub(super) fn business_date(findings: &mut Findings, text: &str) -> Option<BusinessDate> {
    date(findings, "business_date", text)
}

/// Reads a date.
pub(super) fn date(
    findings: &mut Findings,
    field: &'static str,
    text: &str,
) -> Option<BusinessDate> {
    parsed(findings, field, "YYYY-MM-DD", text)
}

/// Reads a currency.
pub(super) fn currency(findings: &mut Findings, text: &str) -> Option<Currency> {
    parsed(findings, "currency", "an ISO 4217 code", text)
}

/// Reads the name of a file, for people.
pub(super) fn file_name(findings: &mut Findings, text: &str) -> Option<String> {
    read_words(findings, "name", text.to_owned())
}

/// Reads the hash of a file, which may be left out.
pub(super) fn sha256(findings: &mut Findings, text: &str) -> Option<Option<[u8; 32]>> {
    if text.is_empty() {
        return Some(None);
    }
    let read = hex::decode_lower(text).ok_or_else(|| length_of(text));
    let read = findings.keep("sha256", "64 hexadecimal digits in lower case", read);
    read.map(Some)
}

/// Reads the id of an operation.
pub(super) fn operation_id(findings: &mut Findings, text: &str) -> Option<OperationId> {
    parsed(findings, "operation_id", "\"op_\" and 26 characters", text)
}

/// Reads the name of a merchant.
pub(super) fn merchant_id(findings: &mut Findings, text: &str) -> Option<MerchantId> {
    name(findings, "merchant_id", text)
}

/// Reads the name of a bank account.
pub(super) fn bank_account(findings: &mut Findings, text: &str) -> Option<BankAccountName> {
    name(findings, "account", text)
}

/// Reads the id of a line of a statement.
pub(super) fn bank_line_id(findings: &mut Findings, text: &str) -> Option<BankLineId> {
    parsed(findings, "line_id", "\"bln_\" and 26 characters", text)
}

/// Reads what a line is matched with.
pub(super) fn match_candidate(findings: &mut Findings, text: &str) -> Option<Candidate> {
    let expected = "a payout, or the day of a host such as acquirer/2026-11-30/EUR";
    parsed(findings, "with", expected, text)
}

/// Reads the id of a change of an account.
pub(super) fn account_change_id(findings: &mut Findings, text: &str) -> Option<AccountChangeId> {
    parsed(
        findings,
        "account_change_id",
        "\"acc_\" and 26 characters",
        text,
    )
}

/// Reads the id of an order to a bank: its own, or the message id that the bank knows.
pub(super) fn order_id(findings: &mut Findings, text: &str) -> Option<OrderId> {
    let id = text.replacen("ord-", "ord_", 1);
    parsed(
        findings,
        "order_id",
        "\"ord_\" or \"ord-\", and 26 characters",
        &id,
    )
}

/// Reads the id of a discrepancy. What an older version has found has another one than today.
pub(super) fn discrepancy_id(findings: &mut Findings, text: &str) -> Option<String> {
    const ID: Shape = Shape {
        min: 1,
        max: 100,
        allows: |c| c.is_ascii_graphic(),
        expected: "the id of a discrepancy, 1 to 100 characters",
    };
    ID.read(findings, "discrepancy_id", text.to_owned())
}

/// Reads the id of a report.
pub(super) fn import_id(findings: &mut Findings, text: &str) -> Option<ImportId> {
    parsed(findings, "import_id", "\"imp_\" and 26 characters", text)
}

/// Reads the id of a payment.
pub(super) fn payment_id(findings: &mut Findings, text: &str) -> Option<PaymentId> {
    parsed(findings, "payment_id", "\"pay_\" and 26 characters", text)
}

/// Reads an address.
pub(super) fn address(findings: &mut Findings, text: &str) -> Option<IpAddr> {
    parsed(findings, "address", "an IP address such as 192.0.2.1", text)
}

/// Reads the name of a limit, which may be left out.
pub(super) fn limit(findings: &mut Findings, text: &str) -> Option<Option<String>> {
    const LIMIT: Shape = Shape {
        min: 1,
        max: 40,
        allows: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
        expected: "1 to 40 characters of a-z 0-9 -",
    };
    LIMIT.read_optional(findings, "limit", text.to_owned())
}

/// Reads the name of a sealing key.
pub(super) fn kid(findings: &mut Findings, text: &str) -> Option<String> {
    const KID: Shape = Shape {
        min: 43,
        max: 43,
        allows: |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
        expected: "43 characters of A-Z a-z 0-9 _ -",
    };
    KID.read(findings, "kid", text.to_owned())
}

/// Reads the name of an operator.
pub(super) fn operator_name(findings: &mut Findings, text: &str) -> Option<OperatorName> {
    name(findings, "name", text)
}

/// Reads what must not be the number of a card.
fn parsed<T: std::str::FromStr>(
    findings: &mut Findings,
    field: &'static str,
    expected: &'static str,
    text: &str,
) -> Option<T> {
    if !findings.no_clear_card(field, text) {
        return None;
    }
    let read = text.parse().map_err(|_| length_of(text));
    findings.keep(field, expected, read)
}

fn name<T: std::str::FromStr>(
    findings: &mut Findings,
    field: &'static str,
    text: &str,
) -> Option<T> {
    parsed(findings, field, "1 to 40 characters of a-z 0-9 - _", text)
}

/// Reads the token of a page, which names the last item of the page before: `Some(None)` for the first page.
pub(super) fn page_token<T: std::str::FromStr>(
    findings: &mut Findings,
    text: &str,
) -> Option<Option<T>> {
    if text.is_empty() {
        return Some(None);
    }
    if !findings.no_clear_card("page_token", text) {
        return None;
    }
    let read = text.parse().map_err(|_| length_of(text));
    let token = findings.keep("page_token", "the next_page_token of the page before", read);
    token.map(Some)
}

/// Reads a role.
pub(super) fn role(findings: &mut Findings, number: i32) -> Option<OperatorRole> {
    let read = match pb::OperatorRole::try_from(number) {
        Ok(pb::OperatorRole::Viewer) => Ok(OperatorRole::Viewer),
        Ok(pb::OperatorRole::Operator) => Ok(OperatorRole::Operator),
        Ok(pb::OperatorRole::Approver) => Ok(OperatorRole::Approver),
        Ok(pb::OperatorRole::Unspecified) => Err("none".to_owned()),
        Err(_) => Err(format!("the number {number}")),
    };
    findings.keep("role", "viewer, operator or approver", read)
}
