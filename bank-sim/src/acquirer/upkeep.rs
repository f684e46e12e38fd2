//! Keeps a link up: connects, signs on, reconnects, and answers for an issuer that does not.

use std::{io, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    link::{Forward, Link, LinkTarget},
    session::{Session, SessionEnd},
};
use crate::{
    net::{Net, Stream},
    response_code::ResponseCode,
};

/// How long connecting, and the TLS handshake with it, may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an issuer may take to answer a sign-on.
const SIGN_ON_LIMIT: Duration = Duration::from_secs(5);
/// Between attempts to connect; doubles up to the maximum, and starts again once signed on.
const MIN_BACK_OFF: Duration = Duration::from_millis(50);
const MAX_BACK_OFF: Duration = Duration::from_secs(2);
/// How often expired requests are looked for.
const EXPIRY_TICK: Duration = Duration::from_millis(50);

impl Link {
    /// Keeps the link up until told to stop.
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let Some(target) = &self.settings.target else {
            return;
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.keep_up(target) => {}
            () = self.expire() => {}
        }
        self.ready.send_replace(false);
        self.in_flight().clear();
    }

    async fn keep_up(&self, target: &LinkTarget) {
        let mut queued = self.queued.lock().await;
        let mut back_off = MIN_BACK_OFF;
        loop {
            let Err(end) = self.live(target, &mut queued).await;
            if self.ready.send_replace(false) {
                back_off = MIN_BACK_OFF;
            }
            tracing::warn!(
                host.id = %self.settings.host,
                issuer = %self.settings.issuer,
                error = %end,
                "the link to an issuer is down"
            );
            self.refuse_queued(&mut queued);
            sleep(back_off).await;
            back_off = (back_off * 2).min(MAX_BACK_OFF);
        }
    }

    /// Answers 91 for every queued request, none of which was sent. Also done before the link is ready
    /// again: a request may have been queued while it went down, and by now the switch has given it up.
    fn refuse_queued(&self, queued: &mut mpsc::Receiver<Forward>) {
        while let Ok(forward) = queued.try_recv() {
            self.answer(
                &forward.request,
                &forward.replies,
                ResponseCode::INOPERATIVE,
                None,
            );
        }
    }

    /// Answers 91 for each request that the issuer has not answered in time, whether the link is up or
    /// not. A request that was on the line when it broke may have been approved, so it is not answered
    /// earlier.
    async fn expire(&self) {
        let mut ticks = interval(EXPIRY_TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let expired = self.in_flight().take_expired(Instant::now());
            for waiting in expired {
                self.answer(
                    &waiting.request,
                    &waiting.replies,
                    ResponseCode::INOPERATIVE,
                    None,
                );
            }
        }
    }

    /// One connection, from connecting to its end.
    async fn live(
        &self,
        target: &LinkTarget,
        queued: &mut mpsc::Receiver<Forward>,
    ) -> Result<std::convert::Infallible, LinkEnd> {
        let stream = timeout(CONNECT_LIMIT, connect(&self.settings.net, target))
            .await
            .map_err(|_| LinkEnd::TooSlow)??;
        let mut session = Session::new(self, target, stream);
        timeout(SIGN_ON_LIMIT, session.sign_on())
            .await
            .map_err(|_| LinkEnd::SignOnTooSlow)??;
        tracing::info!(
            host.id = %self.settings.host,
            issuer = %self.settings.issuer,
            "the link to an issuer is up and signed on"
        );
        self.refuse_queued(queued);
        self.ready.send_replace(true);
        loop {
            session.step(queued).await?;
        }
    }
}

/// Why a link went down.
#[derive(Debug, Error)]
enum LinkEnd {
    #[error("connecting took longer than {} s", CONNECT_LIMIT.as_secs())]
    TooSlow,
    #[error("connecting failed: {0}")]
    Connect(#[from] io::Error),
    #[error("the issuer took longer than {} s to answer the sign-on", SIGN_ON_LIMIT.as_secs())]
    SignOnTooSlow,
    #[error(transparent)]
    Session(#[from] SessionEnd),
}

async fn connect(net: &Net, target: &LinkTarget) -> Result<TlsStream<Stream>, io::Error> {
    let stream = net.connect(target.address).await?;
    let connector = TlsConnector::from(Arc::clone(&target.tls));
    connector.connect(target.server_name.clone(), stream).await
}
