use crate::hosts::message::contents::CardFields;
use crate::hosts::profile::HostProfile;
use crate::hosts::tests::known::{merchant, operation, template};

use super::super::values::name_location;
use super::*;

const CARD: CardFields<'static> = CardFields {
    pan: "4111111111111111",
    expiry_yymm: "2712",
    cvv: Some("123"),
};

fn frame(profile: &HostProfile, card: CardFields<'_>) -> Vec<u8> {
    let contents = Contents {
        operation: &operation(),
        merchant: &merchant(),
        card: Some(card),
    };
    Encoder::new()
        .encode(&profile.authorization, profile.writing(), contents)
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

#[test]
fn an_element_without_a_value_is_left_out() {
    let profile = template();
    let bytes = frame(&profile, CardFields { cvv: None, ..CARD });
    let message = profile.dialect.decode(&bytes[2..]).unwrap();
    assert!(!message.has(48));
    assert_eq!(message.text(2).as_deref(), Some("4111111111111111"));
}

#[test]
fn local_time_follows_the_merchants_clock() {
    let mut profile = template();
    profile.utc_offset_minutes = 14 * 60;
    let bytes = frame(&profile, CARD);
    let message = profile.dialect.decode(&bytes[2..]).unwrap();
    // 10:15:30 UTC on 21 November is 00:15:30 on the 22nd.
    assert_eq!(message.text(12).as_deref(), Some("001530"));
    assert_eq!(message.text(13).as_deref(), Some("1122"));
    assert_eq!(message.text(7).as_deref(), Some("1121101530"));
}

#[test]
fn what_does_not_fit_is_an_error_and_leaves_nothing_behind() {
    let profile = template();
    let mut encoder = Encoder::new();
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
        let contents = Contents {
            operation: &operation(),
            merchant,
            card: Some(card),
        };
        let error = encoder
            .encode(&profile.authorization, profile.writing(), contents)
            .unwrap_err();
        assert!(
            matches!(&error, MessageError::Encode(error) if error.de == de),
            "{error}"
        );
        assert!(!error.to_string().contains(card.pan), "{error}");
        assert!(encoder.frame.is_empty() && encoder.subelements.is_empty());
    }
    let mut operation = operation();
    operation.terminal_id = "TERMINAL1".into();
    assert_eq!(
        request_key(&profile.authorization, &operation),
        Err(MessageError::TerminalId { got: 9 })
    );
}

#[test]
fn names_that_no_host_could_read_are_cut_and_replaced() {
    let mut merchant = merchant();
    merchant.name = "Müller & Söhne Bäckerei GmbH".into();
    merchant.city = "Neustadt am Rübenberge".into();
    let field = name_location(&merchant);
    assert_eq!(
        std::str::from_utf8(&field).unwrap(),
        "M?ller & S?hne B?ckerei GNeustadt am RDE"
    );
}

#[test]
fn debug_shows_nothing_of_a_card() {
    let shown = format!("{CARD:?}");
    assert_eq!(
        shown,
        "CardFields { pan: \"***\", expiry_yymm: \"***\", cvv: Some(\"***\") }"
    );
}
