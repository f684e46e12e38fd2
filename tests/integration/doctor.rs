//! `payswitch doctor` on installations that are sound and on broken ones, and `payswitch serve` beside it: what the one
//! calls failed, the other does not start with.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use bank_sim::control::pb::ListMessagesRequest;
use payswitch::net::Net;
use serde_json::Value;

use crate::database::{Database, Engine};
use crate::demo::{PROGRAM, Process};
use crate::harness::{TempFolder, on_both_engines, run, until};
use crate::killing::scene::Scene;
use crate::killing::{program, succeed};
use crate::pooler::Pooler;
use crate::postgres::server;
use crate::tools::output;

on_both_engines!(a_sound_installation_is_looked_at_and_left_as_it_is);

/// What it says of each check: its standing, and what was found and what to do.
struct Diagnosis {
    exit_code: Option<i32>,
    checks: BTreeMap<String, (String, String)>,
}

impl Diagnosis {
    fn of(command: &mut Command) -> Self {
        let output = output(command);
        let errors = String::from_utf8_lossy(&output.stderr);
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{command:?}: {error}: {errors}"));
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let check = |it: &Value| {
            let found = format!("{} => {}", text(&it["found"]), text(&it["advice"]));
            (text(&it["check"]), (text(&it["standing"]), found))
        };
        let checks = said["checks"].as_array().expect("checks");
        Self {
            exit_code: output.status.code(),
            checks: checks.iter().map(check).collect(),
        }
    }

    /// The names of the checks that failed.
    fn failed(&self) -> Vec<&str> {
        let failed = self
            .checks
            .iter()
            .filter(|(_, (standing, _))| standing == "FAILED");
        failed.map(|(check, _)| check.as_str()).collect()
    }

    fn expect(&self, check: &str, standing: &str, said: &str) {
        let found = self.checks.get(check);
        let (is, text) = found.unwrap_or_else(|| panic!("{check} in {:?}", self.checks));
        assert_eq!(is, standing, "{check}: {text}");
        assert!(text.contains(said), "{said} in {check}: {text}");
    }
}

fn doctor(scene: &Scene, arguments: &[&str]) -> Command {
    program(
        &scene.at(""),
        &scene.database,
        &[&["doctor", "--json"], arguments].concat(),
    )
}

/// Names and lengths of everything in a folder.
fn contents(folder: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let metadata = entry.metadata().expect("a file");
        found.insert(entry.path().display().to_string(), metadata.len());
        if metadata.is_dir() {
            found.append(&mut contents(&entry.path()));
        }
    }
    // The banks write to their log meanwhile.
    found.retain(|path, _| !path.ends_with("banks.log"));
    found
}

async fn a_sound_installation_is_looked_at_and_left_as_it_is(engine: Engine) {
    let folder = TempFolder::new("doctor");
    let scene = Scene::set(engine, &folder).await;
    let before = contents(folder.path());
    let sound = Diagnosis::of(&mut doctor(&scene, &["--banks"]));
    assert_eq!(contents(folder.path()), before);
    assert_eq!((sound.exit_code, sound.failed()), (Some(0), vec![]));
    sound.expect("sealing keys", "WARNING", "`payswitch serve` makes it");
    sound.expect("schema", "OK", "which this program needs");
    sound.expect("gateways", "OK", "none uses this database");
    sound.expect("merchant API: certificate", "OK", "payswitch.test");
    sound.expect("host acquirer: our certificate", "OK", "days left");
    sound.expect(
        "host acquirer: connection",
        "OK",
        "TLS 1.3 as acquirer.bank.test, our certificate is taken",
    );
    match engine {
        Engine::Sqlite => sound.expect("database", "OK", "journal: wal"),
        Engine::Postgres => {
            sound.expect("database", "OK", "sessions of its own");
            sound.expect("clock of the database", "OK", "ms ahead");
        }
    }
    // The bank was connected to, and has got no message.
    let mut control = scene.control().await;
    let of_it = ListMessagesRequest {
        host: "acquirer".to_owned(),
        ..ListMessagesRequest::default()
    };
    let messages = control.list_messages(of_it).await;
    assert_eq!(messages.expect("messages").into_inner().messages, []);

    // Beside a gateway that runs.
    let gateway = scene.gateway("gateway", None).await;
    let address = gateway.address.expect("it is ready").to_string();
    let mut command = doctor(&scene, &[]);
    command.env("PAYSWITCH_MERCHANT_API__LISTEN", &address);
    let beside = Diagnosis::of(&mut command);
    assert_eq!((beside.exit_code, beside.failed()), (Some(0), vec![]));
    beside.expect("merchant API: address", "OK", "a gateway runs");
    beside.expect("sealing keys", "OK", "published 2");
    beside.expect("data keys", "OK", "opens under the master key");
    assert!(!beside.checks.contains_key("host acquirer: connection"));
    gateway.process.send("TERM");
    assert_eq!(gateway.process.ended().await.code(), Some(0));
    // The keys are of another master key.
    let mut foreign = doctor(&scene, &[]);
    foreign.env(
        "PAYSWITCH_MASTER_KEY",
        "YW5vdGhlciBtYXN0ZXIga2V5IG9mIHRoZSB0ZXN0ISE=",
    );
    let foreign = Diagnosis::of(&mut foreign);
    assert_eq!(foreign.failed(), ["data keys", "sealing keys"]);
    foreign.expect("data keys", "FAILED", "put back the master key");
    // Another program has the address.
    let taken = Net::SYSTEM
        .listen(address.parse().expect("an address"))
        .await;
    let _taken = taken.expect("the gateway has left it");
    let taken = Diagnosis::of(&mut command);
    assert_eq!(
        (taken.exit_code, taken.failed()),
        (Some(1), vec!["merchant API: address"])
    );
    taken.expect("merchant API: address", "FAILED", "ss -ltnp");
}

