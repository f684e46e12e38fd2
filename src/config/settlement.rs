//! Files for banks, and from them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The settings of the end of the bank's day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettlementConfig {
    /// Where files for banks are written, and reports lie while they are taken in. When it is not set, `settlement`
    /// beside the SQLite file, or in the working directory.
    pub folder: Option<PathBuf>,
}

impl SettlementConfig {
    /// The folder, beside the store with this URL where none is set.
    #[must_use]
    pub fn folder_beside(&self, store_url: &str) -> PathBuf {
        const NAME: &str = "settlement";
        if let Some(folder) = &self.folder {
            return folder.clone();
        }
        let path = store_url.strip_prefix("sqlite://").unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let parent = Path::new(path).parent();
        parent.map_or_else(|| NAME.into(), |parent| parent.join(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_beside_the_database() {
        let config = SettlementConfig::default();
        for (url, expected) in [
            ("sqlite://data/pay.db?mode=rw", "data/settlement"),
            ("sqlite:///var/pay.db", "/var/settlement"),
            ("sqlite://pay.db", "settlement"),
            ("postgres://me@db/pay", "settlement"),
        ] {
            assert_eq!(config.folder_beside(url), PathBuf::from(expected), "{url}");
        }
        let config = SettlementConfig {
            folder: Some("files".into()),
        };
        assert_eq!(
            config.folder_beside("sqlite://a/b.db"),
            PathBuf::from("files")
        );
    }
}
