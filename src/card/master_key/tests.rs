//! Real files in a folder of their own, removed at the end.

use crate::random::Random;
use std::fs;

use super::*;
use crate::card::key_files::KeyFileError;

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let random = u64::from_be_bytes(Random::SYSTEM.bytes().unwrap());
        let path = std::env::temp_dir().join(format!("payswitch-{name}-{random:016x}"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_master_key_file_reads_back_and_derives_the_same_keys() {
    let folder = Folder::new("master");
    let path = folder.join("master.key");
    let made = MasterKey::create_file(&path, &Random::SYSTEM).unwrap();
    assert_eq!(mode(&path), 0o600);
    let read = MasterKey::read_file(&path, &Random::SYSTEM).unwrap();
    assert_eq!(read.tier(), MasterKeyTier::File);
    let purposes = [
        Purpose::ApiKeyPepper,
        Purpose::SessionTickets,
        Purpose::SessionTicketNonces,
        Purpose::CardFingerprints,
        Purpose::CardVelocity,
    ];
    let keys = purposes.map(|purpose| *made.derive(purpose).unwrap().as_bytes());
    for (place, purpose) in purposes.into_iter().enumerate() {
        assert_eq!(read.derive(purpose).unwrap().as_bytes(), &keys[place]);
        assert!(!keys[..place].contains(&keys[place]), "{purpose:?}");
    }
    assert!(matches!(
        MasterKey::create_file(&path, &Random::SYSTEM),
        Err(MasterKeyError::File(KeyFileError::AlreadyThere { .. }))
    ));
}

/// RFC 5869 fixes the derivation, so the values must never change: data at rest hangs on them.
#[test]
fn derived_keys_never_change() {
    let master_key = MasterKey::from_base64(&STANDARD.encode([7; 32]), &Random::SYSTEM).unwrap();
    let pepper = master_key.derive(Purpose::ApiKeyPepper).unwrap();
    let extracted = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"payswitch master key"),
        &[7; 32],
    );
    let expanded = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, extracted.as_ref()),
        b"payswitch v1 api key pepper\x01",
    );
    assert_eq!(pepper.as_bytes(), expanded.as_ref());
}

#[test]
fn a_master_key_that_others_may_read_is_refused() {
    let folder = Folder::new("mode");
    let path = folder.join("master.key");
    MasterKey::create_file(&path, &Random::SYSTEM).unwrap();
    for (given, good) in [
        (0o600, true),
        (0o400, true),
        (0o640, false),
        (0o604, false),
        (0o644, false),
        (0o700, false),
    ] {
        set_mode(&path, given);
        match MasterKey::read_file(&path, &Random::SYSTEM) {
            Ok(_) => assert!(good, "{given:o}"),
            Err(MasterKeyError::File(KeyFileError::ReadableByOthers { mode, .. })) => {
                assert!(!good && mode == given, "{given:o}");
            }
            Err(error) => panic!("{given:o}: {error}"),
        }
    }
}

#[test]
fn what_a_crash_left_behind_lends_nothing_its_mode() {
    let folder = Folder::new("left-behind");
    let path = folder.join("master.key");
    let left = folder.join("master.key.new");
    fs::write(&left, b"half a ke").unwrap();
    set_mode(&left, 0o666);
    MasterKey::create_file(&path, &Random::SYSTEM).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(!left.exists());
}

#[test]
fn a_malformed_master_key_is_refused() {
    let long = STANDARD.encode([1; 33]);
    for text in ["", "secret", "AAAA", &long, &long[..43]] {
        let error = MasterKey::from_base64(text, &Random::SYSTEM).unwrap_err();
        assert!(matches!(error, MasterKeyError::MalformedMasterKey { .. }));
        assert!(text.len() < 5 || !error.to_string().contains(text));
    }
}

