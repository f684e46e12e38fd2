//! Which refusal an error of the other modules is.

use super::Refusal;
use crate::admin_api::sealing_keys::KeyBookError;
use crate::card::key_rotation::RotationError;
use crate::card::keys::SealingKeysError;
use crate::operations::resolve_owed::OwedRefusal;
use crate::payment::discrepancy::StepRefused;
use crate::reconciliation::discrepancies::DiscrepancyError;
use crate::settlement::merchant_terms::TermsError;
use crate::settlement::payouts::PayoutsError;

impl From<KeyBookError> for Refusal {
    fn from(error: KeyBookError) -> Self {
        match error {
            KeyBookError::Rotation(RotationError::Unknown { .. }) => Self::SealingKeyNotFound,
            KeyBookError::Rotation(
                RotationError::NotUpcoming { .. } | RotationError::Published { .. },
            ) => Self::SealingKeyState,
            KeyBookError::Rotation(RotationError::NotKnownYet { .. }) => Self::SealingKeyTooNew,
            KeyBookError::Rotation(RotationError::StillUsed { .. }) => Self::SealingKeyStillUsed,
            KeyBookError::Rotation(RotationError::Keys(SealingKeysError::TooMany { .. })) => {
                Self::TooManySealingKeys
            }
            KeyBookError::Store(error) => Self::not_done(&error),
            error => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "The sealing keys can't be listed or changed");
                Self::SealingKeysUnreadable
            }
        }
    }
}

impl From<TermsError> for Refusal {
    fn from(error: TermsError) -> Self {
        match error {
            TermsError::NoMerchant(_) => Self::MerchantNotFound,
            TermsError::ChangeOpen(_) => Self::AccountChangeOpen,
            TermsError::NoChange(_) => Self::AccountChangeNotFound,
            TermsError::ChangeEnded { .. } => Self::AccountChangeEnded,
            TermsError::FourEyes => Self::FourEyes,
            TermsError::Entropy(error) => Self::not_done(&error),
            TermsError::Store(error) => Self::not_done(&error),
        }
    }
}

impl From<DiscrepancyError> for Refusal {
    fn from(error: DiscrepancyError) -> Self {
        match error {
            DiscrepancyError::NotFound(_) => Self::DiscrepancyNotFound,
            DiscrepancyError::Refused(StepRefused::State(_)) => Self::DiscrepancyState,
            DiscrepancyError::Refused(StepRefused::SamePerson) => Self::FourEyes,
            DiscrepancyError::Refused(StepRefused::NoAmount | StepRefused::NoMerchant) => {
                Self::NotCorrectable
            }
            DiscrepancyError::Refused(StepRefused::NotInLedger) => Self::NotInLedger,
            DiscrepancyError::NoOwner(_) => Self::OperatorNotFound,
            DiscrepancyError::OwnerInactive(_) => Self::OperatorInactive,
            DiscrepancyError::NoMatch { .. } => Self::NoMatch,
            DiscrepancyError::AmountDiffers { .. } => Self::MatchAmountDiffers,
            DiscrepancyError::Taken { .. } => Self::MatchTaken,
            DiscrepancyError::Funded => Self::BatchesFunded,
            error => Self::not_done(&error),
        }
    }
}

impl From<PayoutsError> for Refusal {
    fn from(error: PayoutsError) -> Self {
        match error {
            PayoutsError::NoHost(_) => Self::HostNotFound,
            PayoutsError::NoDebtor => Self::PayoutsNotConfigured,
            error => Self::not_done(&error),
        }
    }
}

impl From<OwedRefusal> for Refusal {
    fn from(refusal: OwedRefusal) -> Self {
        match refusal {
            OwedRefusal::NotOwed => Self::NotOwed,
            OwedRefusal::NotSuspended => Self::NotSuspended,
            OwedRefusal::InFlight => Self::InFlight,
            OwedRefusal::AmountDiffers => Self::AmountDiffers,
            OwedRefusal::Moved => Self::OwedMoved,
            OwedRefusal::Store(error) => {
                tracing::warn!(%error, "What is owed could not be changed");
                Self::NotDone
            }
        }
    }
}
