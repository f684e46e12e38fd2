//! One day of a merchant: payments, the cutover, the bank's report, the payout and the bank's notification.

use std::collections::BTreeMap;
use std::time::Duration;

use bank_sim::control::pb as banks;
use futures_util::{StreamExt as _, stream};
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::merchant_api::pb;
use payswitch::payment::moment::NumberDate;

use super::files::Files;
use crate::agreeing::UPLOAD;
use crate::capturing::{capture, minor, of};
use crate::harness::{authorize, eventually, now, pay_with};
use crate::killing::scene::{Clients, Gateway, Scene};
use crate::refunding::{refund_of, try_refund};
use crate::reporting::report_from;
use crate::sales::sale;
use crate::settling::{batches, notes};
use crate::styles::dual_message;

/// What the merchant captures, refunds, and pays for it each day: one percent, which a refund gives back.
const CAPTURES_MINOR: [i64; 2] = [6_000, 2_500];
const REFUND_MINOR: i64 = 400;
const FEES_MINOR: i64 = 60 + 25 - 4;
/// A further sale, and its fee.
const SALE_MINOR: i64 = 100;
const FEE_OF_SALE_MINOR: i64 = 1;
const SALES_AT_ONCE: usize = 10;

const FEES: &str = "pricing = \"blended\"\nrefunds = \"give_back\"\n[[price]]\nppm = 10_000\n";
/// What the gateway does by itself comes within this, and is looked for so often.
const COME_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Where the merchant is paid.
const IBAN: &str = "DE89370400440532013000";
const WHY: [&str; 2] = ["--reason", "a campaign"];

/// How the bank learns of captures and refunds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bank {
    /// By messages. It is told totals, then all items where its own totals are others, and sends a report.
    ByMessage,
    /// By a clearing file. It ends its days itself.
    ByFile,
}

impl Bank {
    pub(super) fn profile(self) -> String {
        let (text, pairs) = match self {
            // What is not answered is sent again soon.
            Self::ByMessage => (
                reporting_profile() + UPLOAD,
                vec![
                    ("out_of_balance = \"fund\"", "out_of_balance = \"upload\""),
                    ("first_ms = 2000", "first_ms = 100"),
                    ("reply_timeout_ms = 4000", "reply_timeout_ms = 2500"),
                ],
            ),
            Self::ByFile => (
                dual_message(),
                vec![
                    ("certs/dual/", "certs/dev/acquirer-"),
                    (
                        "[framing]",
                        "[settlement]\nbusiness_date = \"host\"\n\n[framing]",
                    ),
                ],
            ),
        };
        pairs.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        })
    }
}

/// Gives the merchant its plans and an account. Nothing is paid but when somebody asks.
pub(super) async fn agree_terms(scene: &Scene) {
    let today = NumberDate::of(now()).to_string();
    let today: u8 = today[8..].parse().expect("a day of the month");
    let payouts = format!("schedule = {{ monthly = {} }}\n", (today + 13) % 28 + 1);
    for (plan, text) in [("fees", FEES), ("payouts", &payouts)] {
        std::fs::write(scene.at(plan), text).expect("a plan");
        let set = ["merchant", plan, "shop", "--file", plan];
        scene.ask(&[&set[..], &WHY].concat()).await.expect("a plan");
    }
    let account = ["merchant", "account", "shop", "--name", "Shop Ltd"];
    let number = ["--iban", IBAN, "--bic", "COBADEFFXXX"];
    let propose = [&account[..], &number, &WHY].concat();
    scene.ask(&propose).await.expect("an account");
    // Another operator confirms it. The scene has one.
    let confirm = "UPDATE merchant_account_changes SET state = 'CONFIRMED', confirmed_by = 'bert', \
        confirmed_at_ms = 0, effective_at_ms = 0";
    scene.database.execute(confirm).await;
}

