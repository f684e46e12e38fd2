use super::*;
use crate::payment::account_finding::{AccountFindingKind, OnAccount};
use crate::payment::ids::{CaptureId, RefundId};

const NOW: UnixMillis = UnixMillis::new(1_796_000_000_000);

/// A capture of 10.00, and what the bank has of it.
fn discrepancy(kind: DifferenceKind, ours: &str, theirs: &str) -> Discrepancy {
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    Discrepancy {
        id: "dis_1".into(),
        found: in_report(Difference {
            kind,
            host_id: "acquirer".parse().unwrap(),
            business_date: "2026-11-29".parse().unwrap(),
            merchant_id: "shop".parse().ok(),
            currency: "EUR".parse().unwrap(),
            operation_id: None,
            subject_id: Some(SubjectId::Capture(CaptureId::from_parts(NOW, [1; 10]))),
            rrn: None,
            ours: text(ours),
            theirs: text(theirs),
            line: Some(2),
            accepted_at: None,
            rule: Some("rrn".into()),
            candidates: Vec::new(),
        }),
        found_at: NOW,
        state: DiscrepancyState::Open,
        owner: None,
        due_at: None,
        updated_at: NOW,
        version: 1,
        proposal: None,
        correction: None,
    }
}

fn in_report(difference: Difference) -> Found {
    Found::InReport(ReportFinding {
        import_id: ImportId::from_parts(NOW, [1; 10]),
        item_rrn: None,
        difference,
    })
}

fn difference(of: &Discrepancy) -> Difference {
    of.found.in_report().unwrap().difference.clone()
}

fn stepped(from: &Discrepancy, to: &Stepped) -> Discrepancy {
    Discrepancy {
        state: to.state,
        owner: to.owner,
        proposal: to.proposal.clone(),
        ..from.clone()
    }
}

#[test]
fn a_correction_is_what_the_acquirer_owes_more() {
    use DifferenceKind as K;
    let refund = |found: Discrepancy| Discrepancy {
        found: in_report(Difference {
            subject_id: Some(SubjectId::Refund(RefundId::from_parts(NOW, [1; 10]))),
            ..difference(&found)
        }),
        ..found
    };
    let line = |kind, theirs| {
        let found = discrepancy(kind, "", theirs);
        Discrepancy {
            found: in_report(Difference {
                subject_id: None,
                ..difference(&found)
            }),
            ..found
        }
    };
    for (found, expected) in [
        (discrepancy(K::AmountDiffers, "1000", "999"), Some(-1)),
        (
            refund(discrepancy(K::AmountDiffers, "1000", "999")),
            Some(1),
        ),
        (discrepancy(K::SignDiffers, "1000", "-1000"), Some(-2_000)),
        (discrepancy(K::NotInReport, "1000", ""), Some(-1_000)),
        (refund(discrepancy(K::NotInReport, "1000", "")), Some(1_000)),
        (discrepancy(K::Rejected, "1000", "E12"), Some(-1_000)),
        (discrepancy(K::DuplicateLine, "1000", "1000"), Some(1_000)),
        (line(K::UnexpectedLine, "-500"), Some(-500)),
        (line(K::ReversalNotApplied, "500"), Some(500)),
        // Whatever was undone, the line says which way its money goes.
        (
            refund(discrepancy(K::ReversalNotApplied, "", "-500")),
            Some(-500),
        ),
        (discrepancy(K::FeeDiffers, "3", "4"), Some(1)),
        (refund(discrepancy(K::FeeDiffers, "3", "0")), Some(-3)),
        (discrepancy(K::CurrencyDiffers, "EUR", "USD"), None),
        (
            discrepancy(K::DateDiffers, "2026-11-29", "2026-11-30"),
            None,
        ),
    ] {
        assert_eq!(found.owed_more_minor(), expected, "{:?}", found.found);
    }
}

/// What each state makes of each step. A correction is of one cent, and one person decides on it alone.
#[test]
fn each_state_takes_the_steps_that_make_sense() {
    use DiscrepancyState as S;
    let alice: OperatorName = "alice".parse().unwrap();
    let steps = [
        Step::Assign(alice),
        Step::AskBank,
        Step::End(Ending::Accept),
        Step::End(Ending::Correct(Bearer::House)),
        Step::Propose(Ending::Accept),
        Step::Approve,
        Step::Reopen,
    ];
    let open = discrepancy(DifferenceKind::AmountDiffers, "1000", "999");
    for (state, expected) in [
        (
            S::Open,
            "ASSIGNED ASKED_BANK ACCEPTED CORRECTED PROPOSED . .",
        ),
        (
            S::Assigned,
            "ASSIGNED ASKED_BANK ACCEPTED CORRECTED PROPOSED . .",
        ),
        (
            S::AskedBank,
            "ASSIGNED ASKED_BANK ACCEPTED CORRECTED PROPOSED . .",
        ),
        (S::Proposed, ". . . . . CORRECTED OPEN"),
        (S::Corrected, ". . . . . . OPEN"),
        (S::Accepted, ". . . . . . OPEN"),
    ] {
        let proposal = Proposal {
            ending: Ending::Correct(Bearer::Merchant),
            by: "bob".into(),
        };
        let standing = Discrepancy {
            state,
            proposal: (state == S::Proposed).then_some(proposal),
            ..open.clone()
        };
        let after = steps.iter().map(|step| {
            let stepped = standing.step(step, "alice", 1);
            stepped.map_or(".", |stepped| stepped.state.name())
        });
        let after: Vec<_> = after.collect();
        assert_eq!(after.join(" "), expected, "{state:?}");
    }
}