#[test]
fn a_wrapped_key_opens_under_its_own_name_and_master_key_only() {
    let folder = Folder::new("wrapped");
    let ours = MasterKey::from_base64(&STANDARD.encode([1; 32]), &Random::SYSTEM).unwrap();
    let other = MasterKey::from_base64(&STANDARD.encode([2; 32]), &Random::SYSTEM).unwrap();
    let path = folder.join("gateway.key");
    let pkcs8 = b"not really a key, but bytes that must not lie about".to_vec();
    write_wrapped(&path, &pkcs8, &ours, Existing::Refuse).unwrap();
    assert_eq!(mode(&path), 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("-----BEGIN PAYSWITCH WRAPPED KEY-----\n"));
    assert!(!text.contains(&STANDARD.encode(&pkcs8)[..20]));
    assert_eq!(*read_private_key(&path, &ours).unwrap(), pkcs8);

    let not_ours = |result| matches!(result, Err(MasterKeyError::NotOurs { .. }));
    assert!(not_ours(read_private_key(&path, &other)));
    let renamed = folder.join("acquirer.key");
    fs::copy(&path, &renamed).unwrap();
    assert!(not_ours(read_private_key(&renamed, &ours)));
    let changed = text.replacen('A', "B", 3);
    fs::write(&path, changed).unwrap();
    assert!(read_private_key(&path, &ours).is_err());

    let again = write_wrapped(&path, &pkcs8, &ours, Existing::Refuse);
    assert!(matches!(
        again,
        Err(MasterKeyError::File(KeyFileError::AlreadyThere { .. }))
    ));
    write_wrapped(&path, &pkcs8, &ours, Existing::Replace).unwrap();
    assert_eq!(*read_private_key(&path, &ours).unwrap(), pkcs8);
}

#[test]
fn a_plain_key_is_read_and_anything_else_is_not() {
    let folder = Folder::new("plain");
    let master_key = MasterKey::from_base64(&STANDARD.encode([1; 32]), &Random::SYSTEM).unwrap();
    let path = folder.join("a.key");
    for (text, expected) in [
        (
            "-----BEGIN PRIVATE KEY-----\nAAEC\nAwQ=\n-----END PRIVATE KEY-----\n",
            Some(vec![0, 1, 2, 3, 4]),
        ),
        (
            "-----BEGIN PRIVATE KEY-----\r\nAAEC\r\n-----END PRIVATE KEY-----",
            Some(vec![0, 1, 2]),
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----\nAAEC\n-----END EC PRIVATE KEY-----",
            None,
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----",
            None,
        ),
        (
            "-----BEGIN PRIVATE KEY-----\n????\n-----END PRIVATE KEY-----",
            None,
        ),
        (
            "-----BEGIN PAYSWITCH WRAPPED KEY-----\nAAEC\n-----END PAYSWITCH WRAPPED KEY-----",
            None,
        ),
        ("", None),
    ] {
        fs::write(&path, text).unwrap();
        let read = read_private_key(&path, &master_key).ok();
        assert_eq!(read.map(|der| der.to_vec()), expected, "{text}");
    }
    fs::write(&path, &*private_key_pem(&[7; 100])).unwrap();
    assert_eq!(*read_private_key(&path, &master_key).unwrap(), [7; 100]);
    let pem = read_private_key_pem(&path, &master_key).unwrap();
    assert_eq!(*pem, fs::read(&path).unwrap());
    let missing = read_private_key(&folder.join("none.key"), &master_key).unwrap_err();
    assert!(missing.to_string().contains("none.key"), "{missing}");
}

#[test]
fn a_plain_key_that_others_read_is_noticed() {
    let folder = Folder::new("readable");
    let path = folder.join("plain.key");
    fs::write(&path, &*private_key_pem(b"a key")).unwrap();
    for (bits, noticed) in [
        (0o600, None),
        (0o400, None),
        (0o640, Some(0o640)),
        (0o604, Some(0o604)),
        (0o644, Some(0o644)),
    ] {
        set_mode(&path, bits);
        assert_eq!(mode_readable_by_others(&path), noticed, "{bits:04o}");
    }
    assert_eq!(mode_readable_by_others(&folder.join("none.key")), None);
}
