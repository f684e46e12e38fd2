//! Network management: sign-on, sign-off, echo, cutover (0800 with DE 70; in ISO 8583:1993 1804 with DE 24).

use iso8583::Mti;

use crate::{message::BankMessage, response_code::ResponseCode};

/// DE 70 of a sign-on.
pub(crate) const SIGN_ON: &str = "001";
/// DE 70 of a sign-off.
pub(crate) const SIGN_OFF: &str = "002";
/// DE 70 of an echo test.
pub(crate) const ECHO: &str = "301";
/// DE 70 of a cutover.
pub(crate) const CUTOVER: &str = "201";
/// DE 70, and DE 24 of 1993 that says the same.
const FUNCTIONS: [(&str, &str); 4] = [
    (SIGN_ON, "801"),
    (SIGN_OFF, "802"),
    (ECHO, "831"),
    (CUTOVER, "821"),
];

/// A request of a host's own, without its STAN.
pub(crate) fn request(function: &str, is_of_1993: bool, sent_at: &str) -> BankMessage {
    let mut request;
    if is_of_1993 {
        let code = FUNCTIONS.iter().find(|(own, _)| *own == function);
        request = BankMessage::new(Mti::NETWORK_REQUEST_1993);
        request.set(24, code.map_or(function, |(_, code)| code));
    } else {
        request = BankMessage::new(Mti::NETWORK_REQUEST);
        request.set(70, function);
    }
    request.set(7, sent_at);
    request
}

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
    request.text(24).map(|code| {
        let function = FUNCTIONS.iter().find(|(_, known)| *known == code);
        function.map_or(code, |(function, _)| function)
    })
}
