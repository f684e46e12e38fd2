//! The filters of lists: conditions joined by AND, as ListPaymentsRequest.filter describes them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::text::is_printable_ascii;
use crate::grpc::violations::{Findings, length_of};
use crate::payment::moment::UnixMillis;

/// The longest filter, in bytes.
const MAX_FILTER_LENGTH: usize = 500;

/// A longer piece of a filter is described by its length.
const MAX_SHOWN: usize = 24;
/// So is one with more digits: it may be a part of a card.
const MOST_DIGITS_SHOWN: usize = 12;

/// A filter that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidFilter {
    /// What was expected, and where: positions are counted in bytes, from 1.
    expected: String,
    /// What came instead.
    got: String,
}

const EXPECTED_OPERATOR: &str = "= (for create_time: >= or <)";

/// What is expected of a value that is one of a few names.
pub(super) struct OneOf<L>(pub(super) L);

impl<L: AsRef<[&'static str]>> fmt::Display for OneOf<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", self.0.as_ref().join(", "))
    }
}

/// What a list can be filtered by.
pub(crate) trait Conditions: Default {
    /// The fields, as errors name them: `one of …`.
    const EXPECTED_FIELD: &'static str;
    /// The field that the list is ordered by.
    const ORDERED_BY: &'static str = "create_time";

    /// Takes a condition whose value comes next, at position `at`. Whether it is the first of its kind; none where the
    /// field does not have this operator.
    fn take(
        &mut self,
        field: &str,
        operator: &str,
        value: &mut Cursor<'_>,
        at: usize,
    ) -> Result<Option<bool>, InvalidFilter>;
}

/// Reads the filter of a request.
pub(crate) fn read<F: Conditions>(findings: &mut Findings, text: &str) -> Option<F> {
    if !findings.no_clear_card("filter", text) {
        return None;
    }
    let read = parse(text);
    read.map_err(|invalid| findings.add("filter", &invalid.expected, invalid.got))
        .ok()
}

/// Reads a filter; an empty one lists all.
fn parse<F: Conditions>(text: &str) -> Result<F, InvalidFilter> {
    let mut filter = F::default();
    let mut rest = Cursor::new(text)?;
    rest.skip_spaces();
    if rest.is_at_end() {
        return Ok(filter);
    }
    loop {
        read_condition(&mut rest, &mut filter)?;
        rest.skip_spaces();
        if rest.is_at_end() {
            return Ok(filter);
        }
        let at = rest.position;
        if rest.take_word() != "AND" {
            return Err(rest.fault_at(at, "AND or the end"));
        }
        rest.skip_spaces();
    }
}

fn read_condition<F: Conditions>(
    rest: &mut Cursor<'_>,
    filter: &mut F,
) -> Result<(), InvalidFilter> {
    let field_at = rest.position;
    let field = rest.take_word();
    rest.skip_spaces();
    let operator_at = rest.position;
    let operator = rest.take_operator();
    rest.skip_spaces();
    let value_at = rest.position;
    let mut fields = F::EXPECTED_FIELD.trim_start_matches("one of ").split(", ");
    if !fields.any(|name| name == field) {
        return Err(rest.fault_at(field_at, F::EXPECTED_FIELD));
    }
    match filter.take(field, operator, rest, value_at)? {
        Some(true) => Ok(()),
        Some(false) => {
            let got = format!("another condition {field}{operator}");
            Err(fault(field_at, "each condition once", got))
        }
        None => Err(rest.fault_at(operator_at, EXPECTED_OPERATOR)),
    }
}

