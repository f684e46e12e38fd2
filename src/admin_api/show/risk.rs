//! Limits, and what was counted for them.

use crate::admin_api::pb;
use crate::config::risk::{CountedEvent, LimitConfig, LimitedOperation, LimitedSubject};
use crate::grpc::time::timestamp;
use crate::risk::subject::LimitCount;

/// A limit, and how many were declined for it.
pub(in crate::admin_api) fn limit(limit: LimitConfig, declined: u64) -> pb::RiskLimit {
    let of = match limit.of {
        LimitedSubject::Card => pb::LimitedSubject::Card,
        LimitedSubject::CardRange => pb::LimitedSubject::CardRange,
        LimitedSubject::Merchant => pb::LimitedSubject::Merchant,
        LimitedSubject::Address => pb::LimitedSubject::Address,
    };
    let counts = match limit.counts {
        CountedEvent::Attempts => pb::CountedEvent::Attempts,
        CountedEvent::Declines => pb::CountedEvent::Declines,
    };
    let operation = |it: &LimitedOperation| match it {
        LimitedOperation::AuthorizePayment => "AuthorizePayment".to_owned(),
        LimitedOperation::VerifyCard => "VerifyCard".to_owned(),
    };
    pb::RiskLimit {
        name: limit.name,
        of: of.into(),
        by_merchant: limit.by_merchant,
        counts: counts.into(),
        operations: limit.operations.iter().map(operation).collect(),
        most: limit.most,
        most_of: limit.most_of,
        window_seconds: limit.window_seconds,
        declined_count: declined,
    }
}

/// What counts for a limit.
pub(in crate::admin_api) fn count(count: LimitCount) -> pb::RiskCount {
    let merchant_id = count.merchant_id.map(|it| it.to_string());
    pb::RiskCount {
        limit: count.limit,
        merchant_id: merchant_id.unwrap_or_default(),
        count: count.count,
        most: count.most,
        blocked_until_time: count.blocked_until.map(timestamp),
    }
}
