use super::*;
use crate::settlement::clearing::file_name::Cycle;

/// A profile as far as it matters here.
#[derive(Debug, Deserialize)]
struct Profile {
    settlement: Settlement,
}

#[derive(Debug, Deserialize)]
struct Settlement {
    clearing_file: ClearingFormat,
}

const CSV: &str = r#"
[settlement.clearing_file]
format = "csv"
name = "{host}-{date}-{cycle}.csv"
separator = ","
amount = "decimal"
date = "YYYY-MM-DD"
trailer = true
types = { capture = "SALE", refund = "REFUND" }
columns = [
  { header = "Record", value = "record" },
  { header = "Business Date", value = "business_date" },
  { header = "Acceptor", value = "acceptor" },
  { header = "Terminal", value = "terminal" },
  { header = "Type", value = "type" },
  { header = "RRN", value = "rrn" },
  { header = "Approval Code", value = "approval_code" },
  { header = "Amount", value = "amount" },
  { header = "Currency", value = "currency" },
  { header = "Reference", value = "reference" },
]
"#;

const NPS: &str = r#"
[settlement.clearing_file]
format = "nps"
name = "NCHLRAWDATABankA{yyyymmdd}.C{cycle}.csv"
member_id = "00000004567"
acquirer_id = "00000009289"
file_type = "I"
mode = "T"

[settlement.clearing_file.fields]
14 = "amount"
15 = { literal = "524" }
"#;

fn read(text: &str) -> Result<ClearingFormat, String> {
    let profile: Result<Profile, _> = toml::from_str(text);
    let format = profile.map(|profile| profile.settlement.clearing_file);
    format.map_err(|error| error.to_string())
}

#[test]
fn only_the_kind_and_the_name_have_no_default() {
    let short =
        "[settlement.clearing_file]\nformat = \"csv\"\nname = \"{host}-{date}-{cycle}.csv\"";
    let format = read(short).unwrap();
    assert_eq!(format, read(CSV).unwrap());
    let header = FileHeader {
        host_id: "acquirer".parse().unwrap(),
        business_date: "2026-11-29".parse().unwrap(),
        cycle: Cycle::new(1).unwrap(),
    };
    assert_eq!(format.file_name(&header), "acquirer-2026-11-29-1.csv");
    assert!(matches!(read(NPS).unwrap().layout, Layout::Nps(_)));
}

/// Each pair of lines: what is replaced in a format and by what, and what the error must say, in parts.
fn check_refusals(format: &str, errors: &str) {
    let lines: Vec<&str> = errors.trim().lines().collect();
    for pair in lines.chunks(2) {
        let (from, to) = pair[0].split_once(" => ").unwrap();
        assert!(format.contains(from), "{from}");
        let changed = format.replacen(from, &to.replace("\\n", "\n"), 1);
        let error = read(&changed).expect_err(to);
        for part in pair[1].trim().split(" … ") {
            assert!(error.contains(part), "{from} => {to}\n{error}\n{part}");
        }
    }
}

#[test]
fn every_wrong_value_of_a_csv_format_is_named() {
    check_refusals(
        CSV,
        r#"
format = "csv" => format = "xml"
    settlement.clearing_file.format: expected one of "csv", "nps", got "xml"
format = "csv" => format = 5
    settlement.clearing_file.format: expected a text, got a value of type integer
name = "{host} => nane = "{host}
    settlement.clearing_file.name: expected a text, got none
name = "{host}-{date}-{cycle}.csv" => name = "a.csv"
    settlement.clearing_file.name: expected {date} or {yyyymmdd} … got "a.csv"
separator = "," => separatar = ","
    settlement.clearing_file: unknown field `separatar`, expected one of `separator`
separator = "," => separator = 5
    settlement.clearing_file: invalid type: integer `5`, expected a string … `separator`
separator = "," => separator = ";;"
    settlement.clearing_file.separator: expected one punctuation mark or a tab … got ";;"
separator = "," => separator = "."
    settlement.clearing_file.separator: expected one punctuation mark or a tab
separator = "," => separator = "a"
    settlement.clearing_file.separator: expected one punctuation mark or a tab
amount = "decimal" => amount = "cents"
    settlement.clearing_file.amount: expected one of "decimal", "minor", got "cents"
date = "YYYY-MM-DD" => date = "DD.MM.YYYY"
    settlement.clearing_file.date: expected one of "YYYY-MM-DD", "YYYYMMDD", got "DD.MM.YYYY"
trailer = true => trailer = "yes"
    invalid type: string "yes", expected a boolean … `trailer`
refund = "REFUND" => other = "REFUND"
    unknown field `other` … types
, refund = "REFUND" } => }
    missing field `refund` … types
