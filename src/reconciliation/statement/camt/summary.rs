//! What a statement says of the number and the sums of its entries, against what they are.

use crate::payment::money::Currency;
use crate::reconciliation::statement::error::StatementError;
use crate::settlement::iso20022::entries::Element;
use crate::settlement::iso20022::error::Iso20022Fault;
use crate::settlement::iso20022::value::Value;

/// The most statements of numbers and sums that are kept: the standard has nine.
const MOST_SAID: usize = 16;

/// The entries as they came, and what was said of them before.
#[derive(Debug, Default)]
pub(super) struct Summary {
    said: Vec<(String, Element)>,
    credits: i128,
    credits_minor: i128,
    debits: i128,
    debits_minor: i128,
}

impl Summary {
    /// Takes an element of TxsSummry. Which currency it is in is not known yet.
    pub(super) fn take(&mut self, path: &str, element: &Element) {
        let is_checked = matches!(
            path,
            "TtlNtries/NbOfNtries"
                | "TtlNtries/Sum"
                | "TtlNtries/TtlNetNtryAmt"
                | "TtlNtries/TtlNetNtry/Amt"
                | "TtlCdtNtries/NbOfNtries"
                | "TtlCdtNtries/Sum"
                | "TtlDbtNtries/NbOfNtries"
                | "TtlDbtNtries/Sum"
        );
        if is_checked && self.said.len() < MOST_SAID {
            self.said.push((path.to_owned(), element.clone()));
        }
    }

    /// Counts an entry.
    pub(super) fn count(&mut self, entry_minor: i128, is_credit: bool) {
        if entry_minor > 0 || entry_minor == 0 && is_credit {
            self.credits += 1;
            self.credits_minor += entry_minor;
        } else {
            self.debits += 1;
            self.debits_minor -= entry_minor;
        }
    }

    /// Whether the entries are what was said of them.
    pub(super) fn check(&self, currency: Currency) -> Result<(), StatementError> {
        for (path, element) in &self.said {
            let position = element.position;
            let fault = |fault: Iso20022Fault| StatementError {
                position,
                fault: fault.into(),
            };
            let value = Value {
                element: &element.path,
                text: &element.text,
            };
            let (minor, count) = match path.split_once('/') {
                Some(("TtlCdtNtries", _)) => (self.credits_minor, self.credits),
                Some(("TtlDbtNtries", _)) => (self.debits_minor, self.debits),
                // The net amount has its direction in an element beside it.
                Some((_, "Sum" | "NbOfNtries")) => (
                    self.credits_minor + self.debits_minor,
                    self.credits + self.debits,
                ),
                _ => ((self.credits_minor - self.debits_minor).abs(), 0),
            };
            let (said, is): (i128, i128) = if path.ends_with("/NbOfNtries") {
                let said = value.parsed::<u64>("a number").map_err(fault)?;
                (said.into(), count)
            } else {
                (value.minor(currency).map_err(fault)?.into(), minor)
            };
            if said != is {
                let expected = format!("{is}, which the entries make");
                return Err(StatementError::value(
                    position,
                    &element.path,
                    expected,
                    said,
                ));
            }
        }
        Ok(())
    }
}
