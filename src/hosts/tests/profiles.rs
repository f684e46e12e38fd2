//! The profiles that come with the project: an authorization and its reversal, element by element, and their
//! answers.

use std::path::Path;

use iso8583::MessageBuilder;

use super::bank::{Bank, BankLine};
use super::*;
use crate::hosts::message::contents::{Original, Outgoing};
use crate::hosts::message::local_clock::time_zone;
use crate::hosts::profile::load;
use crate::payment::decline::DeclineReason;
use crate::payment::merchant::Merchant;
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;
use crate::payment::record::{Element, Operation};
use crate::payment::reference::SequenceNumber;

/// A host that is started with one of the profiles, and its bank.
struct Host {
    started: Started,
    line: BankLine,
    _bank: Bank,
    authorization: Operation,
    reversal: Operation,
}

impl Host {
    async fn start(profile: &str) -> Self {
        let mut bank = Bank::start().await;
        // Operations of these tests go to the host `acquirer`.
        let mut profile = load::parse(profile, Path::new("acquirer.toml"), Path::new(".")).unwrap();
        let reachable = bank.profile();
        profile.address = reachable.address;
        profile.tls = reachable.tls;
        profile.lines = 1;
        bank.dialect = (*profile.dialect).clone();
        let signs_on = profile.network.sign_on;
        let zone = profile.time_zone.clone();
        let zone = zone.or_else(|| time_zone("UTC")).unwrap();
        let rrn = profile.rrn;
        let started = Started::new(profile);
        let line = if signs_on {
            bank.accept_signed_on().await
        } else {
            bank.accept().await
        };
        assert!(started.hosts.ready(TEST_TIMEOUT).await);
        let mut authorization = known::operation();
        let number = SequenceNumber::new(6).unwrap();
        let (date, at) = (authorization.number_date, authorization.transmitted_at);
        authorization.rrn = rrn.rrn(number, date, at, &zone);
        let mut reversal = known::numbered(8);
        reversal.kind = OperationKind::Reversal;
        reversal.transmitted_at = at.plus_ms(5000);
        Self {
            started,
            line,
            _bank: bank,
            authorization,
            reversal,
        }
    }

    /// Sends a message, checks it, and answers it with these elements changed.
    async fn exchange(
        &mut self,
        outgoing: Outgoing<'_>,
        mti: &str,
        expected: &[(u8, &str)],
        changes: &[(u8, &str)],
    ) -> Exchange {
        let deadline = Instant::now() + TEST_TIMEOUT;
        let sent = self.started.hosts.send(outgoing, deadline);
        let answered = async {
            let request = self.line.read().await.expect("a message");
            assert_eq!(request.mti().to_string(), mti);
            let expected: Vec<_> = expected
                .iter()
                .map(|(de, text)| (*de, (*text).to_owned()))
                .collect();
            assert_eq!(elements(&request), expected);
            self.line.write(&answer(&request, changes)).await;
        };
        tokio::join!(sent, answered).0
    }
}

/// What a message holds, in the order of its elements.
fn elements(message: &MessageBuilder) -> Vec<(u8, String)> {
    let text = |de| message.text_of(de).map(|text| text.into_owned());
    message
        .iter_des()
        .filter_map(|de| Some((de, text(de)?)))
        .collect()
}

fn answer(request: &MessageBuilder, changes: &[(u8, &str)]) -> MessageBuilder {
    let mut answer = request.clone();
    answer.set_mti(request.mti().response().unwrap());
    for de in [2, 14, 43, 48, 63, 90] {
        answer.remove(de);
    }
    for (de, value) in changes {
        answer.text(*de, value);
    }
    answer
}

fn element(name: &str, value: &str) -> Element {
    Element {
        name: name.into(),
        value: value.into(),
    }
}

fn kept(exchange: Exchange) -> Vec<Element> {
    match exchange {
        Exchange::Approved { approval, kept, .. } => {
            assert_eq!(approval.approval_code, "A1B2C3");
            kept
        }
        other => panic!("expected an approval, got {other:?}"),
    }
}

fn for_reason(reversal: &Operation, reason: Reason) -> Operation {
    Operation {
        reason: Some(reason),
        ..reversal.clone()
    }
}

/// The reversal of an original.
fn reversal<'a>(
    (original, reversal): (&'a Operation, &'a Operation),
    merchant: &'a Merchant,
    approval_code: Option<&'a str>,
) -> Outgoing<'a> {
    Outgoing {
        original: Some(Original {
            operation: original,
            approval_code,
        }),
        ..known::outgoing(reversal, merchant)
    }
}

