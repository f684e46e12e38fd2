//! What the end of an operation means, by its kind.

use std::sync::Arc;

use crate::flows::capture::Capture;
use crate::flows::refund::Refund;
use crate::flows::release::Release;
use crate::flows::reversal::Reversal;
use crate::flows::void::Void;
use crate::flows::{authorization, capture, increment, refund, verification, void};
use crate::operations::flow::FlowTable;
use crate::payment::operation_kind::OperationKind;

/// What the end of each kind of operation means.
pub(super) fn flow_table() -> FlowTable {
    FlowTable::default()
        .with(OperationKind::Authorization, authorization::decide)
        .with(OperationKind::Sale, authorization::decide)
        .with(OperationKind::Verification, verification::decide)
        .with(OperationKind::Capture, capture::decide)
        .with_owed(OperationKind::Capture, Arc::new(Capture))
        .with(OperationKind::Increment, increment::decide)
        .with(OperationKind::Void, void::decide)
        .with_owed(OperationKind::Void, Arc::new(Void))
        .with(OperationKind::Refund, refund::decide)
        .with_owed(OperationKind::Refund, Arc::new(Refund))
        .with_owed(OperationKind::Release, Arc::new(Release))
        .with_owed(OperationKind::Reversal, Arc::new(Reversal))
}
