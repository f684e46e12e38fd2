//! Wipes what a computation leaves on the stack. A buffer can be wiped by whoever owns it; what libraries keep in
//! variables of their own, a hash its last block for instance, can't.

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

/// As [`wiped_after`], for work that has no use for a public key: it goes less deep, and each payment does such
/// work twice.
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
}
