//! The file that says that a program is ready, and where: there only while that is so.

use std::io;
use std::path::{Path, PathBuf};

use super::error::CommandError;
use super::output::write_whole;

/// The file of one run. It is removed when this is dropped.
pub struct ReadyFile {
    path: PathBuf,
    written: bool,
}

impl ReadyFile {
    /// Removes what an earlier run left at `path`, so that nobody takes it for this one's.
    ///
    /// # Errors
    /// When a file is there and can't be removed.
    pub fn at(path: PathBuf) -> Result<Self, CommandError> {
        remove(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self {
            path,
            written: false,
        })
    }

    /// Says that the program is ready.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&mut self, ready: &serde_json::Value) -> Result<(), CommandError> {
        write_whole(&self.path, ready)?;
        self.written = true;
        Ok(())
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if self.written
            && let Err(error) = remove(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "The ready file could not be removed");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_only_while_the_program_is_ready_and_only_its_owner_reads_it() {
        let path = std::env::temp_dir().join(format!("payswitch-ready-{}", std::process::id()));
        std::fs::write(&path, "of an earlier run").unwrap();
        let mut file = ReadyFile::at(path.clone()).unwrap();
        assert!(!path.exists());
        file.write(&serde_json::json!({ "pid": 1 })).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\n  \"pid\": 1\n}\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_was_never_written_takes_nothing_away() {
        let path = std::env::temp_dir().join(format!("payswitch-unready-{}", std::process::id()));
        let file = ReadyFile::at(path.clone()).unwrap();
        std::fs::write(&path, "of another program").unwrap();
        drop(file);
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
    }
}
