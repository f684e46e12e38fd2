//! The test cards and the amounts that provoke an answer: one table each.
//!
//! Every number is from a range that card schemes and processors publish for tests. None of them can
//! be charged anywhere.

use crate::response_code::ResponseCode;

/// How a payment with a test card ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardBehaviour {
    /// Approved, from balances that no load test exhausts.
    Approve,
    /// Declined with 51: its accounts are empty.
    InsufficientFunds,
    /// Declined with 54: it expired in 12/2020.
    Expired,
    /// Declined with 41.
    Lost,
    /// Declined with 43.
    Stolen,
    /// Declined with 62.
    Blocked,
    /// Declined with N7 whatever CVV2 is sent; approved when none is sent.
    WrongCvv,
    /// Declined with 61 above 100.00 in a currency with two decimals (100 in JPY, 100.000 in KWD).
    OverLimit,
    /// Approved up to 500.00 in a currency with two decimals (500 in JPY, 500.000 in KWD). Above it so much is approved
    /// with 10, whether or not the merchant takes a part.
    ApprovesPart,
    /// Approved and held, but the answer is late (by default 6 s, later than a switch waits).
    AnswerLate,
    /// Approved and held, but the answer is never sent.
    NoAnswer,
    /// Its issuer cannot be reached: the acquirer answers 91 at once.
    IssuerDown,
}

/// One test card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestCard {
    /// The card number. It is printed in clear on purpose: it is public and worthless.
    pub pan: &'static str,
    /// The name of the issuer that holds it.
    pub issuer: &'static str,
    /// How a payment with it ends.
    pub behaviour: CardBehaviour,
    /// Its expiry date as DE 14 has it: `YYMM`.
    pub expiry_yymm: &'static str,
    /// Its CVV2: three digits, four on an Amex.
    pub cvv2: &'static str,
    /// Its PIN.
    pub pin: &'static str,
    /// DE 39 of the answer to an ordinary payment with expiry 12/2030 and the CVV2 above; `None` when
    /// no answer comes in time.
    pub response_code: Option<ResponseCode>,
}

/// The name of the issuer that speaks through this project's codec.
pub const ISSUER_A: &str = "issuer-a";
/// The name of the issuer that speaks through `iso8583_rs`.
pub const ISSUER_B: &str = "issuer-b";
/// The name of the issuer that is never there.
pub const ISSUER_DOWN: &str = "issuer-down";
/// Which BINs lead to which issuer; the longest prefix wins.
pub const BIN_ROUTES: &[(&str, &str)] = &[
    ("4", ISSUER_A),
    ("5", ISSUER_B),
    ("2", ISSUER_B),
    ("34", ISSUER_B),
    ("37", ISSUER_B),
    ("6011", ISSUER_DOWN),
];

/// The expiry that goes with every test card, `YYMM`.
pub const TEST_EXPIRY_YYMM: &str = "3012";

const fn card(
    pan: &'static str,
    issuer: &'static str,
    behaviour: CardBehaviour,
    response_code: Option<ResponseCode>,
) -> TestCard {
    TestCard {
        pan,
        issuer,
        behaviour,
        expiry_yymm: match behaviour {
            CardBehaviour::Expired => "2012",
            _ => TEST_EXPIRY_YYMM,
        },
        cvv2: if pan.len() == 15 { "1234" } else { "123" },
        pin: "1234",
        response_code,
    }
}

/// Every test card.
pub const TEST_CARDS: &[TestCard] = {
    use CardBehaviour as B;
    use ResponseCode as R;
    &[
        card("4111111111111111", ISSUER_A, B::Approve, Some(R::APPROVED)),
        card("4242424242424242", ISSUER_A, B::Approve, Some(R::APPROVED)),
        card("5555555555554444", ISSUER_B, B::Approve, Some(R::APPROVED)),
        card("5105105105105100", ISSUER_B, B::Approve, Some(R::APPROVED)),
        card("2223003122003222", ISSUER_B, B::Approve, Some(R::APPROVED)),
        card("378282246310005", ISSUER_B, B::Approve, Some(R::APPROVED)),
        card(
            "4000000000009995",
            ISSUER_A,
            B::InsufficientFunds,
            Some(R::INSUFFICIENT_FUNDS),
        ),
        card(
            "4000000000000069",
            ISSUER_A,
            B::Expired,
            Some(R::EXPIRED_CARD),
        ),
        card("4000000000009987", ISSUER_A, B::Lost, Some(R::LOST_CARD)),
        card(
            "4000000000009979",
            ISSUER_A,
            B::Stolen,
            Some(R::STOLEN_CARD),
        ),
        card(
            "4000000000006207",
            ISSUER_A,
            B::Blocked,
            Some(R::RESTRICTED_CARD),
        ),
        card(
            "4000000000000127",
            ISSUER_A,
            B::WrongCvv,
            Some(R::CVV_MISMATCH),
        ),
        card(
            "4000000000006108",
            ISSUER_A,
            B::OverLimit,
            Some(R::EXCEEDS_LIMIT),
        ),
        card(
            "4000000000006710",
            ISSUER_A,
            B::ApprovesPart,
            Some(R::APPROVED),
        ),
        card("4000000000006009", ISSUER_A, B::AnswerLate, None),
        card("4000000000009912", ISSUER_A, B::NoAnswer, None),
        card(
            "6011111111111117",
            ISSUER_DOWN,
            B::IssuerDown,
            Some(R::INOPERATIVE),
        ),
    ]
};

