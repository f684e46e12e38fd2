//! Wipes what a computation leaves on the stack, and the buffers of messages. A buffer can be wiped by whoever owns
//! it; what libraries keep in variables of their own, a hash its last block for instance, can't.

use std::hint::black_box;

/// So many bytes of stack are wiped: more than any computation on a card takes.
const WIPED_BYTES: usize = 16 * 1024;

/// The same for a computation without public keys.
const SHALLOW_BYTES: usize = 6 * 1024;

/// Does `work`, and then overwrites the stack that it used. What it returns should hold nothing secret but in
/// boxes.
pub fn wiped_after<T>(work: impl FnOnce() -> T) -> T {
    let done = apart(work);
    wipe::<WIPED_BYTES>();
    done
}

/// As [`wiped_after`], for work that has no use for a public key, or has that wiped by itself: it goes less deep, and
/// each payment does such work three times.
pub fn wiped_after_shallow<T>(work: impl FnOnce() -> T) -> T {
    let done = apart(work);
    // Without optimization every frame is larger.
    if cfg!(debug_assertions) {
        wipe::<WIPED_BYTES>();
    } else {
        wipe::<SHALLOW_BYTES>();
    }
    done
}

/// Overwrites bytes with zeros at memory's speed, for buffers that each payment passes through: `zeroize` writes one
/// byte after the other.
pub fn wipe_bytes(bytes: &mut [u8]) {
    bytes.fill(0);
    // Without this the compiler may leave the zeros out, because nothing reads them.
    black_box(bytes);
}

/// Empties a buffer and overwrites all of its memory, as [`wipe_bytes`] does.
pub fn wipe_buffer(buffer: &mut Vec<u8>) {
    buffer.resize(buffer.capacity(), 0);
    wipe_bytes(buffer);
    buffer.clear();
}

/// A frame of its own, so that no variable of `work` lies in the caller's.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Its frame covers the one of [`apart`] and those below.
#[inline(never)]
fn wipe<const BYTES: usize>() {
    black_box(&mut [0_u8; BYTES]);
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    const SECRET: [u8; 32] = *b"which is nowhere else in memory.";

    /// Puts the secret some way down the stack, and tells where.
    fn leave_on_the_stack() -> u64 {
        let above = [1_u8; WIPED_BYTES / 2];
        black_box(&above);
        leave()
    }

    #[inline(never)]
    fn leave() -> u64 {
        let secret = black_box(SECRET);
        let address = std::ptr::from_ref(black_box(&secret)).addr();
        u64::try_from(address).unwrap()
    }

    #[test]
    fn what_a_computation_left_is_overwritten() {
        let memory = File::open("/proc/self/mem").unwrap();
        let left_at = |address| {
            let mut bytes = [0; SECRET.len()];
            memory.read_exact_at(&mut bytes, address).unwrap();
            bytes
        };
        assert_eq!(left_at(apart(leave_on_the_stack)), SECRET);
        assert_eq!(left_at(wiped_after(leave_on_the_stack)), [0; SECRET.len()]);
    }

    #[test]
    fn a_wiped_buffer_holds_nothing_of_what_it_held() {
        let mut buffer = SECRET.to_vec();
        buffer.truncate(4);
        wipe_buffer(&mut buffer);
        let address = u64::try_from(buffer.as_ptr().addr()).unwrap();
        let mut left = [1; SECRET.len()];
        let memory = File::open("/proc/self/mem").unwrap();
        memory.read_exact_at(&mut left, address).unwrap();
        assert_eq!((buffer.len(), left), (0, [0; SECRET.len()]));
    }
}
