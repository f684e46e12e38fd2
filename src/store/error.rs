//! What can go wrong in the store.

/// Why the store did not do what was asked. Where nothing else is said, nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The settings name no database that can be used.
    #[error("expected {expected}, got {got:?}")]
    Configuration {
        /// What the setting should look like.
        expected: &'static str,
        /// What it was, without any password.
        got: String,
    },
    /// The database's schema is not the one this program was built for.
    #[error("the database has schema version {found}, this program needs {needed}: {advice}")]
    Schema {
        /// The version found, 0 when there is none.
        found: i64,
        /// The version needed.
        needed: i64,
        /// What to do.
        advice: &'static str,
    },
    /// Another process has migrated the database since this one started.
    #[error(
        "the database was migrated to schema version {found}, this program knows {needed}: it takes no more payments"
    )]
    SchemaMovedOn {
        /// The version found.
        found: i64,
        /// The newest version that this program knows.
        needed: i64,
    },
    /// Other gateways use the database, which is to be no gateway's for this.
    #[error("{nodes} other gateways use this database; stop them first")]
    InUse {
        /// How many.
        nodes: usize,
    },
    /// A migration that was applied is not the one this program carries.
    #[error(
        "migration {version} of the database has the checksum {found}, this program carries {carried}"
    )]
    MigrationChanged {
        /// The migration's number.
        version: i64,
        /// The checksum in the database.
        found: String,
        /// The checksum of the text in the program.
        carried: String,
    },
    /// Another process has the SQLite file open.
    #[error("another gateway holds {path}; one SQLite file serves one gateway at a time")]
    Locked {
        /// The lock file.
        path: String,
    },
    /// A file could not be made or opened.
    #[error("could not {what} {path}: {reason}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// The database can't be reached or does not work at the moment.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
    /// More records wait than the settings allow.
    #[error("{waiting} records wait for the database already")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A row holds something that no version of this program wrote.
    #[error("table {table}, row {row}: column {column} holds {got:?}; {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// The value, cut to 60 characters.
        got: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something with this identity is there already.
    #[error("{what} is there already: {reason}")]
    Conflict {
        /// What was to be written.
        what: &'static str,
        /// What the database said.
        reason: String,
    },
    /// There is no such row.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its identity.
        id: String,
    },
    /// The record is not one that may be written.
    #[error("expected {expected}, got {got}")]
    Invalid {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// The database refused a statement, and would again.
    #[error("the database refused the record: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The numbers of a host are used up for a number date.
    #[error("the numbers of host {host} for {date} are used up")]
    SequenceExhausted {
        /// The host.
        host: String,
        /// The number date.
        date: String,
    },
    /// The record may or may not have been written: the database went away while it committed.
    #[error("the record may or may not have been written: {reason}")]
    OutcomeUnknown {
        /// What happened.
        reason: String,
    },
}
