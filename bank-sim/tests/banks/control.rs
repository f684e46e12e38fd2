//! The control API: what it shows of books and messages, and the faults that it adds.

use std::time::Duration;

use bank_sim::control::pb::{
    self, Direction, Effect, control_service_client::ControlServiceClient, fault::What,
};
use iso8583::MessageBuilder;
use tokio::time::Instant;
use tonic::{Code, transport::Channel};

use crate::harness::Banks;
use crate::switch::Switch;

const PAN: &str = "4111111111111111";

pub(crate) async fn control(banks: &Banks) -> ControlServiceClient<Channel> {
    let address = banks.sim.control_address().unwrap();
    ControlServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap()
}

pub(crate) async fn inject(
    control: &mut ControlServiceClient<Channel>,
    host: &str,
    mti: &str,
    what: What,
) -> Result<i32, tonic::Status> {
    let fault = Some(pb::Fault {
        host: host.to_owned(),
        mti: mti.to_owned(),
        times: 1,
        what: Some(what),
        ..pb::Fault::default()
    });
    let request = pb::InjectFaultRequest { fault };
    let added = control.inject_fault(request).await?;
    Ok(added.into_inner().fault_count)
}

/// Held on the card's euros at issuer-a, as the API tells it.
async fn held(control: &mut ControlServiceClient<Channel>) -> i64 {
    let host = "issuer-a".to_owned();
    let accounts = control
        .list_accounts(pb::ListAccountsRequest { host })
        .await;
    let accounts = accounts.unwrap().into_inner().accounts;
    let account = accounts
        .iter()
        .find(|account| account.card_masked == "411111******1111" && account.currency == "EUR")
        .unwrap();
    assert_eq!(account.available, account.balance - account.held);
    account.held
}

#[tokio::test]
async fn books_and_messages_are_shown_and_secrets_are_not() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let mut control = control(&banks).await;
    let request = switch.authorization(PAN, 80_00);
    assert_eq!(switch.ask(&request).await.code(), "00");
    assert_eq!(held(&mut control).await, 80_00);
    let reversal = switch.reversal(&request);
    for _ in 0..2 {
        assert_eq!(switch.ask(&reversal).await.code(), "00");
    }
    assert_eq!(held(&mut control).await, 0);

    let rrn = request.text_of(37).unwrap();
    let query = pb::ListMessagesRequest {
        rrn: rrn.to_string(),
        ..pb::ListMessagesRequest::default()
    };
    let listed = control.list_messages(query).await.unwrap().into_inner();
    let seen: Vec<_> = listed
        .messages
        .iter()
        .map(|message| {
            assert_eq!(message.rrn, rrn);
            assert!(!format!("{message:?}").contains(PAN));
            let way = match message.direction() {
                Direction::Received => "gets",
                _ => "sends",
            };
            let effect = match (message.effect(), message.repeat) {
                (Effect::Held, false) => " and holds",
                (Effect::Reversed, false) => " and undoes",
                (Effect::None, true) => " again",
                _ => "",
            };
            format!("{} {way} {}{effect}", message.host, message.mti)
        })
        .collect();
    assert_eq!(
        seen,
        [
            "acquirer gets 0100",
            "issuer-a gets 0100 and holds",
            "issuer-a sends 0110",
            "acquirer sends 0110",
            "acquirer gets 0420",
            "issuer-a gets 0420 and undoes",
            "issuer-a sends 0430",
            "acquirer sends 0430",
            "acquirer gets 0420 again",
            "issuer-a gets 0420 again",
            "issuer-a sends 0430",
            "acquirer sends 0430",
        ]
    );
    let first = &listed.messages[0];
    assert_eq!(first.elements[&2], "411111******1111");
    assert_eq!(first.elements[&4], "000000008000");
    assert!(!first.elements[&48].contains("123"));

    // Page by page.
    let page = |after_position| pb::ListMessagesRequest {
        page_size: 7,
        after_position,
        ..pb::ListMessagesRequest::default()
    };
    let (mut after, mut positions) = (0, Vec::new());
    loop {
        let answer = control.list_messages(page(after)).await.unwrap();
        let answer = answer.into_inner();
        if answer.messages.is_empty() {
            assert_eq!(answer.next_position, after);
            break;
        }
        positions.extend(answer.messages.iter().map(|message| message.position));
        after = answer.next_position;
    }
    let expected: Vec<i64> = (1..=after).collect();
    assert!(positions == expected && after > 12);

    let totals = control.get_totals(pb::GetTotalsRequest {}).await.unwrap();
    let totals = totals.into_inner().totals;
    let [total] = &totals[..] else {
        panic!("{totals:?}")
    };
    assert_eq!(
        (total.host.as_str(), total.currency.as_str()),
        ("issuer-a", "EUR")
    );
    assert_eq!(
        (total.held, total.reversed, total.debited),
        (80_00, 80_00, 0)
    );
    assert_eq!((total.exchanges, total.effects_more_than_once), (3, 0));
}

