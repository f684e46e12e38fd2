//! Operators.

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::store::records::callers::{OperatorRecord, OperatorRole};

/// An operator.
pub(in crate::admin_api) fn operator(operator: &OperatorRecord) -> pb::Operator {
    let role = match operator.role {
        OperatorRole::Viewer => pb::OperatorRole::Viewer,
        OperatorRole::Operator => pb::OperatorRole::Operator,
        OperatorRole::Approver => pb::OperatorRole::Approver,
    };
    pb::Operator {
        name: operator.name.clone(),
        role: role.into(),
        active: operator.active,
        create_time: Some(timestamp(operator.created_at)),
        created_by: operator.created_by.clone(),
    }
}
