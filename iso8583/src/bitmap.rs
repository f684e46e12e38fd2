//! The set of data elements a message holds, as its bitmaps spell it.

/// The highest data element number there is: the last bit of a tertiary bitmap.
pub const MAX_DE: u8 = 192;

/// How many 64-bit bitmaps a message can hold: primary, secondary, tertiary.
pub(crate) const MAX_BITMAPS: usize = 3;

/// A set of DE numbers, 1 to [`MAX_DE`], laid out as the bitmaps are on the wire:
/// DE 1 is the most significant bit of the first word.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DeSet([u64; MAX_BITMAPS]);

/// The word and the bit in it that stand for a DE; `None` for 0 and for numbers above [`MAX_DE`].
fn position(de: u8) -> Option<(usize, u64)> {
    let index = de.checked_sub(1)?;
    (de <= MAX_DE).then(|| (usize::from(index / 64), 1 << (63 - index % 64)))
}

/// Whether the DE is a bitmap rather than a field.
pub(crate) fn is_bitmap(de: u8) -> bool {
    de == 1 || de == 65
}

impl DeSet {
    pub(crate) fn from_words(words: [u64; MAX_BITMAPS]) -> Self {
        Self(words)
    }

    pub(crate) fn words(&self) -> &[u64; MAX_BITMAPS] {
        &self.0
    }

    pub(crate) fn contains(&self, de: u8) -> bool {
        position(de).is_some_and(|(word, bit)| self.0.get(word).is_some_and(|w| w & bit != 0))
    }

    pub(crate) fn insert(&mut self, de: u8) {
        if let Some((word, bit)) = position(de)
            && let Some(word) = self.0.get_mut(word)
        {
            *word |= bit;
        }
    }

    pub(crate) fn remove(&mut self, de: u8) {
        if let Some((word, bit)) = position(de)
            && let Some(word) = self.0.get_mut(word)
        {
            *word &= !bit;
        }
    }

    /// Drops `first` and every higher DE.
    pub(crate) fn remove_from(&mut self, first: u8) {
        for de in first..=MAX_DE {
            self.remove(de);
        }
    }

    /// How many members are lower than `de`: the index of `de` in a list sorted by DE.
    pub(crate) fn rank(&self, de: u8) -> usize {
        let Some((at, bit)) = position(de) else {
            return 0;
        };
        // The bits above `bit` in its own word are the lower DEs.
        let above = !(bit | (bit - 1));
        self.0
            .iter()
            .enumerate()
            .map(|(i, word)| match i.cmp(&at) {
                std::cmp::Ordering::Less => word.count_ones() as usize,
                std::cmp::Ordering::Equal => (word & above).count_ones() as usize,
                std::cmp::Ordering::Greater => 0,
            })
            .sum()
    }

    /// The data elements, in ascending order. DE 1 and DE 65 announce further bitmaps; they are
    /// members only while a caller has put them there, and are yielded then.
    pub(crate) fn iter(self) -> impl Iterator<Item = u8> + Clone {
        DeIter {
            words: self.0,
            at: 0,
        }
    }
}

/// Yields the members of a [`DeSet`] by clearing the topmost bit of a copy.
#[derive(Clone)]
struct DeIter {
    words: [u64; MAX_BITMAPS],
    at: u8,
}

impl Iterator for DeIter {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            let word = self.words.get_mut(usize::from(self.at))?;
            if *word == 0 {
                self.at += 1;
                continue;
            }
            let zeros = word.leading_zeros();
            *word &= !(1 << (63 - zeros));
            // At most 63 leading zeros remain in a word that is not zero.
            return u8::try_from(zeros)
                .ok()
                .map(|zeros| self.at * 64 + zeros + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_back_in_order_and_rank_counts_the_lower_ones() {
        let mut set = DeSet::default();
        let des = [192, 2, 64, 65, 128, 129, 3];
        for de in des {
            set.insert(de);
        }
        set.insert(0);
        set.insert(193);
        let listed: Vec<u8> = set.iter().collect();
        assert_eq!(listed, [2, 3, 64, 65, 128, 129, 192]);
        for (rank, de) in listed.iter().enumerate() {
            assert_eq!(set.rank(*de), rank, "rank of DE {de}");
            assert!(set.contains(*de));
        }
        set.remove_from(65);
        assert_eq!(set.iter().collect::<Vec<_>>(), [2, 3, 64]);
        assert!(!set.contains(0) && !set.contains(255));
    }
}
