//! Seals: what the ledger held up to a position, signed, each on top of the one before.

use std::fmt;
use std::str::FromStr;

use iso8583::hex;
use ring::digest::{Context, SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::payment::moment::UnixMillis;

/// A SHA-256.
pub type Hash = [u8; 32];

/// A Merkle tree over SHA-256, as RFC 6962 section 2.1 builds it. It keeps one hash for each level.
#[derive(Debug, Clone, Default)]
pub struct MerkleTree {
    /// The whole subtrees, the largest first: how many leaves, and their root.
    subtrees: Vec<(u64, Hash)>,
}

impl MerkleTree {
    /// Adds a leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut added = (1, hash(&[&[0], leaf]));
        while let Some((_, left)) = self.subtrees.pop_if(|(leaves, _)| *leaves == added.0) {
            added = (added.0 * 2, node(&left, &added.1));
        }
        self.subtrees.push(added);
    }

    /// How many leaves there are.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.subtrees.iter().map(|(leaves, _)| leaves).sum()
    }

    /// The hash of all of them.
    #[must_use]
    pub fn root(&self) -> Hash {
        let roots = self.subtrees.iter().rev().map(|(_, root)| *root);
        roots
            .reduce(|right, left| node(&left, &right))
            .unwrap_or_else(|| hash(&[]))
    }
}

fn node(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().unwrap_or_default()
}

/// The leaf of a journal: its position, and its content's hash as hexadecimal digits.
#[must_use]
pub fn leaf(position: i64, content_sha256: &str) -> String {
    format!("{position} {content_sha256}")
}

/// What a seal says of the journals that it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// From 1, without a gap.
    pub number: i64,
    /// The epoch of the store: one more after each restore. The first seal of an epoch goes on after the last one that
    /// was seen, with positions after those of the restored database.
    pub epoch: i64,
    /// The first position that it covers: the one after the last of the seal before.
    pub from: i64,
    /// The last position that it covers.
    pub to: i64,
    /// How many journals there are at these positions.
    pub journals: i64,
    /// The root of the tree of their leaves, in the order of their positions.
    pub root: Hash,
    /// The hash of the seal before; zeros for the first.
    pub previous: Hash,
    /// When it was made.
    pub at: UnixMillis,
}

/// A signed statement on the journals between two positions. As text it is one line: `payswitch seal 1`, then
/// number, from, to, journals, root, hash of the seal before, milliseconds since 1970, public key and signature,
/// parted by spaces; bytes are hexadecimal digits. In a later epoch than the first it begins with `payswitch seal 2`
/// and the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// What it says.
    pub sealed: Sealed,
    /// Whose signature it is: an Ed25519 public key.
    pub public_key: Hash,
    /// The signature of the text before it.
    pub signature: [u8; 64],
}

/// Before the epoch of a seal, and for the first epoch.
const HEAD: &str = "payswitch seal 2";
const FIRST_EPOCH: &str = "payswitch seal 1";

impl Seal {
    fn signed_text(sealed: &Sealed, public_key: &Hash) -> String {
        let Sealed {
            number,
            epoch,
            from,
            to,
            journals,
            root,
            previous,
            at,
        } = sealed;
        let [root, previous, key] =
            [root, previous, public_key].map(|hash| hex::encode_lower(hash));
        let at = at.as_i64();
        let head = match epoch {
            1 => FIRST_EPOCH.to_owned(),
            _ => format!("{HEAD} {epoch}"),
        };
        format!("{head} {number} {from} {to} {journals} {root} {previous} {at} {key}")
    }

    /// The hash by which the next seal names it: SHA-256 of its line.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let hash = digest(&SHA256, self.to_string().as_bytes());
        hash.as_ref().try_into().unwrap_or_default()
    }

    /// Whether the signature is that of its public key.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let text = Self::signed_text(&self.sealed, &self.public_key);
        UnparsedPublicKey::new(&ED25519, &self.public_key)
            .verify(text.as_bytes(), &self.signature)
            .is_ok()
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Self::signed_text(&self.sealed, &self.public_key);
        write!(f, "{text} {}", hex::encode_lower(&self.signature))
    }
}

