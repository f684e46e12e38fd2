//! Requests for a page of a list.

use std::fmt::Display;
use std::str::FromStr;

use super::filter::{self, Conditions};
use super::id::payment_id;
use super::order::order_by;
use super::page_token::PageTokens;
use crate::grpc::page::page_size;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::payment::ids::PaymentId;
use crate::store::records::lists::ListOrder;

/// A page of a list with a filter and an order. A place in the list is an `A`.
#[derive(Debug)]
pub(crate) struct FilteredList<F, A> {
    pub(crate) filter: F,
    pub(crate) order: ListOrder,
    pub(crate) page_size: usize,
    /// The last item of the page before.
    pub(crate) after: Option<A>,
    pub(crate) page_tokens: PageTokens,
}

impl<F: Conditions, A: FromStr> FilteredList<F, A> {
    /// Reads the fields of a request for a list of `what`.
    pub(crate) fn read(
        what: &str,
        (conditions, order): (&str, &str),
        (size, token): (i32, &str),
    ) -> Result<Self, InvalidRequest> {
        let mut findings = Findings::default();
        let found = &mut findings;
        let page_size = page_size(found, size);
        let filter = filter::read(found, conditions);
        let order = order_by(found, F::ORDERED_BY, order);
        let direction = match order.unwrap_or_default() {
            ListOrder::NewestFirst => "newest first",
            ListOrder::OldestFirst => "oldest first",
        };
        let page_tokens = PageTokens::new(&format!("{what}, {direction}"), conditions);
        let after = page_tokens.read(found, token);
        let read = (|| {
            Some(Self {
                filter: filter?,
                order: order?,
                page_size: page_size?,
                after: after?,
                page_tokens,
            })
        })();
        findings.finish(read)
    }

    /// The token of the page that begins behind `next`; empty where there is none.
    pub(crate) fn next_page_token(&self, next: Option<impl Display>) -> String {
        let token = next.map(|next| self.page_tokens.write(next));
        token.unwrap_or_default()
    }
}

/// A page of a list of what one payment has. A place in the list is an `A`.
pub(crate) struct PartsList<A> {
    pub(crate) payment_id: PaymentId,
    pub(crate) page_size: usize,
    /// The last item of the page before.
    pub(crate) after: Option<A>,
    pub(crate) page_tokens: PageTokens,
}

impl<A: FromStr> PartsList<A> {
    /// Reads the fields of a request for a list of `what`.
    pub(crate) fn read(
        what: &str,
        payment: &str,
        (size, token): (i32, &str),
    ) -> Result<Self, InvalidRequest> {
        let mut findings = Findings::default();
        let found = &mut findings;
        let payment_id = payment_id(found, payment);
        let page_size = page_size(found, size);
        let page_tokens = PageTokens::new(what, payment);
        let after = page_tokens.read(found, token);
        let read = (|| {
            Some(Self {
                payment_id: payment_id?,
                page_size: page_size?,
                after: after?,
                page_tokens,
            })
        })();
        findings.finish(read)
    }
}
