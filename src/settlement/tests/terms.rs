//! Plans, and the account that payouts go to.

use std::time::Duration;

use super::{Scene, on_both, shop};
use crate::random::Random;
use crate::settlement::fee_plan::FeePlan;
use crate::settlement::merchant_details::MerchantDetails;
use crate::settlement::merchant_terms::{MerchantTerms, TermsError};
use crate::settlement::payout_account::PayoutAccount;
use crate::store::merchant_money::AccountChangeState as State;
use crate::store::testing::TestDatabase;

const DAY: Duration = Duration::from_hours(24);
const DAY_MS: i64 = 86_400_000;

on_both!(
    a_plan_has_a_version,
    a_legal_name_and_a_time_zone_are_set_and_stay,
    an_account_needs_two_operators_and_a_day,
);

impl Scene {
    fn terms(&self) -> MerchantTerms {
        MerchantTerms::new(self.store.clone(), self.clock(), Random::SYSTEM, DAY)
    }
}

async fn a_plan_has_a_version(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let terms = scene.terms();
    assert_eq!(terms.terms(&shop()).await.unwrap().agreed, None);
    let plan = |ppm: u32| -> FeePlan {
        let text = format!("{{\"pricing\":\"blended\",\"price\":[{{\"ppm\":{ppm}}}]}}");
        serde_json::from_str(&text).unwrap()
    };
    for (ppm, version) in [(10_000, 1), (10_000, 1), (20_000, 2)] {
        let set = terms.set_fee_plan(&shop(), &plan(ppm)).await.unwrap();
        let set = set.agreed.unwrap();
        assert_eq!(set.version, version);
        let kept: FeePlan = serde_json::from_str(&set.fee_plan.unwrap()).unwrap();
        assert_eq!(kept, plan(ppm));
    }
    let nobody = "nobody".parse().unwrap();
    let refused = terms.set_fee_plan(&nobody, &plan(1)).await;
    assert!(matches!(refused, Err(TermsError::NoMerchant(_))));
    scene.store.close().await;
}

/// What is not named stays as it was, and so do name and zone when a plan is set.
async fn a_legal_name_and_a_time_zone_are_set_and_stay(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let terms = scene.terms();
    for (name, zone, expected, version) in [
        ("Demo Shop GmbH", "", ("Demo Shop GmbH", "UTC"), 1),
        ("", "Europe/Madrid", ("Demo Shop GmbH", "Europe/Madrid"), 1),
        ("Demo Shop SA", "UTC", ("Demo Shop SA", "UTC"), 2),
        ("Demo Shop SA", "UTC", ("Demo Shop SA", "UTC"), 2),
    ] {
        let details = MerchantDetails::new(name, zone).unwrap();
        let set = terms.set_details(&shop(), &details).await.unwrap();
        let agreed = set.agreed.unwrap();
        let found = (agreed.legal_name.as_str(), set.merchant.time_zone.as_str());
        assert_eq!((found, agreed.version), (expected, version));
    }
    let plan: FeePlan =
        serde_json::from_str("{\"pricing\":\"blended\",\"price\":[{\"ppm\":1}]}").unwrap();
    let set = terms.set_fee_plan(&shop(), &plan).await.unwrap();
    assert_eq!(set.agreed.unwrap().legal_name, "Demo Shop SA");
    let nobody = "nobody".parse().unwrap();
    let details = MerchantDetails::new("Nobody", "").unwrap();
    let refused = terms.set_details(&nobody, &details).await;
    assert!(matches!(refused, Err(TermsError::NoMerchant(_))));
    scene.store.close().await;
}

async fn an_account_needs_two_operators_and_a_day(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let terms = scene.terms();
    let account = async || {
        terms
            .terms(&shop())
            .await
            .unwrap()
            .agreed
            .and_then(|agreed| agreed.account)
    };
    let new = |iban| PayoutAccount::new("Demo Shop", iban, "", "").unwrap();
    let (first, second) = (new("DE89370400440532013000"), new("GB82WEST12345698765432"));

    let change = terms
        .propose_account(&shop(), &first, "anna")
        .await
        .unwrap();
    let open = terms.propose_account(&shop(), &second, "anna").await;
    assert!(matches!(open, Err(TermsError::ChangeOpen(_))), "{open:?}");
    let own = terms.confirm_account(&shop(), change.id, "anna").await;
    assert!(matches!(own, Err(TermsError::FourEyes)), "{own:?}");
    let other = "other-shop".parse().unwrap();
    let of_other = terms.confirm_account(&other, change.id, "bert").await;
    assert!(
        matches!(of_other, Err(TermsError::NoChange(_))),
        "{of_other:?}"
    );

    let confirmed = terms
        .confirm_account(&shop(), change.id, "bert")
        .await
        .unwrap();
    assert_eq!(confirmed.state, State::Confirmed);
    scene.clock.advance_ms(DAY_MS - 1);
    assert_eq!(account().await, None);
    scene.clock.advance_ms(1);
    assert_eq!(account().await, Some(first.to_text()));
    let late = terms.cancel_account(&shop(), change.id).await;
    assert!(
        matches!(late, Err(TermsError::ChangeEnded { .. })),
        "{late:?}"
    );

    // One that is cancelled within the day never comes to be.
    let change = terms
        .propose_account(&shop(), &second, "bert")
        .await
        .unwrap();
    terms
        .confirm_account(&shop(), change.id, "anna")
        .await
        .unwrap();
    terms.cancel_account(&shop(), change.id).await.unwrap();
    scene.clock.advance_ms(2 * DAY_MS);
    assert_eq!(account().await, Some(first.to_text()));
    let changes = terms.account_changes(&shop(), 10, None).await.unwrap();
    let states: Vec<State> = changes.iter().map(|change| change.state).collect();
    assert_eq!(states, [State::Cancelled, State::Effective]);
    let before = Some(changes[0].id);
    let older = terms.account_changes(&shop(), 10, before).await.unwrap();
    assert_eq!(older, changes[1..]);
    scene.store.close().await;
}
