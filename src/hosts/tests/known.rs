//! A known profile, merchant and operation.

use std::path::Path;

use crate::hosts::message::contents::Outgoing;
use crate::hosts::profile::HostProfile;
use crate::hosts::profile::load;
use crate::hosts::tests::CARD;
use crate::payment::ids::{OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;
use crate::payment::reference::SequenceNumber;
use crate::payment::samples;

/// 2026-11-21T10:15:30Z.
pub(in crate::hosts) const NOW: UnixMillis = UnixMillis::new(1_795_256_130_000);

/// The profile that comes with the project.
pub(in crate::hosts) fn template() -> HostProfile {
    let text = include_str!("../../../hosts/acquirer.toml");
    load::parse(text, Path::new("acquirer.toml"), Path::new(".")).unwrap()
}

pub(in crate::hosts) fn merchant() -> Merchant {
    Merchant {
        mcc: "5999".into(),
        acceptor_id: "ACCEPTOR0000001".into(),
        ..samples::merchant()
    }
}

/// The operation of sequence number 6: STAN 7, RRN 632500000006, 12.50 EUR.
pub(in crate::hosts) fn operation() -> Operation {
    numbered(6)
}

/// The operation of sequence number `number`.
pub(in crate::hosts) fn numbered(number: u64) -> Operation {
    let date = NumberDate::of(NOW);
    let sequence = SequenceNumber::new(number).unwrap();
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    Operation {
        id: OperationId::from_parts(NOW, random),
        payment_id: PaymentId::from_parts(NOW, random),
        state: OperationState::Sent,
        stan: sequence.stan(),
        rrn: sequence.rrn(date),
        transmitted_at: NOW,
        number_date: date,
        terminal_id: "TERM0001".into(),
        deadline: NOW.plus_ms(5000),
        ..samples::operation()
    }
}

/// The message of an operation that has no original, with a card.
pub(in crate::hosts) fn outgoing<'a>(
    operation: &'a Operation,
    merchant: &'a Merchant,
) -> Outgoing<'a> {
    Outgoing::first(operation, merchant, Some(CARD))
}
