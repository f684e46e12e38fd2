//! The control API, `banksim.v1.ControlService`: shows the books and the messages, makes hosts misbehave, and
//! ends the bank's day. On loopback only, without TLS; reflection is on.
//!
//! - [`pb`]: the generated messages, and the client.
//! - `show`: the books in those messages; `read`: a fault from one.

pub mod pb;
mod read;
mod show;

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{
        Server,
        server::{Router, TcpIncoming},
    },
};

use self::pb::control_service_server::{ControlService, ControlServiceServer};
use crate::{
    cutover::cut_over,
    faults::{Faults, MAX_FAULTS},
    host::Host,
    issuer::Issuer,
    message_log::{MessageLog, MessageQuery},
    net::Listener,
    payouts::Payouts,
    settlement::{Dispute, Settlement, SettlementError},
};

/// How many messages a page has, when the request does not say, and at most.
const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

/// How many settlement items one message of a stream has at most.
const ITEMS_A_MESSAGE: usize = 1_000;

/// How many bytes of a file one message of a stream has at most.
const CHUNK_BYTES: usize = 64 * 1024;

/// How many bytes a file may have that is sent to the banks.
const MAX_FILE_BYTES: usize = 256 * 1024 * 1024;

/// How many bytes one message may have that is sent to the banks: a payment order comes in one.
const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// The messages of a stream, all ready.
type Parts<T> = tokio_stream::Iter<std::vec::IntoIter<Result<T, Status>>>;

/// What the control API looks into.
#[derive(Debug)]
pub(crate) struct Controlled {
    pub(crate) hosts: BTreeMap<String, Arc<Host>>,
    pub(crate) log: Arc<MessageLog>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) payouts: Arc<Payouts>,
}

/// Serves until told to stop.
pub(crate) async fn serve(
    controlled: Controlled,
    listener: Listener,
    mut stop: watch::Receiver<bool>,
) {
    let router = match router(controlled) {
        Ok(router) => router,
        Err(error) => {
            tracing::error!(%error, "the control API can't be served");
            return;
        }
    };
    let serving = router.serve_with_incoming(TcpIncoming::from(listener.into_tcp()));
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        served = serving => if let Err(error) = served {
            tracing::error!(%error, "the control API ended");
        }
    }
}

fn router(controlled: Controlled) -> Result<Router, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
    };
    let service =
        ControlServiceServer::new(controlled).max_decoding_message_size(MAX_MESSAGE_BYTES);
    Ok(Server::builder()
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(service))
}

impl Controlled {
    fn issuers(&self) -> impl Iterator<Item = (&str, &Issuer)> {
        self.hosts
            .iter()
            .filter_map(|(name, host)| Some((name.as_str(), host.issuer()?)))
    }

    /// The acquirer of that name, or the only one, and its settlement books.
    fn settlement(&self, name: &str) -> Result<(&Host, &Settlement), Status> {
        let name = self.check_host(name)?;
        let mut named = self
            .hosts
            .iter()
            .filter(|(host, _)| name.is_none_or(|name| name == *host));
        named
            .find_map(|(_, host)| Some((&**host, host.acquirer()?.settlement())))
            .ok_or_else(|| Status::failed_precondition("host: expected an acquirer"))
    }

    /// Refuses the name of a host that there isn't; an empty one means any.
    fn check_host<'a>(&self, name: &'a str) -> Result<Option<&'a str>, Status> {
        if name.is_empty() {
            return Ok(None);
        }
        if self.hosts.contains_key(name) {
            return Ok(Some(name));
        }
        let known: Vec<&str> = self.hosts.keys().map(String::as_str).collect();
        Err(Status::not_found(format!(
            "no host is called {name:?}; there are {}",
            known.join(", ")
        )))
    }
}

/// The status of what the settlement books refuse.
fn refused(error: &SettlementError) -> Status {
    match error {
        SettlementError::NotLater { .. } => Status::failed_precondition(error.to_string()),
        SettlementError::UnknownItem { .. } | SettlementError::UnknownCapture { .. } => {
            Status::not_found(error.to_string())
        }
        SettlementError::Full => Status::resource_exhausted(error.to_string()),
        SettlementError::Amount { .. } | SettlementError::DisputeAmount { .. } => {
            Status::invalid_argument(error.to_string())
        }
    }
}

