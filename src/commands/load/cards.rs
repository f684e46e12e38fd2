//! Cards to pay with: sealed ahead of the run, so that the client's crypto is not in the figure.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::mix;
use super::target::{Connection, Target};
use crate::card::header::{Algorithm, MAX_CARD_LIFETIME_S, MAX_SESSION_LIFETIME_S};
use crate::card::pan::Card;
use crate::card::seal::{self, CardClaims, Recipient, SealError, SessionClaims, SessionKey};
use crate::card::session::MAX_MESSAGES;
use crate::card::test_methods::TEST_METHODS;
use crate::clock::{Clock as _, SystemClock};
use crate::commands::error::CommandError;
use crate::merchant_api::client::encoded::EncodedRequest;
use crate::merchant_api::pb;
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod;
use crate::merchant_api::pb::sealing_service_client::SealingServiceClient;
use crate::payment::money::Money;
use crate::random::Random;

/// The most cards that are sealed ahead; each takes about a kilobyte.
pub(super) const MAX_AHEAD: u64 = 1 << 20;
/// The token of the card that is never answered.
const UNANSWERED: &str = "pm_test_no_answer";
/// Cards that are sealed in one go when the supply has run out.
const REFILL: u64 = 512;
/// What a card's lifetime must leave, beyond sealing and the run, for the calls still in progress.
const SPARE: Duration = Duration::from_secs(10);

/// When cards are sealed, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sealing {
    /// Ahead of the run, each to the gateway's public key.
    Ahead,
    /// Ahead of the run, under one session key.
    Session,
    /// During the run, each to the gateway's public key.
    Each,
}

/// Why there is no card to pay with.
#[derive(Debug, thiserror::Error)]
pub(super) enum CardError {
    #[error(
        "sealing {cards} cards takes about {sealing_s:.0} s and the run {run_s:.0} s, but a sealed \
         card is good for {MAX_CARD_LIFETIME_S} s: expected a shorter --duration, or --sealing each"
    )]
    TooLong {
        cards: u64,
        sealing_s: f64,
        run_s: f64,
    },
    #[error(
        "the run needs {cards} cards, and at most {MAX_AHEAD} are sealed ahead: expected a shorter \
         --duration, or --sealing each"
    )]
    TooMany { cards: u64 },
    #[error("a session key seals at most {MAX_MESSAGES} cards")]
    SessionUsedUp,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("a thread that seals cards ended early")]
    Thread,
}

/// A test card by its number or its token.
///
/// # Errors
/// When it is none: this command pays with nothing else.
pub(super) fn test_card(text: &str) -> Result<TestCard, String> {
    TEST_METHODS
        .iter()
        .find(|method| method.pan == text || method.token == text)
        .and_then(|method| method.card().ok())
        .map(|card| TestCard(Arc::new(card)))
        .ok_or_else(|| {
            "expected a test card's number or token, such as 4111111111111111 or pm_test_visa"
                .to_owned()
        })
}

/// A test card; clap wants to clone it.
#[derive(Debug, Clone)]
pub(super) struct TestCard(Arc<Card>);

/// Makes requests, each with a card of its own.
pub(super) struct Sealer {
    recipient: Recipient,
    merchant: String,
    amount: Money,
    cards: Vec<TestCard>,
    /// A card that is never answered, and from which number on it takes its turn.
    unanswered: Option<(TestCard, u64)>,
    /// What this run's orders begin with.
    run: String,
    sealed: AtomicU64,
}

