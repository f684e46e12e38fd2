//! Files for banks: each is there as a whole or not at all, whatever ends the program meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::fault_points::FaultPoint;

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write `{}`", path.display())]
pub struct NotWritten {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Writes a file under a temporary name, renames it, and waits until the disk has both; makes the folder where there is
/// none. The same file again takes the place of the one before. `mark` is in the temporary name, and another one with each
/// call: two nodes may write the same file at once.
///
/// # Errors
/// [`NotWritten`]; then the file is not there, or is the one before.
pub fn write_durably(
    folder: &Path,
    name: &str,
    mark: &str,
    contents: &[u8],
) -> Result<(), NotWritten> {
    let path = folder.join(name);
    write(folder, &path, mark, contents).map_err(|source| NotWritten { path, source })
}

fn write(folder: &Path, path: &Path, mark: &str, contents: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{mark}.new"));
    let temporary = PathBuf::from(temporary);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // There are account numbers in it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(contents)?;
    file.sync_all()?;
    FaultPoint::FileWritten.pass();
    fs::rename(&temporary, path)?;
    FaultPoint::FileRenamed.pass();
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_the_one_before_and_leaves_nothing_else() {
        let folder = std::env::temp_dir().join(format!("payswitch-durable-{}", std::process::id()));
        for contents in ["one", "another"] {
            write_durably(&folder, "order.xml", "1", contents.as_bytes()).unwrap();
            assert_eq!(
                fs::read_to_string(folder.join("order.xml")).unwrap(),
                contents
            );
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        assert!(write_durably(&folder, "order.xml", "1", b"").is_err());
        fs::remove_file(&folder).unwrap();
    }
}
