//! Host profiles: everything payswitch knows of a bank host, as data. Adding a bank is adding a
//! file; `hosts/acquirer.toml` is the template, with a comment on every key.
//!
//! - [`load`]: reads the files of a folder; `file`: the keys of a file; `checks`, `message`, `messages`,
//!   `sources`, `answers`, `totals`: their values, checked; [`reading`]: the errors, which name file and key; `toml_text`,
//!   `word`: values of TOML as text, and as one of a few words.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iso8583::{Dialect, Framing};
use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use crate::hosts::calendar::Calendar;
use crate::hosts::circuit::CircuitRule;
use crate::payment::ids::{HostId, MerchantId, NodeId, OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::money::{Currency, Money};
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;
use crate::payment::record::{Attempts, Operation};
use crate::payment::reference::SequenceNumber;

use super::message::amount::MinorDigits;
use super::message::build::{Encoder, sent_elements};
use super::message::contents::{CardFields, Original, Outgoing};
use super::message::definition::Messages;
use super::message::error::MessageError;
use super::message::format::{Format, MacRule};
use super::message::name_location::NameLocationLayout;
use super::message::rrn::RrnForm;
use super::message::subelements::SubelementWidths;
use super::message::totals::TotalsProfile;

mod answers;
mod checks;
mod file;
pub mod load;
mod message;
mod messages;
pub mod reading;
mod sources;
mod toml_text;
mod totals;
mod word;

/// The most lines to one host.
pub const MAX_LINES: usize = 64;
/// The most requests that wait for answers on one line.
pub const MAX_IN_FLIGHT: usize = 10_000;
/// The longest that an answer may be waited for.
pub const MAX_REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a PEM text comes from.
#[derive(Clone)]
pub enum PemSource {
    /// A file.
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

/// SHA-256 of a public key as it stands in a certificate (SubjectPublicKeyInfo, RFC 5280).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpkiPin(pub [u8; 32]);

/// Shows `sha256/` and base64, as profiles write it.
impl fmt::Display for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine;
        write!(
            f,
            "sha256/{}",
            base64::engine::general_purpose::STANDARD.encode(self.0)
        )
    }
}

impl fmt::Debug for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the two ends prove who they are.
#[derive(Debug, Clone)]
pub struct TlsProfile {
    /// The DNS name that the host's certificate must carry.
    pub server_name: String,
    /// The private root that the host's certificate comes from.
    pub ca: PemSource,
    /// The revocation lists of that root, where there are any.
    pub crl: Option<PemSource>,
    /// The certificate chain that payswitch shows.
    pub client_certificate: PemSource,
    /// Its private key.
    pub client_key: PemSource,
    /// The host's public key: the current one and, ahead of a change, the next. Empty: any key that
    /// the root vouches for.
    pub pins: Vec<SpkiPin>,
    /// Whether TLS 1.2 with ECDHE is accepted too, for a host that can't speak TLS 1.3.
    pub allow_tls12: bool,
}

/// How a line is kept alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkProfile {
    /// Whether a line signs on (0800) before it takes payments, and off when it ends.
    pub sign_on: bool,
    /// How long a host may be silent before it gets an echo request.
    pub echo_interval: Duration,
    /// How long a request may wait on a line that has said nothing since, before the host gets an echo at
    /// once. The line takes no payment until it is answered.
    pub silence: Duration,
    /// How long the answer to any network management request is waited for before the line is
    /// dropped.
    pub echo_timeout: Duration,
}

/// How long to wait before connecting again: the first time, and at most. In between it doubles,
/// and each wait is cut by up to half at random, so that lines don't come back all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

/// One bank host.
#[derive(Debug, Clone)]
pub struct HostProfile {
    /// Its name: the name of its file.
    pub host_id: HostId,
    /// `HOST:PORT` to connect to.
    pub address: String,
    /// How the two ends prove who they are.
    pub tls: TlsProfile,
    /// Whether the gateway is ready only when this host is.
    pub required: bool,
    /// Connections to the host, 1 to [`MAX_LINES`].
    pub lines: usize,
    /// Requests that wait for answers on one line at once, 1 to [`MAX_IN_FLIGHT`].
    pub in_flight_limit: usize,
    /// How long TCP and TLS together may take to connect.
    pub connect_timeout: Duration,
    /// How long an answer is waited for, up to [`MAX_REPLY_TIMEOUT`].
    pub reply_timeout: Duration,
    /// Nothing is sent with less time left than this for the answer; less than `reply_timeout`.
    pub least_reply: Duration,
    /// How long to wait before connecting again.
    pub back_off: BackOff,
    /// How a line is kept alive.
    pub network: NetworkProfile,
    /// When payments to it fail unsent, because it does not answer.
    pub circuit: CircuitRule,
    /// How long an authorization holds its amount, in days: 1 to 400.
    pub hold_days: u16,
    /// How messages are written.
    pub dialect: Arc<Dialect>,
    /// How messages are told apart on the stream.
    pub framing: Framing,
    /// The bytes before each message (TPDU); empty for the dialect's own, or none.
    pub header: Vec<u8>,
    /// The time zone of DE 12 and DE 13; none for each merchant's own.
    pub time_zone: Option<TimeZone>,
    /// When its days end.
    pub calendar: Calendar,
    /// The form of DE 37.
    pub rrn: RrnForm,
    /// The currencies whose minor unit is not that of ISO 4217.
    pub minor_digits: MinorDigits,
    /// The layout of DE 43.
    pub name_location: NameLocationLayout,
    /// The digits of tags and lengths of sub-elements.
    pub subelements: SubelementWidths,
    /// The message authentication code.
    pub mac: MacRule,
    /// How each kind of operation travels.
    pub messages: Messages,
    /// How the totals of a business date are agreed; none where they are not.
    pub totals: Option<TotalsProfile>,
    /// The files that go to the bank and come from it at the end of its day.
    pub files: SettlementTables,
    /// The keys of its file, as they stand there: a later version of it is compared with them.
    pub keys: toml::Table,
}

