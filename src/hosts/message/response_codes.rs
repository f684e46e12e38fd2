//! The meaning of DE 39: the standard's table, and the differences that a profile names.

use std::collections::BTreeMap;

use crate::payment::decline::{
    Approval, Decline, DeclineAdvice, DeclineReason, ResponseCode, UnknownReason,
};

use crate::hosts::exchange::Exchange;

/// The meaning of a response code for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// The bank approved the amount asked for.
    Approved,
    /// The bank declined.
    Declined {
        /// The bank's reason.
        reason: DeclineReason,
        /// What the merchant may do next.
        advice: DeclineAdvice,
    },
    /// The bank may hold money, but not as asked for (a partial approval, say), or does not know
    /// itself: nothing that a merchant could be told for certain, so a reversal is owed.
    Unclear,
}

impl Meaning {
    /// A decline with the advice that usually goes with the reason.
    #[must_use]
    pub const fn declined(reason: DeclineReason) -> Self {
        Self::Declined {
            reason,
            advice: usual_advice(reason),
        }
    }
}

/// The advice that goes with a reason where a profile gives none.
#[must_use]
pub const fn usual_advice(reason: DeclineReason) -> DeclineAdvice {
    use DeclineReason as R;
    match reason {
        R::ExpiredCard | R::InvalidCardNumber | R::CvvMismatch | R::IncorrectPin => {
            DeclineAdvice::CorrectEntry
        }
        R::LostCard | R::StolenCard | R::SuspectedFraud => DeclineAdvice::DoNotRetry,
        R::InsufficientFunds
        | R::LimitExceeded
        | R::IssuerUnavailable
        | R::DuplicateTransmission
        | R::BankError => DeclineAdvice::RetryLater,
        R::DoNotHonour
        | R::PinTriesExceeded
        | R::NotPermitted
        | R::InvalidAmount
        | R::FormatError
        | R::Other => DeclineAdvice::UseAnotherCard,
    }
}

