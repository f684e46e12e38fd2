//! Network management: sign-on, sign-off, echo (0800, DE 70).

use crate::{message::BankMessage, response_code::ResponseCode};

/// DE 70 of a sign-on.
pub(crate) const SIGN_ON: &str = "001";
/// DE 70 of a sign-off.
pub(crate) const SIGN_OFF: &str = "002";
/// DE 70 of an echo test.
pub(crate) const ECHO: &str = "301";

/// Answers a network management request and changes whether this line is signed on.
///
/// Each line signs on for itself: a line that was opened again must do it again. Echo is answered
/// with or without a sign-on, so that a dead line can be told from one that is signed off.
pub(crate) fn decide(request: &BankMessage, is_signed_on: &mut bool) -> ResponseCode {
    match request.text(70) {
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
