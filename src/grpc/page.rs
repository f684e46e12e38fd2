//! Pages of lists.

use super::violations::Findings;

/// The largest page of a list.
const MAX_PAGE_SIZE: usize = 100;
/// The page of a caller who names none.
const DEFAULT_PAGE_SIZE: usize = 50;

/// Reads a page size.
pub(crate) fn page_size(findings: &mut Findings, page_size: i32) -> Option<usize> {
    match usize::try_from(page_size) {
        Ok(0) => Some(DEFAULT_PAGE_SIZE),
        Ok(size) if size <= MAX_PAGE_SIZE => Some(size),
        _ => {
            findings.add("page_size", "0 to 100", page_size);
            None
        }
    }
}

/// Cuts what was found down to a page, and names the last of it where there is more: one more than `size` was asked
/// for.
pub(crate) fn cut<T>(
    mut found: Vec<T>,
    size: usize,
    name: impl FnOnce(&T) -> String,
) -> (Vec<T>, String) {
    let more = found.len() > size;
    found.truncate(size);
    let next_page_token = found.last().filter(|_| more).map(name);
    (found, next_page_token.unwrap_or_default())
}
