//! Certificates, revocation lists and profiles are read again while payments go on. Certificates are made and revoked by
//! OpenSSL, as docs/operations.md says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use payswitch::merchant_api::pb::PaymentState as State;
use payswitch::merchant_api::pb::payment_service_client::PaymentServiceClient;
use payswitch::net::{Net, Stream};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use crate::demo::{PROGRAM, text};
use crate::gateway::{Gateway, Settings, User, command};
use crate::harness::{Payments, authorize, eventually, paid, pay_with, run, until, with_key};
use crate::tools::{output, printed_by};

const KEPT: &str = "demo-shop";
const LOST: &str = "lost-shop";
/// A connection ends sooner where its client is not let in any more, and not as soon where it is.
const ENDED_WITHIN: Duration = Duration::from_secs(20);
/// The beginning of a connection (RFC 9113, section 3.4): the preface, and settings that say nothing.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// What `openssl ca` wants to know of an authority.
const CA_CONFIG: &str = "[ca]\ndefault_ca = it\n[it]\ndatabase = NAME-revoked.txt\n\
    crlnumber = NAME-crlnumber\ndefault_md = sha256\ndefault_crl_days = 30\n";

/// Files of certificates, and OpenSSL beside them.
struct Certificates(PathBuf);

impl Certificates {
    fn openssl(&self, arguments: &str) {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&self.0);
        printed_by(openssl.args(arguments.split_ascii_whitespace()));
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("a file");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).expect("a file")
    }

    /// A certificate of an authority, `NAME.pem`, and its key, `NAME.key`. Both are there at once.
    fn issue(&self, name: &str, authority: &str, alternative_names: &str) {
        self.write("names", &format!("subjectAltName = {alternative_names}\n"));
        self.openssl(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=renewed \
             -keyout new.key -out new.csr",
        );
        self.openssl(&format!(
            "x509 -req -in new.csr -CA {authority}-ca.pem -CAkey {authority}-ca.key -days 30 \
             -extfile names -out new.pem"
        ));
        for kind in ["key", "pem"] {
            let new = self.0.join(format!("new.{kind}"));
            std::fs::rename(new, self.0.join(format!("{name}.{kind}"))).expect("a new name");
        }
    }

    /// An authority's list of what it has revoked, with this certificate.
    fn revoke(&self, authority: &str, revoked: Option<&str>) {
        let ca = format!(
            "ca -config {authority}.cnf -cert {authority}-ca.pem -keyfile {authority}-ca.key"
        );
        if !self.0.join(format!("{authority}.cnf")).exists() {
            self.write(
                &format!("{authority}.cnf"),
                &CA_CONFIG.replace("NAME", authority),
            );
            self.write(&format!("{authority}-revoked.txt"), "");
            self.write(&format!("{authority}-crlnumber"), "01");
        }
        if let Some(revoked) = revoked {
            self.openssl(&format!("{ca} -revoke {revoked}.pem"));
        }
        self.openssl(&format!("{ca} -gencrl -out {authority}.crl"));
    }

    fn merchant(&self, name: &str) {
        self.issue(name, "gateway", &format!("URI:payswitch://merchant/{name}"));
    }

    /// The first certificate in a file.
    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(&self.read(name)).expect("a certificate")
    }
}

/// A gateway with certificates and lists of its own for everybody, and an operator.
async fn start() -> (Gateway, Certificates) {
    let profile = include_str!("../../hosts/acquirer.toml");
    let ca = "ca = \"certs/dev/acquirer-ca.pem\"";
    let profile = profile.replace(ca, &format!("{ca}\ncrl = \"certs/dev/acquirer.crl\""));
    let settings = Settings {
        merchants: &[KEPT, LOST],
        profile: &profile,
        certs: &["--keep-ca-keys"],
        config: "client_ca = \"certs/dev/gateway-ca.pem\"\nclient_crl = \"certs/dev/gateway.crl\"\n\
            [admin_api]\nlisten = \"127.0.0.1:0\"\nclient_crl = \"certs/dev/operators.crl\"\n",
        operator: true,
        log: None,
    };
    let gateway = Gateway::start_prepared(settings, |folder| {
        let certificates = Certificates(folder.to_owned());
        for authority in ["gateway", "operators", "acquirer"] {
            certificates.revoke(authority, None);
        }
        certificates.merchant(KEPT);
        certificates.merchant(LOST);
    });
    let gateway = gateway.await;
    let certificates = Certificates(gateway.folder.path().join("certs/dev"));
    (gateway, certificates)
}