/// One thing that is wrong with an installation.
struct Broken {
    what: &'static str,
    breaks: fn(&Scene, &mut Command),
    check: &'static str,
    said: &'static str,
    /// Whether `serve` does not start so.
    stops_serve: bool,
}

fn profile(scene: &Scene, from: &str, to: &str) {
    let path = scene.at("hosts/acquirer.toml");
    let text = std::fs::read_to_string(&path).expect("a profile");
    assert!(text.contains(from), "{from}");
    std::fs::write(path, text.replace(from, to)).expect("a profile");
}

const BROKEN: &[Broken] = &[
    Broken {
        what: "a setting that is none",
        breaks: |_, command| {
            command.env("PAYSWITCH_STORE__URLL", "x");
        },
        check: "configuration",
        said: "urll",
        stops_serve: true,
    },
    Broken {
        what: "half a master key",
        breaks: |_, command| {
            command.env("PAYSWITCH_MASTER_KEY", "aGFsZg==");
        },
        check: "master key",
        said: "32 bytes in base64",
        stops_serve: true,
    },
    Broken {
        what: "no certificate",
        breaks: |_, command| {
            command.env("PAYSWITCH_MERCHANT_API__CERTIFICATE", "certs/dev/none.pem");
        },
        check: "merchant API: certificate",
        said: "certs/dev/none.pem",
        stops_serve: true,
    },
    Broken {
        what: "the key of another certificate",
        breaks: |_, command| {
            command.env("PAYSWITCH_MERCHANT_API__PRIVATE_KEY", "certs/dev/admin.key");
        },
        check: "merchant API: certificate",
        said: "openssl pkcs8",
        stops_serve: true,
    },
    Broken {
        what: "a profile with a key that is none",
        breaks: |scene, _| profile(scene, "lines = 2", "linse = 2"),
        check: "host profiles",
        said: "linse",
        stops_serve: true,
    },
    Broken {
        what: "a host without our key",
        breaks: |scene, _| profile(scene, "acquirer-client.key", "none.key"),
        check: "host acquirer",
        said: "none.key",
        stops_serve: true,
    },
    Broken {
        what: "a host that does not know our certificate",
        breaks: |scene, _| profile(scene, "acquirer-client.", "operator."),
        check: "host acquirer: connection",
        said: "ask the bank",
        stops_serve: false,
    },
    Broken {
        what: "a host of another name",
        breaks: |scene, _| profile(scene, "acquirer.bank.test", "other.bank.test"),
        check: "host acquirer: connection",
        said: "other.bank.test",
        stops_serve: false,
    },
    Broken {
        what: "no database",
        breaks: |_, command| {
            command.env("PAYSWITCH_STORE__URL", "sqlite://none.db");
        },
        check: "database",
        said: "payswitch migrate",
        stops_serve: true,
    },
    Broken {
        what: "a folder that is not there",
        breaks: |_, command| {
            command.env("PAYSWITCH_CARD__JWKS_PATH", "none/jwks.json");
        },
        check: "folders",
        said: "card.jwks_path",
        stops_serve: true,
    },
    Broken {
        what: "an account that is none",
        breaks: |_, command| {
            command.env("PAYSWITCH_SETTLEMENT__PAYOUTS__NAME", "Acquirer");
            command.env("PAYSWITCH_SETTLEMENT__PAYOUTS__IBAN", "DE00");
        },
        check: "bank accounts",
        said: "iban",
        stops_serve: true,
    },
];

