//! Takes in statements: the whole file is read and checked first; then its lines are recorded, some at a time, and matched.
//! What a crash interrupts goes on when the same file comes again, on whichever node.
//!
//! A line counts once. A statement that begins with what the one before it closed with has only lines that are new, also
//! where they look like earlier ones. Any other may overlap: of its lines that look the same, the first is the first of
//! those that are there, the second the second, and only what is left is new.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::Stream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use self::checking::{Checked, check};
use self::line_key::line_key;
use self::pieces::{Piece, Pieces};
use super::accounts::StatementAccount;
use super::statement::error::StatementError;
use super::statement::format::read_statements;
use super::statement::part::StatementLine;
use super::statement_matching::Matching;
use crate::clock::Clock;
use crate::payment::bank_statement::{
    BankLine, BankStatement, LineMatch, LineState, StatementKind,
};
use crate::payment::ids::{BankAccountName, BankLineId, BankStatementId, ImportId};
use crate::payment::moment::{BusinessDate, NumberDate};
use crate::random::Random;
use crate::settlement::bank_account::AccountNumber;
use crate::settlement::spool::{Spool, SpoolError};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::statements::LineCounts;

mod checking;
mod line_key;
mod pieces;

/// How often other nodes may be first with another statement of the account.
const ATTEMPTS: u32 = 5;
/// Files that are taken in at once.
const AT_ONCE: usize = 1;

/// A file of statements that an operator gives.
#[derive(Debug, Clone)]
pub struct GivenStatements {
    /// The account that they are of.
    pub account: BankAccountName,
    /// The file's name, for people.
    pub name: String,
    /// The SHA-256 of the file, where it was said before the file came.
    pub sha256: Option<[u8; 32]>,
    /// Who gives it.
    pub operator: String,
}

/// A statement that was taken in, now or before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenStatement {
    /// How it is recorded.
    pub statement: BankStatement,
    /// The lines that came by it first, by where they stand.
    pub counts: LineCounts,
}

/// A file that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenFile {
    /// Its statements.
    pub statements: Vec<TakenStatement>,
    /// Whether all of them were there before.
    pub was_there: bool,
    /// How many lines of the account were matched now, those of earlier files too.
    pub matched: usize,
}

