//! A payment explained, as the operators' API shows it.

use crate::admin_api::explain::timeline::{Entry, EntryKind};
use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::hosts::message::shown::ShownElement;
use crate::payment::record::Payment;

/// What a payment is, and as what it was found.
pub(in crate::admin_api) fn explained(payment: &Payment, found_by: &str) -> pb::ExplainedPayment {
    let card = &payment.card;
    pb::ExplainedPayment {
        payment_id: payment.id.to_string(),
        merchant_id: payment.merchant_id.to_string(),
        merchant_reference: payment.merchant_reference.clone(),
        state: payment.state.name().to_owned(),
        amount_minor: payment.amount.amount_minor(),
        currency: payment.amount.currency().code().to_owned(),
        card_masked: format!("{}…{}", card.bin, card.last_four),
        create_time: Some(timestamp(payment.created_at)),
        found_by: found_by.to_owned(),
    }
}

/// Something that happened.
pub(in crate::admin_api) fn entry(entry: Entry) -> pb::ExplanationEntry {
    use pb::ExplanationKind as Kind;
    let kind = match entry.kind {
        EntryKind::Request => Kind::Request,
        EntryKind::Operation => Kind::Operation,
        EntryKind::Message => Kind::Message,
        EntryKind::Answer => Kind::Answer,
        EntryKind::End => Kind::End,
        EntryKind::LateResponse => Kind::LateResponse,
        EntryKind::Payment => Kind::Payment,
        EntryKind::Journal => Kind::Journal,
        EntryKind::Told => Kind::Told,
        EntryKind::Quarantine => Kind::Quarantine,
        EntryKind::Operator => Kind::Operator,
    };
    pb::ExplanationEntry {
        time: Some(timestamp(entry.at)),
        kind: kind.into(),
        text: entry.text,
        operation_id: entry
            .operation_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        position: entry.position.unwrap_or_default(),
        elements: entry.elements.into_iter().map(element).collect(),
    }
}

fn element(element: ShownElement) -> pb::ExplanationElement {
    pb::ExplanationElement {
        number: element.number,
        name: element.name,
        value_masked: element.value_masked,
    }
}
