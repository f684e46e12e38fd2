//! The response codes of the standard, edition by edition.

use iso8583::mti::Version;

use crate::payment::decline::DeclineReason as R;

use super::meaning::Meaning;

/// A meaning, and the codes that have it, with a space between them.
type Codes = (Meaning, &'static str);

/// The response codes of one edition.
#[derive(Debug, PartialEq, Eq)]
pub struct Edition {
    /// The characters of a response code.
    pub code_length: usize,
    /// The code by which a network management message is accepted.
    pub network_accepted: &'static str,
    /// The code by which one is refused.
    pub network_refused: &'static str,
    /// In the answer to a request. Whatever says that something was approved or completed, but not that the
    /// amount asked for was, is unclear.
    requests: &'static [Codes],
    /// In the answer to an advice: its acknowledgements, and what is not taken now. Any other code means what
    /// [`Meaning::in_answer_to_advice`] makes of it.
    advices: &'static [Codes],
    /// Codes by which a host declines because it gave up on the issuer, which may have approved: whoever
    /// gave up owes the issuer the reversal.
    pub(in crate::hosts) issuer_gave_no_answer: &'static [&'static str],
}

const fn declined(reason: R) -> Meaning {
    Meaning::declined(reason)
}

/// ISO 8583:1987, annex A, table A.3, and the codes that the card schemes added to it.
pub static ISO_1987: Edition = Edition {
    code_length: 2,
    network_accepted: "00",
    network_refused: "12",
    requests: &[
        // Approved; honour with identification; VIP; update track 3.
        (Meaning::Approved, "00 08 11 16"),
        // Partial amount; completed partially; purchase amount only, no cash back (schemes).
        (Meaning::PARTLY_APPROVED, "10 32 87"),
        (Meaning::DUPLICATE, "94"),
        // In progress; no action taken; no such record; old record replaced; no reason to decline a
        // verification (schemes).
        (Meaning::UNCLEAR, "09 21 25 26 85"),
        // Refer to issuer; do not honour; contact acquirer.
        (declined(R::DoNotHonour), "01 02 05 35 60"),
        (declined(R::InsufficientFunds), "51"),
        (declined(R::ExpiredCard), "33 54"),
        // Invalid card number; no such issuer; bank not supported; no card record; no route.
        (declined(R::InvalidCardNumber), "14 15 31 56 92"),
        (declined(R::LostCard), "41"),
        (declined(R::StolenCard), "43"),
        // Schemes.
        (declined(R::CvvMismatch), "82 N7"),
        (declined(R::IncorrectPin), "55"),
        (declined(R::PinTriesExceeded), "38 75"),
        // Invalid merchant or transaction; fee; restricted card; no such account; function not supported;
        // not permitted; violation of law.
        (
            declined(R::NotPermitted),
            "03 12 23 36 39 40 42 44 52 53 57 58 62 93",
        ),
        (declined(R::LimitExceeded), "61 65"),
        (declined(R::InvalidAmount), "13 64"),
        (declined(R::FormatError), "30"),
        // Response of the issuer too late; cut-off in process; issuer or switch inoperative.
        (declined(R::IssuerUnavailable), "68 90 91"),
        // Error; re-enter; invalid response of the issuer; malfunction; of files; reconcile error.
        (declined(R::BankError), "06 19 20 22 24 27 28 29 95 96"),
        // Pick up; suspected fraud; security violation; hard capture; fraud or security (schemes).
        (declined(R::SuspectedFraud), "04 07 34 37 59 63 66 67 83"),
        // Stop payment; revocation of one authorization, of all (schemes).
        (declined(R::StoppedByCardholder), "R0 R1 R3"),
        // Closed account; life cycle, the card or its account is no longer valid (schemes).
        (declined(R::AccountClosed), "46 79"),
        (declined(R::AuthenticationRequired), "1A"),
        // Customer cancellation, customer dispute.
        (declined(R::Other), "17 18"),
    ],
    advices: &[
        (Meaning::Taken, "94"),
        (Meaning::OriginalUnknown, "25"),
        // Issuer or switch inoperative; malfunction.
        (Meaning::Again, "91 96"),
    ],
    issuer_gave_no_answer: &["20", "68", "91"],
};