/// The formats of a bank's files, as they stand in its profile: settlement knows what they mean, and checks them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SettlementTables {
    /// `[settlement.clearing_file]`.
    pub clearing_file: Option<toml::Table>,
    /// `[settlement.report]`.
    pub report: Option<toml::Table>,
    /// `[settlement.fees]`.
    pub fees: Option<toml::Table>,
}

impl HostProfile {
    pub(in crate::hosts) fn format(&self) -> Format<'_> {
        Format {
            dialect: &self.dialect,
            framing: &self.framing,
            header: &self.header,
            time_zone: self.time_zone.as_ref(),
            minor_digits: &self.minor_digits,
            name_location: self.name_location,
            subelements: self.subelements,
            mac: self.mac,
            messages: &self.messages,
        }
    }

    /// Builds each message once, for a merchant and a card that fit every limit and for each reason, so that
    /// a mapping that does not fit the dialect is found at the start and not by the first payment.
    ///
    /// # Errors
    /// The message, and the first data element that does not fit.
    pub fn check_messages(&self) -> Result<(), (OperationKind, MessageError)> {
        let (Some(first), Some(merchant)) = (
            sample_operation(&self.host_id),
            sample_merchant(&self.host_id),
        ) else {
            return Ok(());
        };
        let mut original = first.clone();
        if let Some(authorization) = self.messages.get(OperationKind::Authorization) {
            let sample = Outgoing::first(&first, &merchant, Some(SAMPLE_CARD));
            original.sent = sent_elements(authorization, self.format(), sample)
                .map_err(|error| (authorization.kind, error))?;
        }
        for message in self.messages.iter() {
            let Some(mapping) = &message.mapping else {
                continue;
            };
            let mut operation = Operation {
                kind: message.kind,
                ..first.clone()
            };
            let mut reasons: Vec<Option<Reason>> = mapping
                .reasons
                .iter()
                .map(|(reason, _)| Some(*reason))
                .collect();
            if reasons.is_empty() {
                reasons.push(None);
            }
            for reason in reasons {
                operation.reason = reason;
                let outgoing = Outgoing {
                    original: Some(Original {
                        operation: &original,
                        approval_code: Some("000000"),
                    }),
                    ..Outgoing::first(&operation, &merchant, Some(SAMPLE_CARD))
                };
                Encoder::new()
                    .encode(message, self.format(), outgoing)
                    .map_err(|error| (message.kind, error))?;
            }
        }
        Ok(())
    }
}

const SAMPLE_CARD: CardFields<'static> = CardFields {
    pan: "4000000000000002",
    expiry_yymm: "3012",
    cvv: Some("000"),
};

fn sample_operation(host_id: &HostId) -> Option<Operation> {
    let at = UnixMillis::new(0);
    let date = NumberDate::of(at);
    let number = SequenceNumber::new(0)?;
    let currency: Currency = "EUR".parse().ok()?;
    Some(Operation {
        id: OperationId::from_parts(at, [0; 10]),
        payment_id: PaymentId::from_parts(at, [0; 10]),
        kind: OperationKind::Authorization,
        state: OperationState::Created,
        original_id: None,
        reason: None,
        subject_id: None,
        host_id: *host_id,
        amount: Money::zero(currency),
        accepts_partial: false,
        releases_minor: 0,
        mti: "0100".parse().ok()?,
        stan: number.stan(),
        rrn: number.rrn(date),
        transmitted_at: at,
        number_date: date,
        terminal_id: "SAMPLE01".into(),
        deadline: at,
        node_id: NodeId::from_parts(at, [0; 10]),
        bank_us: None,
        attempts: Attempts::default(),
        sent: Vec::new(),
        kept: Vec::new(),
        created_at: at,
        updated_at: at,
        version: 1,
    })
}

fn sample_merchant(host_id: &HostId) -> Option<Merchant> {
    let id: MerchantId = "sample".parse().ok()?;
    Some(Merchant {
        id,
        name: "Sample".into(),
        city: "Sample".into(),
        country: "DE".into(),
        country_numeric: 276,
        mcc: "5999".into(),
        terminal_id: "SAMPLE01".into(),
        acceptor_id: "SAMPLE".into(),
        acquirer: *host_id,
        time_zone: "UTC".into(),
        active: true,
    })
}