/// What is left of a filter.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Result<Self, InvalidFilter> {
        let cursor = Self { text, position: 0 };
        if text.len() > MAX_FILTER_LENGTH {
            return Err(InvalidFilter {
                expected: format!("{MAX_FILTER_LENGTH} bytes at most"),
                got: format!("{} bytes", text.len()),
            });
        }
        Ok(cursor)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.position += end;
        rest.get(..end).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        self.take_while(|c| c == ' ');
    }

    fn take_word(&mut self) -> &'a str {
        self.take_while(is_of_word)
    }

    fn take_operator(&mut self) -> &'a str {
        self.take_while(is_of_operator)
    }

    /// A word, or a text in double quotes, in which `\"` is a double quote and `\\` a backslash.
    pub(super) fn take_value(&mut self) -> Result<Cow<'a, str>, InvalidFilter> {
        let at = self.position;
        if !self.rest().starts_with('"') {
            return match self.take_word() {
                "" => Err(self.fault_at(at, "a word, or a text in double quotes")),
                word => Ok(word.into()),
            };
        }
        self.position += 1;
        let mut value = Cow::from(self.take_text());
        loop {
            match self.rest().as_bytes() {
                [b'"', ..] => {
                    self.position += 1;
                    return Ok(value);
                }
                [b'\\', escaped @ (b'"' | b'\\'), ..] => {
                    let value = value.to_mut();
                    value.push(char::from(*escaped));
                    self.position += 2;
                    value.push_str(self.take_text());
                }
                [b'\\', ..] => {
                    return Err(self.fault_at(self.position + 1, "a double quote or a backslash"));
                }
                _ => return Err(self.fault_at(self.position, "a closing double quote")),
            }
        }
    }

    /// Takes a value into its place. Whether it is the first one there.
    pub(super) fn set<T: FromStr>(
        &mut self,
        place: &mut Option<T>,
        at: usize,
        expected: impl fmt::Display,
    ) -> Result<bool, InvalidFilter> {
        self.set_known(place, at, expected, |value| value.parse().ok())
    }

    /// The same with a value that `known` knows.
    pub(super) fn set_known<T>(
        &mut self,
        place: &mut Option<T>,
        at: usize,
        expected: impl fmt::Display,
        known: impl FnOnce(&str) -> Option<T>,
    ) -> Result<bool, InvalidFilter> {
        let value = known(&self.take_value()?);
        let value = value.ok_or_else(|| self.fault_at(at, expected))?;
        Ok(place.replace(value).is_none())
    }

    /// The same with any text.
    pub(super) fn set_text(&mut self, place: &mut Option<String>) -> Result<bool, InvalidFilter> {
        Ok(place.replace(self.take_value()?.into()).is_none())
    }

    /// The same with a time.
    pub(super) fn set_time(
        &mut self,
        place: &mut Option<UnixMillis>,
        at: usize,
    ) -> Result<bool, InvalidFilter> {
        Ok(place.replace(self.take_time(at)?).is_none())
    }

    fn take_time(&mut self, at: usize) -> Result<UnixMillis, InvalidFilter> {
        let value = self.take_value()?;
        let time = OffsetDateTime::parse(&value, &Rfc3339).map_err(|_| {
            self.fault_at(at, "a time in RFC 3339 such as \"2026-01-01T00:00:00Z\"")
        })?;
        // Within the years of RFC 3339 the milliseconds fit easily.
        let millis = i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
        Ok(UnixMillis::new(millis))
    }

    /// What comes before the next double quote or backslash.
    fn take_text(&mut self) -> &'a str {
        self.take_while(|c| !matches!(c, '"' | '\\'))
    }

    /// What was expected at a position, and what is there.
    pub(super) fn fault_at(&self, position: usize, expected: impl fmt::Display) -> InvalidFilter {
        let rest = self.text.get(position..).unwrap_or_default();
        fault(position, expected, described(rest))
    }
}

fn fault(position: usize, expected: impl fmt::Display, got: String) -> InvalidFilter {
    let position = position + 1;
    InvalidFilter {
        expected: format!("{expected} at position {position}"),
        got,
    }
}

/// What a text begins with: a word, an operator, what is between double quotes, or a character.
fn described(text: &str) -> String {
    let mut rest = Cursor { text, position: 0 };
    let piece = match text.chars().next() {
        None => return "the end".to_owned(),
        Some('"') => {
            rest.position = 1;
            rest.take_while(|c| c != '"')
        }
        Some(c) if is_of_word(c) => rest.take_word(),
        Some(c) if is_of_operator(c) => rest.take_operator(),
        Some(c) => text.get(..c.len_utf8()).unwrap_or_default(),
    };
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    let is_shown = (1..=MAX_SHOWN).contains(&piece.len())
        && digits <= MOST_DIGITS_SHOWN
        && piece.chars().all(is_printable_ascii);
    if is_shown {
        format!("{piece:?}")
    } else {
        length_of(piece)
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_of_operator(c: char) -> bool {
    matches!(c, '=' | '<' | '>' | '!' | ':')
}

#[cfg(test)]
mod tests;
