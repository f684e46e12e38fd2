//! Hash maps with a seed that is always the same, so that a run can be repeated. These hosts draw no random
//! numbers; those of TLS are the TLS library's.

use foldhash::fast::FixedState;

/// A hash map whose order is the same in each run. It withstands nobody who hunts for collisions.
#[expect(clippy::disallowed_types, reason = "its hasher has a fixed seed")]
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, FixedState>;

/// A hash set whose order is the same in each run. It withstands nobody who hunts for collisions.
#[expect(clippy::disallowed_types, reason = "its hasher has a fixed seed")]
pub(crate) type HashSet<T> = std::collections::HashSet<T, FixedState>;
