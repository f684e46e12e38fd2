//! `payswitch load --mix`: what it counts is what merchant and banks have in their books.

use bank_sim::control::pb::control_service_client::ControlServiceClient;
use bank_sim::control::pb::{GetTotalsRequest, ListAccountsRequest};
use payswitch::grpc::client;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use pb::balance_service_client::BalanceServiceClient;
use serde_json::{Value, json};

use crate::demo::{Demo, PROGRAM};
use crate::harness::{TempFolder, run, until};
use crate::tools::output;

#[test]
fn a_mix_of_lives_is_in_everybodys_books() {
    run(async {
        let folder = TempFolder::new("mix");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        let run_of_300 = ["--mix", "--json", "--warm-up", "0"];
        let pace = [
            "--rate",
            "100",
            "--duration",
            "3s",
            "--amount-minor",
            "1000",
        ];
        let loaded = output(
            std::process::Command::new(PROGRAM)
                .args(["load", "--ready-file"])
                .arg(&demo.ready_file)
                .args(run_of_300)
                .args(pace),
        );
        let errors = String::from_utf8_lossy(&loaded.stderr);
        assert!(loaded.status.success(), "{errors}");
        let report: Value = serde_json::from_slice(&loaded.stdout).expect("JSON");
        // One card in a thousand is never answered: the hundredth is the first of them.
        assert_eq!(
            report["states"],
            json!({ "AUTHORIZED": 299, "AUTHORIZING": 1 })
        );
        let states = |kind: &str| report["followed_by"][kind]["states"].clone();
        assert_eq!(states("capture"), json!({ "CAPTURED": 284 }));
        assert_eq!(states("void"), json!({ "VOIDING": 15 }));
        assert_eq!(states("refund"), json!({ "REFUNDED": 30 }));

        let address = format!("http://{}", demo.said("bank_sim"));
        let mut banks = ControlServiceClient::connect(address)
            .await
            .expect("the banks");
        until("the end of all lives at the banks", async || {
            let totals = banks.get_totals(GetTotalsRequest {}).await.expect("totals");
            let totals = totals.into_inner().totals;
            let accounts = banks.list_accounts(ListAccountsRequest::default()).await;
            let accounts = accounts.expect("accounts").into_inner().accounts;
            totals.iter().map(|of| of.debited).sum::<i64>() == 284_000
                && accounts.iter().all(|account| account.held == 0)
        })
        .await;
        let totals = banks.get_totals(GetTotalsRequest {}).await.expect("totals");
        let totals = totals.into_inner().totals;
        assert_eq!(totals.iter().map(|of| of.credited).sum::<i64>(), 30_000);
        let twice = |of: &bank_sim::control::pb::Totals| of.effects_more_than_once;
        assert_eq!(totals.iter().map(twice).sum::<i64>(), 0);

        let gateway = demo.said("merchant_api").parse().expect("HOST:PORT");
        let ca = std::fs::read(demo.said("ca_path")).expect("the root");
        let channel = client::connect(gateway, demo.said("server_name"), &ca, None).await;
        let key = ApiKey::new(demo.said("api_key")).expect("an API key");
        let mut balances = BalanceServiceClient::new(key.on(channel.expect("a connection")));
        let answer = balances
            .get_balances(pb::GetBalancesRequest::default())
            .await;
        let balances = answer.expect("balances").into_inner().balances;
        let pending = balances[0].pending.as_ref().expect("an amount");
        assert_eq!((balances.len(), pending.amount_minor), (1, 254_000));
    });
}
