//! A dialect is data: a TOML file, compiled once into a flat table with a row per data element.
//!
//! ```toml
//! name = "my-bank"
//! base = "iso1987-bcd"          # start from another dialect; what follows overrides it
//! removed = [24]                # these are undefined in this dialect
//! version = 1987                # the edition of the standard: 1987, 1993
//!
//! [header]
//! bytes = 5                     # a header (TPDU) of this many bytes precedes the MTI; 0 for none
//! default = "6000030000"        # hex; what is sent where a message brings no header of its own
//!
//! [mti]
//! encoding = "bcd"              # ascii, bcd, ebcdic
//!
//! [bitmap]
//! encoding = "binary"           # binary, hex (ASCII; written in upper case, read in both)
//! tertiary = false              # whether bit 65 announces a third bitmap, right after the second
//!
//! [encodings]                   # for every field that does not say otherwise
//! numeric = "bcd-left"          # n, x+n: ascii, ebcdic, bcd-left, bcd-right
//! text = "ascii"                # a, an, as, ns, ans: ascii, ebcdic
//! track = "bcd-right"           # z: ascii, ebcdic, bcd-left, bcd-right
//! binary = "binary"             # b: binary, hex
//! length = "bcd"                # ascii, ebcdic, bcd, binary
//! length_counts = "content"     # content (digits, characters, bytes before encoding), wire (bytes sent)
//! bcd_left_pad = "0"            # the nibble that fills an odd number of digits
//! bcd_right_pad = "F"
//! code_page = "1047"            # of EBCDIC: 037, 500, 1047
//!
//! [fields.62]
//! name = "Invoice number"
//! format = "ans"                # a, n, an, as, ns, ans, b, z, xn
//! length = "lll"                # fixed, ll, lll, llll
//! max = 40                      # units: digits, characters or bytes
//! encoding = "ascii"            # these three override [encodings]
//! length_encoding = "bcd"
//! length_counts = "wire"
//! pad_spaces = true             # fixed a, an, as, ns, ans: fill with spaces on the right when encoding
//! shown = "masked"              # clear, pan, track1, track2, track3, masked (what is not said)
//! ```

mod compile;
mod source;

use crate::bitmap::MAX_DE;
use crate::characters::CodePage;
use crate::field::FieldSpec;
use crate::mti::Version;

/// How many dialects may stand on one another through `base`.
pub const MAX_BASE_DEPTH: usize = 4;

/// The longest header, in bytes.
pub const MAX_HEADER_BYTES: usize = 64;

/// One way of writing ISO 8583 messages. Make it once and share it behind an `Arc`.
#[derive(Clone)]
pub struct Dialect {
    name: Box<str>,
    version: Version,
    pub(crate) header_bytes: usize,
    /// Sent where a message brings no header; empty when the message must bring one.
    pub(crate) default_header: Box<[u8]>,
    pub(crate) mti: MtiEncoding,
    pub(crate) bitmap: BitmapEncoding,
    pub(crate) tertiary: bool,
    pub(crate) code_page: &'static CodePage,
    /// Row `de` for each DE from 0 to [`MAX_DE`]; row 0 is empty.
    fields: Box<[Option<FieldSpec>; MAX_DE as usize + 1]>,
}

/// How the four digits of the MTI are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MtiEncoding {
    Ascii,
    Bcd,
    Ebcdic,
}

/// How a bitmap of 64 bits is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BitmapEncoding {
    Binary,
    Hex,
}

impl BitmapEncoding {
    /// How many bytes one bitmap of 64 bits takes.
    pub(crate) fn wire_bytes(self) -> usize {
        match self {
            BitmapEncoding::Binary => 8,
            BitmapEncoding::Hex => 16,
        }
    }
}

/// Why a text is no dialect.
#[derive(Debug, thiserror::Error)]
pub enum DialectError {
    /// The text is not TOML, or has a key or a value that a dialect doesn't have.
    #[error("dialect: {0}")]
    Toml(#[from] toml::de::Error),
    /// `base` names no built-in dialect.
    #[error("dialect `{dialect}`: expected base to be one of {known}, got `{got}`")]
    UnknownBase {
        /// The dialect at fault.
        dialect: String,
        /// The names there are.
        known: String,
        /// The name given.
        got: String,
    },
    /// Too many dialects stand on one another.
    #[error("dialect `{dialect}`: expected at most {MAX_BASE_DEPTH} bases upon one another")]
    BaseTooDeep {
        /// The dialect at fault.
        dialect: String,
    },
    /// A setting outside the fields is missing or wrong.
    #[error("dialect `{dialect}`: {setting}: expected {expected}, got {got}")]
    Setting {
        /// The dialect at fault.
        dialect: String,
        /// The setting, as it is written in TOML.
        setting: &'static str,
        /// The values that are allowed.
        expected: String,
        /// The value found.
        got: String,
    },
    /// A setting of a field is missing or wrong.
    #[error("dialect `{dialect}`: fields.{de}: expected {expected}, got {got}")]
    Field {
        /// The dialect at fault.
        dialect: String,
        /// The field's number, as it is written in TOML.
        de: String,
        /// The values that are allowed.
        expected: String,
        /// The value found.
        got: String,
    },
}

impl Dialect {
    /// The name of the dialect.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The edition of the standard: [`Version::Iso1987`] or [`Version::Iso1993`].
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The row of a data element; `None` when this dialect does not define it. DE 1 and DE 65, the
    /// bitmaps, have rows but no content of their own.
    #[must_use]
    pub fn field(&self, de: u8) -> Option<&FieldSpec> {
        self.fields.get(usize::from(de))?.as_ref()
    }

    /// How many bytes precede the MTI.
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        self.header_bytes
    }
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialect")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
