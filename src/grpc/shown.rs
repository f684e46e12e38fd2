//! The certificates that clients have shown. Each is checked again when the settings of the door change, and once an
//! hour: it may have been revoked since the handshake, or have ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::tls::{CurrentTls, DoorTls};
use crate::clock::Clock;
use crate::payment::ids::ConnectionId;

/// How often certificates are checked again where nothing has changed.
const CHECK_EVERY: Duration = Duration::from_hours(1);
/// How long the calls in progress may go on over a connection whose client is not let in any more. A merchant's
/// payment is answered within it; further calls are refused meanwhile.
const CALLS_END_WITHIN: Duration = Duration::from_secs(5);

/// A certificate that a client has shown, while its connection is open.
#[derive(Debug)]
pub(crate) struct ShownCertificate {
    connection: ConnectionId,
    peer: SocketAddr,
    chain: Vec<CertificateDer<'static>>,
    refused: AtomicBool,
    ended: CancellationToken,
}

impl ShownCertificate {
    /// A chain that was checked in the handshake.
    pub(super) fn new(
        connection: ConnectionId,
        peer: SocketAddr,
        chain: &[CertificateDer<'_>],
    ) -> Arc<Self> {
        Arc::new(Self {
            connection,
            peer,
            chain: chain.iter().map(|it| it.clone().into_owned()).collect(),
            refused: AtomicBool::new(false),
            ended: CancellationToken::new(),
        })
    }

    /// Whether it is not accepted any more: no call over the connection is.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Says when the connection has to end.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    fn check(self: &Arc<Self>, tls: &DoorTls, now: UnixTime) {
        let Err(error) = tls.check_client(&self.chain, now) else {
            return;
        };
        if self.refused.swap(true, Ordering::Relaxed) {
            return;
        }
        warn!(
            connection.id = %self.connection, peer = %self.peer, %error,
            "A client's certificate is not accepted any more: its connection ends"
        );
        let ended = self.ended.clone();
        tokio::spawn(async move {
            tokio::time::sleep(CALLS_END_WITHIN).await;
            ended.cancel();
        });
    }
}

/// The certificates that were shown on the connections of a door that are open.
#[derive(Clone, Default)]
pub(super) struct ShownCertificates(Arc<Mutex<BTreeMap<ConnectionId, Arc<ShownCertificate>>>>);

impl ShownCertificates {
    /// Adds one, until what is returned is dropped. The handshake was made with the settings `made_with`: where the door
    /// has others by now, it is checked with those.
    pub(super) fn add(
        &self,
        shown: &Arc<ShownCertificate>,
        made_with: &Arc<DoorTls>,
        current: &CurrentTls,
        clock: &dyn Clock,
    ) -> Registered {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(shown.connection, Arc::clone(shown));
        drop(all);
        let now = current.now();
        if !Arc::ptr_eq(&now, made_with) {
            shown.check(&now, clock.unix_time());
        }
        Registered {
            all: self.clone(),
            connection: shown.connection,
        }
    }

    /// Checks all of them again whenever it is time, for ever.
    pub(super) async fn check_again(self, current: CurrentTls, clock: Arc<dyn Clock>) {
        let mut changes = current.watch();
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
            let tls = Arc::clone(&changes.borrow_and_update());
            for shown in self.all() {
                shown.check(&tls, clock.unix_time());
                // Calls go on meanwhile.
                tokio::task::yield_now().await;
            }
        }
    }

    fn all(&self) -> Vec<Arc<ShownCertificate>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }
}

/// A connection among those whose certificates are checked again, until it is dropped.
pub(super) struct Registered {
    all: ShownCertificates,
    connection: ConnectionId,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
        IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    };

    use super::*;
    use crate::clock::ManualClock;
    use crate::grpc::tls::{ClientCertificates, ClientRoot, DoorTexts};
    use crate::payment::moment::UnixMillis;

    const NOW: UnixMillis = UnixMillis::new(1_795_256_130_000);
    /// The serial number of the client's certificate.
    const SERIAL: u64 = 77;

    /// A client, and its root.
    struct Stage {
        root: CertifiedIssuer<'static, KeyPair>,
        shown: Arc<ShownCertificate>,
    }

    fn tls(root: &CertifiedIssuer<'static, KeyPair>, revoked: &[u64]) -> DoorTls {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: NOW.utc(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: NOW.utc(),
            next_update: NOW.plus_days(1).utc(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(root).unwrap().pem().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        DoorTls::new(&DoorTexts {
            certificate: certificate.pem().as_bytes(),
            private_key: key.serialize_pem().as_bytes(),
            clients: ClientCertificates::Mandatory(ClientRoot {
                ca: root.pem().as_bytes(),
                crl: Some(list.as_bytes()),
            }),
        })
        .unwrap()
    }

    /// A client whose certificate ends when an hour is over.
    fn stage() -> Stage {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(SERIAL));
        params.not_after = NOW.plus(CHECK_EVERY).utc();
        let key = KeyPair::generate().unwrap();
        let client = params.signed_by(&key, &root).unwrap();
        let id = ConnectionId::from_parts(NOW, [7; 10]);
        let peer = "192.0.2.7:50123".parse().unwrap();
        let shown = ShownCertificate::new(id, peer, &[client.der().clone()]);
        Stage { root, shown }
    }

    #[tokio::test]
    async fn a_certificate_is_refused_once_it_would_not_be_let_in() {
        for (revoked, after_ms, refused) in [
            (&[][..], 0, false),
            (&[SERIAL + 1], 0, false),
            (&[5, SERIAL], 0, true),
            (&[], 3_599_000, false),
            (&[], 3_601_000, true),
        ] {
            let Stage { root, shown } = stage();
            let clock = ManualClock::at(NOW.plus_ms(after_ms));
            shown.check(&tls(&root, revoked), clock.unix_time());
            assert_eq!(
                shown.is_refused(),
                refused,
                "{revoked:?} after {after_ms} ms"
            );
            // The calls in progress go on for a while.
            assert!(!shown.ended().is_cancelled());
        }
    }

    /// The settings changed while the client shook hands.
    #[tokio::test]
    async fn who_shook_hands_before_a_change_is_checked_at_once() {
        let Stage { root, shown } = stage();
        let (all, clock) = (ShownCertificates::default(), ManualClock::at(NOW));
        let current = CurrentTls::new(tls(&root, &[]));
        let made_with = current.now();
        let registered = all.add(&shown, &made_with, &current, &clock);
        assert!(!shown.is_refused());
        assert_eq!(all.all().len(), 1);
        drop(registered);
        assert!(all.all().is_empty());
        current.replace(tls(&root, &[SERIAL]));
        let _registered = all.add(&shown, &made_with, &current, &clock);
        assert!(shown.is_refused());
    }
}
