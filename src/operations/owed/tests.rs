//! What is owed when something is missing: a host, an attempt's end, a line, a step of the sender.

use std::io;
use std::sync::Mutex;

use tokio::sync::Semaphore;
use tracing::Level;

use super::*;
use crate::hosts::Hosts;
use crate::hosts::message::definition::Repeats;
use crate::hosts::tests::bank::Bank;
use crate::operations::testing::{hosts_where, owing, owing_at, sent};
use crate::payment::decline::UnknownReason;
use crate::payment::operation::OperationState;
use crate::payment::record::Attempts;
use crate::payment::samples;

/// Lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A machine whose reversals to a bank without lines are repeated as `change` says, and what is owed.
async fn repeated(
    name: &str,
    change: impl Fn(&mut Repeats),
) -> (crate::operations::testing::Folder, Operations, OwedEntry) {
    let bank = Bank::start().await;
    let hosts: Hosts = hosts_where(&bank, change);
    owing_at(name, hosts, UnknownReason::NoAnswerInTime).await
}

/// A host that was taken out of the configuration is still owed what it is owed.
#[tokio::test]
async fn the_log_says_that_nobody_sends_what_is_owed_to_a_removed_host() {
    let (folder, with_host, entry) = owing("removed-host").await;
    let counts = with_host.store.count_owed().await.unwrap();
    assert_eq!(counts.len(), 1);
    let logged = |machine: &Operations| {
        let lines = Lines::default();
        let log = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::INFO)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || machine.log_owed(&counts));
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    };
    let known = logged(&with_host);
    with_host.store.close().await;
    let without_host = folder.machine().await;
    for (written, level, what) in [
        (known, "INFO", "Messages are owed to a bank"),
        (logged(&without_host), "ERROR", "nobody sends them"),
    ] {
        let host = format!("host.id={}", entry.operation.host_id);
        for part in [level, what, &host, "owed=1"] {
            assert!(written.contains(part), "{part} in {written}");
        }
    }
    without_host.store.close().await;
}

/// The last message that the host allows left, and its end was lost with the process.
#[tokio::test]
async fn the_cap_holds_after_a_crash() {
    let (_folder, machine, entry) = repeated("cap", |repeats| repeats.cap = Some(1)).await;
    let entry = sent(&machine, entry, 0).await;
    let id = entry.operation.id;
    machine
        .attempt(entry, None, &samples::merchant(), &Semaphore::new(1))
        .await;
    let entry = machine.store.owed_entry(id).await.unwrap().unwrap();
    let suspended = OperationState::Suspended {
        reason: SuspendReason::AttemptsUsedUp,
        response_code: None,
    };
    assert_eq!(entry.operation.state, suspended);
    assert_eq!(entry.operation.attempts.count, 1);
    machine.store.close().await;
}

/// No line is up: no byte left, and the host's cap is not used up by that.
#[tokio::test]
async fn an_attempt_that_was_not_sent_does_not_count() {
    let (_folder, machine, entry) = repeated("not-sent", |_| {}).await;
    let id = entry.operation.id;
    let before = machine.clock.now();
    machine
        .attempt(entry, None, &samples::merchant(), &Semaphore::new(1))
        .await;
    let entry = machine.store.owed_entry(id).await.unwrap().unwrap();
    let attempts = entry.operation.attempts;
    assert!(attempts.next_at.unwrap() >= before.plus(Duration::from_secs(1)));
    let none = Attempts {
        next_at: attempts.next_at,
        ..Attempts::default()
    };
    assert_eq!(attempts, none);
    machine.store.close().await;
}

/// An entry that waits until its original is gone is not taken for one that a wrong clock wrote.
#[tokio::test]
async fn nothing_is_due_before_its_original_is_gone() {
    let hour = Duration::from_secs(3600);
    let (_folder, machine, entry) =
        repeated("farthest", |repeats| repeats.original_gone = hour).await;
    let queue = machine.owed_queues.values().next().unwrap();
    assert_eq!(queue.host_id, entry.operation.host_id);
    assert!(machine.farthest(queue) >= hour.saturating_add(BANK_WITHIN));
    machine.store.close().await;
}

#[tokio::test]
async fn a_sender_that_panics_goes_on() {
    let host_id = samples::merchant().acquirer;
    let mut pages = 0;
    for _ in 0..2 {
        panics_alone(host_id, async {
            pages += 1;
            assert!(pages > 1, "the first page");
        })
        .await;
    }
    assert_eq!(pages, 2);
}
