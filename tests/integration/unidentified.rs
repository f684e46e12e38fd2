//! Who shows no key takes nobody's service away: its connections and free calls are few, and make room for others.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use payswitch::merchant_api::pb::PaymentState as State;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::gateway::{Gateway, Settings, User};
use crate::harness::{authorize, eventually, pay_with, run, with_key};
use crate::tools::output;

/// Free calls at once.
const FREE_CALLS: usize = 256;
/// Those of one connection.
const FREE_CALLS_OF_CONNECTION: usize = 64;

fn address(gateway: &Gateway) -> SocketAddr {
    let address = gateway.ready["merchant_api"].as_str().expect("HOST:PORT");
    address.parse().expect("HOST:PORT")
}

/// A connection from this address, on which nothing is said.
async fn say_nothing(gateway: &Gateway, from: Ipv4Addr) -> TcpStream {
    #[expect(
        clippy::disallowed_methods,
        reason = "payswitch itself never chooses the address it comes from"
    )]
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("its address");
    socket
        .connect(address(gateway))
        .await
        .expect("a connection")
}

/// Whether the gateway has ended it.
fn is_ended(connection: &TcpStream) -> bool {
    match connection.try_read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn who_says_nothing_makes_room() {
    run(async {
        // Of these, four are for clients that nobody knows.
        let few = Settings {
            merchants: &["shop"],
            profile: include_str!("../../hosts/acquirer.toml"),
            config: "connections = 16\n",
            ..Settings::default()
        };
        let gateway = Gateway::start_prepared(few, |_| {}).await;
        let pay = async |channel| {
            let mut payments = with_key(channel, &gateway.api_keys[0]);
            let paid = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
            assert_eq!(paid.state(), State::Authorized);
        };
        let known = gateway.connect().await;
        pay(known.clone()).await;
        let other = Ipv4Addr::new(127, 0, 0, 2);
        let mut of_another = say_nothing(&gateway, other).await;
        let mut silent = Vec::new();
        for _ in 0..40 {
            silent.push(say_nothing(&gateway, Ipv4Addr::LOCALHOST).await);
        }
        // Each newcomer ended the oldest of the address that had most.
        eventually("all but three ended", async || {
            let ended = silent.iter().filter(|it| is_ended(it)).count();
            (ended == 37).then_some(())
        })
        .await;
        assert!(silent.iter().rev().take(3).all(|it| !is_ended(it)));
        assert!(!is_ended(&of_another));
        // Who was known keeps its connection, and who brings a key gets one.
        pay(known).await;
        pay(gateway.connect().await).await;
        drop(silent);
        // It ends when its handshake has taken too long.
        assert_eq!(of_another.read(&mut [0]).await.expect("its end"), 0);
    });
}

/// The status of a free call that curl makes from this address, with an empty message.
fn called(gateway: &Gateway, from: &str, method: &str) -> String {
    let path = |name: &str| gateway.folder.path().join(name);
    std::fs::write(path("empty-message"), [0; 5]).expect("a file");
    let address = address(gateway);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--http2", "--max-time", "30"])
        .args(["--interface", from, "--dump-header", "-", "--output"])
        .arg(path("answer"))
        .args(["--header", "content-type: application/grpc"])
        .args(["--header", "te: trailers", "--data-binary"])
        .arg(format!("@{}", path("empty-message").display()))
        .arg("--cacert")
        .arg(path("certs/dev/gateway-ca.pem"))
        .arg("--connect-to")
        .arg(format!("::{address}"))
        .arg(format!("https://localhost/{method}"));
    // It says that the stream was reset where it is answered before its message is read.
    let said = String::from_utf8(output(&mut curl).stdout).expect("UTF-8");
    let status = said
        .lines()
        .find_map(|line| line.strip_prefix("grpc-status: "));
    status.expect("a status").trim().to_owned()
}

#[test]
fn free_calls_are_shared_by_addresses() {
    run(async {
        let gateway = Gateway::start(User::Own, &["shop"], |_| {}).await;
        let request = || HealthCheckRequest::default();
        let mut watched = Vec::new();
        let mut health_of = Vec::new();
        for _ in 0..FREE_CALLS / FREE_CALLS_OF_CONNECTION {
            health_of.push(HealthClient::new(gateway.connect().await));
        }
        for number in 0..FREE_CALLS {
            let client = &mut health_of[number / FREE_CALLS_OF_CONNECTION];
            let mut stream = client
                .watch(request())
                .await
                .expect("a stream")
                .into_inner();
            stream
                .message()
                .await
                .expect("it goes on")
                .expect("how it stands");
            watched.push(stream);
        }
        // Neither on a connection that has its share, nor on a new one of the same address.
        let mut another = HealthClient::new(gateway.connect().await);
        for client in [&mut health_of[0], &mut another] {
            let refused = client.watch(request()).await.expect_err("too many");
            assert_eq!(refused.code(), Code::ResourceExhausted);
        }
        // Another address has its share, and neither checks nor payments need one.
        let reflect = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        for (from, method, status) in [
            ("127.0.0.1", reflect, "8"),
            // It asks for nothing.
            ("127.0.0.2", reflect, "3"),
            ("127.0.0.1", "grpc.health.v1.Health/Check", "0"),
        ] {
            assert_eq!(
                called(&gateway, from, method),
                status,
                "{method} from {from}"
            );
        }
        let mut payments = with_key(gateway.connect().await, &gateway.api_keys[0]);
        let paid = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        assert_eq!(paid.state(), State::Authorized);
        drop(watched);
        let again = eventually("its places are free again", async || {
            another.watch(request()).await.ok()
        });
        drop(again.await);
    });
}
