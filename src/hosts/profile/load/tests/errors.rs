//! What is refused, and how the error says it.

use super::*;

/// Each pair of lines: what is replaced in the template and by what (`\n` is a line end), and what the error must
/// say, in parts.
const ERRORS: &str = r#"
address = => adress =
    unknown field `adress`
hold_days = 7 =>
    missing field `hold_days`
business_date = "clock" => business_date = "moon"
    unknown variant `moon`, expected one of `clock`, `host`, `de15`
business_date = "clock" => business_date = "host"
    settlement.cutover: expected no time of day, since the host ends its days
level = "merchant" => level = "shop"
    unknown variant `shop`, expected one of `merchant`, `terminal`, `host`
out_of_balance = "fund" => out_of_balance = "upload"
    messages.totals.out_of_balance: expected [messages.upload], got none
mti = "0500" => mti = "0510"
    messages.totals.mti: expected 0500 or 0520 … got "0510"
97 = "net_amount" => 97 = "net"
    messages.totals.fields.97: expected one of business_date, … got "net"
97 = "net_amount" => 97 = "net_amount"\n097 = "net_amount"
    messages.totals.fields.97: expected each DE once, got a second source for DE 97
97 = "net_amount" => 37 = "rrn"
    messages.totals.fields.37: expected a source of totals, got one of a single item
88 = "debits_amount" => 88 = { literal = "0" }
    messages.totals.fields: expected an element with the source debits_amount, got none
15 = "business_date" => 14 = "business_date"\n60 = "business_date"
    messages.totals.fields.60: expected an element of 4, 6 or 8 digits for a date
longest_ms = 60000 => longest = 60000
    unknown field `longest`
lines = 2 => lines = "two"
    lines … expected usize
lines = 2 => lines = 65
    lines: expected 1 to 64, got 65
lines = 2 => lines = 0
    lines: expected 1 to 64, got 0
"127.0.0.1:7001" => "bank"
    address: expected HOST:PORT, got "bank"
"127.0.0.1:7001" => "bank:0"
    address: expected HOST:PORT
"acquirer.bank.test" => "127.0.0.1"
    server_name: expected a DNS name
pins = [] => pins = ["sha256/AAAA"]
    pins: expected "sha256/" and 32 bytes
in_flight_limit = 1000 => in_flight_limit = 10001
    expected 1 to 10000, got 10001
reply_timeout_ms = 4000 => reply_timeout_ms = 0
    reply_timeout_ms: expected 1 to 60000
reply_timeout_ms = 4000 => reply_timeout_ms = 60001
    got 60001
back_off_longest_ms = 10000 => back_off_longest_ms = 50
    at least back_off_first_ms, got 50
unanswered = 10 => unanswered = 10001
    circuit.unanswered: expected 1 to 10000, got 10001
probation = 5 => probation = 0
    circuit.probation: expected 1 to 10000, got 0
hold_days = 7 => hold_days = 401
    hold_days: expected 1 to 400, got 401
dialect = "iso1987-bcd" => dialect = "iso2050"
    dialect: expected a table, or one of … iso1987-ebcdic … "iso2050"
dialect = "iso1987-bcd" => dialect = 5
    dialect: expected a name or a table, got integer
dialect = "iso1987-bcd" => dialect = { name = "x", base = "y" }
    [dialect] … expected base to be one of … `y`
header = "6000010000" => header = "60"
    header: expected 5 bytes in hex, or nothing, got "60"
header = "6000010000" => header = "+000010000"
    header: expected 5 bytes
# time_zone = => time_zone = "Europe/Atlantis" #
    time_zone: expected an IANA time zone … got "Europe/Atlantis"
least_reply_ms = 1000 => least_reply_ms = 4000
    least_reply_ms: expected less than reply_timeout_ms, got 4000
rrn = "sequence" => rrn = "random"
    unknown variant `random` … `hour_and_stan`
rrn = "sequence" => rrn = 16
    invalid type: integer `16`, expected one of "sequence", "hour_and_stan"
style = "advice" => style = true
    expected one of "request", "advice", "file", "none"
style = "advice" => style = "advice"\nunknown = 5
    expected one of "reverse", "repeat", "inquire", "wait"
