//! The meaning of DE 39 at one host: the standard's table, and the differences that a profile names.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::payment::decline::{DeclineReason, ResponseCode};

use super::meaning::Meaning;
use super::standard_codes::{Edition, ISO_1987};

/// The meaning of a response code that neither the profile nor the standard's table lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlisted {
    /// A decline with the reason "other", as switches take it.
    #[default]
    Declined,
    /// As [`Meaning::UNCLEAR`], for a host that may approve under codes of its own; and in the answer to an advice,
    /// whose amount would be given back on a guess.
    Unclear,
    /// As [`Meaning::Taken`]: any answer acknowledges an advice.
    Taken,
}

/// The meaning of each response code at one host, in the answers to one kind of message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseCodes {
    /// Before the standard's table.
    pub overrides: BTreeMap<ResponseCode, Meaning>,
    /// Behind the standard's table.
    pub unlisted: Unlisted,
    /// The edition of the standard that the host speaks.
    pub edition: &'static Edition,
    /// Whether the edition's table counts.
    pub standard: bool,
    /// The codes by which the host says that it reverses at the issuer itself.
    pub host_reverses: Vec<ResponseCode>,
    /// Whether it answers an advice, or a request that is sent again as one is.
    pub advice: bool,
}

impl ResponseCodes {
    /// The standard's table, of a host that reverses at the issuer itself.
    #[must_use]
    pub fn of(edition: &'static Edition) -> Self {
        let host_reverses = edition.issuer_gave_no_answer.iter();
        Self {
            overrides: BTreeMap::new(),
            unlisted: Unlisted::default(),
            edition,
            standard: true,
            host_reverses: host_reverses.filter_map(|code| code.parse().ok()).collect(),
            advice: false,
        }
    }

    /// What these codes of a whole profile mean in the answers to an advice that has none of its own.
    #[must_use]
    pub fn in_answers_to_advice(&self) -> Self {
        // Where the host means what the standard says, and merchants only are advised otherwise, it takes the advice
        // later as the standard says.
        let not_taken_now = |code: &ResponseCode, meaning: &Meaning| {
            let Meaning::Declined { reason, .. } = meaning else {
                return false;
            };
            let (edition, code) = (self.edition, code.as_str());
            edition.of_request(code, true) == Some(Meaning::declined(*reason))
                && edition.of_advice(code) == Some(Meaning::Again)
        };
        let overrides = self.overrides.iter();
        Self {
            overrides: overrides
                .filter(|(code, meaning)| !not_taken_now(code, meaning))
                .map(|(code, meaning)| (*code, meaning.in_answer_to_advice()))
                .collect(),
            unlisted: match self.unlisted {
                Unlisted::Declined => Unlisted::Unclear,
                unlisted => unlisted,
            },
            advice: true,
            ..self.clone()
        }
    }

    /// The meaning of `code`.
    #[must_use]
    pub fn meaning(&self, code: ResponseCode) -> Meaning {
        if let Some(meaning) = self.overrides.get(&code) {
            return *meaning;
        }
        let host_reverses = !self.advice && self.host_reverses.contains(&code);
        let listed = if self.advice {
            self.edition.of_advice(code.as_str())
        } else {
            self.edition.of_request(code.as_str(), host_reverses)
        };
        match (listed.filter(|_| self.standard), self.unlisted) {
            (Some(meaning), _) => meaning,
            (None, _) if host_reverses => Meaning::declined(DeclineReason::IssuerUnavailable),
            (None, Unlisted::Declined) => Meaning::declined(DeclineReason::Other),
            (None, Unlisted::Unclear) => Meaning::UNCLEAR,
            (None, Unlisted::Taken) => Meaning::Taken,
        }
    }
}

