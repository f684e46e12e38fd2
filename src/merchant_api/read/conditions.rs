//! What each list can be filtered by.

use super::filter::{Conditions, Cursor, InvalidFilter};
use crate::merchant_api::show::balance::templates_of;
use crate::merchant_api::show::discrepancy::import_of;
use crate::payment::difference::DifferenceKind;
use crate::payment::discrepancy::DiscrepancyState;
use crate::payment::payout::PayoutState;
use crate::payment::settlement::BatchState;
use crate::store::merchant_money::PayoutFilter;
use crate::store::reads::balances::EntryFilter;
use crate::store::records::lists::{PaymentFilter, RefundFilter};
use crate::store::records::settlement::{BatchFilter, DiscrepancyFilter, RunFilter};

/// The names of the payment states, as a filter writes them.
const STATES: [&str; 13] = [
    "CREATED",
    "REQUIRES_ACTION",
    "AUTHORIZING",
    "AUTHORIZED",
    "DECLINED",
    "FAILED",
    "PARTIALLY_CAPTURED",
    "CAPTURED",
    "VOIDING",
    "VOIDED",
    "EXPIRED",
    "REVERSING",
    "REVERSED",
];

impl Conditions for PaymentFilter {
    const EXPECTED_FIELD: &'static str =
        "one of state, merchant_reference, customer_reference, currency, create_time";

    fn take(
        &mut self,
        field: &str,
        operator: &str,
        value: &mut Cursor<'_>,
        at: usize,
    ) -> Result<Option<bool>, InvalidFilter> {
        Ok(Some(match (field, operator) {
            ("state", "=") => {
                let named = value.take_value()?;
                let state = STATES.iter().find(|state| **state == named);
                let state = state.ok_or_else(|| value.fault_at(at, "the name of a payment state"));
                let unset = self.states.is_empty();
                self.states = vec![*state?];
                unset
            }
            ("merchant_reference", "=") => value.set_text(&mut self.merchant_reference)?,
            ("customer_reference", "=") => value.set_text(&mut self.customer_reference)?,
            ("currency", "=") => value.set(&mut self.currency, at, "an ISO 4217 code")?,
            ("create_time", ">=") => value.set_time(&mut self.created_from, at)?,
            ("create_time", "<") => value.set_time(&mut self.created_before, at)?,
            _ => return Ok(None),
        }))
    }
}

impl Conditions for EntryFilter {
    const EXPECTED_FIELD: &'static str =
        "one of currency, kind, subject_id, business_date, create_time";

    fn take(
        &mut self,
        field: &str,
        operator: &str,
        value: &mut Cursor<'_>,
        at: usize,
    ) -> Result<Option<bool>, InvalidFilter> {
        Ok(Some(match (field, operator) {
            ("currency", "=") => value.set(&mut self.currency, at, "an ISO 4217 code")?,
            ("kind", "=") => {
                let templates = templates_of(&value.take_value()?);
                let templates =
                    templates.ok_or_else(|| value.fault_at(at, "the name of a kind of entry"));
                let unset = self.templates.is_empty();
                self.templates = templates?;
                unset
            }
            ("subject_id", "=") => value.set(&mut self.payment_id, at, "the id of a payment")?,
            ("business_date", "=") => {
                value.set(&mut self.business_date, at, "a date as YYYY-MM-DD")?
            }
            ("create_time", ">=") => value.set_time(&mut self.created_from, at)?,
            ("create_time", "<") => value.set_time(&mut self.created_before, at)?,
            _ => return Ok(None),
        }))
    }
}

impl Conditions for RefundFilter {
    const EXPECTED_FIELD: &'static str = "one of payment_id, merchant_reference, create_time";

