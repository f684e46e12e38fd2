//! Answers that come after their time: what they end, and what they make owed.

use super::*;
use crate::hosts::message::match_key::KeyField;
use crate::hosts::tests::bank::{Bank, approval_of};
use crate::operations::resolution::OwedResolution;
use crate::operations::resolve_owed::OwedRefusal;
use crate::operations::testing::{Folder, approved, hosts_of, owing, owing_at, owing_for, sent};
use crate::payment::decline::{Approval, DeclineAdvice, DeclineReason};
use crate::payment::ids::PaymentId;
use crate::payment::operation::{ResolvedBy, SuspendReason};
use crate::payment::samples;
use crate::store::reads::owed::OwedEntry;

fn declined(code: &str, reason: DeclineReason) -> Exchange {
    Exchange::declined(Decline {
        reason,
        response_code: code.parse().unwrap(),
        advice: DeclineAdvice::UseAnotherCard,
    })
}

fn original_unknown() -> Exchange {
    Exchange::OriginalUnknown {
        response_code: "25".parse().unwrap(),
        bank_us: 900,
    }
}

async fn comes_late(machine: &Operations, original: &Operation, exchange: &Exchange) {
    let response_code = match exchange {
        Exchange::Declined { decline, .. } => decline.response_code,
        Exchange::Approved { approval, .. } => approval.response_code,
        _ => ResponseCode::APPROVED,
    };
    machine
        .keep(HostNotice::LateResponse {
            host_id: original.host_id,
            operation_id: original.id,
            response_code,
            approval_code: String::new(),
            exchange: exchange.clone(),
            at: original.deadline.plus_ms(1),
        })
        .await;
}

/// Payment, original and its reversals, by the names of their states.
async fn states(machine: &Operations, entry: &OwedEntry) -> String {
    let payment = machine.store.payment_of(&entry.original).await.unwrap();
    let operations = machine.store.operations_of(payment.id).await.unwrap();
    let names = operations.iter().map(|operation| operation.state.name());
    let names: Vec<_> = std::iter::once(payment.state.name()).chain(names).collect();
    names.join(" ")
}

#[tokio::test]
async fn a_late_decline_ends_the_debt_until_the_reversal_is_sent() {
    let short = |code| declined(code, DeclineReason::InsufficientFunds);
    let away = |code| declined(code, DeclineReason::IssuerUnavailable);
    for (number, (exchange, is_sent, expected)) in [
        (short("51"), false, "DECLINED RESOLVED CANCELLED"),
        (away("91"), false, "AUTHORIZING UNKNOWN QUEUED"),
        (approved(), false, "AUTHORIZING UNKNOWN QUEUED"),
        (short("51"), true, "REVERSING UNKNOWN SENT"),
        (approved(), true, "REVERSING UNKNOWN SENT"),
    ]
    .into_iter()
    .enumerate()
    {
        let (_folder, machine, mut entry) = owing(&format!("late-{number}")).await;
        if is_sent {
            entry = sent(&machine, entry, 0).await;
        }
        comes_late(&machine, &entry.original, &exchange).await;
        assert_eq!(states(&machine, &entry).await, expected, "{exchange:?}");
        let late = machine.store.late_response(entry.original.id).await;
        assert!(late.unwrap().is_some(), "{exchange:?}");
        machine.store.close().await;
    }
}

/// What became known late stands; an answer that says another thing is an alarm.
#[test]
fn an_answer_after_the_end_contradicts_it_or_not() {
    let resolved = |took_effect| OperationState::Resolved {
        by: ResolvedBy::LateResponse,
        response_code: None,
        took_effect,
        decline: None,
    };
    let short = Meaning::declined(DeclineReason::InsufficientFunds);
    let away = Meaning::declined(DeclineReason::IssuerUnavailable);
    let for_another_amount = OperationState::Unknown {
        reason: UnknownReason::AmountDiffers,
    };
    for (state, code, expected) in [
        (resolved(false), Meaning::Approved, true),
        (resolved(false), Meaning::PARTLY_APPROVED, true),
        (resolved(false), Meaning::Taken, true),
        (resolved(false), short, false),
        (resolved(true), short, true),
        (resolved(true), away, false),
        (resolved(true), Meaning::Approved, false),
        (resolved(false), Meaning::UNCLEAR, false),
        (OperationState::Reversed, Meaning::Approved, false),
        (for_another_amount.clone(), away, false),
        (for_another_amount, short, true),
    ] {
        let operation = Operation {
            state,
            ..samples::operation()
        };
        assert_eq!(contradicts(&operation, code), expected, "{code:?}");
    }
}

