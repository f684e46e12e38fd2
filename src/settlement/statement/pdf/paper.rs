//! The measures of the paper and its text. Lengths are in twips, a twentieth of a point.

/// The long side of A4.
pub(super) const PAGE_WIDTH: i32 = 16_838;
/// The short side of A4.
pub(super) const PAGE_HEIGHT: i32 = 11_906;
/// On each side.
pub(super) const MARGIN: i32 = 720;
/// Between the margins.
pub(super) const CONTENT_WIDTH: i32 = PAGE_WIDTH - 2 * MARGIN;
/// The font of the table.
pub(super) const BODY_SIZE: i32 = 150;
