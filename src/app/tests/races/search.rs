//! Walks through a play, every order of what can happen, the shortest first.

use super::play::Play;
use super::promises;
use super::reached::Reached;
use super::steps::Broken;
use super::world::{Act, World};
use crate::random::HashMap;

/// What came of a walk.
pub(super) struct Walked {
    pub(super) states: usize,
    pub(super) depth: usize,
    /// Whether there was nothing left to walk.
    pub(super) is_whole: bool,
    pub(super) broken: Option<Story>,
}

/// How a promise was broken, as a story.
pub(super) struct Story {
    pub(super) promise: Broken,
    pub(super) acts: Vec<String>,
}

/// Walks until a promise is broken, the play is over, or so many states were seen.
pub(super) fn walk(play: &Play, most: usize, reached: &mut Reached) -> Walked {
    let first = World::first(play);
    let mut before: HashMap<u64, (u64, Act)> = HashMap::default();
    before.insert(first.name(), (first.name(), Act::AgePasses));
    let (mut layer, mut depth) = (vec![first], 0);
    let walked = |before: &HashMap<u64, _>, depth, is_whole, broken| Walked {
        states: before.len(),
        depth,
        is_whole,
        broken,
    };
    while !layer.is_empty() && play.depth.is_none_or(|most| depth < most) {
        let mut next = Vec::new();
        for world in layer {
            let name = world.name();
            for act in world.acts(play) {
                let after = world.after(play, act, reached);
                let after = after.and_then(|after| {
                    promises::of_world(play, &after)?;
                    Ok(after)
                });
                match after {
                    Err(promise) => {
                        let acts = story(play, &before, name, act);
                        let story = Some(Story { promise, acts });
                        return walked(&before, depth, false, story);
                    }
                    Ok(after) => {
                        let new = after.name();
                        if let std::collections::hash_map::Entry::Vacant(place) = before.entry(new)
                        {
                            place.insert((name, act));
                            next.push(after);
                        }
                    }
                }
            }
            if before.len() >= most {
                return walked(&before, depth, false, None);
            }
        }
        layer = next;
        depth += 1;
    }
    walked(&before, depth, layer.is_empty(), None)
}

/// The acts that lead to a world, and the last one.
fn story(play: &Play, before: &HashMap<u64, (u64, Act)>, mut name: u64, last: Act) -> Vec<String> {
    let mut acts = vec![last];
    let mut world = World::first(play);
    while name != world.name() {
        let (from, act) = before[&name];
        acts.push(act);
        name = from;
    }
    let mut told = Vec::new();
    for act in acts.into_iter().rev() {
        told.push(world.tells(play, act));
        if let Ok(after) = world.after(play, act, &mut Reached::default()) {
            world = after;
        }
    }
    told
}
