//! What banks answer to clearing files: recorded with the file, whose day is funded once it was taken as it claims.

use std::sync::Arc;

use iso8583::hex;

use super::clearing::nps_answer::{NpsAnswer, NpsFileId};
use super::host_files::HostFiles;
use crate::clock::Clock;
use crate::hosts::Hosts;
use crate::payment::ids::HostId;
use crate::payment::settlement_file::{FileAnswer, FileVerdict, SettlementFile};
use crate::store::Store;
use crate::store::error::StoreError;

/// How often other nodes may be first with other answers.
const ATTEMPTS: u32 = 5;
/// The most answers that are remembered of a file beside the last one.
const MOST_BEFORE: usize = 100;

/// Takes in answers to clearing files.
pub struct ClearingAnswers {
    store: Store,
    hosts: Arc<Hosts>,
    files: Arc<HostFiles>,
    clock: Arc<dyn Clock>,
}

/// An answer that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenAnswer {
    /// The file that it is about, with what the bank has answered last.
    pub file: SettlementFile,
    /// Whether it says nothing new: it was taken in before, or is about a duplicate.
    pub was_there: bool,
}

/// Why an answer is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The gateway has no profile of the host.
    #[error("there is no host {0}")]
    NoHost(HostId),
    /// The host answers to no files.
    #[error("the clearing files of host {0} are of no kind that is answered")]
    NoAnswers(HostId),
    /// No such file was written.
    #[error("host {host_id} was written no clearing file like {file:?}")]
    NoFile {
        /// The host.
        host_id: HostId,
        /// The file that the answer is about.
        file: NpsFileId,
    },
    /// Other answers to the file come all the time.
    #[error("other answers to the file are being taken in")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClearingAnswers {
    /// Takes in the answers of these hosts.
    #[must_use]
    pub const fn new(
        store: Store,
        hosts: Arc<Hosts>,
        files: Arc<HostFiles>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            hosts,
            files,
            clock,
        }
    }

    /// The number under which a host that answers knows the member.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn member_of(&self, host_id: HostId) -> Result<&str, AnswerError> {
        let format = self.files.clearing(host_id);
        match format.and_then(|format| format.answered_member()) {
            Some(member) => Ok(member),
            None if self.hosts.ids().any(|known| known == host_id) => {
                Err(AnswerError::NoAnswers(host_id))
            }
            None => Err(AnswerError::NoHost(host_id)),
        }
    }

    /// Takes in an answer with this SHA-256. The same file again changes nothing.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub async fn take(
        &self,
        host_id: HostId,
        answer: &NpsAnswer,
        sha256: [u8; 32],
    ) -> Result<TakenAnswer, AnswerError> {
        let digits = hex::encode_lower(&sha256);
        for _ in 0..ATTEMPTS {
            let mut file = self.file(host_id, &answer.file).await?;
            let mut before = Vec::new();
            if let Some(last) = &file.answer {
                let is_known = last.sha256 == sha256 || last.before.contains(&digits);
                if is_known || answer.is_duplicate() {
                    let was_there = true;
                    return Ok(TakenAnswer { file, was_there });
                }
                let oldest = (last.before.len() + 1).saturating_sub(MOST_BEFORE);
                before.extend(last.before.iter().skip(oldest).cloned());
                before.push(hex::encode_lower(&last.sha256));
            }
            let answered = FileAnswer {
                agrees: answer.verdict.agrees_with(&file.sums),
                verdict: answer.verdict.clone(),
                sha256,
                before,
                answered_at: self.clock.now(),
            };
            if self.store.record_answer(&file, &answered).await? {
                log_answer(&file, &answered);
                (file.answer, file.accepted_at) = (Some(answered), None);
                let was_there = false;
                return Ok(TakenAnswer { file, was_there });
            }
        }
        Err(AnswerError::Busy)
    }

    async fn file(&self, host_id: HostId, id: &NpsFileId) -> Result<SettlementFile, AnswerError> {
        let is_member = self.member_of(host_id)? == id.member_id;
        let found = self.store.settlement_files(&host_id, id.business_date);
        let cycle = i64::from(id.cycle.get());
        let mut found = found.await?.into_iter();
        let found = found.find(|file| is_member && file.cycle == cycle);
        found.ok_or_else(|| AnswerError::NoFile {
            host_id,
            file: id.clone(),
        })
    }
}

/// An alarm, where the bank has not taken what was claimed.
fn log_answer(file: &SettlementFile, answer: &FileAnswer) {
    match &answer.verdict {
        FileVerdict::Accepted { .. } if answer.agrees => tracing::info!(
            host.id = %file.host_id, business_date = %file.business_date, file = file.name,
            "The bank has taken a clearing file"
        ),
        FileVerdict::Accepted { taken } => tracing::error!(
            host.id = %file.host_id, business_date = %file.business_date, file = file.name,
            ours = ?file.sums, theirs = ?taken,
            "The bank has taken something else than its clearing file claims"
        ),
        FileVerdict::Rejected { rejections, count } => tracing::error!(
            host.id = %file.host_id, business_date = %file.business_date, file = file.name,
            ours = ?file.sums, rejections = count, first = ?rejections.first(),
            "The bank has rejected a clearing file"
        ),
    }
}
