use crate::hosts::message::contents::{CardFields, Original};
use crate::hosts::message::source::NamedSource;
use crate::hosts::profile::HostProfile;
use crate::hosts::tests::CARD;
use crate::hosts::tests::known::{merchant, operation, outgoing, template};
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;

use super::*;

fn authorization(profile: &HostProfile) -> &MessageProfile {
    profile.messages.get(OperationKind::Authorization).unwrap()
}

fn frame(profile: &HostProfile, card: CardFields<'_>) -> Vec<u8> {
    let (operation, merchant) = (operation(), merchant());
    let outgoing = Outgoing {
        card: Some(card),
        ..outgoing(&operation, &merchant)
    };
    Encoder::new()
        .encode(authorization(profile), profile.format(), outgoing)
        .unwrap()
        .to_vec()
}

fn hex(text: &str) -> Vec<u8> {
    iso8583::hex::decode(text.replace(char::is_whitespace, "")).unwrap()
}

#[test]
fn a_known_operation_has_known_bytes() {
    let mut expected = hex("60 0001 0000  01 00  72 3C 64 81 08 E1 80 00
         16 41 11 11 11 11 11 11 11
         00 00 00
         00 00 00 00 12 50
         11 21 10 15 30
         00 00 07
         10 15 30
         11 21
         27 12
         59 99
         02 76
         08 12
         59
         06 40 00 01");
    expected.extend(b"632500000006TERM0001ACCEPTOR0000001");
    expected.extend(b"Demo Shop                Berlin       DE");
    expected.extend(hex("00 07"));
    expected.extend(b"9203123");
    expected.extend(b"978");
    let length = u16::try_from(expected.len()).unwrap().to_be_bytes();
    let framed = [&length[..], &expected].concat();
    assert_eq!(frame(&template(), CARD), framed);
}

/// DE 30 and DE 56 of 1993: the original's amount, and what names the original.
#[test]
fn an_original_of_1993_is_named_as_that_edition_wants_it() {
    let text = include_str!("../../../../hosts/examples/own-numbers.toml")
        .replace("# The host's own numbers from its answer;", "\
            30 = { original_data = [\"amount\", \"no_amount\"] }\n\
            56 = { original_data = [\"mti\", \"stan\", \"local_date_time\", \"acquiring_institution_with_length\"] }\n#");
    let path = std::path::Path::new("acquirer.toml");
    let profile = crate::hosts::profile::load::parse(&text, path, path).unwrap();
    let (original, merchant) = (operation(), merchant());
    let original = Operation {
        mti: "1100".parse().unwrap(),
        sent: sent_elements(
            authorization(&profile),
            profile.format(),
            outgoing(&original, &merchant),
        )
        .unwrap(),
        ..original
    };
    let operation = Operation {
        sent: Vec::new(),
        reason: Some(Reason::TimeOut),
        ..original.clone()
    };
    let reversal = Outgoing {
        original: Some(Original::of(&original)),
        ..outgoing(&operation, &merchant)
    };
    let message = profile.messages.get(OperationKind::Reversal).unwrap();
    let bytes = Encoder::new()
        .encode(message, profile.format(), reversal)
        .unwrap();
    let message = profile.dialect.decode(&bytes[2..]).unwrap();
    let expected = [
        (24, "400"),
        (25, "4021"),
        (30, "000000001250000000000000"),
        (56, "110000000726112110153006000123"),
    ];
    for (de, expected) in expected {
        assert_eq!(message.text(de).as_deref(), Some(expected), "DE {de}");
    }
}

/// That less will do is said where the merchant says so; where it does not, another source may.
#[test]
fn a_host_is_told_that_less_will_do() {
    let text = include_str!("../../../../hosts/acquirer.toml").replacen(
        "25 = { literal = \"59\" }",
        "25 = { accepts_partial = \"58\", else = { literal = \"59\" } }",
        1,
    );
    let path = std::path::Path::new("acquirer.toml");
    let profile = crate::hosts::profile::load::parse(&text, path, path).unwrap();
    for (accepts_partial, additional, condition) in
        [(true, "610119203123", "58"), (false, "9203123", "59")]
    {
        let operation = Operation {
            accepts_partial,
            ..operation()
        };
        let merchant = merchant();
        let outgoing = Outgoing {
            card: Some(CARD),
            ..outgoing(&operation, &merchant)
        };
        let mut encoder = Encoder::new();
        let bytes = encoder.encode(authorization(&profile), profile.format(), outgoing);
        let bytes = bytes.unwrap();
        let message = profile.dialect.decode(&bytes[2..]).unwrap();
        assert_eq!(message.text(48).as_deref(), Some(additional));
        assert_eq!(message.text(25).as_deref(), Some(condition));
    }
}

#[test]
fn an_element_without_a_value_is_left_out() {
    let profile = template();
    let bytes = frame(&profile, CardFields { cvv: None, ..CARD });
    let message = profile.dialect.decode(&bytes[2..]).unwrap();
    assert!(!message.has(48));
    assert_eq!(message.text(2).as_deref(), Some("4111111111111111"));
}

#[test]
fn local_time_is_the_merchants_or_the_hosts() {
    let mut profile = template();
    let (operation, mut merchant) = (operation(), merchant());
    for (host, merchants, time, date) in [
        (None, "UTC", "101530", "1121"),
        (None, "Pacific/Kiritimati", "001530", "1122"),
        (Some("Asia/Kathmandu"), "UTC", "160030", "1121"),
    ] {
        profile.time_zone = host.and_then(crate::hosts::message::local_clock::time_zone);
        merchant.time_zone = merchants.into();
        let bytes = Encoder::new()
            .encode(
                authorization(&profile),
                profile.format(),
                outgoing(&operation, &merchant),
            )
            .unwrap();
        let message = profile.dialect.decode(&bytes[2..]).unwrap();
        assert_eq!(message.text(12).as_deref(), Some(time));
        assert_eq!(message.text(13).as_deref(), Some(date));
        assert_eq!(message.text(7).as_deref(), Some("1121101530"));
    }
}

#[test]
fn what_does_not_fit_is_an_error_and_leaves_nothing_behind() {
    let profile = template();
    let mut encoder = Encoder::new();
    let operation = operation();
    let good = merchant();
    let mut mcc = merchant();
    mcc.mcc = "59".into();
    let mut acceptor = merchant();
    acceptor.acceptor_id = "A".repeat(16);
    let table = [
        (&mcc, CARD, Some(18)),
        (&acceptor, CARD, Some(42)),
        (
            &good,
            CardFields {
                pan: "4111x",
                ..CARD
            },
            Some(2),
        ),
        (
            &good,
            CardFields {
                expiry_yymm: "12",
                ..CARD
            },
            Some(14),
        ),
    ];
    for (merchant, card, de) in table {
        let outgoing = Outgoing {
            card: Some(card),
            ..outgoing(&operation, merchant)
        };
        let error = encoder
            .encode(authorization(&profile), profile.format(), outgoing)
            .unwrap_err();
        assert!(
            matches!(&error, MessageError::Encode(error) if error.de == de),
            "{error}"
        );
        assert!(!error.to_string().contains(card.pan), "{error}");
        assert!(encoder.frame.is_empty() && encoder.subelements.is_empty());
    }
    let (message, format) = (authorization(&profile), profile.format());
    let long_terminal = Operation {
        terminal_id: "TERMINAL1".into(),
        ..operation
    };
    assert_eq!(
        request_key(message, format, &long_terminal, None),
        Err(MessageError::TerminalId { got: 9 })
    );
}

/// What the operation lacks is an error, and no message without it.
#[test]
fn a_message_is_not_built_without_what_it_names() {
    let mut profile = template();
    let (operation, merchant) = (operation(), merchant());
    let reversal = profile
        .messages
        .get(OperationKind::Reversal)
        .unwrap()
        .clone();
    let full = outgoing(&operation, &merchant);
    let mut nowhere = merchant.clone();
    nowhere.time_zone = "Europe/Atlantis".into();
    let no_zone = outgoing(&operation, &nowhere);
    let no_card = Outgoing { card: None, ..full };
    let got = "Europe/Atlantis".to_owned();
    for (outgoing, expected) in [
        (no_card, MessageError::NoCard),
        (full, MessageError::NoOriginal),
        (no_zone, MessageError::TimeZone { got }),
    ] {
        let error = Encoder::new().encode(&reversal, profile.format(), outgoing);
        assert_eq!(error.unwrap_err(), expected);
    }
    profile.minor_digits =
        crate::hosts::message::amount::MinorDigits::new([(operation.amount.currency(), 0)]);
    let error = Encoder::new().encode(authorization(&profile), profile.format(), full);
    assert_eq!(
        error.unwrap_err().to_string(),
        "DE 4: expected an amount that the host can read with 0 minor digits in its places, got \
         1250 minor units of EUR"
    );
    assert!(NamedSource::named("no_such_source").is_none());
}

#[test]
fn debug_shows_nothing_of_a_card() {
    let shown = format!("{CARD:?}");
    assert_eq!(
        shown,
        "CardFields { pan: \"***\", expiry_yymm: \"***\", cvv: Some(\"***\") }"
    );
}
