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

/// Why a request that is well formed is refused. The audit trail keeps the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin_api) enum Refusal {
    /// The caller's role is too low, for the call or for the role that it is about.
    RoleTooLow,
    /// There is no such host.
    HostNotFound,
    /// There is no such operator.
    OperatorNotFound,
    /// There is such an operator.
    OperatorExists,
    /// Nobody would be left who can approve.
    LastApprover,
    /// There are as many data keys as there may be.
    TooManyDataKeys,
    /// The store did not do it, or not all of it.
    NotDone,
    /// There is no such message, or it is not owed any more.
    NotOwed,
    /// The message is sent again anyway.
    NotSuspended,
    /// A message may still be on its way.
    InFlight,
    /// The bank approved another amount.
    AmountDiffers,
    /// What is owed has just changed.
    OwedMoved,
    /// The day that is to be ended is not open.
    OtherDayOpen,
    /// There is no such day, or it is not closed.
    DayNotClosed,
    /// The host sends no reports.
    ReportsNotTaken,
    /// Nothing says which date a report is about.
    ReportDateMissing,
    /// Another report of the date is applied.
    ReportApplied,
    /// A report can't be amended any more.
    BatchesFunded,
    /// The host answers to no clearing files.
    AnswersNotTaken,
    /// An answer is about no clearing file that was written.
    ClearingFileNotFound,
    /// Not all of a file came.
    FileIncomplete,
    /// There is no such merchant.
    MerchantNotFound,
    /// Another change of the merchant's account has not ended.
    AccountChangeOpen,
    /// The merchant has no such change of its account.
    AccountChangeNotFound,
    /// The change of the account is in a state in which this can't be.
    AccountChangeEnded,
    /// Another operator than the one who asked must confirm.
    FourEyes,
    /// The configuration names no account that pays.
    PayoutsNotConfigured,
    /// The host has no such order.
    OrderNotFound,
    /// A payout of an order was not sent, or has ended.
    OrderNotRefusable,
    /// A statement has more lines than are written.
    StatementTooLong,
    /// There is no such discrepancy.
    DiscrepancyNotFound,
    /// A discrepancy is in a state in which this can't be.
    DiscrepancyState,
    /// A discrepancy has no amount, or no merchant, that a journal could correct.
    NotCorrectable,
    /// A line and a capture or refund don't go together.
    NoMatch,
    /// No such bank account is configured.
    StatementAccountNotFound,
    /// Another file of statements was interrupted.
    StatementUnfinished,
    /// There is no such line of a statement.
    StatementLineNotFound,
    /// There is nothing of this name that a line can be.
    MatchNotFound,
    /// A line has another amount than what it is to be.
    MatchAmountDiffers,
    /// A line, or what it is to be, is matched.
    MatchTaken,
    /// There are as many sealing keys as there may be.
    TooManySealingKeys,
    /// There is no such sealing key.
    SealingKeyNotFound,
    /// A sealing key is in a state in which this can't be.
    SealingKeyState,
    /// A gateway may not know the sealing key yet.
    SealingKeyTooNew,
    /// Cards that are sealed to the key may still come.
    SealingKeyStillUsed,
    /// The folder of sealing keys, or a key in it, can't be used.
    SealingKeysUnreadable,
    /// The files of the master key can't be looked at.
    MasterKeyUnreadable,
    /// There is no such payment.
    PaymentNotFound,
    /// Nothing is kept by which the card of a payment is known again.
    CardNotKnown,
    /// No limit of this name counts what is asked about.
    LimitNotFound,
}