/// A decline is of another copy where the bank has approved it for another amount.
#[test]
fn a_late_decline_resolves_only_what_was_not_approved() {
    let short = declined("51", DeclineReason::InsufficientFunds);
    for (reason, expected) in [
        (UnknownReason::NoAnswerInTime, Late::Resolves),
        (UnknownReason::AmountDiffers, Late::OnlyKept),
    ] {
        let operation = Operation {
            state: OperationState::Unknown { reason },
            ..samples::operation()
        };
        assert_eq!(Late::of(&operation, &[], &short), expected);
    }
}

/// A bank that may have undone nothing, and then approves, is owed another reversal: one, however often it approves. A
/// bank that said it has undone it is not, whatever its code for that is.
#[tokio::test]
async fn a_late_approval_leaves_one_reversal_owed_where_nothing_was_undone() {
    let accepted = Exchange::approved(Approval {
        approval_code: String::new(),
        response_code: "400".parse().unwrap(),
        partial_minor: None,
    });
    let taken = Exchange::Taken {
        response_code: "94".parse().unwrap(),
        bank_us: 900,
    };
    for (name, answer, expected) in [
        ("undone", approved(), "REVERSED REVERSED APPROVED"),
        ("accepted", accepted, "REVERSED REVERSED APPROVED"),
        ("taken", taken, "REVERSED REVERSED APPROVED QUEUED"),
        (
            "unknown",
            original_unknown(),
            "REVERSED REVERSED APPROVED QUEUED",
        ),
    ] {
        let (_folder, machine, entry) = owing(name).await;
        let entry = sent(&machine, entry, 15_000).await;
        machine.end_attempt(entry.clone(), &answer).await;
        assert_eq!(states(&machine, &entry).await, "REVERSED REVERSED APPROVED");
        let late = approved();
        let comes_late = || comes_late(&machine, &entry.original, &late);
        tokio::join!(comes_late(), comes_late());
        comes_late().await;
        assert_eq!(states(&machine, &entry).await, expected, "{name}");
        machine.store.close().await;
    }
}

/// A bank that declines late, before its reversal was sent, and then approves, holds something that nobody undoes: a
/// reversal is owed. Its merchant was told of a decline, and that stands.
#[tokio::test]
async fn an_approval_after_a_late_decline_is_reversed() {
    let (_folder, machine, entry) = owing("declined-first").await;
    let short = declined("51", DeclineReason::InsufficientFunds);
    let states = async || states(&machine, &entry).await;
    comes_late(&machine, &entry.original, &short).await;
    assert_eq!(states().await, "DECLINED RESOLVED CANCELLED");
    for late in [&short, &approved(), &approved(), &short] {
        comes_late(&machine, &entry.original, late).await;
    }
    assert_eq!(states().await, "DECLINED RESOLVED CANCELLED QUEUED");
    let about = machine.store.operations_about(&entry.original).await;
    let about = about.unwrap();
    let owed = about.iter().find(|it| it.state.open() == Open::Owed);
    let owed = machine.store.owed_entry(owed.unwrap().id).await.unwrap();
    let owed = sent(&machine, owed.unwrap(), 0).await;
    machine.end_attempt(owed, &approved()).await;
    assert_eq!(states().await, "DECLINED RESOLVED CANCELLED APPROVED");
    machine.store.close().await;
}

