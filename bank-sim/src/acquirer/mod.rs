//! The acquirer: forwards to the issuer by BIN, and relays the answer in the switch's dialect.

mod in_flight;
mod link;
mod nps;
mod originals;
mod session;
mod upkeep;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use iso8583::mti::Class;
use tokio::sync::mpsc;

pub(crate) use self::link::{Link, LinkSettings, LinkTarget};
use self::{
    link::Forward,
    originals::{OnLink, Originals, Remembered},
};
use crate::{
    clock::{Clock, transmission_date_time},
    config::HostRules,
    issuer::{ExchangeKey, MessageKind, pan, refuse_as_nps},
    message::BankMessage,
    outcome::{Decided, Effect, Outcome},
    response_code::ResponseCode,
    settlement::Settlement,
};

/// Decides for the acquirer's connections.
#[derive(Debug)]
pub(crate) struct Acquirer {
    /// Longest BIN first.
    routes: Vec<(String, usize)>,
    links: Vec<Arc<Link>>,
    originals: Mutex<Originals>,
    institution_id: String,
    rules: HostRules,
    settlement: Arc<Settlement>,
    clock: Arc<dyn Clock>,
    /// Whether it was said that there is no room for further messages.
    said_full: AtomicBool,
}

/// Why a request is answered here and not forwarded.
struct Refused(ResponseCode);

/// Where a request goes, and as what.
struct Forwardable<'a> {
    link: &'a Link,
    /// As it goes on the link.
    message: BankMessage,
    /// The key of its record.
    own: ExchangeKey,
    /// Whether it was forwarded before.
    is_repeat: bool,
}

/// Where a message lies on the link.
struct PlaceOnLink {
    own: OnLink,
    original: Option<OnLink>,
    is_repeat: bool,
}

impl Acquirer {
    pub(crate) fn new(
        links: Vec<Arc<Link>>,
        institution_id: String,
        max_exchanges: usize,
        settlement: Arc<Settlement>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut routes: Vec<(String, usize)> = links
            .iter()
            .enumerate()
            .flat_map(|(index, link)| link.bins().iter().map(move |bin| (bin.clone(), index)))
            .collect();
        routes.sort_by_key(|(bin, _)| std::cmp::Reverse(bin.len()));
        Self {
            routes,
            links,
            originals: Mutex::new(Originals::new(max_exchanges)),
            institution_id,
            rules: settlement.rules(),
            settlement,
            clock,
            said_full: AtomicBool::new(false),
        }
    }

    /// What it books for the end of the day.
    pub(crate) fn settlement(&self) -> &Settlement {
        &self.settlement
    }

    pub(crate) fn links(&self) -> &[Arc<Link>] {
        &self.links
    }

    fn originals(&self) -> MutexGuard<'_, Originals> {
        self.originals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a message about totals of a line that is signed on, and forwards any other; the issuer's answer comes
    /// through `replies`. What can't be forwarded is answered at once:
    ///
    /// - 12 for a message that these hosts do not know, 30 for one without what forwarding needs;
    /// - 14 for a card number that no BIN matches: a switch and its merchant can act on "invalid
    ///   card", while 15 (no such issuer) and 92 (no route) mean the same with less use;
    /// - 91 when the link to the issuer is down;
    /// - 94 for a 0100 or 0200 that was forwarded before, 05 for one whose reversal came first;
    /// - 96 when it remembers as many messages as it may.
    pub(crate) fn decide(
        &self,
        request: BankMessage,
        replies: &mpsc::Sender<BankMessage>,
    ) -> Decided {
        if matches!(
            request.mti().class(),
            Class::Reconciliation | Class::FileAction
        ) {
            return self.settlement.decide(&request);
        }
        if let Some(refused) = refuse_as_nps(&request, self.rules) {
            return refused.into();
        }
        let forwardable = match self.forwardable(&request) {
            Ok(forwardable) => forwardable,
            Err(Refused(code)) => {
                let mut refused: Decided = Outcome::answer_with(&request, code).into();
                refused.is_repeat = code == ResponseCode::DUPLICATE;
                return refused;
            }
        };
        let Forwardable {
            link,
            message,
            own,
            is_repeat,
        } = forwardable;
        let forward = Forward {
            message,
            request,
            replies: replies.clone(),
        };
        let outcome = match link.forward(forward) {
            Ok(()) => Outcome::Nothing,
            Err(refused) => {
                if !is_repeat {
                    self.originals().forget(&own);
                }
                Outcome::answer_with(&refused.request, ResponseCode::INOPERATIVE)
            }
        };
        Decided {
            outcome,
            effect: Effect::None,
            is_repeat,
        }
    }

