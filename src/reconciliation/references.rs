//! The payouts that a line names.

use std::collections::BTreeSet;

use crate::payment::bank_statement::BankLine;
use crate::payment::ids::PayoutId;
use crate::settlement::pain001::payout_id;

/// How a payout's reference begins at a bank.
const BEGINS: &str = "out-";
/// How long it is.
const LENGTH: usize = 30;
/// The most payouts that are looked for in the text of one line.
const MOST: usize = 16;

/// The payouts that a line names: in its reference, or in its text. A bank folds a text into lines, and writes it in
/// capital letters.
#[must_use]
pub fn payouts_named(line: &BankLine) -> BTreeSet<PayoutId> {
    let mut found = BTreeSet::new();
    let own = line.own_reference.as_deref().unwrap_or("");
    if let Ok(id) = payout_id(&own.to_ascii_lowercase()).parse() {
        found.insert(id);
        return found;
    }
    let text = line.text.as_deref().unwrap_or("");
    let text = format!("{own} {}", unfolded(text)).to_ascii_lowercase();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(BEGINS).filter(|_| found.len() < MOST) {
        let named = rest.get(at..).unwrap_or("");
        let reference = named.get(..LENGTH).unwrap_or("");
        if let Ok(id) = payout_id(reference).parse() {
            found.insert(id);
        }
        rest = named.get(BEGINS.len()..).unwrap_or("");
    }
    found
}

/// A text without the ends of its lines, and without the marks of the parts that banks make of `:86:`, such as `?21`.
fn unfolded(text: &str) -> String {
    let mut unfolded = String::with_capacity(text.len());
    let mut letters = text.chars().filter(|letter| *letter != '\n').peekable();
    while let Some(letter) = letters.next() {
        let is_mark = letter == '?' && letters.peek().is_some_and(char::is_ascii_digit);
        if is_mark {
            letters.next();
            letters.next_if(char::is_ascii_digit);
        } else {
            unfolded.push(letter);
        }
    }
    unfolded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconciliation::tests::line;

    #[test]
    fn a_payout_is_found_wherever_a_bank_puts_it() {
        let id: PayoutId = "out_06e9x3w8k1z7h4n2m5q0r8t6va".parse().unwrap();
        let reference = "out-06e9x3w8k1z7h4n2m5q0r8t6va";
        let capitals = reference.to_ascii_uppercase();
        let (first, second) = capitals.split_at(12);
        for (own, text) in [
            (Some(reference), None),
            (Some(capitals.as_str()), None),
            (Some("NONE"), Some(format!("EREF+{capitals}"))),
            (
                None,
                Some(format!(
                    "166?00SEPA?20EREF+{first}\n?21{second}?22SVWZ+PAYOUT"
                )),
            ),
            (
                None,
                Some(format!("out-x {first}\n{second} twice {capitals}")),
            ),
        ] {
            let mut line = line(-100);
            line.own_reference = own.map(str::to_owned);
            line.text = text;
            assert_eq!(payouts_named(&line), BTreeSet::from([id]), "{line:?}");
        }
        let mut other = line(-100);
        other.text = Some(format!("out-{}", "\u{e9}".repeat(40)));
        assert!(payouts_named(&other).is_empty());
    }
}
