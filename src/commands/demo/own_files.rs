//! What in a folder is the demo's: that alone it removes, and to nothing else does it add its files.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::folder::{OperatorFiles, master_key_path};

/// The folders that the demo makes, and how the files in them end: keys and certificates, and what settlement writes.
const FOLDERS: [(&str, &[&str]); 3] = [
    ("keys", &["pem", "key"]),
    ("certs", &["pem", "key"]),
    ("settlement", &["xml", "pdf", "csv", "new"]),
];
/// How reports begin that are being read, in `settlement/imports`.
const IMPORT: &str = "imp_";
/// The files that the demo makes; what SQLite puts beside the database begins with its name.
const FILES: [&str; 5] = [
    "api-key.pem",
    "file-api-key.pem",
    "jwks.json",
    "payswitch.log",
    "ready.json",
];
const DATABASE: &str = "payswitch.db";
/// What a gateway locks while it runs.
const LOCK: &str = "payswitch.db.lock";
/// How deep folders lie within [`FOLDERS`]: `keys/retiring`, `certs/HOST`, `settlement/imports`.
const DEEPEST: u32 = 2;

/// Why a folder is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something that the demo did not write.
    #[error(
        "{} is left alone: it holds {}, which the demo did not write; expected an empty folder, or one \
         that only the demo wrote to", data.display(), foreign.display()
    )]
    Foreign {
        /// The folder.
        data: PathBuf,
        /// The first thing that is not the demo's, by name.
        foreign: PathBuf,
    },
    /// A gateway holds the database in it.
    #[error("{} is not reset: a gateway that runs holds its database", data.display())]
    Held {
        /// The folder.
        data: PathBuf,
    },
    /// The folder can't be made or read, or something in it can't be removed.
    #[error("the folder {} can't be used", data.display())]
    File {
        /// The folder.
        data: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Makes the folder, unless it is there. One that an earlier run used may hold other files by now.
///
/// # Errors
/// When it can't be made, or holds what the demo did not write and no demo ran in it before.
pub fn make(data: &Path, ready_file: Option<&Path>) -> Result<(), FolderError> {
    let failed = |source| FolderError::File {
        data: data.to_path_buf(),
        source,
    };
    std::fs::create_dir_all(data).map_err(failed)?;
    match first_foreign(data, ready_file).map_err(failed)? {
        Some(foreign) if !master_key_path(data).exists() => Err(FolderError::Foreign {
            data: data.to_path_buf(),
            foreign,
        }),
        _ => Ok(()),
    }
}

/// Removes the demo's folder and its master key. `ready_file` may lie in the folder.
///
/// # Errors
/// When the folder holds anything that the demo did not write, or a gateway runs on it; it is left as
/// it was then.
pub fn remove(data: &Path, ready_file: Option<&Path>) -> Result<(), FolderError> {
    let failed = |source| FolderError::File {
        data: data.to_path_buf(),
        source,
    };
    if let Some(foreign) = first_foreign(data, ready_file).map_err(failed)? {
        return Err(FolderError::Foreign {
            data: data.to_path_buf(),
            foreign,
        });
    }
    let data_held = || FolderError::Held {
        data: data.to_path_buf(),
    };
    // The lock is held until everything is gone, so that no gateway starts on what is being removed.
    let _lock = match File::open(data.join(LOCK)) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => return Err(data_held()),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(failed(source)),
    };
    let operator = OperatorFiles::beside(data);
    for removed in [
        std::fs::remove_dir_all(data),
        std::fs::remove_file(master_key_path(data)),
        std::fs::remove_file(operator.certificate),
        std::fs::remove_file(operator.key),
    ] {
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    Ok(())
}

fn first_foreign(data: &Path, ready_file: Option<&Path>) -> io::Result<Option<PathBuf>> {
    for (path, kind) in entries(data)? {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let own_file = FILES.contains(&name)
            || name.starts_with(DATABASE)
            || ready_file.is_some_and(|ready| ready == path);
        let folder = FOLDERS.iter().find(|(folder, _)| *folder == name);
        if let Some((_, endings)) = folder.filter(|_| kind.is_dir()) {
            if let Some(foreign) = first_not_own(&path, endings, DEEPEST)? {
                return Ok(Some(foreign));
            }
        } else if !(kind.is_file() && own_file) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn first_not_own(folder: &Path, endings: &[&str], deepest: u32) -> io::Result<Option<PathBuf>> {
    for (path, kind) in entries(folder)? {
        let foreign = if kind.is_dir() && deepest > 1 {
            first_not_own(&path, endings, deepest - 1)?
        } else {
            let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let is_import = folder.ends_with("settlement/imports") && name.starts_with(IMPORT);
            let own = kind.is_file() && (endings.contains(&ending) || is_import);
            (!own).then_some(path)
        };
        if foreign.is_some() {
            return Ok(foreign);
        }
    }
    Ok(None)
}

/// What a folder holds, by name; nothing when it is not there. A link is neither file nor folder.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, std::fs::FileType)>> {
    let read = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let mut entries = read
        .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files in it, removed again.
    fn reset(name: &str, files: &[&str]) -> (Result<(), FolderError>, bool) {
        let data = std::env::temp_dir().join(format!("payswitch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&data).unwrap();
        for file in files {
            let path = data.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let removed = remove(&data, Some(&data.join("where.json")));
        let there = data.exists();
        if there {
            std::fs::remove_dir_all(&data).unwrap();
        }
        (removed, there)
    }

    #[test]
    fn what_the_demo_wrote_is_removed() {
        let of_the_demo = [
            "keys/p256.pem",
            "keys/retiring/rsa.pem",
            "certs/gateway-ca.pem",
            "certs/acquirer-client.key",
            "certs/acquirer/ca.pem",
            "settlement/statement-2026-11-29.pdf",
            "settlement/.acquirer-1.xml.new",
            "settlement/imports/imp_06e9x3w8k1z7h4n2m5q0r8t6va",
            "payswitch.db",
            "payswitch.db-wal",
            "payswitch.db.lock",
            "api-key.pem",
            "file-api-key.pem",
            "jwks.json",
            "payswitch.log",
            "where.json",
        ];
        for files in [&[][..], &of_the_demo] {
            let (removed, there) = reset("own", files);
            removed.unwrap();
            assert!(!there);
        }
        remove(Path::new("/nowhere/payswitch-demo"), None).unwrap();
    }

    #[test]
    fn nothing_is_added_to_what_somebody_else_wrote() {
        let data = std::env::temp_dir().join(format!("payswitch-made-{}", std::process::id()));
        let key = master_key_path(&data);
        make(&data, None).unwrap();
        make(&data, None).unwrap();
        std::fs::write(data.join("thesis.tex"), "").unwrap();
        let error = make(&data, None).unwrap_err().to_string();
        assert!(error.contains("thesis.tex"), "{error}");
        // The demo ran there before.
        std::fs::write(&key, "").unwrap();
        make(&data, None).unwrap();
        std::fs::remove_file(key).unwrap();
        let error = make(&data.join("thesis.tex"), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("thesis.tex can't be used"), "{error}");
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn what_somebody_else_wrote_is_left_alone_and_named() {
        for (foreign, beside) in [
            ("thesis.tex", "payswitch.db"),
            ("src/main.rs", "keys/p256.pem"),
            ("keys/notes.txt", "keys/p256.pem"),
            ("keys/contract.pdf", "keys/p256.pem"),
            ("settlement/notes.txt", "settlement/a.xml"),
            ("certs/a/b/c.pem", "certs/a/b.pem"),
            ("keys.d/p256.pem", "api-key.pem"),
        ] {
            let (removed, there) = reset("foreign", &[foreign, beside]);
            let error = removed.unwrap_err().to_string();
            let named = Path::new(foreign).iter().next().unwrap().to_str().unwrap();
            assert!(error.contains(named), "{foreign}: {error}");
            assert!(there, "{foreign}");
        }
    }
}
