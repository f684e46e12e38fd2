use iso8583::{Dialect, MessageBuilder, Mti};

use super::*;
use crate::hosts::tests::known::template;
use crate::payment::operation_kind::OperationKind;

const ASKED: AskedAmount = AskedAmount {
    amount_minor: 1250,
    currency: 978,
    partial_of_minor: None,
};

/// DE 39 | DE 4 | DE 49 | a further element | the outcome of an authorization | of a reversal.
/// `-`: not there. `?` becomes a byte that no element of text may hold. `+`: a byte behind the last element.
const ANSWERS: &str = "
00 | 000000001250 | 978 | 38 A1B2C3 | approved A1B2C3 | approved A1B2C3
00 | - | - | - | approved | approved
# Another amount, less or more or nothing, and another currency: never approved.
00 | 000000000500 | 978 | - | unclear AmountDiffers 000000000500 | unclear AmountDiffers 000000000500
00 | 000000000000 | 978 | - | unclear AmountDiffers 000000000000 | unclear AmountDiffers 000000000000
00 | 000000001251 | 978 | - | unclear AmountDiffers 000000001251 | unclear AmountDiffers 000000001251
00 | 000000001250 | 840 | - | unclear AmountDiffers 000000001250 | unclear AmountDiffers 000000001250
00 | 00000000125? | 978 | - | unclear AnswerNotUnderstood | unclear AnswerNotUnderstood
00 | 000000001250 | 97? | - | unclear AnswerNotUnderstood | unclear AnswerNotUnderstood
# Partial approvals, whatever amount they name.
10 | 000000000500 | 978 | - | unclear AmountDiffers 000000000500 | unclear AmountDiffers 000000000500
32 | 000000001250 | 978 | - | unclear AmountDiffers 000000001250 | unclear AmountDiffers 000000001250
87 | - | 978 | - | unclear AmountDiffers | unclear AmountDiffers
# A decline is one, with nothing, with what is available, with an amount that can't be read.
51 | 000000000000 | 978 | - | declined InsufficientFunds | declined InsufficientFunds
51 | 000000000500 | 978 | - | declined InsufficientFunds | declined InsufficientFunds
05 | 00000000125? | 978 | - | declined DoNotHonour | declined DoNotHonour
# A copy may be approved; and a bank that looks for a record was not asked for one.
94 | 000000001250 | 978 | - | unclear DuplicateAtBank | taken
94 | 000000000500 | 978 | - | unclear DuplicateAtBank | unclear AmountDiffers 000000000500
21 | 000000001250 | 978 | - | unclear AnswerNotUnderstood | unclear AnswerNotUnderstood
25 | 000000001250 | 978 | - | unclear AnswerNotUnderstood | original unknown
91 | 000000001250 | 978 | - | declined IssuerUnavailable | again
# Without a code that can be read nothing is known.
- | 000000001250 | 978 | - | unclear AnswerNotUnderstood | again
0? | 000000001250 | 978 | - | unclear AnswerNotUnderstood | again
# What decides nothing may be unreadable.
05 | 000000001250 | 978 | 44 M?NCHEN | declined DoNotHonour | declined DoNotHonour
00 | 000000001250 | 978 | 63 ?? | approved | approved
00 | 000000001250 | 978 | 38 A1B2C? | approved | approved
# Where elements don't end with the message, none is surely what it seems to be.
00 | 000000001250 | 978 | + | unclear AnswerNotUnderstood | again
05 | 000000001250 | 978 | + | unclear AnswerNotUnderstood | again
";

/// The bytes of an answer.
fn answer(code: &str, amount: &str, currency: &str, further: &str) -> Vec<u8> {
    // It writes what the strict dialect does not read.
    let lax = "name = \"lax\"\nbase = \"iso1987-ascii-hex\"\n\
               [fields]\n4.format = \"ans\"\n38.format = \"ans\"\n39.format = \"ans\"\n49.format = \"ans\"";
    let lax = Dialect::from_toml(lax).unwrap();
    let mut message = MessageBuilder::new(Mti::AUTHORIZATION_RESPONSE);
    for (de, value) in [(4, amount), (39, code), (49, currency)] {
        if value != "-" {
            message.text(de, value);
        }
    }
    if let Some((de, value)) = further.split_once(' ') {
        message.text(de.parse().unwrap(), value);
    }
    let mut bytes = Vec::new();
    lax.encode(&message, &mut bytes).unwrap();
    let unreadable = |byte: &mut u8| {
        if *byte == b'?' {
            *byte = 0xFC;
        }
    };
    bytes.iter_mut().for_each(unreadable);
    if further == "+" {
        bytes.push(b'0');
    }
    bytes
}

/// The outcome in short.
fn in_short(exchange: &Exchange) -> String {
    let text = match exchange {
        Exchange::Approved { approval, .. } => format!("approved {}", approval.approval_code),
        Exchange::Declined { decline, .. } => format!("declined {:?}", decline.reason),
        Exchange::Unclear { reason, kept, .. } => {
            let amount = kept.iter().find(|element| element.name == "4");
            let amount = amount.map_or("", |element| &element.value);
            format!("unclear {reason:?} {amount}")
        }
        Exchange::Taken { .. } => "taken".to_owned(),
        Exchange::OriginalUnknown { .. } => "original unknown".to_owned(),
        Exchange::Again { .. } => "again".to_owned(),
        other => format!("{other:?}"),
    };
    text.trim_end().to_owned()
}

