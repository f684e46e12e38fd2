//! Compares the ledger with its seals, and the seals with their file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use iso8583::hex;
use ring::digest::{Digest, SHA256, digest};

use super::seal_file::{any_seal, own_seal};
use super::sealer::{LedgerSealer, POSITIONS_AT_ONCE, SealingError, blocking};
use crate::ledger::seal::{Hash, MerkleTree, Seal, leaf};
use crate::payment::moment::UnixMillis;
use crate::store::error::StoreError;
use crate::store::reads::ledger::LedgerPart;
use crate::store::records::KeptSeal;
use crate::store::records::lists::MAX_PAGE_SIZE;

/// One call looks at no further seal once it has looked at so many positions.
const ENOUGH_POSITIONS: i64 = 20_000;
/// The most findings of one call; what is more is only counted.
const MAX_FINDINGS: usize = 1_000;

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// A journal does not say what it said when it was written: a line, its time or its id was changed, or a line was
    /// removed or added.
    JournalAltered,
    /// Lines that no journal has: their journal was removed.
    LinesWithoutJournal,
    /// The journals between two positions are not those that were sealed.
    JournalsDiffer,
    /// The amounts of a payment are not what its journals sum to.
    PaymentDiffers,
    /// A seal is not there.
    SealMissing,
    /// A seal is not as it was made, or was made by somebody else.
    SealAltered,
    /// A seal does not follow on the one before.
    ChainBroken,
    /// The end was cut off: what was sealed, or written outside the database, is not there any more.
    CutOff,
}

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The seal; none where that is not sealed yet.
    pub seal: Option<i64>,
    /// When it was sealed, where that is known.
    pub sealed_at: Option<UnixMillis>,
    /// The first position that it is about.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// In words.
    pub text: String,
}

/// What a call has looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// What it found.
    pub findings: Vec<Finding>,
    /// How much more it found.
    pub further_findings: u64,
    /// How many seals it looked at.
    pub seals: u64,
    /// How many journals.
    pub journals: u64,
    /// The seal after which the next call goes on; none at the end.
    pub next: Option<i64>,
    /// How the ledger ends, at the end.
    pub end: Option<LedgerEnd>,
}

/// How the ledger ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerEnd {
    /// The last position that is sealed; 0 before there is one.
    pub sealed_to: i64,
    /// When it was sealed.
    pub sealed_at: Option<UnixMillis>,
    /// How many positions came after it.
    pub unsealed_positions: i64,
    /// How many journals.
    pub unsealed_journals: u64,
    /// How many seals the file outside the database has; none without such a file.
    pub seals_in_file: Option<u64>,
}

impl LedgerSealer {
    /// Compares the ledger with its seals, going on after the seal `after` (0: from the beginning). A call looks at a
    /// bounded part; the last one looks at what is not sealed yet, and at the file, too.
    ///
    /// # Errors
    /// When the store or the file can't be read.
    pub async fn verify(&self, after: i64) -> Result<Verification, SealingError> {
        let mut done = Verification::default();
        let after = after.max(0);
        let before = self.store.seals_after(after.saturating_sub(1), 1).await?;
        let before = before.into_iter().find(|kept| kept.number == after);
        let mut before = before.and_then(|kept| kept.line.parse::<Seal>().ok());
        let kept = self.store.seals_after(after, self.seals_at_once).await?;
        let is_last_page = kept.len() < self.seals_at_once;
        let (mut expected, mut looked_at, count) = (after.saturating_add(1), 0, kept.len());
        for (kept, seen) in kept.into_iter().zip(1_usize..) {
            let gap = kept.number != expected;
            let lost = gap && follows_a_restore(&kept.line, before.as_ref(), &self.public_key());
            if gap && !lost {
                let text = format!("seals {expected} to {} are missing", kept.number - 1);
                let to = before.as_ref().map_or(0, |seal| seal.sealed.to);
                done.found(FindingKind::SealMissing, None, (to + 1, to + 1), text);
            }
            expected = kept.number + 1;
            done.seals += 1;
            let previous = before.as_ref().filter(|_| !lost);
            before = self.verify_seal(&kept, previous, &mut done).await?;
            looked_at += before
                .as_ref()
                .map_or(0, |it| it.sealed.to - it.sealed.from + 1);
            let enough = looked_at >= ENOUGH_POSITIONS && seen < count;
            if enough || (seen == count && !is_last_page) {
                done.next = Some(kept.number);
                return Ok(done);
            }
        }
        self.verify_end(before.as_ref(), &mut done).await?;
        Ok(done)
    }