/// Why a file is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum StatementImportError {
    /// No such account is configured.
    #[error("there is no account {0} in reconciliation.accounts")]
    NoAccount(BankAccountName),
    /// Another hash was said than the file has.
    #[error("the file is not the one that was named: its SHA-256 is another")]
    OtherFile,
    /// What the file says is wrong, or is about something else.
    #[error(transparent)]
    File(#[from] StatementError),
    /// Another file was interrupted, and has to come again first.
    #[error("the file {name:?} (SHA-256 {sha256}) was interrupted: give it again first")]
    Unfinished {
        /// Its name.
        name: String,
        /// Its hash.
        sha256: String,
    },
    /// As many files are being taken in as may be at once.
    #[error("other statements are being taken in")]
    Busy,
    /// The file could not be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The file could not be read again, or this process ends.
    #[error("the import was interrupted: {0}")]
    Interrupted(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes in statements.
pub struct StatementImports {
    store: Store,
    accounts: BTreeMap<BankAccountName, StatementAccount>,
    matching: Arc<Matching>,
    clock: Arc<dyn Clock>,
    random: Random,
    folder: PathBuf,
    room: Semaphore,
}

impl StatementImports {
    /// Takes in statements of these accounts; files lie in `folder` meanwhile.
    #[must_use]
    pub fn new(
        store: Store,
        accounts: BTreeMap<BankAccountName, StatementAccount>,
        matching: Arc<Matching>,
        clock: Arc<dyn Clock>,
        random: Random,
        folder: PathBuf,
    ) -> Self {
        Self {
            store,
            accounts,
            matching,
            clock,
            random,
            folder,
            room: Semaphore::new(AT_ONCE),
        }
    }

    /// The names of the accounts, by their numbers.
    pub fn account_names(&self) -> impl Iterator<Item = (AccountNumber, BankAccountName)> {
        let accounts = self.accounts.values();
        accounts.map(|account| (account.number.clone(), account.name))
    }

    /// An account.
    ///
    /// # Errors
    /// When it is not configured.
    pub fn account(
        &self,
        name: BankAccountName,
    ) -> Result<&StatementAccount, StatementImportError> {
        let account = self.accounts.get(&name);
        account.ok_or(StatementImportError::NoAccount(name))
    }

    /// Takes in a file that comes in `chunks`. The same file again changes nothing, and goes on with what was interrupted;
    /// lines that are open are looked at again.
    ///
    /// # Errors
    /// [`StatementImportError`].
    pub async fn take_in<E: std::fmt::Display>(
        &self,
        given: GivenStatements,
        chunks: impl Stream<Item = Result<Vec<u8>, E>> + Unpin,
    ) -> Result<TakenFile, StatementImportError> {
        let _room = self
            .room
            .try_acquire()
            .map_err(|_| StatementImportError::Busy)?;
        let account = self.account(given.account)?;
        let id = ImportId::from_parts(self.clock.now(), self.random()?);
        let spool = Spool::write(&self.folder, id, chunks).await?;
        let sha256 = spool.sha256();
        if given.sha256.is_some_and(|said| said != sha256) {
            return Err(StatementImportError::OtherFile);
        }
        let spool = Arc::new(spool);
        let (of, today, file) = (account.clone(), self.today(), Arc::clone(&spool));
        let checking = spawn_blocking(move || {
            let file = file.open().map_err(interrupted)?;
            Ok::<_, StatementImportError>(check(&of, file, today)?)
        });
        let checked = checking.await.map_err(interrupted)??;
        let (pieces, mut read) = mpsc::channel(2);
        let format = account.format;
        let reading = spawn_blocking(move || {
            let file = spool.open().map_err(interrupted)?;
            for piece in Pieces::of(read_statements(format, file, today)) {
                if pieces.blocking_send(piece?).is_err() {
                    break;
                }
            }
            Ok::<(), StatementImportError>(())
        });
        let mut was_there = true;
        for (number, checked) in (1_i64..).zip(&checked) {
            let (mut statement, is_new) =
                self.begin(account, &given, sha256, number, checked).await?;
            was_there &= !is_new;
            let mut seen = BTreeMap::new();
            let mut position = 0;
            while let Some(Piece::Lines(lines)) = read.recv().await {
                self.record(&mut statement, &mut seen, &mut position, &lines)
                    .await?;
            }
            self.finish(&statement).await?;
        }
        drop(read);
        reading.await.map_err(interrupted)??;
        let matched = self.matching.look(account).await?;
        self.taken(account.name, &sha256, was_there, matched).await
    }

    fn today(&self) -> BusinessDate {
        NumberDate::of(self.clock.now()).into()
    }

    fn random(&self) -> Result<[u8; 10], StatementImportError> {
        self.random.bytes_for_name().map_err(interrupted)
    }

    /// The record of a statement of a file, and whether it is new.
    async fn begin(
        &self,
        account: &StatementAccount,
        given: &GivenStatements,
        sha256: [u8; 32],
        number_in_file: i64,
        Checked { head, end }: &Checked,
    ) -> Result<(BankStatement, bool), StatementImportError> {
        for _ in 0..ATTEMPTS {
            let before = self
                .store
                .bank_statement_of_file(account.name, &sha256, number_in_file);
            if let Some(before) = before.await? {
                return Ok((before, false));
            }
            let last = self.store.last_bank_statement(account.name).await?;
            if let Some(open) = last.as_ref().filter(|last| !last.is_done) {
                return Err(StatementImportError::Unfinished {
                    name: open.file_name.clone(),
                    sha256: iso8583::hex::encode_lower(&open.sha256),
                });
            }
            let now = self.clock.now();
            let number =
                |number: Option<u64>| number.map(|it| i64::try_from(it).unwrap_or(i64::MAX));
            let mut statement = BankStatement {
                id: BankStatementId::from_parts(now, self.random()?),
                account: account.name,
                ordinal: last.map_or(0, |last| last.ordinal).saturating_add(1),
                file_name: given.name.clone(),
                sha256,
                number_in_file,
                reference: head.id.clone(),
                sequence: number(head.sequence),
                page: number(head.page),
                currency: head.currency,
                kind: head.kind,
                opening: head.opening,
                closing: end.closing,
                place: None,
                before_minor: None,
                continues: false,
                lines: number(Some(end.lines)).unwrap_or(0),
                applied_to: 0,
                is_done: false,
                operator: given.operator.clone(),
                at: now,
            };
            let is_repeated = self.store.same_bank_statement(&statement).await?.is_some();
            let date = end.closing.and_then(|closing| closing.date);
            if let (StatementKind::Booked, false, Some(date)) = (head.kind, is_repeated, date) {
                let (sequence, page) = (head.sequence.unwrap_or(0), head.page.unwrap_or(0));
                let ordinal = statement.ordinal;
                let place = format!("{date}/{sequence:020}/{page:05}/{ordinal:010}");
                let [before, after] = self
                    .store
                    .bank_statements_around(account.name, &place)
                    .await?;
                chain(&mut statement, before.as_ref(), after.as_ref());
                statement.place = Some(place);
            }
            if self.store.insert_bank_statement(&statement).await? {
                return Ok((statement, true));
            }
        }
        Err(StatementImportError::Busy)
    }

    /// Records the next lines of a statement that are not recorded yet.
    async fn record(
        &self,
        statement: &mut BankStatement,
        seen: &mut BTreeMap<[u8; 32], i64>,
        position: &mut i64,
        lines: &[StatementLine],
    ) -> Result<(), StatementImportError> {
        if statement.is_done {
            return Ok(());
        }
        let keys: Vec<_> = lines
            .iter()
            .map(|line| line_key(statement.kind, line))
            .collect();
        let others = match statement.continues {
            true => self.store.bank_line_counts(statement, &keys).await?,
            false => BTreeMap::new(),
        };
        let mut recorded = Vec::with_capacity(lines.len());
        for (line, key) in lines.iter().zip(keys) {
            let own = seen.entry(key).or_insert(0_i64);
            *own += 1;
            let before = others.get(&key).copied().unwrap_or(0);
            recorded.push(self.bank_line(statement, line, key, before + *own)?);
        }
        let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        let begin = *position;
        *position = begin.saturating_add(count);
        // A piece has the same lines each time, and all of them are recorded or none.
        if statement.applied_to > begin {
            return Ok(());
        }
        match self
            .store
            .insert_bank_lines(statement, &recorded, count)
            .await?
        {
            true => {
                statement.applied_to = *position;
                Ok(())
            }
            false => {
                let other = "another node takes in the same file";
                Err(StatementImportError::Interrupted(other.to_owned()))
            }
        }
    }

    fn bank_line(
        &self,
        statement: &BankStatement,
        line: &StatementLine,
        key: [u8; 32],
        occurrence: i64,
    ) -> Result<BankLine, StatementImportError> {
        let counts = statement.kind == StatementKind::Booked && line.state == LineState::Booked;
        Ok(BankLine {
            id: BankLineId::from_parts(statement.at, self.random()?),
            account: statement.account,
            statement_id: statement.id,
            ordinal: statement.ordinal,
            number: i64::try_from(line.number).unwrap_or(i64::MAX),
            key,
            occurrence,
            bank_state: line.state,
            booking_date: line.booking_date,
            value_date: line.value_date,
            amount_minor: line.amount_minor,
            currency: line.currency,
            bank_reference: line.bank_reference.clone(),
            own_reference: line.own_reference.clone(),
            text: line.text.clone(),
            reverses: line.reverses,
            matching: LineMatch::new(counts),
        })
    }

    async fn finish(&self, statement: &BankStatement) -> Result<(), StatementImportError> {
        if statement.is_done {
            return Ok(());
        }
        let after = match &statement.place {
            Some(place) => {
                let around = self.store.bank_statements_around(statement.account, place);
                let [_, after] = around.await?;
                after.map(|after| after.id)
            }
            None => None,
        };
        let is_done = self.store.finish_bank_statement(statement, after).await?;
        if !is_done {
            let other = "another node takes in the same file";
            return Err(StatementImportError::Interrupted(other.to_owned()));
        }
        tracing::info!(
            account = %statement.account, statement.id = %statement.id, lines = statement.lines,
            "A bank statement is taken in"
        );
        Ok(())
    }

    async fn taken(
        &self,
        account: BankAccountName,
        sha256: &[u8; 32],
        was_there: bool,
        matched: usize,
    ) -> Result<TakenFile, StatementImportError> {
        let mut statements = Vec::new();
        for statement in self.store.bank_statements_of_file(account, sha256).await? {
            if statement.breaks_chain() {
                tracing::error!(
                    account = %account, statement.id = %statement.id, ours = statement.before_minor,
                    theirs = statement.opening.map(|opening| opening.amount_minor),
                    "A bank statement does not begin with what the one before it closed with"
                );
            }
            statements.push(TakenStatement {
                counts: self.store.bank_line_states(statement.id).await?,
                statement,
            });
        }
        Ok(TakenFile {
            statements,
            was_there,
            matched,
        })
    }
}

/// Says what the statement before closed with, and whether all lines are new: where it ends where the one after it begins,
/// too.
fn chain(
    statement: &mut BankStatement,
    before: Option<&BankStatement>,
    after: Option<&BankStatement>,
) {
    let closing = |of: &BankStatement| of.closing.map(|closing| closing.amount_minor);
    let opening = |of: &BankStatement| of.opening.map(|opening| opening.amount_minor);
    statement.before_minor = before.and_then(closing);
    let follows = before.is_none_or(|before| closing(before) == opening(statement));
    let is_followed = after.is_none_or(|after| opening(after) == closing(statement));
    statement.continues = statement.opening.is_some() && follows && is_followed;
}

fn interrupted(error: impl std::fmt::Display) -> StatementImportError {
    StatementImportError::Interrupted(error.to_string())
}
