//! Turns the text of a dialect into its table, and refuses settings that contradict each other.

use super::source::{BUILTIN, BUILTIN_NAMES, FieldSource, Source};
use super::{BitmapEncoding, Dialect, DialectError, MAX_HEADER_BYTES, MtiEncoding};
use crate::bitmap::MAX_DE;
use crate::characters::{CODE_PAGE_037, CODE_PAGE_500, CODE_PAGE_1047, CodePage};
use crate::field::{
    ContentEncoding, FieldSpec, Format, LengthCounts, LengthEncoding, LengthRule, MAX_FIELD_UNITS,
    Shown,
};
use crate::mti::Version;

/// The fields whose content is secret by the card schemes' rules whatever a dialect puts in them:
/// PAN, tracks, PIN block, security information, chip data, and the message authentication codes.
const NEVER_CLEAR: [u8; 10] = [2, 34, 35, 36, 45, 52, 53, 55, 64, 128];

/// The settings that a field has unless it names its own.
struct Defaults {
    dialect: String,
    numeric: ContentEncoding,
    text: ContentEncoding,
    track: ContentEncoding,
    binary: ContentEncoding,
    length: LengthEncoding,
    counts: LengthCounts,
    left_pad: u8,
    right_pad: u8,
}

impl Dialect {
    /// Compiles a dialect from TOML; the module's page shows every key.
    ///
    /// # Errors
    /// When the text is not TOML, a key is unknown, or the settings contradict each other, such as
    /// a maximum length that its length digits can't say.
    pub fn from_toml(text: &str) -> Result<Dialect, DialectError> {
        compile(Source::parse(text)?)
    }

    /// The built-in dialect of that name. It is compiled at each call.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Dialect> {
        let (_, text) = BUILTIN.iter().find(|(builtin, _)| *builtin == name)?;
        // A test compiles each of them, so that an error can't reach anybody.
        Dialect::from_toml(text).ok()
    }

    /// The names of the built-in dialects.
    #[must_use]
    pub fn builtin_names() -> &'static [&'static str] {
        &BUILTIN_NAMES
    }
}

fn compile(source: Source) -> Result<Dialect, DialectError> {
    let Some(name) = source.name.filter(|name| !name.is_empty()) else {
        return Err(DialectError::Setting {
            dialect: String::new(),
            setting: "name",
            expected: "a name".into(),
            got: "none".into(),
        });
    };
    let encodings = source.encodings;
    let defaults = Defaults {
        numeric: encodings.numeric.unwrap_or(ContentEncoding::Ascii),
        text: encodings.text.unwrap_or(ContentEncoding::Ascii),
        track: encodings.track.unwrap_or(ContentEncoding::Ascii),
        binary: encodings.binary.unwrap_or(ContentEncoding::Binary),
        length: encodings.length.unwrap_or(LengthEncoding::Ascii),
        counts: encodings.length_counts.unwrap_or(LengthCounts::Content),
        left_pad: pad_nibble(&name, "encodings.bcd_left_pad", encodings.bcd_left_pad, 0)?,
        right_pad: pad_nibble(
            &name,
            "encodings.bcd_right_pad",
            encodings.bcd_right_pad,
            0xF,
        )?,
        dialect: name,
    };
    let name = &defaults.dialect;
    let header_bytes = source.header.bytes.unwrap_or(0);
    let default_header = header(name, header_bytes, source.header.default)?;
    let mut fields: Box<[Option<FieldSpec>; MAX_DE as usize + 1]> =
        Box::new(std::array::from_fn(|_| None));
    for (key, field) in source.fields {
        let number = key
            .parse::<u8>()
            .ok()
            .filter(|de| (1..=MAX_DE).contains(de));
        let Some((de, row)) = number.and_then(|de| Some((de, fields.get_mut(usize::from(de))?)))
        else {
            return Err(DialectError::Field {
                dialect: name.clone(),
                de: key.clone(),
                expected: format!("a DE number from 1 to {MAX_DE}"),
                got: format!("`{key}`"),
            });
        };
        *row = Some(defaults.field(de, field)?);
    }
    Ok(Dialect {
        name: name.as_str().into(),
        version: version(name, source.version)?,
        header_bytes,
        default_header,
        mti: source.mti.encoding.unwrap_or(MtiEncoding::Ascii),
        bitmap: source.bitmap.encoding.unwrap_or(BitmapEncoding::Binary),
        tertiary: source.bitmap.tertiary.unwrap_or(false),
        code_page: code_page(name, encodings.code_page.as_deref())?,
        fields,
    })
}

