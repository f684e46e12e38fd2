//! Keeps the map true: reads the sources of all three crates and fails when an arrow points up, files
//! need each other in a circle, a foreign type leaves its home, or a flow calls a flow.
//! `ARCHITECTURE.md` says why each rule is there.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this is a test: what it can't read fails it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use references::{Reference, References};

// Not beside this file, where Cargo would take it for a test of its own.
#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/planted.rs"]
mod planted;
#[path = "architecture/references.rs"]
mod references;

/// The layers of the gateway, from the top down. A module may use layers below its own, and itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("program", &["main"]),
    ("commands", &["commands"]),
    ("wiring", &["app"]),
    ("doors", &["merchant_api", "admin_api"]),
    ("door frame", &["grpc"]),
    ("flows", &["flows"]),
    ("reconciliation", &["reconciliation"]),
    (
        "operations",
        &["operations", "ledger_seals", "event_feed", "settlement"],
    ),
    ("limits", &["risk"]),
    ("edges", &["hosts", "store", "card", "certs"]),
    // A clock says a `UnixMillis`; the domain knows no clock (`PURE`, below).
    ("time and traces", &["clock", "traces"]),
    ("domain", &["ledger", "payment"]),
    (
        "ground",
        &[
            "net",
            "random",
            "shares",
            "stack",
            "config",
            "telemetry",
            "metrics",
            "fault_points",
            "pdf",
            "x509",
            "reloading",
        ],
    ),
];

/// Arrows within one layer: (from, to). None of them may have a way back.
const WITHIN_A_LAYER: &[(&str, &str)] = &[
    ("certs", "card"),
    ("ledger", "payment"),
    ("shares", "metrics"),
    ("reloading", "telemetry"),
];

/// The folder whose files are flows. A flow never uses another one.
const FLOWS: &str = "flows";

/// Each foreign crate's home in the gateway: the modules that may name it.
const HOMES: &[(&str, &[&str])] = &[
    ("prost", &["merchant_api", "admin_api", "grpc"]),
    ("prost_types", &["merchant_api", "grpc", "commands"]),
    // The commands are clients of the merchant API, as anybody's program is.
    ("tonic", &["merchant_api", "admin_api", "grpc", "commands"]),
    ("tonic_prost", &["grpc"]),
    (
        "tonic_types",
        &["merchant_api", "admin_api", "grpc", "commands"],
    ),
    ("sqlx", &["store"]),
    // Clearing files are messages too. The commands decode and show messages for people.
    ("iso8583", &["hosts", "settlement", "commands"]),
    ("bank_sim", &["commands"]),
    ("clap", &["main", "commands"]),
    ("clap_mangen", &["commands"]),
    ("sd_notify", &["commands"]),
    ("figment", &["config"]),
    ("csv", &["settlement"]),
    ("csv_core", &["settlement"]),
    ("quick_xml", &["settlement"]),
    ("prometheus_client", &["metrics"]),
    ("opentelemetry", &["traces"]),
    ("opentelemetry_otlp", &["traces"]),
    ("opentelemetry_sdk", &["traces"]),
    ("tracing_opentelemetry", &["traces"]),
    ("axum", &["admin_api"]),
    ("krilla", &["pdf"]),
    ("skrifa", &["pdf"]),
];

/// Bytes as hexadecimal digits: no message, and one helper is enough.
const AT_HOME_EVERYWHERE: &str = "iso8583::hex";

/// What the machine gives: sockets, time, randomness. They are handed in, so that a simulation can hand in
/// others, and only these modules name the machine's own. The client of the doors is part of other
/// programs.
const OF_THE_MACHINE: &[&str] = &["SystemClock", "Net::SYSTEM", "Random::SYSTEM"];
const HAND_OUT: &[&str] = &["app.rs", "app", "commands", "grpc/client.rs", "clock.rs"];

/// What a pure module can't name: no async, no clock, no I/O. Nor any module that is not pure.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::io",
    "std::env",
    "std::time",
];
const PURE: &[&str] = &["ledger", "payment"];

/// `hosts/host.rs` is the module `hosts::host`; `lib.rs` is the crate's root.
fn module_of(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = path
        .with_extension("")
        .components()
        .map(|component| component.as_os_str().to_string_lossy().into_owned())
        .collect();
    if names
        .last()
        .is_some_and(|name| name == "mod" || name == "lib")
    {
        names.pop();
    }
    names
}

