//! The file of the master key: 32 bytes in base64. One that `payswitch master rotate` has made has a line more for each
//! key that was derived from the master key before, and that has to stay what it is: its label and the key in base64.
//!
//! While the master key is rotated two more files lie beside it: `.next`, before it takes the file's place, and
//! `.previous`, until nothing is wrapped under it any more.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::derived_key::{DerivedKey, KEY_BYTES, Purpose};
use super::key_files::{
    Existing, KeyFileError, read_text, refuse_readable_by_others, write_private_file,
};

/// The master key itself.
pub(super) type MasterBytes = Zeroizing<[u8; KEY_BYTES]>;

/// What a file of a master key holds.
#[derive(Clone)]
pub(super) struct MasterFile {
    pub(super) bytes: MasterBytes,
    /// What was derived from an earlier master key.
    pub(super) kept: BTreeMap<Purpose, DerivedKey>,
}

impl fmt::Debug for MasterFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterFile(masked)")
    }
}

impl MasterFile {
    /// Reads the text of one; `None` when it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.trim_end().lines();
        let bytes = decode(lines.next()?)?;
        let mut kept = BTreeMap::new();
        for line in lines {
            let (label, key) = line.split_once(": ")?;
            let purpose = Purpose::ALL.into_iter().find(|it| it.label() == label)?;
            kept.insert(purpose, DerivedKey::kept(&*decode(key)?));
        }
        Some(Self { bytes, kept })
    }

    /// The text of it.
    pub(super) fn text(&self) -> Zeroizing<String> {
        // Large enough for all lines, so that it is never moved and left behind.
        let mut text = Zeroizing::new(String::with_capacity(2048));
        let mut line = |label: &str, bytes: &[u8; KEY_BYTES]| {
            text.push_str(label);
            STANDARD.encode_string(bytes, &mut text);
            text.push('\n');
        };
        line("", &self.bytes);
        for (purpose, key) in &self.kept {
            line(&format!("{}: ", purpose.label()), key.as_bytes());
        }
        text
    }

    /// What is in the file; `Ok(None)` when it holds something else.
    ///
    /// # Errors
    /// When it can't be read, or others than its owner may read it.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, KeyFileError> {
        refuse_readable_by_others(path)?;
        Ok(Self::parse(&read_text(path)?))
    }

    /// Writes it, readable by its owner only.
    ///
    /// # Errors
    /// When the file is there already and `existing` says so, or can't be written.
    pub(super) fn write(&self, path: &Path, existing: Existing) -> Result<(), KeyFileError> {
        write_private_file(path, self.text().as_bytes(), existing)
    }

    /// The key for a purpose: kept, or derived. `None` when the cryptographic library refuses.
    pub(super) fn derive(&self, purpose: Purpose) -> Option<DerivedKey> {
        match self.kept.get(&purpose) {
            Some(key) => Some(key.clone()),
            None => DerivedKey::of(&self.bytes, purpose.label()),
        }
    }

    /// The same with another master key: every derived key stays what it is. `None` when the cryptographic library
    /// refuses.
    pub(super) fn with_master_key(&self, bytes: MasterBytes) -> Option<Self> {
        let derived = |purpose| Some((purpose, self.derive(purpose)?));
        let kept = Purpose::ALL
            .into_iter()
            .map(derived)
            .collect::<Option<_>>()?;
        Some(Self { bytes, kept })
    }

    /// Whether all that is derived is the same: it is of the same installation.
    pub(super) fn is_of_the_same(&self, other: &Self) -> bool {
        Purpose::ALL
            .into_iter()
            .all(|purpose| self.derive(purpose) == other.derive(purpose))
    }
}

fn decode(text: &str) -> Option<MasterBytes> {
    let decoded = Zeroizing::new(STANDARD.decode(text.trim_end()).ok()?);
    decoded.as_slice().try_into().ok().map(Zeroizing::new)
}

/// Where the master key lies that is to take the place of the one at `path`.
#[must_use]
pub fn next_path(path: &Path) -> PathBuf {
    beside(path, ".next")
}

/// Where the master key lies whose place the one at `path` has taken.
#[must_use]
pub fn previous_path(path: &Path) -> PathBuf {
    beside(path, ".previous")
}

/// What is locked while the master key at `path` is rotated.
#[must_use]
pub fn lock_path(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}
