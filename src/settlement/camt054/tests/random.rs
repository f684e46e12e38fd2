//! Files that chance makes.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        read_camt054(bytes.as_slice()).for_each(drop);
    }

    /// Bytes that look like a notification reach further than others.
    #[test]
    fn no_words_panic(words in prop::collection::vec(prop::sample::select(vec![
        "<Ntry>", "</Ntry>", "<Amt Ccy=\"EUR\">", "<Amt Ccy='", "1.5", "</Amt>", "<Sts>", "BOOK", "</Sts>", "<CdtDbtInd>",
        "DBIT", "</CdtDbtInd>", "<NtryDtls>", "</NtryDtls>", "<TxDtls>", "</TxDtls>", "<TxDtls/>", "&amp;", "&#x41;", "&",
        ";", "<", ">", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<?xml ", "?>", "<!DOCTYPE ", "</Ntfctn>", "\u{e9}", "\n",
    ]), 0..40)) {
        let file = file("08", &words.concat());
        read_camt054(file.as_bytes()).for_each(drop);
    }

    /// A file with any byte changed, left out or put in never panics, and a place of it that is named is in it.
    #[test]
    fn no_mistake_panics(place in any::<prop::sample::Index>(), byte in any::<u8>(), what in 0..3_u8) {
        let mut bytes = file("08", BOOKED).into_bytes();
        let place = place.index(bytes.len());
        match what {
            0 => bytes[place] = byte,
            1 => drop(bytes.remove(place)),
            _ => bytes.insert(place, byte),
        }
        for booking in read_camt054(bytes.as_slice()) {
            let position = booking.map_or_else(|error| error.position, |booking| booking.position);
            prop_assert!(usize::try_from(position.offset).unwrap() <= bytes.len());
        }
    }

    /// A file that ends too early is never taken for a whole one.
    #[test]
    fn a_cut_file_is_refused(place in any::<prop::sample::Index>()) {
        let file = file("08", BOOKED);
        let whole = file.trim_end();
        let cut = whole.get(..place.index(whole.len())).unwrap();
        prop_assert!(read(cut).is_err());
    }

    /// Where the source's buffer ends changes nothing.
    #[test]
    fn a_file_is_read_in_any_pieces(capacity in 1..200_usize) {
        let file = file("08", BOOKED);
        let pieces = BufReader::with_capacity(capacity, file.as_bytes());
        let got: Vec<_> = read_camt054(pieces).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(got, bookings(&file));
    }

    /// The transactions of an entry sum to it, or it is refused.
    #[test]
    fn no_unit_is_lost(amounts in prop::collection::vec(0..1_000_000_i64, 1..10), off in -1..=1_i64) {
        let decimal = |minor: i64| format!("{}.{:02}", minor / 100, minor % 100);
        let details: String = amounts.iter().map(|minor| transaction(&decimal(*minor), "x", "")).collect();
        let sum: i64 = amounts.iter().sum();
        prop_assume!(sum + off >= 0);
        let entry = entry(&format!("<NtryDtls>{details}</NtryDtls>")).replacen("149.80", &decimal(sum + off), 1);
        match read(&file("08", &entry)) {
            Ok(bookings) => {
                prop_assert_eq!(off, 0);
                let got: Vec<_> = bookings.iter().map(|booking| booking.amount_minor).collect();
                prop_assert_eq!(got, amounts);
            }
            Err(error) => {
                let is_sum = matches!(error.fault, Iso20022Fault::TransactionSum { .. });
                prop_assert!(off != 0 && is_sum, "{}", error);
            }
        }
    }
}