/// ISO 8583:1993, annex A: action codes. 0xx approves, 1xx denies, 2xx denies and picks the card up.
pub static ISO_1993: Edition = Edition {
    code_length: 3,
    network_accepted: "800",
    network_refused: "904",
    requests: &[
        // Approved; honour with identification; VIP; update track 3; account type chosen by the issuer;
        // update the chip.
        (Meaning::Approved, "000 001 003 004 005 007"),
        (Meaning::PARTLY_APPROVED, "002 006"),
        (Meaning::DUPLICATE, "913"),
        // Reversal accepted; no such original; in progress.
        (Meaning::UNCLEAR, "400 499 914 923"),
        // Do not honour; contact acquirer; refer to issuer.
        (declined(R::DoNotHonour), "100 103 107 108 200 203 207"),
        (declined(R::InsufficientFunds), "116"),
        (declined(R::ExpiredCard), "101 201"),
        // Invalid card number; no card record; no route.
        (declined(R::InvalidCardNumber), "111 118 908"),
        (declined(R::LostCard), "208"),
        (declined(R::StolenCard), "209"),
        // Incorrect PIN; invalid PIN block; PIN of another length.
        (declined(R::IncorrectPin), "117 126 127"),
        (declined(R::PinTriesExceeded), "106 206"),
        // Restricted card; invalid merchant; PIN required; fee; no such account; function not supported;
        // not permitted; violation of law; not effective yet; invalid transaction; acquirer not supported;
        // violation of a business arrangement.
        (
            declined(R::NotPermitted),
            "104 109 112 113 114 115 119 120 124 125 204 902 905 950",
        ),
        (declined(R::LimitExceeded), "121 123"),
        (declined(R::InvalidAmount), "110"),
        (declined(R::FormatError), "904"),
        // Cutover in process; issuer or switch inoperative, signed off, timed out, unavailable.
        (declined(R::IssuerUnavailable), "906 907 910 911 912"),
        // Key out of step; re-enter; malfunction; cutover error; MAC and keys; number out of sequence.
        (
            declined(R::BankError),
            "128 903 909 915 916 917 918 919 920 921 922",
        ),
        // Suspected fraud; call security; security violation; counterfeit card.
        (declined(R::SuspectedFraud), "102 105 122 129 202 205 210"),
    ],
    advices: &[
        // Reversal accepted.
        (Meaning::Approved, "400"),
        // Advice acknowledged, with and without liability; duplicate.
        (Meaning::Taken, "900 901 913"),
        (Meaning::OriginalUnknown, "499 914"),
        // Issuer or switch inoperative, signed off, timed out, unavailable; malfunction.
        (Meaning::Again, "907 909 910 911 912"),
    ],
    issuer_gave_no_answer: &["907", "911", "912"],
};

impl Edition {
    /// The edition of a dialect.
    #[must_use]
    pub fn of(version: Version) -> &'static Self {
        match version {
            Version::Iso1993 => &ISO_1993,
            // No dialect has another.
            _ => &ISO_1987,
        }
    }

    /// The meaning of a code in the answer to a request, of a host that does or does not reverse at an issuer
    /// that it gave up on.
    pub(super) fn of_request(&self, code: &str, host_reverses: bool) -> Option<Meaning> {
        if self.issuer_gave_no_answer.contains(&code) && !host_reverses {
            return Some(Meaning::UNCLEAR);
        }
        find(self.requests, code)
    }

    /// The meaning of a code in the answer to an advice.
    pub(super) fn of_advice(&self, code: &str) -> Option<Meaning> {
        let of_requests = || find(self.requests, code).map(Meaning::in_answer_to_advice);
        find(self.advices, code).or_else(of_requests)
    }

    /// Whether the edition says of a code that it approves another amount than was asked for.
    pub(in crate::hosts) fn is_partial_approval(&self, code: &str) -> bool {
        find(self.requests, code) == Some(Meaning::PARTLY_APPROVED)
    }
}

fn find(table: &[Codes], wanted: &str) -> Option<Meaning> {
    table
        .iter()
        .find(|(_, codes)| codes.split(' ').any(|code| code == wanted))
        .map(|(meaning, _)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_lists_a_code_once() {
        for edition in [&ISO_1987, &ISO_1993] {
            for table in [edition.requests, edition.advices] {
                let codes = table.iter().flat_map(|(_, codes)| codes.split(' '));
                let mut codes: Vec<_> = codes.collect();
                assert!(codes.iter().all(|code| code.len() == edition.code_length));
                let count = codes.len();
                codes.sort_unstable();
                codes.dedup();
                assert_eq!(codes.len(), count);
            }
        }
    }
}