/// A text that is no seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected \"payswitch seal 1\" and nine fields, or \"payswitch seal 2\" and ten, parted by spaces"
)]
pub struct InvalidSeal;

impl FromStr for Seal {
    type Err = InvalidSeal;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (epoch, rest) = match line.strip_prefix(FIRST_EPOCH) {
                Some(rest) => (1, rest.strip_prefix(' ')?),
                None => {
                    let rest = line.strip_prefix(HEAD)?.strip_prefix(' ')?;
                    let (epoch, rest) = rest.split_once(' ')?;
                    (epoch.parse().ok()?, rest)
                }
            };
            let fields: Vec<&str> = rest.split(' ').collect();
            let [
                number,
                from,
                to,
                journals,
                root,
                previous,
                at,
                public_key,
                signature,
            ] = fields.try_into().ok()?;
            Some(Self {
                sealed: Sealed {
                    number: number.parse().ok()?,
                    epoch,
                    from: from.parse().ok()?,
                    to: to.parse().ok()?,
                    journals: journals.parse().ok()?,
                    root: hex::decode_lower(root)?,
                    previous: hex::decode_lower(previous)?,
                    at: UnixMillis::new(at.parse().ok()?),
                },
                public_key: hex::decode_lower(public_key)?,
                signature: hex::decode_lower(signature)?,
            })
        };
        // Only the one text that `Display` writes is taken.
        read()
            .filter(|seal| seal.to_string() == line)
            .ok_or(InvalidSeal)
    }
}

/// The key that signs seals.
#[derive(Debug)]
pub struct SealKey(Ed25519KeyPair);

impl SealKey {
    /// The key of a seed of 32 secret bytes; none where the library refuses it.
    #[must_use]
    pub fn from_seed(seed: &Hash) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> Hash {
        let public_key = self.0.public_key().as_ref();
        public_key.try_into().unwrap_or_default()
    }

    /// Signs.
    #[must_use]
    pub fn seal(&self, sealed: Sealed) -> Seal {
        let public_key = self.public_key();
        let signature = self
            .0
            .sign(Seal::signed_text(&sealed, &public_key).as_bytes());
        Seal {
            signature: signature.as_ref().try_into().unwrap_or([0; 64]),
            sealed,
            public_key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves and roots that the implementations of RFC 6962 share as test vectors.
    #[test]
    fn a_tree_has_the_root_that_others_compute() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = MerkleTree::default();
        for (count, root) in roots.into_iter().enumerate() {
            assert_eq!(hex::encode_lower(&tree.root()), root, "{count} leaves");
            assert_eq!(tree.leaves(), u64::try_from(count).unwrap());
            if let Some(leaf) = leaves.get(count) {
                tree.push(leaf);
            }
        }
    }

    fn sealed() -> Sealed {
        Sealed {
            number: 2,
            epoch: 1,
            from: 11,
            to: 20,
            journals: 3,
            root: [1; 32],
            previous: [2; 32],
            at: UnixMillis::new(1_795_000_000_000),
        }
    }

    #[test]
    fn a_seal_reads_back_and_nothing_of_it_can_be_changed() {
        let key = SealKey::from_seed(&[7; 32]).unwrap();
        for epoch in [1, 2, 10] {
            let seal = key.seal(Sealed { epoch, ..sealed() });
            assert!(seal.is_signed());
            let line = seal.to_string();
            assert_eq!(line.parse(), Ok(seal));
            for (place, character) in line.char_indices().skip(HEAD.len() - 1) {
                let other = if character == '1' { "2" } else { "1" };
                let mut changed = line.clone();
                changed.replace_range(place..=place, other);
                let taken = changed.parse::<Seal>().is_ok_and(|seal| seal.is_signed());
                assert!(!taken, "{changed}");
            }
        }
        let seal = key.seal(sealed());
        let other = SealKey::from_seed(&[8; 32]).unwrap().seal(sealed());
        assert!(other.is_signed() && other.public_key != key.public_key());
        assert_ne!(other.hash(), seal.hash());
    }
}
