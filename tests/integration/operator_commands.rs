//! The commands that call the operators' door.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::demo::{Demo, PROGRAM};
use crate::harness::{TempFolder, run};
use crate::tools::output;

/// `payswitch` with these arguments, told by the demo's ready file.
fn payswitch(demo: &Demo, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .arg("--ready")
        .arg(&demo.ready_file)
        .env_remove("RUST_LOG");
    output(&mut command)
}

pub(crate) fn done(demo: &Demo, arguments: &[&str]) -> String {
    let output = payswitch(demo, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_commands_do_what_the_door_does() {
    run(async {
        let folder = TempFolder::new("operators");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        let listed = done(&demo, &["hosts", "list"]);
        assert!(
            listed.contains("acquirer") && listed.contains("SIGNED_ON"),
            "{listed}"
        );
        let why = ["--reason", "maintenance"];
        let signed_off = done(
            &demo,
            &[&["hosts", "sign-off", "acquirer"][..], &why].concat(),
        );
        assert!(signed_off.contains("SIGNED_OFF"), "{signed_off}");
        let echo = [&["hosts", "echo", "acquirer"][..], &why].concat();
        let unanswered = payswitch(&demo, &echo);
        assert_eq!(unanswered.status.code(), Some(1));
        let printed = String::from_utf8_lossy(&unanswered.stdout).into_owned();
        assert!(printed.contains("the line is not signed on"), "{printed}");
        done(
            &demo,
            &[&["hosts", "sign-on", "acquirer"][..], &why].concat(),
        );
        let answered = done(&demo, &echo);
        assert!(
            answered.contains("answered") && answered.contains("00"),
            "{answered}"
        );
        let hosts = done(&demo, &["hosts", "list", "--json"]);
        let hosts: Value = serde_json::from_str(&hosts).expect("JSON");
        assert_eq!(
            hosts["hosts"][0]["lines"][0]["state"], "SIGNED_ON",
            "{hosts}"
        );

        let rotate = ["custody", "rotate", "--reason", "a backup was lost"];
        let rotated = done(&demo, &rotate);
        assert!(rotated.contains("not counted yet"), "{rotated}");
        let keys = done(&demo, &["custody", "list", "--json"]);
        let keys: Value = serde_json::from_str(&keys).expect("JSON");
        let versions = keys["data_keys"].as_array().expect("keys").iter();
        let versions: Vec<_> = versions.map(|key| key["key_version"].as_i64()).collect();
        assert_eq!(versions, [Some(2), Some(1)], "{keys}");
        // The one that was replaced just now may still get cards.
        let destroy = ["custody", "destroy-expired", "--reason", "the monthly run"];
        assert_eq!(done(&demo, &destroy), "Data keys destroyed: 0\n");

        let add = [
            "operator", "add", "bob", "--role", "viewer", "--reason", "joined",
        ];
        let added = done(&demo, &add);
        assert!(added.contains("bob") && added.contains("VIEWER"), "{added}");
        done(
            &demo,
            &["operator", "role", "bob", "operator", "--reason", "trained"],
        );
        done(
            &demo,
            &["operator", "deactivate", "bob", "--reason", "left"],
        );
        done(
            &demo,
            &["operator", "activate", "bob", "--reason", "is back"],
        );
        let operators = done(&demo, &["operator", "list", "--json"]);
        let operators: Value = serde_json::from_str(&operators).expect("JSON");
        assert_eq!(operators["operators"][0]["name"], "bob", "{operators}");
        assert_eq!(operators["operators"][0]["role"], "OPERATOR");

        let owed = done(&demo, &["owed", "list", "--suspended", "--json"]);
        let owed: Value = serde_json::from_str(&owed).expect("JSON");
        assert_eq!(owed["owed"].as_array().map(Vec::len), Some(0));
        let unknown = payswitch(&demo, &["owed", "show", "op_06e9x3w8k1z7h4n2m5q0r8t6va"]);
        let errors = String::from_utf8_lossy(&unknown.stderr).into_owned();
        assert!(errors.contains("NOT_OWED"), "{errors}");

        let keys = done(&demo, &["sealing-keys", "list"]);
        assert!(
            keys.contains("ACTIVE") && keys.contains("used last"),
            "{keys}"
        );
        let without_reason = payswitch(&demo, &["sealing-keys", "add"]);
        assert_eq!(without_reason.status.code(), Some(1));
        let blank = payswitch(&demo, &["sealing-keys", "add", "--reason", " \u{200B}"]);
        let errors = String::from_utf8_lossy(&blank.stderr).into_owned();
        assert!(errors.contains("none that can be seen"), "{errors}");
        let add = [
            "sealing-keys",
            "add",
            "--reason",
            "the yearly one",
            "--json",
        ];
        let added: Value = serde_json::from_str(&done(&demo, &add)).expect("JSON");
        assert_eq!(added["sealing_keys"][0]["state"], "UPCOMING", "{added}");
        assert_eq!(added["sealing_keys"][0]["on_this_gateway"], true, "{added}");
        let master = done(&demo, &["master", "status", "--json"]);
        let master: Value = serde_json::from_str(&master).expect("JSON");
        assert_eq!(master["rotation"], "NONE", "{master}");

        // The demo has no limits; the commands say so of everything.
        let limits = done(&demo, &["risk", "limits"]);
        assert!(limits.contains("within"), "{limits}");
        let shop = ["--merchant", "demo-shop", "--json"];
        for (call, name) in [
            (&["risk", "show"][..], "counts"),
            (&["risk", "release", "--reason", "a sale"], "released"),
        ] {
            let counts = done(&demo, &[call, &shop].concat());
            let counts: Value = serde_json::from_str(&counts).expect("JSON");
            assert_eq!(counts[name], json!([]), "{counts}");
        }
        let nothing = payswitch(&demo, &["risk", "show"]);
        assert_eq!(nothing.status.code(), Some(2));

        // What is booked sums to zero, and nobody has changed it.
        let verified = done(&demo, &["ledger", "verify", "--json"]);
        let verified: Value = serde_json::from_str(&verified).expect("JSON");
        assert_eq!(verified["findings"], json!([]), "{verified}");
        assert_eq!(verified["seals_in_file"], Value::Null, "{verified}");
        let balances = done(&demo, &["ledger", "balance", "--json"]);
        let balances: Value = serde_json::from_str(&balances).expect("JSON");
        let sums = balances["sums_minor"].as_object().expect("sums");
        assert!(sums.values().all(|sum| *sum == 0), "{balances}");
        let journals = done(&demo, &["ledger", "journal", "--json"]);
        let journals: Value = serde_json::from_str(&journals).expect("JSON");
        let booked = journals["journals"]
            .as_array()
            .expect("journals")
            .is_empty();
        assert_eq!(booked, sums.is_empty(), "{journals}");

        let audit = done(&demo, &["audit", "list"]);
        for told in [
            "demo-operator",
            "SignOffHost",
            "maintenance",
            "FAILED NOT_ANSWERED",
            "joined",
            "RotateDataKey",
            "the monthly run",
        ] {
            assert!(audit.contains(told), "{told} in\n{audit}");
        }
        let audit = done(&demo, &["audit", "list", "--limit", "1", "--json"]);
        let audit: Value = serde_json::from_str(&audit).expect("JSON");
        assert_eq!(audit["entries"].as_array().map(Vec::len), Some(1));
        assert_eq!(audit["entries"][0]["target"], "merchant demo-shop");

        // What is refused says why, and what can't work says what is missing.
        let refused = payswitch(
            &demo,
            &[&["hosts", "sign-off", "nowhere"][..], &why].concat(),
        );
        assert_eq!(refused.status.code(), Some(1));
        let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(errors.contains("HOST_NOT_FOUND"), "{errors}");
        let mut lost = Command::new(PROGRAM);
        lost.args(["hosts", "list"]).current_dir(folder.path());
        let errors = String::from_utf8_lossy(&output(&mut lost).stderr).into_owned();
        assert!(errors.contains("--ready"), "{errors}");
    });
}
