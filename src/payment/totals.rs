//! Totals: what the items of a business date sum to, as they are agreed with a host.

use serde::{Deserialize, Serialize};

use super::decline::ResponseCode;
use super::ids::{HostId, MerchantId, SubjectId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Currency;
use super::reference::Stan;
use super::settlement::BatchTotals;

/// What one message of totals is about: all of a host's items of a date and currency, or those of one merchant, or of one
/// terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TotalsLevel {
    /// One merchant.
    Merchant,
    /// One terminal of a merchant.
    Terminal,
    /// The host.
    Host,
}

/// What follows where a host's totals are others than ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutOfBalance {
    /// The difference is named, and merchants are funded all the same.
    Fund,
    /// The items are uploaded, and the totals compared once more. Where they differ still, as `Stop`.
    Upload,
    /// Nothing, until an operator has looked.
    Stop,
}

/// What totals are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalsKey {
    /// The host.
    pub host_id: HostId,
    /// The date.
    pub business_date: BusinessDate,
    /// The currency.
    pub currency: Currency,
    /// The merchant; none for all.
    pub merchant_id: Option<MerchantId>,
    /// The terminal; empty for all.
    pub terminal_id: String,
}

/// Where totals stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TotalsState {
    /// They are sent until the host answers.
    Due,
    /// The host's totals are others, and the items are being uploaded.
    Uploading,
    /// The host's totals are the same.
    InBalance,
    /// They are others, and merchants are funded all the same.
    OutOfBalance,
    /// They are others, or the host can't compare them: an operator has to look.
    Stopped,
}

impl TotalsState {
    const ALL: [Self; 5] = [
        Self::Due,
        Self::Uploading,
        Self::InBalance,
        Self::OutOfBalance,
        Self::Stopped,
    ];

    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Due => "DUE",
            Self::Uploading => "UPLOADING",
            Self::InBalance => "IN_BALANCE",
            Self::OutOfBalance => "OUT_OF_BALANCE",
            Self::Stopped => "STOPPED",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// The numbers of items that are being uploaded, so that an item that is sent again is the same to its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadNumbers {
    /// DE 7 of all of them.
    pub transmitted_at: UnixMillis,
    /// DE 11 of each.
    pub stans: Vec<u32>,
}

/// Totals that are agreed with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// What they are of.
    pub key: TotalsKey,
    /// DE 42 of the merchant, as it was when the day was closed; empty for all.
    pub acceptor_id: String,
    /// What its items sum to.
    pub ours: BatchTotals,
    /// What the host says instead, where it says so.
    pub theirs: Option<BatchTotals>,
    /// Where they stand.
    pub state: TotalsState,
    /// Whether the items were uploaded.
    pub uploaded: bool,
    /// The last item that was uploaded.
    pub uploaded_to: Option<SubjectId>,
    /// The numbers of the items that are being uploaded after it.
    pub upload: Option<UploadNumbers>,
    /// How often the message was sent.
    pub sent: u32,
    /// DE 11, once it was sent.
    pub stan: Option<Stan>,
    /// DE 7, once it was sent.
    pub transmitted_at: Option<UnixMillis>,
    /// When it is sent next; none where it is not.
    pub next_at: Option<UnixMillis>,
    /// DE 39 of a host that can't compare them.
    pub response_code: Option<ResponseCode>,
    /// How often the record has changed: the fence of its steps.
    pub version: i64,
}

/// What becomes of totals.
#[derive(Debug, Clone)]
pub enum TotalsStep {
    /// They are about to be sent, under these numbers where they have none.
    Sent {
        /// DE 11.
        stan: Stan,
        /// When they are sent again, unless the host answers.
        next_at: UnixMillis,
    },
    /// The host has answered.
    Answered {
        /// Where they stand now.
        state: TotalsState,
        /// What the host says instead.
        theirs: Option<BatchTotals>,
        /// DE 39 of a host that can't compare them.
        response_code: Option<ResponseCode>,
    },
    /// Items are about to be uploaded.
    Uploading {
        /// When they are uploaded again, unless the host takes all of them.
        next_at: UnixMillis,
        /// Under which numbers.
        numbers: UploadNumbers,
    },
    /// Items were uploaded up to this one. The rest follows at once.
    UploadedTo {
        /// The last one.
        subject: SubjectId,
    },
    /// All items were uploaded: the totals are sent once more, under new numbers.
    Uploaded,
    /// An operator has them sent once more, under new numbers.
    Again,
    /// An operator settles what is out of balance with our totals.
    Accepted,
}

