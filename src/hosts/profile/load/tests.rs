use std::time::Duration;

use crate::hosts::message::match_key::MatchRule;
use crate::hosts::message::response_codes::Meaning;
use crate::hosts::profile::PemSource;
use crate::payment::decline::{DeclineAdvice, DeclineReason};

use super::*;

const TEMPLATE: &str = include_str!("../../../../hosts/acquirer.toml");

fn read(text: &str) -> Result<HostProfile, ProfileError> {
    parse(text, Path::new("hosts/acquirer.toml"), Path::new("/srv"))
}

/// The template with one piece of it replaced.
fn with(from: &str, to: &str) -> String {
    assert!(TEMPLATE.contains(from), "{from}");
    TEMPLATE.replacen(from, to, 1)
}

#[test]
fn the_template_is_a_profile() {
    let profile = read(TEMPLATE).unwrap();
    assert_eq!(profile.host_id.as_str(), "acquirer");
    assert_eq!(profile.address, "127.0.0.1:7001");
    assert_eq!(profile.tls.server_name, "acquirer.bank.test");
    let PemSource::File(path) = &profile.tls.client_key else {
        panic!("expected a file");
    };
    assert_eq!(path, Path::new("/srv/certs/dev/acquirer-client.key"));
    assert_eq!(profile.reply_timeout, Duration::from_millis(4000));
    assert_eq!(profile.header, [0x60, 0, 1, 0, 0]);
    assert_eq!(profile.dialect.name(), "iso1987-bcd");
    assert_eq!(profile.match_rule, MatchRule::default());
    assert_eq!(profile.authorization.fields.len(), 19);
    assert!(profile.authorization.fields.is_sorted_by_key(|(de, _)| *de));
}

#[test]
fn what_is_left_out_has_defaults() {
    let mut text = TEMPLATE.to_owned();
    for line in [
        "pins = []",
        "allow_tls12 = false",
        "required = true",
        "lines = 2",
        "in_flight_limit = 1000",
        "connect_timeout_ms = 3000",
        "reply_timeout_ms = 4000",
        "back_off_first_ms = 100",
        "back_off_longest_ms = 10000",
        "sign_on = true",
        "echo_interval_ms = 10000",
        "echo_timeout_ms = 3000",
        "header = \"6000010000\"",
        "utc_offset_minutes = 0",
        "match_key = [7, 11, 37, 41]",
        "match_where_echoed = [4, 49]",
    ] {
        let before = text.len();
        text = text.replacen(&format!("\n{line}\n"), "\n", 1);
        assert!(text.len() < before, "{line}");
    }
    let profile = read(&text).unwrap();
    assert!(profile.required && profile.network.sign_on);
    assert_eq!((profile.lines, profile.in_flight_limit), (1, 1000));
    assert_eq!(profile.reply_timeout, Duration::from_secs(4));
    assert_eq!(profile.match_rule, MatchRule::default());
}

/// An element that is not in the match key need not be sent.
#[test]
fn a_bank_without_rrns_has_another_key() {
    let text = with("match_key = [7, 11, 37, 41]", "match_key = [7, 11, 41]");
    let profile = read(&text.replacen("37 = \"rrn\"\n", "", 1)).unwrap();
    let mut sent = profile.authorization.fields.iter().map(|(de, _)| *de);
    assert!(!sent.any(|de| de == 37));
}

/// An inline dialect: the built-in one, and what is different at this bank.
#[test]
fn a_bank_with_a_dialect_of_its_own_is_one_file() {
    let text = with("dialect = \"iso1987-bcd\"", "")
        + r#"
[dialect]
name = "my-bank"
base = "iso1987-bcd"
removed = [24]
[dialect.encodings]
text = "ebcdic"
[dialect.fields.62]
name = "Invoice \"number\""
format = "ans"
length = "lll"
max = 40
pad_spaces = false
"#;
    let profile = read(&text).unwrap();
    assert_eq!(profile.dialect.name(), "my-bank");
    assert!(profile.dialect.field(24).is_none());
    assert!(profile.dialect.field(62).is_some());
}