#[test]
fn each_broken_installation_is_named_and_serve_agrees() {
    run(async {
        let folder = TempFolder::new("doctor-broken");
        let scene = Scene::set(Engine::Sqlite, &folder).await;
        let sound = std::fs::read_to_string(scene.at("hosts/acquirer.toml")).expect("a profile");
        for broken in BROKEN {
            let mut command = doctor(&scene, &["--banks"]);
            (broken.breaks)(&scene, &mut command);
            let diagnosis = Diagnosis::of(&mut command);
            assert_eq!(diagnosis.exit_code, Some(1), "{}", broken.what);
            assert_eq!(diagnosis.failed(), [broken.check], "{}", broken.what);
            diagnosis.expect(broken.check, "FAILED", broken.said);
            if broken.stops_serve {
                std::fs::write(scene.at("hosts/acquirer.toml"), &sound).expect("a profile");
                let mut serve = program(&scene.at(""), &scene.database, &["serve"]);
                (broken.breaks)(&scene, &mut serve);
                assert_eq!(output(&mut serve).status.code(), Some(1), "{}", broken.what);
            }
            std::fs::write(scene.at("hosts/acquirer.toml"), &sound).expect("a profile");
        }
    });
}

#[test]
fn too_few_descriptors_are_named_and_fewer_than_enough_are_raised() {
    run(async {
        let folder = TempFolder::new("doctor-descriptors");
        let scene = Scene::set(Engine::Sqlite, &folder).await;
        let limited = |limits: &str, arguments: &[&str]| {
            let sound = program(&scene.at(""), &scene.database, &[]);
            let mut shell = Command::new("sh");
            shell
                .arg("-c")
                .arg(format!("{limits}; exec \"$0\" \"$@\""))
                .arg(PROGRAM)
                .args(arguments)
                .current_dir(scene.at(""));
            for (name, value) in sound.get_envs() {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            shell
        };
        let low = "ulimit -Sn 1000; ulimit -Hn 1000";
        let diagnosis = Diagnosis::of(&mut limited(low, &["doctor", "--json"]));
        assert_eq!(diagnosis.failed(), ["file descriptors"]);
        diagnosis.expect("file descriptors", "FAILED", "LimitNOFILE=");
        let refused = output(&mut limited(low, &["serve"]));
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{errors}");
        assert!(errors.contains("got a hard limit of 1000"), "{errors}");

        let diagnosis = Diagnosis::of(&mut limited("ulimit -Sn 1000", &["doctor", "--json"]));
        assert_eq!(diagnosis.failed(), [""; 0]);
        let log = std::fs::File::create(scene.at("raised.log")).expect("a log");
        let serve = &["serve", "--ready-file", "raised.json"];
        let gateway = Process::start(limited("ulimit -Sn 1000", serve).stderr(log));
        until("a gateway that is ready", async || {
            scene.at("raised.json").exists()
        })
        .await;
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.id()));
        let limits = limits.expect("its limits");
        let open_files = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let soft = open_files.and_then(|line| line.split_whitespace().nth(3));
        let soft: u64 = soft.and_then(|it| it.parse().ok()).expect("a limit");
        assert!(soft > 4096, "{limits}");
    });
}

/// What `doctor`, `migrate` and `serve` say of a database.
fn refused(folder: &Path, database: &Database, url: &str, check: &str, said: &str) {
    let mut command = program(folder, database, &["doctor", "--json"]);
    let diagnosis = Diagnosis::of(command.env("PAYSWITCH_STORE__URL", url));
    assert_eq!(diagnosis.failed(), [check]);
    diagnosis.expect(check, "FAILED", said);
    for arguments in [["migrate"], ["serve"]] {
        let mut command = program(folder, database, &arguments);
        let output = output(command.env("PAYSWITCH_STORE__URL", url));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_pooler_that_shares_sessions_and_another_encoding_are_refused() {
    run(async {
        let folder = TempFolder::new("doctor-pooler");
        let scene = Scene::set(Engine::Postgres, &folder).await;
        let (at, database) = (scene.at(""), &scene.database);
        // A new database has no schema yet, and says so.
        let empty = Database::fresh(Engine::Postgres, &at).await;
        let diagnosis = Diagnosis::of(doctor(&scene, &[]).env("PAYSWITCH_STORE__URL", empty.url()));
        assert_eq!(diagnosis.failed(), ["schema"]);
        diagnosis.expect("schema", "FAILED", "payswitch migrate");

        let transactions =
            Pooler::start(&folder, database, "transaction", "extra_float_digits").await;
        let said = "a pooler in transaction mode";
        refused(&at, database, &transactions.url(database), "database", said);
        let strict = Pooler::start(&folder, database, "transaction", "options").await;
        refused(
            &at,
            database,
            &strict.url(database),
            "database",
            "a pooler says that",
        );
        // One that gives each session a backend for itself does.
        let sessions = Pooler::start(&folder, database, "session", "extra_float_digits").await;
        let mut migrate = program(&at, database, &["migrate"]);
        succeed(migrate.env("PAYSWITCH_STORE__URL", sessions.url(database)));
        let mut command = doctor(&scene, &[]);
        let diagnosis = Diagnosis::of(command.env("PAYSWITCH_STORE__URL", sessions.url(database)));
        assert_eq!(diagnosis.failed(), [""; 0]);

        let template = "template0\" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE \"C";
        let name = server().create_database(template).await;
        let latin = Database::Postgres(server(), name);
        refused(&at, &latin, &latin.url(), "database", "LATIN1");
    });
}