/// A bank that approved what it then does not know has undone nothing: an operator has to look.
#[tokio::test]
async fn a_bank_that_approved_can_not_know_nothing_of_it() {
    let (lost, amount) = (UnknownReason::NoAnswerInTime, UnknownReason::AmountDiffers);
    let short = declined("51", DeclineReason::InsufficientFunds);
    let (reversed, suspended) = ("REVERSED REVERSED APPROVED", "REVERSING UNKNOWN SUSPENDED");
    for (number, (reason, late, answer, expected)) in [
        (lost, None, original_unknown(), reversed),
        (lost, Some(short), original_unknown(), reversed),
        (lost, Some(approved()), original_unknown(), suspended),
        (lost, Some(approved()), approved(), reversed),
        (amount, None, original_unknown(), suspended),
        (amount, None, approved(), reversed),
    ]
    .into_iter()
    .enumerate()
    {
        let (_folder, machine, entry) = owing_for(&format!("contra-{number}"), reason).await;
        let entry = sent(&machine, entry, 15_000).await;
        if let Some(late) = late {
            comes_late(&machine, &entry.original, &late).await;
        }
        // The entry is as it was before that.
        machine.end_attempt(entry.clone(), &answer).await;
        assert_eq!(states(&machine, &entry).await, expected, "{number}");
        machine.store.close().await;
    }
}

/// As long as a message may need it, whatever state its payment has.
#[tokio::test]
async fn a_card_is_kept_for_a_second_reversal() {
    let (_folder, machine, entry) = owing("second-card").await;
    let payment = entry.payment.clone();
    let is_kept = async |days| {
        // What would have ended by then is removed.
        let later = machine.clock.now().plus_days(days);
        let all = [-1, 1].map(|ms| PaymentId::from_parts(payment.created_at.plus_ms(ms), [0; 10]));
        let looked_at = machine.store.end_custody(1, all.into(), later).await;
        assert!(looked_at.unwrap().next_end > later);
        let card = machine
            .custody
            .card_of(&payment.merchant_id, payment.id, None);
        card.await.unwrap().is_some()
    };
    let entry = sent(&machine, entry, 15_000).await;
    machine
        .end_attempt(entry.clone(), &original_unknown())
        .await;
    assert!(is_kept(2).await, "the bank may still approve");
    comes_late(&machine, &entry.original, &approved()).await;
    assert!(is_kept(179).await, "a reversal is owed");
    let about = machine.store.operations_about(&entry.original).await;
    let about = about.unwrap();
    let second = about.iter().find(|it| it.state.open() == Open::Owed);
    let second = machine.store.owed_entry(second.unwrap().id).await.unwrap();
    let second = sent(&machine, second.unwrap(), 15_000).await;
    machine.end_attempt(second, &approved()).await;
    let expected = "REVERSED REVERSED APPROVED APPROVED";
    assert_eq!(states(&machine, &entry).await, expected);
    assert!(!is_kept(0).await, "nothing is left to send");
    machine.store.close().await;
}

/// An acknowledgement between two attempts counts as any other.
#[tokio::test]
async fn a_late_acknowledgement_ends_the_entry() {
    let (_folder, machine, entry) = owing("acknowledged").await;
    let entry = sent(&machine, entry, 0).await;
    let unclear = Exchange::Unknown(UnknownReason::AnswerNotUnderstood);
    comes_late(&machine, &entry.operation, &unclear).await;
    assert_eq!(states(&machine, &entry).await, "REVERSING UNKNOWN SENT");
    comes_late(&machine, &entry.operation, &approved()).await;
    assert_eq!(states(&machine, &entry).await, "REVERSED REVERSED APPROVED");
    let late = machine.store.late_response(entry.operation.id).await;
    assert_eq!(late.unwrap(), None);
    machine.store.close().await;
}

