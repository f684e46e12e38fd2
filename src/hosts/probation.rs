//! Finds out whether a host whose circuit is open answers again: echoes, each after a longer wait than the one before.

use std::sync::Arc;

use super::circuit::CircuitState;
use super::host::Host;
use super::line::link::{back_off, random_fraction};
use super::line::orders::Order;
use crate::random::Random;

/// Sends echoes to a host while its circuit is open, until its lines are to end.
pub(super) async fn run(host: Arc<Host>, random: Random) {
    let mut order = host.order.subscribe();
    tokio::select! {
        // The host lives as long as this.
        _ = order.wait_for(|order| *order == Order::End) => {}
        () = echo_while_open(&host, &random) => {}
    }
}

async fn echo_while_open(host: &Host, random: &Random) {
    loop {
        let failures = host.circuit.stands(CircuitState::Open).await;
        let bounds = host.endpoint.borrow().back_off;
        tokio::time::sleep(back_off(bounds, failures, random_fraction(random))).await;
        if let Some(is_answered) = host.answers_echo().await {
            host.circuit.echoed(is_answered);
        }
    }
}