impl Refusal {
    const ALL: [Self; 50] = [
        Self::RoleTooLow,
        Self::HostNotFound,
        Self::OperatorNotFound,
        Self::OperatorExists,
        Self::LastApprover,
        Self::TooManyDataKeys,
        Self::NotDone,
        Self::NotOwed,
        Self::NotSuspended,
        Self::InFlight,
        Self::AmountDiffers,
        Self::OwedMoved,
        Self::OtherDayOpen,
        Self::DayNotClosed,
        Self::ReportsNotTaken,
        Self::ReportDateMissing,
        Self::ReportApplied,
        Self::BatchesFunded,
        Self::AnswersNotTaken,
        Self::ClearingFileNotFound,
        Self::FileIncomplete,
        Self::MerchantNotFound,
        Self::AccountChangeOpen,
        Self::AccountChangeNotFound,
        Self::AccountChangeEnded,
        Self::FourEyes,
        Self::PayoutsNotConfigured,
        Self::OrderNotFound,
        Self::OrderNotRefusable,
        Self::StatementTooLong,
        Self::DiscrepancyNotFound,
        Self::DiscrepancyState,
        Self::NotCorrectable,
        Self::NoMatch,
        Self::StatementAccountNotFound,
        Self::StatementUnfinished,
        Self::StatementLineNotFound,
        Self::MatchNotFound,
        Self::MatchAmountDiffers,
        Self::MatchTaken,
        Self::TooManySealingKeys,
        Self::SealingKeyNotFound,
        Self::SealingKeyState,
        Self::SealingKeyTooNew,
        Self::SealingKeyStillUsed,
        Self::SealingKeysUnreadable,
        Self::MasterKeyUnreadable,
        Self::PaymentNotFound,
        Self::CardNotKnown,
        Self::LimitNotFound,
    ];

    /// Logs what the store said, which callers are not told.
    pub(in crate::admin_api) fn not_done(error: &impl std::fmt::Display) -> Self {
        tracing::error!(%error, "An operator's call could not be done");
        Self::NotDone
    }

