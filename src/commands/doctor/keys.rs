//! The master key, and the keys that cards are sealed to.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::finding::Findings;
use crate::card::key_files::mode_readable_by_others;
use crate::card::keys::{MAX_SEALING_KEYS, SealingKeys};
use crate::card::master_key::{MasterKey, MasterKeyTier};
use crate::card::masters::{MASTER_KEY_VARIABLE, MasterKeyError};
use crate::card::sealing_key::KeyState;
use crate::config::card::CardConfig;
use crate::random::Random;
use crate::telemetry::with_causes;

/// Reads the master key.
pub fn check_master_key(config: &CardConfig, findings: &mut Findings) -> Option<Arc<MasterKey>> {
    const CHECK: &str = "master key";
    let file = config.master_key_file.as_deref();
    match MasterKey::load(file, &Random::SYSTEM) {
        Ok(key) if key.tier() == MasterKeyTier::Environment => {
            findings.warning(
                CHECK,
                format!("from the {}", key.tier()),
                "write it to a file that only the service reads, set card.master_key_file, and unset PAYSWITCH_MASTER_KEY",
            );
            Some(Arc::new(key))
        }
        Ok(key) => {
            let path = file.map_or(String::new(), |file| file.display().to_string());
            findings.ok(CHECK, format!("{path}{}", owner_and_mode(file)));
            Some(Arc::new(key))
        }
        Err(error) => {
            findings.failed(CHECK, with_causes(&error), master_key_advice(file, &error));
            None
        }
    }
}

/// What to do about a master key that does not load. Where something is, nothing is advised that would write over it: what
/// is wrapped under the key could never be opened again.
fn master_key_advice(file: Option<&Path>, error: &MasterKeyError) -> String {
    if matches!(error, MasterKeyError::MalformedMasterKey { place } if place == MASTER_KEY_VARIABLE)
    {
        return format!(
            "set {MASTER_KEY_VARIABLE} to the whole key, as it is kept; don't make another one"
        );
    }
    let file = file.unwrap_or(Path::new("master.key"));
    let path = file.display();
    let found = file.symlink_metadata();
    if found.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return format!(
            "where there is none yet: (umask 077; head -c 32 /dev/urandom | base64 > {path}); else put it back from where \
             it is kept, owned by the user of the service: chmod 0400 {path}"
        );
    }
    if mode_readable_by_others(file).is_some() {
        return format!("chmod 0400 {path}, as the user of the service, who owns it");
    }
    format!(
        "put the key back from where it is kept, owned by the user of the service: chmod 0400 {path}; don't make another one"
    )
}

fn owner_and_mode(file: Option<&Path>) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.and_then(|file| std::fs::metadata(file).ok());
    metadata.map_or(String::new(), |it| {
        format!(", mode {:04o}, owner {}", it.mode() & 0o777, it.uid())
    })
}

/// Reads the keys that cards are sealed to.
pub fn check_sealing_keys(config: &CardConfig, master_key: &MasterKey, findings: &mut Findings) {
    const CHECK: &str = "sealing keys";
    let folder = &config.sealing_keys;
    if !folder.exists() {
        findings.warning(
            CHECK,
            format!("there is no folder {}", folder.display()),
            "`payswitch serve` makes it, with new keys; where cards are sealed to older ones already, put them back first",
        );
        return;
    }
    match SealingKeys::load(folder, master_key) {
        Ok(keys) => {
            let published = keys.iter().filter(|key| key.state() == KeyState::Active).count();
            let all = keys.iter().count();
            let found = format!("{}: {all}, of them published {published}", folder.display());
            if published == 0 {
                findings.warning(
                    CHECK,
                    found,
                    "`payswitch serve` makes new ones; where cards are sealed to older ones already, put them back first",
                );
            } else if all > MAX_SEALING_KEYS {
                findings.failed(
                    CHECK,
                    format!("{found}; expected {MAX_SEALING_KEYS} at the most"),
                    format!("remove keys that nobody seals to any more from {}/retiring", folder.display()),
                );
            } else {
                findings.ok(CHECK, found);
            }
        }
        Err(error) => findings.failed(
            CHECK,
            with_causes(&error),
            format!(
                "put back the keys that were wrapped under this master key, under their own file names, readable by the \
                 user of the service: {}",
                folder.display()
            ),
        ),
    }
}

