//! What merchants ask for while the gateway is killed, each request until it is answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use payswitch::merchant_api::pb;
use pb::PaymentState as State;
use tokio::sync::watch;
use tonic::Code;

use super::scene::{Clients, Shop};
use crate::capturing::{minor, of};
use crate::harness::pay_with;
use crate::refunding::refund_of;
use crate::voiding::void_of;

/// A worker waits so long before it repeats a request that was refused.
const REPEAT_AFTER: Duration = Duration::from_millis(50);
const TOKENS: [&str; 4] = [
    "pm_test_visa",
    "pm_test_visa_2",
    "pm_test_mastercard",
    "pm_test_mastercard_2",
];
const CURRENCIES: [&str; 3] = ["EUR", "JPY", "KWD"];

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let end = u64::try_from(all.len()).expect("a count");
        all[usize::try_from(self.below(end)).expect("an index")]
    }
}

/// What a worker asks for until it is answered.
#[derive(Clone)]
enum Asked {
    Pay(pb::AuthorizePaymentRequest),
    Capture(pb::CapturePaymentRequest),
    Void(pb::VoidPaymentRequest),
    Refund(Box<pb::Payment>, pb::CreateRefundRequest),
}

impl Asked {
    /// The payment, where it is answered.
    async fn of(self, client: &mut Clients) -> Option<pb::Payment> {
        let Clients {
            payments, refunds, ..
        } = client;
        match self {
            Self::Pay(request) => {
                let answer = payments.authorize_payment(request).await.ok()?;
                answer.into_inner().payment.map(|payment| *payment)
            }
            Self::Capture(request) => {
                let answer = payments.capture_payment(request).await.ok()?;
                answer.into_inner().payment
            }
            Self::Void(request) => {
                let answer = payments.void_payment(request).await.ok()?;
                answer.into_inner().payment
            }
            Self::Refund(payment, request) => match refunds.create_refund(request).await {
                Ok(_) => Some(*payment),
                // More than one capture, and none has so much left.
                Err(status) if status.code() == Code::FailedPrecondition => Some(*payment),
                Err(_) => None,
            },
        }
    }

    /// What comes after an answer: nothing, a void, a capture of all or of a part, or a refund of a part.
    fn after(payment: &pb::Payment, random: &mut Random) -> Option<Self> {
        let mut part = |whole: i64| {
            let part = 1 + random.below(u64::try_from(whole).expect("an amount"));
            i64::try_from(part).expect("an amount")
        };
        let (whole, taken) = (
            minor(&payment.capturable_amount),
            minor(&payment.captured_amount),
        );
        let (left, refunded) = (part(whole.max(1)), part(taken.max(1)));
        match (payment.state(), random.below(8)) {
            (State::Authorized, 0) => Some(Self::Void(void_of(payment))),
            (State::Authorized, 1..=3) => Some(Self::Capture(of(payment, None))),
            (State::Authorized | State::PartiallyCaptured, 4 | 5) => {
                Some(Self::Capture(of(payment, left)))
            }
            (State::PartiallyCaptured | State::Captured, 6 | 7) => {
                let request = refund_of(payment, refunded);
                Some(Self::Refund(Box::new(payment.clone()), request))
            }
            _ => None,
        }
    }
}

/// Pays until no more addresses are given, each request at any of the gateways until it is answered. Gives the
/// payments.
pub(super) async fn pay_on_and_on(
    shop: Shop,
    mut addresses: watch::Receiver<Vec<SocketAddr>>,
    mut random: Random,
) -> Vec<String> {
    let mut told = Vec::new();
    let mut clients: BTreeMap<SocketAddr, Clients> = BTreeMap::new();
    let mut asked: Option<Asked> = None;
    loop {
        let is_last = addresses.has_changed().is_err();
        let current = addresses.borrow_and_update().clone();
        if current.is_empty() {
            if addresses.changed().await.is_err() {
                return told;
            }
            continue;
        }
        let address = random.one_of(&current);
        clients.retain(|known, _| current.contains(known));
        if !clients.contains_key(&address)
            && let Some(new) = shop.clients(address).await
        {
            clients.insert(address, new);
        }
        let Some(client) = clients.get_mut(&address) else {
            tokio::time::sleep(REPEAT_AFTER).await;
            continue;
        };
        let request = asked.get_or_insert_with(|| {
            let amount = i64::try_from(1 + random.below(50_000)).expect("an amount");
            Asked::Pay(pay_with(
                random.one_of(&TOKENS),
                amount,
                random.one_of(&CURRENCIES),
            ))
        });
        match request.clone().of(client).await {
            Some(payment) => {
                asked = Asked::after(&payment, &mut random);
                told.push(payment.payment_id);
                if is_last {
                    return told;
                }
            }
            // Killed, or busy with this very request, or with the capture that is refunded.
            None => tokio::time::sleep(REPEAT_AFTER).await,
        }
    }
}

/// Lives of `payswitch load --mix`, each load after the one before, until no more addresses are given. Gives how many
/// captures, voids and refunds were answered.
pub(super) async fn load_on_and_on(
    mut load: tokio::process::Command,
    addresses: watch::Receiver<Vec<SocketAddr>>,
) -> BTreeMap<String, u64> {
    let mut answered = BTreeMap::new();
    loop {
        let is_last = addresses.has_changed().is_err();
        let printed = load.output().await.expect("payswitch load").stdout;
        // One that can't reach the gateway prints nothing.
        let Ok(report) = serde_json::from_slice::<serde_json::Value>(&printed) else {
            tokio::time::sleep(REPEAT_AFTER).await;
            continue;
        };
        for (kind, figures) in report["followed_by"].as_object().expect("kinds of calls") {
            *answered.entry(kind.clone()).or_default() +=
                figures["answered"].as_u64().expect("a count");
        }
        if is_last {
            return answered;
        }
    }
}