#[tokio::test]
async fn the_template() {
    let mut host = Host::start(include_str!("../../../hosts/acquirer.toml")).await;
    let merchant = known::merchant();
    let (mut original, undoing) = (host.authorization.clone(), host.reversal.clone());
    let recorded = original.clone();
    let authorization = known::outgoing(&recorded, &merchant);
    // Nothing has to be recorded beside the numbers.
    assert_eq!(
        host.started.hosts.sent_elements(authorization),
        Ok(Vec::new())
    );
    let expected = [
        (2, "4111111111111111"),
        (3, "000000"),
        (4, "000000001250"),
        (7, "1121101530"),
        (11, "000007"),
        (12, "101530"),
        (13, "1121"),
        (14, "2712"),
        (18, "5999"),
        (19, "276"),
        (22, "812"),
        (25, "59"),
        (32, "400001"),
        (37, "632500000006"),
        (41, "TERM0001"),
        (42, "ACCEPTOR0000001"),
        (43, "Demo Shop                Berlin       DE"),
        (48, "9203123"),
        (49, "978"),
    ];
    let approval = [(38, "A1B2C3"), (39, "00")];
    let end = host
        .exchange(authorization, "0100", &expected, &approval)
        .await;
    assert_eq!(kept(end), []);
    original.kept = Vec::new();
    let undoing = for_reason(&undoing, Reason::LateApproval);
    let first = reversal((&original, &undoing), &merchant, Some("A1B2C3"));
    let mut expected = vec![
        (2, "4111111111111111"),
        (3, "000000"),
        (4, "000000001250"),
        (7, "1121101535"),
        (11, "000009"),
        (12, "101530"),
        (13, "1121"),
        (32, "400001"),
        (37, "632500000006"),
        (38, "A1B2C3"),
        (39, "68"),
        (41, "TERM0001"),
        (42, "ACCEPTOR0000001"),
        (49, "978"),
        (90, "010000000711211015300000040000100000000000"),
    ];
    let not_now = [(39, "96")];
    let end = host.exchange(first, "0420", &expected, &not_now).await;
    assert!(matches!(end, Exchange::Again { .. }), "{end:?}");
    // Not taken now: the same again, as a repeat.
    let repeat = Outgoing {
        repeat: true,
        ..first
    };
    let end = host
        .exchange(repeat, "0421", &expected, &[(39, "00")])
        .await;
    assert!(matches!(end, Exchange::Approved { .. }), "{end:?}");
    // After a time-out there is no approval code, and the reason may be another.
    let undoing = for_reason(&undoing, Reason::UnclearAnswer);
    let unclear = reversal((&original, &undoing), &merchant, None);
    expected.retain(|(de, _)| *de != 38);
    expected[9] = (39, "22");
    let end = host
        .exchange(unclear, "0420", &expected, &[(39, "30")])
        .await;
    assert!(
        matches!(&end, Exchange::Declined { decline, .. }
            if decline.reason == DeclineReason::FormatError),
        "{end:?}"
    );
}

/// A reversal under the numbers of its original, which it names by local time, repeated as it was.
#[tokio::test]
async fn a_switch_that_wants_the_originals_numbers() {
    let mut host = Host::start(include_str!("../../../hosts/examples/nps.toml")).await;
    let merchant = known::merchant();
    let (mut original, undoing) = (host.authorization.clone(), host.reversal.clone());
    let recorded = original.clone();
    let authorization = known::outgoing(&recorded, &merchant);
    original.sent = host.started.hosts.sent_elements(authorization).unwrap();
    let as_sent = [
        ("3", "000000"),
        ("12", "160030"),
        ("13", "1121"),
        ("18", "5999"),
        ("19", "276"),
        ("22", "072"),
        ("25", "59"),
        ("32", "400002"),
        ("42", "ACCEPTOR0000001"),
        ("43", "Demo Shop             Berlin         276"),
        ("48.050", "01"),
        ("48.054", "07"),
        ("48.061", "632516000007"),
        ("61", "0000010000000"),
    ];
    let sorted = |mut elements: Vec<Element>| {
        elements.sort_by(|one, other| one.name.cmp(&other.name));
        elements
    };
    let expected = as_sent.map(|(name, value)| element(name, value));
    assert_eq!(sorted(original.sent.clone()), sorted(expected.to_vec()));
    let expected = [
        (2, "4111111111111111"),
        (3, "000000"),
        (4, "000000001250"),
        (7, "1121101530"),
        (11, "000007"),
        (12, "160030"),
        (13, "1121"),
        (14, "2712"),
        (18, "5999"),
        (19, "276"),
        (22, "072"),
        (25, "59"),
        (32, "400002"),
        (37, "632516000007"),
        (41, "TERM0001"),
        (42, "ACCEPTOR0000001"),
        (43, "Demo Shop             Berlin         276"),
        (48, "0500020105100312305400207061012632516000007"),
        (49, "978"),
        (61, "0000010000000"),
    ];
    let approval = [(15, "1122"), (38, "A1B2C3"), (39, "00")];
    let end = host
        .exchange(authorization, "0100", &expected, &approval)
        .await;
    original.kept = kept(end);
    assert_eq!(
        original.kept,
        [element("15", "1122"), element("38", "A1B2C3")]
    );
    let undoing = for_reason(&undoing, Reason::TimeOut);
    let time_out = reversal((&original, &undoing), &merchant, None);
    let expected = [
        (2, "4111111111111111"),
        (3, "000000"),
        (4, "000000001250"),
        (7, "1121101535"),
        (11, "000007"),
        (12, "160030"),
        (13, "1121"),
        (18, "5999"),
        (19, "276"),
        (22, "072"),
        (25, "59"),
        (32, "400002"),
        (37, "632516000007"),
        (39, "68"),
        (41, "TERM0001"),
        (42, "ACCEPTOR0000001"),
        (43, "Demo Shop             Berlin         276"),
        (48, "0500020105400207061012632516000007"),
        (49, "978"),
        (61, "0000010000000"),
        (90, "010000000716003011210000040000200000000000"),
    ];
    let error = [(39, "00"), (44, "A022")];
    let end = host.exchange(time_out, "0420", &expected, &error).await;
    assert!(
        matches!(&end, Exchange::Unclear { response_code: Some(code), .. } if code.as_str() == "00"),
        "{end:?}"
    );
    let repeat = Outgoing {
        repeat: true,
        ..time_out
    };
    let end = host
        .exchange(repeat, "0420", &expected, &[(39, "98")])
        .await;
    assert!(matches!(end, Exchange::Taken { .. }), "{end:?}");
}

