//! Messages of settlement on a line: totals and uploaded items (classes 3 and 5), which are answered by their STAN and DE
//! 7; and the host's own cutover, which is answered once it is recorded.

use iso8583::mti::Class;
use iso8583::{Message, Mti};
use tokio::sync::oneshot;

use crate::hosts::message::totals::TotalsAnswer;

/// Messages of settlement that may wait to be sent on a line.
pub(in crate::hosts) const SETTLEMENT_QUEUE: usize = 64;
/// Those that may wait for their answers on one.
pub(super) const MOST_WAITING: usize = 64;

/// Reads an answer, as the profile says.
pub(in crate::hosts) type ReadAnswer = Box<dyn FnOnce(&Message<'_>) -> TotalsAnswer + Send>;

/// A message that is to be sent, and whoever waits for the answer.
pub(in crate::hosts) struct SettlementRequest {
    pub(in crate::hosts) mti: Mti,
    pub(in crate::hosts) elements: Vec<(u8, String)>,
    pub(in crate::hosts) read: ReadAnswer,
    pub(in crate::hosts) answer: oneshot::Sender<TotalsAnswer>,
}

/// A message that was sent, and is not answered yet.
pub(super) struct WaitingForTotals {
    response_mti: Option<Mti>,
    /// DE 7 and DE 11, as they were sent.
    key: [Option<String>; 2],
    read: ReadAnswer,
    answer: oneshot::Sender<TotalsAnswer>,
}

/// The elements by which an answer finds its message.
const KEY: [u8; 2] = [7, 11];

impl WaitingForTotals {
    /// What waits once the message is written.
    pub(super) fn of(request: SettlementRequest) -> Self {
        let sent = |de: u8| {
            let found = request.elements.iter().find(|(there, _)| *there == de);
            found.map(|(_, value)| value.clone())
        };
        Self {
            response_mti: request.mti.response(),
            key: KEY.map(sent),
            read: request.read,
            answer: request.answer,
        }
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    /// Whether this is its answer. The STAN is always there; DE 7 must be equal where it is there.
    pub(super) fn is_answered_by(&self, message: &Message<'_>) -> bool {
        let [transmitted, stan] = &self.key;
        let transmitted_is_equal = message
            .text(7)
            .is_none_or(|text| transmitted.as_deref() == Some(&*text));
        Some(message.mti()) == self.response_mti
            && message.text(11).as_deref() == stan.as_deref()
            && transmitted_is_equal
    }

    /// Tells whoever waits.
    pub(super) fn answered(self, message: &Message<'_>) {
        // Nobody waits any more when this fails.
        let _ = self.answer.send((self.read)(message));
    }
}

/// Whether a message belongs to settlement.
pub(super) fn is_of_settlement(mti: Mti) -> bool {
    matches!(mti.class(), Class::FileAction | Class::Reconciliation)
}

/// A cutover that the host has announced, and that is being recorded.
pub(super) struct AnnouncedCutover {
    /// The answer, but for DE 39.
    pub(super) mti: Mti,
    pub(super) header: Vec<u8>,
    pub(super) elements: Vec<(u8, String)>,
    /// Whether it is recorded. Where that can't be said, the host is not answered, and announces it again.
    pub(super) recorded: oneshot::Receiver<bool>,
}

/// Waits until an announced cutover is recorded or refused; for ever where none is announced.
pub(super) async fn is_recorded(announced: &mut Option<AnnouncedCutover>) -> Option<bool> {
    match announced {
        Some(cutover) => (&mut cutover.recorded).await.ok(),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use iso8583::{Dialect, MessageBuilder};

    use super::*;

    const TRANSMITTED: &str = "1129143651";
    const STAN: &str = "000007";

    fn sent() -> WaitingForTotals {
        let (answer, _answered) = oneshot::channel();
        WaitingForTotals::of(SettlementRequest {
            mti: "0500".parse().unwrap(),
            elements: vec![(7, TRANSMITTED.into()), (11, STAN.into())],
            read: Box::new(|_| TotalsAnswer::Refused {
                response_code: None,
            }),
            answer,
        })
    }

    /// An answer is of the message whose type, STAN and DE 7 it has; one that has not all of these is of none.
    #[test]
    fn an_answer_with_another_key_is_not_taken() {
        let dialect = Dialect::builtin("iso1987-ascii-hex").unwrap();
        for (mti, transmitted, stan, is_taken) in [
            ("0510", Some(TRANSMITTED), Some(STAN), true),
            ("0510", None, Some(STAN), true),
            ("0510", Some(TRANSMITTED), Some("000008"), false),
            ("0510", Some(TRANSMITTED), None, false),
            ("0510", Some("1129143652"), Some(STAN), false),
            ("0530", Some(TRANSMITTED), Some(STAN), false),
            ("0330", Some(TRANSMITTED), Some(STAN), false),
            ("0500", Some(TRANSMITTED), Some(STAN), false),
        ] {
            let mut answer = MessageBuilder::new(mti.parse().unwrap());
            for (de, value) in [(7, transmitted), (11, stan)] {
                if let Some(value) = value {
                    answer.text(de, value);
                }
            }
            answer.text(39, "00");
            let mut bytes = Vec::new();
            dialect.encode(&answer, &mut bytes).unwrap();
            let answer = dialect.decode(&bytes).unwrap();
            let said = (mti, transmitted, stan);
            assert_eq!(sent().is_answered_by(&answer), is_taken, "{said:?}");
        }
    }
}
