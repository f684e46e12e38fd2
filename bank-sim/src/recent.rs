//! The keys that came last.

use std::{collections::VecDeque, hash::Hash};

use crate::random::HashSet;

/// So many keys as came last.
#[derive(Debug)]
pub(crate) struct Recent<K> {
    capacity: usize,
    keys: HashSet<K>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash> Recent<K> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            keys: HashSet::default(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.keys.contains(key)
    }

    /// Adds a key, and forgets the oldest when there are too many; whether it was not there.
    pub(crate) fn is_new(&mut self, key: K) -> bool {
        let is_new = self.keys.insert(key);
        if is_new {
            self.order.push_back(key);
        }
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        is_new
    }
}