#[test]
fn what_is_about_more_takes_a_second_person() {
    let open = discrepancy(DifferenceKind::AmountDiffers, "1000", "500");
    let end = Step::End(Ending::Correct(Bearer::Merchant));
    let proposed = open.step(&end, "alice", 499).unwrap();
    assert_eq!(proposed.state, DiscrepancyState::Proposed);
    assert_eq!(proposed.moves, None);
    let proposed = stepped(&open, &proposed);
    let same = proposed.step(&Step::Approve, "alice", 499);
    assert_eq!(same, Err(StepRefused::SamePerson));
    let agreed = proposed.step(&Step::Approve, "bob", 499).unwrap();
    assert_eq!(agreed.moves, Some((-500, Bearer::Merchant)));
    let corrected = stepped(&open, &agreed);
    let undone = corrected.step(&Step::Reopen, "bob", 499).unwrap();
    assert_eq!(
        (undone.state, undone.undoes),
        (DiscrepancyState::Open, true)
    );
    // As large an amount that is only accepted takes one too.
    let accepted = open.step(&Step::End(Ending::Accept), "alice", 499).unwrap();
    assert_eq!(accepted.state, DiscrepancyState::Proposed);
    let alone = open.step(&end, "alice", 500).unwrap();
    assert_eq!(alone.state, DiscrepancyState::Corrected);
    // Of what has no known outcome all of it is at stake.
    let not_known = Discrepancy {
        found: in_report(Difference {
            rule: None,
            ..difference(&open)
        }),
        ..open.clone()
    };
    let proposed = not_known.step(&end, "alice", 499).unwrap();
    assert_eq!(proposed.state, DiscrepancyState::Proposed);

    let dated = discrepancy(DifferenceKind::DateDiffers, "2026-11-29", "2026-11-30");
    assert_eq!(dated.step(&end, "alice", 500), Err(StepRefused::NoAmount));
    // A date moves nothing; another currency is worth any amount.
    let accept = Step::End(Ending::Accept);
    let accepted = dated.step(&accept, "alice", 0).unwrap();
    assert_eq!(accepted.state, DiscrepancyState::Accepted);
    let currency = discrepancy(DifferenceKind::CurrencyDiffers, "EUR", "USD");
    let proposed = currency.step(&accept, "alice", 1_000_000).unwrap();
    assert_eq!(proposed.state, DiscrepancyState::Proposed);
    let nobodys = Discrepancy {
        found: in_report(Difference {
            merchant_id: None,
            ..difference(&open)
        }),
        ..open
    };
    assert_eq!(nobodys.step(&end, "alice", 1), Err(StepRefused::NoMerchant));
}

/// What is on a bank account is decided as what reports have, and no journal corrects it.
#[test]
fn what_is_on_an_account_is_decided_alike_and_not_corrected() {
    let day = "acquirer/2026-11-29/EUR".parse().unwrap();
    let missing = Discrepancy {
        found: Found::OnAccount(AccountFinding {
            kind: AccountFindingKind::MissingAtBank,
            account: "main".parse().unwrap(),
            host_id: "acquirer".parse().ok(),
            date: "2026-11-29".parse().unwrap(),
            currency: "EUR".parse().unwrap(),
            of: OnAccount::Missing(day),
            ours: Some("-500".into()),
            theirs: None,
            candidates: Vec::new(),
        }),
        ..discrepancy(DifferenceKind::NotInReport, "", "")
    };
    let accept = Step::End(Ending::Accept);
    let alone = missing.step(&accept, "alice", 500).unwrap();
    assert_eq!(alone.state, DiscrepancyState::Accepted);
    let proposed = missing.step(&accept, "alice", 499).unwrap();
    assert_eq!(proposed.state, DiscrepancyState::Proposed);
    for step in [
        Step::End(Ending::Correct(Bearer::House)),
        Step::Propose(Ending::Correct(Bearer::House)),
    ] {
        let refused = missing.step(&step, "alice", 500);
        assert_eq!(refused, Err(StepRefused::NotInLedger));
    }
}
