//! Files that come in parts.

use std::fmt::Display;

use futures_util::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use crate::admin_api::show::errors::Refusal;
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;

/// The bytes of a file as they come, or why they do not. `chunk` has those of a message, or says that it is another one.
pub(super) fn chunks<M>(
    parts: Streaming<M>,
    chunk: impl Fn(M) -> Option<Vec<u8>>,
) -> impl Stream<Item = Result<Vec<u8>, String>> {
    parts.map(move |part| match part.map(&chunk) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err("expected the next bytes of the file".to_owned()),
        Err(status) => Err(status.message().to_owned()),
    })
}

/// A kind of file that is read to its end before anything is done with it.
pub(super) struct WholeFile {
    /// The field that has its bytes.
    pub(super) field: &'static str,
    /// What is expected of it.
    pub(super) expected: &'static str,
    /// The most bytes that it may have.
    pub(super) most_bytes: usize,
}

impl WholeFile {
    /// The bytes of a file that begins with `bytes`. `chunk` has those of a message, or says that it is another one.
    ///
    /// # Errors
    /// When the file is too large, or a message has no bytes of it.
    pub(super) async fn read<M>(
        &self,
        mut bytes: Vec<u8>,
        mut parts: Streaming<M>,
        chunk: impl Fn(M) -> Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Status> {
        while let Some(next) = parts.message().await? {
            let Some(chunk) = chunk(next) else {
                return Err(Refusal::FileIncomplete.status());
            };
            if bytes.len() + chunk.len() > self.most_bytes {
                return Err(self.invalid(self.expected, &"a larger file"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// What is wrong with it.
    pub(super) fn invalid(&self, expected: &str, got: &dyn Display) -> Status {
        let mut findings = Findings::default();
        findings.add(self.field, expected, got);
        match findings.finish::<()>(None) {
            Err(invalid) => of_invalid_request(invalid),
            Ok(()) => Refusal::NotDone.status(),
        }
    }
}
