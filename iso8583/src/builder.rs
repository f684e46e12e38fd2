//! A message to be written: fields by number, in one piece of memory that is used again and again.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::bitmap::{DeSet, MAX_DE, is_bitmap};
use crate::dialect::MAX_HEADER_BYTES;
use crate::field::Format;
use crate::message::{MAX_MESSAGE_BYTES, Message};
use crate::mti::Mti;

/// Room for the content of a usual message, so that secrets are not left behind in memory that a
/// growing builder gave back.
const INITIAL_ARENA_BYTES: usize = 1_024;
const INITIAL_FIELDS: usize = 64;

/// How a value was given, and so how it is to be checked and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Text,
    Bytes,
    /// Decimal digits without leading zeros, to be filled up to a fixed length.
    Number,
}

#[derive(Debug, Clone)]
struct Slot {
    de: u8,
    kind: ValueKind,
    range: Range<usize>,
}

/// A value that no dialect could write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// There is no such data element.
    NoSuchDe,
    /// Bitmaps are made by the encoder.
    Bitmap,
    /// The value, or all of them together, are longer than any message.
    TooLong(usize),
}

/// A value, as it was given.
pub(crate) struct Value<'a> {
    pub(crate) kind: ValueKind,
    pub(crate) bytes: &'a [u8],
}

/// Collects the fields of a message in any order; [`Dialect::encode`](crate::Dialect::encode)
/// checks and writes them. Nothing here fails or panics: `encode` reports the first value that no
/// dialect could write.
///
/// Reused through [`clear`](Self::clear), it stops allocating once it has held the largest message.
/// `clear` and dropping overwrite the values with zeros; `Debug` names the fields only.
#[derive(Clone)]
pub struct MessageBuilder {
    mti: Mti,
    header: Vec<u8>,
    fields: DeSet,
    /// The bitmaps, DE 1 and DE 65, that are written even when empty.
    announced: DeSet,
    /// One for each field, sorted by DE.
    slots: Vec<Slot>,
    arena: Vec<u8>,
    misuse: Option<(u8, Misuse)>,
}

impl MessageBuilder {
    /// An empty message.
    #[must_use]
    pub fn new(mti: Mti) -> MessageBuilder {
        MessageBuilder {
            mti,
            header: Vec::new(),
            fields: DeSet::default(),
            announced: DeSet::default(),
            slots: Vec::with_capacity(INITIAL_FIELDS),
            arena: Vec::with_capacity(INITIAL_ARENA_BYTES),
            misuse: None,
        }
    }

    /// Makes the message empty again, without giving back memory.
    pub fn clear(&mut self, mti: Mti) {
        self.wipe();
        self.mti = mti;
        self.header.clear();
        self.fields = DeSet::default();
        self.announced = DeSet::default();
        self.slots.clear();
        self.arena.clear();
        self.misuse = None;
    }

    /// The message type indicator.
    #[must_use]
    pub fn mti(&self) -> Mti {
        self.mti
    }

    /// Changes the message type indicator.
    pub fn set_mti(&mut self, mti: Mti) -> &mut Self {
        self.mti = mti;
        self
    }

    /// Sets what precedes the MTI. Without it, or when it is empty, the dialect's own is written.
    pub fn header(&mut self, header: &[u8]) -> &mut Self {
        self.header.clear();
        // Longer ones than any dialect has are cut; encode then finds the length wrong.
        let kept = header.len().min(MAX_HEADER_BYTES + 1);
        self.header.extend(header.iter().take(kept));
        self
    }

    /// Sets a field of any format but b. For a fixed length, digits must be exactly as many as the
    /// field has; letters may be fewer, where the dialect fills up with spaces.
    pub fn text(&mut self, de: u8, value: &str) -> &mut Self {
        self.set(de, ValueKind::Text, value.as_bytes())
    }

    /// Sets a field of format b; or one of another format, as ASCII text.
    pub fn bytes(&mut self, de: u8, value: &[u8]) -> &mut Self {
        self.set(de, ValueKind::Bytes, value)
    }

