//! What is read again while the gateway runs: the TLS of the doors, how each host is reached, and the sealing keys.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::parts::DoorFiles;
use crate::card::envelope::Opener;
use crate::card::master_key::MasterKey;
use crate::clock::Clock;
use crate::config::Config;
use crate::grpc::tls::CurrentTls;
use crate::hosts::Hosts;
use crate::hosts::profile::load;
use crate::payment::moment::UnixMillis;
use crate::reloading::{Fingerprint, NewPart, Part, PartError};
use crate::x509::Ends;

/// What the parts need.
pub(super) struct Sources {
    pub(super) master_key: Arc<MasterKey>,
    pub(super) merchant_api: CurrentTls,
    pub(super) admin_api: Option<CurrentTls>,
    pub(super) hosts: Arc<Hosts>,
    pub(super) opener: Arc<Opener>,
    pub(super) clock: Arc<dyn Clock>,
}

/// The parts, in the order in which they are read.
pub(super) fn parts(config: &Config, sources: &Sources) -> Vec<Box<dyn Part>> {
    let door = |name, files, tls: &CurrentTls| DoorPart {
        name,
        files,
        tls: tls.clone(),
        master_key: Arc::clone(&sources.master_key),
        clock: Arc::clone(&sources.clock),
    };
    let files = DoorFiles::of_merchant_api(&config.merchant_api);
    let merchant_api = door(MERCHANT_API, files, &sources.merchant_api);
    let mut parts: Vec<Box<dyn Part>> = vec![Box::new(merchant_api)];
    if let (Some(config), Some(tls)) = (&config.admin_api, &sources.admin_api) {
        let files = DoorFiles::of_admin_api(config);
        parts.push(Box::new(door(ADMIN_API, files, tls)));
    }
    let folder = &config.hosts.profiles;
    for host_id in sources.hosts.ids() {
        parts.push(Box::new(HostPart {
            name: format!("host {host_id}"),
            profile: folder.join(format!("{host_id}.toml")),
            hosts: Arc::clone(&sources.hosts),
            clock: Arc::clone(&sources.clock),
        }));
    }
    parts.push(Box::new(ProfilesPart {
        folder: folder.clone(),
        hosts: Arc::clone(&sources.hosts),
    }));
    let folder = config.card.sealing_keys.clone();
    parts.push(Box::new(KeysPart {
        used: Arc::new(Mutex::new(fingerprint_of(&folder).ok())),
        folder,
        opener: Arc::clone(&sources.opener),
    }));
    parts
}

/// How the doors are named, here and among the figures.
const MERCHANT_API: &str = "merchant_api";
const ADMIN_API: &str = "admin_api";

/// When what is in use ends, of the doors and of the hosts.
pub(super) fn ends(sources: &Sources) -> Vec<Ends> {
    let admin_api = sources.admin_api.as_ref();
    let doors = [
        (MERCHANT_API, Some(&sources.merchant_api)),
        (ADMIN_API, admin_api),
    ];
    let doors = doors.into_iter().filter_map(|(name, tls)| {
        let tls = tls?.now();
        Some(Ends {
            of: name.to_owned(),
            certificate: tls.validity().map(|validity| validity.until),
            revocation_lists: tls.crl_next_update(),
        })
    });
    doors.chain(sources.hosts.ends()).collect()
}

/// Says at the start what has ended already.
pub(super) fn warn_of_ends(ends: &[Ends], now: UnixMillis) {
    for Ends {
        of,
        certificate,
        revocation_lists,
    } in ends
    {
        if let Some(end) = certificate.filter(|end| has_passed(*end, now)) {
            let end = moment(end).to_second();
            tracing::warn!(of, end, "A certificate has ended");
        }
        if let Some(warning) = list_warning(*revocation_lists, now) {
            tracing::warn!(
                of,
                warning,
                "A revocation list needs somebody to look at it"
            );
        }
    }
}

/// The TLS of a door.
struct DoorPart {
    name: &'static str,
    files: DoorFiles,
    tls: CurrentTls,
    master_key: Arc<MasterKey>,
    clock: Arc<dyn Clock>,
}

impl Part for DoorPart {
    fn name(&self) -> &str {
        self.name
    }

