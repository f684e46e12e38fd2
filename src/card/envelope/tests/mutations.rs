//! Changed bytes: none of them opens, none of them panics.

use super::*;

#[test]
fn a_change_to_any_character_is_refused() {
    let fixture = fixture();
    let (_, session) = fixture.session(3600);
    let under_session = session.seal_card(&card(), &claims()).unwrap();
    for sealed in [
        fixture.seal(Algorithm::EcdhEs),
        under_session.as_str().to_owned(),
    ] {
        assert!(fixture.open(&sealed).is_ok());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(fixture.open(&changed).is_err(), "character {place}");
        }
    }
}

#[test]
fn parts_of_two_envelopes_do_not_mix() {
    let fixture = fixture();
    for algorithm in [Algorithm::EcdhEs, Algorithm::RsaOaep256] {
        let (one, other) = (fixture.seal(algorithm), fixture.seal(algorithm));
        for swapped in 0..5 {
            let mut parts: Vec<_> = one.split('.').collect();
            let foreign = other.split('.').nth(swapped).unwrap();
            if parts[swapped] == foreign {
                continue;
            }
            parts[swapped] = foreign;
            assert!(fixture.open(&parts.join(".")).is_err(), "part {swapped}");
        }
    }
}

/// Xorshift (Marsaglia 2003), so that a failure comes back with the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }
}

#[test]
fn a_hundred_thousand_mutations_are_all_refused_alike() {
    const ALPHABET: &[u8] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ {\"";
    let fixture = fixture();
    let (_, session) = fixture.session(3600);
    let under_session = session.seal_card(&card(), &claims()).unwrap();
    let seeds = [
        fixture.seal(Algorithm::EcdhEs),
        under_session.as_str().to_owned(),
        fixture.forge(&header_with("typ", ""), PAYLOAD),
    ];
    std::thread::scope(|scope| {
        for seed in [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03] {
            let (fixture, seeds) = (&fixture, &seeds);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..50_000 {
                    let original = &seeds[random.below(seeds.len())];
                    let mut bytes = original.clone().into_bytes();
                    for _ in 0..=random.below(3) {
                        let place = random.below(bytes.len());
                        let letter = ALPHABET[random.below(ALPHABET.len())];
                        match random.below(5) {
                            0 => bytes.insert(place, letter),
                            1 if bytes.len() > 1 => drop(bytes.remove(place)),
                            2 => bytes.truncate(place.max(1)),
                            _ => bytes[place] = letter,
                        }
                    }
                    let changed = String::from_utf8(bytes).unwrap();
                    let same = changed == *original;
                    let opened =
                        fixture
                            .opener
                            .open(&changed.clone().into(), &fixture.binding(), NOW);
                    assert_eq!(opened.is_ok(), same, "{changed}");
                }
            });
        }
    });
}
