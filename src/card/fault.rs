//! In which way a sealed card, or a sealed session key, is bad.

/// What is wrong with an envelope. Only a test environment tells its caller; elsewhere it is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedCardFault {
    /// Not five parts in base64url, or too long.
    #[error(
        "it is no compact JWE: expected five parts in base64url without padding, 8192 characters at most"
    )]
    NotAnEnvelope,
    /// The header has something else than it must have.
    #[error(
        "its protected header is not as specified: a member is missing, unknown, there twice, or of another \
         kind or value"
    )]
    Header,
    /// No key opens it.
    #[error(
        "its `kid` and `alg` name no current key of this gateway or no session of this merchant, or `epk` or \
         the encrypted key is not one for that key"
    )]
    Key,
    /// The content was not encrypted under the key that the header leads to.
    #[error(
        "its content does not open: it was encrypted under another key, or header, iv, ciphertext or tag \
         were changed after that"
    )]
    Content,
    /// What is inside is not what must be inside.
    #[error(
        "its payload is not as specified: pan, expiry and perhaps cvv and holder, each a string, and nothing \
         else"
    )]
    Payload,
    /// It is for another merchant.
    #[error("`merchant` in its header is not the merchant that calls")]
    Merchant,
    /// It is for another order.
    #[error("`order` in its header is not the request's merchant_reference")]
    Order,
    /// It is for another amount or currency.
    #[error("`amount_minor` or `currency` in its header is not the request's amount")]
    Amount,
    /// Its name is none.
    #[error("`jti` in its header is not 16 to 64 characters of A-Z a-z 0-9 - _")]
    Jti,
    /// It is good for too long, or for no time at all.
    #[error("`exp` in its header is not after `iat`, or later after it than is allowed")]
    Lifetime,
    /// It was sealed in the future.
    #[error("`iat` in its header is more than 60 s ahead of the gateway's clock")]
    ClockAhead,
    /// It has expired.
    #[error("it has expired: `exp` in its header is over by the gateway's clock")]
    Expired,
    /// Its session key has sealed as many cards as it may.
    #[error("its session key has sealed as many cards as it may: set up a new session")]
    SessionUsedUp,
    /// It was sealed before the gateway's database was restored: the request may have been carried out already.
    #[error(
        "it was sealed before the gateway's database was restored: the request may have been carried out before that"
    )]
    Restored,
    /// It was presented before.
    #[error(
        "it was used before: a sealed card works once, so seal the card again with a new `jti`"
    )]
    Used,
}

impl SealedCardFault {
    /// Its name for programs, for instance `EXPIRED`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAnEnvelope => "NOT_AN_ENVELOPE",
            Self::Header => "HEADER",
            Self::Key => "KEY",
            Self::Content => "CONTENT",
            Self::Payload => "PAYLOAD",
            Self::Merchant => "MERCHANT",
            Self::Order => "ORDER",
            Self::Amount => "AMOUNT",
            Self::Jti => "JTI",
            Self::Lifetime => "LIFETIME",
            Self::ClockAhead => "CLOCK_AHEAD",
            Self::Expired => "EXPIRED",
            Self::SessionUsedUp => "SESSION_USED_UP",
            Self::Restored => "RESTORED",
            Self::Used => "USED",
        }
    }
}
