//! What a host does wrong when it is told to: to which messages, and how often.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use iso8583::{Mti, mti::Class};

use crate::message::BankMessage;

/// The most faults at once.
pub const MAX_FAULTS: usize = 1_000;

/// A fault. A condition that is `None` holds for every message, but for network management: that is meant
/// only by its message type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The host.
    pub host: Option<String>,
    /// The message type that comes in.
    pub mti: Option<Mti>,
    /// The last four digits of DE 2.
    pub card_last4: Option<String>,
    /// DE 4, in minor units.
    pub amount_minor: Option<i64>,
    /// Only every so many of the messages that fit; 0 and 1 mean each.
    pub every_nth: u32,
    /// How often it happens, then it is gone; `None` means without end.
    pub times: Option<u32>,
    /// What happens.
    pub what: Misbehaviour,
}

/// What a host does wrong to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehaviour {
    /// It passes the request over, without any effect.
    DropRequest,
    /// The request has its effect, and the answer is never sent.
    DropResponse,
    /// It answers so much later.
    Delay(Duration),
    /// It sends its answer so many more times.
    Duplicate(u32),
    /// It changes an element of its answer; without a value it leaves it out.
    Change(u8, Option<String>),
    /// It closes the connection when it should answer; the request has its effect.
    Close,
    /// It answers only after the reversal of the request has come; the request has its effect at once.
    AnswerAfterReversal,
}

impl Fault {
    fn fits(&self, host: &str, message: &BankMessage) -> bool {
        let is_network = message.mti().class() == Class::NetworkManagement;
        let last4 = || {
            let pan = message.text(2)?;
            pan.get(pan.len().checked_sub(4)?..)
        };
        let amount = || message.text(4)?.parse().ok();
        self.host.as_deref().is_none_or(|named| named == host)
            && self.mti.map_or(!is_network, |mti| mti == message.mti())
            && self
                .card_last4
                .as_deref()
                .is_none_or(|digits| last4() == Some(digits))
            && self
                .amount_minor
                .is_none_or(|minor| amount() == Some(minor))
    }
}

/// The faults of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Mutex<Vec<Active>>,
    /// How many there are, so that no lock is taken while there is none.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    /// How many messages fitted so far.
    fitted: u32,
    times_left: Option<u32>,
}

impl Faults {
    /// Adds a fault; how many there are then, or `None` when there are too many.
    pub(crate) fn add(&self, fault: Fault) -> Option<usize> {
        let mut active = self.active();
        if active.len() >= MAX_FAULTS {
            return None;
        }
        active.push(Active {
            fitted: 0,
            times_left: fault.times,
            fault,
        });
        self.count.store(active.len(), Ordering::Relaxed);
        Some(active.len())
    }

    /// Removes all; how many there were.
    pub(crate) fn clear(&self) -> usize {
        let mut active = self.active();
        self.count.store(0, Ordering::Relaxed);
        std::mem::take(&mut *active).len()
    }

    /// What a host does wrong to this message: the first fault that fits and whose turn it is.
    pub(crate) fn strike(&self, host: &str, message: &BankMessage) -> Option<Misbehaviour> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut active = self.active();
        let struck = active.iter_mut().position(|one| {
            if !one.fault.fits(host, message) {
                return false;
            }
            one.fitted = one.fitted.wrapping_add(1);
            one.fitted.is_multiple_of(one.fault.every_nth.max(1))
        })?;
        let one = active.get_mut(struck)?;
        let what = one.fault.what.clone();
        one.times_left = one.times_left.map(|left| left.saturating_sub(1));
        if one.times_left == Some(0) {
            active.remove(struck);
            self.count.store(active.len(), Ordering::Relaxed);
        }
        Some(what)
    }

    fn active(&self) -> MutexGuard<'_, Vec<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(change: impl FnOnce(&mut Fault)) -> Fault {
        let mut fault = Fault {
            host: None,
            mti: None,
            card_last4: None,
            amount_minor: None,
            every_nth: 0,
            times: None,
            what: Misbehaviour::DropRequest,
        };
        change(&mut fault);
        fault
    }

    fn message(mti: Mti) -> BankMessage {
        let mut message = BankMessage::new(mti);
        message.set(2, "4242424242424242");
        message.set(4, "000000001250");
        message
    }

    #[test]
    fn a_fault_strikes_what_fits_every_nth_time_and_so_often() {
        let authorization = message(Mti::AUTHORIZATION_REQUEST);
        let cases: [(Fault, [bool; 5]); 8] = [
            (fault(|_| {}), [true; 5]),
            (
                fault(|fault| fault.host = Some("issuer-b".to_owned())),
                [false; 5],
            ),
            (
                fault(|fault| fault.mti = Some(Mti::REVERSAL_ADVICE)),
                [false; 5],
            ),
            (
                fault(|fault| fault.card_last4 = Some("4242".to_owned())),
                [true; 5],
            ),
            (
                fault(|fault| fault.card_last4 = Some("1111".to_owned())),
                [false; 5],
            ),
            (fault(|fault| fault.amount_minor = Some(1_251)), [false; 5]),
            (
                fault(|fault| fault.every_nth = 2),
                [false, true, false, true, false],
            ),
            (
                fault(|fault| fault.times = Some(2)),
                [true, true, false, false, false],
            ),
        ];
        for (fault, expected) in cases {
            let faults = Faults::default();
            assert_eq!(faults.add(fault.clone()), Some(1));
            let struck = expected.map(|_| faults.strike("issuer-a", &authorization).is_some());
            assert_eq!(struck, expected, "{fault:?}");
        }
    }

    #[test]
    fn network_management_is_struck_only_by_its_name_and_the_first_fault_wins() {
        let faults = Faults::default();
        faults.add(fault(|_| {}));
        let echo = message(Mti::NETWORK_REQUEST);
        assert_eq!(faults.strike("acquirer", &echo), None);
        faults.add(fault(|fault| {
            fault.mti = Some(Mti::NETWORK_REQUEST);
            fault.what = Misbehaviour::Close;
        }));
        assert_eq!(faults.strike("acquirer", &echo), Some(Misbehaviour::Close));
        let authorization = message(Mti::AUTHORIZATION_REQUEST);
        let struck = faults.strike("acquirer", &authorization);
        assert_eq!(struck, Some(Misbehaviour::DropRequest));
        assert_eq!(faults.clear(), 2);
        assert_eq!(faults.strike("acquirer", &authorization), None);
    }
}
