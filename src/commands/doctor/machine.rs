//! The machine: who runs this, core dumps, the clock's synchronisation, file descriptors.

use std::process::{Command, Stdio};

use rustix::process::{Resource, geteuid, getrlimit};

use super::finding::Findings;
use crate::app::descriptors::Limits;

/// What the checks of files say is about the user who runs them.
pub fn check_user(findings: &mut Findings) {
    let user = geteuid();
    if user.is_root() {
        findings.warning(
            "user",
            "root, who may read everything: what the user of the service may read is not known",
            "run it as that user: runuser -u payswitch -- payswitch doctor ...",
        );
    } else {
        findings.ok("user", format!("uid {user}"));
    }
}

/// The program has forbidden them by now (`commands::core_dumps`), as `serve` does.
pub fn check_core_dumps(findings: &mut Findings) {
    match getrlimit(Resource::Core).current {
        Some(0) => findings.ok("core dumps", "forbidden by the program"),
        limit => findings.failed(
            "core dumps",
            format!("the limit is {limit:?}"),
            "set LimitCORE=0 in the unit of the service",
        ),
    }
}

/// Whether the system's clock is synchronised, where the system tells.
pub fn check_clock(findings: &mut Findings) {
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let said = asked.ok().filter(|it| it.status.success());
    let said = said.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    judge_clock(said.as_deref(), findings);
}

fn judge_clock(synchronized: Option<&str>, findings: &mut Findings) {
    const CHECK: &str = "clock";
    match synchronized {
        Some("yes") => findings.ok(CHECK, "synchronised (timedatectl)"),
        Some("no") => findings.warning(
            CHECK,
            "not synchronised (timedatectl)",
            "let NTP keep it: apt install chrony, or timedatectl set-ntp true",
        ),
        _ => findings.ok(CHECK, "the system does not tell whether it is synchronised"),
    }
}

/// The limit of file descriptors against what the configuration needs.
pub fn check_descriptors(needed: u64, findings: &mut Findings) {
    judge_descriptors(Limits::of_this_process(), needed, findings);
}

fn judge_descriptors(limits: Limits, needed: u64, findings: &mut Findings) {
    const CHECK: &str = "file descriptors";
    let shown = |limit: Option<u64>| limit.map_or("no limit".into(), |limit| limit.to_string());
    match limits.raised_to(needed) {
        Ok(_) => findings.ok(
            CHECK,
            format!(
                "needed {needed}; soft limit {}, hard limit {}: `serve` raises the soft one itself",
                shown(limits.soft),
                shown(limits.hard)
            ),
        ),
        Err(error) => findings.failed(
            CHECK,
            format!("needed {needed}, and the hard limit is {}", error.hard),
            format!(
                "LimitNOFILE={needed} in the unit of the service (ulimit -Hn {needed} as root in a shell), or fewer \
                 merchant_api.connections"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Standing;
    use crate::commands::doctor::finding::testing::only;

    #[test]
    fn a_hard_limit_that_is_too_low_fails() {
        for (hard, standing) in [
            (Some(4_095), Standing::Failed),
            (Some(4_096), Standing::Ok),
            (None, Standing::Ok),
        ] {
            let limits = Limits {
                soft: Some(1_024),
                hard,
            };
            let mut findings = Findings::default();
            judge_descriptors(limits, 4_096, &mut findings);
            let finding = only(&findings, standing);
            assert_eq!(
                finding.advice.contains("LimitNOFILE=4096"),
                standing == Standing::Failed
            );
        }
    }

    #[test]
    fn a_clock_that_nobody_keeps_is_a_warning() {
        for (said, standing) in [
            (Some("yes"), Standing::Ok),
            (Some("no"), Standing::Warning),
            (None, Standing::Ok),
        ] {
            let mut findings = Findings::default();
            judge_clock(said, &mut findings);
            only(&findings, standing);
        }
    }
}