impl Sealer {
    /// Seals for `target`, to its public key or under a session key that is set up here. From the card of the number
    /// `unanswered_from` on some are never answered.
    ///
    /// # Errors
    /// When the gateway gives no key, or does not take the session key.
    pub(super) async fn new(
        target: &Target,
        connection: Connection,
        sealing: Sealing,
        amount: Money,
        cards: Vec<TestCard>,
        unanswered_from: Option<u64>,
    ) -> Result<Self, CommandError> {
        let mut service = SealingServiceClient::new(connection);
        let jwks = match &target.jwks {
            Some(jwks) => jwks.clone(),
            None => {
                let request = pb::GetSealingKeysRequest {};
                service.get_sealing_keys(request).await?.into_inner().jwks
            }
        };
        let merchant = target.merchant.to_string();
        let mut recipient = Recipient::from_jwks(&jwks, Algorithm::EcdhEs, &Random::SYSTEM)?;
        if sealing == Sealing::Session {
            let key = SessionKey::generate(&Random::SYSTEM)?;
            let claims = SessionClaims {
                merchant: &merchant,
                jti: &seal::new_jti(&SystemClock, &Random::SYSTEM)?,
                issued_at: SystemClock.now(),
                lifetime_s: MAX_SESSION_LIFETIME_S,
            };
            let request = pb::CreateSealingSessionRequest {
                sealed_session_key: recipient.seal_session_key(&key, &claims)?,
            };
            let session = service.create_sealing_session(request).await?.into_inner();
            recipient = Recipient::session(session.kid, &key, &Random::SYSTEM)?;
        }
        let run = seal::new_jti(&SystemClock, &Random::SYSTEM)?;
        let unanswered = match unanswered_from {
            Some(from) => Some((test_card(UNANSWERED)?, from)),
            None => None,
        };
        Ok(Self {
            recipient,
            merchant,
            amount,
            cards,
            unanswered,
            run,
            sealed: AtomicU64::new(0),
        })
    }

    /// A request to authorize a new order with the next card.
    pub(super) fn seal(&self) -> Result<EncodedRequest, CardError> {
        let number = self.sealed.fetch_add(1, Ordering::Relaxed);
        let direct = self.recipient.algorithm() == Algorithm::Direct;
        if direct && number >= u64::from(MAX_MESSAGES) {
            return Err(CardError::SessionUsedUp);
        }
        let index = usize::try_from(number).unwrap_or_default() % self.cards.len().max(1);
        let card = match &self.unanswered {
            Some((card, from)) if number.checked_sub(*from).is_some_and(mix::is_unanswered) => card,
            _ => self.cards.get(index).ok_or(CardError::Thread)?,
        };
        let jti = seal::new_jti(&SystemClock, &Random::SYSTEM).map_err(SealError::from)?;
        // Of one length, so that they grow as texts too, as references of a shop do. The letter keeps
        // the number apart from digits at the end of the run's name: together they could look like a
        // card number.
        let order = format!("load-{}-n{number:09}", self.run);
        let claims = CardClaims {
            merchant: &self.merchant,
            order: &order,
            amount: self.amount,
            jti: &jti,
            issued_at: SystemClock.now(),
            lifetime_s: MAX_CARD_LIFETIME_S,
        };
        let sealed = self.recipient.seal_card(&card.0, &claims)?;
        Ok(EncodedRequest::new(&pb::AuthorizePaymentRequest {
            request_id: jti,
            amount: Some(pb::Money {
                amount_minor: self.amount.amount_minor(),
                currency: self.amount.currency().to_string(),
            }),
            merchant_reference: order,
            payment_method: Some(PaymentMethod::SealedCard(sealed.as_str().to_owned())),
            ..pb::AuthorizePaymentRequest::default()
        }))
    }

    /// Seals `count` cards on all cores, in the order in which they are used up. `sealed` hears of
    /// each lot.
    pub(super) async fn seal_many(
        self: &Arc<Self>,
        count: u64,
        sealed: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> Result<VecDeque<EncodedRequest>, CardError> {
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let left = Arc::new(AtomicU64::new(count));
        let mut lots = JoinSet::new();
        for _ in 0..threads {
            let (sealer, left, sealed) = (Arc::clone(self), Arc::clone(&left), sealed.clone());
            lots.spawn_blocking(move || sealer.seal_share(&left, sealed));
        }
        let mut all = VecDeque::with_capacity(usize::try_from(count).unwrap_or_default());
        while let Some(lot) = lots.join_next().await {
            all.extend(lot.map_err(|_| CardError::Thread)??);
        }
        Ok(all)
    }

    fn seal_share(
        &self,
        left: &AtomicU64,
        sealed: impl Fn(u64),
    ) -> Result<Vec<EncodedRequest>, CardError> {
        let mut share = Vec::new();
        loop {
            let take = |left: u64| (left > 0).then(|| left.saturating_sub(REFILL));
            let Ok(before) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) else {
                return Ok(share);
            };
            let lot = before.min(REFILL);
            for _ in 0..lot {
                share.push(self.seal()?);
            }
            sealed(lot);
        }
    }
}

