//! `bank-sim` as a program: served from PEM files, stopped by a signal, its codec's process killed.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bank_sim::net::Net;
use iso8583::Dialect;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::pki::HostPki;
use crate::switch::{BINARY_2, LIMIT, Switch};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bank-sim");

/// A payment order of one transfer.
const ORDER: &str = "\
    <Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.001.001.09\"><CstmrCdtTrfInitn>\
    <GrpHdr><MsgId>MSG-1</MsgId><CreDtTm>2026-11-29T18:00:00Z</CreDtTm><NbOfTxs>1</NbOfTxs>\
    <CtrlSum>149.87</CtrlSum></GrpHdr><PmtInf><PmtInfId>PMT-1</PmtInfId><PmtMtd>TRF</PmtMtd>\
    <ReqdExctnDt><Dt>2026-11-30</Dt></ReqdExctnDt><Dbtr><Nm>Switch</Nm></Dbtr>\
    <DbtrAcct><Id><Othr><Id>4711</Id></Othr></Id></DbtrAcct><DbtrAgt/>\
    <CdtTrfTxInf><PmtId><EndToEndId>po_1</EndToEndId></PmtId>\
    <Amt><InstdAmt Ccy=\"EUR\">149.87</InstdAmt></Amt><CdtrAgt/><Cdtr><Nm>Shop</Nm></Cdtr>\
    <CdtrAcct><Id><Othr><Id>4712</Id></Othr></Id></CdtrAcct></CdtTrfTxInf></PmtInf>\
    </CstmrCdtTrfInitn></Document>";

/// A directory that is gone at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("bank-sim-{}-{number}", std::process::id()));
        fs::create_dir_all(path.join("certs/dev")).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The sample configuration of the repository, with certificates where it looks for them and free
/// ports instead of its fixed ones.
fn write_sample(directory: &Path) -> HostPki {
    let write = |name: String, pem: &str| fs::write(directory.join("certs/dev").join(name), pem);
    let [acquirer, _, _] = ["acquirer", "issuer-a", "issuer-b"].map(|host| {
        let pki = HostPki::new(host);
        write(format!("{host}-ca.pem"), &pki.ca).unwrap();
        write(format!("{host}.pem"), &pki.certificate).unwrap();
        write(format!("{host}.key"), &pki.key).unwrap();
        write(format!("{host}-client.pem"), &pki.client_certificate).unwrap();
        write(format!("{host}-client.key"), &pki.client_key).unwrap();
        pki
    });
    let sample = include_str!("../../bank-sim.toml");
    let free_ports = [":7001", ":7002", ":7003"]
        .iter()
        .fold(sample.to_owned(), |text, port| text.replace(port, ":0"));
    fs::write(directory.join("bank-sim.toml"), free_ports).unwrap();
    acquirer
}

async fn serve(directory: &Path) -> Child {
    let mut child = Command::new(PROGRAM)
        .args([
            "serve",
            "--config",
            "bank-sim.toml",
            "--ready-file",
            "ready.json",
        ])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let until_ready = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line == "ready" {
                return true;
            }
        }
        false
    };
    assert!(
        timeout(LIMIT, until_ready).await.unwrap(),
        "the program says that it is ready"
    );
    child
}

