//! The SHA-256 of a file, taken while it is read or written.

use std::io::{self, Read, Write};

use ring::digest::{Context, SHA256};

/// The SHA-256 of these bytes.
#[must_use]
pub fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(bytes);
    finished(&hash)
}

/// Passes on what it reads, and remembers the SHA-256 of all of it.
pub struct HashingReader<R> {
    from: R,
    hash: Context,
}

impl<R> HashingReader<R> {
    /// Reads from `from`.
    #[must_use]
    pub fn new(from: R) -> Self {
        Self {
            from,
            hash: Context::new(&SHA256),
        }
    }

    /// The SHA-256 of what was read: of the whole file, once its end was seen.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        finished(&self.hash)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Passes on what is written, and remembers how much it was and the SHA-256 of it.
pub struct HashingWriter<W> {
    to: W,
    hash: Context,
    bytes: u64,
}

impl<W> HashingWriter<W> {
    /// Writes to `to`.
    #[must_use]
    pub fn new(to: W) -> Self {
        Self {
            to,
            hash: Context::new(&SHA256),
            bytes: 0,
        }
    }

    /// How many bytes were written.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of what was written.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        finished(&self.hash)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.to.write(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        let written = u64::try_from(count).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(written);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn finished(hash: &Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    let digest = hash.clone().finish();
    for (byte, of_digest) in bytes.iter_mut().zip(digest.as_ref()) {
        *byte = *of_digest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_and_writer_agree_with_the_hash_of_the_whole() {
        let bytes = b"abc".repeat(10_000);
        let mut reader = HashingReader::new(&bytes[..]);
        let mut writer = HashingWriter::new(Vec::new());
        io::copy(&mut reader, &mut writer).unwrap();
        let whole = ring::digest::digest(&SHA256, &bytes);
        assert_eq!(&reader.sha256()[..], whole.as_ref());
        assert_eq!(sha256_of(&bytes), reader.sha256());
        assert_eq!(writer.sha256(), reader.sha256());
        assert_eq!(writer.bytes(), 30_000);
        assert_eq!(writer.to, bytes);
    }
}
