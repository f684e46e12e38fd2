//! Takes an attempt, or says which limit is reached.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::limit::{InvalidLimit, Limit};
use super::subject::{LimitCount, Subject, hash_of};
use super::table::{Hash, Key, Table};
use super::window::{Untold, begins_ms};
use crate::card::fingerprint::Fingerprints;
use crate::card::pan::Pan;
use crate::config::environment::Environment;
use crate::config::risk::{CountedEvent, LimitConfig, LimitedSubject, RiskConfig};
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::payment::operation_kind::OperationKind;
use crate::stack;
use crate::store::records::RiskCount;

/// The limits of an installation, with what was counted.
#[derive(Debug)]
pub struct Limits {
    limits: Vec<Limit>,
    table: Table,
    fingerprints: Fingerprints,
}

/// A limit that is reached.
#[derive(Debug)]
pub struct Reached<'a> {
    /// Its name.
    pub limit: &'a str,
    times: &'a AtomicU64,
}

impl Reached<'_> {
    /// Counts that an attempt was declined for it.
    pub fn count(&self) {
        self.times.fetch_add(1, Ordering::Relaxed);
    }
}

/// What an attempt tries.
#[derive(Debug, Clone, Copy)]
pub struct Tried<'a> {
    /// The card.
    pub pan: &'a Pan,
    /// Whose request it is.
    pub merchant_id: MerchantId,
    /// From where the merchant's server has connected.
    pub address: IpAddr,
    /// What is asked for.
    pub kind: OperationKind,
}

/// An attempt that counts, as it was taken.
#[derive(Debug)]
pub struct Attempt {
    limits: Arc<Limits>,
    subjects: Subjects,
    at: UnixMillis,
    /// Whether it is taken back when it is dropped: it is not recorded yet.
    is_open: bool,
}

#[derive(Debug, Clone, Copy)]
struct Subjects {
    merchant_id: MerchantId,
    kind: OperationKind,
    card: Hash,
    range: Hash,
    address: Hash,
}

impl Limits {
    /// Those of the settings, or those of an installation that sets none. Nothing is counted yet.
    ///
    /// # Errors
    /// When one can't be kept.
    pub fn new(
        config: &RiskConfig,
        environment: Environment,
        fingerprints: Fingerprints,
    ) -> Result<Self, InvalidLimit> {
        Ok(Self {
            limits: Limit::all(config, environment)?,
            table: Table::default(),
            fingerprints,
        })
    }

    /// How many attempts were declined for each limit since this process has started.
    pub fn declined(&self) -> impl Iterator<Item = (&str, u64)> {
        let of = |limit: &'_ Limit| limit.times_reached.load(Ordering::Relaxed);
        self.limits
            .iter()
            .map(move |limit| (limit.name.as_str(), of(limit)))
    }

    /// What the settings say of each limit.
    pub fn settings(&self) -> impl Iterator<Item = LimitConfig> {
        self.limits.iter().map(Limit::settings)
    }

    /// What counts of a subject at this moment, for each limit that counts it, or for one of them.
    #[must_use]
    pub fn counts(
        &self,
        subject: &Subject,
        limit: Option<&str>,
        now: UnixMillis,
    ) -> Vec<LimitCount> {
        let counted = |(limit, key): (&Limit, Key)| {
            let most = limit.most(subject.merchant_id().as_ref());
            let (count, blocked_until) = self.table.blocked(&key, now, limit.window_ms, most);
            LimitCount {
                limit: limit.name.clone(),
                merchant_id: key.merchant_id,
                count,
                most,
                blocked_until,
            }
        };
        self.looked_up(subject, limit).map(counted).collect()
    }