fn ready_address(directory: &Path, host: &str) -> SocketAddr {
    let ready: serde_json::Value =
        serde_json::from_slice(&fs::read(directory.join("ready.json")).unwrap()).unwrap();
    ready["hosts"][host]["address"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// A signed-on line to the acquirer, asked with cards of both issuers until the links to them are up.
async fn paying_switch(directory: &Path, pki: &HostPki, terminal: &str) -> Switch {
    let address = ready_address(directory, "acquirer");
    let dialect = Dialect::builtin("iso1987-bcd").unwrap();
    let mut switch = Switch::connect_to(address, "acquirer", pki, dialect, BINARY_2).await;
    assert_eq!(switch.network("001").await, "00");
    for pan in ["4111111111111111", "5555555555554444"] {
        let until_up = async {
            loop {
                let mut request = switch.authorization(pan, 1_00);
                request.text(41, terminal);
                let code = switch.ask(&request).await.code();
                if code == "00" {
                    return;
                }
                assert_eq!(code, "91", "{pan}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, until_up).await.expect("the link comes up");
    }
    switch
}

/// The processes that a process has started.
fn children_of(pid: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        // A thread may have ended since it was listed.
        let list = fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        children.extend(
            list.split_whitespace()
                .map(|pid| pid.parse::<u32>().unwrap()),
        );
    }
    children
}

async fn signal(pid: u32, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .await
        .unwrap();
    assert!(status.success());
}

/// The commands that ask the control API, after two payments with each issuer.
async fn assert_asked(directory: &Path) {
    let asked = async |command: &str| {
        let output = Command::new(PROGRAM)
            .args(command.split(' '))
            .args(["--ready-file", "ready.json", "--json"])
            .current_dir(directory)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        rows
    };
    let held = asked("accounts --host issuer-a --held").await;
    assert_eq!(held.len(), 1);
    assert_eq!(
        (&held[0]["currency"], &held[0]["held"]),
        (&"EUR".into(), &"200".into())
    );
    let effects: Vec<_> = asked("messages --host issuer-b --elements --limit 1000").await;
    let holds = effects.iter().filter(|row| row["effect"] == "held").count();
    assert_eq!(holds, 2);
    assert!(!format!("{effects:?}").contains("5555555555554444"));
    for total in asked("totals").await {
        assert_eq!(total["held"], "200");
        assert_eq!(total["effects_more_than_once"], "0");
    }
    assert_eq!(
        asked("fault delay 100 --mti 0100 --times 3").await[0]["faults"],
        "1"
    );
    assert_eq!(asked("fault clear").await[0]["cleared"], "1");
    assert!(asked("items acquirer").await.is_empty());
    let report = asked("report acquirer --date 2026-11-29 --out report.csv").await;
    let written = fs::read(directory.join("report.csv")).unwrap();
    assert_eq!(report[0]["bytes"], written.len().to_string());
    let header =
        "Record,Business Date,Acceptor,Terminal,Type,RRN,Approval Code,Amount,Currency,Reference";
    fs::write(
        directory.join("file.csv"),
        format!("{header}\nT,2026-11-29,,,,,,0,,0\n"),
    )
    .unwrap();
    for verdict in ["ACCEPTED", "DUPLICATE"] {
        assert_eq!(
            asked("clearing acquirer file.csv").await[0]["verdict"],
            verdict
        );
    }
    fs::write(directory.join("order.xml"), ORDER).unwrap();
    for said in ["ACCEPTED", "DUPLICATE"] {
        let paid = asked("pay order.xml --out told.xml").await;
        assert_eq!(
            (&paid[0]["order"], &paid[0]["state"]),
            (&said.into(), &"paid".into())
        );
    }
    let told = fs::read_to_string(directory.join("told.xml")).unwrap();
    assert!(told.contains("<EndToEndId>po_1</EndToEndId>"));
    let day = asked("cutover --date 2999-12-31").await;
    assert_eq!(day[0]["business_date"], "2999-12-31");
}

#[tokio::test]
async fn the_sample_configuration_runs_survives_its_codecs_death_and_ends_on_a_signal() {
    let directory = Directory::new();
    let pki = write_sample(&directory.0);
    let mut child = serve(&directory.0).await;
    let pid = child.id().unwrap();
    let first_line = paying_switch(&directory.0, &pki, "TERM0001").await;
    let codec = children_of(pid);
    let [codec] = codec[..] else {
        panic!("one codec process, got {codec:?}")
    };
    signal(codec, "-KILL").await;
    let until_replaced = async {
        while children_of(pid).iter().all(|child| *child == codec) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, until_replaced)
        .await
        .expect("another codec process takes its place");
    let second_line = paying_switch(&directory.0, &pki, "TERM0002").await;
    // A cutover would wait for lines that say nothing.
    drop((first_line, second_line));
    assert_asked(&directory.0).await;
    signal(pid, "-TERM").await;
    let status = timeout(LIMIT, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_taken_port_and_an_unknown_key_are_named() {
    let directory = Directory::new();
    write_sample(&directory.0);
    let taken = Net::SYSTEM
        .listen("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let path = directory.0.join("bank-sim.toml");
    let sample = fs::read_to_string(&path).unwrap();
    for (text, expected) in [
        (
            sample.replacen("127.0.0.1:0", &address, 1),
            vec!["acquirer", address.as_str()],
        ),
        (
            sample.replacen("institution_id", "institution_ip", 1),
            vec!["institution_ip"],
        ),
        (
            sample.replacen("iso1987-bcd", "iso1987-morse", 1),
            vec!["acquirer", "iso1987-morse"],
        ),
        (
            sample.replacen("certs/dev/issuer-b.key", "none.key", 1),
            vec!["issuer-b", "none.key"],
        ),
    ] {
        fs::write(&path, text).unwrap();
        let output = Command::new(PROGRAM)
            .args(["serve", "--config", "bank-sim.toml"])
            .current_dir(&directory.0)
            .output()
            .await
            .unwrap();
        assert!(!output.status.success());
        let message = String::from_utf8(output.stderr).unwrap();
        for part in expected {
            assert!(message.contains(part), "`{part}` in {message}");
        }
    }
}

#[tokio::test]
async fn the_tables_are_printed() {
    let output = Command::new(PROGRAM).arg("cards").output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for card in bank_sim::test_cards::TEST_CARDS {
        assert!(text.contains(card.pan));
    }
    assert!(text.contains("687      N7     CVV2 mismatch"));
}