/// One row of the amount table: the last three digits of an amount in minor units, and the DE 39
/// that they provoke on a card that would otherwise be approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvokingAmount {
    /// The last three digits: `605` stands for 6.05, 16.05, 106.05 ...
    pub last_three_digits: u16,
    /// The answer.
    pub response_code: ResponseCode,
    /// The meaning of the code.
    pub meaning: &'static str,
}

const fn amount(last_three_digits: u16, code: [u8; 2], meaning: &'static str) -> ProvokingAmount {
    let response_code = match ResponseCode::new(code) {
        Some(code) => code,
        None => ResponseCode::SYSTEM_MALFUNCTION,
    };
    ProvokingAmount {
        last_three_digits,
        response_code,
        meaning,
    }
}

/// Every amount that provokes an answer: 6NN provokes NN, and 687 the letter code N7.
///
/// 600, 650, 690, 695 and 699 are never in it: they end ordinary prices.
pub const PROVOKING_AMOUNTS: &[ProvokingAmount] = &[
    amount(601, *b"01", "refer to card issuer"),
    amount(602, *b"02", "refer to card issuer, special condition"),
    amount(603, *b"03", "invalid merchant"),
    amount(604, *b"04", "pick up card"),
    amount(605, *b"05", "do not honour"),
    amount(606, *b"06", "error"),
    amount(612, *b"12", "invalid transaction"),
    amount(613, *b"13", "invalid amount"),
    amount(614, *b"14", "invalid card number"),
    amount(615, *b"15", "no such issuer"),
    amount(619, *b"19", "re-enter transaction"),
    amount(630, *b"30", "format error"),
    amount(639, *b"39", "no credit account"),
    amount(641, *b"41", "lost card"),
    amount(643, *b"43", "stolen card"),
    amount(646, *b"46", "closed account"),
    amount(651, *b"51", "not sufficient funds"),
    amount(652, *b"52", "no checking account"),
    amount(654, *b"54", "expired card"),
    amount(655, *b"55", "incorrect PIN"),
    amount(657, *b"57", "transaction not permitted to cardholder"),
    amount(658, *b"58", "transaction not permitted to terminal"),
    amount(659, *b"59", "suspected fraud"),
    amount(661, *b"61", "exceeds amount limit"),
    amount(662, *b"62", "restricted card"),
    amount(663, *b"63", "security violation"),
    amount(665, *b"65", "exceeds frequency limit"),
    amount(668, *b"68", "response received too late"),
    amount(675, *b"75", "PIN tries exceeded"),
    amount(678, *b"78", "no account"),
    amount(679, *b"79", "life cycle"),
    amount(683, *b"83", "fraud or security"),
    amount(687, *b"N7", "CVV2 mismatch"),
    amount(691, *b"91", "issuer or switch inoperative"),
    amount(694, *b"94", "duplicate transmission"),
    amount(696, *b"96", "system malfunction"),
];

/// The answer that an amount provokes, or `None` for an ordinary amount.
#[must_use]
pub fn provoked_by(amount_minor: i64) -> Option<ResponseCode> {
    let last_three_digits = u16::try_from(amount_minor.checked_rem(1000)?).ok()?;
    PROVOKING_AMOUNTS
        .iter()
        .find(|row| row.last_three_digits == last_three_digits)
        .map(|row| row.response_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes_luhn(pan: &str) -> bool {
        let sum: u32 = pan
            .bytes()
            .rev()
            .enumerate()
            .map(|(place, byte)| {
                let digit = u32::from(byte - b'0');
                match (place % 2, digit) {
                    (0, digit) => digit,
                    (_, digit) if digit > 4 => 2 * digit - 9,
                    (_, digit) => 2 * digit,
                }
            })
            .sum();
        sum.is_multiple_of(10)
    }

    #[test]
    fn every_test_card_passes_the_luhn_check_and_is_listed_once() {
        for card in TEST_CARDS {
            assert!(passes_luhn(card.pan), "{}", card.pan);
            let listed = TEST_CARDS
                .iter()
                .filter(|other| other.pan == card.pan)
                .count();
            assert_eq!(listed, 1, "{}", card.pan);
        }
    }

    #[test]
    fn every_test_card_is_routed_to_its_issuer() {
        for card in TEST_CARDS {
            let issuer = BIN_ROUTES
                .iter()
                .filter(|(bin, _)| card.pan.starts_with(bin))
                .max_by_key(|(bin, _)| bin.len())
                .map(|(_, issuer)| *issuer);
            assert_eq!(issuer, Some(card.issuer), "{}", card.pan);
        }
    }

    #[test]
    fn an_amount_provokes_the_code_that_its_digits_spell() {
        for row in PROVOKING_AMOUNTS {
            let spelt = if row.last_three_digits == 687 {
                "N7".to_owned()
            } else {
                format!("{:02}", row.last_three_digits - 600)
            };
            assert_eq!(row.response_code.as_str(), spelt);
            assert_eq!(
                provoked_by(i64::from(row.last_three_digits)),
                Some(row.response_code)
            );
            assert_eq!(
                provoked_by(1_234_000 + i64::from(row.last_three_digits)),
                Some(row.response_code)
            );
        }
    }

    #[test]
    fn ordinary_prices_provoke_nothing() {
        for amount_minor in [
            0, 1, 99, 600, 650, 690, 695, 699, 1_600, 12_695, 1_000, 505, -605,
        ] {
            assert_eq!(provoked_by(amount_minor), None, "{amount_minor}");
        }
    }
}
