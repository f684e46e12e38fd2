//! Network management: sign-on, sign-off, echo (0800 with DE 70; in ISO 8583:1993 1804 with DE 24).

use crate::{message::BankMessage, response_code::ResponseCode};

/// DE 70 of a sign-on.
pub(crate) const SIGN_ON: &str = "001";
/// DE 70 of a sign-off.
pub(crate) const SIGN_OFF: &str = "002";
/// DE 70 of an echo test.
pub(crate) const ECHO: &str = "301";
/// DE 24 of an echo test, in 1993.
pub(crate) const ECHO_1993: &str = "831";

/// Answers a network management request and changes whether this line is signed on.
///
/// Each line signs on for itself: a line that was opened again must do it again. Echo is answered
/// with or without a sign-on, so that a dead line can be told from one that is signed off.
pub(crate) fn decide(request: &BankMessage, is_signed_on: &mut bool) -> ResponseCode {
    match function(request) {
        Some(SIGN_ON) => {
            *is_signed_on = true;
            ResponseCode::APPROVED
        }
        Some(SIGN_OFF) => {
            *is_signed_on = false;
            ResponseCode::APPROVED
        }
        Some(ECHO) => ResponseCode::APPROVED,
        Some(_) => ResponseCode::INVALID_TRANSACTION,
        None => ResponseCode::FORMAT_ERROR,
    }
}

/// DE 70 of a request, or what DE 24 of 1993 says in its stead.
pub(crate) fn function(request: &BankMessage) -> Option<&str> {
    if !request.is_of_1993() {
        return request.text(70);
    }
    request.text(24).map(|function| match function {
        "801" => SIGN_ON,
        "802" => SIGN_OFF,
        ECHO_1993 => ECHO,
        other => other,
    })
}
