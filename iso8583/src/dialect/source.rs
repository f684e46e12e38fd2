//! The text of a dialect, and how one overrides another.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BitmapEncoding, DialectError, MAX_BASE_DEPTH, MtiEncoding};
use crate::field::{ContentEncoding, Format, LengthCounts, LengthEncoding, LengthRule, Shown};

/// The dialects that come with the crate, and their text.
pub(super) const BUILTIN: [(&str, &str); 5] = [
    (
        "iso1987-ascii-hex",
        include_str!("../../dialects/iso1987-ascii-hex.toml"),
    ),
    (
        "iso1987-ascii-binary",
        include_str!("../../dialects/iso1987-ascii-binary.toml"),
    ),
    (
        "iso1987-bcd",
        include_str!("../../dialects/iso1987-bcd.toml"),
    ),
    (
        "iso1987-ebcdic",
        include_str!("../../dialects/iso1987-ebcdic.toml"),
    ),
    (
        "iso1993-ascii",
        include_str!("../../dialects/iso1993-ascii.toml"),
    ),
];

pub(super) const BUILTIN_NAMES: [&str; 5] = {
    let [(a, _), (b, _), (c, _), (d, _), (e, _)] = BUILTIN;
    [a, b, c, d, e]
};

/// A dialect as it is written; every setting may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) name: Option<String>,
    base: Option<String>,
    pub(super) version: Option<u16>,
    #[serde(default)]
    removed: Vec<u8>,
    #[serde(default)]
    pub(super) header: HeaderSource,
    #[serde(default)]
    pub(super) mti: MtiSource,
    #[serde(default)]
    pub(super) bitmap: BitmapSource,
    #[serde(default)]
    pub(super) encodings: EncodingsSource,
    #[serde(default)]
    pub(super) fields: BTreeMap<String, FieldSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderSource {
    pub(super) bytes: Option<usize>,
    pub(super) default: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MtiSource {
    pub(super) encoding: Option<MtiEncoding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BitmapSource {
    pub(super) encoding: Option<BitmapEncoding>,
    pub(super) tertiary: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EncodingsSource {
    pub(super) numeric: Option<ContentEncoding>,
    pub(super) text: Option<ContentEncoding>,
    pub(super) track: Option<ContentEncoding>,
    pub(super) binary: Option<ContentEncoding>,
    pub(super) length: Option<LengthEncoding>,
    pub(super) length_counts: Option<LengthCounts>,
    pub(super) bcd_left_pad: Option<String>,
    pub(super) bcd_right_pad: Option<String>,
    pub(super) code_page: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldSource {
    pub(super) name: Option<String>,
    pub(super) format: Option<Format>,
    pub(super) length: Option<LengthRule>,
    pub(super) max: Option<u16>,
    pub(super) encoding: Option<ContentEncoding>,
    pub(super) length_encoding: Option<LengthEncoding>,
    pub(super) length_counts: Option<LengthCounts>,
    pub(super) pad_spaces: Option<bool>,
    pub(super) shown: Option<Shown>,
}

/// Takes the base's setting where the dialect has none of its own.
fn inherit<T>(own: &mut Option<T>, base: Option<T>) {
    if own.is_none() {
        *own = base;
    }
}

impl Source {
    /// Reads a dialect, and the settings that it inherits from the dialects it is based on.
    pub(super) fn parse(text: &str) -> Result<Source, DialectError> {
        let mut source: Source = toml::from_str(text)?;
        for _ in 0..MAX_BASE_DEPTH {
            let Some(base) = source.base.take() else {
                return Ok(source);
            };
            let Some((_, text)) = BUILTIN.iter().find(|(name, _)| *name == base) else {
                return Err(DialectError::UnknownBase {
                    dialect: source.name.unwrap_or_default(),
                    known: BUILTIN_NAMES.join(", "),
                    got: base,
                });
            };
            source.inherit_from(toml::from_str(text)?);
        }
        match source.base {
            None => Ok(source),
            Some(_) => Err(DialectError::BaseTooDeep {
                dialect: source.name.unwrap_or_default(),
            }),
        }
    }

    fn inherit_from(&mut self, mut base: Source) {
        for de in &self.removed {
            base.fields.remove(&de.to_string());
        }
        // A field that a base removes stays removed below it, so the lists add up.
        self.removed.append(&mut base.removed);
        self.base = base.base;
        inherit(&mut self.name, base.name);
        inherit(&mut self.version, base.version);
        inherit(&mut self.header.default, base.header.default);
        inherit(&mut self.header.bytes, base.header.bytes);
        inherit(&mut self.mti.encoding, base.mti.encoding);
        inherit(&mut self.bitmap.encoding, base.bitmap.encoding);
        inherit(&mut self.bitmap.tertiary, base.bitmap.tertiary);
        self.encodings.inherit(base.encodings);
        for (de, field) in base.fields {
            self.fields.entry(de).or_default().inherit(field);
        }
    }
}

impl EncodingsSource {
    fn inherit(&mut self, base: EncodingsSource) {
        inherit(&mut self.numeric, base.numeric);
        inherit(&mut self.text, base.text);
        inherit(&mut self.track, base.track);
        inherit(&mut self.binary, base.binary);
        inherit(&mut self.length, base.length);
        inherit(&mut self.length_counts, base.length_counts);
        inherit(&mut self.bcd_left_pad, base.bcd_left_pad);
        inherit(&mut self.bcd_right_pad, base.bcd_right_pad);
        inherit(&mut self.code_page, base.code_page);
    }
}

impl FieldSource {
    fn inherit(&mut self, base: FieldSource) {
        inherit(&mut self.name, base.name);
        inherit(&mut self.format, base.format);
        inherit(&mut self.length, base.length);
        inherit(&mut self.max, base.max);
        inherit(&mut self.encoding, base.encoding);
        inherit(&mut self.length_encoding, base.length_encoding);
        inherit(&mut self.length_counts, base.length_counts);
        inherit(&mut self.pad_spaces, base.pad_spaces);
        inherit(&mut self.shown, base.shown);
    }
}
