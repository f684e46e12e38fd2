//! What the service manager is told, where there is one (systemd, `Type=notify`): sd_notify(3).

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::hosts::Hosts;

/// What it reads while every required bank is signed on and the database takes records.
const READY: &str = "Ready: every required bank is signed on";

/// Tells it something. A manager that does not listen stops no payment.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "The service manager could not be told");
    }
}

/// Says that the doors are open: whatever waits for the gateway can go on. A bank that is away keeps nobody waiting,
/// because the gateway connects to it for as long as that takes.
pub fn open() {
    tell(&[
        NotifyState::Ready,
        NotifyState::Status("The doors are open; the banks are not signed on yet"),
    ]);
}

/// Says that the gateway is stopping.
pub fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("Stopping: no new payments, those in progress are finished"),
    ]);
}

/// Says whether the gateway is ready, and what is missing, each time that this changes.
pub async fn follow(hosts: Arc<Hosts>, mut ready: watch::Receiver<bool>) {
    let mut lines = hosts.watch();
    let mut told = String::new();
    loop {
        let away = lines
            .borrow_and_update()
            .iter()
            .filter(|host| host.required && !host.signed_on())
            .map(|host| host.host_id.to_string())
            .collect::<Vec<_>>();
        let status = status(*ready.borrow_and_update(), &away);
        if status != told {
            tell(&[NotifyState::Status(&status)]);
            told = status;
        }
        let changed = tokio::select! {
            changed = ready.changed() => changed,
            changed = lines.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

fn status(ready: bool, away: &[String]) -> String {
    match (ready, away) {
        (true, _) => READY.to_owned(),
        (false, []) => {
            "Not ready: the database has not answered yet, or takes no records".to_owned()
        }
        (false, away) => format!("Not ready: {} not signed on", away.join(", ")),
    }
}

/// Says now and again that the program runs, where the manager wants to hear that (`WatchdogSec=`). It is told by a
/// task, so it hears nothing any more when the tasks of the program stand still.
pub async fn keep_alive() {
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| !within.is_zero()) else {
        return;
    };
    let mut tick = tokio::time::interval(half(within));
    loop {
        tick.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

/// sd_watchdog_enabled(3) asks for twice in the time that the manager waits.
fn half(within: Duration) -> Duration {
    (within / 2).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_is_missing() {
        for (ready, away, said) in [
            (true, &[][..], READY),
            (false, &["acquirer"], "Not ready: acquirer not signed on"),
            (false, &["one", "two"], "Not ready: one, two not signed on"),
            (
                false,
                &[],
                "Not ready: the database has not answered yet, or takes no records",
            ),
        ] {
            let away: Vec<String> = away.iter().map(|&host| host.to_owned()).collect();
            assert_eq!(status(ready, &away), said);
        }
    }
}