/// What somebody asks the gateway for, in this order. What is between two of them it does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    CutOver,
    Import,
    PayOut,
    Notify,
    Nothing,
}

const STEPS: [Step; 4] = [Step::CutOver, Step::Import, Step::PayOut, Step::Notify];

/// A day that somebody takes to its end.
pub(super) struct Day<'a> {
    scene: &'a Scene,
    bank: Bank,
    date: String,
    captured_minor: i64,
    captures: i64,
    fees_minor: i64,
}

impl<'a> Day<'a> {
    /// Captures and refunds on the open day, until all of it is in its batch. At some points there is more to do.
    pub(super) async fn begin(scene: &'a Scene, bank: Bank, at: &Gateway, point: &str) -> Self {
        let mut clients = clients(scene, at).await;
        let open = "SELECT business_date FROM business_days WHERE cut_at_ms IS NULL";
        // More lines than are applied at once.
        let sales = if point == "report_lines" { 100 } else { 0 };
        let day = Self {
            scene,
            bank,
            date: scene.database.text(open).await,
            captured_minor: CAPTURES_MINOR.iter().sum::<i64>() + sales * SALE_MINOR,
            captures: 2 + sales,
            fees_minor: FEES_MINOR + sales * FEE_OF_SALE_MINOR,
        };
        let selling = (0..sales).map(|_| {
            let mut payments = clients.payments.clone();
            async move { authorize(&mut payments, sale("pm_test_visa", SALE_MINOR)).await }
        });
        let sold = stream::iter(selling).buffer_unordered(SALES_AT_ONCE);
        sold.collect::<Vec<_>>().await;
        let mut last = None;
        for amount_minor in CAPTURES_MINOR {
            let request = pay_with("pm_test_visa", amount_minor, "EUR");
            let payment = authorize(&mut clients.payments, request).await;
            capture(&mut clients.payments, of(&payment, None)).await;
            last = Some(payment);
        }
        let mut refunds = clients.refunds.clone();
        let counts = |batch: &pb::SettlementBatch| (batch.payment_count, batch.refund_count);
        let mut has = async |expected| {
            eventually("the items", async || {
                let batch = day.batch(&mut clients).await?;
                (counts(&batch) == expected).then_some(())
            })
            .await;
        };
        has((day.captures, 0)).await;
        let last = last.expect("a payment");
        let (rrn, refund) = (last.rrn().to_owned(), refund_of(&last, REFUND_MINOR));
        try_refund(&mut refunds, refund).await.expect("a refund");
        has((day.captures, 1)).await;
        if point.starts_with("upload") {
            let request = banks::MisbookItemRequest {
                rrn,
                delta_minor: 1,
                ..Default::default()
            };
            let misbooked = scene.control().await.misbook_item(request).await;
            misbooked.expect("a wrong amount");
        }
        day
    }

    async fn batch(&self, clients: &mut Clients) -> Option<pb::SettlementBatch> {
        let all = batches(&mut clients.settlement).await.into_iter();
        let mut of_day = all.filter(|batch| batch.business_date == self.date);
        let batch = of_day.next();
        assert_eq!(of_day.next(), None, "two batches");
        batch
    }

