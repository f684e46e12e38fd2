//! Hosts that die and come back.

use crate::{harness::Banks, switch::LIMIT};

#[tokio::test]
async fn a_killed_issuer_is_91_at_once_while_the_other_goes_on_and_it_comes_back_with_its_books() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let address = banks.sim.address("issuer-a");
    let request = switch.authorization("4111111111111111", 5_00);
    assert_eq!(switch.ask(&request).await.code(), "00");
    banks.sim.stop_host("issuer-a").await.unwrap();
    assert!(banks.sim.wait_for_link_down("issuer-a", LIMIT).await);
    for (pan, expected) in [("4111111111111111", "91"), ("5555555555554444", "00")] {
        let request = switch.authorization(pan, 1_00);
        assert_eq!(switch.ask(&request).await.code(), expected, "{pan}");
    }
    banks.sim.start_host("issuer-a").await.unwrap();
    assert_eq!(banks.sim.address("issuer-a"), address);
    assert!(banks.sim.wait_for_link("issuer-a", LIMIT).await);
    // The hold survived, and so did what the acquirer knows of it.
    assert_eq!(switch.ask(&request).await.code(), "94");
    let reversal = switch.reversal(&request);
    assert_eq!(switch.ask(&reversal).await.code(), "00");
    assert_eq!(banks.held("issuer-a", "4111111111111111", "EUR"), 0);
}

#[tokio::test]
async fn a_request_in_flight_when_its_issuer_dies_is_answered_at_the_acquirers_time_out() {
    let banks = Banks::start_with(|config| {
        config.acquirer.as_mut().unwrap().issuer_timeout_ms = 500;
    })
    .await;
    let mut switch = banks.switch().await;
    let silent = switch.authorization("4000000000009912", 5_00);
    switch.send(&silent).await;
    // The second answer shows that the first request has reached the issuer.
    let prompt = switch.authorization("4111111111111111", 5_00);
    assert_eq!(
        switch.ask(&prompt).await.text(11),
        prompt.text_of(11).as_deref()
    );
    banks.sim.stop_host("issuer-a").await.unwrap();
    let answer = switch.receive().await;
    assert_eq!(answer.text(11), silent.text_of(11).as_deref());
    assert_eq!(answer.code(), "91");
    assert_eq!(banks.held("issuer-a", "4000000000009912", "EUR"), 5_00);
}

#[tokio::test]
async fn a_stopped_acquirer_drops_its_lines_and_starts_again() {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    banks.sim.stop_host("acquirer").await.unwrap();
    assert_eq!(switch.receive_or_end().await, None);
    banks.sim.start_host("acquirer").await.unwrap();
    assert!(banks.sim.wait_for_links(LIMIT).await);
    let mut switch = banks.switch().await;
    let request = switch.authorization("5555555555554444", 1_00);
    assert_eq!(switch.ask(&request).await.code(), "00");
    assert!(banks.sim.stop_host("nobody").await.is_err());
}