impl Default for ResponseCodes {
    fn default() -> Self {
        Self::of(&ISO_1987)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::message::standard_codes::ISO_1993;
    use crate::payment::decline::DeclineAdvice;

    fn code(text: &str) -> ResponseCode {
        text.parse().unwrap()
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
                (code("00"), Meaning::UNCLEAR),
            ]),
            unlisted: Unlisted::Unclear,
            ..ResponseCodes::default()
        };
        let standard = ResponseCodes::default();
        let declined = |reason, advice| Meaning::Declined { reason, advice };
        for (codes, text, expected) in [
            (&standard, "00", Meaning::Approved),
            (&standard, "05", declined(R::DoNotHonour, A::UseAnotherCard)),
            (&standard, "10", Meaning::PARTLY_APPROVED),
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
            (
                &standard,
                "R1",
                declined(R::StoppedByCardholder, A::DoNotRetry),
            ),
            (&standard, "46", declined(R::AccountClosed, A::DoNotRetry)),
            (&standard, "79", declined(R::AccountClosed, A::DoNotRetry)),
            (&standard, "83", declined(R::SuspectedFraud, A::DoNotRetry)),
            (
                &standard,
                "1A",
                declined(R::AuthenticationRequired, A::Authenticate),
            ),
            // Nobody lists it, and it is kept as it came.
            (&standard, "Z9", declined(R::Other, A::UseAnotherCard)),
            (&profile, "Z9", Meaning::UNCLEAR),
            (&profile, "05", Meaning::Approved),
            (
                &profile,
                "91",
                declined(R::IssuerUnavailable, A::UseAnotherCard),
            ),
            (&profile, "00", Meaning::UNCLEAR),
            (&profile, "41", declined(R::LostCard, A::DoNotRetry)),
        ] {
            assert_eq!(codes.meaning(code(text)), expected, "{text}");
        }
    }

    /// A bank that says that it approved or completed something, or that it saw it before, never leaves a
    /// plain decline behind: its hold would never be reversed.
    #[test]
    fn what_may_hold_money_is_never_a_decline() {
        let standard = ResponseCodes::default();
        for (texts, expected) in [
            ("00 08 11 16", Meaning::Approved),
            ("10 32 87", Meaning::PARTLY_APPROVED),
            ("94", Meaning::DUPLICATE),
            ("09 21 25 26 85", Meaning::UNCLEAR),
        ] {
            for text in texts.split(' ') {
                assert_eq!(standard.meaning(code(text)), expected, "{text}");
            }
        }
    }

    /// What a host does not take now is sent again; and where any answer acknowledges, the table is silent.
    #[test]
    fn an_advice_is_acknowledged_refused_sent_again_or_in_doubt() {
        use DeclineReason as R;
        let advice = ResponseCodes::default().in_answers_to_advice();
        let any = ResponseCodes {
            standard: false,
            unlisted: Unlisted::Taken,
            ..advice.clone()
        };
        for (text, expected) in [
            ("00", Meaning::Approved),
            ("94", Meaning::Taken),
            ("91", Meaning::Again),
            ("96", Meaning::Again),
            ("25", Meaning::OriginalUnknown),
            ("30", Meaning::declined(R::FormatError)),
            ("57", Meaning::declined(R::NotPermitted)),
            ("92", Meaning::declined(R::InvalidCardNumber)),
            // It may have been done, in part or whole.
            ("10", Meaning::PARTLY_APPROVED),
            ("32", Meaning::PARTLY_APPROVED),
            ("87", Meaning::PARTLY_APPROVED),
            ("09", Meaning::UNCLEAR),
            ("19", Meaning::UNCLEAR),
            ("20", Meaning::UNCLEAR),
            ("21", Meaning::UNCLEAR),
            ("22", Meaning::UNCLEAR),
            ("68", Meaning::UNCLEAR),
            ("90", Meaning::UNCLEAR),
            ("Z9", Meaning::UNCLEAR),
        ] {
            assert_eq!(advice.meaning(code(text)), expected, "{text}");
            assert_eq!(any.meaning(code(text)), Meaning::Taken, "{text}");
        }
    }

    /// The codes of a profile are those of its authorizations.
    #[test]
    fn an_advice_takes_the_codes_of_requests_over_in_its_own_sense() {
        let unavailable = |advice| Meaning::Declined {
            reason: DeclineReason::IssuerUnavailable,
            advice,
        };
        let profile = ResponseCodes {
            overrides: BTreeMap::from([
                (code("71"), Meaning::Approved),
                (code("99"), Meaning::DUPLICATE),
                (code("Q2"), Meaning::PARTLY_APPROVED),
                (code("11"), Meaning::UNCLEAR),
                (code("91"), unavailable(DeclineAdvice::UseAnotherCard)),
                (code("96"), unavailable(DeclineAdvice::RetryLater)),
                (
                    code("98"),
                    Meaning::declined(DeclineReason::DuplicateTransmission),
                ),
            ]),
            ..ResponseCodes::default()
        };
        let inherited = profile.in_answers_to_advice();
        for (text, expected) in [
            ("00", Meaning::Approved),
            ("71", Meaning::Approved),
            ("99", Meaning::Taken),
            ("98", Meaning::Taken),
            ("Q2", Meaning::PARTLY_APPROVED),
            ("11", Meaning::UNCLEAR),
            ("Z9", Meaning::UNCLEAR),
            // Merchants are advised otherwise, and the host means what others do.
            ("91", Meaning::Again),
            ("96", Meaning::UNCLEAR),
        ] {
            assert_eq!(inherited.meaning(code(text)), expected, "{text}");
        }
    }

    #[test]
    fn the_action_codes_of_1993_have_their_own_table() {
        use DeclineReason as R;
        let request = ResponseCodes::of(&ISO_1993);
        let advice = request.in_answers_to_advice();
        let declined = Meaning::declined;
        for (text, of_request, of_advice) in [
            ("000", Meaning::Approved, Meaning::Approved),
            ("002", Meaning::PARTLY_APPROVED, Meaning::PARTLY_APPROVED),
            (
                "116",
                declined(R::InsufficientFunds),
                declined(R::InsufficientFunds),
            ),
            ("208", declined(R::LostCard), declined(R::LostCard)),
            ("400", Meaning::UNCLEAR, Meaning::Approved),
            ("900", declined(R::Other), Meaning::Taken),
            ("906", declined(R::IssuerUnavailable), Meaning::UNCLEAR),
            ("923", Meaning::UNCLEAR, Meaning::UNCLEAR),
            ("911", declined(R::IssuerUnavailable), Meaning::Again),
            ("909", declined(R::BankError), Meaning::Again),
            ("913", Meaning::DUPLICATE, Meaning::Taken),
            ("914", Meaning::UNCLEAR, Meaning::OriginalUnknown),
            // Two digits are no code of this edition.
            ("00", declined(R::Other), Meaning::UNCLEAR),
        ] {
            assert_eq!(request.meaning(code(text)), of_request, "{text}");
            assert_eq!(advice.meaning(code(text)), of_advice, "{text}");
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
            ("68", Meaning::UNCLEAR),
            ("20", Meaning::UNCLEAR),
            ("05", Meaning::declined(DeclineReason::DoNotHonour)),
        ] {
            assert_eq!(nps.meaning(code(text)), expected, "{text}");
        }
    }
}
