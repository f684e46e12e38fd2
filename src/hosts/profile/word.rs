//! Values that are one of a few words: an error lists them, whatever stands there instead.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StrDeserializer;
use serde::de::{Error, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer};

/// The words that `T` can be, as the error about an unknown one lists them, in backquotes.
pub(super) fn words_of<T: for<'de> Deserialize<'de>>() -> Vec<String> {
    let none: StrDeserializer<'_, serde::de::value::Error> = "".into_deserializer();
    let Err(error) = T::deserialize(none) else {
        return Vec::new();
    };
    let error = error.to_string();
    let words = error.split('`').skip(1).step_by(2);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads a word. (Left to itself, TOML says of a number that it wanted a string or a table.)
pub(super) fn word<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: for<'any> Deserialize<'any>,
{
    deserializer.deserialize_str(Word(PhantomData))
}

/// Reads a word that may be left out; the key has a default then.
pub(super) fn optional_word<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'any> Deserialize<'any>,
{
    word(deserializer).map(Some)
}

struct Word<T>(PhantomData<T>);

impl<T: for<'any> Deserialize<'any>> Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of \"{}\"", words_of::<T>().join("\", \""))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::deserialize(text.into_deserializer())
    }
}
