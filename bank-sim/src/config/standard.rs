//! The standard layout: one acquirer, two issuers, and a BIN range whose issuer is not there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use iso8583::{Framing, Prefix};

use super::{
    ACQUIRER, AcquirerConfig, ClientTls, ControlConfig, HostRules, IssuerCodec, IssuerConfig,
    LinkConfig, ListenerTls, Pem, SimConfig, ZonePinKeyHex, acquirer_dialect, binary_2,
    institution_id, issuer_timeout_ms, late_answer_ms, max_exchanges,
};
use crate::test_cards::{BIN_ROUTES, ISSUER_A, ISSUER_B, ISSUER_DOWN};

impl SimConfig {
    /// The standard layout, which `bank-sim/bank-sim.toml` has too: one acquirer, issuer-a through
    /// this project's codec, issuer-b through `iso8583_rs`, and a BIN range whose issuer is not there.
    #[must_use]
    pub fn standard(ports: StandardPorts, pki: StandardPki) -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let links = [(ISSUER_A, &pki.issuer_a), (ISSUER_B, &pki.issuer_b)]
            .map(|(issuer, pems)| LinkConfig {
                issuer: issuer.to_owned(),
                bins: bins_of(issuer),
                address: None,
                dialect: None,
                framing: None,
                tls: Some(pems.client_tls(issuer)),
            })
            .into_iter()
            .chain([LinkConfig {
                issuer: ISSUER_DOWN.to_owned(),
                bins: bins_of(ISSUER_DOWN),
                address: None,
                dialect: None,
                framing: None,
                tls: None,
            }])
            .collect();
        let issuer =
            |name: &str, port, codec, dialect: &str, prefix: Prefix, pems: HostPems| IssuerConfig {
                name: name.to_owned(),
                listen: loopback(port),
                codec,
                dialect: dialect.to_owned(),
                framing: Framing::new(prefix),
                late_answer_ms: late_answer_ms(),
                zone_pin_key_hex: ZonePinKeyHex::default(),
                echo_idle_ms: None,
                tls: pems.listener_tls(),
                rules: HostRules::default(),
                cards: Vec::new(),
            };
        Self {
            acquirer: Some(AcquirerConfig {
                name: ACQUIRER.to_owned(),
                listen: loopback(ports.acquirer),
                dialect: acquirer_dialect(),
                framing: binary_2(),
                institution_id: institution_id(),
                issuer_timeout_ms: issuer_timeout_ms(),
                echo_idle_ms: None,
                echo_card_number: false,
                settlement_date: false,
                rules: HostRules::default(),
                tls: pki.acquirer.listener_tls(),
                links,
            }),
            issuers: vec![
                issuer(
                    ISSUER_A,
                    ports.issuer_a,
                    IssuerCodec::Own,
                    "iso1987-ascii-hex",
                    Prefix::Ascii4,
                    pki.issuer_a,
                ),
                issuer(
                    ISSUER_B,
                    ports.issuer_b,
                    IssuerCodec::Iso8583Rs,
                    "iso1987-ascii-binary",
                    Prefix::Binary2,
                    pki.issuer_b,
                ),
            ],
            codec_program: None,
            control: Some(ControlConfig {
                listen: loopback(ports.control),
            }),
            max_exchanges: max_exchanges(),
        }
    }
}

fn bins_of(issuer: &str) -> Vec<String> {
    BIN_ROUTES
        .iter()
        .filter(|(_, routed_to)| *routed_to == issuer)
        .map(|(bin, _)| (*bin).to_owned())
        .collect()
}

/// The ports of the standard layout on 127.0.0.1; 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardPorts {
    /// The acquirer's port.
    pub acquirer: u16,
    /// The port of issuer-a.
    pub issuer_a: u16,
    /// The port of issuer-b.
    pub issuer_b: u16,
    /// The port of the control API.
    pub control: u16,
}

impl StandardPorts {
    /// Free ports, chosen by the machine.
    pub const ANY: Self = Self {
        acquirer: 0,
        issuer_a: 0,
        issuer_b: 0,
        control: 0,
    };
    /// The ports of `bank-sim.toml`: 7001, 7002 and 7003, and 7000 for the control API.
    pub const FIXED: Self = Self {
        acquirer: 7001,
        issuer_a: 7002,
        issuer_b: 7003,
        control: 7000,
    };
}

