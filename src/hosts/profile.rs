//! Host profiles: everything payswitch knows of a bank host, as data. Adding a bank is adding a file.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::payment::ids::HostId;

/// Where a PEM text comes from.
#[derive(Clone)]
pub enum PemSource {
    /// A file; a relative path counts from the profile's base.
    File(PathBuf),
    /// The text itself, for tests and the demo.
    Memory(Zeroizing<Vec<u8>>),
}

/// Shows the path, never the text.
impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Memory(text) => write!(f, "Memory({} bytes)", text.len()),
        }
    }
}

/// How the two ends prove who they are.
#[derive(Debug, Clone)]
pub struct TlsProfile {
    /// The DNS name that the host's certificate must carry.
    pub server_name: String,
    /// The private root that the host's certificate comes from.
    pub ca: PemSource,
    /// The certificate chain that payswitch shows.
    pub client_certificate: PemSource,
    /// Its private key.
    pub client_key: PemSource,
    /// SHA-256 of the host's public key (SubjectPublicKeyInfo): the current one and, ahead of a
    /// change, the next. Empty: any key that the root vouches for.
    pub pins: Vec<[u8; 32]>,
    /// Whether TLS 1.2 with ECDHE is accepted too, for a host that can't speak TLS 1.3.
    pub allow_tls12: bool,
}

/// One bank host.
#[derive(Debug, Clone)]
pub struct HostProfile {
    /// Its name: the name of its file.
    pub host_id: HostId,
    /// Host and port to connect to.
    pub address: String,
    /// How the two ends prove who they are.
    pub tls: TlsProfile,
    /// Whether the gateway is ready only when this host is.
    pub required: bool,
    /// Connections to the host, 1 to 64.
    pub lines: usize,
    /// How long an answer is waited for after the message was written.
    pub reply_timeout: Duration,
    /// How long an authorization holds its amount, in days: 1 to 400.
    pub hold_days: u16,
}
