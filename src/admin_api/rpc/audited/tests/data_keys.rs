//! The data keys of cards in custody.

use tonic::Code;

use super::{reason, setting};
use crate::admin_api::pb;
use crate::admin_api::pb::custody_service_server::CustodyService as _;

#[tokio::test]
async fn data_keys_are_listed_rotated_and_destroyed() {
    let setting = setting().await;
    for (request_id, version) in [("1", 2), ("1", 2), ("2", 3)] {
        let request = pb::RotateDataKeyRequest {
            request_id: request_id.into(),
            reason: "a backup was lost".into(),
        };
        let made = setting
            .custody
            .rotate_data_key(setting.by("bob", request))
            .await;
        let made = made.unwrap().into_inner().data_key.unwrap();
        assert_eq!((made.key_version, made.entry_count), (version, None));
    }
    let list = |page_token: &str| {
        let request = pb::ListDataKeysRequest {
            page_size: 2,
            page_token: page_token.into(),
        };
        setting.custody.list_data_keys(setting.by("vic", request))
    };
    let first = list("").await.unwrap().into_inner();
    let versions = |page: &pb::ListDataKeysResponse| {
        let keys = page.data_keys.iter();
        keys.map(|key| key.key_version).collect::<Vec<_>>()
    };
    assert_eq!(versions(&first), [3, 2]);
    let second = list(&first.next_page_token).await.unwrap().into_inner();
    assert_eq!(versions(&second), [1]);
    assert_eq!(second.next_page_token, "");
    assert_eq!(list("x").await.unwrap_err().code(), Code::InvalidArgument);

    // What an earlier call has destroyed is told again.
    setting.clock.advance_ms(600_000);
    setting.custody.custody.look_after_keys().await.unwrap();
    let destroy = |by: &str| {
        let request = pb::DestroyExpiredDataKeysRequest {
            request_id: "3".into(),
            reason: "the monthly run".into(),
        };
        let request = setting.by(by, request);
        setting.custody.destroy_expired_data_keys(request)
    };
    let too_low = destroy("bob").await.unwrap_err();
    assert_eq!(reason(&too_low), "ROLE_TOO_LOW");
    for _ in 0..2 {
        let destroyed = destroy("alice").await.unwrap().into_inner();
        assert_eq!(destroyed.destroyed_count, 2);
    }
    assert_eq!(versions(&list("").await.unwrap().into_inner()), [3]);
    assert_eq!(
        setting.trail().await[2..],
        [
            "bob CustodyService.DestroyExpiredDataKeys data keys REFUSED:ROLE_TOO_LOW",
            "alice CustodyService.DestroyExpiredDataKeys data keys DONE",
        ]
    );
}