    /// Looks at one seal and its journals. Returns it, where it can be read.
    async fn verify_seal(
        &self,
        kept: &KeptSeal,
        before: Option<&Seal>,
        done: &mut Verification,
    ) -> Result<Option<Seal>, StoreError> {
        let Ok(seal) = kept.line.parse::<Seal>() else {
            let text = format!("seal {} can't be read", kept.number);
            let to = before.map_or(0, |seal| seal.sealed.to);
            done.found(FindingKind::SealAltered, None, (to + 1, to + 1), text);
            return Ok(None);
        };
        let sealed = &seal.sealed;
        let range = (sealed.from, sealed.to);
        let number = sealed.number;
        if !seal.is_signed() || seal.public_key != self.public_key() || number != kept.number {
            let text = format!("seal {} is not signed by this installation", kept.number);
            done.found(FindingKind::SealAltered, Some(&seal), range, text);
        }
        let (previous, from) = match before {
            Some(before) => (before.hash(), before.sealed.to + 1),
            None if number == 1 => ([0; 32], 1),
            None => (sealed.previous, sealed.from),
        };
        if sealed.previous != previous || sealed.from != from {
            let text = format!("seal {number} does not follow on the seal before it");
            done.found(FindingKind::ChainBroken, Some(&seal), range, text);
        }
        let tree = self.verify_journals(range, Some(&seal), done).await?;
        let found = i64::try_from(tree.leaves()).unwrap_or(i64::MAX);
        if tree.root() != sealed.root {
            let text = match found - sealed.journals {
                0 => "as many journals as were sealed, and at least one is another".to_owned(),
                more @ 1.. => format!("journals: {more} more than were sealed"),
                fewer => format!("journals: {} fewer than were sealed", -fewer),
            };
            done.found(FindingKind::JournalsDiffer, Some(&seal), range, text);
            self.verify_payments(range, Some(&seal), done).await?;
        }
        Ok(Some(seal))
    }

    /// Compares journals with their own hashes, and makes the tree of them.
    async fn verify_journals(
        &self,
        (mut first, last): (i64, i64),
        seal: Option<&Seal>,
        done: &mut Verification,
    ) -> Result<MerkleTree, StoreError> {
        let mut tree = MerkleTree::default();
        while first <= last {
            let end = last.min(first.saturating_add(POSITIONS_AT_ONCE - 1));
            let LedgerPart {
                journals,
                without_journal,
            } = self.store.ledger_part(first, end).await?;
            for journal in journals {
                let hash = digest(&SHA256, journal.canonical_text().as_bytes());
                let position = journal.position;
                if hex::encode_lower(hash.as_ref()) != journal.content_sha256 {
                    let text = format!("the journal {} was changed", journal.id);
                    let kind = FindingKind::JournalAltered;
                    done.found(kind, seal, (position, position), text);
                }
                tree.push(leaf(position, &journal.content_sha256).as_bytes());
                done.journals += 1;
            }
            for position in without_journal {
                let text = "lines that belong to no journal".to_owned();
                let kind = FindingKind::LinesWithoutJournal;
                done.found(kind, seal, (position, position), text);
            }
            first = end.saturating_add(1);
        }
        Ok(tree)
    }

    /// Compares payments with their journals: a payment whose journal was removed still has its amounts.
    async fn verify_payments(
        &self,
        (mut first, last): (i64, i64),
        seal: Option<&Seal>,
        done: &mut Verification,
    ) -> Result<(), StoreError> {
        while first <= last {
            let end = last.min(first.saturating_add(POSITIONS_AT_ONCE - 1));
            for off in self.store.payments_off_their_journals(first, end).await? {
                let text = format!(
                    "the payment {} has {} minor units captured less refunded, and journals of {}",
                    off.payment_id, off.payment_minor, off.journals_minor
                );
                done.found(FindingKind::PaymentDiffers, seal, off.positions, text);
            }
            first = end.saturating_add(1);
        }
        Ok(())
    }

    /// Looks at what is not sealed yet, and at the file.
    async fn verify_end(
        &self,
        last: Option<&Seal>,
        done: &mut Verification,
    ) -> Result<(), SealingError> {
        let sealed_to = last.map_or(0, |seal| seal.sealed.to);
        let position = self.store.last_position().await?;
        if position < sealed_to {
            let text = format!("the last position is {position}, and {sealed_to} is sealed");
            done.found(FindingKind::CutOff, last, (position + 1, sealed_to), text);
        }
        let range = (sealed_to + 1, position);
        let unsealed = self.verify_journals(range, None, done).await?;
        self.verify_payments(range, None, done).await?;
        done.end = Some(LedgerEnd {
            sealed_to,
            sealed_at: last.map(|seal| seal.sealed.at),
            unsealed_positions: (position - sealed_to).max(0),
            unsealed_journals: unsealed.leaves(),
            seals_in_file: self.verify_file(done).await?,
        });
        Ok(())
    }