/// A host that finds an original by numbers of its own, out of its answer.
#[tokio::test]
async fn a_host_that_wants_its_own_numbers_back() {
    let mut host = Host::start(include_str!("../../../hosts/examples/own-numbers.toml")).await;
    let merchant = known::merchant();
    let (mut original, undoing) = (host.authorization.clone(), host.reversal.clone());
    let recorded = original.clone();
    let authorization = known::outgoing(&recorded, &merchant);
    original.sent = host.started.hosts.sent_elements(authorization).unwrap();
    let as_sent = [
        ("3", "000000"),
        ("29", "001"),
        ("32", "000123"),
        ("42", "ACCEPTOR0000001"),
    ];
    assert_eq!(
        original.sent,
        as_sent.map(|(name, value)| element(name, value))
    );
    let expected = [
        (2, "4111111111111111"),
        (3, "000000"),
        (4, "000000001250"),
        (11, "000007"),
        (12, "261121101530"),
        (14, "2712"),
        (22, "100850100110"),
        (24, "100"),
        (29, "001"),
        (32, "000123"),
        (37, "632500000006"),
        (41, "TERM0001"),
        (42, "ACCEPTOR0000001"),
        (49, "978"),
        (63, "002003123"),
    ];
    let approval = [
        (38, "A1B2C3"),
        (39, "000"),
        (48, "002006987654003012261121111213004012999988887777"),
        (63, "003001M"),
    ];
    let end = host
        .exchange(authorization, "1100", &expected, &approval)
        .await;
    original.kept = kept(end);
    let answered = [
        ("48.002", "987654"),
        ("48.003", "261121111213"),
        ("48.004", "999988887777"),
        ("63", "003001M"),
    ];
    assert_eq!(
        original.kept,
        answered.map(|(name, value)| element(name, value))
    );
    let undoing = for_reason(&undoing, Reason::LateApproval);
    let late = reversal((&original, &undoing), &merchant, Some("A1B2C3"));
    let expected = [
        (3, "000000"),
        (4, "000000001250"),
        (11, "000009"),
        (12, "261121101535"),
        (24, "400"),
        (25, "4006"),
        (29, "001"),
        (32, "000123"),
        (37, "632500000006"),
        (38, "A1B2C3"),
        (41, "TERM0001"),
        (42, "ACCEPTOR0000001"),
        (48, "002006987654003012261121111213004012999988887777"),
        (49, "978"),
        (63, "003001M"),
    ];
    // No card is needed.
    let late = Outgoing { card: None, ..late };
    let end = host.exchange(late, "1420", &expected, &[(39, "400")]).await;
    assert!(matches!(end, Exchange::Approved { .. }), "{end:?}");
    // After a time-out there was no answer: only the original's own time is left.
    original.kept = Vec::new();
    let undoing = for_reason(&undoing, Reason::TimeOut);
    let time_out = reversal((&original, &undoing), &merchant, None);
    let expected = [
        (3, "000000"),
        (4, "000000001250"),
        (11, "000009"),
        (12, "261121101535"),
        (24, "400"),
        (25, "4021"),
        (29, "001"),
        (32, "000123"),
        (37, "632500000006"),
        (41, "TERM0001"),
        (42, "ACCEPTOR0000001"),
        (48, "003012261121101530"),
        (49, "978"),
    ];
    let unknown = [(39, "914")];
    let end = host.exchange(time_out, "1420", &expected, &unknown).await;
    assert!(matches!(end, Exchange::OriginalUnknown { .. }), "{end:?}");
    let repeat = Outgoing {
        repeat: true,
        ..time_out
    };
    let end = host
        .exchange(repeat, "1421", &expected, &[(39, "400")])
        .await;
    assert!(matches!(end, Exchange::Approved { .. }), "{end:?}");
}
