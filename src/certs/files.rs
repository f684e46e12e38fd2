//! The development PKI as files in a folder: written, and read back.

use std::path::{Path, PathBuf};

use super::{CertsError, DevelopmentPki, HostPki, Identity, Root};
use crate::card::key_files::{Existing, KeyFileError, write_private_file, write_public_file};
use crate::card::master_key::{self, MasterKey};

/// Which private keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootKeys {
    /// Those of the roots too, so that more certificates can be issued.
    Keep,
    /// Not those of the roots: nobody can issue another certificate, which is the safe choice.
    Forget,
}

impl DevelopmentPki {
    /// Writes everything into `folder`, private keys in clear and readable by their owner only.
    ///
    /// # Errors
    /// When a file is there already and `existing` says so, or can't be written. In the first case
    /// nothing is written.
    pub fn write_to(
        &self,
        folder: &Path,
        root_keys: RootKeys,
        existing: Existing,
    ) -> Result<Vec<PathBuf>, CertsError> {
        self.write(folder, root_keys, existing, |path, pkcs8| {
            Ok(write_private_file(
                path,
                &master_key::private_key_pem(pkcs8),
                existing,
            )?)
        })
    }

    /// Writes everything into `folder`, private keys wrapped under the master key. The roots' keys
    /// are not kept.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write_wrapped_to(
        &self,
        folder: &Path,
        master_key: &MasterKey,
    ) -> Result<Vec<PathBuf>, CertsError> {
        let existing = Existing::Replace;
        self.write(folder, RootKeys::Forget, existing, |path, pkcs8| {
            Ok(master_key::write_wrapped(
                path, pkcs8, master_key, existing,
            )?)
        })
    }

    /// Reads back what was written into `folder`, private keys plain or wrapped.
    ///
    /// # Errors
    /// When a file is missing, can't be read, or was wrapped under another master key.
    pub fn read_from(folder: &Path, master_key: &MasterKey) -> Result<Self, CertsError> {
        let root = |name: &str| {
            read_certificate(&folder.join(format!("{name}-ca.pem"))).map(|certificate_pem| Root {
                certificate_pem,
                pkcs8: None,
            })
        };
        let identity = |name: &str| -> Result<Identity, CertsError> {
            Ok(Identity {
                certificate_pem: read_certificate(&folder.join(format!("{name}.pem")))?,
                pkcs8: master_key::read_private_key(
                    &folder.join(format!("{name}.key")),
                    master_key,
                )?,
            })
        };
        let host = |name: &'static str| -> Result<HostPki, CertsError> {
            Ok(HostPki {
                name,
                root: root(name)?,
                server: identity(name)?,
                client: identity(&format!("{name}-client"))?,
            })
        };
        Ok(Self {
            gateway_root: root("gateway")?,
            gateway: identity("gateway")?,
            merchant: identity("merchant")?,
            operators_root: root("operators")?,
            admin: identity("admin")?,
            operator: identity("operator")?,
            acquirer: host("acquirer")?,
            issuer_a: host("issuer-a")?,
            issuer_b: host("issuer-b")?,
        })
    }

    fn write(
        &self,
        folder: &Path,
        root_keys: RootKeys,
        existing: Existing,
        write_key: impl Fn(&Path, &[u8]) -> Result<(), CertsError>,
    ) -> Result<Vec<PathBuf>, CertsError> {
        std::fs::create_dir_all(folder).map_err(|source| KeyFileError::File {
            path: folder.into(),
            action: "made",
            source,
        })?;
        let files = self.files(folder, root_keys);
        if existing == Existing::Refuse
            && let Some(file) = files.iter().find(|file| file.path.exists())
        {
            let path = file.path.clone();
            return Err(KeyFileError::AlreadyThere { path }.into());
        }
        for file in &files {
            match file.contents {
                Contents::Certificate(pem) => {
                    write_public_file(&file.path, pem.as_bytes(), existing)?;
                }
                Contents::Key(pkcs8) => write_key(&file.path, pkcs8)?,
            }
        }
        Ok(files.into_iter().map(|file| file.path).collect())
    }

    fn files(&self, folder: &Path, root_keys: RootKeys) -> Vec<PkiFile<'_>> {
        let mut files = Vec::new();
        let mut add = |name: String, contents| {
            let path = folder.join(name);
            files.push(PkiFile { path, contents });
        };
        let mut roots = vec![
            ("gateway", &self.gateway_root),
            ("operators", &self.operators_root),
        ];
        let mut identities = vec![
            ("gateway".to_owned(), &self.gateway),
            ("merchant".to_owned(), &self.merchant),
            ("admin".to_owned(), &self.admin),
            ("operator".to_owned(), &self.operator),
        ];
        for host in self.hosts() {
            roots.push((host.name, &host.root));
            identities.push((host.name.to_owned(), &host.server));
            identities.push((format!("{}-client", host.name), &host.client));
        }
        for (name, root) in roots {
            add(
                format!("{name}-ca.pem"),
                Contents::Certificate(&root.certificate_pem),
            );
            if let (RootKeys::Keep, Some(pkcs8)) = (root_keys, &root.pkcs8) {
                add(format!("{name}-ca.key"), Contents::Key(pkcs8));
            }
        }
        for (name, identity) in identities {
            add(
                format!("{name}.pem"),
                Contents::Certificate(&identity.certificate_pem),
            );
            add(format!("{name}.key"), Contents::Key(&identity.pkcs8));
        }
        files
    }
}

struct PkiFile<'a> {
    path: PathBuf,
    contents: Contents<'a>,
}

enum Contents<'a> {
    Certificate(&'a str),
    Key(&'a [u8]),
}

fn read_certificate(path: &Path) -> Result<String, KeyFileError> {
    std::fs::read_to_string(path).map_err(|source| KeyFileError::File {
        path: path.into(),
        action: "read",
        source,
    })
}
