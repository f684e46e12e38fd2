//! A message apart from any dialect: MTI and data elements, as text or bytes.
//!
//! Hosts of different dialects, and of different codecs, meet here: a host decodes into it, decides,
//! and encodes from it.

use std::fmt;

use iso8583::{
    Mti,
    mti::{Class, Version},
};

use crate::response_code::ResponseCode;

/// Room for the data elements of a usual authorization, to allocate once.
const USUAL_MESSAGE_BYTES: usize = 384;
const USUAL_MESSAGE_FIELDS: usize = 28;

/// MTI, header and data elements. Text is ASCII; DEs of binary formats are their bytes.
#[derive(Clone)]
pub(crate) struct BankMessage {
    mti: Mti,
    header: Vec<u8>,
    contents: Vec<u8>,
    /// Unsorted, each DE at most once.
    places: Vec<Place>,
    /// A bit for each of DE 1 to 128 that is there, the lowest for DE 1. Others have none and are
    /// searched for.
    present: u128,
}

/// Where a data element lies in a message's contents.
#[derive(Clone, Copy)]
struct Place {
    de: u8,
    begin: u32,
    end: u32,
}

impl Place {
    fn of(self, contents: &[u8]) -> Option<&[u8]> {
        let offset = |offset: u32| usize::try_from(offset).ok();
        contents.get(offset(self.begin)?..offset(self.end)?)
    }
}

impl BankMessage {
    pub(crate) fn new(mti: Mti) -> Self {
        Self {
            mti,
            header: Vec::new(),
            contents: Vec::with_capacity(USUAL_MESSAGE_BYTES),
            places: Vec::with_capacity(USUAL_MESSAGE_FIELDS),
            present: 0,
        }
    }

    pub(crate) fn mti(&self) -> Mti {
        self.mti
    }

    pub(crate) fn set_mti(&mut self, mti: Mti) {
        self.mti = mti;
    }

    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }

    pub(crate) fn set_header(&mut self, header: &[u8]) {
        self.header.clear();
        self.header.extend_from_slice(header);
    }

    pub(crate) fn get(&self, de: u8) -> Option<&[u8]> {
        let place = self.places.iter().find(|place| place.de == de)?;
        place.of(&self.contents)
    }

    pub(crate) fn text(&self, de: u8) -> Option<&str> {
        self.get(de).and_then(|bytes| str::from_utf8(bytes).ok())
    }

    pub(crate) fn set(&mut self, de: u8, value: impl AsRef<[u8]>) {
        self.set_to(de, |contents| {
            contents.extend_from_slice(value.as_ref());
            true
        });
    }

    /// Sets a data element to what `append` appends; nothing is set when it gives false.
    pub(crate) fn set_to(&mut self, de: u8, append: impl FnOnce(&mut Vec<u8>) -> bool) {
        // Messages are far shorter than 4 GiB; what lies beyond would be cut off.
        let offset = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let begin = offset(self.contents.len());
        if !append(&mut self.contents) {
            return;
        }
        let end = offset(self.contents.len());
        let place = Place { de, begin, end };
        let bit = 1_u128.checked_shl(u32::from(de.wrapping_sub(1)));
        let bit = bit.unwrap_or_default();
        let may_be_there = bit == 0 || self.present & bit != 0;
        let mut places = self.places.iter_mut();
        match places.find(|place| may_be_there && place.de == de) {
            Some(existing) => *existing = place,
            None => {
                self.present |= bit;
                self.places.push(place);
            }
        }
    }

    /// Leaves a data element out.
    pub(crate) fn unset(&mut self, de: u8) {
        self.places.retain(|place| place.de != de);
        if let Some(bit) = 1_u128.checked_shl(u32::from(de.wrapping_sub(1))) {
            self.present &= !bit;
        }
    }

    /// The data elements, in no particular order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.places.iter().map(|place| {
            // `set_to` is the only one who makes places, and contents never shrink.
            (place.de, place.of(&self.contents).unwrap_or_default())
        })
    }

    /// The answer to this request: its MTI's response, the data elements named, DE 39. `None` when
    /// this is no request: nothing answers an answer.
    pub(crate) fn answer(&self, echoed: &[u8], code: ResponseCode) -> Option<Self> {
        let mut answer = Self::new(self.mti.response()?);
        answer.header = answering_header(&self.header);
        for de in echoed {
            if let Some(value) = self.get(*de) {
                answer.set(*de, value);
            }
        }
        if self.is_of_1993() {
            answer.set(39, code.action_code(self.mti.class()));
        } else {
            answer.set(39, code.as_str());
        }
        Some(answer)
    }

    /// Whether it is a message of ISO 8583:1993; all others are of 1987.
    pub(crate) fn is_of_1993(&self) -> bool {
        self.mti.version() == Version::Iso1993
    }

    /// A message of 1993 as 1987 says it, with the elements that an issuer reads. DE 90 is the sender's matter.
    pub(crate) fn in_1987(&self) -> Self {
        let [_, class, function, origin] = self.mti.digits();
        let mti = Mti::from_digits([0, class, function, origin]);
        let mut message = Self::new(mti.unwrap_or(self.mti));
        for de in [2, 3, 4, 7, 11, 14, 32, 33, 37, 38, 41, 42, 48, 49, 52, 55] {
            if let Some(value) = self.get(de) {
                message.set(de, value);
            }
        }
        if let Some((_year, rest)) = self.get(12).and_then(|local| local.split_at_checked(2))
            && let Some((date, time)) = rest.split_at_checked(4)
        {
            message.set(12, time);
            message.set(13, date);
        }
        message
    }
}

