//! The measures of the paper and its text. Lengths are in twips, a twentieth of a point.

/// The long side of A4.
pub const PAGE_WIDTH: i32 = 16_838;
/// The short side of A4.
pub const PAGE_HEIGHT: i32 = 11_906;
/// On each side.
pub const MARGIN: i32 = 720;
/// Between the margins.
pub const CONTENT_WIDTH: i32 = PAGE_WIDTH - 2 * MARGIN;
/// The lowest that anything but the page number may reach.
pub const BOTTOM: i32 = PAGE_HEIGHT - MARGIN - 300;
/// The font of tables.
pub const BODY_SIZE: i32 = 150;
/// From one line of a table's text to the next.
pub const LINE_HEIGHT: i32 = 190;
/// From the top of a line of a table to its baseline.
pub const ASCENT: i32 = 140;