    fn take(
        &mut self,
        field: &str,
        operator: &str,
        value: &mut Cursor<'_>,
        at: usize,
    ) -> Result<Option<bool>, InvalidFilter> {
        Ok(Some(match (field, operator) {
            ("payment_id", "=") => value.set(&mut self.payment_id, at, "the id of a payment")?,
            ("merchant_reference", "=") => value.set_text(&mut self.merchant_reference)?,
            ("create_time", ">=") => value.set_time(&mut self.created_from, at)?,
            ("create_time", "<") => value.set_time(&mut self.created_before, at)?,
            _ => return Ok(None),
        }))
    }
}

impl Conditions for BatchFilter {
    const EXPECTED_FIELD: &'static str = "one of state, host_id, business_date, currency";
    const ORDERED_BY: &'static str = "business_date";

    fn take(
        &mut self,
        field: &str,
        operator: &str,
        value: &mut Cursor<'_>,
        at: usize,
    ) -> Result<Option<bool>, InvalidFilter> {
        Ok(Some(match (field, operator) {
            ("state", "=") => {
                let expected = "the name of a batch state";
                value.set_known(&mut self.state, at, expected, BatchState::from_name)?
            }
            ("host_id", "=") => value.set(&mut self.host_id, at, "the name of a host")?,
            ("business_date", "=") => {
                value.set(&mut self.business_date, at, "a date as YYYY-MM-DD")?
            }
            ("currency", "=") => value.set(&mut self.currency, at, "an ISO 4217 code")?,
            _ => return Ok(None),
        }))
    }
}

impl Conditions for PayoutFilter {
    const EXPECTED_FIELD: &'static str = "one of state, currency, create_time";

    fn take(
        &mut self,
        field: &str,
        operator: &str,
        value: &mut Cursor<'_>,
        at: usize,
    ) -> Result<Option<bool>, InvalidFilter> {
        Ok(Some(match (field, operator) {
            ("state", "=") => {
                let expected = "the name of a payout state";
                value.set_known(&mut self.state, at, expected, PayoutState::from_name)?
            }
            ("currency", "=") => value.set(&mut self.currency, at, "an ISO 4217 code")?,
            ("create_time", ">=") => value.set_time(&mut self.created_from, at)?,
            ("create_time", "<") => value.set_time(&mut self.created_before, at)?,
            _ => return Ok(None),
        }))
    }
}

impl Conditions for DiscrepancyFilter {
    const EXPECTED_FIELD: &'static str = "one of kind, state, run_id, subject_id, create_time";

    fn take(
        &mut self,
        field: &str,
        operator: &str,
        value: &mut Cursor<'_>,
        at: usize,
    ) -> Result<Option<bool>, InvalidFilter> {
        Ok(Some(match (field, operator) {
            ("kind", "=") => {
                let (expected, known) = (
                    "the name of a discrepancy kind",
                    DifferenceKind::from_discrepancy_name,
                );
                value.set_known(&mut self.kind, at, expected, known)?
            }
            ("state", "=") => {
                let expected = "the name of a discrepancy state";
                value.set_known(&mut self.state, at, expected, DiscrepancyState::from_name)?
            }
            ("run_id", "=") => {
                value.set_known(&mut self.import_id, at, "the id of a run", import_of)?
            }
            ("subject_id", "=") => {
                value.set(&mut self.subject_id, at, "the id of a capture or refund")?
            }
            ("create_time", ">=") => value.set_time(&mut self.found_from, at)?,
            ("create_time", "<") => value.set_time(&mut self.found_before, at)?,
            _ => return Ok(None),
        }))
    }
}

impl Conditions for RunFilter {
    const EXPECTED_FIELD: &'static str = "one of host_id, business_date";

    fn take(
        &mut self,
        field: &str,
        operator: &str,
        value: &mut Cursor<'_>,
        at: usize,
    ) -> Result<Option<bool>, InvalidFilter> {
        Ok(Some(match (field, operator) {
            ("host_id", "=") => value.set(&mut self.host_id, at, "the name of a host")?,
            ("business_date", "=") => {
                value.set(&mut self.business_date, at, "a date as YYYY-MM-DD")?
            }
            _ => return Ok(None),
        }))
    }
}