    /// The reason in the error's details.
    pub(in crate::admin_api) fn reason(self) -> &'static str {
        match self {
            Self::RoleTooLow => "ROLE_TOO_LOW",
            Self::HostNotFound => "HOST_NOT_FOUND",
            Self::OperatorNotFound => "OPERATOR_NOT_FOUND",
            Self::OperatorExists => "OPERATOR_EXISTS",
            Self::LastApprover => "LAST_APPROVER",
            Self::TooManyDataKeys => "TOO_MANY_DATA_KEYS",
            Self::NotDone => "NOT_DONE",
            Self::NotOwed => "NOT_OWED",
            Self::NotSuspended => "NOT_SUSPENDED",
            Self::InFlight => "IN_FLIGHT",
            Self::AmountDiffers => "AMOUNT_DIFFERS",
            Self::OwedMoved => "OWED_MOVED",
            Self::OtherDayOpen => "OTHER_DAY_OPEN",
            Self::DayNotClosed => "DAY_NOT_CLOSED",
            Self::ReportsNotTaken => "REPORTS_NOT_TAKEN",
            Self::ReportDateMissing => "REPORT_DATE_MISSING",
            Self::ReportApplied => "REPORT_APPLIED",
            Self::BatchesFunded => "BATCHES_FUNDED",
            Self::AnswersNotTaken => "ANSWERS_NOT_TAKEN",
            Self::ClearingFileNotFound => "CLEARING_FILE_NOT_FOUND",
            Self::FileIncomplete => "FILE_INCOMPLETE",
            Self::MerchantNotFound => "MERCHANT_NOT_FOUND",
            Self::AccountChangeOpen => "ACCOUNT_CHANGE_OPEN",
            Self::AccountChangeNotFound => "ACCOUNT_CHANGE_NOT_FOUND",
            Self::AccountChangeEnded => "ACCOUNT_CHANGE_ENDED",
            Self::FourEyes => "FOUR_EYES",
            Self::PayoutsNotConfigured => "PAYOUTS_NOT_CONFIGURED",
            Self::OrderNotFound => "ORDER_NOT_FOUND",
            Self::OrderNotRefusable => "ORDER_NOT_REFUSABLE",
            Self::StatementTooLong => "STATEMENT_TOO_LONG",
            Self::DiscrepancyNotFound => "DISCREPANCY_NOT_FOUND",
            Self::DiscrepancyState => "DISCREPANCY_STATE",
            Self::NotCorrectable => "NOT_CORRECTABLE",
            Self::NoMatch => "NO_MATCH",
            Self::StatementAccountNotFound => "STATEMENT_ACCOUNT_NOT_FOUND",
            Self::StatementUnfinished => "STATEMENT_UNFINISHED",
            Self::StatementLineNotFound => "STATEMENT_LINE_NOT_FOUND",
            Self::MatchNotFound => "MATCH_NOT_FOUND",
            Self::MatchAmountDiffers => "MATCH_AMOUNT_DIFFERS",
            Self::MatchTaken => "MATCH_TAKEN",
            Self::TooManySealingKeys => "TOO_MANY_SEALING_KEYS",
            Self::SealingKeyNotFound => "SEALING_KEY_NOT_FOUND",
            Self::SealingKeyState => "SEALING_KEY_STATE",
            Self::SealingKeyTooNew => "SEALING_KEY_TOO_NEW",
            Self::SealingKeyStillUsed => "SEALING_KEY_STILL_USED",
            Self::SealingKeysUnreadable => "SEALING_KEYS_UNREADABLE",
            Self::MasterKeyUnreadable => "MASTER_KEY_UNREADABLE",
            Self::PaymentNotFound => "PAYMENT_NOT_FOUND",
            Self::CardNotKnown => "CARD_NOT_KNOWN",
            Self::LimitNotFound => "LIMIT_NOT_FOUND",
        }
    }

    /// What the caller is told.
    pub(in crate::admin_api) fn status(self) -> Status {
        let (code, message) = match self {
            Self::RoleTooLow => (
                Code::PermissionDenied,
                "the role of the calling operator is too low for this call, or for the role that it is about",
            ),
            Self::HostNotFound => (
                Code::NotFound,
                "there is no host of this name: it is the name of the host's profile",
            ),
            Self::OperatorNotFound => (Code::NotFound, "there is no operator of this name"),
            Self::OperatorExists => (
                Code::AlreadyExists,
                "there is an operator of this name already, or the name is reserved",
            ),
            Self::LastApprover => (
                Code::FailedPrecondition,
                "this is the last active approver: make another operator an approver first",
            ),
            Self::TooManyDataKeys => (
                Code::FailedPrecondition,
                "there are too many data keys: destroy those that have ended first",
            ),
            Self::OtherDayOpen => (
                Code::FailedPrecondition,
                "the day of this date is not open: ListBusinessDays shows which one is",
            ),
            Self::DayNotClosed => (
                Code::FailedPrecondition,
                "there is no day of this date, or it is not closed yet: ListBusinessDays shows them",
            ),
            Self::ReportsNotTaken => (
                Code::FailedPrecondition,
                "the profile of this host has no [settlement.report]: its reports can't be read",
            ),
            Self::ReportDateMissing => (
                Code::FailedPrecondition,
                "the report has no lines, so it does not say its date: say it",
            ),
            Self::ReportApplied => (
                Code::FailedPrecondition,
                "another report of this date is applied: to put this one in its place, say that it amends it",
            ),
            Self::BatchesFunded => (
                Code::FailedPrecondition,
                "batches of this date are funded, or a discrepancy of its report is corrected (reopen it first): the report can't be \
                 amended, and what was matched with its line stays",
            ),
            Self::AnswersNotTaken => (
                Code::FailedPrecondition,
                "the profile of this host has no clearing files of a kind that is answered (\"nps\")",
            ),
            Self::ClearingFileNotFound => (
                Code::NotFound,
                "no clearing file of this member, date and cycle was written: ListBusinessDays shows them",
            ),
            Self::FileIncomplete => (
                Code::FailedPrecondition,
                "not all of the file came, or another one than was named: nothing of it is applied; send it again \
                 under a new request_id",
            ),
            Self::MerchantNotFound => (Code::NotFound, "there is no merchant of this name"),
            Self::AccountChangeOpen => (
                Code::FailedPrecondition,
                "the merchant's account is being changed already: confirm or cancel that change first",
            ),
            Self::AccountChangeNotFound => (
                Code::NotFound,
                "the merchant has no such change of its account: ListPayoutAccountChanges shows them",
            ),
            Self::AccountChangeEnded => (
                Code::FailedPrecondition,
                "the change of the account is in another state: ListPayoutAccountChanges shows in which",
            ),
            Self::OrderNotFound => (Code::NotFound, "the host has no such order"),
            Self::OrderNotRefusable => (
                Code::FailedPrecondition,
                "a payout of this order was not sent, was paid or came back: an order is refused whole or not at all",
            ),
            Self::StatementTooLong => (
                Code::FailedPrecondition,
                "the statement has more lines than are written, 10,000 in a PDF and 200,000 in CSV: ask for fewer days",
            ),
            Self::DiscrepancyNotFound => (Code::NotFound, "there is no such discrepancy"),
            Self::DiscrepancyState => (
                Code::FailedPrecondition,
                "the discrepancy is in another state: GetDiscrepancy shows in which; reopen it first, or have it approved",
            ),
            Self::NotCorrectable => (
                Code::FailedPrecondition,
                "a journal can't correct this: both sides have no amounts of a known merchant that differ",
            ),
            Self::NoMatch => (
                Code::FailedPrecondition,
                "the line is decided, or this capture or refund is not of its host, merchant, kind and currency, or its \
                 MISSING_AT_BANK is corrected or proposed to be: reopen that first",
            ),
            Self::StatementAccountNotFound => (
                Code::NotFound,
                "there is no bank account of this name in reconciliation.accounts of the configuration",
            ),
            Self::StatementUnfinished => (
                Code::FailedPrecondition,
                "another file of this account was interrupted: give it again first; the log names it",
            ),
            Self::StatementLineNotFound => (
                Code::NotFound,
                "there is no such line, or it is not booked: ListStatementLines shows them",
            ),
            Self::MatchNotFound => (
                Code::NotFound,
                "there is no such payout that was sent in this currency, or nothing of this day is funded in it",
            ),
            Self::MatchAmountDiffers => (
                Code::FailedPrecondition,
                "the line has another amount than what it was said to be about, or goes the other way",
            ),
            Self::MatchTaken => (
                Code::FailedPrecondition,
                "the line is matched already, or another line is matched with this: ListReportLines and ListStatementLines \
                 show which",
            ),
            Self::TooManySealingKeys => (
                Code::FailedPrecondition,
                "there are too many sealing keys: retire those that are no longer used first",
            ),
            Self::SealingKeyNotFound => (
                Code::NotFound,
                "this gateway has no sealing key of this name: ListSealingKeys names them",
            ),
            Self::SealingKeyState => (
                Code::FailedPrecondition,
                "the sealing key is in another state: an UPCOMING one is activated; the ACTIVE one, which merchants seal to, \
                 is not retired: add another, and activate that one first",
            ),
            Self::SealingKeyTooNew => (
                Code::FailedPrecondition,
                "the sealing key was made a moment ago, and a gateway may not know it yet: ListSealingKeys says from when on \
                 it can be activated",
            ),
            Self::SealingKeyStillUsed => (
                Code::FailedPrecondition,
                "cards that are sealed to this key may still come: ListSealingKeys says until when; an approver can remove it \
                 anyway, and such cards are refused from then on",
            ),
            Self::PaymentNotFound => (Code::NotFound, "there is no payment of this name"),
            Self::CardNotKnown => (
                Code::FailedPrecondition,
                "nothing is kept by which the card of this payment is known again: name another payment with the card",
            ),
            Self::LimitNotFound => (
                Code::NotFound,
                "no limit of this name counts this: ListLimits shows what each counts",
            ),
            Self::SealingKeysUnreadable | Self::MasterKeyUnreadable => {
                let text = "the gateway can't read or write the files of its keys: its log says which, and why";
                return ErrorAnswer::new(Code::Unavailable, self.reason(), Outcome::Unknown, text)
                    .into_status();
            }
            Self::PayoutsNotConfigured => (
                Code::FailedPrecondition,
                "no account pays: the configuration has no section settlement.payouts",
            ),
            Self::FourEyes => (
                Code::FailedPrecondition,
                "you asked for this change: another operator must confirm it",
            ),
            Self::NotDone => {
                let text = "the database did not do it, or not all of it; do it again under a new request_id";
                return ErrorAnswer::new(Code::Unavailable, self.reason(), Outcome::Unknown, text)
                    .into_status();
            }
            Self::NotOwed => (
                Code::NotFound,
                "there is no message of this operation_id that is owed, or it has ended",
            ),
            Self::NotSuspended => (
                Code::FailedPrecondition,
                "only a suspended message is sent again by hand: others are by themselves, and what is UNKNOWN was a \
                 request, which is sent once",
            ),
            Self::InFlight => (
                Code::FailedPrecondition,
                "a message left a moment ago, and may undo it still: ask the bank again, then use a new request_id",
            ),
            Self::AmountDiffers => (
                Code::FailedPrecondition,
                "the bank approved another amount than was asked for, which can't stand: have it undone",
            ),
            Self::OwedMoved => (
                Code::Aborted,
                "the message has just changed: look at it again, and use a new request_id",
            ),
        };
        ErrorAnswer::not_sent(code, self.reason(), message).into_status()
    }
}

/// A text that is the reason of no refusal.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::admin_api) struct UnknownRefusal;

impl FromStr for Refusal {
    type Err = UnknownRefusal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|it| it.reason() == text);
        found.ok_or(UnknownRefusal)
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
