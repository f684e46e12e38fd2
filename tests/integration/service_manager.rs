//! What the service manager hears of a gateway (sd_notify): on a socket of this test's own.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use crate::database::Engine;
use crate::demo::Process;
use crate::harness::{TempFolder, run};
use crate::killing::program;
use crate::killing::scene::Scene;

/// What the manager waits for comes sooner.
const HEARD_WITHIN: Duration = Duration::from_secs(60);

/// The manager's end.
struct Manager {
    socket: UnixDatagram,
    /// What was said, line by line.
    heard: Vec<String>,
}

impl Manager {
    fn listen(folder: &TempFolder) -> Self {
        let socket = UnixDatagram::bind(folder.path().join("notify.sock")).expect("a socket");
        socket
            .set_read_timeout(Some(HEARD_WITHIN))
            .expect("a time-out");
        Self {
            socket,
            heard: Vec::new(),
        }
    }

    /// Reads until this was said.
    fn hear(&mut self, line: &str) {
        while !self.heard.iter().any(|heard| heard == line) {
            let mut buffer = [0; 4096];
            let read = self.socket.recv(&mut buffer);
            let read = read.unwrap_or_else(|error| panic!("{line}: {error}: {:?}", self.heard));
            let said = String::from_utf8_lossy(&buffer[..read]).into_owned();
            self.heard.extend(said.lines().map(str::to_owned));
        }
    }

    fn place(&self, line: &str) -> Option<usize> {
        self.heard.iter().position(|heard| heard == line)
    }
}

const READY: &str = "STATUS=Ready: every required bank is signed on";
const AWAY: &str = "STATUS=Not ready: acquirer not signed on";
const STOPPING: &str = "STATUS=Stopping: no new payments, those in progress are finished";

#[test]
fn it_hears_that_the_doors_are_open_that_the_program_lives_and_that_it_stops() {
    run(async {
        let folder = TempFolder::new("notify");
        let scene = Scene::set(Engine::Sqlite, &folder).await;
        let mut manager = Manager::listen(&folder);
        let start = || {
            let mut command = program(&scene.at(""), &scene.database, &["serve"]);
            command
                .env("NOTIFY_SOCKET", scene.at("notify.sock"))
                .env("WATCHDOG_USEC", "500000")
                .stderr(Stdio::null());
            Process::start(&mut command)
        };
        let gateway = start();
        for line in ["READY=1", READY, "WATCHDOG=1"] {
            manager.hear(line);
        }
        gateway.send("TERM");
        manager.hear(STOPPING);
        assert_eq!(gateway.ended().await.code(), Some(0));
        let (ready, stopping) = (manager.place("READY=1"), manager.place("STOPPING=1"));
        assert!(ready.is_some() && stopping > ready, "{:?}", manager.heard);

        // A bank that is away keeps nobody waiting for the gateway.
        let profile = std::fs::read_to_string(scene.at("hosts/acquirer.toml")).expect("a profile");
        let address = profile.lines().find(|line| line.starts_with("address = "));
        let away = profile.replace(address.expect("its address"), "address = \"127.0.0.1:1\"");
        std::fs::write(scene.at("hosts/acquirer.toml"), away).expect("a profile");
        manager.heard.clear();
        let gateway = start();
        manager.hear(AWAY);
        assert!(
            manager.place("READY=1") < manager.place(AWAY),
            "{:?}",
            manager.heard
        );
        assert_eq!(manager.place(READY), None);
        gateway.send("TERM");
        manager.hear("STOPPING=1");
        assert_eq!(gateway.ended().await.code(), Some(0));
    });
}
