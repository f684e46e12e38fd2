//! Who calls, and what they did: API keys, operators, the audit, connections.

use std::fmt;
use std::str::FromStr;

use crate::payment::ids::{AuditId, ConnectionId, MerchantId, NodeId};
use crate::payment::moment::UnixMillis;

/// An API key as it is kept: without the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// The public half of the key.
    pub key_id: String,
    /// Whose it is.
    pub merchant_id: MerchantId,
    /// HMAC-SHA256 of the whole key, public half included, under the pepper: 64 lower-case
    /// hexadecimal digits.
    pub secret_hmac_hex: String,
    /// For people.
    pub label: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was revoked; `None` while it is valid.
    pub revoked_at: Option<UnixMillis>,
}

impl fmt::Debug for ApiKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyRecord")
            .field("key_id", &self.key_id)
            .field("merchant_id", &self.merchant_id)
            .field("label", &self.label)
            .field("created_at", &self.created_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// What an operator may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperatorRole {
    /// Reads.
    Viewer,
    /// Changes.
    Operator,
    /// Approves what others may only ask for.
    Approver,
}

impl OperatorRole {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Approver];

    /// Its name: `VIEWER`, `OPERATOR` or `APPROVER`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "VIEWER",
            Self::Operator => "OPERATOR",
            Self::Approver => "APPROVER",
        }
    }
}

/// A text that names no role of an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected VIEWER, OPERATOR or APPROVER, got {got:?}")]
pub struct UnknownRole {
    /// The text as it came, cut to 60 characters.
    pub got: String,
}

impl FromStr for OperatorRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| UnknownRole {
                got: text.chars().take(60).collect(),
            })
    }
}

/// Somebody who may use the operators' door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRecord {
    /// The name that its certificate carries.
    pub name: String,
    /// What it may do.
    pub role: OperatorRole,
    /// Whether it may call at all.
    pub active: bool,
    /// When it was added.
    pub created_at: UnixMillis,
    /// The operator that added it, or who ran the command line.
    pub created_by: String,
}

/// The name under which is kept what payswitch does by itself. No operator has it.
pub const BY_ITSELF: &str = "payswitch";

/// What an operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its name; it sorts by time.
    pub id: AuditId,
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub operator: String,
    /// What: the RPC's name.
    pub action: String,
    /// What it was done to: a host, an operator.
    pub target: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// The operator's own name for the request, which is carried out once however often it comes.
    pub request_id: String,
    /// SHA-256 of what the request says.
    pub body_hash: [u8; 32],
    /// What came of it; `None` until that is known.
    pub outcome: Option<String>,
    /// The answer as it was sent, encoded; empty until there is one, and for an error.
    pub answer: Vec<u8>,
}

/// A client connection that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConnection {
    /// Its name.
    pub id: ConnectionId,
    /// The peer's IP address.
    pub peer_address: String,
    /// The peer's port.
    pub peer_port: u16,
    /// Who it is, when that is known.
    pub identity: Option<String>,
    /// When it came.
    pub connected_at: UnixMillis,
}

/// A client connection as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRecord {
    /// What is known since it came.
    pub connection: ClientConnection,
    /// The process that holds or held it.
    pub node_id: NodeId,
    /// When it left; `None` while it is open.
    pub disconnected_at: Option<UnixMillis>,
    /// Set when the row was closed for another reason than the connection's end.
    pub note: Option<String>,
}