/// Cards for a run.
pub(super) struct Supply {
    sealer: Arc<Sealer>,
    ahead: Mutex<VecDeque<EncodedRequest>>,
    /// One refills for all.
    refilling: tokio::sync::Mutex<()>,
    /// Whether cards are sealed one by one, during the run.
    each: bool,
    sealed_during_run: AtomicU64,
}

impl Supply {
    /// Cards that were sealed ahead, and more when they run out.
    pub(super) fn ahead(sealer: Arc<Sealer>, ahead: VecDeque<EncodedRequest>) -> Self {
        Self {
            sealer,
            ahead: Mutex::new(ahead),
            refilling: tokio::sync::Mutex::new(()),
            each: false,
            sealed_during_run: AtomicU64::new(0),
        }
    }

    /// Cards that are sealed as they are needed.
    pub(super) fn each(sealer: Arc<Sealer>) -> Self {
        Self {
            each: true,
            ..Self::ahead(sealer, VecDeque::new())
        }
    }

    /// Cards that were sealed while calls ran.
    pub(super) fn sealed_during_run(&self) -> u64 {
        self.sealed_during_run.load(Ordering::Relaxed)
    }

    /// The next one. When those sealed ahead have run out, more are sealed on threads beside the
    /// runtime.
    pub(super) async fn take(&self) -> Result<EncodedRequest, CardError> {
        if self.each {
            self.sealed_during_run.fetch_add(1, Ordering::Relaxed);
            return self.sealer.seal();
        }
        loop {
            if let Some(request) = self.stock().pop_front() {
                return Ok(request);
            }
            let _turn = self.refilling.lock().await;
            if self.stock().is_empty() {
                let more = self.sealer.seal_many(REFILL, |_| {}).await?;
                self.sealed_during_run.fetch_add(REFILL, Ordering::Relaxed);
                self.stock().extend(more);
            }
        }
    }

    fn stock(&self) -> MutexGuard<'_, VecDeque<EncodedRequest>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long sealing took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed {
    pub(super) cards: u64,
    pub(super) took: Duration,
}

impl Sealed {
    pub(super) fn since(started: Instant, cards: u64) -> Self {
        Self {
            cards,
            took: started.elapsed(),
        }
    }

    /// Whether `cards` more can be sealed and used up in a run of `run` before the first expires.
    ///
    /// # Errors
    /// When they can't.
    pub(super) fn check_fit(self, cards: u64, run: Duration) -> Result<(), CardError> {
        if cards > MAX_AHEAD {
            return Err(CardError::TooMany { cards });
        }
        let sealing_s = self.took.as_secs_f64() / float(self.cards.max(1)) * float(cards);
        let run_s = run.as_secs_f64();
        if sealing_s + run_s + SPARE.as_secs_f64() > float(MAX_CARD_LIFETIME_S.unsigned_abs()) {
            return Err(CardError::TooLong {
                cards,
                sealing_s,
                run_s,
            });
        }
        Ok(())
    }
}

/// A count for arithmetic with rates: exact up to 2^53, far above any count here.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of calls stay far below 2^53"
)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_cards_are_taken() {
        for (text, taken) in [
            ("4111111111111111", true),
            ("pm_test_mastercard", true),
            ("4111111111111112", false),
            ("4012888888881881", false),
            ("", false),
        ] {
            assert_eq!(test_card(text).is_ok(), taken, "{text}");
        }
    }

    #[test]
    fn a_run_must_fit_into_a_cards_lifetime() {
        // 10,000 cards a second.
        let sealed = Sealed {
            cards: 1000,
            took: Duration::from_millis(100),
        };
        for (cards, run_s, fits) in [
            (100_000, 10, true),
            (100_000, 280, true),
            (100_000, 281, false),
            (1_000_000, 200, false),
            (2_000_000, 1, false),
        ] {
            let checked = sealed.check_fit(cards, Duration::from_secs(run_s));
            assert_eq!(checked.is_ok(), fits, "{cards} cards, {run_s} s");
        }
    }
}
