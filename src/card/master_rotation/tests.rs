//! A master key that is rotated, as a process sees it that has read it before, and as one that reads it now.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::card::derived_key::Purpose;
use crate::card::master_key::{MasterKey, read_private_key, rewrap_file, write_wrapped};

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let random = u64::from_be_bytes(Random::SYSTEM.bytes().unwrap());
        let path = std::env::temp_dir().join(format!("payswitch-master-{random:016x}"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(path: &Path) -> MasterKey {
    MasterKey::read_file(path, &Random::SYSTEM).unwrap()
}

fn derived(master_key: &MasterKey) -> Vec<[u8; KEY_BYTES]> {
    let derive = |purpose| *master_key.derive(purpose).unwrap().as_bytes();
    Purpose::ALL.map(derive).to_vec()
}

#[test]
fn everything_opens_at_each_stage_and_what_is_derived_stays() {
    let folder = Folder::new();
    let path = folder.0.join("master.key");
    let first = MasterKey::create_file(&path, &Random::SYSTEM).unwrap();
    let first_text = fs::read_to_string(&path).unwrap();
    let first_derived = derived(&first);
    let (old, new) = (folder.0.join("old.pem"), folder.0.join("new.pem"));
    write_wrapped(&old, b"a key", &first, Existing::Refuse).unwrap();
    // A process that runs all the time, and has read no file since.
    let running = read(&path);
    for time in 0..2 {
        let opens = |what: &Path| {
            for master_key in [&running, &read(&path)] {
                assert_eq!(*read_private_key(what, master_key).unwrap(), b"a key");
                assert_eq!(derived(master_key), first_derived);
            }
        };
        let before = MasterRotation::stage(&path).unwrap();
        assert_eq!(before == Stage::None, time == 0, "{before:?}");
        let rotation = MasterRotation::of(&path).unwrap();
        let busy = MasterRotation::of(&path).unwrap_err();
        assert!(matches!(busy, MasterRotationError::Busy { .. }), "{busy}");
        rotation.prepare(&Random::SYSTEM).unwrap();
        assert!(matches!(
            MasterRotation::stage(&path).unwrap(),
            Stage::Prepared(_)
        ));
        rotation.prepare(&Random::SYSTEM).unwrap_err();
        opens(&old);
        // Under the one that is current, whatever comes next.
        assert!(!rewrap_file(&old, &read(&path)).unwrap());

        // Cut short before the move, it is done again.
        fs::copy(&path, previous_path(&path)).unwrap();
        assert!(matches!(
            MasterRotation::stage(&path).unwrap(),
            Stage::Prepared(_)
        ));
        rotation.replace().unwrap();
        assert!(matches!(
            MasterRotation::stage(&path).unwrap(),
            Stage::Replaced(_)
        ));
        opens(&old);
        // The process that has not read it wraps under the new one all the same.
        write_wrapped(&new, b"a key", &running, Existing::Replace).unwrap();
        opens(&new);
        assert!(!rewrap_file(&new, &read(&path)).unwrap());
        let time = modified(&old).unwrap();
        assert!(rewrap_file(&old, &running).unwrap());
        assert!(!rewrap_file(&old, &running).unwrap());
        assert_eq!(modified(&old).unwrap(), time);
        rotation.finish().unwrap();
        let finished = Stage::Finished(moment(&lock_path(&path)).unwrap());
        assert_eq!(MasterRotation::stage(&path).unwrap(), finished);
        opens(&old);
        opens(&new);
    }
    // The first one opens nothing of it any more, and is nowhere in the file.
    let first = MasterKey::from_base64(&first_text, &Random::SYSTEM).unwrap();
    let closed = read_private_key(&old, &first).unwrap_err();
    assert!(matches!(closed, MasterKeyError::NotOurs { .. }), "{closed}");
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(first_text.trim_end()));
    assert_eq!(text.lines().count(), 1 + Purpose::ALL.len());
}

/// Neither a file of another installation nor half a file is taken; what was read before stays.
#[test]
fn another_installations_master_key_is_refused() {
    let folder = Folder::new();
    let path = folder.0.join("master.key");
    let ours = MasterKey::create_file(&path, &Random::SYSTEM).unwrap();
    let before = derived(&ours);
    let text = fs::read_to_string(&path).unwrap();
    let other = STANDARD.encode([9; KEY_BYTES]);
    for beside in [next_path(&path), previous_path(&path)] {
        fs::copy(&path, &beside).unwrap();
        ours.reload().unwrap();
        fs::write(&beside, &other).unwrap();
        let refused = ours.reload().unwrap_err();
        assert!(
            matches!(refused, MasterKeyError::Another { .. }),
            "{refused}"
        );
        fs::remove_file(&beside).unwrap();
    }
    for (wrong, why) in [
        (other.as_str(), "is not of this installation"),
        ("half", "expected a master key of 32 bytes"),
        (
            &format!("{text}payswitch v1 api key pepper: half"),
            "expected a master key",
        ),
        (
            &format!("{text}another purpose: {other}"),
            "expected a master key",
        ),
    ] {
        fs::write(&path, wrong).unwrap();
        let refused = ours.reload().unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
        assert_eq!(derived(&ours), before);
    }
    fs::write(&path, text + "\n").unwrap();
    ours.reload().unwrap();
}
