//! A connection to a host without a message: whether it is there, which certificate it shows, whether it takes ours.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fault::LineFault;
use super::link::dial;
use super::tls::HostTls;
use crate::hosts::profile::HostProfile;
use crate::net::Net;

/// How long a host may take to say that it does not want our certificate: in TLS 1.3 it says so after the handshake.
const REFUSAL_WITHIN: Duration = Duration::from_secs(2);
/// How long the end of the TLS session may take.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// Why no connection was made, or why it did not last.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TrialFault(LineFault);

/// Connects as a line does, waits for a refusal, and ends the TLS session in order. What the host says meanwhile is not
/// looked at. Gives the version of TLS.
pub(in crate::hosts) async fn connect(
    profile: &HostProfile,
    tls: &HostTls,
    net: &Net,
) -> Result<&'static str, TrialFault> {
    let timeout = profile.connect_timeout;
    let dialled = tokio::time::timeout(timeout, dial(net, &profile.address, tls)).await;
    let dialled = dialled.unwrap_or(Err(LineFault::ConnectTimeout(timeout)));
    let mut stream = dialled.map_err(TrialFault)?;
    let mut first = [0; 1];
    // A host that says nothing in this time has taken the certificate.
    if let Ok(read) = tokio::time::timeout(REFUSAL_WITHIN, stream.read(&mut first)).await {
        match read {
            Ok(0) => return Err(TrialFault(LineFault::Closed)),
            Ok(_) => {}
            Err(error) => return Err(TrialFault(LineFault::Tls(error))),
        }
    }
    let version = match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS 1.3",
    };
    // The host was found, whatever becomes of the end.
    let _ = tokio::time::timeout(CLOSE_WITHIN, stream.shutdown()).await;
    Ok(version)
}
