//! The meaning of DE 39: the standard's table, and the differences that a profile names.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::payment::decline::{DeclineAdvice, DeclineReason, ResponseCode};

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

/// Codes by which a host declines because it gave up on the issuer, which may have approved: whoever
/// gave up owes the issuer the reversal.
const ISSUER_GAVE_NO_ANSWER: [&str; 3] = ["20", "68", "91"];

/// Codes by which a host does not take an advice now: it is sent again.
const NOT_NOW: [&str; 9] = ["09", "19", "20", "22", "68", "90", "91", "92", "96"];

/// The meaning of a response code that neither the profile nor the standard's table lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlisted {
    /// A decline with the reason "other", as switches take it.
    #[default]
    Declined,
    /// As [`Meaning::Unclear`], for a host that may approve under codes of its own.
    Unclear,
    /// As [`Meaning::Approved`]: any answer acknowledges an advice.
    Approved,
}

/// The meaning of each response code at one host, in the answers to one kind of message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseCodes {
    /// Before the standard's table.
    pub overrides: BTreeMap<ResponseCode, Meaning>,
    /// Behind the standard's table.
    pub unlisted: Unlisted,
    /// Whether the standard's table counts.
    pub standard: bool,
    /// The codes by which the host says that it reverses at the issuer itself.
    pub host_reverses: Vec<ResponseCode>,
    /// Whether it answers an advice: that can be sent again.
    pub advice: bool,
}

impl Default for ResponseCodes {
    /// The standard's table, of a host that reverses at the issuer itself.
    fn default() -> Self {
        let host_reverses = ISSUER_GAVE_NO_ANSWER.map(str::parse).into_iter().flatten();
        Self {
            overrides: BTreeMap::new(),
            unlisted: Unlisted::default(),
            standard: true,
            host_reverses: host_reverses.collect(),
            advice: false,
        }
    }
}

impl ResponseCodes {
    /// The meaning of `code`.
    #[must_use]
    pub fn meaning(&self, code: ResponseCode) -> Meaning {
        if let Some(meaning) = self.overrides.get(&code) {
            return *meaning;
        }
        let text = code.as_str();
        let unclear: &[&str] = if self.advice {
            &NOT_NOW
        } else {
            &ISSUER_GAVE_NO_ANSWER
        };
        let host_reverses = !self.advice && self.host_reverses.contains(&code);
        if self.standard && unclear.contains(&text) && !host_reverses {
            return Meaning::Unclear;
        }
        let listed = STANDARD
            .iter()
            .find(|(listed, _)| self.standard && *listed == text)
            .map(|(_, meaning)| *meaning);
        match (listed, self.unlisted) {
            (Some(meaning), _) => meaning,
            (None, _) if host_reverses => Meaning::declined(DeclineReason::IssuerUnavailable),
            (None, Unlisted::Declined) => Meaning::declined(DeclineReason::Other),
            (None, Unlisted::Unclear) => Meaning::Unclear,
            (None, Unlisted::Approved) => Meaning::Approved,
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
        let profile = ResponseCodes {
            overrides: BTreeMap::from([
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
            unlisted: Unlisted::Unclear,
            ..ResponseCodes::default()
        };
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

    /// What a host does not take now is sent again; and where any answer acknowledges, the table is silent.
    #[test]
    fn an_advice_is_acknowledged_refused_or_sent_again() {
        let advice = ResponseCodes {
            advice: true,
            ..ResponseCodes::default()
        };
        let any = ResponseCodes {
            standard: false,
            unlisted: Unlisted::Approved,
            ..advice.clone()
        };
        let refused = Meaning::declined(DeclineReason::FormatError);
        for (text, expected, of_any) in [
            ("00", Meaning::Approved, Meaning::Approved),
            ("91", Meaning::Unclear, Meaning::Approved),
            ("96", Meaning::Unclear, Meaning::Approved),
            ("30", refused, Meaning::Approved),
        ] {
            assert_eq!(advice.meaning(code(text)), expected, "{text}");
            assert_eq!(any.meaning(code(text)), of_any, "{text}");
        }
    }

    /// A code by which the host gave up on the issuer is a decline only where the host reverses.
    #[test]
    fn who_reverses_decides_what_a_silent_issuer_means() {
        let nps = ResponseCodes {
            host_reverses: vec![code("91"), code("CA")],
            ..ResponseCodes::default()
        };
        let unavailable = Meaning::declined(DeclineReason::IssuerUnavailable);
        for (text, expected) in [
            ("91", unavailable),
            ("CA", unavailable),
            ("68", Meaning::Unclear),
            ("20", Meaning::Unclear),
            ("05", Meaning::declined(DeclineReason::DoNotHonour)),
        ] {
            assert_eq!(nps.meaning(code(text)), expected, "{text}");
        }
    }
}
