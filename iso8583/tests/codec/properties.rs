//! decode after encode is the identity, and encode after decode, in every built-in dialect and
//! an odd one, for messages with any fields.

use std::collections::BTreeMap;

use iso8583::field::{FieldSpec, Format, LengthRule};
use iso8583::{MessageBuilder, Mti};
use proptest::prelude::*;

use crate::dialects;

/// A valid value for a field, out of arbitrary bytes.
fn value(spec: &FieldSpec, bytes: &[u8]) -> Vec<u8> {
    let max = usize::from(spec.max_units());
    let wanted = usize::from(bytes[0]) * 256 + usize::from(bytes[1]);
    let length = match spec.length() {
        LengthRule::Fixed => max,
        _ if spec.format() == Format::Xn => 1 + wanted % max,
        _ => wanted % (max + 1),
    };
    let allowed: &[u8] = match spec.format() {
        Format::N | Format::Xn => b"0123456789",
        Format::Z => b"0123456789=",
        Format::A => b"ABCXYZabcxyz ",
        Format::An => b"0129ABYZabyz ",
        Format::As => b"ABYZabyz !\"#%&'()*+,-./:;<=>?@[]^_`{|}~",
        Format::Ns => b"0123456789 !\"#%&'()*+,-./:;<=>?@[]^_`{|}~",
        Format::Ans => b"0129ABYZabyz !\"#%&'()*+,-./:;<=>?@[]^_`{|}~$\\",
        Format::B => &[],
    };
    let mut value: Vec<u8> = (0..length)
        .map(|at| {
            let byte = bytes[at % bytes.len()].wrapping_add(u8::try_from(at % 251).unwrap());
            match allowed {
                [] => byte,
                allowed => allowed[usize::from(byte) % allowed.len()],
            }
        })
        .collect();
    if spec.format() == Format::Xn {
        value[0] = if bytes[0].is_multiple_of(2) {
            b'C'
        } else {
            b'D'
        };
    }
    value
}

fn mti() -> impl Strategy<Value = Mti> {
    prop::array::uniform4(0..10_u8).prop_map(|digits| Mti::from_digits(digits).unwrap())
}

fn fields() -> impl Strategy<Value = BTreeMap<u8, Vec<u8>>> {
    let bytes = prop::collection::vec(any::<u8>(), 2..40);
    prop::collection::btree_map(2..=128_u8, bytes, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_again(mti in mti(), fields in fields(), header in any::<[u8; 5]>()) {
        for dialect in dialects() {
            let mut builder = MessageBuilder::new(mti);
            if dialect.header_bytes() == 5 {
                builder.header(&header);
            }
            let mut expected = BTreeMap::new();
            for (de, bytes) in fields.iter().filter(|(de, _)| **de != 65) {
                let spec = dialect.field(*de).unwrap();
                let value = value(spec, bytes);
                builder.bytes(*de, &value);
                expected.insert(*de, value);
            }
            let mut frame = Vec::new();
            dialect.encode(&builder, &mut frame).unwrap();

            let message = dialect.decode(&frame).unwrap();
            prop_assert_eq!(message.mti(), mti);
            let read: BTreeMap<u8, Vec<u8>> =
                message.iter_des().map(|de| (de, message.bytes(de).unwrap().into_owned())).collect();
            prop_assert_eq!(&read, &expected);
            let mut ends = frame.len();
            for de in message.iter_des().collect::<Vec<_>>().into_iter().rev() {
                let range = message.field_range(de).unwrap();
                prop_assert_eq!(range.end, ends, "DE {}", de);
                ends = range.start;
            }

            let mut again = Vec::new();
            dialect.encode(&message.to_builder(), &mut again).unwrap();
            prop_assert_eq!(&again, &frame);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for dialect in dialects() {
            if let Ok(message) = dialect.decode(&bytes) {
                let mut again = Vec::new();
                dialect.encode(&message.to_builder(), &mut again).unwrap();
                prop_assert!(again.eq_ignore_ascii_case(&bytes));
            }
        }
    }
}
