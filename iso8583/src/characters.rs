//! Which characters a format allows, and how EBCDIC spells them.

/// A set of character classes, one bit each.
pub(crate) type Classes = u8;

/// The digits 0 to 9.
pub(crate) const DIGIT: Classes = 1;
/// The letters A to Z and a to z.
pub(crate) const LETTER: Classes = 1 << 1;
/// The space, which pads alphabetic fields.
pub(crate) const SPACE: Classes = 1 << 2;
/// The printable ASCII characters that are none of the above.
pub(crate) const SPECIAL: Classes = 1 << 3;
/// The separators of track data: `=` and its other spelling, `D`.
pub(crate) const SEPARATOR: Classes = 1 << 4;
/// The hexadecimal digits, of both cases.
pub(crate) const HEX: Classes = 1 << 5;

/// The classes of each byte, read as ASCII; 0 for what is not printable.
static CLASS: [Classes; 256] = classes();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, where a wrong index fails the build"
)]
const fn classes() -> [Classes; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = b' ';
    while byte < 0x7F {
        table[byte as usize] = match byte {
            b'0'..=b'9' => DIGIT | HEX,
            b'D' => LETTER | HEX | SEPARATOR,
            b'A'..=b'F' | b'a'..=b'f' => LETTER | HEX,
            b'A'..=b'Z' | b'a'..=b'z' => LETTER,
            b' ' => SPACE,
            b'=' => SPECIAL | SEPARATOR,
            _ => SPECIAL,
        };
        byte += 1;
    }
    table
}

/// The classes of one ASCII byte; 0 when it is not printable.
pub(crate) fn classes_of(byte: u8) -> Classes {
    CLASS.get(usize::from(byte)).copied().unwrap_or(0)
}

/// All of printable ASCII.
pub(crate) const PRINTABLE: Classes = DIGIT | LETTER | SPACE | SPECIAL;

/// The position of the first byte that belongs to none of the allowed classes.
pub(crate) fn first_outside(bytes: &[u8], allowed: Classes) -> Option<usize> {
    // The usual answer is that there is none. Without a branch per byte, and for the usual classes
    // by comparing, the compiler looks at many bytes at once.
    let all_allowed = match allowed {
        DIGIT => all(bytes, |byte| byte.wrapping_sub(b'0') < 10),
        PRINTABLE => all(bytes, |byte| byte.wrapping_sub(b' ') < 0x7F - b' '),
        HEX => all(bytes, |byte| {
            (byte.wrapping_sub(b'0') < 10) | ((byte | 0x20).wrapping_sub(b'a') < 6)
        }),
        _ => all(bytes, |byte| classes_of(byte) & allowed != 0),
    };
    if all_allowed {
        return None;
    }
    bytes
        .iter()
        .position(|byte| classes_of(*byte) & allowed == 0)
}

fn all(bytes: &[u8], is_fine: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |fine, byte| fine & is_fine(*byte))
}

/// The position of the first character out of place in an amount: a sign, `C` or `D`, then digits.
pub(crate) fn first_outside_amount(raw: &[u8], to_ascii: impl Fn(u8) -> u8) -> Option<usize> {
    raw.iter()
        .enumerate()
        .position(|(at, byte)| match to_ascii(*byte) {
            b'C' | b'D' => at != 0,
            other => at == 0 || !other.is_ascii_digit(),
        })
}

/// An EBCDIC code page, as far as printable ASCII goes.
pub(crate) struct CodePage {
    /// ASCII for each EBCDIC byte, 0 where there is no printable ASCII character.
    to_ascii: [u8; 256],
    /// EBCDIC for each ASCII byte, 0 where there is none.
    from_ascii: [u8; 128],
}

impl CodePage {
    /// The ASCII character of an EBCDIC byte; 0, which no format allows, when there is none.
    pub(crate) fn ascii(&self, ebcdic: u8) -> u8 {
        self.to_ascii.get(usize::from(ebcdic)).copied().unwrap_or(0)
    }

    /// The EBCDIC byte of a printable ASCII character; 0 when it is not printable ASCII.
    pub(crate) fn ebcdic(&self, ascii: u8) -> u8 {
        self.from_ascii
            .get(usize::from(ascii))
            .copied()
            .unwrap_or(0)
    }

    /// The position of the first byte that belongs, as ASCII, to none of the allowed classes.
    pub(crate) fn first_outside(&self, bytes: &[u8], allowed: Classes) -> Option<usize> {
        bytes
            .iter()
            .position(|byte| classes_of(self.ascii(*byte)) & allowed == 0)
    }

