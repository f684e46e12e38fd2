//! The memory of another process, read as root may.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::canaries::search::Secrets;
use crate::demo::text;

const PAGE_BYTES: u64 = 4096;
/// What is shown around a place, in bytes.
const AROUND: usize = 48;

/// What a process has in memory that it can write to: pieces, each with its name and its first address.
pub(crate) struct Memory(Vec<(String, u64, Vec<u8>)>);

impl Memory {
    pub(crate) fn of(pid: u32) -> Self {
        let open = |name: &str| {
            File::open(format!("/proc/{pid}/{name}")).expect("only root may look; run as root")
        };
        let (memory, pages) = (open("mem"), open("pagemap"));
        let mut pieces: Vec<(String, u64, Vec<u8>)> = Vec::new();
        for line in text(format!("/proc/{pid}/maps").as_ref()).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if !words[1].starts_with("rw") {
                continue;
            }
            let (start, end) = words[0].split_once('-').expect("a range");
            let [start, end] =
                [start, end].map(|address| u64::from_str_radix(address, 16).expect("an address"));
            let name = words.get(5).unwrap_or(&"memory without a name");
            let mut joins = false;
            for address in (start..end).step_by(usize::try_from(PAGE_BYTES).expect("a size")) {
                let mut entry = [0; 8];
                let at = address / PAGE_BYTES * 8;
                pages.read_exact_at(&mut entry, at).expect("an entry");
                // Present, or swapped out.
                if u64::from_le_bytes(entry) >> 62 == 0 {
                    joins = false;
                    continue;
                }
                let mut page = vec![0; usize::try_from(PAGE_BYTES).expect("a size")];
                // It may have been given back since.
                if memory.read_exact_at(&mut page, address).is_err() {
                    joins = false;
                    continue;
                }
                match pieces.last_mut() {
                    Some((_, _, bytes)) if joins => bytes.extend(page),
                    _ => pieces.push(((*name).to_owned(), address, page)),
                }
                joins = true;
            }
        }
        Self(pieces)
    }

    /// Every place where one of them is, with what lies around it.
    pub(crate) fn places_of(&self, secrets: &Secrets) -> Vec<String> {
        let mut places = Vec::new();
        for (name, start, bytes) in &self.0 {
            for (secret, at) in secrets.all_in(bytes) {
                let around = &bytes[at.saturating_sub(AROUND)..bytes.len().min(at + AROUND)];
                let address = start + u64::try_from(at).expect("an offset");
                let around = around.escape_ascii();
                places.push(format!("{address:x} {name}: {secret}: {around}"));
            }
        }
        places
    }
}
