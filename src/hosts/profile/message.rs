//! Checks one message of a profile: how its operation travels, and what it holds.

use std::time::Duration;

use iso8583::mti::{Class, Function, Version};
use iso8583::{Dialect, Mti};

use crate::hosts::message::definition::{
    Mapping, MessageProfile, OriginalNumbers, PartialAmount, Repeats, Style, UnknownRule,
};
use crate::hosts::message::element::ElementName;
use crate::hosts::message::match_key::{KeyField, MatchRule};
use crate::hosts::message::response_codes::ResponseCodes;
use crate::hosts::message::source::{NamedSource, Source};
use crate::hosts::message::subelements::SubelementWidths;
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;

use super::answers::{match_rule, response_codes};
use super::file::{MessageFile, RepeatsFile};
use super::reading::{LONGEST_WAIT, ProfileError, Reading};
use super::sources::{element, fields, is_secret};
use super::toml_text::shown;

/// The most messages of one kind to a host in a second, and of one operation in its life.
const MOST_REPEATS: usize = 100_000;
/// The most advices that wait for a host's answer at once.
const MOST_WINDOW: usize = 1000;
/// The most that a wait grows from one repeat to the next.
const MOST_FACTOR: usize = 10;

/// What messages have where they say nothing else.
pub(super) struct Defaults<'a> {
    pub(super) match_rule: MatchRule,
    pub(super) response_codes: ResponseCodes,
    pub(super) subelements: SubelementWidths,
    pub(super) dialect: &'a Dialect,
}

/// One message that is being checked.
pub(super) struct Check<'a> {
    pub(super) reading: &'a Reading<'a>,
    pub(super) table: String,
    pub(super) kind: OperationKind,
    pub(super) file: &'a MessageFile,
    pub(super) defaults: &'a Defaults<'a>,
}

