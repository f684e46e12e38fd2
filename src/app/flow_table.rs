//! Which flow carries out which kind of operation.

use std::sync::Arc;

use crate::flows::authorization::Authorization;
use crate::flows::capture::Capture;
use crate::flows::increment::Increment;
use crate::flows::refund::Refund;
use crate::flows::release::Release;
use crate::flows::reversal::Reversal;
use crate::flows::verification::Verification;
use crate::flows::void::Void;
use crate::operations::flow::FlowTable;
use crate::operations::new_card::NewCards;
use crate::payment::operation::OperationKind;

/// All of them.
pub(super) fn flow_table(cards: &Arc<NewCards>) -> FlowTable {
    let authorization = Arc::new(Authorization {
        cards: Arc::clone(cards),
    });
    let verification = Arc::new(Verification {
        cards: Arc::clone(cards),
    });
    FlowTable::default()
        .with(OperationKind::Authorization, authorization.clone())
        .with(OperationKind::Sale, authorization)
        .with(OperationKind::Verification, verification)
        .with(OperationKind::Capture, Arc::new(Capture))
        .with_owed(OperationKind::Capture, Arc::new(Capture))
        .with(OperationKind::Increment, Arc::new(Increment))
        .with(OperationKind::Void, Arc::new(Void))
        .with_owed(OperationKind::Void, Arc::new(Void))
        .with(OperationKind::Refund, Arc::new(Refund))
        .with_owed(OperationKind::Refund, Arc::new(Refund))
        .with_owed(OperationKind::Release, Arc::new(Release))
        .with_owed(OperationKind::Reversal, Arc::new(Reversal))
}