    /// Sets a numeric field. Fixed fields are filled with zeros on the left.
    pub fn number(&mut self, de: u8, value: u64) -> &mut Self {
        /// As many digits as the greatest `u64` has.
        const MAX_DIGITS: usize = 20;
        let mut digits = [b'0'; MAX_DIGITS];
        let mut rest = value;
        let mut count = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            count += 1;
            if rest == 0 {
                break;
            }
        }
        let digits = digits.get(MAX_DIGITS - count..).unwrap_or_default();
        self.set(de, ValueKind::Number, digits)
    }

    /// Takes a field out. An unusable value that was given for it is forgotten.
    pub fn remove(&mut self, de: u8) -> &mut Self {
        if self.misuse.is_some_and(|(wrong, _)| wrong == de) {
            self.misuse = None;
        }
        if self.fields.contains(de) {
            let at = self.fields.rank(de);
            self.fields.remove(de);
            if at < self.slots.len() {
                let slot = self.slots.remove(at);
                self.replace(de, slot.range, &[]);
            }
        }
        self
    }

    /// Whether the field is set.
    #[must_use]
    pub fn has(&self, de: u8) -> bool {
        self.fields.contains(de)
    }

    /// The fields that are set, in ascending order.
    pub fn iter_des(&self) -> impl Iterator<Item = u8> + Clone + use<> {
        self.fields.iter()
    }

    /// The value of a field as it was given, a number without the zeros that will fill it up.
    /// `None` when it is not set, or set to bytes that are no UTF-8.
    #[must_use]
    pub fn text_of(&self, de: u8) -> Option<Cow<'_, str>> {
        std::str::from_utf8(self.value(de)?.bytes)
            .ok()
            .map(Cow::Borrowed)
    }

    /// The value of a field as it was given, as bytes.
    #[must_use]
    pub fn bytes_of(&self, de: u8) -> Option<&[u8]> {
        self.value(de).map(|value| value.bytes)
    }

    pub(crate) fn header_bytes(&self) -> &[u8] {
        &self.header
    }

    pub(crate) fn fields(&self) -> DeSet {
        self.fields
    }

    pub(crate) fn announced(&self) -> DeSet {
        self.announced
    }

    pub(crate) fn misuse(&self) -> Option<(u8, Misuse)> {
        self.misuse
    }

    /// The fields and their values, in ascending order.
    pub(crate) fn values(&self) -> impl Iterator<Item = (u8, Value<'_>)> {
        self.slots.iter().map(|slot| (slot.de, self.value_in(slot)))
    }

    fn value(&self, de: u8) -> Option<Value<'_>> {
        if !self.fields.contains(de) {
            return None;
        }
        self.slots
            .get(self.fields.rank(de))
            .map(|slot| self.value_in(slot))
    }

    fn value_in(&self, slot: &Slot) -> Value<'_> {
        let bytes = self.arena.get(slot.range.clone()).unwrap_or_default();
        Value {
            kind: slot.kind,
            bytes,
        }
    }

    fn set(&mut self, de: u8, kind: ValueKind, value: &[u8]) -> &mut Self {
        if let Err(misuse) = self.check(de, value) {
            self.misuse.get_or_insert((de, misuse));
            return self;
        }
        let at = self.fields.rank(de);
        if !self.fields.contains(de) {
            let start = self.arena.len();
            self.arena.extend_from_slice(value);
            self.fields.insert(de);
            self.slots.insert(
                at.min(self.slots.len()),
                Slot {
                    de,
                    kind,
                    range: start..start + value.len(),
                },
            );
        } else if let Some(slot) = self.slots.get_mut(at) {
            slot.kind = kind;
            let old = slot.range.clone();
            slot.range.end = old.start + value.len();
            self.replace(de, old, value);
        }
        self
    }

    fn check(&self, de: u8, value: &[u8]) -> Result<(), Misuse> {
        if is_bitmap(de) {
            return Err(Misuse::Bitmap);
        }
        if de == 0 || de > MAX_DE {
            return Err(Misuse::NoSuchDe);
        }
        let held = self.arena.len().saturating_add(value.len());
        if held > MAX_MESSAGE_BYTES {
            return Err(Misuse::TooLong(held));
        }
        Ok(())
    }

    /// Replaces the bytes `old` by the value of field `de`, and moves the ones behind them.
    fn replace(&mut self, de: u8, old: Range<usize>, value: &[u8]) {
        let end = old.end;
        let grown = value.len().saturating_sub(old.len());
        let shrunk = old.len().saturating_sub(value.len());
        if end <= self.arena.len() {
            self.arena.splice(old, value.iter().copied());
        }
        for slot in self
            .slots
            .iter_mut()
            .filter(|slot| slot.de != de && slot.range.start >= end)
        {
            slot.range = slot.range.start + grown - shrunk..slot.range.end + grown - shrunk;
        }
    }

    fn wipe(&mut self) {
        self.arena.fill(0);
        // Without this the compiler may leave the zeros out, because nothing reads them.
        std::hint::black_box(&mut self.arena);
    }
}

impl Message<'_> {
    /// A builder with the same header, MTI and fields, from which the same bytes can be made.
    #[must_use]
    pub fn to_builder(&self) -> MessageBuilder {
        let mut builder = MessageBuilder::new(self.mti());
        builder.header(self.header());
        for content in self
            .iter_des()
            .filter_map(|de| Some((de, self.content(de)?)))
        {
            match content {
                (de, content) if content.spec.format == Format::B => {
                    builder.bytes(de, &content.bytes().unwrap_or_default());
                }
                (de, content) => {
                    builder.text(de, &content.text().unwrap_or_default());
                }
            }
        }
        // An empty secondary bitmap is legal, and is written again where there was one.
        for bitmap in [1, 65].into_iter().filter(|de| self.has(*de)) {
            builder.announced.insert(bitmap);
        }
        builder
    }
}

impl Drop for MessageBuilder {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for MessageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageBuilder")
            .field("mti", &self.mti)
            .field("des", &self.iter_des().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
