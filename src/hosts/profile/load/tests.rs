use std::time::Duration;

use crate::hosts::message::definition::{
    MessageProfile, OriginalNumbers, PartialAmount, Style, Travel, UnknownRule,
};
use crate::hosts::message::match_key::MatchRule;
use crate::hosts::message::meaning::Meaning;
use crate::hosts::message::response_codes::ResponseCodes;
use crate::hosts::profile::PemSource;
use crate::payment::decline::{DeclineAdvice, DeclineReason};
use crate::payment::operation_kind::OperationKind;

use super::*;

mod errors;

const TEMPLATE: &str = include_str!("../../../../hosts/acquirer.toml");

fn read(text: &str) -> Result<HostProfile, ProfileError> {
    parse(text, Path::new("hosts/acquirer.toml"), Path::new("/srv"))
}

fn message(profile: &HostProfile, kind: OperationKind) -> &MessageProfile {
    profile.messages.get(kind).unwrap()
}

fn codes(profile: &HostProfile) -> ResponseCodes {
    message(profile, OperationKind::Authorization)
        .response_codes
        .clone()
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
    let authorization = message(&profile, OperationKind::Authorization);
    assert_eq!(authorization.match_rule, MatchRule::default());
    assert_eq!(authorization.fields().len(), 19);
    assert!(authorization.fields().is_sorted_by_key(|(de, _)| *de));
    // Nothing of an authorization has to be recorded beside its numbers.
    assert!(authorization.sent.is_empty() && authorization.keep.is_empty());
    let reversal = message(&profile, OperationKind::Reversal);
    assert_eq!(reversal.style, Style::Advice);
    assert_eq!(reversal.unknown, UnknownRule::Repeat);
    assert_eq!(reversal.repeats.mti.to_string(), "0421");
    let of_original = OriginalNumbers {
        rrn: true,
        ..OriginalNumbers::default()
    };
    assert_eq!(reversal.numbers, of_original);
    assert!(reversal.needs_card());
    let capture = message(&profile, OperationKind::Capture);
    assert_eq!(
        (capture.travel(), capture.numbers),
        (Travel::Repeated, of_original)
    );
    assert_eq!(capture.repeats.mti.to_string(), "0221");
    let refund = message(&profile, OperationKind::Refund);
    assert_eq!(
        (refund.travel(), refund.unknown),
        (Travel::Once, UnknownRule::Wait)
    );
    let text = with("partial_amount = 4", "partial_amount = \"54.57\"");
    let additional = message(&read(&text).unwrap(), OperationKind::Authorization).partial_amount;
    assert_eq!(additional, PartialAmount::Additional(*b"57"));
    let void = message(&profile, OperationKind::Void);
    assert_eq!(
        (void.travel(), void.numbers, void.sales),
        (Travel::Repeated, of_original, true)
    );
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
        "least_reply_ms = 1000",
        "rrn = \"sequence\"",
        "mac = \"none\"",
        "host_reverses = [\"20\", \"68\", \"91\"]",
        "[circuit]\nunanswered = 10\nprobation = 5",
        "[subelements]\ntag_digits = 2\nlength_digits = 2",
        "[acceptor_name_location]\nname = 25\ncity = 13\nstate = 0\ncountry = \"alpha-2\"",
        "[currency_minor_digits]",
        "unknown = \"reverse\"",
        "[messages.reversal.repeats]\nmti = \"0421\"\nfirst_ms = 1000\nfactor = 2\nlongest_ms = 300000\n\
         per_second = 50\nwindow = 32\noriginal_gone_ms = 15000",
        "match_key = [7, 11, 37, 41]",
        "match_where_echoed = [49]",
        "silence_ms = 1500",
        "partial_amount = 4",
    ] {
        let before = text.len();
        text = text.replacen(&format!("\n{line}\n"), "\n", 1);
        assert!(text.len() < before, "{line}");
    }
    let mut profile = read(&text).unwrap();
    assert_eq!(profile.lines, 1);
    profile.lines = 2;
    profile.network = read(TEMPLATE).unwrap().network;
    profile.header = vec![0x60, 0, 1, 0, 0];
    // What was written is told apart from what it means.
    profile.keys = read(TEMPLATE).unwrap().keys;
    assert_eq!(
        format!("{profile:?}"),
        format!("{:?}", read(TEMPLATE).unwrap())
    );
}

