//! Reads certificates, revocation lists and host profiles again while the gateway runs, part by part. A part is read
//! and checked as a whole before any of it is used; one that can't be used leaves what was there before.
//!
//! Parts are read again when somebody asks for it, and when a look at the files, every few seconds, finds others.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::digest::{Context, SHA256};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::telemetry::with_causes;

/// Between two looks at the files. What is new is used once two looks have found the same, so that files which are
/// still being written are left alone.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Tells the texts that a part was made of from others: a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of these texts, in this order; a text that is not there is none that is empty.
    #[must_use]
    pub fn of(texts: &[Option<&[u8]>]) -> Self {
        let mut hash = Context::new(&SHA256);
        for text in texts {
            let length = text.map_or(u64::MAX, |text| text.len().try_into().unwrap_or(u64::MAX));
            hash.update(&length.to_be_bytes());
            hash.update(text.unwrap_or_default());
        }
        let mut bytes = [0; 32];
        let digest = hash.finish();
        for (byte, hashed) in bytes.iter_mut().zip(digest.as_ref()) {
            *byte = *hashed;
        }
        Self(bytes)
    }
}

/// Why a part can't be used.
pub type PartError = Box<dyn Error + Send + Sync>;

/// Something that is read again.
pub trait Part: Send + 'static {
    /// How people know it, for instance `merchant_api` or `host acquirer`.
    fn name(&self) -> &str;

    /// Whether somebody else looks at its files every few seconds, so that it is read again here only when asked for.
    fn is_watched_elsewhere(&self) -> bool {
        false
    }

    /// Reads its files and checks them; none where they are what is in use.
    ///
    /// # Errors
    /// When a file can't be read, or what is in it can't be used.
    fn read(&self) -> Result<Option<NewPart>, PartError>;
}

/// A part that was read and checked.
pub struct NewPart {
    /// Tells it from others.
    pub fingerprint: Fingerprint,
    /// What somebody should know of it, although it can be used.
    pub warning: Option<String>,
    /// Puts it in use.
    pub put: Box<dyn FnOnce() + Send>,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its files are what is in use.
    Unchanged,
    /// What its files hold is in use now.
    Reloaded,
    /// What its files hold can't be used; what was in use before stays.
    Refused,
}

/// A part, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartOutcome {
    /// Its name.
    pub part: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was refused, or what somebody should know of it; empty otherwise.
    pub detail: String,
}

/// How often a part was read again, since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCount {
    /// Its name.
    pub part: String,
    /// How often it was put in use.
    pub reloaded: u64,
    /// How often it was refused.
    pub refused: u64,
}

/// All parts that are read again.
pub struct Reloading {
    parts: Mutex<Vec<Watched>>,
    /// Beside the parts, since reading these may take its time.
    counts: Vec<Arc<Counts>>,
}

#[derive(Default)]
struct Counts {
    part: String,
    reloaded: AtomicU64,
    refused: AtomicU64,
}

struct Watched {
    part: Box<dyn Part>,
    /// What the last look found, unless it was what is in use.
    seen: Option<Seen>,
    /// Whether that was refused already.
    told: bool,
    counts: Arc<Counts>,
}

#[derive(PartialEq, Eq)]
enum Seen {
    New(Fingerprint),
    Fault(String),
}

impl Reloading {
    /// With these parts.
    #[must_use]
    pub fn new(parts: Vec<Box<dyn Part>>) -> Self {
        let watched = |part: Box<dyn Part>| Watched {
            counts: Arc::new(Counts {
                part: part.name().to_owned(),
                ..Counts::default()
            }),
            part,
            seen: None,
            told: false,
        };
        let parts: Vec<_> = parts.into_iter().map(watched).collect();
        Self {
            counts: parts.iter().map(|it| Arc::clone(&it.counts)).collect(),
            parts: Mutex::new(parts),
        }
    }

    /// Reads all parts again, and says what became of each.
    pub async fn reload(self: &Arc<Self>) -> Vec<PartOutcome> {
        let reloading = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || reloading.each(Watched::reload)).await;
        done.unwrap_or_else(|fault| {
            error!(%fault, "Reading certificates and profiles again has ended by itself");
            Vec::new()
        })
    }

    /// Looks at the files every [`LOOK_EVERY`] until told to stop.
    pub async fn look_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let reloading = Arc::clone(&self);
            let look = tokio::task::spawn_blocking(move || reloading.each(Watched::look));
            if let Err(fault) = look.await {
                error!(%fault, "A look at certificates and profiles has ended by itself");
            }
        }
    }

    /// How often each part was read again.
    #[must_use]
    pub fn counts(&self) -> Vec<PartCount> {
        let counts = self.counts.iter().map(|counts| PartCount {
            part: counts.part.clone(),
            reloaded: counts.reloaded.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
        });
        counts.collect()
    }

    fn each<T>(&self, act: impl FnMut(&mut Watched) -> T) -> Vec<T> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter_mut().map(act).collect()
    }
}

impl Watched {
    /// Reads it, and puts it in use where it is new.
    fn reload(&mut self) -> PartOutcome {
        let (outcome, detail) = match self.part.read() {
            Ok(None) => {
                self.seen = None;
                (Outcome::Unchanged, String::new())
            }
            Ok(Some(new)) => (Outcome::Reloaded, self.put(new)),
            Err(fault) => (Outcome::Refused, self.refuse(with_causes(&*fault))),
        };
        PartOutcome {
            part: self.part.name().to_owned(),
            outcome,
            detail,
        }
    }

