//! The meaning of each digit of a message type (ISO 8583:1987 clause 4.1, ISO 8583:2003 clause 5.2).

/// The edition of the standard a message is written in: the first digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// ISO 8583:1987.
    Iso1987,
    /// ISO 8583:1993.
    Iso1993,
    /// ISO 8583:2003.
    Iso2003,
    /// A digit the standard reserves or leaves to national or private use.
    Reserved(u8),
}

/// The subject of a message: the second digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// x1xx: authorization.
    Authorization,
    /// x2xx: financial.
    Financial,
    /// x3xx: file action.
    FileAction,
    /// x4xx: reversal and chargeback.
    Reversal,
    /// x5xx: reconciliation.
    Reconciliation,
    /// x6xx: administrative.
    Administrative,
    /// x7xx: fee collection.
    FeeCollection,
    /// x8xx: network management.
    NetworkManagement,
    /// A digit the standard reserves.
    Reserved(u8),
}

/// The part that a message has in its exchange: the third digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// xx0x: request.
    Request,
    /// xx1x: response to a request.
    RequestResponse,
    /// xx2x: advice.
    Advice,
    /// xx3x: response to an advice.
    AdviceResponse,
    /// xx4x: notification.
    Notification,
    /// xx5x: acknowledgement of a notification.
    NotificationAcknowledgement,
    /// xx6x: instruction (2003).
    Instruction,
    /// xx7x: acknowledgement of an instruction (2003).
    InstructionAcknowledgement,
    /// A digit the standard reserves.
    Reserved(u8),
}

/// The party that began the exchange: the fourth digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// xxx0: the acquirer.
    Acquirer,
    /// xxx1: the acquirer, repeating.
    AcquirerRepeat,
    /// xxx2: the issuer.
    Issuer,
    /// xxx3: the issuer, repeating.
    IssuerRepeat,
    /// xxx4: another party.
    Other,
    /// xxx5: another party, repeating.
    OtherRepeat,
    /// A digit the standard reserves.
    Reserved(u8),
}
