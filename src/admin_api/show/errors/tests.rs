use super::*;
use crate::grpc::testing::error_row;

#[test]
fn every_error_has_its_status() {
    for (status, expected) in [
        (
            role_too_low(OperatorRole::Viewer, OperatorRole::Operator),
            "PermissionDenied ROLE_TOO_LOW NOT_SENT",
        ),
        (
            Refusal::RoleTooLow.status(),
            "PermissionDenied ROLE_TOO_LOW NOT_SENT",
        ),
        (
            Refusal::HostNotFound.status(),
            "NotFound HOST_NOT_FOUND NOT_SENT",
        ),
        (
            Refusal::OperatorNotFound.status(),
            "NotFound OPERATOR_NOT_FOUND NOT_SENT",
        ),
        (
            Refusal::OperatorInactive.status(),
            "FailedPrecondition OPERATOR_INACTIVE NOT_SENT",
        ),
        (
            Refusal::ReportReplaced.status(),
            "FailedPrecondition REPORT_REPLACED NOT_SENT",
        ),
        (
            Refusal::OperatorExists.status(),
            "AlreadyExists OPERATOR_EXISTS NOT_SENT",
        ),
        (
            Refusal::LastApprover.status(),
            "FailedPrecondition LAST_APPROVER NOT_SENT",
        ),
        (
            Refusal::AnswersNotTaken.status(),
            "FailedPrecondition ANSWERS_NOT_TAKEN NOT_SENT",
        ),
        (
            Refusal::ClearingFileNotFound.status(),
            "NotFound CLEARING_FILE_NOT_FOUND NOT_SENT",
        ),
        (
            Refusal::MerchantNotFound.status(),
            "NotFound MERCHANT_NOT_FOUND NOT_SENT",
        ),
        (
            Refusal::AccountChangeNotFound.status(),
            "NotFound ACCOUNT_CHANGE_NOT_FOUND NOT_SENT",
        ),
        (
            Refusal::FourEyes.status(),
            "FailedPrecondition FOUR_EYES NOT_SENT",
        ),
        (
            Refusal::PayoutsNotConfigured.status(),
            "FailedPrecondition PAYOUTS_NOT_CONFIGURED NOT_SENT",
        ),
        (
            Refusal::SealingKeyTooNew.status(),
            "FailedPrecondition SEALING_KEY_TOO_NEW NOT_SENT",
        ),
        (
            Refusal::SealingKeysUnreadable.status(),
            "Unavailable SEALING_KEYS_UNREADABLE UNKNOWN",
        ),
        (
            Refusal::CardNotKnown.status(),
            "FailedPrecondition CARD_NOT_KNOWN NOT_SENT",
        ),
        (Refusal::NotOwed.status(), "NotFound NOT_OWED NOT_SENT"),
        (
            payment_not_found("order-1", &["the RRN of an operation"]),
            "NotFound PAYMENT_NOT_FOUND NOT_SENT",
        ),
        (
            Refusal::NotSuspended.status(),
            "FailedPrecondition NOT_SUSPENDED NOT_SENT",
        ),
        (
            Refusal::InFlight.status(),
            "FailedPrecondition IN_FLIGHT NOT_SENT",
        ),
        (
            Refusal::AmountDiffers.status(),
            "FailedPrecondition AMOUNT_DIFFERS NOT_SENT",
        ),
        (Refusal::OwedMoved.status(), "Aborted OWED_MOVED NOT_SENT"),
        (
            Refusal::TooManyDataKeys.status(),
            "FailedPrecondition TOO_MANY_DATA_KEYS NOT_SENT",
        ),
        (Refusal::NotDone.status(), "Unavailable NOT_DONE UNKNOWN"),
        (
            request_id_reused(),
            "FailedPrecondition REQUEST_ID_REUSED NOT_SENT precondition REQUEST_ID",
        ),
        (
            in_progress(),
            "Aborted REQUEST_IN_PROGRESS UNKNOWN retry 500 ms",
        ),
        (
            end_not_recorded(),
            "FailedPrecondition END_NOT_RECORDED UNKNOWN precondition REQUEST_ID",
        ),
    ] {
        assert_eq!(error_row(&status), expected);
    }
    // Of a host without cycles none is to be said.
    let of_cycles = Refusal::ReportCycleWrong.status();
    assert!(of_cycles.message().contains("leave it out"), "{of_cycles}");
    for refusal in Refusal::ALL {
        assert_eq!(refusal.reason().parse(), Ok(*refusal));
    }
    assert!("OTHER".parse::<Refusal>().is_err());
}