fn version(dialect: &str, year: Option<u16>) -> Result<Version, DialectError> {
    match year {
        None | Some(1987) => Ok(Version::Iso1987),
        Some(1993) => Ok(Version::Iso1993),
        Some(other) => Err(DialectError::Setting {
            dialect: dialect.to_owned(),
            setting: "version",
            expected: "1987 or 1993".into(),
            got: other.to_string(),
        }),
    }
}

fn pad_nibble(
    dialect: &str,
    setting: &'static str,
    text: Option<String>,
    default: u8,
) -> Result<u8, DialectError> {
    let Some(text) = text else {
        return Ok(default);
    };
    match (text.len(), u8::from_str_radix(&text, 16)) {
        (1, Ok(nibble)) => Ok(nibble),
        _ => Err(DialectError::Setting {
            dialect: dialect.to_owned(),
            setting,
            expected: "one hexadecimal digit".into(),
            got: format!("`{text}`"),
        }),
    }
}

fn code_page(dialect: &str, name: Option<&str>) -> Result<&'static CodePage, DialectError> {
    match name {
        None | Some("1047") => Ok(&CODE_PAGE_1047),
        Some("037") => Ok(&CODE_PAGE_037),
        Some("500") => Ok(&CODE_PAGE_500),
        Some(other) => Err(DialectError::Setting {
            dialect: dialect.to_owned(),
            setting: "encodings.code_page",
            expected: "037, 500 or 1047".into(),
            got: format!("`{other}`"),
        }),
    }
}

fn header(dialect: &str, bytes: usize, default: Option<String>) -> Result<Box<[u8]>, DialectError> {
    if bytes > MAX_HEADER_BYTES {
        return Err(DialectError::Setting {
            dialect: dialect.to_owned(),
            setting: "header.bytes",
            expected: format!("at most {MAX_HEADER_BYTES}"),
            got: bytes.to_string(),
        });
    }
    // A dialect that drops its base's header drops the base's default with it.
    let Some(text) = default.filter(|_| bytes > 0) else {
        return Ok(Box::default());
    };
    match crate::hex::decode(&text) {
        Some(header) if header.len() == bytes => Ok(header.into()),
        _ => Err(DialectError::Setting {
            dialect: dialect.to_owned(),
            setting: "header.default",
            expected: format!("{bytes} bytes in hex"),
            got: format!("`{text}`"),
        }),
    }
}

impl Defaults {
    fn fault(&self, de: u8, expected: impl Into<String>, got: impl Into<String>) -> DialectError {
        DialectError::Field {
            dialect: self.dialect.clone(),
            de: de.to_string(),
            expected: expected.into(),
            got: got.into(),
        }
    }

    fn encoding(&self, format: Format) -> ContentEncoding {
        match format {
            Format::N | Format::Xn => self.numeric,
            Format::A | Format::An | Format::As | Format::Ns | Format::Ans => self.text,
            Format::Z => self.track,
            Format::B => self.binary,
        }
    }

