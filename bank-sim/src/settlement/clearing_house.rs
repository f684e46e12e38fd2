//! A clearing file is taken: its items are booked, and the issuers of this simulator post them.

use super::{
    SettlementError,
    book::Book,
    clearing::{self, ClearingAnswer, Detail},
    item::ItemKind,
};
use crate::{
    digest::sha256,
    issuer::{ExchangeKey, Issuer, MessageKind, Presented, Presentment},
};

/// Books a file, unless its bytes were accepted before.
pub(super) fn take<'a>(
    book: &mut Book,
    bytes: &[u8],
    issuers: impl Iterator<Item = &'a Issuer>,
) -> Result<ClearingAnswer, SettlementError> {
    let digest = sha256(bytes);
    if book.files.contains(&digest) {
        return Ok(ClearingAnswer::Duplicate);
    }
    let file = match clearing::read(bytes) {
        Ok(file) => file,
        Err(refused) => return Ok(refused),
    };
    if !book.has_room_for(file.details.len()) {
        return Err(SettlementError::Full);
    }
    book.files.is_new(digest);
    let presented = present(&file.details, &digest, issuers);
    let (mut items, mut posted) = (0, 0);
    for (detail, presented) in file.details.into_iter().zip(presented) {
        let Detail { place, mut item } = detail;
        item.card_masked = presented.masked_pan.unwrap_or_default();
        book.book_detail(place, item, file.business_date);
        items += 1;
        posted += u64::from(presented.is_posted);
    }
    Ok(ClearingAnswer::Accepted { items, posted })
}

/// What the issuers make of each detail.
fn present<'a>(
    details: &[Detail],
    digest: &[u8; 32],
    issuers: impl Iterator<Item = &'a Issuer>,
) -> Vec<Presented> {
    let presentments: Vec<_> = details
        .iter()
        .enumerate()
        .map(|(index, detail)| presentment(index, detail, digest))
        .collect();
    let mut all: Vec<Presented> = details.iter().map(|_| Presented::default()).collect();
    for issuer in issuers {
        for (known, own) in all.iter_mut().zip(issuer.present(&presentments)) {
            if known.masked_pan.is_none() {
                *known = own;
            }
        }
    }
    all
}

/// A detail as an issuer takes it. A file has no STAN and no time: its digest and the place in it stand for them.
fn presentment(index: usize, detail: &Detail, digest: &[u8; 32]) -> Presentment {
    let mut transmitted = [0; 10];
    for (place, byte) in transmitted.iter_mut().zip(digest) {
        *place = b'0' + byte % 10;
    }
    let stan = format!("{:06}", index % 1_000_000);
    Presentment {
        key: ExchangeKey {
            kind: MessageKind::FinancialAdvice,
            stan: stan.as_bytes().try_into().unwrap_or(*b"000000"),
            transmitted,
            rrn: detail.item.rrn.bytes(),
            terminal: detail.place.terminal.bytes(),
        },
        kind: detail.item.kind.payment_kind(),
        is_from_hold: detail.item.kind == ItemKind::Capture,
        amount_minor: detail.item.amount_minor,
        currency_numeric: detail.place.currency_numeric,
    }
}
