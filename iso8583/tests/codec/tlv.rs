//! BER-TLV.

use iso8583::TlvBuilder;
use iso8583::tlv::{self, MAX_DEPTH, Tag, TlvError, Tlvs};

use crate::{hex, rows};

#[test]
fn chip_data_is_read_element_by_element() {
    let bytes = hex("9F2608 0102030405060708 9F2701 80 82023900 DF8101 01 05 9A03 261121");
    let read: Vec<(u32, usize, usize)> = Tlvs::new(&bytes)
        .map(|tlv| {
            tlv.map(|tlv| (tlv.tag.0, tlv.offset, tlv.value.len()))
                .unwrap()
        })
        .collect();
    assert_eq!(
        read,
        [
            (0x9F26, 0, 8),
            (0x9F27, 11, 1),
            (0x82, 15, 2),
            (0xDF8101, 19, 1),
            (0x9A, 24, 3)
        ]
    );
    let cryptogram = Tlvs::find(&bytes, Tag::CRYPTOGRAM).unwrap();
    assert_eq!(cryptogram.value, hex("0102030405060708"));
    assert_eq!(cryptogram.children().map(Iterator::count), None);
    assert_eq!(Tlvs::find(&bytes, Tag(0x9F99)), None);
}

#[test]
fn constructed_elements_nest() {
    let bytes = hex("7010 5A0412345678 BF0C07 9F4D020B0A 8200 82023900");
    let outer = Tlvs::new(&bytes).next().unwrap().unwrap();
    assert!(outer.tag.is_constructed());
    let inner: Vec<_> = outer.children().unwrap().map(|tlv| tlv.unwrap()).collect();
    assert_eq!(
        inner
            .iter()
            .map(|tlv| (tlv.tag, tlv.offset))
            .collect::<Vec<_>>(),
        [(Tag::PAN, 2), (Tag(0xBF0C), 8)]
    );
    let innermost: Vec<_> = inner[1]
        .children()
        .unwrap()
        .map(|tlv| tlv.unwrap().offset)
        .collect();
    assert_eq!(innermost, [11, 16]);
    assert_eq!(tlv::check(&bytes), Ok(6));
}

#[test]
fn unknown_tags_and_long_forms_are_written_as_they_were() {
    // 81 05 and 82 0005 are longer than they need be; FF8101 is a private constructed tag.
    let bytes = hex("DF1F 8105 0102030405 C5 820005 0102030405 FF8101 03 9F7A00");
    let mut again = TlvBuilder::new();
    for tlv in Tlvs::new(&bytes) {
        again.push_raw(&tlv.unwrap());
    }
    assert_eq!(again.as_bytes(), bytes);
}

#[test]
fn lengths_are_written_in_the_shortest_form() {
    let cases = [
        (0, "9F1000"),
        (127, "9F107F"),
        (128, "9F108180"),
        (255, "9F1081FF"),
        (256, "9F10820100"),
    ];
    for (length, expected) in cases {
        let mut list = TlvBuilder::new();
        list.push(Tag::ISSUER_APPLICATION, &vec![1; length])
            .unwrap();
        assert_eq!(
            list.as_bytes()[..list.as_bytes().len() - length],
            hex(expected)
        );
        let read = Tlvs::new(list.as_bytes()).next().unwrap().unwrap();
        assert_eq!(
            (read.tag, read.value.len()),
            (Tag::ISSUER_APPLICATION, length)
        );
    }
    let mut inner = TlvBuilder::new();
    inner
        .push(Tag(0x5A), &[0x41])
        .unwrap()
        .push(Tag(0xDF8101), &[])
        .unwrap();
    let mut outer = TlvBuilder::new();
    outer.push_list(Tag(0x70), &inner).unwrap();
    assert_eq!(outer.clone().into_bytes(), hex("7007 5A0141 DF810100"));
    outer.clear();
    assert!(outer.as_bytes().is_empty());
}

/// Bytes | the error.
const NO_TLV: &str = "
00 | Tag { offset: 0, got: 0 }
8201AA 0000 | Tag { offset: 3, got: 0 }
9F | Tag { offset: 0, got: 159 }
9F81828304 00 | Tag { offset: 0, got: 159 }
82 | Length { tag: Tag(82), offset: 1 }
9F2680 | Length { tag: Tag(9F26), offset: 2 }
8281 | Length { tag: Tag(82), offset: 1 }
82850000000001 | Length { tag: Tag(82), offset: 1 }
8283010000 | Length { tag: Tag(82), offset: 1 }
8202 39 | Truncated { tag: Tag(82), offset: 2, expected: 2, got: 1 }
7003 5A0241 | Truncated { tag: Tag(5A), offset: 4, expected: 2, got: 1 }
";

#[test]
fn what_is_no_tlv_is_refused_where_it_is() {
    for [bytes, expected] in rows(NO_TLV) {
        let error = tlv::check(&hex(bytes)).unwrap_err();
        assert_eq!(format!("{error:?}"), expected, "{bytes}");
    }
    let mut list = Tlvs::new(&[0x82, 0x05, 0x01]);
    assert!(list.next().is_some_and(|tlv| tlv.is_err()));
    assert!(list.next().is_none(), "after an error the list ends");
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        (0..depth).fold(Vec::new(), |inner, _| {
            let mut list = vec![0x70, u8::try_from(inner.len()).unwrap()];
            list.extend(inner);
            list
        })
    };
    assert_eq!(tlv::check(&nested(MAX_DEPTH)), Ok(MAX_DEPTH));
    assert_eq!(
        tlv::check(&nested(MAX_DEPTH + 1)),
        Err(TlvError::Depth {
            offset: 2 * MAX_DEPTH
        })
    );
}

#[test]
fn numbers_that_are_no_tags_are_not_written() {
    for number in [0, 0x1F, 0x9F, 0x9F81, 0x5A01, 0x009F_2601, 0x9F81_8283] {
        let got = TlvBuilder::new().push(Tag(number), &[]).map(|_| ());
        assert_eq!(got, Err(TlvError::NotATag { got: Tag(number) }));
    }
    let long = vec![0; 65_536];
    let got = TlvBuilder::new().push(Tag::PAN, &long).map(|_| ());
    assert_eq!(
        got,
        Err(TlvError::TooLong {
            tag: Tag::PAN,
            got: 65_536
        })
    );
    let got = TlvBuilder::new()
        .push_list(Tag::PAN, &TlvBuilder::new())
        .map(|_| ());
    assert_eq!(got, Err(TlvError::NotATag { got: Tag::PAN }));
}

#[test]
fn debug_shows_no_value() {
    let bytes = hex("5A084111111111111111");
    let shown = format!("{:?}", Tlvs::new(&bytes).next().unwrap().unwrap());
    assert_eq!(shown, "Tlv { tag: Tag(5A), offset: 0, value_bytes: 8, .. }");
}
