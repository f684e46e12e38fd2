//! What the banks hold for the payments of the tour, compared with what the gateway says; and how the payments without
//! an answer end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::commands::error::CommandError;
use crate::commands::output::print_line;
use crate::merchant_api::pb;
use crate::payment::money::Money;

use super::stand::Stand;
use super::tour::{Amounts, Payments, Visited};

/// How long a payment without an answer may take to be reversed, and the books to agree.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until every payment that had no answer in time is reversed, and shows its reversals at the acquirer. Gives
/// how many were not.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn show_reversals(
    stand: &Stand,
    payments: &mut Payments,
    visited: &[Visited],
) -> Result<usize, CommandError> {
    let unanswered = visited
        .iter()
        .filter(|visit| visit.stop.state == pb::PaymentState::Authorizing);
    let mut left = 0;
    for visit in unanswered {
        let mut state = pb::PaymentState::Unspecified;
        // Until the time is over; what it was last is shown then.
        tokio::time::timeout(SETTLED_WITHIN, async {
            while state != pb::PaymentState::Reversed {
                state = current(payments, visit).await?.state();
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok::<_, CommandError>(())
        })
        .await
        .unwrap_or(Ok(()))?;
        let (what, id) = (&visit.stop.what, &visit.payment.payment_id);
        print_line!(
            "{id} ({what}) is {}. Its reversal at the acquirer:\n",
            state.as_str_name()
        )?;
        for hop in stand.reversal_of(visit.payment.rrn()) {
            print_line!("{hop}")?;
        }
        left += usize::from(state != pb::PaymentState::Reversed);
    }
    Ok(left)
}

/// Compares what the issuers hold with what the gateway has authorized, card by card, and prints the sums. Gives in
/// how many currencies they differ.
///
/// # Errors
/// When the gateway or the banks can't be asked.
pub async fn compare(
    stand: &Stand,
    payments: &mut Payments,
    visited: &[Visited],
) -> Result<usize, CommandError> {
    let (mut authorized, mut held) = (Amounts::new(), Amounts::new());
    tokio::time::timeout(SETTLED_WITHIN, async {
        loop {
            authorized = all_authorized(payments, visited).await?;
            held = stand.held().await?;
            if authorized == held {
                return Ok::<_, CommandError>(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
    .await
    .unwrap_or(Ok(()))?;
    let keys = authorized.keys().chain(held.keys());
    let mut by_currency: BTreeMap<&str, (i64, i64, bool)> = BTreeMap::new();
    for key in keys.collect::<std::collections::BTreeSet<_>>() {
        let of = |amounts: &Amounts| amounts.get(key).copied().unwrap_or(0);
        let (ours, theirs) = (of(&authorized), of(&held));
        let (sum_ours, sum_theirs, agree) = by_currency.entry(&key.1).or_insert((0, 0, true));
        *sum_ours += ours;
        *sum_theirs += theirs;
        *agree &= ours == theirs;
    }
    print_line!(
        "What the issuers hold, as they say themselves, and what the gateway has authorized in this run:\n"
    )?;
    for (currency, (ours, theirs, agree)) in &by_currency {
        let show = |minor| Ok::<_, CommandError>(Money::new(minor, currency.parse()?)?.to_string());
        print_line!(
            "  issuers {:>14}   gateway {:>14}   {}",
            show(*theirs)?,
            show(*ours)?,
            if *agree {
                "✓"
            } else {
                "✗ they differ, card by card"
            }
        )?;
    }
    Ok(by_currency.values().filter(|(_, _, agree)| !agree).count())
}

async fn all_authorized(
    payments: &mut Payments,
    visited: &[Visited],
) -> Result<Amounts, CommandError> {
    let mut amounts = Amounts::new();
    for visit in visited {
        let payment = current(payments, visit).await?;
        let (Some(card), Some(amount)) = (&payment.card, &payment.authorized_amount) else {
            continue;
        };
        if amount.amount_minor != 0 {
            let card = format!("{}…{}", card.bin, card.last4);
            let sum = amounts.entry((card, amount.currency.clone())).or_default();
            *sum += amount.amount_minor;
        }
    }
    Ok(amounts)
}

/// The payment as the gateway shows it now.
async fn current(payments: &mut Payments, visit: &Visited) -> Result<pb::Payment, CommandError> {
    let request = pb::GetPaymentRequest {
        payment_id: visit.payment.payment_id.clone(),
    };
    let found = payments.get_payment(request).await?.into_inner().payment;
    found.ok_or_else(|| "the answer holds no payment".into())
}