#[test]
fn a_profile_says_what_an_unlisted_code_means() {
    let declined = Meaning::declined(DeclineReason::Other);
    let line = "unlisted = \"declined\"";
    for (to, expected) in [
        ("", declined),
        (line, declined),
        ("unlisted = \"unclear\"", Meaning::Unclear),
    ] {
        let codes = read(&with(line, to)).unwrap().response_codes;
        assert_eq!(codes.meaning("Z9".parse().unwrap()), expected, "{to}");
        let partial = codes.meaning("32".parse().unwrap());
        assert_eq!(partial, Meaning::Unclear, "{to}");
    }
}

#[test]
fn response_codes_can_be_overridden() {
    let text = with(
        "\"75\" = { reason = \"pin_tries_exceeded\", advice = \"use_another_card\" }",
        "\"05\" = \"approved\"\n\"06\" = \"unclear\"\n\"Q1\" = \"suspected_fraud\"\n\
         \"91\" = { reason = \"issuer_unavailable\", advice = \"do_not_retry\" }",
    );
    let codes = read(&text).unwrap().response_codes;
    for (code, expected) in [
        ("05", Meaning::Approved),
        ("06", Meaning::Unclear),
        ("Q1", Meaning::declined(DeclineReason::SuspectedFraud)),
        (
            "91",
            Meaning::Declined {
                reason: DeclineReason::IssuerUnavailable,
                advice: DeclineAdvice::DoNotRetry,
            },
        ),
        ("51", Meaning::declined(DeclineReason::InsufficientFunds)),
    ] {
        assert_eq!(codes.meaning(code.parse().unwrap()), expected, "{code}");
    }
}

