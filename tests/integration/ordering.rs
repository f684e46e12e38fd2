//! What is committed before what is sent, as the operating system sees it: strace on the demo.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use payswitch::merchant_api::pb;

use crate::demo::{Demo, text};
use crate::harness::{TempFolder, authorize, pay_with, run, until};

/// A TLS record that carries an answer is longer than this; HTTP/2 housekeeping is shorter.
const HOUSEKEEPING_BYTES: usize = 120;

/// What is written of every call: where to, and all that is written.
const CALLS: &str = "trace=fdatasync,fsync,pwrite64,pwritev,write,writev,sendto,sendmsg,sendmmsg";

/// A running strace; it lets go of the demo when it is dropped.
struct Strace {
    child: Child,
    written: PathBuf,
}

impl Strace {
    fn attach(pid: u32, folder: &Path) -> Self {
        let written = folder.join("strace.txt");
        let mut child = Command::new("strace")
            .args([
                "-f",
                "-yy",
                "-s",
                "70000",
                "-e",
                CALLS,
                "-p",
                &pid.to_string(),
            ])
            .arg("-o")
            .arg(&written)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace (Debian package strace; scripts/test installs it)");
        let mut said = BufReader::new(child.stderr.take().expect("what strace says")).lines();
        let attached = said
            .next()
            .expect("that strace is attached")
            .expect("a line");
        assert!(attached.contains("attached"), "{attached}");
        // What else it says is not read, and is never more than a pipe holds.
        std::thread::spawn(move || said.count());
        Self { child, written }
    }

    fn lines(&self) -> Vec<String> {
        let bytes = std::fs::read(&self.written).unwrap_or_default();
        let written = String::from_utf8_lossy(&bytes);
        written.lines().map(str::to_owned).collect()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.child.wait();
    }
}

/// One thing that happened, in the order in which strace saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// The write-ahead log was given a page with the payment's reference in it.
    Written,
    /// The write-ahead log is on the disk.
    Durable,
    /// Bytes began to leave for the acquirer.
    ToAcquirer,
    /// An answer began to leave for the merchant.
    ToMerchant,
}

/// Reads strace's lines: a send counts from its beginning, a sync once it has returned.
fn events(lines: &[String], reference: &str, acquirer: &str, merchant_api: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut syncing: Vec<String> = Vec::new();
    for line in lines {
        let (thread, call) = line.split_once(' ').unwrap_or((line, ""));
        let call = call.trim_start();
        if call.starts_with("<... fdatasync resumed>") || call.starts_with("<... fsync resumed>") {
            if let Some(at) = syncing.iter().position(|syncing| syncing == thread) {
                syncing.remove(at);
                events.push(Event::Durable);
            }
            continue;
        }
        let Some((name, arguments)) = call.split_once('(') else {
            continue;
        };
        let target = arguments.split_once('>').map_or("", |(target, _)| target);
        let target = arguments
            .find(">, ")
            .map_or(target, |end| &arguments[..end]);
        let is_log = target.contains(".db-wal");
        match name {
            "fdatasync" | "fsync" if is_log && line.contains("unfinished") => {
                syncing.push(thread.to_owned());
            }
            "fdatasync" | "fsync" if is_log => events.push(Event::Durable),
            "pwrite64" | "pwritev" | "write" if is_log && arguments.contains(reference) => {
                events.push(Event::Written);
            }
            "write" | "writev" | "sendto" | "sendmsg" | "sendmmsg" => {
                if target.contains(&format!("->{acquirer}]")) {
                    events.push(Event::ToAcquirer);
                } else if target.contains(&format!("[{merchant_api}->"))
                    && call.len() > HOUSEKEEPING_BYTES * 2
                {
                    events.push(Event::ToMerchant);
                }
            }
            _ => {}
        }
    }
    events
}

#[test]
fn what_is_promised_is_on_the_disk_before_it_is_sent() {
    run(async {
        let folder = TempFolder::new("strace");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        let mut payments = demo.payments().await;
        // The connection's own record is written, and every line has been used.
        authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        let strace = Strace::attach(demo.pid(), folder.path());
        until("a trace of every thread", async || {
            let probe = pb::AuthorizePaymentRequest {
                merchant_reference: "probe-of-the-trace".into(),
                ..pay_with("pm_test_visa", 1250, "EUR")
            };
            authorize(&mut payments, probe).await;
            let acquirer = format!("->{}]", demo.said("acquirer"));
            strace.lines().iter().any(|line| line.contains(&acquirer))
        })
        .await;
        let before = strace.lines().len();
        let reference = "order-that-strace-looks-for";
        let request = pb::AuthorizePaymentRequest {
            merchant_reference: reference.into(),
            ..pay_with("pm_test_visa", 1250, "EUR")
        };
        authorize(&mut payments, request).await;
        let (acquirer, merchant_api) = (demo.said("acquirer"), demo.said("merchant_api"));
        until("the answer in the trace", async || {
            let lines = strace.lines();
            events(&lines[before..], reference, acquirer, merchant_api).contains(&Event::ToMerchant)
        })
        .await;
        let seen = events(&strace.lines()[before..], reference, acquirer, merchant_api);
        let shown = || format!("{seen:?}\n{}", text(&strace.written));

        // Intent: written, on the disk, and only then on its way.
        let first = |from: usize, event: Event| {
            let after = seen.iter().skip(from).position(|seen| *seen == event);
            after
                .map(|after| from + after)
                .unwrap_or_else(|| panic!("{event:?}: {}", shown()))
        };
        let intended = first(0, Event::Written);
        let durable = first(intended, Event::Durable);
        let sent = first(0, Event::ToAcquirer);
        assert!(intended < durable && durable < sent, "{}", shown());
        // Answer: the same, on its way back.
        let concluded = first(sent, Event::Written);
        let durable = first(concluded, Event::Durable);
        let told = first(0, Event::ToMerchant);
        assert!(concluded < durable && durable < told, "{}", shown());
        let sends = seen.iter().filter(|event| **event == Event::ToAcquirer);
        assert_eq!(sends.count(), 1, "{}", shown());
    });
}
