//! SettlementAdminService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming, async_trait};

use super::audited::Audited;
use super::{
    cutover, get_day_report, import_report, list_business_days, list_differences,
    list_settlement_imports, list_totals, submit_totals, take_clearing_answer,
};
use crate::admin_api::pb;
use crate::admin_api::pb::settlement_admin_service_server::SettlementAdminService;
use crate::reconciliation::report_imports::ReportImports;
use crate::settlement::agreement::Agreement;
use crate::settlement::clearing_answers::ClearingAnswers;
use crate::settlement::days::BusinessDays;

/// The service.
pub(in crate::admin_api) struct SettlementAdminApi {
    pub(in crate::admin_api) days: Arc<BusinessDays>,
    pub(in crate::admin_api) agreement: Arc<Agreement>,
    pub(in crate::admin_api) imports: Arc<ReportImports>,
    pub(in crate::admin_api) answers: Arc<ClearingAnswers>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl SettlementAdminService for SettlementAdminApi {
    async fn list_business_days(
        &self,
        request: Request<pb::ListBusinessDaysRequest>,
    ) -> Result<Response<pb::ListBusinessDaysResponse>, Status> {
        list_business_days::call(&self.days, &request).await
    }

    async fn cutover(
        &self,
        request: Request<pb::CutoverRequest>,
    ) -> Result<Response<pb::CutoverResponse>, Status> {
        cutover::call(&self.days, &self.audited, request).await
    }

    async fn list_totals(
        &self,
        request: Request<pb::ListTotalsRequest>,
    ) -> Result<Response<pb::ListTotalsResponse>, Status> {
        list_totals::call(&self.agreement, &request).await
    }

    async fn submit_totals(
        &self,
        request: Request<pb::SubmitTotalsRequest>,
    ) -> Result<Response<pb::SubmitTotalsResponse>, Status> {
        submit_totals::call(&self.agreement, &self.audited, request).await
    }

    async fn import_report(
        &self,
        request: Request<Streaming<pb::ImportReportRequest>>,
    ) -> Result<Response<pb::ImportReportResponse>, Status> {
        import_report::call(&self.imports, &self.audited, request).await
    }

    async fn take_clearing_answer(
        &self,
        request: Request<Streaming<pb::TakeClearingAnswerRequest>>,
    ) -> Result<Response<pb::TakeClearingAnswerResponse>, Status> {
        take_clearing_answer::call(&self.answers, &self.audited, request).await
    }

    async fn get_day_report(
        &self,
        request: Request<pb::GetDayReportRequest>,
    ) -> Result<Response<pb::GetDayReportResponse>, Status> {
        get_day_report::call(&self.agreement, &request).await
    }

    async fn list_settlement_imports(
        &self,
        request: Request<pb::ListSettlementImportsRequest>,
    ) -> Result<Response<pb::ListSettlementImportsResponse>, Status> {
        list_settlement_imports::call(&self.audited.store, &request).await
    }

    async fn list_differences(
        &self,
        request: Request<pb::ListDifferencesRequest>,
    ) -> Result<Response<pb::ListDifferencesResponse>, Status> {
        list_differences::call(&self.agreement, &request).await
    }
}
