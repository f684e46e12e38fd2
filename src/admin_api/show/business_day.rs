//! The bank's days, and their totals.

use iso8583::hex;

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::payment::settlement::{BatchTotals, ClosedBy, DayTotals};
use crate::payment::settlement_file::{FileSum, SettlementFile};
use crate::payment::totals::{Totals, TotalsState};
use crate::settlement::days::SettledDay;

/// A day.
pub(in crate::admin_api) fn business_day(settled: &SettledDay) -> pb::BusinessDay {
    let day = &settled.day;
    let state = match (day.cut_at, day.batched_at) {
        (None, _) => pb::BusinessDayState::Open,
        (Some(_), None) => pb::BusinessDayState::Closing,
        (Some(_), Some(_)) if day.settled_at.is_some() => pb::BusinessDayState::Settled,
        (Some(_), Some(_)) => pb::BusinessDayState::Closed,
    };
    let closed_by = match day.closed_by {
        None => pb::ClosedBy::Unspecified,
        Some(ClosedBy::Clock) => pb::ClosedBy::Clock,
        Some(ClosedBy::Host) => pb::ClosedBy::Host,
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
        files: settled.files.iter().map(file).collect(),
    }
}

fn file(found: &SettlementFile) -> pb::SettlementFile {
    let sum = |sum: &FileSum| pb::FileSum {
        currency: sum.currency.code().to_owned(),
        item_count: sum.count,
        sum_minor: sum.sum_minor,
    };
    pb::SettlementFile {
        cycle: i32::try_from(found.cycle).unwrap_or(i32::MAX),
        name: found.name.clone(),
        sha256: hex::encode_lower(&found.sha256),
        byte_count: found.bytes,
        item_count: found.item_count,
        sums: found.sums.iter().map(sum).collect(),
        write_time: Some(timestamp(found.written_at)),
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

/// Totals as they are agreed with the host.
pub(in crate::admin_api) fn totals(found: &Totals) -> pb::Totals {
    let sums = |sums: &BatchTotals| pb::TotalsSums {
        capture_count: sums.capture_count,
        captured_minor: sums.captured_minor,
        refund_count: sums.refund_count,
        refunded_minor: sums.refunded_minor,
    };
    let state = match found.state {
        TotalsState::Due => pb::TotalsState::Due,
        TotalsState::Uploading => pb::TotalsState::Uploading,
        TotalsState::InBalance => pb::TotalsState::InBalance,
        TotalsState::OutOfBalance => pb::TotalsState::OutOfBalance,
        TotalsState::Stopped => pb::TotalsState::Stopped,
    };
    let text = |value: Option<String>| value.unwrap_or_default();
    pb::Totals {
        merchant_id: text(found.key.merchant_id.map(|merchant| merchant.to_string())),
        terminal_id: found.key.terminal_id.clone(),
        currency: found.key.currency.code().to_owned(),
        state: state.into(),
        ours: Some(sums(&found.ours)),
        theirs: found.theirs.as_ref().map(sums),
        sent: i32::try_from(found.sent).unwrap_or(i32::MAX),
        stan: text(found.stan.map(|stan| stan.to_string())),
        next_send_time: found.next_at.map(timestamp),
        response_code: text(found.response_code.map(|code| code.to_string())),
        uploaded: found.uploaded,
    }
}
