//! Cards that are kept, and the keys that seal them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::card::pan::Cvv;
use crate::payment::samples::NOW;

fn data_keys(master: u8) -> DataKeys {
    let master_key = MasterKey::from_base64(&STANDARD.encode([master; 32]), &Random::SYSTEM);
    DataKeys::new(&master_key.unwrap(), &Random::SYSTEM)
}

fn card(pan: &str) -> Card {
    Card {
        pan: Pan::from_digits(pan).unwrap(),
        expiry: Expiry::from_yymm("3012").unwrap(),
        cvv: Some(Cvv::from_digits("9173").unwrap()),
        holder: None,
    }
}

fn names() -> (MerchantId, PaymentId) {
    let merchant_id = "demo-shop".parse().unwrap();
    (merchant_id, PaymentId::from_parts(NOW, [1; 10]))
}

#[test]
fn a_card_opens_for_its_own_payment_alone() {
    let (shop, payment) = names();
    let other = PaymentId::from_parts(NOW, [2; 10]);
    let keys = data_keys(1);
    let wrapped = [keys.make(7).unwrap(), keys.make(8).unwrap()];
    let load = |keys: &DataKeys, versions: [i64; 2]| {
        keys.load(versions.into_iter().zip(wrapped.iter().map(String::as_str)))
    };
    assert_eq!(
        keys.seal(&card("4242424242424242"), &shop, payment),
        Err(CustodyError::NoKey)
    );
    load(&keys, [7, 8]).unwrap();
    let mut lengths = Vec::new();
    for pan in [
        "4242424242424242",
        "4222222222222",
        "36227206271667",
        "6304000000000000000",
    ] {
        let entry = keys.seal(&card(pan), &shop, payment).unwrap();
        assert_eq!(entry.key_version, 8);
        lengths.push(entry.sealed.len());
        assert_ne!(entry, keys.seal(&card(pan), &shop, payment).unwrap());
        // Another process with the same master key.
        let reader = data_keys(1);
        load(&reader, [7, 8]).unwrap();
        let kept = reader.open(&entry, &shop, payment).unwrap();
        assert_eq!((kept.pan.digits(), kept.expiry.yymm()), (pan, "3012"));
        let shown = format!("{kept:?}");
        assert!(
            !shown.contains(&pan[6..]) && !shown.contains("3012"),
            "{shown}"
        );

        let not_ours = |entry: &CustodyEntry, shop: &MerchantId, payment| {
            let refused = keys.open(entry, shop, payment).unwrap_err();
            assert!(
                matches!(refused, CustodyError::CardNotOurs { .. }),
                "{refused}"
            );
        };
        not_ours(&entry, &"other-shop".parse().unwrap(), payment);
        not_ours(&entry, &shop, other);
        let moved = CustodyEntry {
            key_version: 7,
            ..entry.clone()
        };
        not_ours(&moved, &shop, payment);
        for changed in [0, 20, lengths[0] - 1] {
            let mut sealed = entry.sealed.clone().into_bytes();
            sealed[changed] = if sealed[changed] == b'A' { b'B' } else { b'A' };
            let changed = CustodyEntry {
                sealed: String::from_utf8(sealed).unwrap(),
                ..entry.clone()
            };
            not_ours(&changed, &shop, payment);
        }
    }
    assert!(
        lengths.iter().all(|length| *length == lengths[0]),
        "{lengths:?}"
    );

    // A destroyed key opens nothing any more.
    let entry = keys
        .seal(&card("4242424242424242"), &shop, payment)
        .unwrap();
    keys.load([(7, wrapped[0].as_str())].into_iter()).unwrap();
    let gone = keys.open(&entry, &shop, payment).unwrap_err();
    assert_eq!(gone, CustodyError::KeyGone { key_version: 8 });
    assert!(keys.has(7) && !keys.has(8));
}

#[test]
fn a_wrapped_key_opens_in_its_own_row_under_its_own_master_key() {
    let keys = data_keys(1);
    let wrapped = keys.make(7).unwrap();
    let not_ours = |key_version| Err(CustodyError::KeyNotOurs { key_version });
    assert_eq!(keys.load([(8, wrapped.as_str())].into_iter()), not_ours(8));
    let other = data_keys(2);
    assert_eq!(other.load([(7, wrapped.as_str())].into_iter()), not_ours(7));
    assert_eq!(keys.load([(7, "AAAA")].into_iter()), not_ours(7));
    assert_eq!(keys.load([(7, wrapped.as_str())].into_iter()), Ok(()));
    // An older one that does not open keeps no other from being used; for the newest nothing is taken.
    let mixed = [(7, wrapped.as_str()), (6, "AAAA")];
    assert_eq!(keys.load(mixed.into_iter()), Ok(()));
    let newest = [(7, wrapped.as_str()), (9, "AAAA")];
    assert_eq!(keys.load(newest.into_iter()), not_ours(9));
    let (shop, payment) = names();
    let entry = keys
        .seal(&card("4242424242424242"), &shop, payment)
        .unwrap();
    assert_eq!(entry.key_version, 7);
}
