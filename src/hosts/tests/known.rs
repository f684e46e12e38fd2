//! A known profile, merchant and operation.

use std::path::Path;

use crate::hosts::profile::HostProfile;
use crate::hosts::profile::load;
use crate::payment::ids::{NodeId, OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::Money;
use crate::payment::operation::{OperationKind, OperationState};
use crate::payment::record::Operation;
use crate::payment::reference::SequenceNumber;

/// 2026-11-21T10:15:30Z.
pub(in crate::hosts) const NOW: UnixMillis = UnixMillis::new(1_795_256_130_000);

/// The profile that comes with the project.
pub(in crate::hosts) fn template() -> HostProfile {
    let text = include_str!("../../../hosts/acquirer.toml");
    load::parse(text, Path::new("acquirer.toml"), Path::new(".")).unwrap()
}

pub(in crate::hosts) fn merchant() -> Merchant {
    Merchant {
        id: "demo-shop".parse().unwrap(),
        name: "Demo Shop".into(),
        city: "Berlin".into(),
        country: "DE".into(),
        country_numeric: 276,
        mcc: "5999".into(),
        terminal_id: "TERM0001".into(),
        acceptor_id: "ACCEPTOR0000001".into(),
        acquirer: "acquirer".parse().unwrap(),
        active: true,
    }
}

/// The operation of sequence number 6: STAN 7, RRN 632500000006, 12.50 EUR.
pub(in crate::hosts) fn operation() -> Operation {
    numbered(6)
}

/// The operation of sequence number `number`.
pub(in crate::hosts) fn numbered(number: u64) -> Operation {
    let date = BusinessDate::of(NOW);
    let sequence = SequenceNumber::new(number).unwrap();
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    Operation {
        id: OperationId::from_parts(NOW, random),
        payment_id: PaymentId::from_parts(NOW, random),
        kind: OperationKind::Authorization,
        state: OperationState::Sent,
        host_id: "acquirer".parse().unwrap(),
        amount: Money::new(1250, "EUR".parse().unwrap()).unwrap(),
        stan: sequence.stan(),
        rrn: sequence.rrn(date),
        transmitted_at: NOW,
        business_date: date,
        deadline: NOW.plus_ms(5000),
        node_id: NodeId::from_parts(NOW, [0; 10]),
        bank_us: None,
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}
