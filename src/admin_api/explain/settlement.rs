//! How the captures, refunds and chargebacks of a payment are settled, a sentence or a few for each.

use super::words::{Labels, amount};
use crate::payment::difference::DifferenceKind;
use crate::payment::settlement::BatchState;
use crate::store::reads::explain::PaymentRecords;
use crate::store::reads::explained_items::{ExplainedItem, ItemInReport};

/// How each item of a payment is settled, in the order in which they counted.
pub(super) fn settled(records: &PaymentRecords) -> Vec<String> {
    let labels = Labels::of(&records.operations);
    let items = records.settled.iter();
    items
        .map(|item| sentence(labels.get(item.operation_id), item))
        .collect()
}

fn sentence(label: &str, item: &ExplainedItem) -> String {
    let settlement = &item.settlement;
    let stands = match settlement.batch_state {
        BatchState::Open => "of the day that is open",
        state => state.name(),
    };
    let mut text = format!(
        "The {label} of {} is settled with {} under the date {}, in batch {}: {stands}.",
        item.amount, item.host_id, settlement.business_date, settlement.batch_id
    );
    let currency = item.amount.currency().code();
    if let Some(fees) = item.fees {
        text += &format!(" It costs {}.", amount(fees.total(), currency));
    }
    if let Some(report) = &item.report {
        let reference = settlement.acquirer_reference.as_deref();
        text += &reported(report, reference, currency);
    }
    if let Some(payout) = &item.payout {
        let reference = payout
            .bank_reference
            .as_ref()
            .map_or_else(String::new, |reference| {
                format!(", by the bank under {reference} (UTR)")
            });
        let (id, state) = (payout.id, payout.state.name());
        text +=
            &format!(" The payout that took what was available then is {id}: {state}{reference}.");
    }
    text
}

/// What the bank's report says of an item.
fn reported(report: &ItemInReport, reference: Option<&str>, currency: &str) -> String {
    let name = &report.name;
    let mut text = match report.has_it {
        true => format!(" The bank's report {name} has it"),
        false => format!(" The bank's report {name} does not have it"),
    };
    if let Some(reference) = reference {
        text += &format!(", as {reference} (ARN)");
    }
    for (what, minor) in [
        ("interchange", report.interchange_minor),
        ("scheme fee", report.scheme_fee_minor),
        ("commission", report.commission_minor),
    ] {
        if let Some(minor) = minor {
            text += &format!(", {what} {}", amount(minor, currency));
        }
    }
    if let Some(code) = &report.reject_code {
        text += &format!(", and rejects it with {code}");
    }
    text.push('.');
    for (kind, ours, theirs) in &report.differences {
        let shown = |value: &Option<String>| match (kind, value) {
            (_, None) => "nothing".to_owned(),
            // Minor units; a code of the bank, or a date, may look like some.
            (
                DifferenceKind::AmountDiffers
                | DifferenceKind::FeeDiffers
                | DifferenceKind::AboveCaptured
                | DifferenceKind::NotInReport,
                Some(value),
            ) => value
                .parse()
                .map_or_else(|_| value.clone(), |minor| amount(minor, currency)),
            (_, Some(value)) => value.clone(),
        };
        let (ours, theirs) = (shown(ours), shown(theirs));
        text += &format!(
            " It differs: {}, ours {ours}, the bank's {theirs}.",
            kind.name()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::ids::BatchId;
    use crate::payment::samples::{NOW, eur, operation};
    use crate::payment::settlement::{ItemFees, ItemKind, ItemSettlement};

    fn item() -> ExplainedItem {
        ExplainedItem {
            operation_id: operation().id,
            host_id: "acquirer".parse().unwrap(),
            kind: ItemKind::Capture,
            amount: eur(6_000),
            settlement: ItemSettlement {
                business_date: "2026-11-29".parse().unwrap(),
                batch_id: BatchId::from_parts(NOW, [1; 10]),
                batch_state: BatchState::Closed,
                is_funded: false,
                acquirer_reference: None,
                is_rejected: false,
            },
            fees: None,
            report: None,
            payout: None,
        }
    }

    #[test]
    fn what_the_report_says_otherwise_is_told_with_both_values() {
        let report = ItemInReport {
            name: "friday.csv".into(),
            has_it: false,
            interchange_minor: None,
            scheme_fee_minor: None,
            commission_minor: None,
            reject_code: None,
            differences: vec![(DifferenceKind::NotInReport, Some("6000".into()), None)],
        };
        let rejected = ItemInReport {
            has_it: true,
            commission_minor: Some(30),
            reject_code: Some("R7".into()),
            differences: vec![(
                DifferenceKind::AmountDiffers,
                Some("6000".into()),
                Some("6100".into()),
            )],
            ..report.clone()
        };
        let batch = item().settlement.batch_id;
        let begins = format!(
            "The capture of 60.00 EUR is settled with acquirer under the date 2026-11-29, in batch {batch}: CLOSED."
        );
        for (report, said) in [
            (None, ""),
            (
                Some(report),
                " The bank's report friday.csv does not have it. It differs: NOT_IN_REPORT, ours 60.00 EUR, the bank's \
                 nothing.",
            ),
            (
                Some(rejected),
                " The bank's report friday.csv has it, commission 0.30 EUR, and rejects it with R7. It differs: \
                 AMOUNT_DIFFERS, ours 60.00 EUR, the bank's 61.00 EUR.",
            ),
        ] {
            let item = ExplainedItem { report, ..item() };
            assert_eq!(sentence("capture", &item), format!("{begins}{said}"));
        }
        let open = ExplainedItem {
            fees: Some(ItemFees {
                markup: 109,
                ..ItemFees::default()
            }),
            settlement: ItemSettlement {
                batch_state: BatchState::Open,
                ..item().settlement
            },
            ..item()
        };
        let said = sentence("capture", &open);
        assert!(
            said.ends_with(": of the day that is open. It costs 1.09 EUR."),
            "{said}"
        );
    }
}
