//! The service that `payswitch reconcile` asks.

use tonic::transport::Channel;

use crate::admin_api::pb::reconciliation_admin_service_client::ReconciliationAdminServiceClient;

pub(super) type Client = ReconciliationAdminServiceClient<Channel>;
