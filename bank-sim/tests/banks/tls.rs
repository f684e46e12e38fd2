//! Who gets in: TLS 1.3 with a certificate under the host's own root, and nobody else.

use std::time::Duration;

use bank_sim::net::Net;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::Banks;
use crate::pki::{HostPki, client_config, connect_tls};
use crate::switch::LIMIT;

/// Whether the host talks to a client. In TLS 1.3 a client learns of its refusal when it reads.
async fn is_let_in(banks: &Banks, config: rustls::ClientConfig) -> bool {
    let address = banks.sim.address("acquirer").unwrap();
    let Ok(mut stream) = connect_tls(address, "acquirer", config).await else {
        return false;
    };
    // An echo in the acquirer's dialect: header, 0800, DE 7, 11, 70.
    let request = [
        &[0x60, 0, 3, 0, 0, 0x08, 0x00][..],
        &[0x82, 0x20, 0, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0, 0, 0],
        &[0x11, 0x21, 0x12, 0, 0, 0, 0, 0x01, 0x03, 0x01],
    ]
    .concat();
    let request = [&[0, u8::try_from(request.len()).unwrap()], &request[..]].concat();
    let written = stream.write_all(&request).await;
    let mut answer = [0; 2];
    written.is_ok() && stream.read_exact(&mut answer).await.is_ok()
}

#[tokio::test]
async fn only_a_client_under_the_hosts_own_root_gets_in() {
    let banks = Banks::start().await;
    let root = &banks.acquirer.ca;
    let stranger = HostPki::new("acquirer");
    let other_host = &banks.issuer_a;
    let known = (
        banks.acquirer.client_certificate.as_str(),
        banks.acquirer.client_key.as_str(),
    );
    let unknown = (
        stranger.client_certificate.as_str(),
        stranger.client_key.as_str(),
    );
    let elsewhere = (
        other_host.client_certificate.as_str(),
        other_host.client_key.as_str(),
    );
    for (identity, expected, who) in [
        (Some(known), true, "the host's own client"),
        (None, false, "a client without a certificate"),
        (Some(unknown), false, "a stranger"),
        (Some(elsewhere), false, "a client of another host"),
    ] {
        let config = client_config(root, identity, &[&rustls::version::TLS13]);
        assert_eq!(is_let_in(&banks, config).await, expected, "{who}");
    }
    let counters = banks.sim.counters("acquirer").unwrap();
    assert_eq!((counters.connections, counters.refused_handshakes), (1, 3));
}

#[tokio::test]
async fn the_acquirer_refuses_an_issuer_with_another_name() {
    let banks = Banks::launch(|config| {
        let links = &mut config.acquirer.as_mut().unwrap().links;
        links[0].tls.as_mut().unwrap().server_name = "issuer-x.bank.test".to_owned();
    })
    .await;
    assert!(banks.sim.wait_for_link("issuer-b", LIMIT).await);
    assert!(
        !banks
            .sim
            .wait_for_link("issuer-a", Duration::from_millis(300))
            .await
    );
    let mut switch = banks.switch().await;
    let request = switch.authorization("4111111111111111", 1_00);
    assert_eq!(switch.ask(&request).await.code(), "91");
    assert_eq!(banks.sim.counters("issuer-a").unwrap().connections, 0);
}

/// A ClientHello of TLS 1.2 (RFC 5246, 7.4.1.2): no `supported_versions`, suites that 1.2 has.
fn client_hello_of_tls_1_2() -> Vec<u8> {
    let extensions = [
        // supported_groups: secp256r1, x25519.
        &[0x00, 0x0A, 0, 6, 0, 4, 0x00, 0x17, 0x00, 0x1D][..],
        // signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256.
        &[0x00, 0x0D, 0, 6, 0, 4, 0x04, 0x03, 0x08, 0x04],
        // ec_point_formats: uncompressed.
        &[0x00, 0x0B, 0, 2, 1, 0],
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[0x5A; 32],
        &[0],
        // ECDHE_ECDSA and ECDHE_RSA with AES_128_GCM_SHA256.
        &[0, 4, 0xC0, 0x2B, 0xC0, 0x2F],
        &[1, 0],
        &[0, u8::try_from(extensions.len()).unwrap()],
        &extensions,
    ]
    .concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[tokio::test]
async fn tls_1_2_is_refused_with_protocol_version() {
    let banks = Banks::start().await;
    for host in ["acquirer", "issuer-a", "issuer-b"] {
        let mut stream = Net::SYSTEM
            .connect(banks.sim.address(host).unwrap())
            .await
            .unwrap();
        stream.write_all(&client_hello_of_tls_1_2()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        // A fatal alert (RFC 5246, 7.2): 70 is protocol_version.
        assert_eq!(answer.first(), Some(&0x15), "{host}");
        assert_eq!(answer.get(5..), Some(&[2, 70][..]), "{host}");
    }
}