impl fmt::Debug for BankMessage {
    /// Shows which data elements there are, never what they hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers: Vec<u8> = self.places.iter().map(|place| place.de).collect();
        numbers.sort_unstable();
        f.debug_struct("BankMessage")
            .field("mti", &self.mti)
            .field("des", &numbers)
            .finish()
    }
}

/// A TPDU header has a destination and an origin address of two bytes each, which change places in
/// the answer; any other header is sent back as it came.
fn answering_header(header: &[u8]) -> Vec<u8> {
    match *header {
        [id, to_high, to_low, from_high, from_low] => {
            vec![id, from_high, from_low, to_high, to_low]
        }
        _ => header.to_vec(),
    }
}

/// A frame that is no message of the dialect, and what could be read of it all the same.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// The fault and its place; never the contents of the message.
    pub(crate) reason: String,
    /// The part decoded before the fault, when at least the MTI could be read.
    pub(crate) partial: Option<Box<BankMessage>>,
}

/// The data elements that every answer to a financial message carries back when the request had them.
/// DE 2 and everything secret (14, 35, 48, 52, 55) stay out.
pub(crate) const ECHOED_DES: &[u8] = &[3, 4, 7, 11, 12, 13, 24, 32, 33, 37, 41, 42, 49, 56, 90];

/// The data elements that an answer to a network management message carries back.
pub(crate) const ECHOED_NETWORK_DES: &[u8] = &[7, 11, 12, 13, 24, 32, 33, 37, 70];

/// The data elements that an answer about totals or an uploaded item carries back.
const ECHOED_SETTLEMENT_DES: &[u8] = &[3, 4, 7, 11, 12, 13, 15, 24, 28, 32, 33, 37, 41, 42, 49, 50];

/// The data elements that the answer to a message of this class carries back.
pub(crate) fn echoed_des(class: Class) -> &'static [u8] {
    match class {
        Class::NetworkManagement => ECHOED_NETWORK_DES,
        Class::Reconciliation | Class::FileAction => ECHOED_SETTLEMENT_DES,
        _ => ECHOED_DES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_turns_the_tpdu_round_and_leaves_card_data_out() {
        let mut request = BankMessage::new(Mti::AUTHORIZATION_REQUEST);
        request.set_header(&[0x60, 1, 2, 3, 4]);
        request.set(2, "4111111111111111");
        request.set(11, "000001");
        request.set(48, "9203123");
        let answer = request.answer(ECHOED_DES, ResponseCode::APPROVED).unwrap();
        assert!(answer.answer(ECHOED_DES, ResponseCode::APPROVED).is_none());
        assert_eq!(answer.header(), [0x60, 3, 4, 1, 2]);
        assert_eq!(answer.text(11), Some("000001"));
        assert_eq!(answer.text(39), Some("00"));
        assert_eq!(answer.get(2), None);
        assert_eq!(answer.get(48), None);
        assert!(!format!("{request:?}").contains("4111"));
    }

    #[test]
    fn setting_a_data_element_again_replaces_it() {
        // DE 129 and above lie behind a tertiary bitmap.
        for de in [0, 1, 11, 128, 129, 192] {
            let mut message = BankMessage::new(Mti::NETWORK_REQUEST);
            message.set(de, "000001");
            message.set(de, "000002");
            assert_eq!(
                message.fields().collect::<Vec<_>>(),
                [(de, b"000002".as_slice())]
            );
        }
    }
}