impl Check<'_> {
    fn fault(&self, key: &str, expected: impl Into<String>, got: impl ToString) -> ProfileError {
        self.reading
            .fault(format!("{}{key}", self.table), expected, got)
    }

    /// Whether its operations complete or undo no other.
    fn is_first(&self) -> bool {
        matches!(
            self.kind,
            OperationKind::Authorization | OperationKind::Verification
        )
    }

    /// The message.
    ///
    /// # Errors
    /// When a key of it is wrong.
    pub(super) fn message(&self) -> Result<MessageProfile, ProfileError> {
        let style = self.file.style;
        let is_asked = self.is_first() || self.kind == OperationKind::Increment;
        if is_asked && style != Style::Request {
            let expected = "\"request\": the bank answers before the merchant is answered";
            return Err(self.fault("style", expected, format!("{style:?}").to_lowercase()));
        }
        if self.kind == OperationKind::Release && style == Style::Request {
            let expected =
                "\"advice\", \"file\" or \"none\": nobody waits for the answer to a release";
            return Err(self.fault("style", expected, "request"));
        }
        let mapping = match style {
            Style::Request | Style::Advice => Some(self.mapping()?),
            Style::File | Style::None => {
                self.no_message()?;
                None
            }
        };
        let unknown = self.unknown()?;
        let codes = &self.defaults.response_codes;
        let codes = if style == Style::Advice || unknown == UnknownRule::Repeat {
            codes.in_answers_to_advice()
        } else {
            codes.clone()
        };
        let rule = match_rule(
            self.reading,
            &self.table,
            self.file.match_key.as_deref(),
            self.file.match_where_echoed.as_deref(),
            self.defaults.match_rule,
        )?;
        if let Some(mapping) = &mapping {
            self.key_is_sent(rule, mapping)?;
        }
        let mut keep = self.keep()?;
        let mut result = |key, value: &Option<toml::Value>| {
            let name = value.as_ref().map(|value| self.kept(key, value));
            let name = name.transpose()?;
            keep.extend(name.clone());
            Ok(name)
        };
        let cvv_result = result("cvv_result", &self.file.cvv_result)?;
        let avs_result = result("avs_result", &self.file.avs_result)?;
        let mti = mapping
            .as_ref()
            .map_or(Mti::AUTHORIZATION_REQUEST, |mapping| mapping.mti);
        Ok(MessageProfile {
            kind: self.kind,
            style,
            unknown,
            repeats: self.repeats(mti)?,
            match_rule: rule,
            response_codes: response_codes(
                self.reading,
                &self.table,
                &self.file.response_codes,
                &codes,
            )?,
            error_element: self.error_element()?,
            partial_amount: self.partial_amount()?,
            sales: self.sales()?,
            keep,
            cvv_result,
            avs_result,
            sent: Vec::new(),
            numbers: mapping
                .as_ref()
                .map(|mapping| original_numbers(&mapping.fields))
                .unwrap_or_default(),
            mapping,
        })
    }

    /// An operation that does not travel as a message has nothing that only messages have.
    fn no_message(&self) -> Result<(), ProfileError> {
        let file = self.file;
        let there = [
            ("mti", file.mti.is_some()),
            ("fields", !file.fields.is_empty()),
            ("reasons", !file.reasons.is_empty()),
            ("repeats", file.repeats.is_some()),
            ("keep", !file.keep.is_empty()),
            ("response_codes", !file.response_codes.is_empty()),
        ];
        match there.iter().find(|(_, there)| *there) {
            None => Ok(()),
            Some((key, _)) => {
                let expected = "nothing, since operations of this style are no messages";
                Err(self.fault(key, expected, "a value"))
            }
        }
    }

    fn mapping(&self) -> Result<Mapping, ProfileError> {
        let mti = self.mti()?;
        let response_mti = match &self.file.response_mti {
            None => mti.response(),
            Some(text) => text.parse().ok().filter(|mti: &Mti| mti.is_response()),
        };
        let response_mti = response_mti.ok_or_else(|| {
            let got = self.file.response_mti.as_deref().unwrap_or("none");
            self.fault("response_mti", "the message type of an answer", got)
        })?;
        let fields = fields(
            self.reading,
            &self.table,
            &self.file.fields,
            self.defaults.subelements,
        )?;
        let is_there = |de: u8| fields.iter().any(|(there, _)| *there == de);
        // Without its currency an amount means another one.
        for de in [4, 11, 49] {
            if !is_there(de) {
                return Err(self.fault("fields", format!("a source for DE {de}"), "none"));
            }
        }
        let recorded_mti = mti.to_string().parse();
        let mapping = Mapping {
            mti,
            recorded_mti: recorded_mti.map_err(|_| self.fault("mti", "four digits", mti))?,
            response_mti,
            fields,
            reasons: self
                .file
                .reasons
                .iter()
                .map(|(reason, code)| (*reason, code.clone()))
                .collect(),
        };
        self.reasons_are_named(&mapping)?;
        self.original_is_named(&mapping)?;
        Ok(mapping)
    }

    fn mti(&self) -> Result<Mti, ProfileError> {
        let Some(text) = &self.file.mti else {
            return Err(self.fault("mti", "a message type", "none"));
        };
        let mti: Mti = text
            .parse()
            .map_err(|_| self.fault("mti", "a message type of four digits", format!("{text:?}")))?;
        let version = self.defaults.dialect.version();
        if mti.version() != version {
            let digit = if version == Version::Iso1993 { 1 } else { 0 };
            let expected = format!("{digit}xxx, since the dialect is of that edition");
            return Err(self.fault("mti", expected, text));
        }
        let function = match self.file.style {
            Style::Request => (Function::Request, "a request, such as 0100 or 0200"),
            _ => (Function::Advice, "an advice, such as 0220 or 0420"),
        };
        if mti.function() != function.0 || mti.is_repeat() {
            return Err(self.fault("mti", function.1, text));
        }
        let (fits, expected) = match self.kind {
            // A financial request debits at once.
            OperationKind::Authorization
            | OperationKind::Verification
            | OperationKind::Increment => (
                mti.class() == Class::Authorization,
                "the class of authorizations, x1xx",
            ),
            OperationKind::Reversal => (
                mti.class() == Class::Reversal,
                "the class of reversals, x4xx",
            ),
            _ => (
                matches!(
                    mti.class(),
                    Class::Authorization | Class::Financial | Class::Reversal
                ),
                "an authorization, financial or reversal message: x1xx, x2xx or x4xx",
            ),
        };
        if !fits {
            return Err(self.fault("mti", expected, text));
        }
        Ok(mti)
    }

    /// A source `reason` and the codes of reasons belong together.
    fn reasons_are_named(&self, mapping: &Mapping) -> Result<(), ProfileError> {
        let is_reason = |source: &Source| *source == Source::Named(NamedSource::Reason);
        let named = mapping
            .fields
            .iter()
            .any(|(_, source)| source.contains(is_reason));
        let needed: &[Reason] = match self.kind {
            OperationKind::Reversal => {
                &[Reason::TimeOut, Reason::LateApproval, Reason::UnclearAnswer]
            }
            OperationKind::Void => &[Reason::Void],
            OperationKind::Release => &[Reason::Release],
            _ => &[],
        };
        if !named && !mapping.reasons.is_empty() {
            let expected = "a data element with the source \"reason\", since there are reasons";
            return Err(self.fault("fields", expected, "none"));
        }
        if named && mapping.reasons.is_empty() {
            let expected = format!(
                "a code for each of {}",
                Reason::ALL.map(Reason::name).join(", ")
            );
            return Err(self.fault("reasons", expected, "none"));
        }
        let has = |reason: &Reason| mapping.reasons.iter().any(|(there, _)| there == reason);
        match needed.iter().find(|reason| named && !has(reason)) {
            None => Ok(()),
            Some(reason) => {
                Err(self.fault("reasons", format!("a code for {}", reason.name()), "none"))
            }
        }
    }

    /// A reversal that does not say what it reverses reverses nothing. Only a release is about another amount than its
    /// original.
    fn original_is_named(&self, mapping: &Mapping) -> Result<(), ProfileError> {
        let any = |wanted: fn(&Source) -> bool| {
            mapping
                .fields
                .iter()
                .any(|(_, source)| source.contains(wanted))
        };
        let has_original = any(Source::needs_original);
        if self.is_first() && has_original {
            let expected = "no source that needs an original, since this operation has none";
            return Err(self.fault("fields", expected, "one"));
        }
        let undoes = matches!(self.kind, OperationKind::Reversal | OperationKind::Release);
        if undoes && !any(Source::names_original) {
            let expected = "a source by which the host finds the original: original_data, \
                            original_stan, original_rrn or kept";
            return Err(self.fault("fields", expected, "none"));
        }
        let of_a_release = |source: &Source| {
            use NamedSource::{OriginalAmount, ReplacementAmounts};
            matches!(source, Source::Named(OriginalAmount | ReplacementAmounts))
        };
        if self.kind != OperationKind::Release && any(of_a_release) {
            let expected = "original_amount and replacement_amounts in releases only";
            return Err(self.fault("fields", expected, "one"));
        }
        let is_cvv = |source: &Source| *source == Source::Named(NamedSource::Cvv);
        if has_original && any(is_cvv) {
            let expected = "no source \"cvv\", which is not kept for later messages";
            return Err(self.fault("fields", expected, "one"));
        }
        Ok(())
    }

    /// A host can't echo what it was not sent: each of its answers would go unmatched.
    fn key_is_sent(&self, rule: MatchRule, mapping: &Mapping) -> Result<(), ProfileError> {
        let sent = |de: u8| mapping.fields.iter().any(|(there, _)| *there == de);
        KeyField::DES
            .into_iter()
            .filter(|field| rule.always.contains(*field))
            .filter_map(KeyField::de)
            .find(|de| !sent(*de))
            .map_or(Ok(()), |de| {
                let expected = format!("a source for DE {de}, which is in match_key");
                Err(self.fault("fields", expected, "none"))
            })
    }

    fn unknown(&self) -> Result<UnknownRule, ProfileError> {
        let usual = match (self.file.style, self.kind) {
            (Style::Advice | Style::File | Style::None, _) => UnknownRule::Repeat,
            (
                Style::Request,
                OperationKind::Verification | OperationKind::Refund | OperationKind::Inquiry,
            ) => UnknownRule::Wait,
            (Style::Request, OperationKind::Reversal | OperationKind::Void) => UnknownRule::Repeat,
            (Style::Request, _) => UnknownRule::Reverse,
        };
        let Some(rule) = self.file.unknown else {
            return Ok(usual);
        };
        let holds = matches!(
            self.kind,
            OperationKind::Authorization | OperationKind::Increment
        );
        if holds && rule != UnknownRule::Reverse {
            let expected = "\"reverse\": what a bank may hold is given back";
            return Err(self.fault("unknown", expected, format!("{rule:?}").to_lowercase()));
        }
        if self.kind == OperationKind::Verification && rule != UnknownRule::Wait {
            let expected = "\"wait\": nothing is held";
            return Err(self.fault("unknown", expected, format!("{rule:?}").to_lowercase()));
        }
        let may_reverse = usual == UnknownRule::Reverse;
        if rule == UnknownRule::Reverse && !may_reverse {
            let expected =
                "\"repeat\", \"inquire\" or \"wait\": this operation is never reversed by itself";
            return Err(self.fault("unknown", expected, "\"reverse\""));
        }
        if rule == UnknownRule::Repeat && may_reverse {
            let expected =
                "\"reverse\", \"inquire\" or \"wait\": a request is written at most once";
            return Err(self.fault("unknown", expected, "\"repeat\""));
        }
        Ok(rule)
    }

    fn repeats(&self, mti: Mti) -> Result<Repeats, ProfileError> {
        let default = RepeatsFile::default();
        let raw = self.file.repeats.as_ref().unwrap_or(&default);
        let key = |name: &str| format!("{}repeats.{name}", self.table);
        let own_repeat = if self.file.style == Style::Advice {
            mti.repeat().unwrap_or(mti)
        } else {
            mti
        };
        let repeat_mti = match raw.mti.as_deref() {
            None => own_repeat,
            Some("same") => mti,
            Some(text) => text
                .parse()
                .ok()
                .filter(|got: &Mti| Some(*got) == mti.repeat())
                .ok_or_else(|| {
                    let repeat = mti.repeat().map_or_else(String::new, |mti| mti.to_string());
                    let expected = format!("\"{repeat}\" or \"same\"");
                    self.fault("repeats.mti", expected, format!("{text:?}"))
                })?,
        };
        let millis = |name, got: Option<u64>, usual| {
            self.reading
                .millis(key(name), got.unwrap_or(usual), LONGEST_WAIT * 24)
        };
        let number = |name, got: Option<u32>, usual: u32, most| {
            let got = got.unwrap_or(usual);
            let within = usize::try_from(got).unwrap_or(usize::MAX);
            self.reading.within(key(name), within, most).map(|_| got)
        };
        let first = millis("first_ms", raw.first_ms, 1000)?;
        let longest = millis("longest_ms", raw.longest_ms, 300_000)?;
        if longest < first {
            let expected = "at least first_ms";
            return Err(self.fault("repeats.longest_ms", expected, milliseconds(longest)));
        }
        Ok(Repeats {
            mti: repeat_mti,
            first,
            longest,
            factor: number("factor", raw.factor, 2, MOST_FACTOR)?,
            cap: raw
                .cap
                .map(|cap| number("cap", Some(cap), cap, MOST_REPEATS))
                .transpose()?,
            per_second: number("per_second", raw.per_second, 50, MOST_REPEATS)?,
            window: self
                .reading
                .within(key("window"), raw.window.unwrap_or(32), MOST_WINDOW)?,
            original_gone: millis("original_gone_ms", raw.original_gone_ms, 15_000)?,
        })
    }

    fn error_element(&self) -> Result<Option<u8>, ProfileError> {
        let known = |de: &u8| self.defaults.dialect.field(*de).is_some();
        match self.file.error_element {
            Some(de) if !known(&de) => Err(self.fault("error_element", "a DE of the dialect", de)),
            element => Ok(element),
        }
    }

    fn partial_amount(&self) -> Result<PartialAmount, ProfileError> {
        let Some(value) = &self.file.partial_amount else {
            return Ok(PartialAmount::Amount);
        };
        let additional = value.as_str().and_then(|text| text.strip_prefix("54."));
        let additional = additional.and_then(|kind| kind.as_bytes().try_into().ok());
        match (value.as_integer(), additional) {
            (Some(4), _) => Ok(PartialAmount::Amount),
            (_, Some(kind)) => Ok(PartialAmount::Additional(kind)),
            _ => {
                let expected =
                    "4, or \"54.TYPE\" with the type of an additional amount, two characters";
                Err(self.fault("partial_amount", expected, shown(value)))
            }
        }
    }

    fn sales(&self) -> Result<bool, ProfileError> {
        if self.file.sales && self.kind != OperationKind::Void {
            let expected = "nothing, since only a void can list sales";
            return Err(self.fault("sales", expected, self.file.sales));
        }
        Ok(self.file.sales)
    }

    fn keep(&self) -> Result<Vec<ElementName>, ProfileError> {
        let values = self.file.keep.iter();
        values.map(|value| self.kept("keep", value)).collect()
    }

    /// An element of the answer that may be kept.
    fn kept(&self, key: &str, value: &toml::Value) -> Result<ElementName, ProfileError> {
        let Defaults {
            subelements,
            dialect,
            ..
        } = self.defaults;
        let name = element(self.reading, key, &self.table, value, *subelements)?;
        if is_secret(name.de) {
            let expected = "no element that may hold card data: it is never kept";
            return Err(self.fault(key, expected, name));
        }
        let format = dialect.field(name.de).map(|field| field.format());
        if format.is_none_or(|format| format == iso8583::field::Format::B) {
            let expected = "elements that the dialect has as text";
            return Err(self.fault(key, expected, name));
        }
        Ok(name)
    }
}

/// Which numbers of the message are those of its original.
fn original_numbers(fields: &[(u8, Source)]) -> OriginalNumbers {
    let has = |de, named| fields.contains(&(de, Source::Named(named)));
    OriginalNumbers {
        stan: has(11, NamedSource::OriginalStan),
        rrn: has(37, NamedSource::OriginalRrn),
        transmission_date_time: has(7, NamedSource::OriginalTransmissionDateTime),
        amount: has(4, NamedSource::OriginalAmount),
    }
}

fn milliseconds(duration: Duration) -> u128 {
    duration.as_millis()
}