fn address(gateway: &Gateway) -> SocketAddr {
    let address = gateway.ready["merchant_api"].as_str();
    address.expect("HOST:PORT").parse().expect("HOST:PORT")
}

async fn shake_hands(
    gateway: &Gateway,
    certificates: &Certificates,
    client: Option<&str>,
) -> std::io::Result<TlsStream<Stream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(certificates.certificate("gateway-ca.pem"))
        .expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("a version of TLS")
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = vec![certificates.certificate(&format!("{name}.pem"))];
            let key = certificates.read(&format!("{name}.key"));
            let key = PrivateKeyDer::from_pem_slice(&key).expect("a key");
            builder
                .with_client_auth_cert(chain, key)
                .expect("a client certificate")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = Net::SYSTEM.connect(address(gateway)).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

/// The certificate that the door shows to who comes now.
async fn shown(gateway: &Gateway, certificates: &Certificates) -> CertificateDer<'static> {
    let tls = shake_hands(gateway, certificates, None)
        .await
        .expect("a handshake");
    let shown = tls.get_ref().1.peer_certificates().expect("a certificate");
    shown[0].clone().into_owned()
}

/// A client with one connection, which is not made again.
async fn once(gateway: &Gateway, certificates: &Certificates, client: Option<&str>) -> Channel {
    let tls = shake_hands(gateway, certificates, client).await;
    let mut tls = Some(TokioIo::new(tls.expect("a handshake")));
    let connector = tower::service_fn(move |_: http::Uri| {
        let tls = tls.take().ok_or(std::io::ErrorKind::NotConnected);
        async move { tls.map_err(std::io::Error::from) }
    });
    let endpoint = Endpoint::from_static("https://payswitch");
    let channel = endpoint.connect_with_connector(connector).await;
    channel.expect("HTTP/2")
}

async fn assert_pays(payments: &mut PaymentServiceClient<Channel>) {
    let request = pay_with("pm_test_visa", 1250, "EUR");
    let payment = paid(payments.authorize_payment(request).await);
    assert_eq!(payment.state(), State::Authorized, "{payment:?}");
}

