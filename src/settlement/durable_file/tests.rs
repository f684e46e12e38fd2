use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A folder of its own for a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("payswitch-durable-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, text: &str) -> Result<DurableFile<()>, DurableFileError<io::Error>> {
        write_durably(&self.0, "a.csv", |out| out.write_all(text.as_bytes()))
    }

    /// Each file's name and content.
    fn files(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        });
        let mut files: Vec<_> = entries.collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn only(content: &str) -> Vec<(String, String)> {
    vec![("a.csv".to_owned(), content.to_owned())]
}

#[test]
fn a_folder_that_is_missing_is_made_with_those_above_it() {
    let folder = Folder::new();
    let below = folder.0.join("files").join("of-banks");
    let write = || write_durably(&below, "a.csv", |out| out.write_all(b"one"));
    assert!(!write().unwrap().was_there);
    assert!(write().unwrap().was_there);
}

#[test]
fn the_same_bytes_again_are_as_good_and_other_bytes_are_refused() {
    let folder = Folder::new();
    let first = folder.write("one").unwrap();
    assert!(!first.was_there);
    assert_eq!(first.bytes, 3);
    let again = folder.write("one").unwrap();
    assert_eq!(
        again,
        DurableFile {
            was_there: true,
            ..first
        }
    );
    for other in ["two", "one more", ""] {
        let refused = folder.write(other);
        assert!(
            matches!(refused, Err(DurableFileError::OtherBytes { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(folder.files(), only("one"));
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    fs::write(folder.0.join(".a.csv.new"), "readable by others").unwrap();
    let path = folder.write("one").unwrap().path;
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_a_crash_left_is_replaced() {
    let folder = Folder::new();
    fs::write(folder.0.join(".a.csv.new"), "half of a much longer file").unwrap();
    assert!(!folder.write("one").unwrap().was_there);
    // The crash may also have come after the rename, and before anybody heard of it.
    fs::write(folder.0.join(".a.csv.new"), "on").unwrap();
    assert!(folder.write("one").unwrap().was_there);
    assert_eq!(folder.files(), only("one"));
}

#[test]
fn a_writer_that_fails_leaves_nothing() {
    let folder = Folder::new();
    let failed: Result<DurableFile<()>, _> = write_durably(&folder.0, "a.csv", |out| {
        out.write_all(b"half").unwrap();
        Err(io::Error::other("no more items"))
    });
    assert!(matches!(failed, Err(DurableFileError::Content(_))));
    assert_eq!(folder.files(), []);
}

#[test]
fn two_writers_of_one_file_never_mix() {
    let folder = Folder::new();
    let outer = write_durably(&folder.0, "a.csv", |out| {
        out.write_all(b"outer").unwrap();
        let inner = folder.write("inner");
        assert!(
            matches!(inner, Err(DurableFileError::Busy { .. })),
            "{inner:?}"
        );
        // Another file of the same folder is nobody's business.
        let other = write_durably(&folder.0, "b.csv", |out| out.write_all(b"b"));
        assert!(other.is_ok());
        Ok::<_, Infallible>(7)
    });
    assert_eq!(outer.unwrap().content, 7);
    let both = [only("outer"), vec![("b.csv".into(), "b".into())]].concat();
    assert_eq!(folder.files(), both);
}

#[test]
fn many_at_once_make_one_file() {
    let folder = Folder::new();
    let made = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    match folder.write("one") {
                        Ok(file) => {
                            made.fetch_add(u32::from(!file.was_there), Ordering::Relaxed);
                            return;
                        }
                        Err(DurableFileError::Busy { .. }) => std::thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
    assert_eq!(folder.files(), only("one"));
}

#[test]
fn a_name_is_one_of_a_file() {
    let folder = Folder::new();
    for name in ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a\0b"] {
        let refused = write_durably(&folder.0, name, |_| Ok::<_, Infallible>(()));
        assert!(
            matches!(refused, Err(DurableFileError::Name { .. })),
            "{name:?}"
        );
    }
    assert_eq!(folder.files(), []);
}
