use super::*;

fn sent() -> RequestKey {
    RequestKey {
        rule: MatchRule::default(),
        response_mti: Mti::AUTHORIZATION_RESPONSE,
        asked: AskedAmount {
            amount_minor: 1250,
            currency: 978,
            partial_of_minor: None,
        },
        transmitted: 1_121_101_500,
        stan: Stan::try_from(7).unwrap(),
        rrn: "632500000007".parse().unwrap(),
        terminal_id: TerminalId::new("TERM01").unwrap(),
    }
}

fn echoed() -> ReceivedKey {
    let sent = sent();
    ReceivedKey {
        mti: sent.response_mti,
        transmitted: Part::Is(sent.transmitted),
        stan: Some(sent.stan),
        rrn: Part::Is(sent.rrn),
        terminal_id: Part::Is(sent.terminal_id),
        currency: Part::Is(sent.asked.currency),
    }
}

#[test]
fn the_whole_key_counts() {
    let table: [(&str, ReceivedKey, &[KeyField]); 10] = [
        ("an echo", echoed(), &[]),
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
fn terminals_are_eight_characters() {
    assert_eq!(TerminalId::new("TERM01"), TerminalId::new("TERM01  "));
    assert_ne!(TerminalId::new("TERM01"), TerminalId::new(" TERM01"));
    assert_eq!(TerminalId::new("TERMINAL1"), None);
}