/// Each row: what is replaced, by what, and what the error must say.
#[test]
fn errors_name_file_key_expected_and_got() {
    let table: [(&str, &str, &[&str]); 38] = [
        ("address =", "adress =", &["unknown field `adress`"]),
        ("hold_days = 7", "", &["missing field `hold_days`"]),
        ("lines = 2", "lines = \"two\"", &["lines", "expected usize"]),
        (
            "lines = 2",
            "lines = 65",
            &["lines: expected 1 to 64, got 65"],
        ),
        (
            "lines = 2",
            "lines = 0",
            &["lines: expected 1 to 64, got 0"],
        ),
        (
            "\"127.0.0.1:7001\"",
            "\"bank\"",
            &["address: expected HOST:PORT, got \"bank\""],
        ),
        (
            "\"127.0.0.1:7001\"",
            "\"bank:0\"",
            &["address: expected HOST:PORT"],
        ),
        (
            "\"acquirer.bank.test\"",
            "\"127.0.0.1\"",
            &["server_name: expected a DNS name"],
        ),
        (
            "pins = []",
            "pins = [\"sha256/AAAA\"]",
            &["pins: expected \"sha256/\" and 32 bytes"],
        ),
        (
            "in_flight_limit = 1000",
            "in_flight_limit = 10001",
            &["expected 1 to 10000, got 10001"],
        ),
        (
            "reply_timeout_ms = 4000",
            "reply_timeout_ms = 0",
            &["reply_timeout_ms: expected 1 to 60000"],
        ),
        (
            "reply_timeout_ms = 4000",
            "reply_timeout_ms = 60001",
            &["got 60001"],
        ),
        (
            "back_off_longest_ms = 10000",
            "back_off_longest_ms = 50",
            &["at least back_off_first_ms, got 50"],
        ),
        (
            "hold_days = 7",
            "hold_days = 401",
            &["hold_days: expected 1 to 400, got 401"],
        ),
        (
            "dialect = \"iso1987-bcd\"",
            "dialect = \"iso2050\"",
            &[
                "dialect: expected a table, or one of",
                "iso1987-ebcdic",
                "\"iso2050\"",
            ],
        ),
        (
            "dialect = \"iso1987-bcd\"",
            "dialect = 5",
            &["dialect: expected a name or a table, got integer"],
        ),
        (
            "dialect = \"iso1987-bcd\"",
            "dialect = { name = \"x\", base = \"y\" }",
            &["[dialect]", "expected base to be one of", "`y`"],
        ),
        (
            "header = \"6000010000\"",
            "header = \"60\"",
            &["header: expected 5 bytes in hex, or nothing, got \"60\""],
        ),
        (
            "header = \"6000010000\"",
            "header = \"+000010000\"",
            &["header: expected 5 bytes"],
        ),
        (
            "utc_offset_minutes = 0",
            "utc_offset_minutes = 900",
            &["expected -840 to 840 minutes, got 900"],
        ),
        (
            "match_key = [7, 11, 37, 41]",
            "match_key = [7, 37]",
            &["match_key: expected 11 among its DEs"],
        ),
        (
            "match_key = [7, 11, 37, 41]",
            "match_key = [11, 42]",
            &["match_key: expected only DEs of 4, 7, 11, 37, 41 and 49, got 42"],
        ),
        (
            "37 = \"rrn\"\n",
            "",
            &["messages.authorization.fields: expected a source for DE 37, which is in match_key"],
        ),
        (
            "41 = \"terminal_id\"\n",
            "",
            &["messages.authorization.fields: expected a source for DE 41, which is in match_key"],
        ),
        (
            "kind = \"binary-2\"",
            "kind = \"binary-3\"",
            &["unknown variant `binary-3`", "`binary-4`"],
        ),
        (
            "\"75\" = {",
            "\"755\" = {",
            &["response_codes: expected codes of two letters or digits, or unlisted, got 755"],
        ),
        (
            "unlisted = \"declined\"",
            "unlisted = \"approved\"",
            &["response_codes.unlisted: expected \"declined\" or \"unclear\", got \"approved\""],
        ),
        (
            "unlisted = \"declined\"",
            "\"10\" = \"approved\"",
            &[
                "response_codes.10: expected \"unclear\" or a decline",
                "got \"approved\"",
            ],
        ),
        (
            "\"pin_tries_exceeded\"",
            "\"unknown_reason\"",
            &["response_codes.75: expected", "unknown_reason"],
        ),
        (
            "mti = \"0100\"",
            "mti = \"0110\"",
            &["messages.authorization.mti: expected 0100, got 0110"],
        ),
        (
            "4 = \"amount\"",
            "4 = \"rrn\"",
            &[
                "messages.authorization.fields.4: expected \"amount\"",
                "got \"rrn\"",
            ],
        ),
        (
            "4 = \"amount\"",
            "4 = \"amount\"\n04 = \"amount\"",
            &["expected each DE once, got a second source for DE 4"],
        ),
        (
            "49 = \"currency_numeric\"",
            "",
            &["messages.authorization.fields: expected a source for DE 49"],
        ),
        (
            "2 = \"pan\"",
            "2 = \"pam\"",
            &[
                "messages.authorization.fields.2: expected one of pan, amount",
                "got \"pam\"",
            ],
        ),
        (
            "2 = \"pan\"",
            "129 = \"pan\"",
            &["fields.129: expected a DE of 2 to 128, got 129"],
        ),
        (
            "{ literal = \"59\" }",
            "{ constant = \"59\" }",
            &["fields.25: expected the name of a source, { literal"],
        ),
        (
            "{ literal = \"59\" }",
            "{ literal = \"5\" }",
            &["messages.authorization: DE 25: expected"],
        ),
        (
            "{ 92 = \"cvv\" }",
            "{ 9 = \"cvv\" }",
            &["subelements.9: expected a tag of two digits, got 9"],
        ),
    ];
    for (from, to, expected) in table {
        let error = read(&with(from, to)).unwrap_err().to_string();
        for part in [&["hosts/acquirer.toml"], expected].concat() {
            assert!(error.contains(part), "{to}: expected {part:?} in {error:?}");
        }
    }
}

#[test]
fn a_file_name_is_a_host_name() {
    let error = parse(TEMPLATE, Path::new("hosts/My Bank.toml"), Path::new("/")).unwrap_err();
    assert!(error.to_string().contains("\"My Bank\""), "{error}");
}

#[test]
fn a_folder_without_profiles_is_an_error() {
    let error = load(Path::new("src/hosts"), Path::new(".")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected 1 to 256 host profiles, got 0"),
        "{error}"
    );
    let error = load(Path::new("no-such-folder"), Path::new(".")).unwrap_err();
    assert!(error.to_string().contains("no-such-folder"), "{error}");
    let profiles = load(Path::new("hosts"), Path::new(".")).unwrap();
    assert!(
        profiles
            .iter()
            .any(|profile| profile.host_id.as_str() == "acquirer")
    );
}
