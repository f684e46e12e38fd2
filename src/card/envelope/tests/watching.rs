//! The folder of sealing keys, while the gateway runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::card::keys::UPCOMING_FOLDER;

/// Lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A folder of keys with an opener that watches it; it is removed in the end.
struct Watched {
    folder: PathBuf,
    master_key: Arc<MasterKey>,
    opener: Opener,
}

impl Watched {
    fn new() -> Self {
        let random = u64::from_be_bytes(Random::SYSTEM.bytes().unwrap());
        let folder = std::env::temp_dir().join(format!("payswitch-watched-{random:016x}"));
        let master_key = Arc::new(master_key(1));
        let keys = SealingKeys::load_or_generate(&folder, false, &master_key).unwrap();
        let jwks = folder.join("jwks.json");
        let watched = KeyFolder::new(folder.clone(), jwks, Arc::clone(&master_key));
        let opener = Opener::watching(keys, watched, &master_key, &Random::SYSTEM).unwrap();
        Self {
            folder,
            master_key,
            opener,
        }
    }

    /// Puts a new key into `place`: its file, and a card that is sealed to it.
    fn put_key(&self, place: &Path) -> (PathBuf, String, SealedCard) {
        let (key, pkcs8) = SealingKey::generate_p256().unwrap();
        let kid = key.kid().to_owned();
        std::fs::create_dir_all(place).unwrap();
        let path = place.join(format!("p256-{kid}.pem"));
        master_key::write_wrapped(&path, &pkcs8, &self.master_key, Existing::Refuse).unwrap();
        let jwks = SealingKeys::new([key]).jwks();
        let recipient = Recipient::from_jwks(&jwks, Algorithm::EcdhEs, &Random::SYSTEM).unwrap();
        let sealed = recipient.seal_card(&card(), &claims()).unwrap();
        (path, kid, sealed)
    }

    fn open(&self, sealed: &SealedCard, later_ms: i64) -> Result<Opened, SealedCardFault> {
        let fixture = fixture();
        let now = NOW.plus_ms(later_ms);
        self.opener.open(sealed, &fixture.binding(), now)
    }

    fn published(&self) -> String {
        std::fs::read_to_string(self.folder.join("jwks.json")).unwrap_or_default()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A key that another gateway has made is found when a card names it, but not more often than once a second.
#[test]
fn a_key_that_is_not_known_is_looked_for_again() {
    let watched = Watched::new();
    let (_, _, second) = watched.put_key(&watched.folder);
    assert!(watched.open(&second, 0).is_ok());
    let (_, _, third) = watched.put_key(&watched.folder);
    let unknown = watched.open(&third, 999).unwrap_err();
    assert_eq!(unknown, SealedCardFault::Key);
    assert!(watched.open(&third, 1_000).is_ok());
    assert!(watched.open(&second, 1_001).is_ok());
}

/// Without a card that names it, and before it is published.
#[test]
fn a_look_finds_what_has_changed_and_publishes_it() {
    let watched = Watched::new();
    let look = || watched.opener.keys.look();
    look();
    let before = watched.published();
    assert_eq!(before.trim_end(), watched.opener.jwks());
    let upcoming = watched.folder.join(UPCOMING_FOLDER);
    let (path, kid, _) = watched.put_key(&upcoming);
    look();
    assert_eq!(watched.published(), before);
    // It was known before this card: a look for an unknown key would have been too early.
    let known = watched.opener.keys.sealing_keys();
    assert!(known.find(&kid, Algorithm::EcdhEs).is_some());

    std::fs::rename(&path, watched.folder.join(path.file_name().unwrap())).unwrap();
    let file = std::fs::File::open(watched.folder.join(path.file_name().unwrap())).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.set_modified(modified + Duration::from_secs(1))
        .unwrap();
    look();
    assert!(watched.published().contains(&kid));
    assert_eq!(watched.published().matches("kid").count(), 1);
    // Who removes the file of the public keys by mistake gets it back.
    std::fs::remove_file(watched.folder.join("jwks.json")).unwrap();
    look();
    assert!(watched.published().contains(&kid));
}

/// It is said at the first look, and not at those that follow; and again when it is something else.
#[test]
fn what_cannot_be_read_leaves_the_old_and_is_said_once() {
    let watched = Watched::new();
    let (_, _, sealed) = watched.put_key(&watched.folder.join(UPCOMING_FOLDER));
    watched.opener.reload_keys().unwrap();
    let before = watched.opener.jwks();
    let lines = Lines::default();
    let log = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || log.clone())
        .finish();
    let said = || {
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.matches("could not be read again").count()
    };
    let look = || {
        watched.opener.keys.look();
        assert_eq!(watched.opener.jwks(), before);
        assert!(watched.open(&sealed, 0).is_ok());
        said()
    };
    tracing::subscriber::with_default(subscriber, || {
        let broken = watched.folder.join("broken.pem");
        std::fs::write(&broken, "no key").unwrap();
        assert_eq!((look(), look()), (1, 1));
        assert!(watched.opener.reload_keys().is_err());
        std::fs::remove_file(&broken).unwrap();
        assert_eq!(look(), 1);
        // As where the disk with the keys is not mounted.
        let elsewhere = watched.folder.with_extension("elsewhere");
        std::fs::rename(&watched.folder, &elsewhere).unwrap();
        assert_eq!((look(), look()), (2, 2));
        std::fs::create_dir(&watched.folder).unwrap();
        assert_eq!((look(), look()), (3, 3));
        std::fs::remove_dir(&watched.folder).unwrap();
        std::fs::rename(&elsewhere, &watched.folder).unwrap();
        assert_eq!(look(), 3);
    });
}

/// By what was opened, not by what only names it; and it goes on when the folder is read again.
#[test]
fn it_is_known_when_a_key_was_used_last() {
    let watched = Watched::new();
    let (_, kid, sealed) = watched.put_key(&watched.folder.join(UPCOMING_FOLDER));
    let used = || {
        let keys = watched.opener.sealing_keys();
        keys.find(&kid, Algorithm::EcdhEs).unwrap().used_at()
    };
    watched.opener.reload_keys().unwrap();
    let mut forged = sealed.as_str().to_owned();
    let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
    forged.push(last);
    assert!(watched.open(&SealedCard::from(forged), 10).is_err());
    assert_eq!(used(), None);
    for (later_ms, expected_ms) in [(10, 10), (900, 10), (1_010, 1_010), (500, 1_010)] {
        watched.open(&sealed, later_ms).unwrap();
        assert_eq!(used(), Some(NOW.plus_ms(expected_ms)), "{later_ms}");
    }
    watched.opener.reload_keys().unwrap();
    assert_eq!(used(), Some(NOW.plus_ms(1_010)));
}