#[tokio::test]
async fn what_the_control_api_can_not_do_is_said() {
    let banks = Banks::start().await;
    let mut control = control(&banks).await;
    let error = inject(&mut control, "issuer-c", "", What::Close(pb::Close {})).await;
    assert_eq!(error.unwrap_err().code(), Code::NotFound);
    for (mti, what, named) in [
        ("01", What::Close(pb::Close {}), "mti"),
        ("", What::DelayMs(0), "delay_ms"),
        ("", What::Duplicate(-1), "duplicate"),
        ("", What::Change(pb::Change::default()), "de"),
    ] {
        let error = inject(&mut control, "", mti, what).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().starts_with(named), "{error}");
    }
    let query = pb::ListMessagesRequest {
        page_size: 1_001,
        ..pb::ListMessagesRequest::default()
    };
    let error = control.list_messages(query).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let cleared = control.clear_faults(pb::ClearFaultsRequest {}).await;
    assert_eq!(cleared.unwrap().into_inner().cleared_count, 0);
}

/// An echo that is answered shows that nothing was answered before it.
async fn assert_silent(switch: &mut Switch) {
    assert_eq!(switch.network("301").await, "00");
}

/// At the acquirer and at the issuer: the same faults, of one kind each.
#[tokio::test]
async fn faults_strike_once_and_then_all_is_well() {
    let banks = Banks::start().await;
    let mut control = control(&banks).await;
    let mut holds = 0;
    for host in ["acquirer", "issuer-a"] {
        let mut switch = banks.line(host).await;
        // Numbers of its own, since both are issuer-a's in the end.
        let terminal = format!("{host:.8}");
        let ask = |switch: &mut Switch| -> MessageBuilder {
            let mut request = switch.authorization(PAN, 1);
            request.text(41, &format!("{terminal:<8}"));
            request
        };
        let dropped = What::DropRequest(pb::DropRequest {});
        inject(&mut control, host, "0100", dropped).await.unwrap();
        let request = ask(&mut switch);
        switch.send(&request).await;
        assert_silent(&mut switch).await;
        assert_eq!(held(&mut control).await, holds);

        let after_effect = What::DropResponse(pb::DropResponse { after_effect: true });
        inject(&mut control, host, "0100", after_effect)
            .await
            .unwrap();
        let lost = ask(&mut switch);
        switch.send(&lost).await;
        let reversal = switch.reversal(&lost);
        // The next answer is that to the reversal.
        assert_eq!(switch.ask(&reversal).await.mti, "0430");

        let changed = What::Change(pb::Change {
            de: 39,
            value: "96".to_owned(),
        });
        inject(&mut control, host, "0100", changed).await.unwrap();
        let request = ask(&mut switch);
        assert_eq!(switch.ask(&request).await.code(), "96");
        let left_out = What::Change(pb::Change {
            de: 38,
            value: String::new(),
        });
        inject(&mut control, host, "0100", left_out).await.unwrap();
        let request = ask(&mut switch);
        let answer = switch.ask(&request).await;
        assert_eq!((answer.code().as_str(), answer.text(38)), ("00", None));

        inject(&mut control, host, "0100", What::Duplicate(2))
            .await
            .unwrap();
        let request = ask(&mut switch);
        let answer = switch.ask(&request).await;
        assert_eq!(switch.receive().await, answer);
        assert_eq!(switch.receive().await, answer);

        inject(&mut control, host, "0100", What::DelayMs(200))
            .await
            .unwrap();
        let request = ask(&mut switch);
        let asked = Instant::now();
        assert_eq!(switch.ask(&request).await.code(), "00");
        assert!(asked.elapsed() >= Duration::from_millis(200));

        let after_reversal = What::AnswerAfterReversal(pb::AnswerAfterReversal {});
        inject(&mut control, host, "0100", after_reversal)
            .await
            .unwrap();
        let request = ask(&mut switch);
        switch.send(&request).await;
        assert_silent(&mut switch).await;
        let reversal = switch.reversal(&request);
        switch.send(&reversal).await;
        let mut answers = [switch.receive().await, switch.receive().await]
            .map(|answer| format!("{} {}", answer.mti, answer.code()));
        answers.sort_unstable();
        assert_eq!(answers, ["0110 00", "0430 00"]);
        holds += 4;
        assert_eq!(held(&mut control).await, holds);

        let closed = What::Close(pb::Close {});
        inject(&mut control, host, "0100", closed).await.unwrap();
        let request = ask(&mut switch);
        switch.send(&request).await;
        assert!(switch.receive_or_end().await.is_none());
        holds += 1;
        assert_eq!(held(&mut control).await, holds);
    }
    let totals = control.get_totals(pb::GetTotalsRequest {}).await.unwrap();
    let totals = totals.into_inner().totals;
    assert!(totals.iter().all(|total| total.effects_more_than_once == 0));
}