    /// What is there of it, in words, when `days` were before it.
    pub(super) async fn seen(&self, files: &Files<'_>, days: usize) -> String {
        let recorded = format!(
            "SELECT CASE WHEN cut_at_ms IS NULL THEN 'open' WHEN batched_at_ms IS NULL THEN 'ended' \
                WHEN settled_at_ms IS NULL THEN 'closed' ELSE 'settled' END \
                || COALESCE((SELECT ', batch ' || state || CASE WHEN fees_at_ms IS NOT NULL THEN ' with fees' \
                    WHEN fees_to IS NOT NULL THEN ' with some fees' ELSE '' END FROM settlement_batches AS batches \
                    WHERE batches.business_date = days.business_date), '') \
                || COALESCE((SELECT ', totals ' || state || ' sent ' || sent FROM settlement_totals AS totals \
                    WHERE totals.business_date = days.business_date), '') \
                || COALESCE((SELECT ', report ' || state || ' ' || applied_to || '/' || lines \
                    FROM settlement_imports AS reports WHERE reports.business_date = days.business_date), '') \
                || COALESCE((SELECT ', payout ' || state || CASE WHEN order_id IS NULL THEN '' ELSE ' in an order' \
                    END FROM payouts ORDER BY id LIMIT 1 OFFSET {days}), '') \
            FROM business_days AS days WHERE business_date = '{}'",
            self.date
        );
        let mut seen = self.scene.database.text(recorded).await;
        for (name, bytes) in files.now() {
            if !files.seen.contains_key(&name) {
                seen.push_str(&format!(", {name}: {} bytes", bytes.len()));
            }
        }
        seen
    }

    /// Asks for one step after the other, to the end of the day.
    ///
    /// # Errors
    /// Why a step failed. The gateway may have died.
    pub(super) async fn go_on(
        &self,
        from: Step,
        at: &mut Gateway,
        files: &mut Files<'_>,
    ) -> Result<(), String> {
        for step in STEPS.into_iter().filter(|step| *step >= from) {
            self.wait_before(step, at).await?;
            self.ask(step, files).await?;
        }
        self.comes(at, "payouts WHERE state <> 'PAID'", 0).await
    }

    /// Waits for what the gateway does by itself.
    async fn wait_before(&self, step: Step, at: &mut Gateway) -> Result<(), String> {
        let date = &self.date;
        let (what, count) = match step {
            Step::CutOver | Step::Nothing => return Ok(()),
            Step::Import if self.bank == Bank::ByFile => return Ok(()),
            Step::Import => (
                format!(
                    "settlement_totals WHERE state = 'IN_BALANCE' AND business_date = '{date}'"
                ),
                1,
            ),
            Step::PayOut => (
                format!(
                    "business_days WHERE settled_at_ms IS NOT NULL AND business_date = '{date}'"
                ),
                1,
            ),
            Step::Notify => ("payouts WHERE state = 'CREATED'".to_owned(), 0),
        };
        self.comes(at, &what, count).await
    }

