//! The format of a host's clearing files, as its profile has it.

use serde::{Deserialize, Deserializer};

use super::csv_layout::CsvLayout;
use super::file_name::{FileHeader, FileName};
use super::nps_layout::NpsLayout;
use crate::settlement::format_error::{FormatError, Reading};

const READING: Reading = Reading("settlement.clearing_file");

/// What a host's clearing files look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearingFormat {
    /// Their names.
    pub name: FileName,
    /// What they claim.
    pub claims: Claims,
    /// How that is written.
    pub layout: Layout,
}

/// What a bank's files claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claims {
    /// What no message has told the bank.
    Untold,
    /// Everything that is settled with it.
    All,
}

impl Claims {
    /// The words of a profile.
    const WORDS: [(&'static str, Self); 2] = [("untold", Self::Untold), ("all", Self::All)];
}

/// The kinds of clearing files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Columns with names.
    Csv(CsvLayout),
    /// The records of a national card switch.
    Nps(NpsLayout),
}

#[derive(Clone, Copy)]
enum LayoutKind {
    Csv,
    Nps,
}

const KINDS: [(&str, LayoutKind); 2] = [("csv", LayoutKind::Csv), ("nps", LayoutKind::Nps)];

impl ClearingFormat {
    /// Reads the table `[settlement.clearing_file]` of a profile.
    ///
    /// # Errors
    /// The first fault that it has, with its key, what was expected and what came.
    pub fn from_table(mut table: toml::Table) -> Result<Self, FormatError> {
        let kind = take_text(&mut table, "format")?;
        let name = take_text(&mut table, "name")?;
        let name = FileName::read(READING, &name)?;
        let claims = match table.contains_key("claims") {
            true => READING.word("claims", &take_text(&mut table, "claims")?, &Claims::WORDS)?,
            false => Claims::Untold,
        };
        let layout = match READING.word("format", &kind, &KINDS)? {
            LayoutKind::Csv => Layout::Csv(CsvLayout::read(READING, table)?),
            LayoutKind::Nps => Layout::Nps(NpsLayout::read(READING, table)?),
        };
        Ok(Self {
            name,
            claims,
            layout,
        })
    }

    /// The number under which a bank that answers to its files knows the member; none where it does not answer.
    #[must_use]
    pub fn answered_member(&self) -> Option<&str> {
        match &self.layout {
            Layout::Csv(_) => None,
            Layout::Nps(layout) => Some(&layout.member_id),
        }
    }

    /// The name of a file.
    #[must_use]
    pub fn file_name(&self, header: &FileHeader) -> String {
        self.name.of(header)
    }
}

/// As [`ClearingFormat::from_table`] does.
impl<'de> Deserialize<'de> for ClearingFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        Self::from_table(table).map_err(serde::de::Error::custom)
    }
}

/// A text that both kinds have.
fn take_text(table: &mut toml::Table, key: &str) -> Result<String, FormatError> {
    let got = match table.remove(key) {
        Some(toml::Value::String(text)) => return Ok(text),
        Some(other) => format!("a value of type {}", other.type_str()),
        None => "none".to_owned(),
    };
    Err(READING.fault(key, "a text", got))
}

#[cfg(test)]
mod tests;
