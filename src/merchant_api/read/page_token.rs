//! Page tokens: where a list goes on, tied to the list that gave them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

use crate::store::records::{ListOrder, PaymentCursor};

/// The largest page token that is looked at, in bytes.
const MAX_LENGTH: usize = 200;
/// What stands before the cursor: the beginning of a SHA-256.
const CHECK_BYTES: usize = 8;

/// Writes and reads the page tokens of one list. A token of another list, or one that was changed, is
/// not taken. Nothing secret is in it: a cursor only ever leads to payments of the one who calls.
#[derive(Clone)]
pub(crate) struct PageTokens(digest::Context);

impl PageTokens {
    /// The tokens of the list with this filter and order.
    pub(crate) fn new(filter: &str, order: ListOrder) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&[u8::from(order == ListOrder::NewestFirst)]);
        // The filter's hash has one length, so that no filter can be taken for filter and cursor.
        context.update(digest::digest(&digest::SHA256, filter.as_bytes()).as_ref());
        Self(context)
    }

    /// The token of the page that begins after `cursor`.
    pub(crate) fn write(&self, cursor: PaymentCursor) -> String {
        let cursor = cursor.to_string();
        let mut bytes = self.check(&cursor).to_vec();
        bytes.extend(cursor.into_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where the page of this token begins; `None` when it is no token of this list.
    pub(crate) fn read(&self, token: &str) -> Option<PaymentCursor> {
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