/// The module of the gateway that a reference means, from the top down, if it means one.
fn target(module: &[String], path: &[String]) -> Option<Vec<String>> {
    match path.first()?.as_str() {
        "crate" | "payswitch" => Some(path[1..].to_vec()),
        "super" => {
            let ups = path.iter().take_while(|name| *name == "super").count();
            let base = module.len().saturating_sub(ups);
            Some([&module[..base], &path[ups..]].concat())
        }
        _ => None,
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS
        .iter()
        .position(|(_, modules)| modules.contains(&module))
}

fn may_use(from: &str, to: &str) -> bool {
    if PURE.contains(&from) && !PURE.contains(&to) {
        return false;
    }
    from == to
        || WITHIN_A_LAYER.contains(&(from, to))
        || matches!((layer(from), layer(to)), (Some(from), Some(to)) if from < to)
}

/// A file of tests by its name: `tests.rs`, `tests/..`, `.._tests.rs`, `testing.rs`.
fn is_test(file: &Path) -> bool {
    file.with_extension("").iter().any(|name| {
        let name = name.to_string_lossy();
        name == "tests" || name == "testing" || name.ends_with("_tests")
    })
}

/// Everything that one source file of the gateway breaks.
fn violations(file: &Path, source: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(top) = module.first().cloned() else {
        return Vec::new();
    };
    let references = References::of(source);
    let at = |line: usize| format!("src/{}:{line}", file.display());
    let mut broken = Vec::new();
    if layer(&top).is_none() {
        broken.push(format!(
            "src/{}: the module {top} has no layer",
            file.display()
        ));
    }
    for Reference { line, path, .. } in &references.found {
        let target = target(&module, path).unwrap_or_default();
        if let Some(to) = target.first().filter(|to| layer(to).is_some())
            && !may_use(&top, to)
        {
            broken.push(format!(
                "{}: {top} may not use {to} ({})",
                at(*line),
                path.join("::")
            ));
        }
        if let ([flows, own, ..], [others, other, ..]) = (&module[..], &target[..])
            && (flows, others) == (&FLOWS.to_owned(), &FLOWS.to_owned())
            && own != other
        {
            broken.push(format!("{}: the flow {own} may not use {other}", at(*line)));
        }
        let named = path.join("::");
        if path.len() > 1
            && !named.starts_with(AT_HOME_EVERYWHERE)
            && let Some((_, homes)) = HOMES.iter().find(|(name, _)| *name == path[0])
            && !homes.contains(&top.as_str())
        {
            broken.push(format!(
                "{}: {named} is at home in {}",
                at(*line),
                homes.join(", ")
            ));
        }
        if let Some(thing) = OF_THE_MACHINE.iter().find(|thing| named.ends_with(**thing))
            && !HAND_OUT.iter().any(|home| file.starts_with(home))
            && !is_test(file)
        {
            broken.push(format!("{}: {thing} is handed in, not fetched", at(*line)));
        }
        if PURE.contains(&top.as_str())
            && let Some(word) = IMPURE.iter().find(|word| named.starts_with(**word))
        {
            broken.push(format!(
                "{}: {top} is pure and can't name {word}",
                at(*line)
            ));
        }
    }
    if PURE.contains(&top.as_str()) {
        for line in &references.async_lines {
            broken.push(format!("{}: {top} is pure and can't be async", at(*line)));
        }
    }
    for line in &references.re_exports {
        broken.push(format!(
            "{}: import from the defining module; no re-exports",
            at(*line)
        ));
    }
    broken
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of a crate: its path below `src/`, and its text.
fn sources(crate_folder: &str) -> BTreeMap<PathBuf, String> {
    let folder = root().join(crate_folder).join("src");
    let read = |file: PathBuf| {
        let source = fs::read_to_string(&file).expect("the source is readable");
        let path = file.strip_prefix(&folder).expect("it is below src");
        (path.to_path_buf(), source)
    };
    let sources: BTreeMap<_, _> = rust_files(&folder).into_iter().map(read).collect();
    assert!(
        sources.len() > 20,
        "only {} source files were found",
        sources.len()
    );
    sources
}

fn gateway_sources() -> BTreeMap<PathBuf, String> {
    sources("")
}

#[test]
fn the_gateway_keeps_its_layers() {
    let broken: Vec<String> = gateway_sources()
        .iter()
        .flat_map(|(path, source)| violations(path, source))
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_two_modules_use_each_other() {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, source) in gateway_sources() {
        let module = module_of(&path);
        let Some(top) = module.first().cloned() else {
            continue;
        };
        for Reference { path, .. } in References::of(&source).found {
            let target = target(&module, &path).unwrap_or_default();
            if let Some(to) = target
                .first()
                .filter(|to| **to != top && layer(to).is_some())
            {
                arrows.entry(top.clone()).or_default().insert(to.clone());
            }
        }
    }
    for (from, targets) in &arrows {
        for to in targets {
            let back = arrows.get(to).is_some_and(|targets| targets.contains(from));
            assert!(!back, "{from} and {to} use each other");
        }
    }
}

/// The table would else keep names of modules that are gone, and nobody would notice a misspelt one.
#[test]
fn the_layers_name_only_modules_that_exist() {
    let sources = gateway_sources();
    let modules: BTreeSet<String> = sources
        .keys()
        .filter_map(|path| module_of(path).into_iter().next())
        .collect();
    for (_, names) in LAYERS {
        for name in *names {
            assert!(modules.contains(*name), "there is no module {name}");
        }
    }
}

/// What is wrong with the circles of one crate. A program is a crate of its own: what it uses of the
/// library is foreign to it.
fn circles_of(crate_name: &str, folder: &str) -> Vec<String> {
    let sources = sources(folder);
    let mut found = Vec::new();
    for (own_name, root) in [(crate_name, "lib.rs"), ("", "main.rs")] {
        if !sources.contains_key(Path::new(root)) {
            continue;
        }
        let tree = circles::Tree::read(own_name, root, &sources);
        assert!(
            root == "main.rs" || tree.file_count() > 15,
            "the tree was not read"
        );
        let arrows = tree.arrows();
        let circles = circles::circles(&arrows);
        found.extend(
            circles
                .iter()
                .map(|circle| circles::described(circle, &arrows)),
        );
    }
    found
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let found = [
        circles_of("payswitch", ""),
        circles_of("iso8583", "iso8583"),
        circles_of("bank_sim", "bank-sim"),
    ]
    .concat();
    assert!(found.is_empty(), "\n{}", found.join("\n\n"));
}

#[test]
fn the_crates_stay_apart() {
    let dependencies = |name: &str| -> BTreeSet<String> {
        let path = root().join(name).join("Cargo.toml");
        let text = fs::read_to_string(path).expect("the manifest is readable");
        let manifest = text.parse::<toml::Table>().expect("the manifest parses");
        let table = manifest.get("dependencies").and_then(toml::Value::as_table);
        table
            .into_iter()
            .flat_map(|table| table.keys().cloned())
            .collect()
    };
    let codec = dependencies("iso8583");
    for banned in [
        "tokio",
        "payswitch",
        "bank-sim",
        "tonic",
        "sqlx",
        "rustls",
        "tracing",
    ] {
        assert!(
            !codec.contains(banned),
            "the codec is sans-I/O and must not depend on {banned}"
        );
    }
    let banks = dependencies("bank-sim");
    for banned in ["payswitch", "sqlx"] {
        assert!(
            !banks.contains(banned),
            "the banks must not depend on {banned}"
        );
    }
    let names_the_banks = |source: &str| {
        let is_bank = |reference: &Reference| reference.path[0] == "bank_sim";
        References::of(source).found.iter().any(is_bank)
    };
    let users: Vec<PathBuf> = gateway_sources()
        .into_iter()
        .filter(|(_, source)| names_the_banks(source))
        .map(|(path, _)| path)
        .collect();
    assert!(
        users.len() <= 1,
        "bank_sim is used in more than one file: {users:?}"
    );
}

/// `cargo deny check` wants a network for its advisories; the bans hold without one.
#[test]
fn no_banned_crate_is_locked() {
    let read = |name: &str| {
        let text = fs::read_to_string(root().join(name)).expect("the file is readable");
        text.parse::<toml::Table>().expect("the file parses")
    };
    let names = |list: &toml::Value, key: &str| -> BTreeSet<String> {
        let entries = list.as_array().expect("it is a list");
        let name = |entry: &toml::Value| entry[key].as_str().map(str::to_owned);
        entries.iter().filter_map(name).collect()
    };
    let banned = names(&read("deny.toml")["bans"]["deny"], "crate");
    let locked = names(&read("Cargo.lock")["package"], "name");
    assert!(
        banned.len() > 2 && locked.len() > 100,
        "the lists were not read"
    );
    let found: Vec<&String> = banned.intersection(&locked).collect();
    assert!(
        found.is_empty(),
        "banned by deny.toml and yet in Cargo.lock: {found:?}"
    );
}