impl Totals {
    /// The totals after a step, one version on; none where the step has no place in their state.
    #[must_use]
    pub fn after(&self, step: &TotalsStep, at: UnixMillis) -> Option<Self> {
        use TotalsState::{Due, OutOfBalance, Stopped, Uploading};
        let next = Self {
            version: self.version.checked_add(1)?,
            ..self.clone()
        };
        // Sent under new numbers.
        let due = Self {
            state: Due,
            sent: 0,
            stan: None,
            transmitted_at: None,
            next_at: Some(at),
            ..next.clone()
        };
        Some(match (step, self.state) {
            (TotalsStep::Sent { stan, next_at }, Due) => Self {
                sent: self.sent.saturating_add(1),
                stan: self.stan.or(Some(*stan)),
                transmitted_at: self.transmitted_at.or(Some(at)),
                next_at: Some(*next_at),
                ..next
            },
            (
                TotalsStep::Answered {
                    state,
                    theirs,
                    response_code,
                },
                Due,
            ) => Self {
                state: *state,
                theirs: *theirs,
                response_code: *response_code,
                next_at: (*state == Uploading).then_some(at),
                ..next
            },
            (TotalsStep::Uploading { next_at, numbers }, Uploading) => Self {
                next_at: Some(*next_at),
                upload: Some(numbers.clone()),
                ..next
            },
            (TotalsStep::UploadedTo { subject }, Uploading) => Self {
                uploaded_to: Some(*subject),
                upload: None,
                next_at: Some(at),
                ..next
            },
            (TotalsStep::Uploaded, Uploading) => Self {
                uploaded: true,
                ..due
            },
            (TotalsStep::Again, Stopped | Uploading) => Self {
                uploaded: false,
                uploaded_to: None,
                upload: None,
                theirs: None,
                response_code: None,
                ..due
            },
            (TotalsStep::Accepted, Uploading | Stopped) => Self {
                state: OutOfBalance,
                next_at: None,
                ..next
            },
            // What was sent more than once, a silent host has had time to answer.
            (TotalsStep::Accepted, Due) if self.sent > 1 => Self {
                state: OutOfBalance,
                next_at: None,
                ..next
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::ids::CaptureId;
    use super::super::reference::SequenceNumber;
    use super::super::samples::NOW;
    use super::*;

    /// One column a step, in the order of `steps`.
    #[test]
    fn every_state_meets_every_step() {
        use TotalsState as S;
        let stan = SequenceNumber::new(7).unwrap().stan();
        let steps = [
            TotalsStep::Sent { stan, next_at: NOW },
            TotalsStep::Answered {
                state: S::Uploading,
                theirs: Some(BatchTotals::default()),
                response_code: None,
            },
            TotalsStep::Uploading {
                next_at: NOW,
                numbers: UploadNumbers {
                    transmitted_at: NOW,
                    stans: vec![8],
                },
            },
            TotalsStep::UploadedTo {
                subject: SubjectId::Capture(CaptureId::from_parts(NOW, [1; 10])),
            },
            TotalsStep::Uploaded,
            TotalsStep::Again,
            TotalsStep::Accepted,
        ];
        // Sent Answered Uploading UploadedTo Uploaded Again Accepted
        for (state, sent, row) in [
            (S::Due, 1, "DUE UPLOADING . . . . ."),
            (S::Due, 2, "DUE UPLOADING . . . . OUT_OF_BALANCE"),
            (
                S::Uploading,
                1,
                ". . UPLOADING UPLOADING DUE DUE OUT_OF_BALANCE",
            ),
            (S::Stopped, 1, ". . . . . DUE OUT_OF_BALANCE"),
            (S::InBalance, 1, ". . . . . . ."),
            (S::OutOfBalance, 1, ". . . . . . ."),
        ] {
            let totals = Totals {
                key: TotalsKey {
                    host_id: "acquirer".parse().unwrap(),
                    business_date: BusinessDate::new(2026, 11, 29),
                    currency: "EUR".parse().unwrap(),
                    merchant_id: None,
                    terminal_id: String::new(),
                },
                acceptor_id: String::new(),
                ours: BatchTotals::default(),
                theirs: None,
                state,
                uploaded: false,
                uploaded_to: None,
                upload: None,
                sent,
                stan: Some(stan),
                transmitted_at: Some(NOW),
                next_at: Some(NOW),
                response_code: None,
                version: 3,
            };
            let after = steps.iter().map(|step| totals.after(step, NOW));
            let names: Vec<&str> = after
                .map(|after| after.map_or(".", |after| after.state.name()))
                .collect();
            assert_eq!(names.join(" "), row, "{state:?} sent {sent}");
        }
    }
}
