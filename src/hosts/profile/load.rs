//! Loads host profiles from TOML files.

use std::path::Path;

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
    let unread = |path: &Path| {
        let path = path.to_owned();
        move |source| ProfileError::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unread(dir))? {
        let path = entry.map_err(unread(dir))?.path();
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
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).map_err(unread(file))?;
            parse(&text, file, base)
        })
        .collect()
}

/// Reads one profile. Its name is that of `file`; relative paths in it count from `base`.
///
/// # Errors
/// The first fault of the file.
pub fn parse(text: &str, file: &Path, base: &Path) -> Result<HostProfile, ProfileError> {
    let reading = Reading { file, base };
    let raw: ProfileFile = toml::from_str(text).map_err(|source| reading.toml(source))?;
    let profile = checked(&reading, raw)?;
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
