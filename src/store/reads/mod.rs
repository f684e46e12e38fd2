//! Reads payments, their operations, what is owed, and what merchants were told. The functions that read other tables
//! stand with their tables; these stand apart, because the writer uses the rows of these tables.

mod answers;
pub mod operations;
pub mod owed;
mod payments;