refund = "REFUND" => refund = ""
    settlement.clearing_file.types.refund: expected 1 to 64 printable ASCII characters, got ""
value = "acceptor" => value = "merchant"
    settlement.clearing_file.columns[2].value: expected one of "record", "business_date" … got "merchant"
value = "acceptor" => value = "card"
    settlement.clearing_file.columns[2].value: expected one of "record"
value = "acceptor" => value = "acceptor", literal = "x"
    settlement.clearing_file.columns[2].value: expected either a value or a literal, got both
, value = "acceptor" } => }
    settlement.clearing_file.columns[2].value: expected either a value or a literal, got neither
value = "acceptor" => literal = "a\tb"
    settlement.clearing_file.columns[2].literal: expected 1 to 100 printable
header = "Acceptor" => header = "Akzeptör"
    settlement.clearing_file.columns[2].header: expected 1 to 64 printable
header = "Acceptor", => title = "Acceptor",
    unknown field `title` … columns
value = "reference" => literal = "x"
    settlement.clearing_file.trailer: expected false, or columns … reference, got true without … reference
value = "amount" => literal = "x"
    settlement.clearing_file.trailer: expected false … without a column of the value amount
columns = [ => columns = [] \n x = [
    unknown field `x`
"#,
    );
    let none = read(
        "[settlement.clearing_file]\nformat = \"csv\"\nname = \"{date}{cycle}\"\ncolumns = []",
    );
    assert!(
        none.unwrap_err()
            .contains("expected 1 to 100 columns, got 0")
    );
}

#[test]
fn every_wrong_value_of_an_nps_format_is_named() {
    check_refusals(
        NPS,
        r#"
member_id = "00000004567" => member_id = "BankA"
    settlement.clearing_file.member_id: expected 1 to 11 digits, got "BankA"
member_id = "00000004567" => member_id = "000000004567"
    settlement.clearing_file.member_id: expected 1 to 11 digits
member_id = "00000004567" => member_id = 4567
    invalid type: integer `4567`, expected a string … `member_id`
acquirer_id = "00000009289" => #
    missing field `acquirer_id`
file_type = "I" => file_type = "incoming"
    settlement.clearing_file.file_type: expected one of "I", "O", got "incoming"
mode = "T" => mode = "C"
    settlement.clearing_file.mode: expected one of "P", "T", got "C"
mode = "T" => mode = "T"\nseparator = "^"
    unknown field `separator`
mode = "T" => mode = "T"\ntransaction_codes = { capture = "5", refund = "08" }
    settlement.clearing_file.transaction_codes.capture: expected 2 digits, got "5"
mode = "T" => mode = "T"\ntransaction_codes = { capture = "25", refund = "08" }
    settlement.clearing_file.transaction_codes.refund: expected a code that is not below that of captures, got "08"
mode = "T" => mode = "T"\nprocessing_codes = { capture = "000000", refund = "20" }
    settlement.clearing_file.processing_codes.refund: expected 6 digits, got "20"
14 = "amount" => 46 = "amount"
    settlement.clearing_file.fields: expected positions of 3 to 45, got "46"
14 = "amount" => 2 = "amount"
    settlement.clearing_file.fields: expected positions of 3 to 45, got "2"
14 = "amount" => amount = "amount"
    settlement.clearing_file.fields: expected positions of 3 to 45, got "amount"
14 = "amount" => 14 = "sum"
    settlement.clearing_file.fields.14: expected one of "record" … "transaction_identifier", got "sum"
14 = "amount" => 14 = 5
    expected a value's word or { literal = "..." } … 14
14 = "amount" => 14 = { text = "5" }
    expected a value's word or { literal = "..." } … 14
"#,
    );
}

#[test]
fn a_fault_is_a_value_with_its_key() {
    let table = toml::from_str("format = \"csv\"\nname = \"{date}{cycle}\"\nseparator = \"ab\"");
    let error = ClearingFormat::from_table(table.unwrap()).unwrap_err();
    let FormatError::Value { key, expected, got } = error else {
        panic!("{error}");
    };
    assert_eq!(key, "settlement.clearing_file.separator");
    assert!(expected.starts_with("one punctuation mark"));
    assert_eq!(got, "\"ab\"");
}
