//! Loads host profiles from TOML files.

use std::path::{Path, PathBuf};

use super::HostProfile;
use super::checks::checked;
use super::file::ProfileFile;
use super::reading::{ProfileError, Reading};

/// The most profiles in a folder.
pub const MAX_PROFILES: usize = 256;

/// Reads every `NAME.toml` of `dir`, in the order of their names.
///
/// # Errors
/// The first fault of the first file that has one.
pub fn load(dir: &Path, base: &Path) -> Result<Vec<HostProfile>, ProfileError> {
    let files = files(dir)?;
    files.iter().map(|file| read(file, base)).collect()
}

/// The files of a folder that are profiles, in the order of their names.
///
/// # Errors
/// When the folder can't be read, or has none or too many of them.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, ProfileError> {
    let unread = |source| unreadable(dir, source);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() || files.len() > MAX_PROFILES {
        return Err(ProfileError::Value {
            file: dir.to_owned(),
            key: "*.toml".into(),
            expected: format!("1 to {MAX_PROFILES} host profiles"),
            got: files.len().to_string(),
        });
    }
    Ok(files)
}

/// Reads the profile in a file; relative paths in it count from `base`.
///
/// # Errors
/// When the file can't be read, or its first fault.
pub fn read(file: &Path, base: &Path) -> Result<HostProfile, ProfileError> {
    let text = std::fs::read_to_string(file).map_err(|source| unreadable(file, source))?;
    parse(&text, file, base)
}

fn unreadable(path: &Path, source: std::io::Error) -> ProfileError {
    let path = path.to_owned();
    ProfileError::Read { path, source }
}

/// Reads one profile. Its name is that of `file`; relative paths in it count from `base`.
///
/// # Errors
/// The first fault of the file.
pub fn parse(text: &str, file: &Path, base: &Path) -> Result<HostProfile, ProfileError> {
    let reading = Reading { file, base };
    let raw: ProfileFile = toml::from_str(text).map_err(|source| reading.toml(source))?;
    let keys = toml::from_str(text).map_err(|source| reading.toml(source))?;
    let profile = checked(&reading, raw, keys)?;
    profile
        .check_messages()
        .map_err(|(kind, source)| ProfileError::Message {
            file: file.to_owned(),
            message: kind.name().to_lowercase(),
            source: Box::new(source),
        })?;
    Ok(profile)
}

#[cfg(test)]
mod tests;
