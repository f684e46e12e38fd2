//! The configuration: it loads, what it names as accounts can be used, and secrets in it are nobody else's.

use std::path::Path;

use super::finding::Findings;
use crate::app::parts::{paying_account, statement_accounts};
use crate::card::key_files::mode_readable_by_others;
use crate::config::Config;
use crate::config::environment::Environment;
use crate::hosts::profile::HostProfile;
use crate::telemetry::with_causes;

const CHECK: &str = "configuration";

/// Reads the configuration.
pub fn check_configuration(file: Option<&Path>, findings: &mut Findings) -> Option<Config> {
    let place = file.map_or("the defaults and the environment".into(), |file| {
        file.display().to_string()
    });
    match Config::load(file) {
        Ok(config) => {
            let environment = match config.environment {
                Environment::Test => "test",
                Environment::Live => "live",
            };
            findings.ok(CHECK, format!("{place}: environment {environment:?}"));
            Some(config)
        }
        Err(error) => {
            findings.failed(
                CHECK,
                with_causes(&error),
                "change what is named; docs/operations.md (Configuration) lists every key and its default",
            );
            None
        }
    }
}

/// A file with a password in it is nobody else's.
pub fn check_secrets_in_it(file: Option<&Path>, config: &Config, findings: &mut Findings) {
    let (Some(file), true) = (file, has_password(&config.store.url)) else {
        return;
    };
    let in_file = std::fs::read_to_string(file).is_ok_and(|text| text.contains(&config.store.url));
    if let Some(mode) = mode_readable_by_others(file).filter(|mode| in_file && mode & 0o007 != 0) {
        findings.warning(
            "configuration file",
            format!(
                "{} holds the database's password and has mode {mode:04o}",
                file.display()
            ),
            format!("chmod 0640 {}", file.display()),
        );
    }
}

fn has_password(url: &str) -> bool {
    crate::config::store::shown_url(url) != url
}

/// The accounts that payouts are paid from and whose statements are taken in.
pub fn check_accounts(config: &Config, profiles: &[HostProfile], findings: &mut Findings) {
    let paying = paying_account(config);
    let statements = statement_accounts(config, profiles);
    match (paying, statements) {
        (Ok(paying), Ok(statements)) => {
            let paying = if paying.is_some() { "one" } else { "none" };
            findings.ok(
                "bank accounts",
                format!(
                    "to pay merchants from: {paying}; with statements: {}",
                    statements.len()
                ),
            );
        }
        (Err(error), _) | (_, Err(error)) => findings.failed(
            "bank accounts",
            with_causes(&error),
            "change it in [settlement.payouts] or [reconciliation.accounts.NAME]",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Standing;
    use crate::commands::doctor::finding::testing::only;
    use crate::config::settlement::PayoutsConfig;

    fn file(name: &str, text: &str) -> std::path::PathBuf {
        let path =
            std::env::temp_dir().join(format!("payswitch-doctor-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_configuration_that_does_not_load_is_named() {
        for (name, text, said) in [
            ("unknown", "[store]\nurll = \"x\"\n", "urll"),
            ("range", "[card]\nlate_days = 0\n", "card.late_days"),
        ] {
            let path = file(name, text);
            let mut findings = Findings::default();
            assert!(check_configuration(Some(&path), &mut findings).is_none());
            let finding = only(&findings, Standing::Failed);
            assert!(finding.found.contains(said), "{finding:?}");
            std::fs::remove_file(&path).unwrap();
        }
        let mut findings = Findings::default();
        check_configuration(Some(Path::new("/nowhere/pay.toml")), &mut findings);
        assert!(
            only(&findings, Standing::Failed)
                .found
                .contains("/nowhere/pay.toml")
        );
    }

    #[test]
    fn a_password_in_a_file_that_everybody_reads_is_a_warning() {
        use std::os::unix::fs::PermissionsExt;
        let url = "postgres://pay:secret@db/pay";
        let path = file("password", &format!("[store]\nurl = \"{url}\"\n"));
        let config = Config::load(Some(&path)).unwrap();
        for (mode, standing) in [(0o644, Some(Standing::Warning)), (0o640, None)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let mut findings = Findings::default();
            check_secrets_in_it(Some(&path), &config, &mut findings);
            assert_eq!(
                findings.iter().next().map(|it| it.standing),
                standing,
                "{mode:o}"
            );
            assert!(findings.iter().all(|it| !it.found.contains("secret")));
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_account_that_can_t_be_used_is_named() {
        let mut config = Config::default();
        let mut findings = Findings::default();
        check_accounts(&config, &[], &mut findings);
        only(&findings, Standing::Ok);
        config.settlement.payouts = Some(PayoutsConfig {
            name: "Acquirer Ltd".into(),
            iban: "DE00".into(),
            ..PayoutsConfig::default()
        });
        let mut findings = Findings::default();
        check_accounts(&config, &[], &mut findings);
        assert!(only(&findings, Standing::Failed).found.contains("iban"));
    }
}
