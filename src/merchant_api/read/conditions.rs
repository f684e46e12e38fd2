//! What each list can be filtered by.

use super::filter::{Conditions, Cursor, InvalidFilter, OneOf};
use crate::merchant_api::show::balance::{kind_names, templates_of};
use crate::merchant_api::show::discrepancy::import_of;
use crate::payment::difference::DifferenceKind;
use crate::payment::discrepancy::DiscrepancyState;
use crate::payment::payout::PayoutState;
use crate::payment::settlement::BatchState;
use crate::store::merchant_money::PayoutFilter;
use crate::store::reads::balances::EntryFilter;
use crate::store::records::lists::{PaymentFilter, RefundFilter};
use crate::store::records::settlement::{BatchFilter, DiscrepancyFilter, RunFilter};

/// What is expected of some values.
const CURRENCY: &str = "an ISO 4217 code such as \"EUR\"";
const DATE: &str = "a date as YYYY-MM-DD";
const PAYMENT: &str = "the id of a payment, \"pay_\" and 26 characters";

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
                let state = state.ok_or_else(|| value.fault_at(at, OneOf(STATES)));
                let unset = self.states.is_empty();
                self.states = vec![*state?];
                unset
            }
            ("merchant_reference", "=") => value.set_text(&mut self.merchant_reference)?,
            ("customer_reference", "=") => value.set_text(&mut self.customer_reference)?,
            ("currency", "=") => value.set(&mut self.currency, at, CURRENCY)?,
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
            ("currency", "=") => value.set(&mut self.currency, at, CURRENCY)?,
            ("kind", "=") => {
                let templates = templates_of(&value.take_value()?);
                let templates = templates.ok_or_else(|| value.fault_at(at, OneOf(kind_names())));
                let unset = self.templates.is_empty();
                self.templates = templates?;
                unset
            }
            ("subject_id", "=") => value.set(&mut self.payment_id, at, PAYMENT)?,
            ("business_date", "=") => value.set(&mut self.business_date, at, DATE)?,
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
            ("payment_id", "=") => value.set(&mut self.payment_id, at, PAYMENT)?,
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
                let expected = OneOf(BatchState::ALL.map(BatchState::name));
                value.set_known(&mut self.state, at, expected, BatchState::from_name)?
            }
            ("host_id", "=") => value.set(&mut self.host_id, at, "the name of a host")?,
            ("business_date", "=") => value.set(&mut self.business_date, at, DATE)?,
            ("currency", "=") => value.set(&mut self.currency, at, CURRENCY)?,
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
                let expected = OneOf(PayoutState::ALL.map(PayoutState::name));
                value.set_known(&mut self.state, at, expected, PayoutState::from_name)?
            }
            ("currency", "=") => value.set(&mut self.currency, at, CURRENCY)?,
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
                    OneOf(DifferenceKind::ALL.map(DifferenceKind::discrepancy_name)),
                    DifferenceKind::from_discrepancy_name,
                );
                value.set_known(&mut self.kind, at, expected, known)?
            }
            ("state", "=") => {
                let expected = OneOf(DiscrepancyState::ALL.map(DiscrepancyState::name));
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
            ("business_date", "=") => value.set(&mut self.business_date, at, DATE)?,
            _ => return Ok(None),
        }))
    }
}
