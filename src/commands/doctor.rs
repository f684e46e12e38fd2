//! `payswitch doctor`: checks configuration and installation, changes nothing, and says what to do.
//!
//! - [`finding`]: what a check found. [`settings`], [`keys`], [`certificates`], [`bank_hosts`], [`database`], [`doors`],
//!   [`folders`], [`machine`]: the checks. They load everything with the functions that `serve` loads it with.

pub mod bank_hosts;
pub mod certificates;
pub mod database;
pub mod doors;
pub mod finding;
pub mod folders;
pub mod keys;
pub mod machine;
pub mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use comfy_table::ContentArrangement;
use serde_json::{Value, json};

use self::finding::{Findings, Standing};
use super::error::{CommandError, FAILED};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::app::descriptors;
use crate::app::parts::{DoorFiles, host_key_loader};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::net::Net;
use crate::telemetry::{self, LogFormat};

/// What `payswitch doctor` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch doctor --config pay.toml\n  \
    payswitch doctor --config pay.toml --banks     connect to each bank, too\n  \
    runuser -u payswitch -- payswitch doctor --config /etc/payswitch/payswitch.toml\n\n\
    It changes nothing: it makes no key and no file, and migrates no database. Run it as the user of the service and in\n\
    its folder, while the gateway runs or not. It connects to banks only with --banks: TCP and TLS with our certificate,\n\
    no message, closed in order. A bank that takes one connection only may close the running gateway's for it.\n\n\
    Exit codes: 0 nothing failed (there may be warnings), 1 something failed, 2 wrong usage.")]
pub struct DoctorArgs {
    /// The configuration file; without it, the defaults and the environment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Connect to each bank host as a line does, without a message.
    #[arg(long)]
    banks: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Checks everything, and prints what was found.
///
/// # Errors
/// When standard output can't be written.
pub fn run(arguments: &DoctorArgs) -> Result<ExitCode, CommandError> {
    // What a check found is in its line; the log of what it read on the way is not wanted.
    let wanted = std::env::var_os("RUST_LOG");
    let log = wanted.map(|_| telemetry::start(LogFormat::Text, None));
    let _log = log.transpose()?;
    let findings = runtime()?.block_on(examine(arguments));
    if arguments.json {
        print_line!("{:#}", as_json(&findings, arguments.banks))?;
    } else {
        show(&findings, arguments.banks)?;
    }
    Ok(match findings.worst() {
        Standing::Failed => ExitCode::from(FAILED),
        Standing::Ok | Standing::Warning => ExitCode::SUCCESS,
    })
}

async fn examine(arguments: &DoctorArgs) -> Findings {
    let mut findings = Findings::default();
    machine::check_user(&mut findings);
    machine::check_core_dumps(&mut findings);
    machine::check_clock(&mut findings);
    if let Some(config) = settings::check_configuration(arguments.config.as_deref(), &mut findings)
    {
        examine_installation(&config, arguments, &mut findings).await;
    }
    findings
}

/// What there is to check once the configuration is known.
async fn examine_installation(config: &Config, arguments: &DoctorArgs, findings: &mut Findings) {
    let now = SystemClock.now();
    settings::check_secrets_in_it(arguments.config.as_deref(), config, findings);
    let master_key = keys::check_master_key(&config.card, findings);
    let profiles = bank_hosts::check_profiles(&config.hosts, findings);
    let profiles = profiles.unwrap_or_default();
    settings::check_accounts(config, &profiles, findings);
    machine::check_descriptors(descriptors::needed(config, &profiles), findings);
    if let Some(master_key) = &master_key {
        keys::check_sealing_keys(&config.card, master_key, findings);
        let merchant_api = &config.merchant_api;
        certificates::check_door(
            "merchant API",
            DoorFiles::of_merchant_api(merchant_api)
                .tls(master_key)
                .map(drop),
            (&merchant_api.certificate, &merchant_api.private_key),
            merchant_api.client_ca.as_deref(),
            now,
            findings,
        );
        if let Some(admin_api) = &config.admin_api {
            certificates::check_door(
                "operators' API",
                DoorFiles::of_admin_api(admin_api).tls(master_key).map(drop),
                (&admin_api.certificate, &admin_api.private_key),
                Some(&admin_api.client_ca),
                now,
                findings,
            );
        }
        let key_loader = host_key_loader(master_key);
        let mut sound = Vec::with_capacity(profiles.len());
        for profile in &profiles {
            if bank_hosts::check_host(profile, &key_loader, now, findings) {
                sound.push(profile);
            }
        }
        if arguments.banks {
            bank_hosts::connect_to_all(&sound, &key_loader, &Net::SYSTEM, findings).await;
        }
    }
    folders::check(config, findings);
    let in_use =
        database::check(&config.store, master_key.as_deref(), &SystemClock, findings).await;
    doors::check(config, &Net::SYSTEM, in_use, findings).await;
}

fn show(findings: &Findings, banks: bool) -> Result<(), CommandError> {
    let mut rows = table(&["", "check", "found", "what to do"]);
    rows.set_content_arrangement(ContentArrangement::Dynamic);
    for finding in findings.iter() {
        rows.add_row([
            finding.standing.to_string(),
            finding.check.clone(),
            finding.found.clone(),
            finding.advice.clone(),
        ]);
    }
    print_line!("{rows}")?;
    if !banks {
        print_line!("\nThe banks were not connected to: --banks does that.")?;
    }
    let count = |standing| {
        let such = findings.iter().filter(|it| it.standing == standing);
        such.count()
    };
    print_line!(
        "\n{} checks: {} failed, {} warnings.",
        findings.iter().count(),
        count(Standing::Failed),
        count(Standing::Warning)
    )
}

fn as_json(findings: &Findings, banks: bool) -> Value {
    let checks = findings.iter().map(|it| {
        json!({
            "check": it.check,
            "standing": it.standing.to_string(),
            "found": it.found,
            "advice": it.advice,
        })
    });
    json!({
        "standing": findings.worst().to_string(),
        "banks_connected_to": banks,
        "checks": checks.collect::<Vec<_>>(),
    })
}
