//! Needles in every way in which they could have been written, and the search for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use iso8583::hex;
use payswitch::random::{HashMap, HashSet};

pub(crate) fn ebcdic(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| byte - b'0' + 0xf0).collect()
}

/// Packed digits, from an even and from an odd place: without the half bytes at either end.
pub(crate) fn bcd(digits: &str) -> Vec<Vec<u8>> {
    let digits: Vec<u8> = digits.bytes().map(|byte| byte - b'0').collect();
    let pack = |digits: &[u8]| {
        digits
            .chunks_exact(2)
            .map(|two| two[0] << 4 | two[1])
            .collect()
    };
    vec![pack(&digits), pack(&digits[1..])]
}

/// Base64 of something in the middle of something else: at each of the three places in a group, cut
/// to what does not depend on its neighbours. Both alphabets.
fn base64(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for place in 0..3 {
        let padded = [&[0; 2][..place], bytes].concat();
        for encoded in [
            URL_SAFE_NO_PAD.encode(&padded),
            STANDARD_NO_PAD.encode(&padded),
        ] {
            let begin = (place * 8).div_ceil(6);
            let end = padded.len() * 8 / 6;
            all.push(encoded.as_bytes()[begin..end].to_vec());
        }
    }
    all
}

/// Every way in which something could have been written.
pub(crate) fn ways(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut ways = vec![
        bytes.to_vec(),
        hex::encode_lower(bytes).into_bytes(),
        hex::encode(bytes).into_bytes(),
        bytes.iter().flat_map(|byte| [*byte, 0]).collect(),
        // As Debug writes bytes.
        format!("{bytes:?}").trim_matches(['[', ']']).into(),
    ];
    ways.extend(base64(bytes));
    ways
}

pub(crate) fn ways_of_pan(pan: &str) -> Vec<Vec<u8>> {
    let mut ways = ways(pan.as_bytes());
    let grouped = |by: &str| {
        format!(
            "{}{by}{}{by}{}{by}{}",
            &pan[..4],
            &pan[4..8],
            &pan[8..12],
            &pan[12..]
        )
    };
    ways.extend([" ", "-"].map(|by| grouped(by).into_bytes()));
    let in_ebcdic = ebcdic(pan);
    ways.push(hex::encode_lower(&in_ebcdic).into_bytes());
    ways.extend(base64(&in_ebcdic));
    ways.push(in_ebcdic);
    // The packed digits of a number that is nearly all noughts are everywhere.
    if pan.bytes().filter(|digit| *digit == b'0').count() < pan.len() / 2 {
        for packed in bcd(pan) {
            ways.extend(base64(&packed));
            ways.push(packed);
        }
    }
    ways
}

/// Four digits alone are everywhere; these are how a CVV would be written down.
pub(crate) fn ways_of_cvv(cvv: &str) -> Vec<Vec<u8>> {
    let mut ways = vec![hex::encode_lower(cvv.as_bytes()).into_bytes(), ebcdic(cvv)];
    // DE 48, sub-element 92, in ASCII; then the payload of a sealed card, and Debug of a CVV.
    for written in [
        format!("9204{cvv}"),
        format!("\"cvv\":\"{cvv}\""),
        format!("Cvv(\"{cvv}\")"),
        format!("cvv={cvv}"),
        format!("cvv: \"{cvv}\""),
    ] {
        ways.extend(base64(written.as_bytes()));
        ways.push(written.into_bytes());
    }
    ways.push(ebcdic(&format!("9204{cvv}")));
    ways
}

/// The same digits as a word of their own.
pub(crate) fn stands_alone(haystack: &[u8], digits: &[u8]) -> bool {
    let is_part = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._-+:".contains(byte))
    };
    let mut from = 0;
    while let Some(at) = find(&haystack[from..], digits) {
        let at = from + at;
        let before = at.checked_sub(1).and_then(|before| haystack.get(before));
        if !is_part(before) && !is_part(haystack.get(at + digits.len())) {
            return true;
        }
        from = at + 1;
    }
    false
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let last_start = haystack.len().checked_sub(needle.len())?;
    let mut from = 0;
    while from <= last_start {
        from += haystack[from..=last_start]
            .iter()
            .position(|byte| *byte == first)?;
        if haystack[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
    None
}

/// Everything under a folder, and the files beside it.
pub(crate) fn contents(folder: &Path, more: &[PathBuf]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(&path).expect("a file"));
            }
        }
    }
    for path in more {
        found.insert(path.clone(), std::fs::read(path).expect("a file"));
    }
    found
}

/// How a needle begins. None is shorter.
type Start = [u8; 4];

/// What is searched for, and what to call it when it is found: never the secret itself.
#[derive(Default)]
pub(crate) struct Secrets {
    /// A needle, whose it is, and which of its ways it is.
    needles: HashMap<Start, Vec<(Vec<u8>, String)>>,
    /// Whether any needle begins with these two bytes: most places in a file are passed by this.
    beginnings: HashSet<[u8; 2]>,
}

impl Secrets {
    pub(crate) fn add(&mut self, name: &str, ways: Vec<Vec<u8>>) {
        for (number, needle) in ways.into_iter().enumerate() {
            let start = *needle.first_chunk().expect("a needle of four bytes");
            self.beginnings.insert([needle[0], needle[1]]);
            let named = (needle, format!("{name}, written in way {number}"));
            self.needles.entry(start).or_default().push(named);
        }
    }

    /// What is found first, and where.
    pub(crate) fn first_in(&self, haystack: &[u8]) -> Option<(&str, usize)> {
        self.all_in(haystack).next()
    }

    /// Everything that is found, and where; of a place the first name.
    pub(crate) fn all_in(&self, haystack: &[u8]) -> impl Iterator<Item = (&str, usize)> {
        // A table for the common case; the set only says how to fill it.
        let mut begins = vec![false; 1 << 16];
        for two in &self.beginnings {
            begins[usize::from(u16::from_be_bytes(*two))] = true;
        }
        haystack
            .windows(4)
            .enumerate()
            .filter_map(move |(at, window)| {
                if !begins[usize::from(window[0]) << 8 | usize::from(window[1])] {
                    return None;
                }
                let named = self.needles.get(window)?;
                let (_, name) = named
                    .iter()
                    .find(|(needle, _)| haystack[at..].starts_with(needle))?;
                Some((name.as_str(), at))
            })
    }

    pub(crate) fn assert_absent(&self, contents: &BTreeMap<PathBuf, Vec<u8>>) {
        for (path, haystack) in contents {
            assert_eq!(self.first_in(haystack), None, "in {}", path.display());
        }
    }
}
