//! Writes the clearing file of a day that is closed: first to the disk, then into the records. What a crash interrupts is
//! done again, with the same bytes.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::clearing::error::ClearingError;
use super::clearing::file_name::{Cycle, FileHeader};
use super::clearing::format::{Claims, ClearingFormat};
use super::clearing::item::ClearingItem;
use super::clearing::writer::{ClearingWriter, ControlTotals};
use super::durable_file::{DurableFile, DurableFileError, write_durably};
use super::host_files::HostFiles;
use crate::clock::Clock;
use crate::fault_points::FaultPoint;
use crate::payment::ids::HostId;
use crate::payment::moment::BusinessDate;
use crate::payment::settlement::{BusinessDay, ItemKind};
use crate::payment::settlement_file::{ClearedItem, FileSum, SettlementFile};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::settlement::ItemPlace;

/// The items that are read at once.
const ITEMS_AT_ONCE: usize = 500;

/// Writes clearing files.
pub struct ClearingFiles {
    store: Store,
    files: Arc<HostFiles>,
    clock: Arc<dyn Clock>,
    folder: PathBuf,
}

/// Why what was to be in a file is not.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// An item does not fit the file.
    #[error(transparent)]
    Clearing(#[from] ClearingError),
    /// The items could not be read to their end.
    #[error("the items of the day could not be read to their end")]
    Interrupted,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ClearingFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] DurableFileError<ContentError>),
    /// It is larger than its record can say, or this process ends.
    #[error("the file was not written to its end")]
    Interrupted,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClearingFileError {
    /// Whether another gateway writes the file at this moment, and records it.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self, Self::File(DurableFileError::Busy { .. }))
    }
}

/// What comes to the writer: items, and at last that there are no more.
enum Handed {
    Items(Vec<ClearedItem>),
    End,
}

impl ClearingFiles {
    /// Writes the files of these hosts into `folder`.
    #[must_use]
    pub fn new(
        store: Store,
        files: Arc<HostFiles>,
        clock: Arc<dyn Clock>,
        folder: PathBuf,
    ) -> Self {
        Self {
            store,
            files,
            clock,
            folder,
        }
    }

    /// Makes sure that the file of a day is written and recorded, where its host takes one. With `submits`, its batches
    /// are submitted by it.
    ///
    /// # Errors
    /// [`ClearingFileError`]; it is to be called again.
    pub async fn ensure(&self, day: &BusinessDay, submits: bool) -> Result<(), ClearingFileError> {
        let Some(format) = self.files.clearing(day.host_id) else {
            return Ok(());
        };
        let recorded = self.store.settlement_files(&day.host_id, day.date).await?;
        if !recorded.is_empty() {
            return Ok(());
        }
        let file = self.write(Arc::clone(format), day).await?;
        if self.store.record_settlement_file(&file, submits).await? {
            FaultPoint::FileRecorded.pass();
            tracing::info!(
                host.id = %file.host_id, business_date = %file.business_date, file = file.name,
                items = file.item_count, "A clearing file is written"
            );
        }
        Ok(())
    }

    /// Writes the file of a day to the disk; it is not recorded yet.
    ///
    /// # Errors
    /// [`ClearingFileError`].
    pub async fn write(
        &self,
        format: Arc<ClearingFormat>,
        day: &BusinessDay,
    ) -> Result<SettlementFile, ClearingFileError> {
        let header = FileHeader {
            host_id: day.host_id,
            business_date: day.date,
            cycle: Cycle::new(1).ok_or(ClearingFileError::Interrupted)?,
        };
        let name = format.file_name(&header);
        let (handed, items) = mpsc::channel(2);
        let all = format.claims == Claims::All;
        let is_answered = format.answered_member().is_some();
        let (folder, file_name) = (self.folder.clone(), name.clone());
        let writing = spawn_blocking(move || {
            write_durably(&folder, &file_name, |out| {
                write_items(&format, &header, items, out)
            })
        });
        let read = self.hand_out((day.host_id, day.date), all, &handed).await;
        // Without its end the file is none.
        drop(handed);
        let written = writing.await.map_err(|_| ClearingFileError::Interrupted)?;
        read?;
        self.written(day, (name, is_answered), written?)
    }

    fn written(
        &self,
        day: &BusinessDay,
        (name, is_answered): (String, bool),
        file: DurableFile<ControlTotals>,
    ) -> Result<SettlementFile, ClearingFileError> {
        let number =
            |number: u64| i64::try_from(number).map_err(|_| ClearingFileError::Interrupted);
        let sums = file.content.sums.iter().map(|sum| {
            Ok(FileSum {
                currency: sum.currency,
                count: number(sum.count)?,
                sum_minor: sum.sum_minor,
            })
        });
        Ok(SettlementFile {
            host_id: day.host_id,
            business_date: day.date,
            cycle: 1,
            name,
            sha256: file.sha256,
            bytes: number(file.bytes)?,
            item_count: number(file.content.count)?,
            sums: sums.collect::<Result<_, ClearingFileError>>()?,
            written_at: self.clock.now(),
            // An empty one claims nothing.
            awaits_answer: is_answered && file.content.count > 0,
            answer: None,
            accepted_at: None,
        })
    }

    /// Hands out what the host is to learn by the file: captures, then refunds. The order is the same each time.
    async fn hand_out(
        &self,
        (host, date): (HostId, BusinessDate),
        all: bool,
        to: &mpsc::Sender<Handed>,
    ) -> Result<(), StoreError> {
        for kind in [ItemKind::Capture, ItemKind::Refund] {
            let mut after = ItemPlace::default();
            loop {
                let items =
                    self.store
                        .items_to_clear((&host, date), (kind, all), ITEMS_AT_ONCE, &after);
                let (places, items): (Vec<_>, Vec<_>) = items.await?.into_iter().unzip();
                match places.into_iter().next_back() {
                    Some(last) => after = last,
                    None => break,
                }
                if to.send(Handed::Items(items)).await.is_err() {
                    // The writer has failed, and says why.
                    return Ok(());
                }
            }
        }
        // Likewise.
        drop(to.send(Handed::End).await);
        Ok(())
    }
}

fn write_items(
    format: &ClearingFormat,
    header: &FileHeader,
    mut handed: mpsc::Receiver<Handed>,
    out: &mut dyn Write,
) -> Result<ControlTotals, ContentError> {
    let mut writer = ClearingWriter::new(format, header, out)?;
    loop {
        match handed.blocking_recv() {
            Some(Handed::Items(items)) => {
                for item in &items {
                    writer.item(&clearing_item(item))?;
                }
            }
            Some(Handed::End) => return Ok(writer.finish()?),
            None => return Err(ContentError::Interrupted),
        }
    }
}

fn clearing_item(item: &ClearedItem) -> ClearingItem<'_> {
    fn some(text: &str) -> Option<&str> {
        Some(text).filter(|text| !text.is_empty())
    }
    ClearingItem {
        kind: item.kind,
        subject_id: item.subject_id,
        amount: item.amount,
        acceptor_id: item.acceptor_id.trim_end(),
        terminal_id: item.terminal_id.trim_end(),
        rrn: item.rrn,
        approval_code: some(&item.approval_code),
        card_masked: some(&item.card_masked),
        card_number: None,
        acquirer_reference: None,
        mcc: some(&item.mcc),
        local_date_time: None,
        name_location: None,
        settlement_date: None,
    }
}
