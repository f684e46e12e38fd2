//! Shows one payment's messages at each hop, with everything secret masked.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use iso8583::Dialect;
use iso8583::masked;

/// One message on its way, as somebody saw it pass.
pub struct Hop {
    /// From whom to whom, for instance `payswitch -> acquirer`.
    pub title: String,
    /// The name of its dialect.
    pub dialect: String,
    /// Its bytes, in clear: only masked renderings leave this module.
    pub bytes: zeroize::Zeroizing<Vec<u8>>,
}

/// Bytes of hex on a line.
const HEX_COLUMNS: usize = 64;

impl Hop {
    /// A heading, the data elements as a table, and the bytes in hex.
    #[must_use]
    pub fn render(&self) -> String {
        let Some(dialect) = Dialect::builtin(&self.dialect) else {
            return format!(
                "{}: the dialect {} is not known here\n",
                self.title, self.dialect
            );
        };
        let mut shown = match dialect.decode(&self.bytes) {
            Ok(message) => {
                let mut table = Table::new();
                table
                    .load_style(NOTHING)
                    .set_content_arrangement(ContentArrangement::Dynamic)
                    .set_header(["DE", "name", "value"]);
                for field in masked::describe(&dialect, &message) {
                    let name = Cell::new(&field.name).fg(Color::DarkGrey);
                    table.add_row([Cell::new(field.de), name, Cell::new(&field.value_masked)]);
                }
                format!(
                    "{}  MTI {}  in {}\n{table}\n",
                    self.title,
                    message.mti(),
                    self.dialect
                )
            }
            Err(error) => format!("{}: {error}\n", self.title),
        };
        let hex = masked::masked_hex(&dialect, &self.bytes);
        let characters: Vec<char> = hex.chars().collect();
        for line in characters.chunks(HEX_COLUMNS) {
            shown.push_str("  ");
            shown.extend(line);
            shown.push('\n');
        }
        shown
    }
}

/// Whether the bytes are a message of this RRN.
#[must_use]
pub fn has_rrn(dialect: &str, bytes: &[u8], rrn: &str) -> bool {
    let Some(dialect) = Dialect::builtin(dialect) else {
        return false;
    };
    dialect
        .decode(bytes)
        .is_ok_and(|message| message.text(37).is_some_and(|text| text == rrn))
}
