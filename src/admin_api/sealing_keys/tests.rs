//! Two gateways with one folder of keys and one database: what one does, and the other finds meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::card::key_folder::KeyFolder;
use crate::card::key_rotation::KNOWN_AFTER_MS;
use crate::card::keys::SealingKeys;
use crate::clock::{ManualClock, SystemClock};
use crate::store::testing::{TestDatabase, unique};

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Setting {
    folder: Folder,
    master_key: Arc<MasterKey>,
    clock: Arc<ManualClock>,
}

impl Setting {
    /// With the keys of a new installation.
    fn new() -> Self {
        let master_key = MasterKey::from_base64(
            "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            &Random::SYSTEM,
        );
        let name = format!("payswitch-sealing-keys-{}-{}", std::process::id(), unique());
        let setting = Self {
            folder: Folder(std::env::temp_dir().join(name)),
            master_key: Arc::new(master_key.unwrap()),
            // Files have the machine's time.
            clock: Arc::new(ManualClock::at(SystemClock.now())),
        };
        let keys = setting.keys();
        SealingKeys::load_or_generate(&keys, false, &setting.master_key).unwrap();
        setting
    }

    fn keys(&self) -> PathBuf {
        self.folder.0.join("keys")
    }

    fn gateway(&self, store: Store) -> Arc<SealingKeyBook> {
        let keys = SealingKeys::load(&self.keys(), &self.master_key).unwrap();
        let jwks = self.folder.0.join("jwks.json");
        let folder = KeyFolder::new(self.keys(), jwks, Arc::clone(&self.master_key));
        let opener = Opener::watching(keys, folder, &self.master_key, &Random::SYSTEM);
        Arc::new(SealingKeyBook::new(SealingKeyParts {
            folder: self.keys(),
            keeps_rsa: false,
            master_key: Arc::clone(&self.master_key),
            master_key_file: None,
            opener: Arc::new(opener.unwrap()),
            store,
            clock: self.clock.clone(),
            random: Random::SYSTEM,
        }))
    }

    /// Does what `payswitch sealing-keys add` does in the folder.
    fn add_in_folder(&self) -> String {
        let folder = self.keys();
        let rotation = Rotation {
            folder: &folder,
            master_key: &self.master_key,
            now: self.clock.now(),
            lock: None,
        };
        rotation.add(Algorithm::EcdhEs).unwrap().kid
    }
}

async fn found_in_folder(store: &Store) -> Vec<String> {
    let rows = store.list_audit(1000, None).await.unwrap();
    rows.into_iter().map(|row| row.target).collect()
}

async fn a_step_at_the_door_is_found_by_no_other_gateway(database: TestDatabase) {
    let setting = Setting::new();
    let store = database.open().await;
    let door = setting.gateway(store.clone());
    let finder = setting.gateway(database.open_beside(&store).await);
    door.look(false).await.unwrap();
    finder.look(false).await.unwrap();

    // The other gateway looks all the time.
    let stop = Arc::new(AtomicBool::new(false));
    let looking = tokio::spawn({
        let (finder, stop) = (Arc::clone(&finder), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                // Amid a step the folder may have no active key for a moment: the keys stay as they are then.
                let _ = finder.reload_keys().await;
                finder.look(false).await.unwrap();
            }
        }
    });
    for _ in 0..10 {
        let added = door.step(KeyStep::Add(Algorithm::EcdhEs)).await.unwrap();
        let kid = added.unwrap().kid;
        setting.clock.advance_ms(KNOWN_AFTER_MS + 60_000);
        let before = door.list().await.unwrap();
        let before = before
            .iter()
            .find(|key| key.state == SealingKeyState::Active);
        let before = before.unwrap().kid.clone();
        door.step(KeyStep::Activate(kid)).await.unwrap();
        let kid = before;
        let anyway = true;
        door.step(KeyStep::Retire { kid, anyway }).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    looking.await.unwrap();
    assert_eq!(found_in_folder(&store).await, Vec::<String>::new());

    // What nobody did at the door is found once, also where a step at the door comes right after it.
    let kid = setting.add_in_folder();
    let added = door.step(KeyStep::Add(Algorithm::EcdhEs)).await.unwrap();
    assert_ne!(added.unwrap().kid, kid);
    finder.reload_keys().await.unwrap();
    finder.look(false).await.unwrap();
    let found = found_in_folder(&store).await;
    assert_eq!(found, [format!("{kid} as UPCOMING")]);
}

/// Of two operators who want the same at two gateways one is told that it is done.
async fn the_same_step_at_two_doors_is_done_once(database: TestDatabase) {
    let setting = Setting::new();
    let store = database.open().await;
    let one = setting.gateway(store.clone());
    let other = setting.gateway(database.open_beside(&store).await);
    one.look(false).await.unwrap();
    other.look(false).await.unwrap();
    for _ in 0..5 {
        let added = one.step(KeyStep::Add(Algorithm::EcdhEs)).await.unwrap();
        let kid = added.unwrap().kid;
        setting.clock.advance_ms(KNOWN_AFTER_MS + 60_000);
        let retire = KeyStep::Retire {
            kid: kid.clone(),
            anyway: false,
        };
        let done = tokio::join!(one.step(retire.clone()), other.step(retire));
        assert_ne!(done.0.is_ok(), done.1.is_ok(), "{kid}");
    }
    assert_eq!(found_in_folder(&store).await, Vec::<String>::new());
}

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::TestDatabase::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::TestDatabase::postgres().await).await;
            })*
        }
    };
}
on_both!(
    a_step_at_the_door_is_found_by_no_other_gateway,
    the_same_step_at_two_doors_is_done_once,
);
