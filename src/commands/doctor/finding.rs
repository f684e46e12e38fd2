//! What a check found, how bad that is, and what to do about it.

use std::fmt;

/// How it stands with what was checked, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As it should be.
    Ok,
    /// The gateway runs so, and somebody should look at it.
    Warning,
    /// The gateway does not start so, or does not work.
    Failed,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Failed => "FAILED",
        })
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// How it stands.
    pub standing: Standing,
    /// What was found.
    pub found: String,
    /// What to do; empty where there is nothing to do.
    pub advice: String,
}

/// What was found, in the order of the checks.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// All is well.
    pub fn ok(&mut self, check: impl Into<String>, found: impl Into<String>) {
        self.add(check.into(), Standing::Ok, found.into(), String::new());
    }

    /// Somebody should look at it.
    pub fn warning(
        &mut self,
        check: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check.into(), Standing::Warning, found.into(), advice.into());
    }

    /// It does not work.
    pub fn failed(
        &mut self,
        check: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check.into(), Standing::Failed, found.into(), advice.into());
    }

    fn add(&mut self, check: String, standing: Standing, found: String, advice: String) {
        self.0.push(Finding {
            check,
            standing,
            found,
            advice,
        });
    }

    /// Everything that was found.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// How it stands with all of it.
    #[must_use]
    pub fn worst(&self) -> Standing {
        let standings = self.0.iter().map(|finding| finding.standing);
        standings.max().unwrap_or(Standing::Ok)
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::{Finding, Findings, Standing};

    /// The one finding of a check, which has this standing.
    pub(in crate::commands::doctor) fn only(findings: &Findings, standing: Standing) -> &Finding {
        let mut found = findings.iter();
        let (first, second) = (found.next().expect("a finding"), found.next());
        assert_eq!(second, None, "{findings:?}");
        assert_eq!(first.standing, standing, "{first:?}");
        if standing != Standing::Ok {
            assert!(!first.advice.is_empty(), "{first:?}");
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_counts() {
        let mut findings = Findings::default();
        assert_eq!(findings.worst(), Standing::Ok);
        findings.ok("a", "b");
        assert_eq!(findings.worst(), Standing::Ok);
        findings.warning("a", "b", "c");
        findings.ok("a", "b");
        assert_eq!(findings.worst(), Standing::Warning);
        findings.failed("a", "b", "c");
        findings.warning("a", "b", "c");
        assert_eq!(findings.worst(), Standing::Failed);
    }
}
