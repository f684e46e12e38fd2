//! Session keys: on every node, once, for a while.

use super::*;
use crate::card::session::MAX_MESSAGES;
use crate::random::Random;

#[test]
fn a_session_works_on_every_node_that_has_the_master_key() {
    let here = fixture();
    let (session, recipient) = here.session(600);
    assert_eq!(session.expires_at, NOW.plus_ms(600_000));
    assert_eq!(session.max_messages, MAX_MESSAGES);
    let sealed = recipient.seal_card(&card(), &claims()).unwrap();

    let restarted = fixture();
    assert!(restarted.open(sealed.as_str()).is_ok());
    let foreign = Opener::new(SealingKeys::new([]), &master_key(2), &Random::SYSTEM).unwrap();
    let refused = foreign.open_card(sealed.as_str(), &here.binding(), NOW);
    assert_eq!(refused.unwrap_err(), SealedCardFault::Key);

    let other: MerchantId = "other-shop".parse().unwrap();
    let stolen = Binding {
        merchant_id: &other,
        ..here.binding()
    };
    let refused = here.opener.open_card(sealed.as_str(), &stolen, NOW);
    assert_eq!(refused.unwrap_err(), SealedCardFault::Key);

    let last = NOW.plus_ms(599_000);
    for (moment, expected) in [
        (last, None),
        (last.plus_ms(1000), Some(SealedCardFault::Key)),
    ] {
        let claims = CardClaims {
            issued_at: moment,
            ..claims()
        };
        let sealed = recipient.seal_card(&card(), &claims).unwrap();
        let opened = here
            .opener
            .open_card(sealed.as_str(), &here.binding(), moment);
        assert_eq!(opened.err(), expected);
    }
}

#[test]
fn a_session_key_is_set_up_once_and_used_a_limited_number_of_times() {
    let fixture = fixture();
    let key = SessionKey::generate(&Random::SYSTEM).unwrap();
    let claims_of = |merchant, lifetime_s| SessionClaims {
        merchant,
        jti: JTI,
        issued_at: NOW,
        lifetime_s,
    };
    let recipient = fixture.recipient(Algorithm::RsaOaep256);
    let seal = |merchant, lifetime_s| {
        recipient
            .seal_session_key(&key, &claims_of(merchant, lifetime_s))
            .unwrap()
    };
    let open = |sealed: &str, now| {
        fixture
            .opener
            .open_session_key(sealed, &fixture.merchant_id, now)
    };
    let good = seal("demo-shop", 3600);
    let first = open(&good, NOW).unwrap();
    assert_eq!(open(&good, NOW.plus_ms(299_000)).unwrap(), first);
    for (sealed, now, expected) in [
        (good.clone(), NOW.plus_ms(300_000), SealedCardFault::Expired),
        (good, NOW.plus_ms(-61_000), SealedCardFault::ClockAhead),
        (seal("demo-shop", 3601), NOW, SealedCardFault::Lifetime),
        (seal("demo-shop", 0), NOW, SealedCardFault::Lifetime),
        (seal("other-shop", 3600), NOW, SealedCardFault::Merchant),
        (
            fixture.seal(Algorithm::EcdhEs),
            NOW,
            SealedCardFault::Header,
        ),
    ] {
        assert_eq!(open(&sealed, now).unwrap_err(), expected);
    }

    let (session, recipient) = fixture.session(3600);
    let ready = fixture.opener.keys.tickets.find(&session.kid).unwrap();
    let sealed = recipient.seal_card(&card(), &claims()).unwrap();
    let uses = (0..MAX_MESSAGES).filter(|_| ready.count()).count();
    assert_eq!(uses, 1 << 20);
    let refused = fixture.open(sealed.as_str()).unwrap_err();
    assert_eq!(refused, SealedCardFault::SessionUsedUp);
    // A session is no card, and the other way round.
    let sealed = recipient.seal_session_key(&key, &claims_of("demo-shop", 60));
    assert_eq!(
        open(&sealed.unwrap(), NOW).unwrap_err(),
        SealedCardFault::Header
    );
}