host_reverses = ["20", => host_reverses = ["200",
    host_reverses: expected codes of 2 letters or digits, got "200"
tag_digits = 2 => tag_digits = 4
    subelements.tag_digits: expected 2 or 3 digits, got 4
name = 25 => name = 22
    acceptor_name_location: expected widths of 40 together … got 37
[currency_minor_digits] => [currency_minor_digits]\nHUX = 0
    currency_minor_digits.HUX: expected an ISO 4217 code … got "HUX"
[currency_minor_digits] => [currency_minor_digits]\nHUF = 9
    currency_minor_digits.HUF: expected 0 to 4 digits, got 9
dialect = "iso1987-bcd" => dialect = { name = "x", base = "iso1987-bcd", fields = { 39 = { max = 3 } } }
    dialect: expected DE 39 of exactly two letters or digits … got an of 3
dialect = "iso1987-bcd" => dialect = { name = "x", base = "iso1987-bcd", version = 1993 }
    dialect: expected DE 39 of exactly three digits (n 3), as in ISO 8583:1993, got an of 2
dialect = "iso1987-bcd" => dialect = { name = "x", base = "iso1987-bcd", version = 2003 }
    [dialect] … version: expected 1987 or 1993, got 2003
mti = "0100" => mti = "1100"
    messages.authorization.mti: expected 0xxx, since the dialect is of that edition, got 1100
match_key = [7, 11, 37, 41] => match_key = [11, 41]
    match_key: expected 7 or 37 among its DEs, since a STAN (11) comes again
\n[messages.reversal]\n => \n[messages.undo]\nstyle = "none"\n\n[messages.reversal]\n
    messages: expected one of authorization, verification, sale … got undo
\n[messages.authorization]\n => \n[messages.authorization]\nmatch_key = [11]\n
    messages.authorization.match_key: expected 7 or 37
mti = "0420" => mti = "0400"
    messages.reversal.mti: expected an advice, such as 0220 or 0420, got 0400
mti = "0420" => mti = "0220"
    messages.reversal.mti: expected the class of reversals, x4xx, got 0220
mti = "0421" => mti = "0401"
    messages.reversal.repeats.mti: expected "0421" or "same", got "0401"
window = 32 => cap = 0
    messages.reversal.repeats.cap: expected 1 to 100000, got 0
unclear_answer = "22" =>
    messages.reversal.reasons: expected a code for unclear_answer, got none
unclear_answer = "22" => unclear_answer = "222"
    messages.reversal: DE 39: expected
void = "17"\n\n[messages.reversal.fields] => [messages.reversal.fields]
    messages.reversal.reasons: expected a code for void, by which increments are undone … got none
cvv_result = "48.87" => unknown = "repeat"
    messages.verification.unknown: expected "wait": nothing is held, got repeat
cvv_result = "48.87" => cvv_result = 52
    messages.verification.cvv_result: expected no element that may hold card data
39 = "reason"\n =>
    messages.reversal.fields: expected a data element with the source "reason"
unknown = "reverse" => unknown = "wait"
    messages.authorization.unknown: expected "reverse": what a bank may hold is given back, got wait
style = "advice" => style = "advice"\nunknown = "inquire"
    messages.reversal.unknown: expected a profile with [messages.inquiry], got none
unlisted = "declined" => "Q4" = "original_unknown"
    response_codes.Q4: expected "approved", "partly_approved"
unlisted = "declined" => "Q4" = "risk_limit"
    response_codes.Q4: expected "approved", "partly_approved"
[messages.reversal.fields] => [messages.reversal.response_codes]\n"99" = "duplicate"\n[messages.reversal.fields]
    messages.reversal.response_codes.99: expected "approved", "taken" … got "duplicate"
style = "advice" => style = "advice"\nunknown = "reverse"
    messages.reversal.unknown: expected "repeat", "inquire" or "wait"
style = "request" => style = "file"
    messages.authorization.style: expected "request" … got file
12 = "original_local_time" => 12 = { as_sent = 35 }
    as_sent = 35: expected no element that may hold card data
12 = "original_local_time" => 12 = { as_sent = "48.92" }
    as_sent = 48.92: expected an element or sub-element … that is no pan, expiry or cvv
12 = "original_local_time" => 12 = { as_sent = 60 }
    as_sent = 60: expected an element or sub-element that authorization always sends
12 = "original_local_time" => 12 = { kept = 15 }
    messages.reversal.fields: expected an element that some message keeps
12 = "original_local_time" => 12 = { kept = 15, or = "stan" }
    fields.12: expected the name of a source … got a table of kept, or
12 = "original_local_time" => 12 = { as_sent = 12, else = "stan" }
    fields.12: expected the name of a source … got
partial_amount = 4 => sales = true
    messages.authorization.sales: expected nothing, since only a void can list sales
partial_amount = 4 => partial_amount = 6
    messages.authorization.partial_amount: expected 4, or "54.TYPE" … got 6
partial_amount = 4 => partial_amount = "54.575"
    messages.authorization.partial_amount: expected 4, or "54.TYPE"
12 = "original_local_time" => 12 = { kept = 15, else = { original_data = ["stan"] } }
    fields.12.else: expected a source that is one text
32 = { literal = "400001" } => 32 = "acceptor_id"
    original_data with DE 32: expected { as_sent = 32 } in a message, or a literal
style = "advice" => style = "file"
    messages.reversal.mti: expected nothing, since operations of this style are no messages
12 = "original_local_time" => 12 = "cvv"
    messages.reversal.fields: expected no source "cvv"
12 = "local_time" => 12 = "original_local_time"
    messages.authorization.fields: expected no source that needs an original
unknown = "reverse" => keep = [52]
    messages.authorization.keep: expected no element that may hold card data
unknown = "reverse" => keep = ["48.1"]
    messages.authorization.keep: expected a DE of 2 to 128, or "DE.TAG" with a tag of 2 digits
"mti", "stan", "transmission => "mti", "rrn", "transmission
    fields.90.original_data: expected a list of mti, stan
match_key = [7, 11, 37, 41] => match_key = [7, 37]
    match_key: expected 11 among its DEs
match_key = [7, 11, 37, 41] => match_key = [11, 42]
    match_key: expected only DEs of 7, 11, 37, 41 and 49; an amount (4) is judged … got 42
37 = "rrn"\n =>
    messages.authorization.fields: expected a source for DE 37, which is in match_key
41 = "terminal_id"\n =>
    messages.authorization.fields: expected a source for DE 41, which is in match_key
kind = "binary-2" => kind = "binary-3"
    unknown variant `binary-3` … `binary-4`
"75" = { => "755" = {
    response_codes: expected codes of 2 letters or digits, standard or unlisted, got 755
unlisted = "declined" => unlisted = "taken"
    response_codes.unlisted: expected "declined" or "unclear", got "taken"
unlisted = "declined" => "10" = "approved"
    response_codes.10: expected "partly_approved", "unclear" or a decline … got "approved"
"pin_tries_exceeded" => "unknown_reason"
    response_codes.75: expected … unknown_reason
mti = "0100" => mti = "0110"
    messages.authorization.mti: expected a request, such as 0100 or 0200, got 0110
mti = "0100" => mti = "0200"
    messages.authorization.mti: expected the class of authorizations, x1xx, got 0200
4 = "amount" => 4 = "rrn"
    messages.authorization.fields.4: expected "amount" … got "rrn"
4 = "amount" => 4 = "amount"\n04 = "amount"
    expected each DE once, got a second source for DE 4
49 = "currency_numeric" =>
    messages.authorization.fields: expected a source for DE 49
2 = "pan" => 2 = "pam"
    messages.authorization.fields.2: expected one of pan, amount … got "pam"
2 = "pan" => 129 = "pan"
    fields.129: expected a DE of 2 to 128, got 129
{ literal = "59" } => { constant = "59" }
    fields.25: expected the name of a source, or a table of one of literal
{ literal = "59" } => { literal = "5" }
    messages.authorization: DE 25: expected
{ 61 = { accepts_partial = "1" }, 92 = "cvv" } => { 9 = "cvv" }
    subelements.9: expected a tag of 2 digits, got 9
"#;

#[test]
fn errors_name_file_key_expected_and_got() {
    let lines: Vec<&str> = ERRORS.trim().lines().collect();
    for pair in lines.chunks(2) {
        let (from, to) = pair[0].split_once(" =>").unwrap();
        let [from, to] = [from, to.trim_start()].map(|text| text.replace(r"\n", "\n"));
        let Err(error) = read(&with(&from, &to)) else {
            panic!("{to}: loaded");
        };
        let error = error.to_string();
        for part in std::iter::once("hosts/acquirer.toml").chain(pair[1].trim().split(" … ")) {
            assert!(error.contains(part), "{to}: expected {part:?} in {error:?}");
        }
    }
}

/// A bank that is not told what is reversed reverses nothing.
#[test]
fn a_reversal_names_its_original() {
    let text = with("37 = \"original_rrn\"", "37 = \"rrn\"");
    assert!(read(&text).is_ok());
    let (without, _) = text.split_once("90 = {").unwrap();
    let error = read(without).unwrap_err().to_string();
    let expected =
        "messages.reversal.fields: expected a source by which the host finds the original";
    assert!(error.contains(expected), "{error}");
    // Nor is a profile complete whose unknown authorizations are reversed by nothing.
    let (without, _) = text.split_once("\n[messages.reversal]\n").unwrap();
    let error = read(without).unwrap_err().to_string();
    let expected =
        "messages.authorization.unknown: expected a profile with [messages.reversal], got none";
    assert!(error.contains(expected), "{error}");
}