    /// Compares the file with the seals of the database. Returns how many seals of this installation it has.
    async fn verify_file(&self, done: &mut Verification) -> Result<Option<u64>, SealingError> {
        let Some(file) = self.file.clone() else {
            return Ok(None);
        };
        // The hashes of the lines that the database has, and the numbers of seals that a restore has taken from it.
        let (mut kept, mut after, key) = (BTreeMap::new(), 0, self.public_key());
        let (mut before, mut lost): (Option<KeptSeal>, Vec<Range<i64>>) = (None, Vec::new());
        loop {
            let page = self.store.seals_after(after, MAX_PAGE_SIZE).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = last.number;
            let hash = |it: &KeptSeal| (it.number, digest(&SHA256, it.line.as_bytes()));
            kept.extend(page.iter().map(hash));
            for seal in page {
                let number = before.as_ref().map_or(0, |seal| seal.number);
                let parsed = before.and_then(|seal| seal.line.parse().ok());
                if seal.number > number + 1 && follows_a_restore(&seal.line, parsed.as_ref(), &key)
                {
                    lost.push(number + 1..seal.number);
                }
                before = Some(seal);
            }
        }
        let compared = blocking(move || {
            let mut compared = ComparedFile {
                lost,
                ..ComparedFile::default()
            };
            file.read(|line| compared.line(line, &kept, &key))?;
            compared.missing(&kept);
            Ok(compared)
        });
        let compared = compared.await?;
        for (kind, seal, text) in compared.found {
            let range = seal.as_ref().map(|seal| (seal.sealed.from, seal.sealed.to));
            done.found(kind, seal.as_ref(), range.unwrap_or_default(), text);
        }
        done.further_findings += compared.further;
        let seals = compared.numbers.len();
        Ok(Some(u64::try_from(seals).unwrap_or(u64::MAX)))
    }
}

/// Whether a seal is the first one after a restore: it is of a later epoch than the last one that the restored database
/// had, and goes on with its positions. What lies between their numbers was lost.
fn follows_a_restore(line: &str, before: Option<&Seal>, key: &Hash) -> bool {
    let (epoch, to) = before.map_or((1, 0), |seal| (seal.sealed.epoch, seal.sealed.to));
    own_seal(line.as_bytes(), key)
        .is_ok_and(|seal| seal.sealed.epoch > epoch && seal.sealed.from == to + 1)
}

/// The lines of the file beside the seals of the database.
#[derive(Default)]
struct ComparedFile {
    lines: u64,
    /// The seals of this installation that the file has.
    numbers: BTreeSet<i64>,
    /// The numbers of those that a restore has taken from the database.
    lost: Vec<Range<i64>>,
    found: Vec<(FindingKind, Option<Seal>, String)>,
    further: u64,
}

impl ComparedFile {
    fn line(&mut self, line: &[u8], kept: &BTreeMap<i64, Digest>, key: &Hash) {
        self.lines += 1;
        let in_database = any_seal(line).and_then(|seal| {
            let number = seal.sealed.number;
            kept.get(&number).map(|hash| (number, hash))
        });
        // The seals of the database were looked at already.
        if let Some((number, hash)) = in_database
            && hash.as_ref() == digest(&SHA256, line).as_ref()
        {
            self.numbers.insert(number);
            return;
        }
        match own_seal(line, key) {
            Err(why) => {
                let text = format!("line {} of the file {why}", self.lines);
                self.found(FindingKind::SealAltered, any_seal(line), text);
            }
            Ok(seal) => {
                let number = seal.sealed.number;
                self.numbers.insert(number);
                if self.lost.iter().any(|lost| lost.contains(&number)) {
                    return;
                }
                let (kind, text) = match in_database {
                    Some(_) => (FindingKind::SealAltered, "is another one in the file"),
                    None => (
                        FindingKind::CutOff,
                        "is in the file, and not in the database",
                    ),
                };
                self.found(kind, Some(seal), format!("seal {number} {text}"));
            }
        }
    }

    /// What the file lacks before its last seal.
    fn missing(&mut self, kept: &BTreeMap<i64, Digest>) {
        let last = self.numbers.last().copied().unwrap_or_default();
        for (number, _) in kept.range(..last) {
            if !self.numbers.contains(number) {
                let text = format!("seal {number} is not in the file");
                self.found(FindingKind::SealMissing, None, text);
            }
        }
    }

    fn found(&mut self, kind: FindingKind, seal: Option<Seal>, text: String) {
        if self.found.len() < MAX_FINDINGS {
            self.found.push((kind, seal, text));
        } else {
            self.further += 1;
        }
    }
}

impl Verification {
    fn found(
        &mut self,
        kind: FindingKind,
        seal: Option<&Seal>,
        (first, last): (i64, i64),
        text: String,
    ) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding {
                kind,
                seal: seal.map(|seal| seal.sealed.number),
                sealed_at: seal.map(|seal| seal.sealed.at),
                first,
                last,
                text,
            });
        } else {
            self.further_findings += 1;
        }
    }
}