/// What an operator says of a debt, wherever its message is, and what a late approval makes of it then.
#[tokio::test]
async fn operators_end_a_debt_unless_the_books_would_differ() {
    use OwedResolution::{NeverHappened, Stands, Undone};
    let amount = UnknownReason::AmountDiffers;
    let lost = UnknownReason::NoAnswerInTime;
    let hour_ms = 3_600_000;
    // Queued; sent so long ago; or suspended.
    let (queued, sent_now, sent_before) = (None, Some((0, false)), Some((hour_ms, false)));
    let suspended = Some((hour_ms, true));
    for (number, (resolution, entry_is, reason, refusal, expected)) in [
        (Stands, queued, lost, None, "AUTHORIZED RESOLVED RESOLVED"),
        (
            Stands,
            sent_now,
            lost,
            Some(OwedRefusal::InFlight),
            "REVERSING UNKNOWN SENT",
        ),
        (
            Stands,
            sent_before,
            lost,
            None,
            "AUTHORIZED RESOLVED RESOLVED",
        ),
        (
            Stands,
            suspended,
            amount,
            Some(OwedRefusal::AmountDiffers),
            "REVERSING UNKNOWN SUSPENDED",
        ),
        (
            Stands,
            suspended,
            lost,
            None,
            "AUTHORIZED RESOLVED RESOLVED",
        ),
        (
            Undone,
            suspended,
            amount,
            None,
            "REVERSED REVERSED RESOLVED",
        ),
        (Undone, sent_now, lost, None, "REVERSED REVERSED RESOLVED"),
        (
            NeverHappened,
            sent_now,
            lost,
            None,
            "REVERSED RESOLVED RESOLVED QUEUED",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (_folder, machine, mut entry) = owing_for(&format!("resolve-{number}"), reason).await;
        if let Some((before_ms, _)) = entry_is {
            let now = machine.clock.now().as_i64();
            let after_ms = now - before_ms - entry.operation.deadline.as_i64();
            entry = sent(&machine, entry, after_ms).await;
        }
        if let Some((_, true)) = entry_is {
            machine
                .suspend(entry.clone(), SuspendReason::Refused, None)
                .await;
            let suspended = machine.store.owed_entry(entry.operation.id).await;
            entry = suspended.unwrap().unwrap();
        }
        let resolved = machine.resolve_owed(entry.operation.id, resolution).await;
        assert_eq!(resolved.err(), refusal, "{number}");
        comes_late(&machine, &entry.original, &approved()).await;
        assert_eq!(states(&machine, &entry).await, expected, "{number}");
        machine.store.close().await;
    }
}

/// It is reversed, whatever the merchant takes: the answer that was told stands.
#[tokio::test]
async fn a_late_approval_of_a_part_is_not_said_to_stand_for_the_whole() {
    let (_folder, machine, entry) = owing("part").await;
    let part = Exchange::approved(Approval {
        approval_code: "A1B2C3".into(),
        response_code: "10".parse().unwrap(),
        partial_minor: Some(500),
    });
    comes_late(&machine, &entry.original, &part).await;
    let stands = machine
        .resolve_owed(entry.operation.id, OwedResolution::Stands)
        .await;
    assert_eq!(stands.err(), Some(OwedRefusal::AmountDiffers));
    assert_eq!(states(&machine, &entry).await, "AUTHORIZING UNKNOWN QUEUED");
    machine.store.close().await;
}

/// Only an acknowledgement ends what is suspended.
#[tokio::test]
async fn a_suspended_entry_is_left_to_the_operator() {
    let (_folder, machine, entry) = owing("suspended").await;
    let entry = sent(&machine, entry, 0).await;
    machine
        .suspend(entry.clone(), SuspendReason::Refused, None)
        .await;
    comes_late(
        &machine,
        &entry.operation,
        &declined("30", DeclineReason::FormatError),
    )
    .await;
    let suspended = machine.store.owed_entry(entry.operation.id).await;
    let suspended = suspended.unwrap().unwrap().operation;
    assert_eq!(suspended.attempts.next_at, None);
    assert_eq!(suspended.state.name(), "SUSPENDED");
    comes_late(&machine, &entry.operation, &approved()).await;
    assert_eq!(states(&machine, &entry).await, "REVERSED REVERSED APPROVED");
    machine.store.close().await;
}

/// A bank puts the card where nobody looks for one.
#[tokio::test]
async fn the_quarantine_holds_no_card_in_clear() {
    const PAN: &str = "4539148803436467";
    let folder = Folder::new("quarantine").await;
    let bank = Bank::start().await;
    let (hosts, mut noticed) = hosts_of(&bank);
    let machine = folder.machine_of(hosts).await;
    let mut line = bank.accept_signed_on().await;
    let mut message = approval_of(&samples::operation(), &PAN[..8], "A1B2C3");
    message
        .text(2, PAN)
        .text(37, &PAN[..12])
        .text(42, &PAN[..15])
        .text(43, &format!("{:<40}", format!("SHOP {PAN} BERLIN")));
    line.write(&message).await;
    let notice = noticed.recv().await.unwrap();
    assert!(matches!(notice, HostNotice::Quarantined(_)), "{notice:?}");
    machine.keep(notice).await;
    let kept = machine.store.list_quarantine(10, None).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].stan, Some(samples::operation().stan));
    let shown = format!("{kept:?}");
    let in_hex = |part: &str| part.bytes().map(|byte| format!("{byte:02x}")).collect();
    for start in 0..=PAN.len() - 7 {
        let part = &PAN[start..start + 7];
        let hex: String = in_hex(part);
        for clear in [part, &hex] {
            assert!(!shown.contains(clear), "{clear} in {shown}");
        }
    }
    machine.store.close().await;
}