/// ISO 8583:1987, annex A, table A.3, and the codes that the card schemes added to it. Whatever says
/// that something was approved or completed, but not that the amount asked for was, is unclear. Where an
/// issuer's answer came too late or broken to the host (20, 68, 91), the host declines; the
/// host gave up on the issuer, so the host, not payswitch, owes it the reversal.
const STANDARD: [(&str, Meaning); 75] = {
    use DeclineReason as R;
    const fn declined(reason: DeclineReason) -> Meaning {
        Meaning::declined(reason)
    }
    [
        ("00", Meaning::Approved),
        ("01", declined(R::DoNotHonour)),    // refer to card issuer
        ("02", declined(R::DoNotHonour)),    // refer to card issuer, special condition
        ("03", declined(R::NotPermitted)),   // invalid merchant
        ("04", declined(R::SuspectedFraud)), // pick-up
        ("05", declined(R::DoNotHonour)),    // do not honour
        ("06", declined(R::BankError)),      // error
        ("07", declined(R::SuspectedFraud)), // pick-up, special condition
        ("08", Meaning::Approved),           // honour with identification
        ("09", Meaning::Unclear),            // request in progress
        ("10", Meaning::Unclear),            // approved for partial amount
        ("11", Meaning::Approved),           // approved (VIP)
        ("12", declined(R::NotPermitted)),   // invalid transaction
        ("13", declined(R::InvalidAmount)),  // invalid amount
        ("14", declined(R::InvalidCardNumber)), // invalid card number
        ("15", declined(R::InvalidCardNumber)), // no such issuer
        ("16", Meaning::Approved),           // approved, update track 3
        ("17", declined(R::Other)),          // customer cancellation
        ("18", declined(R::Other)),          // customer dispute
        ("19", declined(R::BankError)),      // re-enter transaction
        ("20", declined(R::BankError)),      // invalid response (of the issuer)
        ("21", declined(R::BankError)),      // no action taken (back out prior transaction)
        ("22", declined(R::BankError)),      // suspected malfunction
        ("23", declined(R::NotPermitted)),   // unacceptable transaction fee
        ("24", declined(R::BankError)),      // file update not supported by receiver
        ("25", declined(R::BankError)),      // unable to locate record on file
        ("26", Meaning::Unclear),            // duplicate file update record, old one replaced
        ("27", declined(R::BankError)),      // file update field edit error
        ("28", declined(R::BankError)),      // file update file locked out
        ("29", declined(R::BankError)),      // file update not successful
        ("30", declined(R::FormatError)),    // format error
        ("31", declined(R::InvalidCardNumber)), // bank not supported by switch
        ("32", Meaning::Unclear),            // completed partially
        ("33", declined(R::ExpiredCard)),    // expired card, pick-up
        ("34", declined(R::SuspectedFraud)), // suspected fraud
        ("35", declined(R::DoNotHonour)),    // contact acquirer, pick-up
        ("36", declined(R::NotPermitted)),   // restricted card
        ("37", declined(R::SuspectedFraud)), // call acquirer's security, pick-up
        ("38", declined(R::PinTriesExceeded)), // allowable PIN tries exceeded, pick-up
        ("39", declined(R::NotPermitted)),   // no credit account
        ("40", declined(R::NotPermitted)),   // requested function not supported
        ("41", declined(R::LostCard)),       // lost card
        ("42", declined(R::NotPermitted)),   // no universal account
        ("43", declined(R::StolenCard)),     // stolen card, pick-up
        ("44", declined(R::NotPermitted)),   // no investment account
        ("51", declined(R::InsufficientFunds)), // not sufficient funds
        ("52", declined(R::NotPermitted)),   // no chequing account
        ("53", declined(R::NotPermitted)),   // no savings account
        ("54", declined(R::ExpiredCard)),    // expired card
        ("55", declined(R::IncorrectPin)),   // incorrect PIN
        ("56", declined(R::InvalidCardNumber)), // no card record
        ("57", declined(R::NotPermitted)),   // not permitted to cardholder
        ("58", declined(R::NotPermitted)),   // not permitted to terminal
        ("59", declined(R::SuspectedFraud)), // suspected fraud
        ("60", declined(R::DoNotHonour)),    // contact acquirer
        ("61", declined(R::LimitExceeded)),  // exceeds withdrawal amount limit
        ("62", declined(R::NotPermitted)),   // restricted card
        ("63", declined(R::SuspectedFraud)), // security violation
        ("64", declined(R::InvalidAmount)),  // original amount incorrect
        ("65", declined(R::LimitExceeded)),  // exceeds withdrawal frequency limit
        ("66", declined(R::SuspectedFraud)), // call acquirer's security
        ("67", declined(R::SuspectedFraud)), // hard capture
        ("68", declined(R::IssuerUnavailable)), // response (of the issuer) received too late
        ("75", declined(R::PinTriesExceeded)), // allowable number of PIN tries exceeded
        ("82", declined(R::CvvMismatch)),    // negative CVV result (schemes)
        ("85", Meaning::Unclear),            // no reason to decline a verification (schemes)
        ("87", Meaning::Unclear),            // purchase amount only, no cash back (schemes)
        ("90", declined(R::IssuerUnavailable)), // cutoff is in process
        ("91", declined(R::IssuerUnavailable)), // issuer or switch is inoperative
        ("92", declined(R::InvalidCardNumber)), // institution can't be found for routing
        ("93", declined(R::NotPermitted)),   // can't be completed, violation of law
        ("94", declined(R::DuplicateTransmission)), // duplicate transmission
        ("95", declined(R::BankError)),      // reconcile error
        ("96", declined(R::BankError)),      // system malfunction
        ("N7", declined(R::CvvMismatch)),    // CVV2 mismatch (schemes)
    ]
};

/// The meaning of a response code that neither the profile nor the standard's table lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Unlisted {
    /// A decline with the reason "other", as switches take it.
    #[default]
    Declined,
    /// As [`Meaning::Unclear`], for a host that may approve under codes of its own.
    Unclear,
}

/// The meaning of each response code at one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseCodes {
    overrides: BTreeMap<ResponseCode, Meaning>,
    unlisted: Unlisted,
}

impl ResponseCodes {
    /// The standard's table, with `overrides` before it and `unlisted` behind it.
    #[must_use]
    pub fn new(overrides: BTreeMap<ResponseCode, Meaning>, unlisted: Unlisted) -> Self {
        Self {
            overrides,
            unlisted,
        }
    }

    /// The meaning of `code`.
    #[must_use]
    pub fn meaning(&self, code: ResponseCode) -> Meaning {
        if let Some(meaning) = self.overrides.get(&code) {
            return *meaning;
        }
        STANDARD
            .iter()
            .find(|(listed, _)| *listed == code.as_str())
            .map_or_else(
                || match self.unlisted {
                    Unlisted::Declined => Meaning::declined(DeclineReason::Other),
                    Unlisted::Unclear => Meaning::Unclear,
                },
                |(_, meaning)| *meaning,
            )
    }