/// The PEMs around one host of the standard layout.
#[derive(Debug, Clone)]
pub struct HostPems {
    /// The host's private root.
    pub ca: Pem,
    /// The host's certificate, for the name `HOST.bank.test`.
    pub certificate: Pem,
    /// The private key of the host's certificate.
    pub key: Pem,
    /// The certificate that the host's client uses: the acquirer's at an issuer.
    pub client_certificate: Pem,
    /// The private key of the client's certificate.
    pub client_key: Pem,
}

impl HostPems {
    fn listener_tls(self) -> ListenerTls {
        ListenerTls {
            certificate: self.certificate,
            key: self.key,
            client_ca: self.ca,
        }
    }

    fn client_tls(&self, host: &str) -> ClientTls {
        ClientTls {
            server_name: server_name(host),
            ca: self.ca.clone(),
            certificate: self.client_certificate.clone(),
            key: self.client_key.clone(),
        }
    }
}

/// The PEMs of the standard layout.
#[derive(Debug, Clone)]
pub struct StandardPki {
    /// Around the acquirer. Its client is the switch, so its client PEMs are not used here.
    pub acquirer: HostPems,
    /// Around issuer-a.
    pub issuer_a: HostPems,
    /// Around issuer-b.
    pub issuer_b: HostPems,
}

/// The name in a host's certificate in the standard layout: `HOST.bank.test`.
#[must_use]
pub fn server_name(host: &str) -> String {
    format!("{host}.bank.test")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pems(host: &str) -> HostPems {
        let path = |name: &str| Pem::file(format!("certs/dev/{host}{name}"));
        HostPems {
            ca: path("-ca.pem"),
            certificate: path(".pem"),
            key: path(".key"),
            client_certificate: path("-client.pem"),
            client_key: path("-client.key"),
        }
    }

    #[test]
    fn the_sample_configuration_is_the_standard_layout() {
        let sample: SimConfig = toml::from_str(include_str!("../../bank-sim.toml")).unwrap();
        let pki = StandardPki {
            acquirer: pems("acquirer"),
            issuer_a: pems("issuer-a"),
            issuer_b: pems("issuer-b"),
        };
        let mut standard = SimConfig::standard(StandardPorts::FIXED, pki);
        sample.check().unwrap();
        standard.check().unwrap();
        for config in [&sample, &standard] {
            assert_eq!(config.issuers[0].zone_pin_key_hex, ZonePinKeyHex::default());
        }
        // What Debug does not show is compared above; everything else it does show.
        assert_eq!(format!("{sample:#?}"), format!("{standard:#?}"));
        standard.issuers[0].late_answer_ms += 1;
        assert_ne!(format!("{sample:#?}"), format!("{standard:#?}"));
    }

    #[test]
    fn impossible_configurations_are_named() {
        let standard = || {
            let pki = StandardPki {
                acquirer: pems("acquirer"),
                issuer_a: pems("issuer-a"),
                issuer_b: pems("issuer-b"),
            };
            SimConfig::standard(StandardPorts::ANY, pki)
        };
        type Change = fn(&mut SimConfig);
        let cases: [(Change, &str); 5] = [
            (
                |config| config.issuers[1].name = ISSUER_A.to_owned(),
                "`name`",
            ),
            (
                |config| config.issuers[1].dialect = "iso1987-bcd".to_owned(),
                "`dialect`",
            ),
            (
                |config| {
                    config.acquirer.as_mut().unwrap().institution_id = "123456789012".to_owned()
                },
                "`institution_id`",
            ),
            (
                |config| {
                    config.acquirer.as_mut().unwrap().links[0]
                        .bins
                        .push("6011".to_owned())
                },
                "`bins`",
            ),
            (
                |config| {
                    config.acquirer.as_mut().unwrap().links[0]
                        .bins
                        .push("4x".to_owned())
                },
                "`bins`",
            ),
        ];
        for (change, named) in cases {
            let mut config = standard();
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