    fn forwardable(&self, request: &BankMessage) -> Result<Forwardable<'_>, Refused> {
        let format_error = |_| Refused(ResponseCode::FORMAT_ERROR);
        let kind = MessageKind::at(request.mti(), self.rules)
            .ok_or(Refused(ResponseCode::INVALID_TRANSACTION))?;
        let pan = pan(request).map_err(format_error)?;
        let own = ExchangeKey::by(request, kind, self.rules).map_err(format_error)?;
        let original = match kind {
            MessageKind::Reversal => ExchangeKey::of_original(request).map(Some),
            _ => own.original_of(request, self.rules),
        };
        let original = original.map_err(format_error)?;
        let link = self.route(pan).ok_or(Refused(ResponseCode::INVALID_CARD))?;
        if !link.is_ready() {
            return Err(Refused(ResponseCode::INOPERATIVE));
        }
        let place = self.place_on_link(link, own, original)?;
        Ok(Forwardable {
            link,
            message: self.outgoing(request, &place, original),
            own,
            is_repeat: place.is_repeat,
        })
    }

    fn route(&self, pan: &str) -> Option<&Arc<Link>> {
        let (_, index) = self
            .routes
            .iter()
            .find(|(bin, _)| pan.starts_with(bin.as_str()))?;
        self.links.get(*index)
    }

    /// The STAN and DE 7 of a message on the link, and those of its original.
    fn place_on_link(
        &self,
        link: &Link,
        own: ExchangeKey,
        original: Option<ExchangeKey>,
    ) -> Result<PlaceOnLink, Refused> {
        let mut originals = self.originals();
        let (on_link, is_repeat) = match originals.get(&own) {
            Some(Remembered::ReversedFirst) => {
                return Err(Refused(ResponseCode::DO_NOT_HONOUR));
            }
            // The issuer knows it again by what it had on the link the first time.
            Some(Remembered::Forwarded(on_link)) if own.kind.may_come_again() => (on_link, true),
            Some(Remembered::Forwarded(_)) => return Err(Refused(ResponseCode::DUPLICATE)),
            // A reversal is never refused for want of room: it makes none of what is held.
            None if originals.is_full() && own.kind != MessageKind::Reversal => {
                self.say_full();
                return Err(Refused(ResponseCode::SYSTEM_MALFUNCTION));
            }
            None => {
                let on_link = OnLink {
                    stan: link.next_stan(),
                    transmitted: transmitted(&transmission_date_time(self.clock.now_utc())),
                };
                (on_link, false)
            }
        };
        originals.remember(own, Remembered::Forwarded(on_link));
        let original_on_link = match original.map(|original| (original, originals.get(&original))) {
            Some((_, Some(Remembered::Forwarded(on_link)))) => Some(on_link),
            Some((original, None)) if own.kind == MessageKind::Reversal => {
                originals.remember(original, Remembered::ReversedFirst);
                None
            }
            _ => None,
        };
        Ok(PlaceOnLink {
            own: on_link,
            original: original_on_link,
            is_repeat,
        })
    }

    fn say_full(&self) {
        if !self.said_full.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the acquirer remembers as many messages as it may (`max_exchanges`): every further \
                 request is answered with 96"
            );
        }
    }

    /// The message as it goes to the issuer: the acquirer's own DE 7 and 11, its id as forwarding
    /// institution (33) and, where the switch named none, as acquiring institution (32), DE 90 in
    /// the link's terms; everything else as it came, DE 37, 41 and 42 above all. Issuers speak the edition of
    /// 1987, and have the standard rules.
    fn outgoing(
        &self,
        request: &BankMessage,
        place: &PlaceOnLink,
        original: Option<ExchangeKey>,
    ) -> BankMessage {
        let is_translated = request.is_of_1993() || self.rules == HostRules::Nps;
        let mut message = if request.is_of_1993() {
            request.in_1987()
        } else if self.rules == HostRules::Nps {
            nps::in_standard_terms(request)
        } else {
            request.clone()
        };
        message.set_header(&[]);
        message.set(7, place.own.transmitted);
        message.set(11, place.own.stan);
        if message.get(32).is_none() {
            message.set(32, &self.institution_id);
        }
        message.set(33, &self.institution_id);
        let as_named = |named: ExchangeKey| OnLink {
            stan: named.stan,
            transmitted: named.transmitted,
        };
        let on_link = place
            .original
            .or_else(|| original.filter(|_| is_translated).map(as_named));
        if let (Some(named), Some(original)) = (original, on_link) {
            let mut original_data = Vec::with_capacity(42);
            original_data.extend_from_slice(named.kind.mti().as_bytes());
            original_data.extend_from_slice(&original.stan);
            original_data.extend_from_slice(&original.transmitted);
            for institution in [message.text(32).unwrap_or_default(), &self.institution_id] {
                original_data.extend_from_slice(format!("{institution:0>11}").as_bytes());
            }
            message.set(90, original_data);
        }
        message
    }
}

/// DE 7 as bytes; a clock that names no such date gives zeros.
fn transmitted(date_time: &str) -> [u8; 10] {
    date_time.as_bytes().try_into().unwrap_or([b'0'; 10])
}
