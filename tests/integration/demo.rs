//! The program itself, as somebody starts it: `payswitch demo` in a process of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use payswitch::card::header::Algorithm;
use payswitch::card::seal::Recipient;
use payswitch::grpc::client;
use payswitch::random::Random;
use serde_json::Value;

use crate::harness::{Payments, Switch, TempFolder, eventually, unique, with_key};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_payswitch");

/// The program as the operator of a switch starts it.
pub(crate) fn as_operator(switch: &Switch, arguments: &[&str]) -> Command {
    let file = |name: &str, bytes: &[u8]| {
        let path = switch.data().join(name);
        std::fs::write(&path, bytes).expect("a file for the program");
        path
    };
    let address = switch.gateway().admin_api.expect("a door for operators");
    let operator = &switch.pki.operator;
    let ca = switch.pki.operators_root.certificate_pem();
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .args(["--admin-api", &address.to_string()])
        .arg("--ca")
        .arg(file("operators-ca.pem", ca.as_bytes()))
        .arg("--certificate")
        .arg(file("operator.pem", operator.certificate_pem().as_bytes()))
        .arg("--key")
        .arg(file("operator.key", &operator.key_pem()))
        .env_remove("RUST_LOG");
    command
}

/// Between two looks whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A program that runs; it is killed with the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the program starts"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn send(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &self.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a process").is_some()
    }

    /// Waits for its end as long as it takes.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.0.try_wait().expect("a process") {
                return status;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        eventually("an end of the program", async || {
            self.0.try_wait().expect("a process")
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A demo that runs.
pub(crate) struct Demo {
    process: Process,
    /// What the ready file says.
    pub(crate) ready: Value,
    /// Where keys, certificates, the log and, without another one, the database are.
    pub(crate) data: PathBuf,
    /// What it has printed.
    pub(crate) printed: PathBuf,
    /// The ready file.
    pub(crate) ready_file: PathBuf,
}

impl Demo {
    /// Starts it with its data in `folder`, and waits until it is ready.
    pub(crate) async fn start(folder: &TempFolder, arguments: &[&str]) -> Self {
        Self::start_logging(folder, arguments, None).await
    }

    /// The same with a `RUST_LOG`.
    pub(crate) async fn start_logging(
        folder: &TempFolder,
        arguments: &[&str],
        rust_log: Option<&str>,
    ) -> Self {
        let data = folder.path().join("data");
        let number = unique();
        let ready_file = folder.path().join(format!("ready-{number}.json"));
        let printed = folder.path().join(format!("printed-{number}.txt"));
        let errors = folder.path().join(format!("errors-{number}.txt"));
        let mut command = Command::new(PROGRAM);
        command
            .arg("demo")
            .args(["--port", "0", "--data"])
            .arg(&data)
            .arg("--ready-file")
            .arg(&ready_file)
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(File::create(&printed).expect("a file for its output"))
            .stderr(File::create(&errors).expect("a file for its errors"));
        if let Some(rust_log) = rust_log {
            command.env("RUST_LOG", rust_log);
        }
        let mut demo = Self {
            process: Process::start(&mut command),
            ready: Value::Null,
            data,
            printed,
            ready_file: ready_file.clone(),
        };
        demo.ready = eventually("a demo that is ready", async || {
            if let Some(status) = demo.process.0.try_wait().expect("a process") {
                panic!("the demo ended with {status}: {}", text(&errors));
            }
            serde_json::from_str(&std::fs::read_to_string(&ready_file).ok()?).ok()
        })
        .await;
        demo
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A field of the ready file.
    pub(crate) fn said(&self, field: &str) -> &str {
        let value = self.ready[field].as_str();
        value.unwrap_or_else(|| panic!("{field} in {}", self.ready))
    }

    /// A client of its merchant.
    pub(crate) async fn payments(&self) -> Payments {
        let address = self.said("merchant_api").parse().expect("HOST:PORT");
        let ca = std::fs::read(self.said("ca_path")).expect("the root");
        let channel = client::connect(address, self.said("server_name"), &ca, None)
            .await
            .expect("a connection to the demo");
        with_key(channel, self.said("api_key"))
    }

    /// The key to seal to.
    pub(crate) fn recipient(&self) -> Recipient {
        Recipient::from_jwks(
            &text(Path::new(self.said("jwks_path"))),
            Algorithm::EcdhEs,
            &Random::SYSTEM,
        )
        .expect("a key to seal to")
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(crate) async fn kill(self) {
        self.process.send("KILL");
        self.process.ended().await;
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.process.send("TERM");
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> ExitStatus {
        self.process.ended().await
    }
}

/// A file's text.
pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
