//! A switch that speaks to the acquirer as NPS wants it, and what the issuers behind get to see.

use iso8583::{Mti, mti::Class};

use crate::{
    config::HostRules,
    issuer::{MessageKind, cvv2},
    message::BankMessage,
};

/// A message of NPS as the other hosts say it: it posts by 0220, DE 3 tells no completion, and DE 48 has nothing but
/// the CVV2 in the other layout. DE 90 is the sender's matter.
pub(super) fn in_standard_terms(request: &BankMessage) -> BankMessage {
    let mti = match MessageKind::at(request.mti(), HostRules::Nps) {
        Some(MessageKind::FinancialAdvice) if request.mti().class() == Class::Authorization => {
            Mti::FINANCIAL_ADVICE
        }
        _ => request.mti(),
    };
    let mut message = request.clone();
    message.set_mti(mti);
    if let Some(rest) = request.text(3).and_then(|code| code.strip_prefix("03")) {
        message.set(3, format!("00{rest}"));
    }
    message.unset(39);
    message.unset(48);
    if let Ok(Some(cvv2)) = cvv2(request, HostRules::Nps) {
        message.set(48, format!("92{:02}{cvv2}", cvv2.len()));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_becomes_one_of_the_other_hosts() {
        let mut request = BankMessage::new(Mti::AUTHORIZATION_ADVICE);
        request.set(3, "030000");
        request.set(39, "68");
        request.set(48, "05000201051003123");
        let message = in_standard_terms(&request);
        assert_eq!(message.mti(), Mti::FINANCIAL_ADVICE);
        assert_eq!(message.text(3), Some("000000"));
        assert_eq!(message.get(39), None);
        assert_eq!(message.text(48), Some("9203123"));
    }
}
