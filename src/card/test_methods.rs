//! Test payment methods: tokens that stand for the simulated banks' test cards.
//!
//! They are taken only where the configuration says that it is a test environment. The numbers are
//! from ranges that schemes and processors publish for tests; none of them can be charged.

use super::pan::{Card, Cvv, Expiry, InvalidCard, Pan};

/// One test payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestMethod {
    /// What a merchant sends as `payment_method_token`.
    pub token: &'static str,
    /// The card number. It is in clear on purpose: it is public and worthless.
    pub pan: &'static str,
    /// The expiry date, YYMM.
    pub expiry_yymm: &'static str,
    /// The card verification value.
    pub cvv: &'static str,
    /// What becomes of an ordinary payment with it.
    pub outcome: &'static str,
}

const fn method(token: &'static str, pan: &'static str, outcome: &'static str) -> TestMethod {
    TestMethod {
        token,
        pan,
        expiry_yymm: "3012",
        // An American Express card has 15 digits and a four-digit value.
        cvv: if pan.len() == 15 { "1234" } else { "123" },
        outcome,
    }
}

/// Every test payment method. The numbers are those of the simulated banks' own table.
pub const TEST_METHODS: &[TestMethod] = &[
    method("pm_test_visa", "4242424242424242", "approved by issuer-a"),
    method("pm_test_visa_2", "4111111111111111", "approved by issuer-a"),
    method(
        "pm_test_mastercard",
        "5555555555554444",
        "approved by issuer-b",
    ),
    method(
        "pm_test_mastercard_2",
        "5105105105105100",
        "approved by issuer-b",
    ),
    method(
        "pm_test_mastercard_2_series",
        "2223003122003222",
        "approved by issuer-b",
    ),
    method("pm_test_amex", "378282246310005", "approved by issuer-b"),
    method(
        "pm_test_insufficient_funds",
        "4000000000009995",
        "declined with 51",
    ),
    method("pm_test_expired", "4000000000000069", "declined with 54"),
    method("pm_test_lost", "4000000000009987", "declined with 41"),
    method("pm_test_stolen", "4000000000009979", "declined with 43"),
    method("pm_test_blocked", "4000000000006207", "declined with 62"),
    method("pm_test_wrong_cvv", "4000000000000127", "declined with N7"),
    method(
        "pm_test_over_limit",
        "4000000000006108",
        "declined with 61 above 100.00",
    ),
    method(
        "pm_test_partial_approval",
        "4000000000006710",
        "approved for 500.00 at most",
    ),
    method(
        "pm_test_late_answer",
        "4000000000006009",
        "approved too late: pending",
    ),
    method(
        "pm_test_no_answer",
        "4000000000009912",
        "never answered: pending",
    ),
    method(
        "pm_test_issuer_down",
        "6011111111111117",
        "declined with 91",
    ),
];

/// The test payment methods as the configuration has them: taken, or none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestPaymentMethods {
    accepted: bool,
}

impl TestPaymentMethods {
    /// All of them when `accepted`, in a test environment, else none.
    #[must_use]
    pub const fn new(accepted: bool) -> Self {
        Self { accepted }
    }

    /// The card that `token` stands for; `None` for an unknown token, and for every token where this
    /// is no test environment.
    #[must_use]
    pub fn card(self, token: &str) -> Option<Card> {
        let method = TEST_METHODS
            .iter()
            .find(|method| self.accepted && method.token == token)?;
        method.card().ok()
    }
}

impl TestMethod {
    /// Its card.
    ///
    /// # Errors
    /// Never for a method of [`TEST_METHODS`], which a test checks.
    pub fn card(&self) -> Result<Card, InvalidCard> {
        Ok(Card {
            pan: Pan::from_digits(self.pan)?,
            expiry: Expiry::from_yymm(self.expiry_yymm)?,
            cvv: Some(Cvv::from_digits(self.cvv)?),
            holder: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_stands_for_one_card() {
        let methods = TestPaymentMethods::new(true);
        for method in TEST_METHODS {
            let card = methods.card(method.token).unwrap();
            assert_eq!(card.pan.digits(), method.pan);
            assert!(method.token.starts_with("pm_test_"));
            for same in [
                TEST_METHODS
                    .iter()
                    .filter(|m| m.token == method.token)
                    .count(),
                TEST_METHODS.iter().filter(|m| m.pan == method.pan).count(),
            ] {
                assert_eq!(same, 1, "{}", method.token);
            }
        }
    }

    #[test]
    fn outside_a_test_environment_there_are_none() {
        let none = TestPaymentMethods::new(false);
        assert!(
            TEST_METHODS
                .iter()
                .all(|method| none.card(method.token).is_none())
        );
        assert!(
            TestPaymentMethods::new(true)
                .card("pm_test_unknown")
                .is_none()
        );
    }
}
