//! What operators ask of a line: to sign off until they want it again, and to send an echo; and what settlement asks of it.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::payment::decline::ResponseCode;

use super::settlement::SettlementRequest;

/// Echoes that may be asked of a line at once.
pub(in crate::hosts) const ECHOES: usize = 4;

/// What the lines of a host are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hosts) enum Order {
    /// Be connected and signed on.
    Run,
    /// Sign off, close, and wait for another order.
    SignOff,
    /// Sign off, and end.
    End,
}

/// The answer to an echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// DE 39, where the answer has a readable one.
    pub response_code: Option<ResponseCode>,
    /// From the moment at which it was put into what is to be written, to the answer.
    pub took: Duration,
}

/// Somebody who waits for the answer to an echo.
#[derive(Debug)]
pub(in crate::hosts) struct EchoRequest {
    asked_at: Instant,
    answer: oneshot::Sender<Echo>,
}

impl EchoRequest {
    /// A request, and where its answer comes out.
    pub(in crate::hosts) fn new() -> (Self, oneshot::Receiver<Echo>) {
        let (answer, answered) = oneshot::channel();
        let asked_at = Instant::now();
        (Self { asked_at, answer }, answered)
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    /// Notes that the echo is sent now.
    pub(super) fn sent(mut self) -> Self {
        self.asked_at = Instant::now();
        self
    }

    /// The host has answered.
    pub(super) fn answered(self, response_code: Option<ResponseCode>) {
        let took = self.asked_at.elapsed();
        // Nobody waits any more when this fails.
        let _ = self.answer.send(Echo {
            response_code,
            took,
        });
    }
}

/// What is asked for, and the orders: a line's end of them.
pub(super) struct Orders {
    pub(super) order: watch::Receiver<Order>,
    pub(super) echoes: mpsc::Receiver<EchoRequest>,
    pub(super) settlement: mpsc::Receiver<SettlementRequest>,
}

/// Waits until the line is not to run any more: told so, or left alone.
pub(super) async fn told_to_stop(order: &mut watch::Receiver<Order>) {
    // An error means that the sender is gone, and with it every user of the line.
    let _ = order.wait_for(|order| *order != Order::Run).await;
}
