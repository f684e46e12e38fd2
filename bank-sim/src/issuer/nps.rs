//! The rules of a host like NPS for reversals: they go under the original's STAN and RRN, with the original's local
//! time in DE 90, a reason in DE 39, and no repeat message type.

use iso8583::{Mti, mti::Class};

use crate::{
    config::HostRules,
    message::{BankMessage, ECHOED_DES},
    outcome::Outcome,
    response_code::ResponseCode,
};

/// What every reversal has.
const MANDATORY: &[u8] = &[
    2, 3, 4, 7, 11, 12, 13, 18, 19, 22, 25, 32, 37, 39, 41, 42, 43, 48, 49, 61, 90,
];
/// What no reversal may have.
const FORBIDDEN: &[u8] = &[14, 35, 45, 52];
/// Time-out, terminal failure, void.
const REASONS: &[&str] = &["68", "21", "22", "17"];

/// Why a reversal is not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The message type is not known.
    MessageType,
    /// An element is missing or wrong: answered with CA, and the element in DE 44.
    Element(u8),
    /// An element is forbidden: answered with 00, and the element in DE 44; to be settled by hand.
    Forbidden(u8),
}

/// The answer to a reversal that a host with these rules does not execute; `None` when it does.
pub(crate) fn refuse(message: &BankMessage, rules: HostRules) -> Option<Outcome> {
    if rules != HostRules::Nps || message.mti().class() != Class::Reversal {
        return None;
    }
    let fault = check(message).err()?;
    let (code, de) = match fault {
        Fault::MessageType => (ResponseCode::INVALID_TRANSACTION, None),
        Fault::Element(de) => (ResponseCode::ACQUIRER_FORMAT_ERROR, Some(de)),
        Fault::Forbidden(de) => (ResponseCode::APPROVED, Some(de)),
    };
    tracing::warn!(
        stan = message.text(11).unwrap_or("?"),
        ?fault,
        "a reversal was not executed"
    );
    let Some(mut answer) = message.answer(ECHOED_DES, code) else {
        return Some(Outcome::Nothing);
    };
    if let Some(de) = de {
        answer.set(44, format!("A{de:03}"));
    }
    Some(Outcome::Answer(answer))
}

/// Checks each element of a reversal.
fn check(reversal: &BankMessage) -> Result<(), Fault> {
    if reversal.mti() != Mti::REVERSAL_ADVICE {
        return Err(Fault::MessageType);
    }
    let is_there = |de: &&u8| reversal.get(**de).is_some();
    if let Some(missing) = MANDATORY.iter().find(|de| !is_there(de)) {
        return Err(Fault::Element(*missing));
    }
    if let Some(forbidden) = FORBIDDEN.iter().find(is_there) {
        return Err(Fault::Forbidden(*forbidden));
    }
    let text = |de| reversal.text(de).unwrap_or_default();
    if !REASONS.contains(&text(39)) {
        return Err(Fault::Element(39));
    }
    // Message type, then STAN, time and date, which the reversal has too.
    let original = text(90);
    if original.get(4..20) != Some(&*format!("{}{}{}", text(11), text(12), text(13))) {
        return Err(Fault::Element(90));
    }
    // Institutions on the right, zeros before them.
    if original.get(20..31) != Some(&*format!("{:0>11}", text(32))) {
        return Err(Fault::Element(90));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reversal() -> BankMessage {
        let mut message = BankMessage::new(Mti::REVERSAL_ADVICE);
        for de in MANDATORY {
            message.set(*de, "1");
        }
        message.set(11, "000007");
        message.set(12, "120000");
        message.set(13, "1128");
        message.set(32, "400002");
        message.set(39, "68");
        message.set(90, "010000000712000011280000040000200000000000");
        message
    }

    #[test]
    fn each_element_is_checked() {
        assert_eq!(check(&reversal()), Ok(()));
        for de in MANDATORY {
            let mut message = reversal();
            message.unset(*de);
            assert_eq!(check(&message), Err(Fault::Element(*de)));
        }
        for de in FORBIDDEN {
            let mut message = reversal();
            message.set(*de, "1");
            assert_eq!(check(&message), Err(Fault::Forbidden(*de)));
        }
        for (de, value, named) in [
            (11, "000008", 90),
            (12, "120001", 90),
            (32, "400003", 90),
            (39, "98", 39),
        ] {
            let mut message = reversal();
            message.set(de, value);
            assert_eq!(check(&message), Err(Fault::Element(named)), "{de}");
        }
        let mut repeat = BankMessage::new("0421".parse().unwrap());
        repeat.set(11, "000007");
        assert_eq!(check(&repeat), Err(Fault::MessageType));
    }
}