    /// Waits until so many rows are there, as long as the gateway lives.
    async fn comes(&self, at: &mut Gateway, what: &str, count: i64) -> Result<(), String> {
        let looking = async {
            while self.scene.database.count(what).await != count {
                if at.process.has_ended() {
                    return Err(format!("it died before there were {count} {what}"));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        let looked = tokio::time::timeout(COME_WITHIN, looking).await;
        looked.unwrap_or_else(|_| Err(format!("there were never {count} {what}")))
    }

    async fn ask(&self, step: Step, files: &mut Files<'_>) -> Result<(), String> {
        let asked = async |command: &[&str]| {
            let settle = [&["settle"], command, &WHY].concat();
            self.scene.ask(&settle).await.map(drop)
        };
        match (step, self.bank) {
            (Step::CutOver, Bank::ByMessage) => {
                asked(&["cutover", "acquirer", "--date", &self.date]).await
            }
            (Step::CutOver, Bank::ByFile) => {
                let request = banks::CutoverRequest::default();
                let cut = files.bank.cutover(request).await.expect("a cutover");
                let lines = cut.into_inner().lines;
                match lines.iter().any(|line| line.response_code == "00") {
                    true => Ok(()),
                    false => Err(format!("{lines:?}")),
                }
            }
            (Step::Import, Bank::ByFile) | (Step::Nothing, _) => Ok(()),
            (Step::Import, Bank::ByMessage) => {
                let report = report_from(files.bank.clone(), &self.date).await;
                std::fs::write(self.scene.at("report.csv"), report).expect("a report");
                asked(&["import", "acquirer", "report.csv"]).await
            }
            (Step::PayOut, _) => asked(&["payout", "acquirer", "--now"]).await,
            (Step::Notify, _) => {
                files.bring().await;
                let request = banks::GetAccountNotificationRequest {
                    message_id: files.last_order.clone(),
                };
                let told = files.bank.get_account_notification(request).await;
                let xml = told.expect("a notification").into_inner().xml;
                std::fs::write(self.scene.at("camt.xml"), xml).expect("a notification");
                asked(&["notify", "acquirer", "camt.xml"]).await
            }
        }
    }

    /// The day has come to the end that it has without a crash, and so have all before it: `days` with this one.
    pub(super) async fn check(&self, at: &Gateway, files: &mut Files<'_>, days: usize) {
        let database = &self.scene.database;
        files.bring().await;
        // The batch, its items, its notes, and what the bank has.
        let mut clients = clients(self.scene, at).await;
        let batch = self.batch(&mut clients).await.expect("the batch");
        let [captured, refunded, fees, net] = [
            &batch.captured_total,
            &batch.refunded_total,
            &batch.fee_total,
            &batch.net_total,
        ]
        .map(minor);
        assert_eq!(batch.state(), pb::SettlementBatchState::Settled);
        let sums = (captured, refunded);
        assert_eq!(sums, (self.captured_minor, REFUND_MINOR));
        assert_eq!((fees, net), (self.fees_minor, captured - refunded - fees));
        let sum = |kind: &str| {
            let of_day = format!("WHERE business_date = '{}' AND kind = '{kind}'", self.date);
            format!("SELECT CAST(SUM(amount_minor) AS BIGINT) FROM settlement_items {of_day}")
        };
        let captures = database.number(sum("CAPTURE")).await;
        assert_eq!(sums, (captures, database.number(sum("REFUND")).await));
        let notes = notes(&mut clients.settlement, (&batch.batch_id, 100)).await;
        assert_eq!(notes.iter().map(|note| minor(&note.net)).sum::<i64>(), net);
        assert_eq!(sums, files.booked(&self.date).await, "at the bank");

        // One payout of it, of which the bank knows one.
        let request = pb::ListPayoutsRequest {
            page_size: 100,
            ..Default::default()
        };
        let payouts = clients.settlement.list_payouts(request).await;
        let payouts = payouts.expect("the payouts").into_inner().payouts;
        assert_eq!(minor(&payouts[0].amount), net);
        let mut of_merchant = BTreeMap::new();
        for payout in &payouts {
            assert_eq!(payout.state(), pb::PayoutState::Paid, "{payout:?}");
            let reference = payout.payout_id.replace('_', "-");
            of_merchant.insert(reference, minor(&payout.amount));
        }
        assert_eq!((payouts.len(), &of_merchant), (days, &files.paid));
        assert_eq!(clients.owed().await, BTreeMap::new());

        // Each item is told once, all of them, without a gap.
        let told = async {
            while database
                .count("settlement_batches WHERE told_at_ms IS NULL")
                .await
                != 0
            {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let told = tokio::time::timeout(COME_WITHIN, told).await;
        told.expect("all items are told");
        let events = "events JOIN settlement_items AS items ON items.operation_id = events.operation_id \
            WHERE events.kind = 'PAYMENT_SETTLED'";
        let items = "settlement_items WHERE business_date IN (SELECT business_date FROM settlement_batches)";
        assert_eq!(database.count(events).await, database.count(items).await);
        let told = "events WHERE kind = 'PAYMENT_SETTLED'";
        assert_eq!(database.count(told).await, database.count(items).await);

        let of_day = match self.bank {
            Bank::ByMessage => 1,
            Bank::ByFile => 2,
        };
        files.check(days, days * of_day).await;
        database.assert_books_are_whole().await;
    }
}

async fn clients(scene: &Scene, at: &Gateway) -> Clients {
    let address = at.address.expect("a gateway that is ready");
    let clients = scene.shop().clients(address).await;
    clients.expect("the gateway")
}