#[tonic::async_trait]
impl ControlService for Controlled {
    async fn list_accounts(
        &self,
        request: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let request = request.into_inner();
        let wanted = self.check_host(&request.host)?;
        let accounts = self
            .issuers()
            .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
            .flat_map(|(name, issuer)| {
                let accounts = issuer.accounts().into_iter();
                accounts.map(move |account| show::account(name, account))
            });
        Ok(Response::new(pb::ListAccountsResponse {
            accounts: accounts.collect(),
        }))
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Result<Response<pb::ListMessagesResponse>, Status> {
        let request = request.into_inner();
        let size = usize::try_from(request.page_size).ok();
        let limit = match size.filter(|size| *size <= LARGEST_PAGE) {
            Some(0) => DEFAULT_PAGE,
            Some(size) => size,
            None => {
                return Err(Status::invalid_argument(format!(
                    "page_size: expected 0 to {LARGEST_PAGE}, got {}",
                    request.page_size
                )));
            }
        };
        let after_position = u64::try_from(request.after_position).map_err(|_| {
            Status::invalid_argument("after_position: expected 0 or more, got less")
        })?;
        let (messages, position) = self.log.list(&MessageQuery {
            after_position,
            limit,
            host: self.check_host(&request.host)?,
            rrn: Some(request.rrn.as_str()).filter(|rrn| !rrn.is_empty()),
        });
        Ok(Response::new(pb::ListMessagesResponse {
            messages: messages.iter().map(show::message).collect(),
            next_position: show::count(position),
        }))
    }

    async fn get_totals(
        &self,
        _: Request<pb::GetTotalsRequest>,
    ) -> Result<Response<pb::GetTotalsResponse>, Status> {
        let totals = self.issuers().flat_map(|(name, issuer)| {
            let tallies = issuer.tallies().into_iter();
            tallies.map(move |(currency, tally)| show::totals(name, currency, tally))
        });
        Ok(Response::new(pb::GetTotalsResponse {
            totals: totals.collect(),
        }))
    }

    async fn inject_fault(
        &self,
        request: Request<pb::InjectFaultRequest>,
    ) -> Result<Response<pb::InjectFaultResponse>, Status> {
        let fault = request.into_inner().fault;
        let fault = fault.ok_or_else(|| Status::invalid_argument("fault: expected one"))?;
        self.check_host(&fault.host)?;
        let fault = read::fault(fault).map_err(Status::invalid_argument)?;
        tracing::info!(?fault, "a fault was added");
        let added = self.faults.add(fault).ok_or_else(|| {
            Status::resource_exhausted(format!("there are {MAX_FAULTS} faults already"))
        })?;
        Ok(Response::new(pb::InjectFaultResponse {
            fault_count: i32::try_from(added).unwrap_or(i32::MAX),
        }))
    }

    async fn clear_faults(
        &self,
        _: Request<pb::ClearFaultsRequest>,
    ) -> Result<Response<pb::ClearFaultsResponse>, Status> {
        let cleared = self.faults.clear();
        tracing::info!(cleared, "the faults were removed");
        Ok(Response::new(pb::ClearFaultsResponse {
            cleared_count: i32::try_from(cleared).unwrap_or(i32::MAX),
        }))
    }

    async fn cutover(
        &self,
        request: Request<pb::CutoverRequest>,
    ) -> Result<Response<pb::CutoverResponse>, Status> {
        let request = request.into_inner();
        let (host, settlement) = self.settlement(&request.host)?;
        let next = read::date("next_date", &request.next_date).map_err(Status::invalid_argument)?;
        let cutover = cut_over(host, settlement, next).await;
        let cutover = cutover.map_err(|error| refused(&error))?;
        Ok(Response::new(show::cutover(cutover)))
    }

    type ListSettlementItemsStream = Parts<pb::ListSettlementItemsResponse>;

    async fn list_settlement_items(
        &self,
        request: Request<pb::ListSettlementItemsRequest>,
    ) -> Result<Response<Self::ListSettlementItemsStream>, Status> {
        let request = request.into_inner();
        let (_, settlement) = self.settlement(&request.host)?;
        let date = read::date("business_date", &request.business_date);
        let items = settlement.items(date.map_err(Status::invalid_argument)?);
        let parts = items.chunks(ITEMS_A_MESSAGE).map(|items| {
            let items = items.iter().map(show::item).collect();
            Ok(pb::ListSettlementItemsResponse { items })
        });
        let parts: Vec<_> = parts.collect();
        Ok(Response::new(tokio_stream::iter(parts)))
    }

    type WriteSettlementReportStream = Parts<pb::WriteSettlementReportResponse>;

    async fn write_settlement_report(
        &self,
        request: Request<pb::WriteSettlementReportRequest>,
    ) -> Result<Response<Self::WriteSettlementReportStream>, Status> {
        let request = request.into_inner();
        let (_, settlement) = self.settlement(&request.host)?;
        let date = read::date("business_date", &request.business_date);
        let date = date.map_err(Status::invalid_argument)?;
        let date = date.ok_or_else(|| Status::invalid_argument("business_date: expected one"))?;
        let report = settlement.report(date);
        let parts = report.chunks(CHUNK_BYTES).map(|chunk| {
            Ok(pb::WriteSettlementReportResponse {
                chunk: chunk.to_vec(),
            })
        });
        let parts: Vec<_> = parts.collect();
        Ok(Response::new(tokio_stream::iter(parts)))
    }

    async fn take_clearing_file(
        &self,
        request: Request<Streaming<pb::TakeClearingFileRequest>>,
    ) -> Result<Response<pb::TakeClearingFileResponse>, Status> {
        let mut parts = request.into_inner();
        let (mut host, mut bytes) = (String::new(), Vec::new());
        while let Some(part) = parts.message().await? {
            if bytes.is_empty() && host.is_empty() {
                host = part.host;
            }
            if bytes.len() + part.chunk.len() > MAX_FILE_BYTES {
                return Err(Status::resource_exhausted(format!(
                    "chunk: expected a file of at most {MAX_FILE_BYTES} bytes"
                )));
            }
            bytes.extend(part.chunk);
        }
        let (_, settlement) = self.settlement(&host)?;
        let issuers = self.issuers().map(|(_, issuer)| issuer);
        let answer = settlement.take_clearing_file(&bytes, issuers);
        let answer = answer.map_err(|error| refused(&error))?;
        Ok(Response::new(show::clearing(answer)))
    }

    async fn misbook_item(
        &self,
        request: Request<pb::MisbookItemRequest>,
    ) -> Result<Response<pb::MisbookItemResponse>, Status> {
        let request = request.into_inner();
        let (_, settlement) = self.settlement(&request.host)?;
        let amount = settlement.misbook(&request.rrn, request.delta_minor);
        let amount = amount.map_err(|error| refused(&error))?;
        tracing::info!(rrn = request.rrn, "a settlement item is booked wrongly");
        Ok(Response::new(pb::MisbookItemResponse { amount }))
    }

    async fn dispute_item(
        &self,
        request: Request<pb::DisputeItemRequest>,
    ) -> Result<Response<pb::DisputeItemResponse>, Status> {
        let request = request.into_inner();
        let (_, settlement) = self.settlement(&request.host)?;
        let dispute = Dispute {
            rrn: request.rrn,
            amount_minor: Some(request.amount).filter(|minor| *minor != 0),
            gives_back: request.gives_back,
        };
        let issuers = self.issuers().map(|(_, issuer)| issuer);
        let booked = settlement.dispute(&dispute, issuers);
        let booked = booked.map_err(|error| refused(&error))?;
        tracing::info!(
            rrn = dispute.rrn,
            gives_back = dispute.gives_back,
            "a dispute is booked"
        );
        Ok(Response::new(show::dispute(booked)))
    }

    async fn submit_payment_order(
        &self,
        request: Request<pb::SubmitPaymentOrderRequest>,
    ) -> Result<Response<pb::SubmitPaymentOrderResponse>, Status> {
        let answer = self.payouts.submit(&request.into_inner().xml);
        Ok(Response::new(show::order(answer)))
    }

    async fn get_account_notification(
        &self,
        request: Request<pb::GetAccountNotificationRequest>,
    ) -> Result<Response<pb::GetAccountNotificationResponse>, Status> {
        let message_id = request.into_inner().message_id;
        let xml = self.payouts.notification(&message_id);
        let xml = xml.ok_or_else(|| {
            Status::not_found(format!(
                "no order was accepted with the MsgId {message_id:?}"
            ))
        })?;
        Ok(Response::new(pb::GetAccountNotificationResponse { xml }))
    }
}
