//! Keys that follow one another in real folders.

use super::*;
use crate::card::key_files::Existing;
use crate::card::keys::SealingKeys;
use crate::card::master_key;
use crate::card::sealing_key::SealingKey;
use crate::clock::{Clock as _, SystemClock};
use crate::random::Random;

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let random = u64::from_be_bytes(Random::SYSTEM.bytes().unwrap());
        Self(std::env::temp_dir().join(format!("payswitch-rotation-{random:016x}")))
    }

    fn rotation<'a>(&'a self, master_key: &'a MasterKey, later_ms: i64) -> Rotation<'a> {
        Rotation {
            folder: &self.0,
            master_key,
            // Files have the machine's time.
            now: SystemClock.now().plus_ms(later_ms),
            lock: None,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn master() -> MasterKey {
    let text = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    MasterKey::from_base64(text, &Random::SYSTEM).unwrap()
}

fn states(rotation: &Rotation<'_>) -> Vec<(String, KeyState)> {
    let keys = rotation.list().unwrap();
    keys.into_iter().map(|key| (key.kid, key.state)).collect()
}

/// The names of the published keys.
fn published(folder: &Folder, master_key: &MasterKey) -> String {
    let keys = SealingKeys::load(&folder.0, master_key).unwrap();
    let jwks: serde_json::Value = serde_json::from_str(&keys.jwks()).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    let kids = keys.iter().map(|key| key["kid"].as_str().unwrap());
    kids.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_key_is_upcoming_then_active_then_retiring_then_gone() {
    let (folder, master) = (Folder::new(), master());
    let first = SealingKeys::load_or_generate(&folder.0, false, &master).unwrap();
    let first = first.iter().next().unwrap().kid().to_owned();
    let now = folder.rotation(&master, 0);
    let second = now.add(Algorithm::EcdhEs).unwrap();
    assert_eq!(second.state, KeyState::Upcoming);
    assert_eq!(second.next_from, Some(second.since.plus_ms(KNOWN_AFTER_MS)));
    let second = second.kid;
    assert_eq!(
        states(&now),
        [
            (second.clone(), KeyState::Upcoming),
            (first.clone(), KeyState::Active)
        ]
    );
    assert_eq!(published(&folder, &master), first);

    let early = folder.rotation(&master, KNOWN_AFTER_MS - 10_000);
    let refused = early.activate(&second).unwrap_err();
    assert!(
        matches!(refused, RotationError::NotKnownYet { .. }),
        "{refused}"
    );
    let later = folder.rotation(&master, KNOWN_AFTER_MS);
    assert_eq!(later.activate(&second).unwrap().state, KeyState::Active);
    let rotated = [
        (second.clone(), KeyState::Active),
        (first.clone(), KeyState::Retiring),
    ];
    assert_eq!(states(&later), rotated);
    assert_eq!(published(&folder, &master), second);
    let again = later.activate(&second).unwrap_err();
    assert!(
        matches!(again, RotationError::NotUpcoming { .. }),
        "{again}"
    );

    let only = later.retire(&second, true, true).unwrap_err();
    assert!(matches!(only, RotationError::Published { .. }), "{only}");
    let early = later.retire(&first, true, false).unwrap_err();
    assert!(matches!(early, RotationError::StillUsed { .. }), "{early}");
    assert_eq!(states(&later), rotated);
    let end = folder.rotation(&master, KNOWN_AFTER_MS + RETIRES_FOR_MS);
    assert_eq!(end.retire(&first, true, false).unwrap(), Retired::Removed);
    assert_eq!(states(&end), [(second, KeyState::Active)]);
    let gone = end.retire(&first, true, false).unwrap_err();
    assert!(matches!(gone, RotationError::Unknown { .. }), "{gone}");
}

/// A key that was never published, or that has leaked, goes at once.
#[test]
fn a_key_that_nobody_may_use_goes_at_once() {
    let (folder, master) = (Folder::new(), master());
    SealingKeys::load_or_generate(&folder.0, false, &master).unwrap();
    let now = folder.rotation(&master, 0);
    let kid = now.add(Algorithm::EcdhEs).unwrap().kid;
    assert_eq!(now.retire(&kid, true, false).unwrap(), Retired::Removed);
    let kid = now.add(Algorithm::EcdhEs).unwrap().kid;
    let leaked = states(&now)[1].0.clone();
    let later = folder.rotation(&master, KNOWN_AFTER_MS);
    later.activate(&kid).unwrap();
    assert_eq!(later.retire(&leaked, true, true).unwrap(), Retired::Removed);
    assert_eq!(states(&later), [(kid, KeyState::Active)]);
}

/// An installation that wants no RSA key any more can be rid of the one that it has, slowly.
#[test]
fn the_rsa_key_can_be_given_up() {
    let (folder, master) = (Folder::new(), master());
    let made = SealingKeys::load_or_generate(&folder.0, true, &master).unwrap();
    let rsa = made.any(Algorithm::RsaOaep256).unwrap().kid().to_owned();
    let now = folder.rotation(&master, 0);
    let kept = now.retire(&rsa, true, false).unwrap_err();
    assert!(matches!(kept, RotationError::Published { .. }), "{kept}");
    assert_eq!(
        now.retire(&rsa, false, false).unwrap(),
        Retired::Unpublished
    );
    assert!(!published(&folder, &master).contains(&rsa));
    assert!(states(&now).contains(&(rsa, KeyState::Retiring)));
}

/// As an older version left them, or a rotation that was cut short.
#[test]
fn of_two_keys_in_the_folder_the_newer_one_is_published() {
    let (folder, master) = (Folder::new(), master());
    SealingKeys::load_or_generate(&folder.0, false, &master).unwrap();
    let now = folder.rotation(&master, 0);
    let older = states(&now)[0].0.clone();
    let (key, pkcs8) = SealingKey::generate_p256().unwrap();
    let newer = key.kid().to_owned();
    let path = folder.0.join("by-hand.pem");
    master_key::write_wrapped(&path, &pkcs8, &master, Existing::Refuse).unwrap();
    now.move_to(&path, &folder.0, now.now.plus_ms(60_000))
        .unwrap();
    assert_eq!(published(&folder, &master), newer);
    assert!(states(&now).contains(&(older.clone(), KeyState::Retiring)));

    // The next command puts it where it belongs, and its time begins then, although the file is older.
    let refused = now.retire(&older, true, false).unwrap_err();
    assert!(
        matches!(refused, RotationError::StillUsed { .. }),
        "{refused}"
    );
    let place = folder.0.join(RETIRING_FOLDER);
    assert_eq!(fs::read_dir(place).unwrap().count(), 1);

    // A key whose time lies ahead of the clock is followed by one that is newer still.
    let next = now.add(Algorithm::EcdhEs).unwrap().kid;
    let later = folder.rotation(&master, KNOWN_AFTER_MS);
    let ahead = later.now.plus_ms(3_600_000);
    later.move_to(&path, &folder.0, ahead).unwrap();
    later.activate(&next).unwrap();
    assert_eq!(published(&folder, &master), next);
    assert!(states(&later).contains(&(newer, KeyState::Retiring)));
}