/// An answer that its line could not place counts by its whole key. A second answer, and one with a fault, ends
/// nothing.
#[tokio::test]
async fn an_answer_in_the_quarantine_may_count() {
    use QuarantineReason as R;
    let fields = vec![KeyField::Rrn];
    let detail = "DE 54".to_owned();
    for (number, (reason, is_kept, expected)) in [
        (R::NoMatch, true, "DECLINED RESOLVED CANCELLED"),
        (
            R::KeyMismatch { fields },
            true,
            "DECLINED RESOLVED CANCELLED",
        ),
        (R::Duplicate, true, "AUTHORIZING UNKNOWN QUEUED"),
        (
            R::Undecodable { detail },
            true,
            "AUTHORIZING UNKNOWN QUEUED",
        ),
        (R::UnexpectedRequest, false, "AUTHORIZING UNKNOWN QUEUED"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("quarantined-{number}");
        let bank = Bank::start().await;
        let (hosts, mut noticed) = hosts_of(&bank);
        let (_folder, machine, entry) = owing_at(&name, hosts, UnknownReason::ConnectionLost).await;
        let mut line = bank.accept_signed_on().await;
        line.write(&approval_of(&entry.original, "WEB00001", "A1B2C3"))
            .await;
        let Some(HostNotice::Quarantined(mut quarantined)) = noticed.recv().await else {
            panic!("the line knows no request");
        };
        let again = quarantined.clone();
        quarantined.reason = reason;
        quarantined.response_code = "51".parse().ok();
        machine.keep(HostNotice::Quarantined(quarantined)).await;
        assert_eq!(states(&machine, &entry).await, expected, "{number}");
        let late = machine.store.late_response(entry.original.id).await;
        assert_eq!(late.unwrap().is_some(), is_kept, "{number}");
        // A second answer that approves is reversed, and one that declines changes nothing.
        if expected.starts_with("DECLINED") {
            for (code, expected) in [
                ("51", "DECLINED RESOLVED CANCELLED"),
                ("00", "DECLINED RESOLVED CANCELLED QUEUED"),
                ("51", "DECLINED RESOLVED CANCELLED QUEUED"),
            ] {
                let mut second = again.clone();
                second.reason = R::Duplicate;
                second.response_code = code.parse().ok();
                machine.keep(HostNotice::Quarantined(second)).await;
                assert_eq!(states(&machine, &entry).await, expected, "{code}");
            }
        }
        machine.store.close().await;
    }
}
