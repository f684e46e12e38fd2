//! The errors that are this door's alone.

mod causes;

use std::str::FromStr;

use tonic::{Code, Status};

use crate::grpc::status::{ErrorAnswer, Outcome, RETRY_IN_PROGRESS};
use crate::store::records::callers::OperatorRole;

/// A call that needs a higher role.
pub(in crate::admin_api) fn role_too_low(role: OperatorRole, least: OperatorRole) -> Status {
    let message = format!(
        "expected an operator with the role {} or above, got {}",
        least.name(),
        role.name()
    );
    ErrorAnswer::not_sent(
        Code::PermissionDenied,
        Refusal::RoleTooLow.reason(),
        message,
    )
    .into_status()
}

/// No payment fits what was looked for.
pub(in crate::admin_api) fn payment_not_found(subject: &str, looked_for: &[&str]) -> Status {
    let message = format!(
        "there is no payment of which {subject:?} is {}",
        looked_for.join(", or ")
    );
    ErrorAnswer::not_sent(Code::NotFound, "PAYMENT_NOT_FOUND", message).into_status()
}

/// Each refusal once: what it means, its reason, its code, and what the caller is told.
macro_rules! refusals {
    ($($(#[$meaning:meta])* $name:ident = $reason:literal, $code:ident, $message:literal;)+) => {
        /// Why a request that is well formed is refused. The audit trail keeps the reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::admin_api) enum Refusal {
            $($(#[$meaning])* $name,)+
        }

        impl Refusal {
            const ALL: &[Self] = &[$(Self::$name,)+];

            const fn row(self) -> (&'static str, Code, &'static str) {
                match self {
                    $(Self::$name => ($reason, Code::$code, $message),)+
                }
            }
        }
    };
}

refusals! {
    /// The caller's role is too low, for the call or for the role that it is about.
    RoleTooLow = "ROLE_TOO_LOW", PermissionDenied,
        "the role of the calling operator is too low for this call, or for the role that it is about";
    /// There is no such host.
    HostNotFound = "HOST_NOT_FOUND", NotFound,
        "there is no host of this name: it is the name of the host's profile";
    /// There is no such operator.
    OperatorNotFound = "OPERATOR_NOT_FOUND", NotFound,
        "there is no operator of this name";
    /// The operator may not call.
    OperatorInactive = "OPERATOR_INACTIVE", FailedPrecondition,
        "the operator is not active: name another one, or activate it first";
    /// There is such an operator.
    OperatorExists = "OPERATOR_EXISTS", AlreadyExists,
        "there is an operator of this name already, or the name is reserved";
    /// Nobody would be left who can approve.
    LastApprover = "LAST_APPROVER", FailedPrecondition,
        "this is the last active approver: make another operator an approver first";
    /// There are as many data keys as there may be.
    TooManyDataKeys = "TOO_MANY_DATA_KEYS", FailedPrecondition,
        "there are too many data keys: destroy those that have ended first";
    /// The store did not do it, or not all of it.
    NotDone = "NOT_DONE", Unavailable,
        "the database did not do it, or not all of it; do it again under a new request_id";
    /// There is no such message, or it is not owed any more.
    NotOwed = "NOT_OWED", NotFound,
        "there is no message of this operation_id that is owed, or it has ended";
    /// The message is sent again anyway.
    NotSuspended = "NOT_SUSPENDED", FailedPrecondition,
        "only a suspended message is sent again by hand: others are by themselves, and what is UNKNOWN was a \
         request, which is sent once";
    /// A message may still be on its way.
    InFlight = "IN_FLIGHT", FailedPrecondition,
        "a message left a moment ago, and may undo it still: ask the bank again in some seconds, and then resolve it \
         (over gRPC under a new request_id)";
    /// The bank approved another amount.
    AmountDiffers = "AMOUNT_DIFFERS", FailedPrecondition,
        "the bank approved another amount than was asked for, which can't stand: have it undone";
    /// What is owed has just changed.
    OwedMoved = "OWED_MOVED", Aborted,
        "the message has just changed: look at it again, and use a new request_id";
    /// The day that is to be ended is not open.
    OtherDayOpen = "OTHER_DAY_OPEN", FailedPrecondition,
        "the day of this date is not open: ListBusinessDays shows which one is";
    /// There is no such day, or it is not closed.
    DayNotClosed = "DAY_NOT_CLOSED", FailedPrecondition,
        "there is no day of this date, or it is open: ListBusinessDays shows them";
    /// The day's batches are being made.
    DayClosing = "DAY_CLOSING", FailedPrecondition,
        "the day has ended just now, and its batches are being made: ask again in a second, under a new request_id";
    /// The host sends no reports.
    ReportsNotTaken = "REPORTS_NOT_TAKEN", FailedPrecondition,
        "the profile of this host has no [settlement.report]: its reports can't be read";
    /// Nothing says which date a report is about.
    ReportDateMissing = "REPORT_DATE_MISSING", FailedPrecondition,
        "the report has no lines, so it does not say its date: say it";
    /// It is not known which cycle of its date a report is, or there is no such one.
    ReportCycleWrong = "REPORT_CYCLE_WRONG", FailedPrecondition,
        "the host's profile has cycles, and nothing says which one of its date the report is, or there is no such one: say \
         the right one; or it has none, and one was said: leave it out";
    /// Another report of the date is applied.
    ReportApplied = "REPORT_APPLIED", FailedPrecondition,
        "another report of this date is applied: to put this one in its place, say that it amends it";
    /// The file of a report was replaced before.
    ReportReplaced = "REPORT_REPLACED", FailedPrecondition,
        "this file was replaced by another report of its date before, and can't come back: what amends a report is a file \
         that is new, even where it says the same";
    /// A report can't be amended any more.
    BatchesFunded = "BATCHES_FUNDED", FailedPrecondition,
        "batches of this date are funded, or a discrepancy of its report is corrected (reopen it first): the \
         report can't be amended, and what was matched with its line stays";
    /// The host answers to no clearing files.
    AnswersNotTaken = "ANSWERS_NOT_TAKEN", FailedPrecondition,
        "the profile of this host has no clearing files of a kind that is answered (\"nps\")";
    /// An answer is about no clearing file that was written.
    ClearingFileNotFound = "CLEARING_FILE_NOT_FOUND", NotFound,
        "no clearing file of this member, date and cycle was written: ListBusinessDays shows them";
    /// Not all of a file came.
    FileIncomplete = "FILE_INCOMPLETE", FailedPrecondition,
        "not all of the file came, or another one than was named: nothing of it is applied; send it again under a \
         new request_id";
    /// There is no such merchant.
    MerchantNotFound = "MERCHANT_NOT_FOUND", NotFound,
        "there is no merchant of this name";
    /// Another change of the merchant's account has not ended.
    AccountChangeOpen = "ACCOUNT_CHANGE_OPEN", FailedPrecondition,
        "the merchant's account is being changed already: confirm or cancel that change first";
    /// The merchant has no such change of its account.
    AccountChangeNotFound = "ACCOUNT_CHANGE_NOT_FOUND", NotFound,
        "the merchant has no such change of its account: ListPayoutAccountChanges shows them";
    /// The change of the account is in a state in which this can't be.
    AccountChangeEnded = "ACCOUNT_CHANGE_ENDED", FailedPrecondition,
        "the change of the account is in another state: ListPayoutAccountChanges shows in which";
    /// Another operator than the one who asked must confirm.
    FourEyes = "FOUR_EYES", FailedPrecondition,
        "you asked for this change: another operator must confirm it";
    /// The configuration names no account that pays.
    PayoutsNotConfigured = "PAYOUTS_NOT_CONFIGURED", FailedPrecondition,
        "no account pays: the configuration has no section settlement.payouts";
    /// The host has no such order.
    OrderNotFound = "ORDER_NOT_FOUND", NotFound,
        "the host has no such order";
    /// A payout of an order was not sent, or has ended.
    OrderNotRefusable = "ORDER_NOT_REFUSABLE", FailedPrecondition,
        "a payout of this order was not sent, was paid or came back: an order is refused whole or not at all";
    /// A statement has more lines than are written.
    StatementTooLong = "STATEMENT_TOO_LONG", FailedPrecondition,
        "the statement has more lines than are written, 10,000 in a PDF and 200,000 in CSV: ask for fewer days";
    /// There is no such discrepancy.
    DiscrepancyNotFound = "DISCREPANCY_NOT_FOUND", NotFound,
        "there is no such discrepancy";
    /// A discrepancy is in a state in which this can't be.
    DiscrepancyState = "DISCREPANCY_STATE", FailedPrecondition,
        "the discrepancy is in another state: GetDiscrepancy shows in which; reopen it first, or have it approved";
    /// A discrepancy has no amount, or no merchant, that a journal could correct.
    NotCorrectable = "NOT_CORRECTABLE", FailedPrecondition,
        "a journal can't correct this: both sides have no amounts of a known merchant that differ";
    /// A discrepancy is on a bank account, for which the ledger has no account.
    NotInLedger = "NOT_IN_LEDGER", FailedPrecondition,
        "the ledger has no account for what is on a bank account, so no journal corrects it: match its line, or accept it";
    /// A line and a capture or refund don't go together.
    NoMatch = "NO_MATCH", FailedPrecondition,
        "the line is decided, or this capture or refund is not of its host, merchant, kind and currency, or its \
         MISSING_AT_BANK is corrected or proposed to be: reopen that first; a line of a bank statement is a payout that \
         was sent, or a funded day, in its currency";
    /// No such bank account is configured.
    StatementAccountNotFound = "STATEMENT_ACCOUNT_NOT_FOUND", NotFound,
        "there is no bank account of this name in reconciliation.accounts of the configuration";
    /// Another file of statements was interrupted.
    StatementUnfinished = "STATEMENT_UNFINISHED", FailedPrecondition,
        "another file of this account was interrupted: give it again first; the log names it";
    /// There is no such line of a statement.
    StatementLineNotFound = "STATEMENT_LINE_NOT_FOUND", NotFound,
        "there is no such line, or it is not booked: ListStatementLines shows them";
    /// There is nothing of this name that a line can be.
    MatchNotFound = "MATCH_NOT_FOUND", NotFound,
        "there is no such payout that was sent in this currency, or nothing of this day is funded in it";
    /// A line has another amount than what it is to be.
    MatchAmountDiffers = "MATCH_AMOUNT_DIFFERS", FailedPrecondition,
        "the line has another amount than what it was said to be about, or goes the other way";
    /// A line, or what it is to be, is matched.
    MatchTaken = "MATCH_TAKEN", FailedPrecondition,
        "the line is matched already, or another line is matched with this: ListReportLines and \
         ListStatementLines show which";
    /// There are as many sealing keys as there may be.
    TooManySealingKeys = "TOO_MANY_SEALING_KEYS", FailedPrecondition,
        "there are too many sealing keys: retire those that are no longer used first";
    /// There is no such sealing key.
    SealingKeyNotFound = "SEALING_KEY_NOT_FOUND", NotFound,
        "this gateway has no sealing key of this name: ListSealingKeys names them";
    /// A sealing key is in a state in which this can't be.
    SealingKeyState = "SEALING_KEY_STATE", FailedPrecondition,
        "the sealing key is in another state: an UPCOMING one is activated; the ACTIVE one, which merchants seal \
         to, is not retired: add another, and activate that one first";
    /// A gateway may not know the sealing key yet.
    SealingKeyTooNew = "SEALING_KEY_TOO_NEW", FailedPrecondition,
        "the sealing key was made a moment ago, and a gateway may not know it yet: ListSealingKeys says from when \
         on it can be activated";
    /// Cards that are sealed to the key may still come.
    SealingKeyStillUsed = "SEALING_KEY_STILL_USED", FailedPrecondition,
        "cards that are sealed to this key may still come: ListSealingKeys says until when; an approver can \
         remove it anyway, and such cards are refused from then on";
    /// The folder of sealing keys, or a key in it, can't be used.
    SealingKeysUnreadable = "SEALING_KEYS_UNREADABLE", Unavailable,
        "the gateway can't read or write the files of its keys: its log says which, and why";
    /// The files of the master key can't be looked at.
    MasterKeyUnreadable = "MASTER_KEY_UNREADABLE", Unavailable,
        "the gateway can't read or write the files of its keys: its log says which, and why";
    /// There is no such payment.
    PaymentNotFound = "PAYMENT_NOT_FOUND", NotFound,
        "there is no payment of this name";
    /// Nothing is kept by which the card of a payment is known again.
    CardNotKnown = "CARD_NOT_KNOWN", FailedPrecondition,
        "nothing is kept by which the card of this payment is known again: name another payment with the card";
    /// No limit of this name counts what is asked about.
    LimitNotFound = "LIMIT_NOT_FOUND", NotFound,
        "no limit of this name counts this: ListLimits shows what each counts";
}

impl Refusal {
    /// Logs what the store said, which callers are not told.
    pub(in crate::admin_api) fn not_done(error: &impl std::fmt::Display) -> Self {
        tracing::error!(%error, "An operator's call could not be done");
        Self::NotDone
    }

    /// The reason in the error's details.
    pub(in crate::admin_api) fn reason(self) -> &'static str {
        self.row().0
    }

    /// What the caller is told.
    pub(in crate::admin_api) fn status(self) -> Status {
        let (reason, code, message) = self.row();
        let answer = match code {
            // Some of it may have been done.
            Code::Unavailable => ErrorAnswer::new(code, reason, Outcome::Unknown, message),
            _ => ErrorAnswer::not_sent(code, reason, message),
        };
        answer.into_status()
    }
}

/// A text that is the reason of no refusal.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::admin_api) struct UnknownRefusal;

impl FromStr for Refusal {
    type Err = UnknownRefusal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|it| it.reason() == text);
        found.copied().ok_or(UnknownRefusal)
    }
}

/// A request id that this operator has used for another request.
pub(in crate::admin_api) fn request_id_reused() -> Status {
    let text = "the request_id was used for another request";
    ErrorAnswer::not_sent(Code::FailedPrecondition, "REQUEST_ID_REUSED", text)
        .with_precondition("REQUEST_ID", "request_id", text)
        .into_status()
}

/// The same request is still in progress.
pub(in crate::admin_api) fn in_progress() -> Status {
    let text = "the same request is still in progress; repeat it for its answer";
    ErrorAnswer::new(Code::Aborted, "REQUEST_IN_PROGRESS", Outcome::Unknown, text)
        .retry_after(RETRY_IN_PROGRESS)
        .into_status()
}

/// The same request began before, and its end was not recorded: the node stopped, or the store was out of
/// reach.
pub(in crate::admin_api) fn end_not_recorded() -> Status {
    let text = "the same request began before and its end was not recorded; look at its target, and use a \
                new request_id";
    ErrorAnswer::new(
        Code::FailedPrecondition,
        "END_NOT_RECORDED",
        Outcome::Unknown,
        text,
    )
    .with_precondition("REQUEST_ID", "request_id", text)
    .into_status()
}

#[cfg(test)]
mod tests;
