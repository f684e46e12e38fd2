//! Looks after something again and again.

use std::error::Error;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// Looks until `stop` is set, with a pause after each look. What fails is logged as `failed`, and tried again.
pub(super) async fn look_until<E, F>(
    mut stop: watch::Receiver<bool>,
    pause: Duration,
    failed: &'static str,
    mut look: impl FnMut() -> F,
) where
    E: Error + 'static,
    F: Future<Output = Result<(), E>>,
{
    loop {
        if let Err(error) = look().await {
            let error = &error as &dyn Error;
            tracing::error!(error, "{failed}");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(pause) => {}
        }
    }
}
