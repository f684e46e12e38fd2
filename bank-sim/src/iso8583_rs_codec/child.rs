//! The child process: `iso8583_rs` behind a guard, one request after the other.
//!
//! The crate panics on what it does not expect: lengths that are no digits, bits without a field, an MTI that is no
//! text. It also takes trailing bytes and wrong lengths without a word. So a frame is first read by our own codec,
//! which refuses all of these. What is passed on is what `iso8583_rs` reads.

use std::{
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use iso8583::field::LengthRule;
use iso8583::{Dialect, Message};
use iso8583_rs::iso8583::iso_spec::{self, Spec};

use super::pipe::{
    DECODE, DONE, ENCODE, HELLO, PIPE_FRAMING, REFUSED, message_of, put, put_message, put_refusal,
};
use crate::message::BankMessage;

/// The dialect of `spec.yaml`.
const DIALECT: &str = "iso1987-ascii-binary";

/// How much is read from the parent at once.
const READ_CHUNK_BYTES: usize = 64 * 1024;

/// The name of the field of the MTI in `spec.yaml`; data elements have their numbers for names.
const MTI_FIELD: &str = "mti";

/// Answers the parent until it goes away.
pub(super) fn run() -> ExitCode {
    // A panic of the crate may carry the bytes it stumbled over, which are card data: print nothing.
    std::panic::set_hook(Box::new(|_| {}));
    match answer_until_closed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer_until_closed() -> io::Result<()> {
    // Standard input is one end of a socket pair, used both ways: standard output is not free,
    // because the crate prints to it.
    let mut pipe = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut names: Vec<String> = Vec::with_capacity(129);
    names.extend((0..=128_u8).map(|de| de.to_string()));
    let dialect = Dialect::builtin(DIALECT).ok_or(io::ErrorKind::NotFound)?;
    let mut input = Vec::new();
    let mut output = Vec::new();
    let mut chunk = vec![0; READ_CHUNK_BYTES];
    loop {
        let read = pipe.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        input.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let mut consumed = 0;
        while let Some(rest) = input.get(consumed..)
            && let Some((begin, end)) = PIPE_FRAMING.split(rest).map_err(io::Error::other)?
        {
            answer(
                rest.get(begin..end).unwrap_or_default(),
                &dialect,
                &names,
                &mut output,
            );
            consumed += end;
        }
        input.drain(..consumed);
        pipe.write_all(&output)?;
        output.clear();
    }
}

fn answer(request: &[u8], dialect: &Dialect, names: &[String], out: &mut Vec<u8>) {
    let Some((kind, body)) = request.split_first() else {
        refuse(out, "an empty request", |_| {});
        return;
    };
    match *kind {
        // The crate reads SPEC_FILE when it is first asked for a spec.
        HELLO => match guarded(|| iso_spec::spec("").name().to_owned()) {
            Some(name) => {
                put(out, DONE, |out| out.extend_from_slice(name.as_bytes()));
            }
            None => refuse(out, "iso8583_rs cannot read its spec", |_| {}),
        },
        DECODE => decode(body, dialect, names, out),
        ENCODE => encode(body, dialect, names, out),
        _ => refuse(out, "an unknown request", |_| {}),
    }
}

fn decode(frame: &[u8], dialect: &Dialect, names: &[String], out: &mut Vec<u8>) {
    let read = match dialect.decode(frame) {
        Ok(read) => read,
        Err(error) => {
            return refuse(out, &error.to_string(), |out| {
                if let Some(partial) = error.partial() {
                    put_read(out, partial);
                }
            });
        }
    };
    let parsed = guarded(|| {
        let spec: &'static Spec = iso_spec::spec("");
        spec.parse(&mut frame.to_vec())
            .map(|message| message.fd_map)
            .map_err(|error| error.msg)
    });
    match parsed {
        Some(Ok(values)) => {
            let found = names.iter().zip(0..=128_u8);
            let fields = found.filter_map(|(name, de)| Some((de, values.get(name)?.as_slice())));
            let mti = read.mti().ascii();
            put(out, DONE, |out| put_message(out, mti, fields));
        }
        Some(Err(reason)) => refuse(out, &reason, |out| put_read(out, &read)),
        None => {
            let reason = "iso8583_rs panicked while it read the message";
            refuse(out, reason, |out| put_read(out, &read));
        }
    }
}

/// What our own codec has read, for an answer that says what is wrong.
fn put_read(out: &mut Vec<u8>, message: &Message<'_>) {
    let fields = message.iter_des();
    let fields = fields.filter_map(|de| Some((de, message.raw(de)?)));
    put_message(out, message.mti().ascii(), fields);
}

fn encode(body: &[u8], dialect: &Dialect, names: &[String], out: &mut Vec<u8>) {
    let Some(message) = message_of(body) else {
        refuse(out, "an unreadable request to encode", |_| {});
        return;
    };
    if let Err(reason) = check_lengths(&message, dialect) {
        refuse(out, &reason, |_| {});
        return;
    }
    match guarded(|| assemble(&message, names)) {
        Some(Ok(frame)) => {
            put(out, DONE, |out| out.extend_from_slice(&frame));
        }
        Some(Err(reason)) => refuse(out, &reason, |_| {}),
        None => refuse(
            out,
            "iso8583_rs panicked while it wrote the message",
            |_| {},
        ),
    }
}

/// The crate writes a wrong length without an error, so the lengths are checked before.
fn check_lengths(message: &BankMessage, dialect: &Dialect) -> Result<(), String> {
    for (de, content) in message.fields() {
        let field = dialect.field(de).filter(|_| ![1, 65].contains(&de));
        let field = field.ok_or(format!("DE {de}: expected a data element of the dialect"))?;
        let (max, got) = (usize::from(field.max_units()), content.len());
        let fits = if field.length() == LengthRule::Fixed {
            got == max
        } else {
            got <= max
        };
        if !fits {
            let rule = field.length();
            return Err(format!(
                "DE {de} ({rule:?}): expected {max} bytes, got {got}"
            ));
        }
    }
    Ok(())
}

fn assemble(message: &BankMessage, names: &[String]) -> Result<Vec<u8>, String> {
    let spec: &'static Spec = iso_spec::spec("");
    let mti = message.mti().to_string();
    let segment = spec
        .get_message_from_header(&mti)
        .map_err(|error| error.msg)?;
    let mut iso_message = iso_spec::new_msg(spec, segment);
    // The map holds what is written to the wire. The crate's own setters would take binary data as
    // hex and panic on anything else.
    iso_message
        .fd_map
        .insert(MTI_FIELD.to_owned(), mti.into_bytes());
    for (de, content) in message.fields() {
        if let Some(name) = names.get(usize::from(de)) {
            iso_message.fd_map.insert(name.clone(), content.to_vec());
            iso_message.bmp.set_on(u32::from(de));
        }
    }
    iso_message.assemble().map_err(|error| error.msg)
}

fn refuse(out: &mut Vec<u8>, reason: &str, partial: impl FnOnce(&mut Vec<u8>)) {
    put(out, REFUSED, |out| put_refusal(out, reason, partial));
}

/// `None` when the crate panicked. It keeps no state between messages, so nothing is left half-changed.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line of `spec.yaml` such as `- { name: "2", id: 2, type: Variable, len: 2, ... }` is a row of the dialect.
    #[test]
    fn the_spec_and_the_dialect_define_the_same_wire() {
        let dialect = Dialect::builtin(DIALECT).unwrap();
        let value = |line: &'static str, key: &str| {
            let rest = line.split_once(key)?.1;
            rest.split([',', ' ', '}']).next()
        };
        let spec: Vec<_> = include_str!("spec.yaml")
            .lines()
            .filter_map(|line| {
                let de: u8 = value(line, "position: ")?.parse().ok()?;
                let length: u16 = value(line, " len: ")?.parse().ok()?;
                Some((de, value(line, "type: ")?, length))
            })
            .collect();
        // DE 1 and DE 65 are bitmaps.
        let of_dialect: Vec<_> = (2..=128)
            .filter(|de| *de != 65)
            .filter_map(|de| {
                let field = dialect.field(de)?;
                Some(match field.length() {
                    LengthRule::Fixed => (de, "Fixed", field.max_units()),
                    LengthRule::Ll => (de, "Variable", 2),
                    LengthRule::Lll => (de, "Variable", 3),
                    LengthRule::Llll => (de, "Variable", 4),
                })
            })
            .collect();
        assert_eq!(spec, of_dialect);
    }
}