    /// The outcome that an answer stands for. An answer without a readable code is not
    /// understood: the bank may have approved.
    #[must_use]
    pub fn outcome(
        &self,
        response_code: Option<ResponseCode>,
        approval_code: String,
        bank_us: i64,
    ) -> Exchange {
        let Some(response_code) = response_code else {
            return Exchange::Unknown(UnknownReason::AnswerNotUnderstood);
        };
        match self.meaning(response_code) {
            Meaning::Approved => Exchange::Approved {
                approval: Approval {
                    approval_code,
                    response_code,
                },
                bank_us,
            },
            Meaning::Declined { reason, advice } => Exchange::Declined {
                decline: Decline {
                    reason,
                    response_code,
                    advice,
                },
                bank_us,
            },
            Meaning::Unclear => Exchange::Unknown(UnknownReason::AnswerNotUnderstood),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> ResponseCode {
        text.parse().unwrap()
    }

    #[test]
    fn the_standard_table_lists_each_code_once() {
        let mut codes: Vec<_> = STANDARD.iter().map(|(listed, _)| code(listed)).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), STANDARD.len());
    }

    #[test]
    fn codes_mean_what_the_table_or_the_profile_says() {
        use DeclineAdvice as A;
        use DeclineReason as R;
        let profile = ResponseCodes::new(
            BTreeMap::from([
                (code("05"), Meaning::Approved),
                (
                    code("91"),
                    Meaning::Declined {
                        reason: R::IssuerUnavailable,
                        advice: A::UseAnotherCard,
                    },
                ),
                (code("00"), Meaning::Unclear),
            ]),
            Unlisted::Unclear,
        );
        let standard = ResponseCodes::default();
        let declined = |reason, advice| Meaning::Declined { reason, advice };
        for (codes, text, expected) in [
            (&standard, "00", Meaning::Approved),
            (&standard, "05", declined(R::DoNotHonour, A::UseAnotherCard)),
            (&standard, "10", Meaning::Unclear),
            (
                &standard,
                "14",
                declined(R::InvalidCardNumber, A::CorrectEntry),
            ),
            (&standard, "41", declined(R::LostCard, A::DoNotRetry)),
            (
                &standard,
                "51",
                declined(R::InsufficientFunds, A::RetryLater),
            ),
            (
                &standard,
                "91",
                declined(R::IssuerUnavailable, A::RetryLater),
            ),
            (&standard, "N7", declined(R::CvvMismatch, A::CorrectEntry)),
            // Nobody lists it, and it is kept as it came.
            (&standard, "Z9", declined(R::Other, A::UseAnotherCard)),
            (&profile, "Z9", Meaning::Unclear),
            (&profile, "05", Meaning::Approved),
            (
                &profile,
                "91",
                declined(R::IssuerUnavailable, A::UseAnotherCard),
            ),
            (&profile, "00", Meaning::Unclear),
            (&profile, "41", declined(R::LostCard, A::DoNotRetry)),
        ] {
            assert_eq!(codes.meaning(code(text)), expected, "{text}");
        }
    }

    /// A bank that says that it approved or completed something never leaves a plain decline behind:
    /// its hold would never be reversed.
    #[test]
    fn what_may_hold_money_is_never_a_decline() {
        let standard = ResponseCodes::default();
        for (text, expected) in [
            ("00", Meaning::Approved),
            ("08", Meaning::Approved),
            ("09", Meaning::Unclear),
            ("10", Meaning::Unclear),
            ("11", Meaning::Approved),
            ("16", Meaning::Approved),
            ("26", Meaning::Unclear),
            ("32", Meaning::Unclear),
            ("85", Meaning::Unclear),
            ("87", Meaning::Unclear),
        ] {
            assert_eq!(standard.meaning(code(text)), expected, "{text}");
        }
    }

    #[test]
    fn an_outcome_keeps_the_code_as_it_came() {
        let codes = ResponseCodes::default();
        let Exchange::Declined { decline, bank_us } =
            codes.outcome(Some(code("Z9")), String::new(), 1234)
        else {
            panic!("expected a decline");
        };
        assert_eq!((decline.response_code.as_str(), bank_us), ("Z9", 1234));
        for (got, expected) in [
            (None, UnknownReason::AnswerNotUnderstood),
            (Some(code("10")), UnknownReason::AnswerNotUnderstood),
        ] {
            assert_eq!(
                codes.outcome(got, "A1B2C3".into(), 1),
                Exchange::Unknown(expected)
            );
        }
    }
}
