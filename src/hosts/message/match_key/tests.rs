use super::*;

fn sent() -> RequestKey {
    RequestKey {
        rule: MatchRule::default(),
        response_mti: Mti::AUTHORIZATION_RESPONSE,
        amount_minor: 1250,
        transmitted: 1_121_101_500,
        stan: Stan::try_from(7).unwrap(),
        rrn: "632500000007".parse().unwrap(),
        terminal_id: TerminalId::new("TERM01").unwrap(),
        currency: 978,
    }
}

fn echoed() -> ReceivedKey {
    let sent = sent();
    ReceivedKey {
        mti: sent.response_mti,
        amount_minor: Part::Is(sent.amount_minor),
        transmitted: Part::Is(sent.transmitted),
        stan: Some(sent.stan),
        rrn: Part::Is(sent.rrn),
        terminal_id: Part::Is(sent.terminal_id),
        currency: Part::Is(sent.currency),
    }
}

#[test]
fn the_whole_key_counts() {
    let table: [(&str, ReceivedKey, &[KeyField]); 13] = [
        ("an echo", echoed(), &[]),
        (
            "no amount",
            ReceivedKey {
                amount_minor: Part::Absent,
                ..echoed()
            },
            &[],
        ),
        (
            "another amount",
            ReceivedKey {
                amount_minor: Part::Is(1251),
                ..echoed()
            },
            &[KeyField::Amount],
        ),
        (
            "another type",
            ReceivedKey {
                mti: Mti::FINANCIAL_RESPONSE,
                ..echoed()
            },
            &[KeyField::Mti],
        ),
        (
            "no RRN",
            ReceivedKey {
                rrn: Part::Absent,
                ..echoed()
            },
            &[KeyField::Rrn],
        ),
        (
            "another RRN",
            ReceivedKey {
                rrn: Part::Is("632500000008".parse().unwrap()),
                ..echoed()
            },
            &[KeyField::Rrn],
        ),
        (
            "another terminal",
            ReceivedKey {
                terminal_id: Part::Is(TerminalId::new("TERM02").unwrap()),
                ..echoed()
            },
            &[KeyField::TerminalId],
        ),
        (
            "a terminal that is none",
            ReceivedKey {
                terminal_id: Part::Unusable,
                ..echoed()
            },
            &[KeyField::TerminalId],
        ),
        (
            "an amount that is none",
            ReceivedKey {
                amount_minor: Part::Unusable,
                ..echoed()
            },
            &[KeyField::Amount],
        ),
        (
            "no currency",
            ReceivedKey {
                currency: Part::Absent,
                ..echoed()
            },
            &[],
        ),
        (
            "another currency",
            ReceivedKey {
                currency: Part::Is(840),
                ..echoed()
            },
            &[KeyField::Currency],
        ),
        (
            "another second",
            ReceivedKey {
                transmitted: Part::Is(1_121_101_501),
                ..echoed()
            },
            &[KeyField::TransmissionDateTime],
        ),
        (
            "another type, no terminal",
            ReceivedKey {
                mti: Mti::AUTHORIZATION_REQUEST,
                terminal_id: Part::Absent,
                ..echoed()
            },
            &[KeyField::Mti, KeyField::TerminalId],
        ),
    ];
    for (what, received, expected) in table {
        let differing = MatchRule::default().differences(&sent(), &received);
        assert_eq!(differing.to_vec(), expected, "{what}");
    }
}

#[test]
fn a_part_of_a_message_needs_all_that_is_compared() {
    let rule = MatchRule::default();
    assert!(rule.has_every_part(&echoed()));
    for (what, part) in [
        (
            "no amount",
            ReceivedKey {
                amount_minor: Part::Absent,
                ..echoed()
            },
        ),
        (
            "a currency that is none",
            ReceivedKey {
                currency: Part::Unusable,
                ..echoed()
            },
        ),
        (
            "no RRN",
            ReceivedKey {
                rrn: Part::Absent,
                ..echoed()
            },
        ),
    ] {
        assert!(!rule.has_every_part(&part), "{what}");
    }
    // What is never compared need not be there.
    let stan_alone = MatchRule {
        always: KeyFields::default().with(KeyField::Stan),
        where_echoed: KeyFields::default(),
    };
    let part = ReceivedKey {
        rrn: Part::Absent,
        currency: Part::Absent,
        ..echoed()
    };
    assert!(stan_alone.has_every_part(&part));
}

#[test]
fn terminals_are_eight_characters() {
    assert_eq!(TerminalId::new("TERM01"), TerminalId::new("TERM01  "));
    assert_ne!(TerminalId::new("TERM01"), TerminalId::new(" TERM01"));
    assert_eq!(TerminalId::new("TERMINAL1"), None);
}
