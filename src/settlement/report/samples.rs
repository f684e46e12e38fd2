//! The format of a report that tests begin with.

use super::file_format::ReportFormat;

/// One that tells interchange and scheme fees; `more` of its columns are as a profile says them.
pub(crate) fn report_with_fees(more: &str) -> ReportFormat {
    let columns = r#"
        business_date = "Date"
        acceptor = "Acceptor"
        currency = "Currency"
        rrn = "RRN"
        gross_debit = "Debit"
        gross_credit = "Credit"
        interchange = "Interchange"
        scheme_fee = "Scheme"
        type = { column = "Type", capture = ["SALE"], refund = ["REFUND"] }
    "#;
    let table = toml::from_str(&format!("{columns}\n{more}")).unwrap();
    ReportFormat::from_table(table).unwrap()
}
