//! The values that statements bind.

use std::sync::Arc;

/// A value to bind. Texts are shared, so that the writer, which everybody waits for and which may
/// have to write twice, copies none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) enum Value {
    Text(Arc<str>),
    /// A name that the program knows.
    Static(&'static str),
    OptionalText(Option<Arc<str>>),
    Integer(i64),
    OptionalInteger(Option<i64>),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(Arc::clone(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::OptionalText(text.map(Arc::from))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::OptionalInteger(number)
    }
}
