//! The child process: `iso8583_rs` behind a guard, one request after the other.

use std::{
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use iso8583_rs::iso8583::iso_spec::{self, Spec};

use super::{
    guard::walk,
    pipe::{
        DECODE, DONE, ENCODE, HELLO, PIPE_FRAMING, REFUSED, message_of, put, put_message,
        put_refusal,
    },
    wire_table::{Extent, extent},
};
use crate::message::BankMessage;

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

fn answer(request: &[u8], names: &[String], out: &mut Vec<u8>) {
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
        DECODE => decode(body, names, out),
        ENCODE => encode(body, names, out),
        _ => refuse(out, "an unknown request", |_| {}),
    }
}

fn decode(frame: &[u8], names: &[String], out: &mut Vec<u8>) {
    let walk = walk(frame);
    let mti = frame.first_chunk::<4>().copied().unwrap_or_default();
    let partial = |out: &mut Vec<u8>| {
        let contents = walk.contents.iter();
        let fields = contents.filter_map(|(de, at)| Some((*de, frame.get(at.clone())?)));
        put_message(out, mti, fields);
    };
    if let Some(fault) = walk.fault {
        refuse(out, &fault.to_string(), partial);
        return;
    }
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
            put(out, DONE, |out| put_message(out, mti, fields));
        }
        Some(Err(reason)) => refuse(out, &reason, partial),
        None => refuse(
            out,
            "iso8583_rs panicked while it read the message",
            partial,
        ),
    }
}

fn encode(body: &[u8], names: &[String], out: &mut Vec<u8>) {
    let Some(message) = message_of(body) else {
        refuse(out, "an unreadable request to encode", |_| {});
        return;
    };
    if let Err(reason) = check_lengths(&message) {
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
fn check_lengths(message: &BankMessage) -> Result<(), String> {
    for (de, content) in message.fields() {
        match extent(de) {
            Some(Extent::Fixed(bytes)) if content.len() == bytes => {}
            Some(Extent::Variable { max, .. }) if content.len() <= max => {}
            Some(Extent::Fixed(bytes)) => {
                return Err(format!(
                    "DE {de}: expected {bytes} bytes, got {}",
                    content.len()
                ));
            }
            Some(Extent::Variable { max, .. }) => {
                return Err(format!(
                    "DE {de}: expected at most {max} bytes, got {}",
                    content.len()
                ));
            }
            None => return Err(format!("DE {de}: expected a data element of the dialect")),
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
