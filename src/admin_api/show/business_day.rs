//! The bank's days.

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::payment::settlement::{ClosedBy, DayTotals};
use crate::settlement::SettledDay;

/// A day.
pub(in crate::admin_api) fn business_day(settled: &SettledDay) -> pb::BusinessDay {
    let day = &settled.day;
    let state = match (day.cut_at, day.batched_at) {
        (None, _) => pb::BusinessDayState::Open,
        (Some(_), None) => pb::BusinessDayState::Closing,
        (Some(_), Some(_)) => pb::BusinessDayState::Closed,
    };
    let closed_by = match day.closed_by {
        None => pb::ClosedBy::Unspecified,
        Some(ClosedBy::Clock) => pb::ClosedBy::Clock,
        Some(ClosedBy::Operator) => pb::ClosedBy::Operator,
    };
    pb::BusinessDay {
        host_id: day.host_id.to_string(),
        business_date: day.date.to_string(),
        state: state.into(),
        open_time: Some(timestamp(day.opened_at)),
        close_time: settled.ends_at.map(timestamp),
        closed_by: closed_by.into(),
        last_position: day.last_position.unwrap_or(0),
        totals: settled.totals.iter().map(day_totals).collect(),
    }
}

fn day_totals(found: &DayTotals) -> pb::DayTotals {
    pb::DayTotals {
        currency: found.currency.code().to_owned(),
        batch_count: found.batch_count,
        capture_count: found.totals.capture_count,
        captured_minor: found.totals.captured_minor,
        refund_count: found.totals.refund_count,
        refunded_minor: found.totals.refunded_minor,
    }
}
