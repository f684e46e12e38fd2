//! The errors of several calls that are merchants' alone.

use tonic::{Code, Status};

use crate::card::fault::SealedCardFault;
use crate::config::environment::Environment;
use crate::grpc::status::ErrorAnswer;

/// An envelope that can't be used. A test environment tells its fault; elsewhere there is one text for every way
/// in which it can be bad, so that nobody can feel their way to a good one. An envelope from before a restore is good
/// in itself, and every environment says so: sealed anew, it may pay for the second time.
pub(crate) fn sealed_card_refused(fault: SealedCardFault, environment: Environment) -> Status {
    const TEXT: &str = "the sealed card was refused";
    let reason = "SEALED_CARD_REFUSED";
    match environment {
        Environment::Live if fault != SealedCardFault::Restored => {
            ErrorAnswer::not_sent(Code::InvalidArgument, reason, TEXT)
        }
        Environment::Live | Environment::Test => {
            let text = format!("{TEXT}: {fault}. docs/sealing.md, \"When it is refused\"");
            ErrorAnswer::not_sent(Code::InvalidArgument, reason, text)
                .with_metadata("fault", fault.name())
        }
    }
    .into_status()
}

/// No payment of this caller. The same for one that does not exist and for one of somebody else.
pub(crate) fn payment_not_found() -> Status {
    ErrorAnswer::not_sent(
        Code::NotFound,
        "PAYMENT_NOT_FOUND",
        "there is no such payment",
    )
    .into_status()
}

/// No capture of this caller, likewise.
pub(crate) fn capture_not_found() -> Status {
    let text = "there is no such capture";
    ErrorAnswer::not_sent(Code::NotFound, "CAPTURE_NOT_FOUND", text).into_status()
}

/// No refund of this caller, likewise.
pub(crate) fn refund_not_found() -> Status {
    let text = "there is no such refund";
    ErrorAnswer::not_sent(Code::NotFound, "REFUND_NOT_FOUND", text).into_status()
}

/// No batch of this caller, likewise.
pub(crate) fn batch_not_found() -> Status {
    let text = "there is no such batch";
    ErrorAnswer::not_sent(Code::NotFound, "BATCH_NOT_FOUND", text).into_status()
}

/// No payout of this caller, likewise.
pub(crate) fn payout_not_found() -> Status {
    let text = "there is no such payout";
    ErrorAnswer::not_sent(Code::NotFound, "PAYOUT_NOT_FOUND", text).into_status()
}

/// No discrepancy of this caller, likewise.
pub(crate) fn discrepancy_not_found() -> Status {
    let text = "there is no such discrepancy";
    ErrorAnswer::not_sent(Code::NotFound, "DISCREPANCY_NOT_FOUND", text).into_status()
}

/// No comparison that covered this caller, likewise.
pub(crate) fn run_not_found() -> Status {
    let text = "there is no such reconciliation run";
    ErrorAnswer::not_sent(Code::NotFound, "RUN_NOT_FOUND", text).into_status()
}

/// A call that is laid out and not built.
pub(crate) fn not_built(call: &str) -> Status {
    ErrorAnswer::not_sent(
        Code::Unimplemented,
        "NOT_IMPLEMENTED",
        format!("payswitch.v1.{call} is not available in this version"),
    )
    .into_status()
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::grpc::testing::error_row;

    #[test]
    fn every_error_has_its_status() {
        for (status, expected) in [
            (
                sealed_card_refused(SealedCardFault::Expired, Environment::Live),
                "InvalidArgument SEALED_CARD_REFUSED NOT_SENT",
            ),
            (payment_not_found(), "NotFound PAYMENT_NOT_FOUND NOT_SENT"),
            (capture_not_found(), "NotFound CAPTURE_NOT_FOUND NOT_SENT"),
            (refund_not_found(), "NotFound REFUND_NOT_FOUND NOT_SENT"),
            (batch_not_found(), "NotFound BATCH_NOT_FOUND NOT_SENT"),
            (payout_not_found(), "NotFound PAYOUT_NOT_FOUND NOT_SENT"),
            (
                discrepancy_not_found(),
                "NotFound DISCREPANCY_NOT_FOUND NOT_SENT",
            ),
            (run_not_found(), "NotFound RUN_NOT_FOUND NOT_SENT"),
            (
                not_built("PaymentService/VerifyCard"),
                "Unimplemented NOT_IMPLEMENTED NOT_SENT",
            ),
        ] {
            assert_eq!(error_row(&status), expected);
        }
        let text = not_built("PaymentService/VerifyCard");
        assert!(text.message().contains("PaymentService/VerifyCard"));
    }

    #[test]
    fn only_a_test_environment_tells_the_fault_of_a_sealed_card() {
        use SealedCardFault as F;
        let told = |fault, environment| {
            let status = sealed_card_refused(fault, environment);
            let info = status.get_details_error_info().unwrap();
            (
                status.message().to_owned(),
                info.metadata.get("fault").cloned(),
            )
        };
        for fault in [F::NotAnEnvelope, F::Key, F::Content, F::Order, F::Used] {
            let one_text = ("the sealed card was refused".to_owned(), None);
            assert_eq!(told(fault, Environment::Live), one_text);
            let (text, name) = told(fault, Environment::Test);
            assert!(
                text.contains(&fault.to_string()) && text.contains("docs/sealing.md"),
                "{text}"
            );
            assert_eq!(name.as_deref(), Some(fault.name()));
        }
        for environment in [Environment::Live, Environment::Test] {
            let (_, name) = told(F::Restored, environment);
            assert_eq!(name.as_deref(), Some("RESTORED"));
        }
    }
}
