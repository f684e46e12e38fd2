use super::super::tests::{Path, line};
use super::*;
use crate::ledger::seal::SealKey;

/// What others wrote into the file counts for nothing, and stays there; only what was not written to its end goes.
#[test]
fn the_file_goes_on_after_the_last_seal_of_this_installation() {
    let [own, other] = [7, 8].map(|seed| SealKey::from_seed(&[seed; 32]).unwrap());
    let key = own.public_key();
    let lines = [1, 2, 3].map(|number| line(number, &own));
    let [one, two, three] = &lines;
    let unsigned = line(9, &own).replace("seal 1 9 9 ", "seal 1 8 9 ");
    let (foreign, torn) = (line(9, &other), &two[..100]);
    let long = format!("{}\n", "x".repeat(5_000));
    let filler = long.repeat(20);
    for (before, number, is_foreign, after) in [
        (String::new(), 0, false, format!("{one}{two}{three}")),
        (
            format!("{one}{torn}"),
            1,
            false,
            format!("{one}{two}{three}"),
        ),
        (
            format!("{one}{two}{three}{}", &long[..4_000]),
            3,
            false,
            format!("{one}{two}{three}"),
        ),
        (
            format!("{one}{foreign}"),
            1,
            true,
            format!("{one}{foreign}{two}{three}"),
        ),
        (
            format!("{unsigned}{one}"),
            1,
            true,
            format!("{unsigned}{one}{two}{three}"),
        ),
        (
            format!("note\n{one}{torn}"),
            1,
            true,
            format!("note\n{one}{two}{three}"),
        ),
        (
            format!("{one}{long}{two}{torn}"),
            2,
            true,
            format!("{one}{long}{two}{three}"),
        ),
        // Where its end has none, more of it is looked at.
        (
            format!("{one}{filler}"),
            1,
            true,
            format!("{one}{filler}{two}{three}"),
        ),
    ] {
        let path = Path::new();
        std::fs::write(&path.0, &before).unwrap();
        let file = SealFile::at(path.0.clone());
        let seen = file.look(&key).unwrap();
        assert_eq!(
            (seen.number(), seen.foreign),
            (number, is_foreign),
            "{before}"
        );
        let own_lines = lines.clone().map(|line| line.trim_end().to_owned());
        let seen = file.append(&own_lines, &key).unwrap();
        assert_eq!((seen.number(), seen.foreign), (3, is_foreign), "{before}");
        assert_eq!(std::fs::read_to_string(&path.0).unwrap(), after);
        // A program that begins anew sees as much, but for what is far from the end.
        let anew = SealFile::at(path.0.clone()).look(&key).unwrap();
        assert_eq!(anew.number(), 3);
    }
}

#[test]
fn only_what_is_new_in_the_file_is_read() {
    let path = Path::new();
    let own = SealKey::from_seed(&[7; 32]).unwrap();
    let key = own.public_key();
    let file = SealFile::at(path.0.clone());
    assert_eq!(file.look(&key).unwrap().number(), 0);
    let first = line(1, &own);
    file.append(&[first.trim_end().to_owned()], &key).unwrap();
    // Not the beginning: it has changed under the reader.
    let mut changed = first.replace("payswitch", "otherwise");
    changed.push_str(&line(2, &own));
    std::fs::write(&path.0, &changed).unwrap();
    let seen = file.look(&key).unwrap();
    assert_eq!((seen.number(), seen.foreign), (2, false));
    // A file that became shorter is another one.
    std::fs::write(&path.0, &first).unwrap();
    assert_eq!(file.look(&key).unwrap().number(), 1);
    std::fs::remove_file(&path.0).unwrap();
    assert_eq!(file.look(&key).unwrap().number(), 0);
    // One that has nothing of this installation at its end is left alone.
    let filler = format!("{}\n", "x".repeat(1_000)).repeat(5_000);
    std::fs::write(&path.0, &filler).unwrap();
    let refused = file.append(&[first.trim_end().to_owned()], &key);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(std::fs::read_to_string(&path.0).unwrap(), filler);
}