    /// The limits that count a subject, or the one of them with this name, each with the key of its count.
    fn looked_up<'l>(
        &'l self,
        subject: &'l Subject,
        named: Option<&'l str>,
    ) -> impl Iterator<Item = (&'l Limit, Key)> {
        let limits = self.limits.iter().enumerate();
        let named = limits.filter(move |(_, limit)| named.is_none_or(|name| name == limit.name));
        named.filter_map(move |(index, limit)| {
            let merchant_id = match limit.counts_apart() {
                true => Some(subject.merchant_id()?),
                false => None,
            };
            let key = Key {
                limit: index,
                merchant_id,
                hash: subject.hash(limit.of)?,
            };
            Some((limit, key))
        })
    }

    /// The windows that count now of a subject, for each limit that counts it or for one of them, as other nodes are told
    /// of them: of each limit two.
    pub(super) fn windows(
        &self,
        subject: &Subject,
        limit: Option<&str>,
        now: UnixMillis,
    ) -> Vec<RiskCount> {
        let windows = |(limit, key): (&Limit, Key)| {
            let (window_ms, current) = (limit.window_ms, begins_ms(now, limit.window_ms));
            [current, current - window_ms].map(|begins_ms| RiskCount {
                limit: limit.name.clone(),
                subject: key.subject(),
                begins_ms,
                ends_ms: begins_ms + 2 * window_ms,
                count: 0,
            })
        };
        self.looked_up(subject, limit).flat_map(windows).collect()
    }

    /// Forgets what was counted of a subject, by this node and by others.
    pub(super) fn forget(&self, subject: &Subject, limit: Option<&str>) {
        for (_, key) in self.looked_up(subject, limit) {
            self.table.forget(&key);
        }
    }

    /// Counts an attempt that is to go to the bank; none where nothing is limited. Two never take the last place.
    ///
    /// # Errors
    /// The limit that is reached. Nothing is counted then.
    pub fn take(
        self: &Arc<Self>,
        tried: Tried<'_>,
        at: UnixMillis,
    ) -> Result<Option<Attempt>, Reached<'_>> {
        if self.limits.is_empty() {
            return Ok(None);
        }
        let mut attempt = Attempt {
            subjects: self.subjects(tried),
            limits: Arc::clone(self),
            at,
            is_open: false,
        };
        let subjects = &attempt.subjects;
        for (index, limit, key) in self.of(subjects) {
            let most = limit.most(Some(&subjects.merchant_id));
            let free = match limit.counts {
                CountedEvent::Attempts => self.table.take(&key, at, window(limit), most),
                CountedEvent::Declines => {
                    self.table.count(&key, at, limit.window_ms) < i64::from(most)
                }
            };
            if !free {
                self.take_back(subjects, at, index);
                return Err(Reached {
                    limit: &limit.name,
                    times: &limit.times_reached,
                });
            }
        }
        attempt.is_open = true;
        Ok(Some(attempt))
    }

    /// Takes back an attempt, from the limits before one.
    fn take_back(&self, subjects: &Subjects, at: UnixMillis, before: usize) {
        for (_, limit, key) in self.of(subjects).take_while(|(index, ..)| *index < before) {
            if limit.counts == CountedEvent::Attempts {
                self.table.take_back(&key, at, window(limit));
            }
        }
    }

    /// The limits of what is tried, each with its place and the key of its count.
    fn of(&self, subjects: &Subjects) -> impl Iterator<Item = (usize, &Limit, Key)> {
        let of_kind = move |it: &(usize, &Limit)| it.1.is_for(subjects.kind);
        let limits = self.limits.iter().enumerate().filter(of_kind);
        limits.map(move |(index, limit)| {
            let hash = match limit.of {
                LimitedSubject::Card => subjects.card,
                LimitedSubject::CardRange => subjects.range,
                LimitedSubject::Merchant => [0; 16],
                LimitedSubject::Address => subjects.address,
            };
            let key = Key {
                limit: index,
                merchant_id: limit.counts_apart().then_some(subjects.merchant_id),
                hash,
            };
            (index, limit, key)
        })
    }

    /// What is limited by the card's number is a hash of it, and made only where a limit asks for it.
    fn subjects(&self, tried: Tried<'_>) -> Subjects {
        let limits_a = |of| self.limits.iter().any(|limit| limit.of == of);
        let (cards, ranges) = (
            limits_a(LimitedSubject::Card),
            limits_a(LimitedSubject::CardRange),
        );
        let hashes = || {
            let card = cards.then(|| self.fingerprints.card(tried.pan));
            let range = ranges.then(|| self.fingerprints.range(tried.pan));
            (card.unwrap_or_default(), range.unwrap_or_default())
        };
        let (card, range) = match cards || ranges {
            true => stack::wiped_after_shallow(hashes),
            false => Default::default(),
        };
        Subjects {
            merchant_id: tried.merchant_id,
            kind: tried.kind,
            card,
            range,
            address: hash_of(tried.address),
        }
    }

    /// Whether nothing is limited.
    pub(super) fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// What other nodes are to be told, at most `most` counts.
    pub(super) fn take_untold(&self, most: usize) -> Vec<RiskCount> {
        let window_ms = |index: usize| self.limits.get(index).map_or(1, |limit| limit.window_ms);
        let untold = self.table.take_untold(most, window_ms);
        let told = |(key, Untold { begins_ms, count }): (Key, Untold)| {
            let limit = self.limits.get(key.limit)?;
            Some(RiskCount {
                limit: limit.name.clone(),
                subject: key.subject(),
                begins_ms,
                ends_ms: begins_ms + 2 * limit.window_ms,
                count,
            })
        };
        untold.into_iter().filter_map(told).collect()
    }

    /// Takes in what all nodes have counted. Limits that this node does not have, or has otherwise, are passed over, and so
    /// is a window that has not begun here: the other node's clock is ahead.
    pub(super) fn take_in(&self, counted: &RiskCount, now: UnixMillis) {
        let mut limits = self.limits.iter().enumerate();
        let Some((index, limit)) = limits.find(|(_, it)| it.name == counted.limit) else {
            return;
        };
        let (begins_ms, window_ms) = (counted.begins_ms, limit.window_ms);
        let key = Key::of_subject(index, &counted.subject);
        let is_known = begins_ms.rem_euclid(window_ms) == 0 && begins_ms <= now.as_i64();
        if let Some(key) = key.filter(|_| is_known) {
            self.table.store(&key, begins_ms, counted.count, window_ms);
        }
    }
}

impl Attempt {
    /// It counts from now on, whatever comes of it: it is recorded, and may be sent. One that is dropped before does
    /// not count.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.is_open = false;
        self
    }

    /// It was certainly not sent after all.
    pub fn not_sent(&self) {
        let limits = &self.limits;
        limits.take_back(&self.subjects, self.at, limits.limits.len());
    }

    /// The issuer has declined it at that moment.
    pub fn declined(&self, at: UnixMillis) {
        for (_, limit, key) in self.limits.of(&self.subjects) {
            if limit.counts == CountedEvent::Declines {
                self.limits.table.add(&key, at, window(limit), 1);
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.is_open {
            self.not_sent();
        }
    }
}

fn window(limit: &Limit) -> (i64, i64) {
    (limit.window_ms, limit.told_from())
}

#[cfg(test)]
mod tests;
