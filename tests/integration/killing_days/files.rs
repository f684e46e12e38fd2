//! The files that gateways write, and what the bank makes of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bank_sim::control::pb as banks;
use banks::control_service_client::ControlServiceClient;
use banks::{ClearingVerdict, ItemKind, OrderVerdict};
use tonic::transport::Channel;

use crate::harness::eventually;
use crate::killing::scene::Scene;

/// The files that gateways have written, and what the bank makes of them.
pub(super) struct Files<'a> {
    scene: &'a Scene,
    pub(super) bank: ControlServiceClient<Channel>,
    /// The bytes of each.
    pub(super) seen: BTreeMap<String, Vec<u8>>,
    /// What the bank has paid, by reference.
    pub(super) paid: BTreeMap<String, i64>,
    /// The last order that the bank has taken.
    pub(super) last_order: String,
}

impl<'a> Files<'a> {
    pub(super) async fn of(scene: &'a Scene) -> Self {
        Self {
            scene,
            bank: scene.control().await,
            seen: BTreeMap::new(),
            paid: BTreeMap::new(),
            last_order: String::new(),
        }
    }

    /// What is in the folder now, by name, but for what lies in folders of its own.
    pub(super) fn now(&self) -> BTreeMap<String, Vec<u8>> {
        let folder = self.scene.at("settlement");
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let file = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.to_owned();
            Some((name, std::fs::read(path).ok()?))
        };
        paths.filter_map(file).collect()
    }

    /// A gateway that has no record of them, and none of them in its folder, writes the same files.
    pub(super) async fn are_written_anew(&self) {
        let folder = self.scene.at("settlement");
        std::fs::rename(folder, self.scene.at("before")).expect("another name");
        for forget in [
            "DELETE FROM settlement_files",
            "UPDATE business_days SET settled_at_ms = NULL WHERE batched_at_ms IS NOT NULL",
            "UPDATE payment_orders SET sha256 = NULL, sent_at_ms = NULL",
        ] {
            self.scene.database.execute(forget).await;
        }
        let _gateway = self.scene.gateway("gateway", None).await;
        eventually("all files", async || {
            (self.now() == self.seen).then_some(())
        })
        .await;
    }

    /// What the bank has booked under a date: captures, and refunds.
    pub(super) async fn booked(&mut self, date: &str) -> (i64, i64) {
        let request = banks::ListSettlementItemsRequest {
            business_date: date.into(),
            ..Default::default()
        };
        let items = self.bank.list_settlement_items(request).await;
        let mut items = items.expect("the items").into_inner();
        let (mut captured, mut refunded) = (0, 0);
        while let Some(part) = items.message().await.expect("more items") {
            for item in part.items {
                match item.kind() {
                    ItemKind::Refund => refunded += item.amount,
                    _ => captured += item.amount,
                }
            }
        }
        (captured, refunded)
    }

    /// Brings the bank each file that has its name. One that was there before has the same bytes, and has no effect again.
    pub(super) async fn bring(&mut self) {
        for (name, bytes) in self.now() {
            if name.starts_with('.') {
                continue;
            }
            let before = self.seen.insert(name.clone(), bytes.clone());
            let is_known = before.is_some();
            assert!(before.is_none_or(|before| before == bytes), "{name}");
            if name.ends_with(".xml") {
                let request = banks::SubmitPaymentOrderRequest { xml: bytes };
                let taken = self.bank.submit_payment_order(request).await;
                let taken = taken.expect("an answer").into_inner();
                assert_eq!(taken.verdict(), OrderVerdict::Accepted, "{taken:?}");
                assert_eq!(taken.duplicate, is_known, "{name}");
                for transfer in taken.transfers.into_iter().filter(|_| !is_known) {
                    let twice = self.paid.insert(transfer.end_to_end_id, transfer.amount);
                    assert_eq!(twice, None, "{name}");
                    self.last_order.clone_from(&taken.message_id);
                }
            } else {
                let chunk = banks::TakeClearingFileRequest {
                    chunk: bytes,
                    ..Default::default()
                };
                let taken = self.bank.take_clearing_file(tokio_stream::iter([chunk]));
                let taken = taken.await.expect("an answer").into_inner();
                let expected = match is_known {
                    false => ClearingVerdict::Accepted,
                    true => ClearingVerdict::Duplicate,
                };
                assert_eq!(taken.verdict(), expected, "{name}: {taken:?}");
            }
        }
    }

    /// All are there under their names, as they are recorded, and nothing else: `count` with the orders of `days`.
    pub(super) async fn check(&self, days: usize, count: usize) {
        let now = self.now();
        assert!(now.keys().eq(self.seen.keys()), "{:?}", now.keys());
        let orders = now.keys().filter(|name| name.ends_with(".xml"));
        assert_eq!((orders.count(), now.len()), (days, count));
        let hashes: Vec<String> = now.values().map(|bytes| sha256(bytes)).collect();
        for recorded in [
            "SELECT COALESCE(MAX(sha256), '') FROM payment_orders WHERE created_at_ms = (SELECT \
                MAX(created_at_ms) FROM payment_orders)",
            "SELECT COALESCE(MAX(sha256), '') FROM settlement_files WHERE business_date = (SELECT \
                MAX(business_date) FROM settlement_files)",
        ] {
            let recorded = self.scene.database.text(recorded).await;
            assert!(
                recorded.is_empty() || hashes.contains(&recorded),
                "{recorded}"
            );
        }
        let imports = std::fs::read_dir(self.scene.at("settlement/imports"));
        assert_eq!(imports.into_iter().flatten().count(), 0, "reports are left");
    }
}

fn sha256(bytes: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    iso8583::hex::encode_lower(hash.as_ref())
}
