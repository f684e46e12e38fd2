//! A wire between the store and PostgreSQL that can be told to break at a COMMIT.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::store::StoreConfig;
use crate::net::{Net, Stream};
use crate::store::Store;
use crate::store::testing::{TestDatabase, dial, execute, open, server};

/// What the wire between store and database does with the next COMMIT.
pub(super) const PASS: u8 = 0;
/// Carries it out, and breaks before the confirmation comes back.
pub(super) const LOSE_CONFIRMATION: u8 = 1;
/// Breaks before it arrives.
pub(super) const LOSE_COMMIT: u8 = 2;
/// Carries it out, breaks, and lets nobody through any more.
pub(super) const LOSE_ALL: u8 = 3;
/// Lets nobody through.
pub(super) const SHUT: u8 = 4;
/// Carries it out, drops the table of late responses, and breaks before the confirmation comes back.
pub(super) const LOSE_CONFIRMATION_AND_A_TABLE: u8 = 5;
/// Swallows whatever the client says, on this connection for good.
pub(super) const SWALLOW: u8 = 6;

/// A wire that can be told to break at a COMMIT; gives its port.
async fn wire(plan: Arc<AtomicU8>, database: &TestDatabase) -> u16 {
    let url: Arc<str> = database.url.as_str().into();
    let listener = Net::SYSTEM
        .listen("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if plan.load(Ordering::SeqCst) != SHUT {
                tokio::spawn(carry(client, plan.clone(), url.clone()));
            }
        }
    });
    port
}

async fn carry(mut client: Stream, plan: Arc<AtomicU8>, url: Arc<str>) {
    let mut database = dial(server()).await;
    let (mut from_client, mut from_database) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                let said = &from_client[..count];
                let commits = said.windows(6).any(|word| word == b"COMMIT");
                let next = |plan: u8| if plan == LOSE_ALL { SHUT } else { PASS };
                match plan.load(Ordering::SeqCst) {
                    LOSE_COMMIT if commits => return plan.store(PASS, Ordering::SeqCst),
                    SWALLOW => while client.read(&mut from_client).await.is_ok_and(|count| count > 0) {},
                    LOSE_CONFIRMATION_AND_A_TABLE if commits => {
                        database.write_all(said).await.unwrap();
                        let _ = database.read(&mut from_database).await;
                        execute(&url, "DROP TABLE late_responses".into()).await;
                        return plan.store(PASS, Ordering::SeqCst);
                    }
                    now @ (LOSE_CONFIRMATION | LOSE_ALL) if commits => {
                        database.write_all(said).await.unwrap();
                        let _ = database.read(&mut from_database).await;
                        return plan.store(next(now), Ordering::SeqCst);
                    }
                    _ => database.write_all(said).await.unwrap(),
                }
            }
            read = database.read(&mut from_database) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&from_database[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Settings of a store on a wire that can break, and what the wire does.
pub(super) async fn config_on_a_wire(database: &TestDatabase) -> (StoreConfig, Arc<AtomicU8>) {
    let plan = Arc::new(AtomicU8::new(PASS));
    let port = wire(plan.clone(), database).await;
    let config = StoreConfig {
        url: format!(
            "postgres://payswitch@127.0.0.1:{port}/{}?sslmode=disable",
            database.name()
        ),
        ..StoreConfig::default()
    };
    (config, plan)
}

/// A store on such a wire, and what the wire does.
pub(super) async fn store_on_a_wire(database: &TestDatabase) -> (Store, Arc<AtomicU8>) {
    let (config, plan) = config_on_a_wire(database).await;
    (open(&config).await.unwrap(), plan)
}
