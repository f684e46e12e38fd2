//! The formats of the files of each host: read from its profile when the gateway starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::agreed_fees::AgreedFees;
use super::clearing::format::ClearingFormat;
use super::format_error::FormatError;
use super::report::file_format::ReportFormat;
use crate::hosts::profile::SettlementTables;
use crate::payment::ids::HostId;

/// The formats of a host's files.
#[derive(Debug, Clone, Default)]
struct HostFormats {
    clearing: Option<Arc<ClearingFormat>>,
    report: Option<Arc<ReportFormat>>,
    fees: Option<Arc<AgreedFees>>,
}

/// The formats of all hosts' files.
#[derive(Debug, Clone, Default)]
pub struct HostFiles(BTreeMap<HostId, HostFormats>);

/// The formats in a profile can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{host_id}.toml: {source}")]
pub struct HostFilesError {
    /// The host, which its profile is named after.
    pub host_id: HostId,
    /// The key, what was expected and what came.
    #[source]
    pub source: FormatError,
}

impl HostFiles {
    /// Reads the formats of these profiles.
    ///
    /// # Errors
    /// The first fault: its file, its key, what was expected and what came.
    pub fn read<'t>(
        profiles: impl Iterator<Item = (HostId, &'t SettlementTables)>,
    ) -> Result<Self, HostFilesError> {
        let read = |(host_id, tables): (HostId, &SettlementTables)| {
            let failed = |source| HostFilesError { host_id, source };
            let clearing = tables.clearing_file.clone().map(ClearingFormat::from_table);
            let report = tables.report.clone().map(ReportFormat::from_table);
            let report = report.transpose().map_err(failed)?;
            let fees = tables.fees.clone();
            let fees = fees.map(|fees| AgreedFees::from_table(fees, report.as_ref()));
            let formats = HostFormats {
                clearing: clearing.transpose().map_err(failed)?.map(Arc::new),
                report: report.map(Arc::new),
                fees: fees.transpose().map_err(failed)?.map(Arc::new),
            };
            Ok((host_id, formats))
        };
        profiles.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The format of a host's clearing files; none where it takes none.
    #[must_use]
    pub fn clearing(&self, host: HostId) -> Option<&Arc<ClearingFormat>> {
        self.0.get(&host)?.clearing.as_ref()
    }

    /// The format of a host's reports; none where it sends none.
    #[must_use]
    pub fn report(&self, host: HostId) -> Option<&Arc<ReportFormat>> {
        self.0.get(&host)?.report.as_ref()
    }

    /// What a host is agreed to keep; none where its profile does not say it.
    #[must_use]
    pub fn fees(&self, host: HostId) -> Option<&Arc<AgreedFees>> {
        self.0.get(&host)?.fees.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the profiles that come with the project say of files can be used.
    #[test]
    fn the_examples_are_read() {
        for (text, host) in [
            (include_str!("../../hosts/examples/nps.toml"), "nps"),
            (
                include_str!("../../hosts/examples/dual-message.toml"),
                "dual-message",
            ),
        ] {
            let profile: toml::Table = toml::from_str(text).unwrap();
            let file = profile["settlement"]["clearing_file"].as_table();
            let tables = SettlementTables {
                clearing_file: file.cloned(),
                ..SettlementTables::default()
            };
            let host: HostId = host.parse().unwrap();
            let files = HostFiles::read([(host, &tables)].into_iter()).unwrap();
            assert!(files.clearing(host).is_some());
        }
    }

    #[test]
    fn a_wrong_key_is_named_with_its_file() {
        let tables = SettlementTables {
            report: Some(toml::toml! { separator = ",,"
            business_date = "Date"
            acceptor = "Acceptor"
            currency = "Currency"
            rrn = "RRN"
            gross_debit = "Debit"
            gross_credit = "Credit"
            type = { column = "Type", capture = ["SALE"] } }),
            ..SettlementTables::default()
        };
        let host: HostId = "acquirer".parse().unwrap();
        let error = HostFiles::read([(host, &tables)].into_iter()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("acquirer.toml: settlement.report.separator: expected"),
            "{error}"
        );
        let none = SettlementTables::default();
        let files = HostFiles::read([(host, &none)].into_iter()).unwrap();
        assert!(files.report(host).is_none() && files.clearing(host).is_none());
    }
}
