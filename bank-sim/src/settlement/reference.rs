//! The acquirer's reference of an item (ARN): 23 digits.

use time::Date;

use super::item::{ItemKind, SettlementItem};

/// Counts the parts of one authorization, so that captures under one RRN have references of their own.
#[derive(Debug, Default)]
pub(super) struct Parts {
    last: Option<(String, ItemKind)>,
    /// How many items there were before this one under the same RRN.
    earlier: u32,
}

impl Parts {
    /// The reference of the next item in a list by RRN: 7, or a following digit for a further part; the institution;
    /// the year's last digit and the day of the year; the RRN without its first digit; a check digit (Luhn).
    pub(super) fn next(
        &mut self,
        item: &SettlementItem,
        date: Date,
        institution_id: &str,
    ) -> String {
        let key = Some((item.rrn.clone(), item.kind));
        self.earlier = if self.last == key {
            self.earlier + 1
        } else {
            0
        };
        self.last = key;
        let digits = |text: &str, width: usize| {
            let digits: String = text
                .bytes()
                .map(|byte| char::from(b'0' + byte % 16 % 10))
                .collect();
            let digits = format!("{digits:0>width$}");
            let begin = digits.len().saturating_sub(width);
            digits.get(begin..).unwrap_or_default().to_owned()
        };
        let part = (7 + self.earlier) % 10;
        let (institution, rrn) = (digits(institution_id, 6), digits(&item.rrn, 11));
        let (year, day) = (date.year().rem_euclid(10), date.ordinal());
        let reference = format!("{part}{institution}{year}{day:03}{rrn}");
        let check = check_digit(&reference);
        format!("{reference}{check}")
    }
}

/// The digit that makes the sum of Luhn a multiple of ten.
fn check_digit(digits: &str) -> u32 {
    let values = digits.chars().rev().filter_map(|digit| digit.to_digit(10));
    let sum: u32 = values
        .enumerate()
        .map(|(place, value)| match place % 2 {
            0 => value * 2 / 10 + value * 2 % 10,
            _ => value,
        })
        .sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn parts_of_one_authorization_have_references_of_their_own() {
        assert_eq!(check_digit("7992739871"), 3);
        let item = |rrn: &str| SettlementItem {
            acceptor: String::new(),
            terminal: String::new(),
            kind: ItemKind::Capture,
            rrn: rrn.to_owned(),
            approval_code: String::new(),
            card_masked: String::new(),
            currency_numeric: 978,
            amount_minor: 1,
            business_date: date!(2026 - 11 - 29),
            reconciled_with: None,
        };
        let mut parts = Parts::default();
        let references = ["633312000001", "633312000001", "63331200000B"].map(|rrn| {
            let reference = parts.next(&item(rrn), date!(2026 - 11 - 29), "400001");
            assert_eq!(reference.len(), 23);
            reference.get(..22).unwrap().to_owned()
        });
        let expected = [
            "7400001633333312000001",
            "8400001633333312000001",
            "7400001633333312000002",
        ];
        assert_eq!(references, expected);
    }
}