    /// The same where two looks have found the same; it is refused once.
    fn look(&mut self) {
        if self.part.is_watched_elsewhere() {
            return;
        }
        let read = self.part.read();
        let seen = match &read {
            Ok(None) => None,
            Ok(Some(new)) => Some(Seen::New(new.fingerprint)),
            Err(fault) => Some(Seen::Fault(with_causes(&**fault))),
        };
        if seen != self.seen {
            self.seen = seen;
            self.told = false;
            return;
        }
        match read {
            Ok(Some(new)) => drop(self.put(new)),
            Err(fault) if !self.told => drop(self.refuse(with_causes(&*fault))),
            Ok(None) | Err(_) => {}
        }
    }

    fn put(&mut self, new: NewPart) -> String {
        let part = self.part.name();
        (new.put)();
        info!(part, "A part was read again and is in use");
        if let Some(warning) = &new.warning {
            warn!(
                part,
                warning, "A part that is in use needs somebody to look at it"
            );
        }
        self.seen = None;
        self.counts.reloaded.fetch_add(1, Ordering::Relaxed);
        new.warning.unwrap_or_default()
    }

    fn refuse(&mut self, reason: String) -> String {
        warn!(
            part = self.part.name(),
            reason, "A part can't be read again: what was in use before stays"
        );
        self.seen = Some(Seen::Fault(reason.clone()));
        self.told = true;
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        reason
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A file, and what is in use of it.
    #[derive(Default)]
    struct Stage {
        file: Mutex<&'static str>,
        in_use: Mutex<&'static str>,
        puts: AtomicUsize,
    }

    struct Staged(Arc<Stage>);

    impl Part for Staged {
        fn name(&self) -> &str {
            "staged"
        }

        fn read(&self) -> Result<Option<NewPart>, PartError> {
            let file = *self.0.file.lock().unwrap();
            if file.starts_with("broken") {
                return Err(format!("expected a certificate, got {file}").into());
            }
            if *self.0.in_use.lock().unwrap() == file {
                return Ok(None);
            }
            let stage = Arc::clone(&self.0);
            Ok(Some(NewPart {
                fingerprint: Fingerprint::of(&[Some(file.as_bytes())]),
                warning: (file == "old").then(|| "it ends soon".to_owned()),
                put: Box::new(move || {
                    *stage.in_use.lock().unwrap() = file;
                    stage.puts.fetch_add(1, Ordering::Relaxed);
                }),
            }))
        }
    }

    fn staged() -> (Arc<Stage>, Arc<Reloading>) {
        let stage = Arc::new(Stage::default());
        let part: Box<dyn Part> = Box::new(Staged(Arc::clone(&stage)));
        (stage, Arc::new(Reloading::new(vec![part])))
    }

    #[tokio::test]
    async fn who_asks_is_told_what_became_of_each_part() {
        let (stage, reloading) = staged();
        for (file, outcome, detail, in_use) in [
            ("", Outcome::Unchanged, "", ""),
            ("new", Outcome::Reloaded, "", "new"),
            ("new", Outcome::Unchanged, "", "new"),
            (
                "broken",
                Outcome::Refused,
                "expected a certificate, got broken",
                "new",
            ),
            (
                "broken",
                Outcome::Refused,
                "expected a certificate, got broken",
                "new",
            ),
            ("old", Outcome::Reloaded, "it ends soon", "old"),
        ] {
            *stage.file.lock().unwrap() = file;
            let done = reloading.reload().await;
            let expected = PartOutcome {
                part: "staged".to_owned(),
                outcome,
                detail: detail.to_owned(),
            };
            assert_eq!(done, [expected]);
            assert_eq!(*stage.in_use.lock().unwrap(), in_use);
        }
        let counts = &reloading.counts()[0];
        assert_eq!((counts.reloaded, counts.refused), (2, 2));
    }

    /// Each step: what the file holds at a look, then what is in use and how often a part was refused.
    #[test]
    fn a_look_uses_what_two_looks_have_found() {
        let (stage, reloading) = staged();
        for (step, (file, in_use, refused)) in [
            ("a", "", 0),
            ("b", "", 0),
            ("b", "b", 0),
            ("b", "b", 0),
            ("broken 1", "b", 0),
            ("broken 2", "b", 0),
            ("broken 2", "b", 1),
            ("broken 2", "b", 1),
            ("b", "b", 1),
            ("b", "b", 1),
            ("broken 2", "b", 1),
            ("broken 2", "b", 2),
            ("c", "b", 2),
            ("c", "c", 2),
        ]
        .into_iter()
        .enumerate()
        {
            *stage.file.lock().unwrap() = file;
            reloading.each(Watched::look);
            assert_eq!(*stage.in_use.lock().unwrap(), in_use, "step {step}");
            assert_eq!(reloading.counts()[0].refused, refused, "step {step}");
        }
        assert_eq!(stage.puts.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_text_that_is_not_there_is_none_that_is_empty() {
        let some: &[u8] = b"ab";
        let prints = [
            Fingerprint::of(&[Some(some), None]),
            Fingerprint::of(&[Some(some), Some(b"")]),
            Fingerprint::of(&[Some(b"a"), Some(b"b")]),
            Fingerprint::of(&[Some(some)]),
        ];
        for (at, one) in prints.iter().enumerate() {
            assert!(prints.iter().skip(at + 1).all(|other| other != one));
        }
    }
}