/// An element that is not in the match key need not be sent.
#[test]
fn a_bank_without_rrns_has_another_key() {
    let text = with("match_key = [7, 11, 37, 41]", "match_key = [7, 11, 41]");
    let profile = read(&text.replacen("37 = \"rrn\"\n", "", 1)).unwrap();
    assert!(
        message(&profile, OperationKind::Authorization)
            .source(37)
            .is_none()
    );
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
        ("unlisted = \"unclear\"", Meaning::UNCLEAR),
    ] {
        let codes = codes(&read(&with(line, to)).unwrap());
        assert_eq!(codes.meaning("Z9".parse().unwrap()), expected, "{to}");
        let partial = codes.meaning("32".parse().unwrap());
        assert_eq!(partial, Meaning::PARTLY_APPROVED, "{to}");
    }
}

/// Any answer acknowledges such a reversal; the answers to an authorization mean what they did.
#[test]
fn a_message_may_have_response_codes_of_its_own() {
    let own = "[messages.reversal.response_codes]\nstandard = false\nunlisted = \"taken\"\n\
               \"30\" = \"format_error\"\n\"Q4\" = \"original_unknown\"\n\n[messages.reversal.fields]";
    let profile = read(&with("[messages.reversal.fields]", own)).unwrap();
    let format_error = Meaning::declined(DeclineReason::FormatError);
    let pin_tries = Meaning::Declined {
        reason: DeclineReason::PinTriesExceeded,
        advice: DeclineAdvice::UseAnotherCard,
    };
    let declined = Meaning::declined(DeclineReason::DoNotHonour);
    for (code, of_authorization, of_reversal) in [
        ("05", declined, Meaning::Taken),
        ("30", format_error, format_error),
        (
            "Q4",
            Meaning::declined(DeclineReason::Other),
            Meaning::OriginalUnknown,
        ),
        // The profile's own table is behind the message's.
        ("75", pin_tries, pin_tries),
    ] {
        let code = code.parse().unwrap();
        assert_eq!(codes(&profile).meaning(code), of_authorization, "{code}");
        let reversal = message(&profile, OperationKind::Reversal);
        assert_eq!(reversal.response_codes.meaning(code), of_reversal, "{code}");
    }
}

/// Where a request is sent again, its answers mean what those to an advice do.
#[test]
fn a_request_that_is_repeated_has_the_codes_of_an_advice() {
    let advice = "[messages.void]\nstyle = \"advice\"\nmti = \"0420\"";
    let request = "[messages.void]\nstyle = \"request\"\nmti = \"0400\"\nunknown = ";
    let unavailable = Meaning::declined(DeclineReason::IssuerUnavailable);
    for (unknown, codes) in [
        (
            "\"repeat\"",
            [Meaning::UNCLEAR, Meaning::Again, Meaning::Taken],
        ),
        ("\"wait\"", [unavailable, unavailable, Meaning::DUPLICATE]),
    ] {
        let text = with(advice, &format!("{request}{unknown}"));
        let repeats = "[messages.void.repeats]\n";
        let text = text.replace(&format!("{repeats}mti = \"0421\"\n"), repeats);
        let profile = read(&text).unwrap();
        let void = message(&profile, OperationKind::Void);
        let meanings =
            ["68", "91", "94"].map(|code| void.response_codes.meaning(code.parse().unwrap()));
        assert_eq!(meanings, codes, "{unknown}");
    }
}

#[test]
fn response_codes_can_be_overridden() {
    let text = with(
        "\"75\" = { reason = \"pin_tries_exceeded\", advice = \"use_another_card\" }",
        "\"05\" = \"approved\"\n\"06\" = \"unclear\"\n\"Q1\" = \"suspected_fraud\"\n\
         \"Q2\" = \"partly_approved\"\n\"Q3\" = \"duplicate\"\n\
         \"91\" = { reason = \"issuer_unavailable\", advice = \"do_not_retry\" }",
    );
    let codes = codes(&read(&text).unwrap());
    for (code, expected) in [
        ("05", Meaning::Approved),
        ("06", Meaning::UNCLEAR),
        ("Q2", Meaning::PARTLY_APPROVED),
        ("Q3", Meaning::DUPLICATE),
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
    let names: Vec<&str> = profiles
        .iter()
        .map(|profile| profile.host_id.as_str())
        .collect();
    assert!(names.contains(&"acquirer"), "{names:?}");
    // Examples are no hosts to connect to, but they are profiles.
    assert!(!names.contains(&"nps"), "{names:?}");
    assert_eq!(
        load(Path::new("hosts/examples"), Path::new("."))
            .unwrap()
            .len(),
        3
    );
}
