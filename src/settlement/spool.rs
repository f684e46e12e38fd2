//! A bank's file while it is taken in: first all of it on the disk, then read, as often as needed.

use std::io;
use std::path::{Path, PathBuf};

use futures_util::{Stream, StreamExt as _};
use ring::digest::{Context, SHA256};
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt as _;

use crate::payment::ids::ImportId;

/// The folder of spooled files, in the gateway's folder of files.
const FOLDER: &str = "imports";
/// The largest file.
pub const MOST_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// A file on the disk, which nobody else takes. It is removed when it is dropped, unless it is kept.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    sha256: [u8; 32],
    is_kept: bool,
    /// Has the file locked, so that a gateway that starts with the same folder leaves it alone.
    _lock: std::fs::File,
}

/// Why a file can't be taken in.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It did not come to its end.
    #[error("the file did not come to its end: {0}")]
    Cut(String),
    /// It is larger than [`MOST_BYTES`].
    #[error("expected a file of at most {MOST_BYTES} bytes")]
    TooLarge,
    /// The system refused.
    #[error("`{path}` can't be written")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl Spool {
    /// Writes what comes to the disk, below `folder`, under the name of the import that it may become.
    ///
    /// # Errors
    /// [`SpoolError`]. Nothing is left then.
    pub async fn write<E: std::fmt::Display>(
        folder: &Path,
        id: ImportId,
        mut chunks: impl Stream<Item = Result<Vec<u8>, E>> + Unpin,
    ) -> Result<Self, SpoolError> {
        let folder = folder.join(FOLDER);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SpoolError::File { path, source }
        };
        let made = fs::create_dir_all(&folder).await;
        made.map_err(failed(&folder))?;
        let path = folder.join(id.to_string());
        let mut options = OpenOptions::new();
        options.create_new(true).write(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&path).await.map_err(failed(&path))?;
        let mut spool = Self::locked(path.clone()).map_err(failed(&path))?;
        let (mut hash, mut bytes) = (Context::new(&SHA256), 0_u64);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| SpoolError::Cut(error.to_string()))?;
            bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if bytes > MOST_BYTES {
                return Err(SpoolError::TooLarge);
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(failed(&path))?;
        }
        // The error of the last write is told here, and by nothing after it.
        file.flush().await.map_err(failed(&path))?;
        file.sync_all().await.map_err(failed(&path))?;
        for (byte, of_digest) in spool.sha256.iter_mut().zip(hash.finish().as_ref()) {
            *byte = *of_digest;
        }
        Ok(spool)
    }

    fn locked(path: PathBuf) -> io::Result<Self> {
        let lock = std::fs::File::open(&path)?;
        lock.try_lock()?;
        Ok(Self {
            path,
            sha256: [0; 32],
            is_kept: false,
            _lock: lock,
        })
    }

    /// The file that an import has left, which nobody uses.
    ///
    /// # Errors
    /// When there is none, or another process has it.
    pub fn left(folder: &Path, id: ImportId) -> io::Result<Self> {
        Self::locked(folder.join(FOLDER).join(id.to_string()))
    }

    /// The files that an earlier run of the gateway has left, each with the name of its import; without those that
    /// another process has.
    ///
    /// # Errors
    /// When the folder is there and can't be read.
    pub async fn left_in(folder: &Path) -> io::Result<Vec<(ImportId, Self)>> {
        let folder = folder.join(FOLDER);
        let mut entries = match fs::read_dir(&folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that can't be locked is somebody's.
            if let Ok(spool) = Self::locked(entry.path()) {
                found.push((id, spool));
            }
        }
        Ok(found)
    }

    /// The SHA-256 of the file; of one that was left by an earlier run it is not known.
    #[must_use]
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Opens the file for reading.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(&self) -> io::Result<std::fs::File> {
        std::fs::File::open(&self.path)
    }

    /// Whether the file stays when this is dropped.
    pub const fn keep(&mut self, is_kept: bool) {
        self.is_kept = is_kept;
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.is_kept {
            // What can't be removed now is when the gateway starts.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::moment::UnixMillis;

    #[tokio::test]
    async fn a_file_that_is_in_use_is_not_left_by_anybody() {
        let folder = std::env::temp_dir().join(format!("payswitch-spool-{}", std::process::id()));
        let id = |number| ImportId::from_parts(UnixMillis::new(1_796_000_000_000), [number; 10]);
        let chunks = |last: Result<Vec<u8>, String>| {
            futures_util::stream::iter([Ok(b"ab".to_vec()), Ok(b"c".to_vec()), last])
        };
        let cut = Spool::write(&folder, id(1), chunks(Err("reset".into()))).await;
        assert!(matches!(cut, Err(SpoolError::Cut(_))), "{cut:?}");
        let mut spool = Spool::write(&folder, id(2), chunks(Ok(Vec::new())))
            .await
            .unwrap();
        let whole = ring::digest::digest(&SHA256, b"abc");
        assert_eq!(&spool.sha256()[..], whole.as_ref());
        assert!(Spool::left_in(&folder).await.unwrap().is_empty());
        // As a crash leaves it.
        spool.keep(true);
        drop(spool);
        let left = Spool::left_in(&folder).await.unwrap();
        let names: Vec<_> = left.iter().map(|(id, _)| *id).collect();
        assert_eq!(names, [id(2)]);
        drop(left);
        assert!(Spool::left(&folder, id(2)).is_err());
        assert!(Spool::left_in(&folder).await.unwrap().is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
