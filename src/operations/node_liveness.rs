//! Which nodes are dead: those whose heartbeat has not changed for a while, watched by a node whose own
//! heartbeats arrive. No clocks are compared.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::payment::ids::NodeId;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;

/// Between two looks at the heartbeats; a node sends one as often.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A node whose heartbeat has not changed for so long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(12);
/// A node whose own heartbeats have not arrived for so long, or that has not looked for so long, can't
/// judge the others.
const BLIND_AFTER: Duration = Duration::from_secs(6);

/// The heartbeats that this node has seen.
#[derive(Debug)]
pub(super) struct NodeLiveness {
    own: NodeId,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    looked_at: Option<Instant>,
    /// Each running node, its last heartbeat, and since when it stands there.
    nodes: HashMap<NodeId, (i64, Instant)>,
}

impl NodeLiveness {
    pub(super) fn new(own: NodeId) -> Self {
        Self {
            own,
            watched: Mutex::default(),
        }
    }

    /// Looks at the heartbeats of all nodes, now and again until `stop`, and closes in the store what dead
    /// nodes left open.
    pub(super) async fn watch(&self, store: &Store, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.look_once(store).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "The heartbeats of the nodes could not be read");
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look_once(&self, store: &Store) -> Result<(), StoreError> {
        let heartbeats = store.heartbeats().await?;
        let dead = self.look(&heartbeats, Instant::now());
        if dead.is_empty() {
            return Ok(());
        }
        store.close_connections_of(&dead).await
    }

    /// Takes in what was read, and gives the nodes that are dead by now.
    fn look(&self, heartbeats: &[(NodeId, i64)], now: Instant) -> Vec<NodeId> {
        let mut watched = self.watched();
        let looked_away = watched
            .looked_at
            .replace(now)
            .is_none_or(|before| now.duration_since(before) > BLIND_AFTER);
        let before = std::mem::take(&mut watched.nodes);
        for &(node_id, heartbeat) in heartbeats {
            let since = match before.get(&node_id) {
                Some(&(same, since)) if same == heartbeat && !looked_away => since,
                _ => now,
            };
            watched.nodes.insert(node_id, (heartbeat, since));
        }
        // A database that takes no heartbeats, this node's own among them, makes nobody dead.
        let blind = watched
            .nodes
            .get(&self.own)
            .is_none_or(|(_, since)| now.duration_since(*since) >= BLIND_AFTER);
        if blind {
            watched
                .nodes
                .values_mut()
                .for_each(|(_, since)| *since = now);
            return Vec::new();
        }
        let dead = watched
            .nodes
            .iter()
            .filter(|(_, (_, since))| now.duration_since(*since) >= DEAD_AFTER);
        dead.map(|(node_id, _)| *node_id).collect()
    }

    /// Whether a node is dead: it has stopped in order, or its heartbeat stands still. Nobody is while this
    /// node is blind.
    pub(super) fn is_dead(&self, node_id: NodeId, now: Instant) -> bool {
        let watched = self.watched();
        let blind = watched
            .looked_at
            .is_none_or(|looked| now.duration_since(looked) > BLIND_AFTER)
            || !watched.nodes.contains_key(&self.own);
        if blind || node_id == self.own {
            return false;
        }
        watched
            .nodes
            .get(&node_id)
            .is_none_or(|(_, since)| now.duration_since(*since) >= DEAD_AFTER)
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::moment::UnixMillis;

    fn node(n: u8) -> NodeId {
        NodeId::from_parts(UnixMillis::new(1), [n; 10])
    }

    const OWN: u8 = 9;

    /// What is read at a second: this node's own heartbeat and the other's; none where nothing can be read.
    type Read = fn(i64) -> Option<(i64, Option<i64>)>;

    #[test]
    fn a_node_is_dead_when_its_heartbeat_stands_still_before_a_node_that_can_judge() {
        let cases: [(&str, Read, Option<u64>); 6] = [
            ("both live", |s| Some((s, Some(s))), None),
            ("the other stands still", |s| Some((s, Some(7))), Some(12)),
            (
                "the other went on for a while",
                |s| Some((s, Some(s.min(20)))),
                Some(32),
            ),
            ("no heartbeat arrives", |_| Some((7, Some(7))), None),
            (
                "the other has stopped in order",
                |s| Some((s, (s < 4).then_some(s))),
                Some(4),
            ),
            (
                "nothing can be read for a while",
                |s| (!(6..=20).contains(&s)).then_some((s, Some(7))),
                Some(34),
            ),
        ];
        for (name, read, dead_at) in cases {
            let liveness = NodeLiveness::new(node(OWN));
            let start = Instant::now();
            let mut died = None;
            for s in (0..=60).step_by(2) {
                let now = start + Duration::from_secs(s);
                if let Some((own, other)) = read(i64::try_from(s).unwrap()) {
                    let mut heartbeats = vec![(node(OWN), own)];
                    heartbeats.extend(other.map(|other| (node(1), other)));
                    let dead = liveness.look(&heartbeats, now);
                    assert_eq!(
                        dead.contains(&node(1)),
                        other.is_some() && liveness.is_dead(node(1), now),
                        "{name}, {s} s"
                    );
                }
                if liveness.is_dead(node(1), now) && died.is_none() {
                    died = Some(s);
                }
                assert!(!liveness.is_dead(node(OWN), now), "{name}, {s} s");
            }
            assert_eq!(died, dead_at, "{name}");
        }
    }

    #[test]
    fn a_paused_node_that_goes_on_lives_again() {
        let liveness = NodeLiveness::new(node(OWN));
        let start = Instant::now();
        let look = |s: u64, other: i64| {
            let now = start + Duration::from_secs(s);
            let own = i64::try_from(s).unwrap();
            liveness.look(&[(node(OWN), own), (node(1), other)], now);
            liveness.is_dead(node(1), now)
        };
        let dead: Vec<bool> = (0..=12).step_by(2).map(|s| look(s, 7)).collect();
        assert_eq!(dead, [false, false, false, false, false, false, true]);
        assert!(!look(14, 8));
    }
}
