//! Digits, two a byte, with a pad nibble in front or behind where their number is odd.

/// How the separator of track data is written as a nibble.
const SEPARATOR: u8 = 0xD;

/// The nibble that pads if anything does: the first one, or the last one.
pub(crate) fn pad(bytes: &[u8], is_left: bool) -> Option<u8> {
    if is_left {
        bytes.first().map(|byte| byte >> 4)
    } else {
        bytes.last().map(|byte| byte & 0x0F)
    }
}

/// The first `units` nibbles, without a pad nibble in front.
pub(crate) fn nibbles(bytes: &[u8], units: usize, is_left: bool) -> impl Iterator<Item = u8> {
    let skipped = usize::from(is_left && units % 2 == 1);
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0F])
        .skip(skipped)
        .take(units)
}

/// The index of the first byte with a nibble that is no digit. The pad nibble doesn't count.
pub(crate) fn first_invalid(
    bytes: &[u8],
    padded: bool,
    is_left: bool,
    is_track: bool,
) -> Option<usize> {
    // The common case, digits only, is one pass without a branch per byte.
    let all_digits = |bytes: &[u8]| {
        bytes.iter().fold(true, |fine, byte| {
            fine & (*byte < 0xA0) & (byte & 0x0F < 0x0A)
        })
    };
    if all_digits(bytes) {
        return None;
    }
    let is_fine = |nibble: u8| nibble < 10 || (is_track && nibble == SEPARATOR);
    let last = bytes.len().saturating_sub(1);
    bytes.iter().enumerate().position(|(at, byte)| {
        let high_is_pad = padded && is_left && at == 0;
        let low_is_pad = padded && !is_left && at == last;
        !((high_is_pad || is_fine(byte >> 4)) && (low_is_pad || is_fine(byte & 0x0F)))
    })
}

/// The ASCII character of a nibble: a digit, or the separator of track data.
pub(crate) fn character(nibble: u8) -> u8 {
    if nibble == SEPARATOR {
        b'='
    } else {
        b'0' + nibble
    }
}

/// The nibble of an ASCII digit or track separator.
fn nibble(character: u8) -> u8 {
    match character {
        b'=' | b'D' => SEPARATOR,
        digit => digit & 0x0F,
    }
}

/// Appends digits (or track data), already checked, as BCD.
pub(crate) fn encode(characters: &[u8], pad_nibble: u8, is_left: bool, out: &mut Vec<u8>) {
    let odd = characters.len() % 2 == 1;
    let rest = match characters.split_first() {
        Some((first, rest)) if odd && is_left => {
            out.push(pad_nibble << 4 | nibble(*first));
            rest
        }
        _ => characters,
    };
    let (pairs, last) = rest.as_chunks::<2>();
    out.extend(
        pairs
            .iter()
            .map(|[high, low]| nibble(*high) << 4 | nibble(*low)),
    );
    out.extend(last.iter().map(|last| nibble(*last) << 4 | pad_nibble));
}

/// Appends a number of `width` digits as BCD, zeros in front of the digits given.
pub(crate) fn encode_filled(
    digits: &[u8],
    width: usize,
    pad_nibble: u8,
    is_left: bool,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.resize(start + width.div_ceil(2), 0);
    let Some(bytes) = out.get_mut(start..) else {
        return;
    };
    let odd = width % 2 == 1;
    if odd
        && is_left
        && let Some(first) = bytes.first_mut()
    {
        *first = pad_nibble << 4;
    }
    let behind = usize::from(odd && !is_left);
    if behind == 1
        && let Some(last) = bytes.last_mut()
    {
        *last = pad_nibble;
    }
    // Counted from the right, an even nibble is the lower half of its byte.
    for (place, digit) in digits.iter().rev().enumerate() {
        let place = place + behind;
        if let Some(byte) = bytes.iter_mut().rev().nth(place / 2) {
            *byte |= nibble(*digit) << (4 * (place % 2));
        }
    }
}