/// Pays again and again over one connection. A payment that is not authorized fails the test.
struct Paying {
    stop: watch::Sender<bool>,
    count: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Paying {
    async fn start(gateway: &Gateway, certificates: &Certificates) -> Self {
        let channel = once(gateway, certificates, None).await;
        let mut payments: Payments = with_key(channel, &gateway.api_keys[0]);
        let (stop, stopped) = watch::channel(false);
        let (counted, count) = watch::channel(0);
        let task = tokio::spawn(async move {
            while !*stopped.borrow() {
                let payment = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
                assert_eq!(payment.state(), State::Authorized, "{payment:?}");
                counted.send_modify(|count| *count += 1);
            }
        });
        Self { stop, count, task }
    }

    /// Waits for further payments.
    async fn goes_on(&mut self) {
        let now = *self.count.borrow();
        let further = self.count.wait_for(|count| *count >= now + 5).await;
        further.expect("payments are authorized");
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.expect("each payment is authorized");
    }
}

#[test]
fn files_are_read_again_on_sighup_and_when_they_change() {
    run(async {
        let (mut gateway, certificates) = start().await;
        let mut paying = Paying::start(&gateway, &certificates).await;
        let gateway_names = "DNS:localhost,DNS:payswitch.test";
        for signal in ["USR1", "USR2", "ALRM"] {
            gateway.process.send(signal);
        }
        paying.goes_on().await;

        // The door's certificate is renewed. Who is connected notices nothing.
        let first = shown(&gateway, &certificates).await;
        certificates.issue("gateway", "gateway", gateway_names);
        let second = certificates.certificate("gateway.pem");
        assert_ne!(first, second);
        gateway.process.send("HUP");
        until("the second certificate", async || {
            shown(&gateway, &certificates).await == second
        })
        .await;
        assert!(
            text(&gateway.log)
                .contains("SIGHUP: certificates, profiles and sealing keys are read again")
        );
        paying.goes_on().await;

        // A merchant's certificate is revoked: its connection ends, and it is not let in again. Others are.
        let client = async |name| once(&gateway, &certificates, Some(name)).await;
        let mut kept = PaymentServiceClient::new(client(KEPT).await);
        let mut lost = PaymentServiceClient::new(client(LOST).await);
        let idle = shake_hands(&gateway, &certificates, Some(LOST)).await;
        let mut idle = idle.expect("a handshake");
        idle.write_all(HTTP_2).await.expect("a connection");
        assert_pays(&mut kept).await;
        assert_pays(&mut lost).await;
        certificates.revoke("gateway", Some(LOST));
        gateway.process.send("HUP");
        until("a call that is refused", async || {
            let request = pay_with("pm_test_visa", 1250, "EUR");
            lost.authorize_payment(request).await.is_err()
        })
        .await;
        // It may end as TCP does.
        let ended = tokio::time::timeout(ENDED_WITHIN, idle.read_to_end(&mut Vec::new())).await;
        let _how = ended.expect("the connection ends");
        if let Ok(mut refused) = shake_hands(&gateway, &certificates, Some(LOST)).await {
            assert!(refused.read_u8().await.is_err());
        }
        assert_pays(&mut kept).await;
        assert_pays(&mut PaymentServiceClient::new(client(KEPT).await)).await;
        paying.goes_on().await;

        // What can't be used leaves what is.
        certificates.write("gateway.pem", "nothing");
        gateway.process.send("HUP");
        until("a part that is refused", async || {
            text(&gateway.log).contains("A part can't be read again: what was in use before stays")
        })
        .await;
        assert_eq!(shown(&gateway, &certificates).await, second);

        // A change of the files is enough.
        certificates.issue("gateway", "gateway", gateway_names);
        let third = certificates.certificate("gateway.pem");
        until("the third certificate", async || {
            shown(&gateway, &certificates).await == third
        })
        .await;
        paying.goes_on().await;
        paying.end().await;
        assert!(!gateway.process.has_ended());
        gateway.process.send("QUIT");
        let status = gateway.process.exit().await;
        assert!(status.success(), "{status}: {}", text(&gateway.log));
    });
}

/// Runs a command of operators.
fn payswitch(gateway: &Gateway, arguments: &[&str]) -> Output {
    let mut command = command(Path::new(PROGRAM), User::Own, gateway.folder.path());
    output(command.args(arguments).args(["--ready", "ready.json"]))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// What became of each part, and why.
fn reload(gateway: &Gateway) -> (bool, BTreeMap<String, (String, String)>) {
    let done = payswitch(gateway, &["reload", "--reason", "a test", "--json"]);
    let said = json(&done);
    let parts = said["parts"].as_array().expect("parts").iter().map(|part| {
        let text = |key: &str| part[key].as_str().expect("a text").to_owned();
        (text("part"), (text("outcome"), text("detail")))
    });
    (done.status.success(), parts.collect())
}

/// That these parts were reloaded, and all others are unchanged.
fn assert_reloads(gateway: &Gateway, reloaded: &[&str]) {
    let (succeeded, parts) = reload(gateway);
    assert!(succeeded, "{parts:?}");
    let names: Vec<_> = parts.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "admin_api",
            "host acquirer",
            "hosts",
            "merchant_api",
            "sealing_keys"
        ]
    );
    for (part, (outcome, detail)) in parts {
        let expected = match reloaded.contains(&part.as_str()) {
            true => "RELOADED",
            false => "UNCHANGED",
        };
        assert_eq!(
            (outcome.as_str(), detail.as_str()),
            (expected, ""),
            "{part}"
        );
    }
}

/// Why the first line was lost last.
fn fault(gateway: &Gateway) -> String {
    let listed = json(&payswitch(gateway, &["hosts", "list", "--json"]));
    listed["hosts"][0]["lines"][0]["last_error"].to_string()
}