#[test]
fn amount_code_and_unreadable_parts_have_one_meaning_each() {
    let profile = template();
    let dialect = Dialect::builtin("iso1987-ascii-hex").unwrap();
    let rows = ANSWERS
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'));
    for row in rows {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [code, amount, currency, further, authorization, reversal] = columns[..] else {
            panic!("{row}");
        };
        let bytes = answer(code, amount, currency, further);
        let decoded = dialect.decode(&bytes);
        let message = match &decoded {
            Ok(message) => message,
            Err(error) => error.partial().unwrap(),
        };
        for (kind, expected) in [
            (OperationKind::Authorization, authorization),
            (OperationKind::Reversal, reversal),
        ] {
            let sent = profile.messages.get(kind).unwrap();
            let outcome = outcome_of(message, sent, profile.subelements, ASKED, 900);
            assert_eq!(in_short(&outcome), expected, "{row}");
            assert_eq!(outcome.bank_us(), Some(900));
        }
    }
}

/// DE 39 | DE 4 | DE 49 | DE 54 | the outcome where the amount stands in DE 4 | where it stands in DE 54, type 57.
const PARTIAL_APPROVALS: &str = "
10 | 000000000500 | 978 | - | approved 500 | unclear AmountDiffers 000000000500
32 | 000000001249 | - | - | approved 1249 | unclear AmountDiffers 000000001249
10 | 000000001250 | 978 | 0057978C000000000500 | unclear AmountDiffers 000000001250 | approved 500
10 | - | 978 | 0057978D000000000001 | unclear AmountDiffers | approved 1
10 | - | 978 | 0002978C0000000099000057978C000000000500 | unclear AmountDiffers | approved 500
# Nothing, all, more, and what is of another currency, another type, twice there or no amount.
10 | 000000000000 | 978 | 0057978C000000000000 | unclear AmountDiffers 000000000000 | unclear AmountDiffers 000000000000
10 | 000000001250 | 978 | 0057978C000000001250 | unclear AmountDiffers 000000001250 | unclear AmountDiffers 000000001250
10 | 000000001251 | 978 | 0057978C000000001251 | unclear AmountDiffers 000000001251 | unclear AmountDiffers 000000001251
10 | 000000000500 | 840 | 0057978C000000000500 | unclear AmountDiffers 000000000500 | unclear AmountDiffers 000000000500
10 | 00000000050? | 978 | 0057840C000000000500 | unclear AmountDiffers | unclear AmountDiffers
10 | 000000000500 | 97? | 0056978C000000000500 | unclear AmountDiffers 000000000500 | unclear AmountDiffers 000000000500
10 | - | 978 | 0057978C0000000005000057978C000000000500 | unclear AmountDiffers | unclear AmountDiffers
10 | - | 978 | 0057978C00000000050 | unclear AmountDiffers | unclear AmountDiffers
10 | - | 978 | 0057978C00000000050X | unclear AmountDiffers | unclear AmountDiffers
# Only a code that says so approves a part.
00 | 000000000500 | 978 | - | unclear AmountDiffers 000000000500 | unclear AmountDiffers 000000000500
00 | 000000001250 | 978 | - | approved | approved
51 | 000000000500 | 978 | - | declined InsufficientFunds | declined InsufficientFunds
";

#[test]
fn less_than_was_asked_for_is_approved_where_the_merchant_takes_it() {
    let profile = template();
    let dialect = Dialect::builtin("iso1987-ascii-hex").unwrap();
    let asked = AskedAmount {
        partial_of_minor: Some(1250),
        ..ASKED
    };
    for row in PARTIAL_APPROVALS
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'))
    {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [code, amount, currency, additional, in_amount, in_additional] = columns[..] else {
            panic!("{row}");
        };
        let bytes = answer(
            code,
            amount,
            currency,
            &format!("54 {additional}").replace("54 -", "-"),
        );
        let decoded = dialect.decode(&bytes);
        let message = match &decoded {
            Ok(message) => message,
            Err(error) => error.partial().unwrap(),
        };
        for (partial_amount, expected) in [
            (PartialAmount::Amount, in_amount),
            (PartialAmount::Additional(*b"57"), in_additional),
        ] {
            let kind = OperationKind::Authorization;
            let sent = MessageProfile {
                partial_amount,
                ..profile.messages.get(kind).unwrap().clone()
            };
            let outcome = outcome_of(message, &sent, profile.subelements, asked, 900);
            let shown = match &outcome {
                Exchange::Approved { approval, .. } => match approval.partial_minor {
                    Some(minor) => format!("approved {minor}"),
                    None => "approved".to_owned(),
                },
                other => in_short(other),
            };
            assert_eq!(shown, expected, "{row}");
        }
    }
}

/// A host says by an element that something was wrong, whatever it holds.
#[test]
fn an_approval_with_an_error_element_is_none() {
    let profile = template();
    let dialect = Dialect::builtin("iso1987-ascii-hex").unwrap();
    for (code, kind) in [
        ("00", OperationKind::Authorization),
        ("00", OperationKind::Reversal),
        ("94", OperationKind::Reversal),
    ] {
        let sent = MessageProfile {
            error_element: Some(44),
            ..profile.messages.get(kind).unwrap().clone()
        };
        for further in ["44 A022", "44 A0?2"] {
            let bytes = answer(code, "-", "-", further);
            let decoded = dialect.decode(&bytes);
            let message = match &decoded {
                Ok(message) => message,
                Err(error) => error.partial().unwrap(),
            };
            let outcome = outcome_of(message, &sent, profile.subelements, ASKED, 900);
            let expected = "unclear AnswerNotUnderstood";
            assert_eq!(in_short(&outcome), expected, "{further}");
        }
    }
}
