//! The ledger, as the operators' API shows it.

use iso8583::hex;

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::ledger_seals::verification::{Finding, FindingKind, LedgerEnd, Verification};
use crate::payment::ids::MerchantId;
use crate::store::reads::balances::AccountBalance;
use crate::store::reads::ledger::KeptJournal;

/// A count as protobuf writes it.
fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What is booked on an account of a merchant.
pub(in crate::admin_api) fn account_balance(
    merchant_id: MerchantId,
    balance: &AccountBalance,
) -> pb::AccountBalance {
    pb::AccountBalance {
        merchant_id: merchant_id.to_string(),
        host_id: balance.host_id.to_string(),
        account: balance.kind.to_string(),
        currency: balance.currency.code().to_owned(),
        amount_minor: balance.amount_minor,
    }
}

/// A journal.
pub(in crate::admin_api) fn journal(journal: KeptJournal) -> pb::Journal {
    let lines = journal.lines.into_iter().map(|line| pb::JournalLine {
        account: line.account,
        merchant_id: line.merchant_id,
        host_id: line.host_id,
        currency: line.currency,
        amount_minor: line.amount_minor,
    });
    pb::Journal {
        journal_id: journal.id,
        position: journal.position,
        payment_id: journal.payment_id.unwrap_or_default(),
        business_date: journal.business_date.unwrap_or_default(),
        create_time: Some(timestamp(journal.at)),
        content_sha256: journal.content_sha256,
        lines: lines.collect(),
    }
}

/// What a part of a verification has found.
pub(in crate::admin_api) fn verification(
    looked_at: Verification,
    public_key: &[u8],
) -> pb::VerifyLedgerResponse {
    let next = looked_at.next.map(|number| number.to_string());
    pb::VerifyLedgerResponse {
        findings: looked_at.findings.into_iter().map(finding).collect(),
        further_findings: count(looked_at.further_findings),
        seals: count(looked_at.seals),
        journals: count(looked_at.journals),
        next_page_token: next.unwrap_or_default(),
        end: looked_at.end.map(|end| self::end(&end, public_key)),
    }
}

fn end(end: &LedgerEnd, public_key: &[u8]) -> pb::LedgerEnd {
    pb::LedgerEnd {
        sealed_position: end.sealed_to,
        seal_time: end.sealed_at.map(timestamp),
        unsealed_positions: end.unsealed_positions,
        unsealed_journals: count(end.unsealed_journals),
        has_seal_file: end.seals_in_file.is_some(),
        seals_in_file: count(end.seals_in_file.unwrap_or_default()),
        public_key: hex::encode_lower(public_key),
    }
}

fn finding(finding: Finding) -> pb::LedgerFinding {
    use pb::LedgerFindingKind as Kind;
    let kind = match finding.kind {
        FindingKind::JournalAltered => Kind::JournalAltered,
        FindingKind::LinesWithoutJournal => Kind::LinesWithoutJournal,
        FindingKind::JournalsDiffer => Kind::JournalsDiffer,
        FindingKind::PaymentDiffers => Kind::PaymentDiffers,
        FindingKind::SealMissing => Kind::SealMissing,
        FindingKind::SealAltered => Kind::SealAltered,
        FindingKind::ChainBroken => Kind::ChainBroken,
        FindingKind::CutOff => Kind::CutOff,
    };
    pb::LedgerFinding {
        kind: kind.into(),
        seal: finding.seal.unwrap_or_default(),
        seal_time: finding.sealed_at.map(timestamp),
        first_position: finding.first,
        last_position: finding.last,
        text: finding.text,
    }
}
