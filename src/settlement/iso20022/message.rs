//! Which messages of a bank are read, and how each names what it holds.

/// A message of a bank to its customer, of any version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Message {
    /// camt.052: what has moved and will move on an account within the day.
    Report,
    /// camt.053: what was booked on an account.
    Statement,
    /// camt.054: single bookings.
    Notification,
}

impl Message {
    /// Its namespace, without the two digits of its version.
    #[must_use]
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Report => "urn:iso:std:iso:20022:tech:xsd:camt.052.001.",
            Self::Statement => "urn:iso:std:iso:20022:tech:xsd:camt.053.001.",
            Self::Notification => "urn:iso:std:iso:20022:tech:xsd:camt.054.001.",
        }
    }

    /// The element in the document.
    #[must_use]
    pub const fn root(self) -> &'static str {
        match self {
            Self::Report => "BkToCstmrAcctRpt",
            Self::Statement => "BkToCstmrStmt",
            Self::Notification => "BkToCstmrDbtCdtNtfctn",
        }
    }

    /// The element that is about one account.
    #[must_use]
    pub const fn part(self) -> &'static str {
        match self {
            Self::Report => "Rpt",
            Self::Statement => "Stmt",
            Self::Notification => "Ntfctn",
        }
    }
}
