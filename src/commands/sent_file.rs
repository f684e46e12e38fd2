//! Files that commands send to a gateway: some bytes at a time, with a progress bar.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use iso8583::hex;
use ring::digest::{Context, SHA256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::error::CommandError;
use super::operators_door::told;

/// The bytes of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;
/// The chunks that are read ahead.
const CHUNKS_AHEAD: usize = 4;

/// A file to send.
pub struct SentFile {
    path: PathBuf,
}

impl SentFile {
    /// The file at this path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let path = path.to_path_buf();
        Self { path }
    }

    /// Its name, without the folders.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Its SHA-256, as hexadecimal digits.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn sha256(&self) -> Result<String, CommandError> {
        let digits = || -> std::io::Result<String> {
            let (mut file, mut hash) = (File::open(&self.path)?, Context::new(&SHA256));
            while let Some(read) = next_chunk(&mut file)? {
                hash.update(&read);
            }
            Ok(hex::encode_lower(hash.finish().as_ref()))
        };
        digits().map_err(|error| self.unreadable(&error))
    }

    /// Sends `first` and then the bytes of the file, each as a `part`. What the gateway does not take any more is not read.
    /// Gives what `call` is answered.
    ///
    /// # Errors
    /// When the file can't be read, or the gateway refuses.
    pub async fn send<M: Send + 'static, A>(
        &self,
        first: M,
        part: fn(Vec<u8>) -> M,
        call: impl AsyncFnOnce(ReceiverStream<M>) -> Result<Response<A>, Status>,
    ) -> Result<A, CommandError> {
        let file = File::open(&self.path);
        let mut file = file.map_err(|error| self.unreadable(&error))?;
        let length = file.metadata().map_err(|error| self.unreadable(&error))?;
        let bar = bar(length.len());
        let (parts, sent) = mpsc::channel(CHUNKS_AHEAD);
        let progress = bar.clone();
        let reading = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
            let mut is_taken = parts.blocking_send(first).is_ok();
            while is_taken {
                let Some(read) = next_chunk(&mut file)? else {
                    break;
                };
                progress.inc(u64::try_from(read.len()).unwrap_or(0));
                is_taken = parts.blocking_send(part(read)).is_ok();
            }
            progress.set_message("being checked and applied");
            Ok(())
        });
        let answer = call(ReceiverStream::new(sent)).await;
        bar.finish_and_clear();
        // Where the gateway has refused, the rest of the file is not read.
        let read = reading.await?;
        let answer = answer.map_err(told)?.into_inner();
        read.map_err(|error| self.unreadable(&error))?;
        Ok(answer)
    }

    fn unreadable(&self, error: &std::io::Error) -> CommandError {
        format!("{}: {error}", self.path.display()).into()
    }
}

/// The next bytes; none at the end.
fn next_chunk(file: &mut File) -> std::io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let count = file.read(&mut buffer)?;
    buffer.truncate(count);
    Ok((count > 0).then_some(buffer))
}

/// A progress bar on standard error, which shows nothing when that is no terminal.
fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    // The template is a constant; without one the bar only looks plainer.
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg}") {
        bar.set_style(style);
    }
    bar
}
