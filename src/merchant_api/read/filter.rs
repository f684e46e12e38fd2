//! The filters of lists: conditions joined by AND, as ListPaymentsRequest.filter describes them.

use std::borrow::Cow;
use std::str::FromStr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::grpc::violations::Findings;
use crate::payment::moment::UnixMillis;

/// The longest filter, in bytes.
const MAX_FILTER_LENGTH: usize = 500;

/// A filter that can't be read. It says where, and does not repeat what it found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{got} at position {position}; there, {expected} was expected")]
pub(crate) struct InvalidFilter {
    expected: &'static str,
    got: &'static str,
    /// Counted in bytes, from 1.
    position: usize,
}

const EXPECTED_OPERATOR: &str = "= (for create_time: >= or <)";

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
    findings.keep("filter", "conditions joined by AND", parse(text))
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
        Some(false) => Err(rest.fault_at(field_at, "each condition once")),
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
            return Err(cursor.fault_at(MAX_FILTER_LENGTH, "the end: 500 bytes at most"));
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
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    }

    fn take_operator(&mut self) -> &'a str {
        self.take_while(|c| matches!(c, '=' | '<' | '>' | '!' | ':'))
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
        expected: &'static str,
    ) -> Result<bool, InvalidFilter> {
        self.set_known(place, at, expected, |value| value.parse().ok())
    }

    /// The same with a value that `known` knows.
    pub(super) fn set_known<T>(
        &mut self,
        place: &mut Option<T>,
        at: usize,
        expected: &'static str,
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

    pub(super) fn fault_at(&self, position: usize, expected: &'static str) -> InvalidFilter {
        let at_end = self.text.len() <= position;
        InvalidFilter {
            expected,
            got: if at_end { "the end" } else { "something else" },
            position: position + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::reads::balances::EntryFilter;
    use crate::store::records::lists::PaymentFilter;

    #[test]
    fn filters_are_read() {
        let all = PaymentFilter::default;
        for (text, expected) in [
            ("", all()),
            ("   ", all()),
            (
                "state=AUTHORIZED",
                PaymentFilter {
                    states: vec!["AUTHORIZED"],
                    ..all()
                },
            ),
            (
                r#"state = DECLINED AND create_time>="2026-01-01T00:00:00Z" AND create_time < "2026-01-02T00:00:00.5+01:00""#,
                PaymentFilter {
                    states: vec!["DECLINED"],
                    created_from: Some(UnixMillis::new(1_767_225_600_000)),
                    created_before: Some(UnixMillis::new(1_767_308_400_500)),
                    ..all()
                },
            ),
            (
                r#"merchant_reference="order 10/42" AND customer_reference=crm-77 AND currency=KWD"#,
                PaymentFilter {
                    merchant_reference: Some("order 10/42".into()),
                    customer_reference: Some("crm-77".into()),
                    currency: Some("KWD".parse().unwrap()),
                    ..all()
                },
            ),
            (
                r#"merchant_reference="12\" vinyl \\ \"blue\"" AND customer_reference="""#,
                PaymentFilter {
                    merchant_reference: Some(r#"12" vinyl \ "blue""#.into()),
                    customer_reference: Some(String::new()),
                    ..all()
                },
            ),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn filters_of_entries_are_read() {
        let text = r#"kind=REFUND AND currency=EUR AND business_date="2026-11-18" AND subject_id=pay_06e9x3w8k1z7h4n2m5q0r8t6va"#;
        let expected = EntryFilter {
            currency: Some("EUR".parse().unwrap()),
            payment_id: Some("pay_06e9x3w8k1z7h4n2m5q0r8t6va".parse().unwrap()),
            templates: vec!["refund", "refund_refused"],
            business_date: Some("2026-11-18".parse().unwrap()),
            created_from: None,
            created_before: None,
        };
        assert_eq!(parse(text), Ok(expected));
        for (text, position, expected) in [
            ("state=AUTHORIZED", 1, EntryFilter::EXPECTED_FIELD),
            ("kind=refund", 6, "the name of a kind of entry"),
            ("subject_id=order-1", 12, "the id of a payment"),
            ("business_date=2026-13-01", 15, "a date as YYYY-MM-DD"),
            ("kind<REFUND", 5, EXPECTED_OPERATOR),
        ] {
            let fault = parse::<EntryFilter>(text).unwrap_err();
            let got = (fault.position, fault.expected);
            assert_eq!(got, (position, expected), "{text}");
        }
    }

    #[test]
    fn a_fault_names_its_place() {
        let long = format!("merchant_reference=\"{}\"", "x".repeat(500));
        for (text, position, expected) in [
            ("amount=5", 1, PaymentFilter::EXPECTED_FIELD),
            ("state", 6, EXPECTED_OPERATOR),
            ("state!=AUTHORIZED", 6, EXPECTED_OPERATOR),
            ("state==AUTHORIZED", 6, EXPECTED_OPERATOR),
            (
                "create_time=\"2026-01-01T00:00:00Z\"",
                12,
                EXPECTED_OPERATOR,
            ),
            ("state=", 7, "a word, or a text in double quotes"),
            ("state=authorized", 7, "the name of a payment state"),
            ("currency=eur", 10, "an ISO 4217 code"),
            ("state=AUTHORIZED OR state=DECLINED", 18, "AND or the end"),
            ("state=AUTHORIZED AND", 21, PaymentFilter::EXPECTED_FIELD),
            (
                "state=AUTHORIZED AND state=DECLINED",
                22,
                "each condition once",
            ),
            ("merchant_reference=\"a", 22, "a closing double quote"),
            (r#"merchant_reference="a\"b"#, 25, "a closing double quote"),
            (
                r#"merchant_reference="a\nb""#,
                23,
                "a double quote or a backslash",
            ),
            ("state=AUTHORIZED\u{e4}", 17, "AND or the end"),
            (&*long, 501, "the end: 500 bytes at most"),
        ] {
            let fault = parse::<PaymentFilter>(text).unwrap_err();
            assert_eq!(
                (fault.position, fault.expected),
                (position, expected),
                "{text}"
            );
        }
    }
}
