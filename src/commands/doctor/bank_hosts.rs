//! The bank hosts: profiles, the formats of their files, certificates and keys, and, where that is asked for, a
//! connection to each.

use std::sync::Arc;

use futures_util::future::join_all;

use super::certificates::{Use, check_file};
use super::finding::Findings;
use super::keys::check_private_key_file;
use crate::app::parts::host_files;
use crate::config::hosts::HostsConfig;
use crate::hosts::Hosts;
use crate::hosts::line::tls::KeyLoader;
use crate::hosts::profile::{HostProfile, PemSource};
use crate::net::Net;
use crate::payment::moment::UnixMillis;
use crate::telemetry::with_causes;

/// Reads the profiles, and the formats in them.
pub fn check_profiles(config: &HostsConfig, findings: &mut Findings) -> Option<Vec<HostProfile>> {
    const CHECK: &str = "host profiles";
    let loaded = Hosts::load_profiles(&config.profiles, std::path::Path::new("."));
    let profiles = match loaded {
        Ok(profiles) => profiles,
        Err(error) => {
            findings.failed(
                CHECK,
                with_causes(&error),
                "change the file and key that are named; docs/profiles.md has every key",
            );
            return None;
        }
    };
    if let Err(error) = host_files(&profiles) {
        findings.failed(
            CHECK,
            with_causes(&error),
            "change the key that is named; docs/settlement.md has the formats of files",
        );
        return None;
    }
    let names: Vec<_> = profiles.iter().map(|it| it.host_id.as_str()).collect();
    let found = format!("{}: {}", config.profiles.display(), names.join(", "));
    if profiles.iter().any(|profile| profile.required) {
        findings.ok(CHECK, found);
    } else {
        findings.warning(
            CHECK,
            format!("{found}; none of them is required"),
            "set required = true in the profile of a bank without which the gateway is not ready",
        );
    }
    check_zones(&profiles, findings);
    Some(profiles)
}

/// The table of time zones comes with the program, so that a profile whose zone is missing does not load.
fn check_zones(profiles: &[HostProfile], findings: &mut Findings) {
    let zones = profiles.iter().filter_map(|it| it.time_zone.as_ref());
    let mut names: Vec<_> = zones.filter_map(|zone| zone.iana_name()).collect();
    names.sort_unstable();
    names.dedup();
    let used = if names.is_empty() {
        "each merchant's own".to_owned()
    } else {
        names.join(", ")
    };
    findings.ok(
        "time zones",
        format!("the program's own table; of the hosts: {used}"),
    );
}

/// The certificates and the key that are for one host. Gives whether it can be connected to with them.
pub fn check_host(
    profile: &HostProfile,
    key_loader: &Arc<KeyLoader>,
    now: UnixMillis,
    findings: &mut Findings,
) -> bool {
    let check = format!("host {}", profile.host_id);
    if let Err(error) = Hosts::check_profile(profile, Some(&**key_loader)) {
        findings.failed(
            &check,
            with_causes(&error),
            format!(
                "change it in the section [tls] of {}.toml, or put the file there",
                profile.host_id
            ),
        );
        return false;
    }
    if let PemSource::File(path) = &profile.tls.client_certificate {
        check_file(
            &format!("{check}: our certificate"),
            path,
            Use::Client,
            now,
            findings,
        );
    }
    if let PemSource::File(path) = &profile.tls.client_key {
        check_private_key_file(&check, path, findings);
    }
    if let PemSource::File(path) = &profile.tls.ca {
        check_file(
            &format!("{check}: its root"),
            path,
            Use::Root,
            now,
            findings,
        );
    }
    true
}

/// Connects to each host, to all at the same time, and sends nothing.
pub async fn connect_to_all(
    profiles: &[&HostProfile],
    key_loader: &Arc<KeyLoader>,
    net: &Net,
    findings: &mut Findings,
) {
    let tries = profiles.iter().map(|&profile| async move {
        let tried = Hosts::try_connection(profile, Some(&**key_loader), net).await;
        (profile, tried)
    });
    for (profile, tried) in join_all(tries).await {
        let check = format!("host {}: connection", profile.host_id);
        let address = &profile.address;
        match tried {
            Ok(version) => findings.ok(
                check,
                format!("{address}: {version} as {}, our certificate is taken", profile.tls.server_name),
            ),
            Err(error) => findings.failed(
                check,
                format!("{address}: {}", with_causes(&error)),
                format!(
                    "ask the bank whether {address} takes connections from this machine with our certificate, and whether \
                     its certificate is for {}; see address and [tls] in {}.toml",
                    profile.tls.server_name, profile.host_id
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::commands::doctor::finding::Standing;
    use crate::commands::doctor::finding::testing::only;

    fn folder(name: &str, profile: &str) -> HostsConfig {
        let name = format!("payswitch-doctor-hosts-{}-{name}", std::process::id());
        let profiles: PathBuf = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&profiles).unwrap();
        std::fs::write(profiles.join("acquirer.toml"), profile).unwrap();
        HostsConfig { profiles }
    }

    const PROFILE: &str = include_str!("../../../hosts/acquirer.toml");

    #[test]
    fn profiles_load_or_say_which_key_does_not() {
        for (name, profile, said) in [
            ("typo", PROFILE.replace("lines =", "linse ="), "linse"),
            ("none", String::new(), "acquirer.toml"),
        ] {
            let config = folder(name, &profile);
            let mut findings = Findings::default();
            assert!(check_profiles(&config, &mut findings).is_none(), "{name}");
            let finding = only(&findings, Standing::Failed);
            assert!(finding.found.contains(said), "{finding:?}");
            std::fs::remove_dir_all(&config.profiles).unwrap();
        }
        let config = folder(
            "optional",
            &PROFILE.replace("required = true", "required = false"),
        );
        let mut findings = Findings::default();
        assert_eq!(check_profiles(&config, &mut findings).unwrap().len(), 1);
        assert_eq!(findings.worst(), Standing::Warning);
        std::fs::remove_dir_all(&config.profiles).unwrap();
    }

    #[test]
    fn a_host_without_its_files_is_named() {
        let config = folder("files", &PROFILE.replace("certs/dev/", "/nowhere/"));
        let profiles = check_profiles(&config, &mut Findings::default()).unwrap();
        let loader: Arc<KeyLoader> = Arc::new(|_| Err(std::io::Error::other("not asked for")));
        let mut findings = Findings::default();
        assert!(!check_host(
            &profiles[0],
            &loader,
            UnixMillis::new(0),
            &mut findings
        ));
        let finding = only(&findings, Standing::Failed);
        assert!(finding.found.contains("/nowhere/"), "{finding:?}");
        assert!(finding.advice.contains("acquirer.toml"), "{finding:?}");
        std::fs::remove_dir_all(&config.profiles).unwrap();
    }
}