    fn field(&self, de: u8, source: FieldSource) -> Result<FieldSpec, DialectError> {
        let name = source
            .name
            .ok_or_else(|| self.fault(de, "a name", "none"))?;
        let format = source
            .format
            .ok_or_else(|| self.fault(de, "a format", "none"))?;
        let length = source
            .length
            .ok_or_else(|| self.fault(de, "a length", "none"))?;
        let max_units = source.max.ok_or_else(|| self.fault(de, "a max", "none"))?;
        let encoding = source.encoding.unwrap_or_else(|| self.encoding(format));
        let length_encoding = source.length_encoding.unwrap_or(self.length);
        let shown = source.shown.unwrap_or(Shown::Masked);
        let is_text = !matches!(format, Format::N | Format::Xn | Format::Z | Format::B);
        let spec = FieldSpec {
            format,
            classes: format.classes(),
            length,
            length_encoding,
            counts: source.length_counts.unwrap_or(self.counts),
            encoding,
            shown,
            pad_spaces: source.pad_spaces.unwrap_or(true) && is_text && length == LengthRule::Fixed,
            pad_nibble: match encoding {
                ContentEncoding::BcdRight => self.right_pad,
                _ => self.left_pad,
            },
            prefix_bytes: length.wire_bytes(length_encoding),
            max_units,
            name: name.into(),
        };
        self.check(de, &spec)?;
        Ok(spec)
    }

    fn check(&self, de: u8, spec: &FieldSpec) -> Result<(), DialectError> {
        let fits = match spec.encoding {
            ContentEncoding::Ascii | ContentEncoding::Ebcdic => spec.format != Format::B,
            ContentEncoding::BcdLeft | ContentEncoding::BcdRight => {
                matches!(spec.format, Format::N | Format::Xn | Format::Z)
            }
            ContentEncoding::Binary | ContentEncoding::Hex => spec.format == Format::B,
        };
        if !fits {
            let expected = format!("an encoding for format {}", spec.format);
            return Err(self.fault(de, expected, format!("{:?}", spec.encoding)));
        }
        let least = if spec.format == Format::Xn { 2 } else { 1 };
        if !(least..=MAX_FIELD_UNITS).contains(&spec.max_units) {
            let expected = format!("a max of {least} to {MAX_FIELD_UNITS}");
            return Err(self.fault(de, expected, spec.max_units.to_string()));
        }
        if (de == 1 || de == 65) && !is_bitmap(spec) {
            return Err(self.fault(de, "a bitmap: format b, fixed, max 8", "another field"));
        }
        if spec.shown == Shown::Clear && NEVER_CLEAR.contains(&de) {
            return Err(self.fault(de, "a secret to be masked", "shown = \"clear\""));
        }
        if spec.shown != Shown::Clear && spec.shown != Shown::Masked && spec.format == Format::B {
            return Err(self.fault(de, "text where a PAN is shown", "format b"));
        }
        self.check_length(de, spec)
    }

    fn check_length(&self, de: u8, spec: &FieldSpec) -> Result<(), DialectError> {
        if spec.length == LengthRule::Fixed {
            return Ok(());
        }
        let longest = match spec.counts {
            LengthCounts::Content => usize::from(spec.max_units),
            LengthCounts::Wire => spec.wire_bytes(usize::from(spec.max_units)),
        };
        let capacity = spec.length.capacity(spec.length_encoding);
        if u32::try_from(longest).is_ok_and(|longest| longest > capacity) {
            let expected = format!("a max whose length is at most {capacity}");
            return Err(self.fault(de, expected, longest.to_string()));
        }
        if spec.counts == LengthCounts::Wire && spec.is_bcd() {
            // The number of digits is then known only from whether a pad nibble is there.
            if spec.format == Format::Xn {
                return Err(self.fault(de, "content to be counted for x+n", "wire"));
            }
            if spec.pad_nibble < 10 || (spec.format == Format::Z && spec.pad_nibble == 0xD) {
                let got = format!("{:X}", spec.pad_nibble);
                return Err(self.fault(de, "a pad nibble that can't be content", got));
            }
        }
        Ok(())
    }
}

fn is_bitmap(spec: &FieldSpec) -> bool {
    spec.format == Format::B && spec.length == LengthRule::Fixed && spec.max_units == 8
}