/// A private key in clear that others may read.
pub fn check_private_key_file(check: &str, path: &Path, findings: &mut Findings) {
    let in_clear = || {
        let text = std::fs::read_to_string(path).map(zeroize::Zeroizing::new);
        text.is_ok_and(|text| !text.contains("WRAPPED KEY"))
    };
    if let Some(mode) = mode_readable_by_others(path).filter(|_| in_clear()) {
        findings.warning(
            format!("{check}: private key"),
            format!("{} is in clear and has mode {mode:04o}", path.display()),
            format!("chmod 0600 {}", path.display()),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::commands::doctor::finding::Standing;
    use crate::commands::doctor::finding::testing::only;

    fn folder(name: &str) -> PathBuf {
        let name = format!("payswitch-doctor-keys-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn config(folder: &Path) -> CardConfig {
        CardConfig {
            sealing_keys: folder.join("keys"),
            master_key_file: Some(folder.join("master.key")),
            ..CardConfig::default()
        }
    }

    #[test]
    fn a_master_key_is_there_whole_and_its_owners_alone() {
        let folder = folder("master");
        let config = config(&folder);
        let path = folder.join("master.key");
        let look = |standing| {
            let mut findings = Findings::default();
            let key = check_master_key(&config, &mut findings);
            assert_eq!(key.is_some(), standing == Standing::Ok);
            only(&findings, standing).clone()
        };
        let missing = look(Standing::Failed);
        assert!(missing.found.contains("master.key"), "{missing:?}");
        assert!(missing.advice.contains("/dev/urandom"), "{missing:?}");
        MasterKey::create_file(&path, &Random::SYSTEM).unwrap();
        assert!(look(Standing::Ok).found.contains("mode 0600"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let open = look(Standing::Failed);
        assert!(
            open.found.contains("0640") && open.advice.starts_with("chmod"),
            "{open:?}"
        );
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(&path, "c2hvcnQ=\n").unwrap();
        let short = look(Standing::Failed);
        assert!(short.found.contains("32 bytes"), "{short:?}");
        // A line that is pasted must not make the key another one.
        for there in [open, short] {
            assert!(!there.advice.contains("/dev/urandom"), "{there:?}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn sealing_keys_open_under_the_master_key_and_none_is_made() {
        let folder = folder("sealing");
        let config = config(&folder);
        let key = MasterKey::create_file(&folder.join("master.key"), &Random::SYSTEM).unwrap();
        let look = |key: &MasterKey, standing| {
            let mut findings = Findings::default();
            check_sealing_keys(&config, key, &mut findings);
            only(&findings, standing).clone()
        };
        look(&key, Standing::Warning);
        assert!(!config.sealing_keys.exists());
        std::fs::create_dir(&config.sealing_keys).unwrap();
        look(&key, Standing::Warning);
        SealingKeys::load_or_generate(&config.sealing_keys, false, &key).unwrap();
        assert!(look(&key, Standing::Ok).found.contains("published 1"));
        let other = MasterKey::create_file(&folder.join("other.key"), &Random::SYSTEM).unwrap();
        let foreign = look(&other, Standing::Failed);
        assert!(
            foreign
                .found
                .contains("does not open under this master key"),
            "{foreign:?}"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_private_key_in_clear_that_others_read_is_a_warning() {
        let folder = folder("private");
        let path = folder.join("gateway.key");
        for (text, mode, standing) in [
            (
                "-----BEGIN PRIVATE KEY-----",
                0o644,
                Some(Standing::Warning),
            ),
            ("-----BEGIN PRIVATE KEY-----", 0o600, None),
            ("-----BEGIN PAYSWITCH WRAPPED KEY-----", 0o644, None),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let mut findings = Findings::default();
            check_private_key_file("door", &path, &mut findings);
            assert_eq!(
                findings.iter().next().map(|it| it.standing),
                standing,
                "{text} {mode:o}"
            );
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