async fn pays(payments: &mut Payments) -> bool {
    let payment = authorize(payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    payment.state() == State::Authorized
}

#[test]
fn operators_are_told_what_became_of_each_part() {
    run(async {
        let (gateway, certificates) = start().await;
        assert_reloads(&gateway, &[]);
        let mut paying = Paying::start(&gateway, &certificates).await;

        // Another certificate for the bank, which it does not know: the lines that are up do not need it.
        certificates.issue("acquirer-client", "gateway", "DNS:gateway.test");
        assert_reloads(&gateway, &["host acquirer"]);
        assert_reloads(&gateway, &[]);
        paying.goes_on().await;
        paying.end().await;
        let order = |order| {
            payswitch(
                &gateway,
                &["hosts", order, "acquirer", "--reason", "a test"],
            )
        };
        assert!(order("sign-off").status.success());
        assert!(!order("sign-on").status.success());
        let said = fault(&gateway);
        assert!(said.contains("alert"), "{said}");
        certificates.issue("acquirer-client", "acquirer", "DNS:gateway.test");
        assert_reloads(&gateway, &["host acquirer"]);
        let mut payments = with_key(gateway.connect().await, &gateway.api_keys[0]);
        until("a payment", async || pays(&mut payments).await).await;

        // The bank's own is revoked, and then another list is there.
        let list = certificates.read("acquirer.crl");
        certificates.revoke("acquirer", Some("acquirer"));
        assert_reloads(&gateway, &["host acquirer"]);
        let said = eventually("a line that is down", async || {
            Some(fault(&gateway)).filter(|said| said.contains("Revoked"))
        });
        said.await;
        until("no payment", async || !pays(&mut payments).await).await;
        std::fs::write(certificates.0.join("acquirer.crl"), list).expect("a list");
        assert_reloads(&gateway, &["host acquirer"]);
        until("a payment", async || pays(&mut payments).await).await;

        // The operators' door follows too.
        certificates.issue("admin", "operators", "DNS:localhost");
        assert_reloads(&gateway, &["admin_api"]);

        // What needs a restart is named, and what is broken too; nothing of either is used.
        let profile = gateway.folder.path().join("hosts/acquirer.toml");
        let before = text(&profile);
        let more = before.replace("lines = 2", "lines = 3");
        std::fs::write(&profile, more.replace("hold_days = 7", "hold_days = 8"))
            .expect("a profile");
        std::fs::write(profile.with_file_name("other.toml"), &before).expect("a profile");
        certificates.write("gateway.crl", "nothing");
        let (succeeded, parts) = reload(&gateway);
        assert!(!succeeded);
        for (part, expected) in [
            (
                "merchant_api",
                "expected a revocation list of each root, got none of",
            ),
            ("host acquirer", "expected hold_days, lines as at the start"),
            ("hosts", "other.toml` is new: a host is added by a restart"),
        ] {
            let (outcome, detail) = &parts[part];
            assert_eq!(outcome, "REFUSED");
            assert!(detail.contains(expected), "{part}: {detail}");
        }
        assert_eq!(parts["admin_api"].0, "UNCHANGED");
        assert!(pays(&mut payments).await);

        // It is on record, and counted.
        let trail = json(&payswitch(&gateway, &["audit", "list", "--json"]));
        let entries = trail["entries"].as_array().expect("entries").iter();
        let reloads = entries.filter(|entry| entry["action"] == "ReloadService.Reload");
        let outcomes = reloads.map(|entry| (&entry["outcome"], &entry["outcome_reason"]));
        let outcomes: Vec<_> = outcomes.collect();
        assert!(
            outcomes[0].0 == "FAILED" && outcomes[0].1 == "PART_REFUSED",
            "{trail}"
        );
        assert!(outcomes[1].0 == "DONE" && outcomes[1].1 == "", "{trail}");
        let page = page_of_figures(&gateway, &certificates);
        for sample in [
            "payswitch_reloads_total{part=\"admin_api\",outcome=\"reloaded\"} 1",
            "payswitch_reloads_total{part=\"admin_api\",outcome=\"refused\"} 0",
            "payswitch_reloads_total{part=\"host acquirer\",outcome=\"reloaded\"} 4",
            "payswitch_reloads_total{part=\"hosts\",outcome=\"refused\"} 1",
        ] {
            assert!(
                page.lines().any(|line| line == sample),
                "no {sample} in {page}"
            );
        }
        for of in ["merchant_api", "admin_api", "host acquirer"] {
            for figure in ["certificate_not_after_seconds", "crl_next_update_seconds"] {
                let sample = format!("payswitch_{figure}{{of=\"{of}\"}}");
                assert!(page.contains(&sample), "no {sample} in {page}");
            }
        }
    });
}

fn page_of_figures(gateway: &Gateway, certificates: &Certificates) -> String {
    let address = gateway.ready["admin_api"].as_str().expect("HOST:PORT");
    let (_, port) = address.rsplit_once(':').expect("a port");
    let mut curl = Command::new("curl");
    curl.current_dir(&certificates.0)
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--http2",
            "--max-time",
            "30",
        ])
        .args(["--cacert", "operators-ca.pem", "--cert", "operator.pem"])
        .args([
            "--key",
            "operator.key",
            "--connect-to",
            &format!("::{address}"),
        ])
        .arg(format!("https://localhost:{port}/metrics"));
    printed_by(&mut curl)
}