    /// Code page 37 with some characters placed elsewhere.
    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated by the compiler, where a wrong index fails the build"
    )]
    const fn cp037_but(moved: &[(u8, u8)]) -> CodePage {
        let mut page = CodePage {
            to_ascii: [0; 256],
            from_ascii: [0; 128],
        };
        let mut ascii: u8 = b' ';
        while ascii < 0x7F {
            let mut ebcdic = CP037[ascii as usize - 0x20];
            let mut i = 0;
            while i < moved.len() {
                if moved[i].0 == ascii {
                    ebcdic = moved[i].1;
                }
                i += 1;
            }
            page.from_ascii[ascii as usize] = ebcdic;
            page.to_ascii[ebcdic as usize] = ascii;
            ascii += 1;
        }
        page
    }
}

/// The printable ASCII characters 0x20 to 0x7E in code page 37.
const CP037: [u8; 95] = [
    0x40, 0x5A, 0x7F, 0x7B, 0x5B, 0x6C, 0x50, 0x7D, 0x4D, 0x5D, 0x5C, 0x4E, 0x6B, 0x60, 0x4B, 0x61,
    0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0x7A, 0x5E, 0x4C, 0x7E, 0x6E, 0x6F,
    0x7C, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6,
    0xD7, 0xD8, 0xD9, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xBA, 0xE0, 0xBB, 0xB0, 0x6D,
    0x79, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xC0, 0x4F, 0xD0, 0xA1,
];

/// IBM code page 37: USA and Canada.
pub(crate) static CODE_PAGE_037: CodePage = CodePage::cp037_but(&[]);

/// IBM code page 500: international. Five characters differ from 37.
pub(crate) static CODE_PAGE_500: CodePage = CodePage::cp037_but(&[
    (b'!', 0x4F),
    (b'[', 0x4A),
    (b']', 0x5A),
    (b'^', 0x5F),
    (b'|', 0xBB),
]);

/// IBM code page 1047: open systems on z/OS. Three characters differ from 37.
pub(crate) static CODE_PAGE_1047: CodePage =
    CodePage::cp037_but(&[(b'[', 0xAD), (b']', 0xBD), (b'^', 0x5F)]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_survives_each_code_page() {
        for page in [&CODE_PAGE_037, &CODE_PAGE_500, &CODE_PAGE_1047] {
            for ascii in 0x20..0x7F_u8 {
                assert_eq!(page.ascii(page.ebcdic(ascii)), ascii);
            }
            assert_eq!(page.to_ascii.iter().filter(|byte| **byte != 0).count(), 95);
            assert_eq!(page.ebcdic(0x1F), 0);
            assert_eq!(page.ebcdic(0xC3), 0);
        }
    }

    #[test]
    fn the_code_pages_differ_where_ibm_says() {
        // Character, code page 37, 500, 1047: from IBM's tables.
        let cases = [
            (b'0', 0xF0, 0xF0, 0xF0),
            (b'A', 0xC1, 0xC1, 0xC1),
            (b'z', 0xA9, 0xA9, 0xA9),
            (b'=', 0x7E, 0x7E, 0x7E),
            (b'^', 0xB0, 0x5F, 0x5F),
            (b'[', 0xBA, 0x4A, 0xAD),
            (b']', 0xBB, 0x5A, 0xBD),
            (b'!', 0x5A, 0x4F, 0x5A),
            (b'|', 0x4F, 0xBB, 0x4F),
        ];
        for (ascii, cp037, cp500, cp1047) in cases {
            assert_eq!(CODE_PAGE_037.ebcdic(ascii), cp037);
            assert_eq!(CODE_PAGE_500.ebcdic(ascii), cp500);
            assert_eq!(CODE_PAGE_1047.ebcdic(ascii), cp1047);
        }
    }

    #[test]
    fn classes_follow_the_standard() {
        assert_eq!(first_outside(b"0123456789", DIGIT), None);
        assert_eq!(first_outside(b"01+3", DIGIT), Some(2));
        assert_eq!(first_outside(b"4111=25D", DIGIT | SEPARATOR), None);
        assert_eq!(first_outside(b"AB \n", LETTER | SPACE), Some(3));
        assert_eq!(
            first_outside(&[0x7F], DIGIT | LETTER | SPACE | SPECIAL),
            Some(0)
        );
        assert_eq!(
            first_outside(&[0xE9], DIGIT | LETTER | SPACE | SPECIAL),
            Some(0)
        );
    }

    #[test]
    fn the_fast_ways_agree_with_the_table() {
        for allowed in [DIGIT, PRINTABLE, HEX] {
            for byte in 0..=255_u8 {
                let expected = (classes_of(byte) & allowed == 0).then_some(0);
                assert_eq!(
                    first_outside(&[byte], allowed),
                    expected,
                    "{byte:02X} {allowed}"
                );
            }
        }
    }
}