    fn read(&self) -> Result<Option<NewPart>, PartError> {
        let new = self.files.tls_again(&self.master_key, &self.tls.now())?;
        let Some(new) = new else {
            return Ok(None);
        };
        // One that is in use is not made better by leaving out what else is new.
        let of_another = new
            .validity()
            .filter(|validity| self.tls.now().validity() != Some(*validity));
        if let Some(validity) = of_another {
            let file = self.files.certificate().display();
            let checked = validity.check(self.clock.unix_time());
            checked.map_err(|error| format!("`{file}`: {error}"))?;
        }
        let tls = self.tls.clone();
        Ok(Some(NewPart {
            fingerprint: new.fingerprint(),
            warning: list_warning(new.crl_next_update(), self.clock.now()),
            put: Box::new(move || tls.replace(new)),
        }))
    }
}

/// How a host is reached.
struct HostPart {
    name: String,
    profile: PathBuf,
    hosts: Arc<Hosts>,
    clock: Arc<dyn Clock>,
}

impl Part for HostPart {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self) -> Result<Option<NewPart>, PartError> {
        let profile = load::read(&self.profile, Path::new("."))?;
        let renewal = self.hosts.read_again(&profile, self.clock.unix_time())?;
        let hosts = Arc::clone(&self.hosts);
        Ok(renewal.map(|renewal| NewPart {
            fingerprint: renewal.fingerprint(),
            warning: list_warning(renewal.crl_next_update(), self.clock.now()),
            put: Box::new(move || hosts.renew(renewal)),
        }))
    }
}

/// Which hosts there are, which a restart alone can change. That a profile is gone is said of its host.
struct ProfilesPart {
    folder: PathBuf,
    hosts: Arc<Hosts>,
}

impl Part for ProfilesPart {
    fn name(&self) -> &str {
        "hosts"
    }

    fn read(&self) -> Result<Option<NewPart>, PartError> {
        let started: BTreeSet<String> = self.hosts.ids().map(|host| host.to_string()).collect();
        for file in load::files(&self.folder)? {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            if !started.contains(&*name) {
                let file = file.display();
                let refused = format!("`{file}` is new: a host is added by a restart");
                return Err(refused.into());
            }
        }
        Ok(None)
    }
}

/// The sealing keys, which have a look at their folder of their own.
struct KeysPart {
    folder: PathBuf,
    opener: Arc<Opener>,
    /// What the folder held when it was read here last.
    used: Arc<Mutex<Option<Fingerprint>>>,
}

impl Part for KeysPart {
    fn name(&self) -> &str {
        "sealing_keys"
    }

    fn is_watched_elsewhere(&self) -> bool {
        true
    }

    fn read(&self) -> Result<Option<NewPart>, PartError> {
        let fingerprint = fingerprint_of(&self.folder)?;
        self.opener.reload_keys()?;
        let used = Arc::clone(&self.used);
        let before = *used.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((before != Some(fingerprint)).then(|| NewPart {
            fingerprint,
            warning: None,
            put: Box::new(move || {
                *used.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint);
            }),
        }))
    }
}

/// That of the files of a folder and of the folders in it, with their names.
fn fingerprint_of(folder: &Path) -> io::Result<Fingerprint> {
    let mut files = files_in(folder)?;
    let folders: Vec<_> = files.iter().filter(|path| path.is_dir()).cloned().collect();
    for folder in folders {
        files.extend(files_in(&folder)?);
    }
    files.sort();
    let mut texts: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    for file in files.into_iter().filter(|file| file.is_file()) {
        texts.push(file.as_os_str().as_encoded_bytes().to_vec().into());
        texts.push(std::fs::read(&file)?.into());
    }
    let texts: Vec<_> = texts.iter().map(|text| Some(text.as_slice())).collect();
    Ok(Fingerprint::of(&texts))
}

fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn list_warning(next_update: Option<u64>, now: UnixMillis) -> Option<String> {
    let due = next_update.filter(|due| has_passed(*due, now))?;
    let due = moment(due).to_second();
    Some(format!(
        "a revocation list should have been replaced by a newer one by {due}; it is used all the same"
    ))
}

fn has_passed(second: u64, now: UnixMillis) -> bool {
    moment(second) < now
}

fn moment(second: u64) -> UnixMillis {
    UnixMillis::new(i64::try_from(second.saturating_mul(1000)).unwrap_or(i64::MAX))
}
