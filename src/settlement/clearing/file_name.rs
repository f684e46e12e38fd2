//! Which file it is, and what it is called.

use std::fmt::Write as _;

use crate::payment::ids::HostId;
use crate::payment::moment::BusinessDate;
use crate::settlement::format_error::{FormatError, Reading};

/// The longest template.
const MOST_CHARACTERS: usize = 120;

/// Which file of a host and a date it is: 1 to 99, counted by whoever writes the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cycle(u8);

impl Cycle {
    /// The `number`-th file of the date; none but for 1 to 99.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (1..=99).contains(&number).then_some(Self(number))
    }

    /// 1 to 99.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Which file it is. The same header and the same items make the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// The host it is for.
    pub host_id: HostId,
    /// The date under which its items are settled. A file of the kind `nps` has it for the date on which it was made.
    pub business_date: BusinessDate,
    /// Which file of that date.
    pub cycle: Cycle,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Host,
    Date,
    CompactDate,
    Cycle,
}

/// The names of a host's files: literal text, and what differs from file to file in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(Vec<Part>);

impl FileName {
    /// Reads a template such as `{host}-{date}-{cycle}.csv`.
    pub(super) fn read(reading: Reading, text: &str) -> Result<Self, FormatError> {
        let fault = |expected: &str| reading.fault("name", expected, format!("{text:?}"));
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_.{}".contains(it);
        if text.len() > MOST_CHARACTERS || text.starts_with('.') || !text.chars().all(is_plain) {
            return Err(fault(
                "at most 120 ASCII letters, digits, '-', '_' and '.', none of which begins it, and parts in braces",
            ));
        }
        let mut parts = Vec::new();
        for piece in text.split_inclusive('}') {
            let (literal, name) = match piece.split_once('{') {
                Some((literal, name)) => (literal, Some(name)),
                None => (piece, None),
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            match name {
                Some("host}") => parts.push(Part::Host),
                Some("date}") => parts.push(Part::Date),
                Some("yyyymmdd}") => parts.push(Part::CompactDate),
                Some("cycle}") => parts.push(Part::Cycle),
                None if !literal.contains('}') => {}
                _ => {
                    return Err(fault(
                        "in braces one of {host}, {date}, {yyyymmdd} and {cycle}",
                    ));
                }
            }
        }
        let has_date = parts.contains(&Part::Date) || parts.contains(&Part::CompactDate);
        if !has_date || !parts.contains(&Part::Cycle) {
            return Err(fault(
                "{date} or {yyyymmdd}, and {cycle}, so that no two files have one name",
            ));
        }
        Ok(Self(parts))
    }

    /// The name of a file.
    #[must_use]
    pub fn of(&self, header: &FileHeader) -> String {
        let mut name = String::new();
        for part in &self.0 {
            // Writing to a text does not fail.
            let _ = match part {
                Part::Literal(text) => name.write_str(text),
                Part::Host => write!(name, "{}", header.host_id),
                Part::Date => write!(name, "{}", header.business_date),
                Part::CompactDate => write!(name, "{}", compact(header.business_date)),
                Part::Cycle => write!(name, "{}", header.cycle.get()),
            };
        }
        name
    }
}

/// A date as `20261129`.
pub(super) fn compact(date: BusinessDate) -> impl std::fmt::Display {
    let (year, month, day) = date.date().to_calendar_date();
    std::fmt::from_fn(move |f| write!(f, "{year:04}{:02}{day:02}", u8::from(month)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FileName, FormatError> {
        FileName::read(Reading("settlement.clearing_file"), text)
    }

    #[test]
    fn a_name_is_filled_in() {
        let header = FileHeader {
            host_id: "acquirer".parse().unwrap(),
            business_date: "2026-11-29".parse().unwrap(),
            cycle: Cycle::new(3).unwrap(),
        };
        for (template, expected) in [
            ("{host}-{date}-{cycle}.csv", "acquirer-2026-11-29-3.csv"),
            (
                "NCHLRAWDATABankA{yyyymmdd}.C{cycle}.csv",
                "NCHLRAWDATABankA20261129.C3.csv",
            ),
            ("{date}{cycle}", "2026-11-293"),
        ] {
            assert_eq!(read(template).unwrap().of(&header), expected);
        }
    }

    #[test]
    fn other_templates_are_refused() {
        let long = format!("{{date}}{{cycle}}{}", "x".repeat(110));
        for (template, expected) in [
            ("", "so that no two files"),
            ("{host}-{date}.csv", "so that no two files"),
            ("{host}-{cycle}.csv", "so that no two files"),
            ("{date}-{cycle}-{merchant}", "one of {host}, {date}"),
            ("{date}-{cycle", "one of {host}, {date}"),
            ("date}-{cycle}", "one of {host}, {date}"),
            ("{date}-{{cycle}}", "one of {host}, {date}"),
            ("../{date}-{cycle}", "at most 120"),
            ("a/{date}-{cycle}", "at most 120"),
            (".{date}-{cycle}", "at most 120"),
            ("{date} {cycle}", "at most 120"),
            (&long, "at most 120"),
        ] {
            let error = read(template).unwrap_err().to_string();
            assert!(error.starts_with("settlement.clearing_file.name: expected"));
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_date_has_99_files() {
        assert_eq!(Cycle::new(0), None);
        assert_eq!(Cycle::new(99).map(Cycle::get), Some(99));
        assert_eq!(Cycle::new(100), None);
    }
}
