//! Where the gateway writes: the folders are there, and may be written to.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::finding::Findings;
use crate::config::Config;
use crate::store::inspection::Inspection;

/// With less free space than this the database will soon take no records.
const LEAST_FREE: u64 = 100 * MIB;
/// With less free space than this somebody should look.
const WARN_FREE: u64 = 1024 * MIB;
const MIB: u64 = 1024 * 1024;

/// Everything that the gateway writes to beside the database's server.
pub fn check(config: &Config, findings: &mut Findings) {
    let written = [
        (
            "card.sealing_keys",
            Some(config.card.sealing_keys.clone()),
            Kind::Keys,
        ),
        (
            "card.jwks_path",
            Some(config.card.jwks_path.clone()),
            Kind::NewFile,
        ),
        (
            "settlement.folder",
            Some(config.settlement.folder(&config.store)),
            Kind::Folder,
        ),
        (
            "ledger.seal_file",
            config.ledger.seal_file.clone(),
            Kind::LongerFile,
        ),
    ];
    let mut closed = Vec::new();
    for (key, path, kind) in written {
        if let Some(place) = path.and_then(|path| not_writable(&path, kind)) {
            closed.push(format!("{} ({key})", place.display()));
        }
    }
    if closed.is_empty() {
        findings.ok(
            "folders",
            "everything that the gateway writes to may be written to",
        );
    } else {
        findings.failed(
            "folders",
            format!("not writable or not there: {}", closed.join(", ")),
            "make them, and give them to the user of the service (chown, chmod u+rwx); or name others in the configuration",
        );
    }
    if config.ledger.seal_file.is_none() {
        findings.warning(
            "seals outside the database",
            "ledger.seal_file is not set: nothing notices that an older backup was restored",
            "set ledger.seal_file to a file on another disk than the database's",
        );
    }
    if let Ok(Some(file)) = Inspection::file(&config.store) {
        check_space(&parent(&file), findings);
    }
}

/// What the gateway does with a path. Each is made when it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Writes a new file in its place.
    NewFile,
    /// Adds to the file.
    LongerFile,
    /// Writes files into the folder.
    Folder,
    /// Reads files of the folder.
    Keys,
}

/// The place that has to be writable, where it is not.
fn not_writable(path: &Path, kind: Kind) -> Option<PathBuf> {
    let place = match kind {
        Kind::Keys if path.is_dir() => return None,
        Kind::Folder if path.is_dir() => path.to_owned(),
        Kind::LongerFile if path.is_file() => path.to_owned(),
        Kind::NewFile | Kind::LongerFile | Kind::Folder | Kind::Keys => parent(path),
    };
    let open = access(&place, Access::READ_OK | Access::WRITE_OK).is_ok();
    (!open).then_some(place)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn check_space(folder: &Path, findings: &mut Findings) {
    match statvfs(folder) {
        Ok(space) => judge_space(
            folder,
            space.f_bavail.saturating_mul(space.f_frsize),
            findings,
        ),
        Err(error) => findings.failed(
            "disk space",
            format!("{}: {error}", folder.display()),
            "make the folder of the database",
        ),
    }
}

fn judge_space(folder: &Path, free: u64, findings: &mut Findings) {
    let found = format!("{} MiB free in {}", free / MIB, folder.display());
    let advice = "make room, or move the database to a larger disk";
    match free {
        ..LEAST_FREE => findings.failed("disk space", found, advice),
        LEAST_FREE..WARN_FREE => findings.warning("disk space", found, advice),
        _ => findings.ok("disk space", found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Standing;
    use crate::commands::doctor::finding::testing::only;

    #[test]
    fn a_disk_that_is_nearly_full_fails() {
        for (free, standing) in [
            (LEAST_FREE - 1, Standing::Failed),
            (LEAST_FREE, Standing::Warning),
            (WARN_FREE - 1, Standing::Warning),
            (WARN_FREE, Standing::Ok),
        ] {
            let mut findings = Findings::default();
            judge_space(Path::new("/data"), free, &mut findings);
            only(&findings, standing);
        }
    }

    #[test]
    fn a_folder_that_is_not_there_can_t_be_written_to() {
        let there = std::env::temp_dir();
        let nowhere = Path::new("/nowhere/at/all");
        for (path, kind, closed) in [
            (there.join("jwks.json"), Kind::NewFile, None),
            (
                there.join("settlement-that-is-not-there"),
                Kind::Folder,
                None,
            ),
            (there.clone(), Kind::Folder, None),
            (
                nowhere.join("jwks.json"),
                Kind::NewFile,
                Some(nowhere.to_owned()),
            ),
            (nowhere.join("keys"), Kind::Keys, Some(nowhere.to_owned())),
            (
                nowhere.join("seals"),
                Kind::LongerFile,
                Some(nowhere.to_owned()),
            ),
            (PathBuf::from("jwks.json"), Kind::NewFile, None),
        ] {
            assert_eq!(not_writable(&path, kind), closed, "{}", path.display());
        }
    }
}
