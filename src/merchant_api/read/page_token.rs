//! Page tokens: where a list goes on, tied to the list that gave them.

use std::fmt::{self, Display};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

use crate::grpc::violations::{Findings, length_of};

/// The largest page token that is looked at, in bytes.
const MAX_LENGTH: usize = 200;
/// What stands before the cursor: the beginning of a SHA-256.
const CHECK_BYTES: usize = 8;

/// Writes and reads the page tokens of one list. A token of another list, or one that was changed, is
/// not taken. Nothing secret is in it: a cursor only ever leads to payments of the one who calls.
#[derive(Clone)]
pub(crate) struct PageTokens(digest::Context);

impl PageTokens {
    /// The tokens of the list with this name and these conditions.
    pub(crate) fn new(list: &str, conditions: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        // Hashes have one length, so that no text can be taken for a text and a cursor.
        for text in [list, conditions] {
            context.update(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        }
        Self(context)
    }

    /// The token of the page that begins after `cursor`.
    pub(crate) fn write(&self, cursor: impl Display) -> String {
        let cursor = cursor.to_string();
        let mut bytes = self.check(&cursor).to_vec();
        bytes.extend(cursor.into_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the page token of a request: `Some(None)` for the first page.
    pub(crate) fn read<T: FromStr>(
        &self,
        findings: &mut Findings,
        token: &str,
    ) -> Option<Option<T>> {
        if token.is_empty() {
            return Some(None);
        }
        let read = self.cursor(token).ok_or_else(|| length_of(token));
        let expected =
            "the next_page_token of a page of the same list, with the same filter and order_by";
        findings.keep("page_token", expected, read).map(Some)
    }

    fn cursor<T: FromStr>(&self, token: &str) -> Option<T> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (check, cursor) = bytes.split_first_chunk::<CHECK_BYTES>()?;
        let cursor = std::str::from_utf8(cursor).ok()?;
        if *check != self.check(cursor) {
            return None;
        }
        cursor.parse().ok()
    }

    fn check(&self, cursor: &str) -> [u8; CHECK_BYTES] {
        let mut context = self.0.clone();
        context.update(cursor.as_bytes());
        let mut check = [0; CHECK_BYTES];
        for (to, from) in check.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        check
    }
}

impl fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageTokens").finish_non_exhaustive()
    }
}
