//! Randomness: the only place that draws any, and hash maps without any. Key pairs are the exception: the
//! cryptographic library draws for them itself and takes no source.

use std::cell::RefCell;

use foldhash::fast::FixedState;
use ring::rand::{SecureRandom, SystemRandom};

/// A hash map whose order is the same in each run. Its seed is no secret, so its keys must be bounded in
/// number or made by this program.
#[expect(
    clippy::disallowed_types,
    reason = "its hasher has a seed that stays the same"
)]
pub type HashMap<K, V> = std::collections::HashMap<K, V, FixedState>;

/// A hash set whose order is the same in each run. Its seed is no secret, so its members must be bounded
/// in number or made by this program.
#[expect(
    clippy::disallowed_types,
    reason = "its hasher has a seed that stays the same"
)]
pub type HashSet<T> = std::collections::HashSet<T, FixedState>;

/// The source gave no randomness. Nothing that needs a fresh number can be done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

/// How many bytes for names a thread asks the operating system for at once: for 64 identifiers.
const STOCK_BYTES: usize = 640;

thread_local! {
    /// Random bytes that no name of this thread has used yet.
    static STOCK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A source of randomness.
#[derive(Debug, Clone)]
pub struct Random(());

impl Random {
    /// The operating system's generator.
    pub const SYSTEM: Self = Self(());

    /// `N` bytes that nobody can guess.
    ///
    /// # Errors
    /// When the source has none.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that draws randomness"
    )]
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], NoEntropy> {
        let mut bytes = [0; N];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| NoEntropy)?;
        Ok(bytes)
    }

    /// `N` bytes for a name that has to be unique, not secret: from the same source, but drawn for many
    /// names at once, so that not each name is a system call.
    ///
    /// # Errors
    /// When the source has none.
    pub fn bytes_for_name<const N: usize>(&self) -> Result<[u8; N], NoEntropy> {
        const { assert!(N <= STOCK_BYTES, "a name is shorter than the stock") }
        STOCK.with_borrow_mut(|stock| {
            if stock.len() < N {
                *stock = self.bytes::<STOCK_BYTES>()?.to_vec();
            }
            let (rest, taken) = stock.split_last_chunk::<N>().ok_or(NoEntropy)?;
            let (left, taken) = (rest.len(), *taken);
            stock.truncate(left);
            Ok(taken)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_names_are_used_once() {
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            assert!(names.insert(Random::SYSTEM.bytes_for_name::<10>().unwrap()));
        }
    }
}
