//! Pages on paper: A4, landscape, so that references and amounts of any size have room.
//!
//! - [`pages`]: what stands where, from the top down. [`table`]: the columns and rows of a table.
//! - [`face`]: the fonts, and how wide a text is. [`paper`]: the measures.
//! - [`document`]: the pages as PDF. The same pages give the same bytes: nothing in them is of today.

pub mod document;
pub mod face;
pub mod pages;
pub mod paper;
pub mod table;
