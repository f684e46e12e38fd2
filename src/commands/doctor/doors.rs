//! The addresses that the doors listen on: free, or the running gateway's.

use std::io::ErrorKind;
use std::net::SocketAddr;

use super::finding::Findings;
use crate::config::Config;
use crate::net::Net;

/// Takes each address for a moment. `in_use` says whether a gateway uses the database: it is taken to be this one.
pub async fn check(config: &Config, net: &Net, in_use: bool, findings: &mut Findings) {
    let admin_api = config.admin_api.as_ref().map(|door| door.listen);
    let doors = [
        ("merchant API: address", Some(config.merchant_api.listen)),
        ("operators' API: address", admin_api),
    ];
    for (check, address) in doors {
        if let Some(address) = address {
            check_one(check, address, net, in_use, findings).await;
        }
    }
}

async fn check_one(
    check: &str,
    address: SocketAddr,
    net: &Net,
    in_use: bool,
    findings: &mut Findings,
) {
    let Err(error) = net.listen(address).await else {
        return findings.ok(check, format!("{address} is free"));
    };
    if error.kind() == ErrorKind::AddrInUse && in_use {
        return findings.ok(check, format!("{address} is taken, and a gateway runs"));
    }
    let advice = match error.kind() {
        ErrorKind::AddrInUse => format!(
            "end the program that has it (ss -ltnp 'sport = :{}'), or listen elsewhere",
            address.port()
        ),
        ErrorKind::PermissionDenied => {
            "take a port from 1024 on, or set AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit of the service"
                .to_owned()
        }
        _ => "listen on an address of this machine (ip address), or on 0.0.0.0".to_owned(),
    };
    findings.failed(check, format!("{address}: {error}"), advice);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Standing;
    use crate::commands::doctor::finding::testing::only;

    #[tokio::test]
    async fn an_address_is_free_or_the_gateways() {
        let taken = Net::SYSTEM
            .listen("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let address = taken.local_addr().unwrap();
        for (address, in_use, standing, said) in [
            ("127.0.0.1:0".parse().unwrap(), false, Standing::Ok, "free"),
            (address, true, Standing::Ok, "a gateway runs"),
            (address, false, Standing::Failed, "in use"),
            (
                "192.0.2.1:8443".parse().unwrap(),
                true,
                Standing::Failed,
                "192.0.2.1",
            ),
        ] {
            let mut findings = Findings::default();
            check_one("door", address, &Net::SYSTEM, in_use, &mut findings).await;
            let finding = only(&findings, standing);
            assert!(finding.found.contains(said), "{finding:?}");
        }
    }
}
