use super::*;

#[derive(Debug, Deserialize)]
struct Profile {
    settlement: Settlement,
}

#[derive(Debug, Deserialize)]
struct Settlement {
    report: CsvFormat,
}

const REPORT: &str = r#"
[settlement.report]
separator = ","
end = "<END>"
amount = "decimal"
business_date = "Business Date"
acceptor = "Acceptor"
type = { column = "Type", capture = ["SALE"], refund = ["REFUND"], chargeback = ["CHARGEBACK"], chargeback_reversal = ["CHARGEBACK_REVERSED"], ignore = [] }
rrn = "RRN"
acquirer_reference = "ARN"
approval_code = "Approval Code"
currency = "Gross Currency"
gross_debit = "Gross Debit"
gross_credit = "Gross Credit"
interchange = "Interchange"
scheme_fee = "Scheme Fee"
commission = "Commission"
net_debit = "Net Debit"
net_credit = "Net Credit"
reject_code = "Reject Code"
"#;

fn read(text: &str) -> Result<CsvFormat, String> {
    let profile: Result<Profile, _> = toml::from_str(text);
    let format = profile.map(|profile| profile.settlement.report);
    format.map_err(|error| error.to_string())
}

#[test]
fn a_format_is_read() {
    let format = read(REPORT).unwrap();
    assert_eq!(
        (format.separator, format.end.as_deref()),
        (b',', Some("<END>"))
    );
    assert_eq!(
        (format.amount, format.date),
        (AmountForm::Decimal, DateForm::Dashed)
    );
    assert_eq!(format.kinds.get("SALE"), Some(&Some(ReportKind::Capture)));
    assert_eq!(format.kinds.len(), 4);
    assert_eq!(format.column(Field::Currency), Some("Gross Currency"));
    assert_eq!(format.column(Field::NetCurrency), None);
    assert_eq!(format.columns.len(), 15);
}

/// Each pair of lines: what is replaced in the format and by what, and what the error must say, in parts.
const ERRORS: &str = r#"
separator = "," => separator = ", "
    settlement.report.separator: expected one punctuation mark or a tab … got ", "
separator = "," => delimiter = ","
    settlement.report: unknown field `delimiter`, expected one of `separator`
end = "<END>" => end = ""
    settlement.report.end: expected 1 to 32 printable ASCII characters, got ""
end = "<END>" => end = "END,OF"
    settlement.report.end: expected a text without the separator and quotes, got "END,OF"
end = "<END>" => end = true
    settlement.report: invalid type: boolean `true`, expected a string … `end`
amount = "decimal" => amount = "float"
    settlement.report.amount: expected one of "decimal", "minor", got "float"
amount = "decimal" => date = "MMDD"
    settlement.report.date: expected one of "YYYY-MM-DD", "YYYYMMDD", got "MMDD"
business_date = "Business Date" => business_date = ""
    settlement.report.business_date: expected 1 to 100 characters, got ""
business_date = "Business Date" => business_date = 1
    invalid type: integer `1`, expected a string … `business_date`
acceptor = "Acceptor" => #
    settlement.report: missing field `acceptor`
gross_debit = "Gross Debit" => gross_debit = "Gross Credit"
    settlement.report.gross_credit: expected another column than gross_debit, got "Gross Credit"
net_debit = "Net Debit" => #
    settlement.report.net_debit: expected a column, since net_credit has one, got none
net_credit = "Net Credit" => #
    settlement.report.net_credit: expected a column, since net_debit has one, got none
net_debit = "Net Debit"\nnet_credit = "Net Credit" => net_currency = "Net Currency"
    settlement.report.net_debit: expected a column, since net_currency has one
rrn = "RRN"\nacquirer_reference = "ARN" => #
    settlement.report.rrn: expected a column, here or in acquirer_reference, got none
capture = ["SALE"], => #
    settlement.report.type.capture: expected the bank's words, one at least, got none
capture = ["SALE"], => capture = [],
    settlement.report.type.capture: expected the bank's words, one at least, got none
refund = ["REFUND"], => refund = ["REFUND", "SALE"],
    settlement.report.type.refund: expected words that stand for one kind each, got "SALE" again
reject_code = "Reject Code" => cycle = "Cycle"
    settlement.report.cycles: expected how many a date has, since cycle has a column, got none
reject_code = "Reject Code" => cycles = 1
    settlement.report.cycles: expected 2 to 100 files of a date, got 1
ignore = [] => ignore = "FEE"
    settlement.report: invalid type: string "FEE", expected a sequence … `type.ignore`
ignore = [] => ignored = []
    unknown field `ignored` … `type`
column = "Type", => #
    missing field `column` … `type`
"#;

#[test]
fn every_wrong_value_is_named() {
    let lines: Vec<&str> = ERRORS.trim().lines().collect();
    for pair in lines.chunks(2) {
        let (from, to) = pair[0].split_once(" => ").unwrap();
        let from = from.replace("\\n", "\n");
        assert!(REPORT.contains(&from), "{from}");
        // Nothing can't be written in this table.
        let to = to.replace('#', "");
        let error = read(&REPORT.replacen(&from, &to, 1)).expect_err(&to);
        for part in pair[1].trim().split(" … ") {
            assert!(error.contains(part), "{from} => {to}\n{error}\n{part}");
        }
    }
}
