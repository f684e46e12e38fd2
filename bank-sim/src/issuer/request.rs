//! The fields of a message that an issuer decides on, checked once at the edge.

use iso8583::{
    Mti,
    mti::{Class, Function},
};

use super::element::{FormatError, cvv2, digits, exactly, number, pan, parsed};
use crate::{config::HostRules, message::BankMessage};

/// DE 3 at NPS of what completes a pre-authorization.
const PRE_AUTHORIZED: [u8; 2] = *b"03";

/// The kind of payment, from the first two digits of DE 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PaymentKind {
    /// 00 (goods and services), 01 (cash) and 09 (goods and services with cash back): money leaves
    /// the account.
    Debit,
    /// 20 (return of goods): money comes back.
    Credit,
    /// Anything else, which these issuers do not permit.
    Other,
}

impl PaymentKind {
    /// The kind of a processing code (DE 3) at a host with these rules.
    pub(crate) fn of([first, second, ..]: [u8; 6], rules: HostRules) -> Self {
        match [first, second] {
            [b'0', b'0' | b'1' | b'9'] => Self::Debit,
            PRE_AUTHORIZED if rules == HostRules::Nps => Self::Debit,
            [b'2', b'0'] => Self::Credit,
            _ => Self::Other,
        }
    }
}

/// The kind of financial message, from its MTI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageKind {
    /// 0100: hold funds.
    Authorization,
    /// 0200: debit or credit at once; a debit against a hold when DE 90 names one.
    Financial,
    /// 0220 and 0221: post, against a hold when DE 90 names one.
    FinancialAdvice,
    /// 0400, 0401, 0420 and 0421: undo what DE 90 names.
    Reversal,
}

impl MessageKind {
    /// The kind of an MTI at a host with these rules: NPS posts by 0120.
    pub(crate) fn at(mti: Mti, rules: HostRules) -> Option<Self> {
        match (mti.class(), mti.function()) {
            (Class::Authorization, Function::Advice) if rules == HostRules::Nps => {
                Some(Self::FinancialAdvice)
            }
            _ => Self::of(mti),
        }
    }

    /// The kind of an MTI; `None` for one that these hosts do not support.
    pub(crate) fn of(mti: Mti) -> Option<Self> {
        Some(match (mti.class(), mti.function()) {
            (Class::Authorization, Function::Request) => Self::Authorization,
            (Class::Financial, Function::Request) => Self::Financial,
            (Class::Financial, Function::Advice) => Self::FinancialAdvice,
            (Class::Reversal, Function::Request | Function::Advice) => Self::Reversal,
            _ => return None,
        })
    }

    /// Whether it is sent until it is acknowledged, so that a repeat gets the first answer once more. Any
    /// other is answered with 94 when it comes again.
    pub(crate) fn may_come_again(self) -> bool {
        matches!(self, Self::FinancialAdvice | Self::Reversal)
    }

    /// The MTI of the first transmission.
    #[must_use]
    pub fn mti(self) -> &'static str {
        match self {
            Self::Authorization => "0100",
            Self::Financial => "0200",
            Self::FinancialAdvice => "0220",
            Self::Reversal => "0420",
        }
    }
}

/// The key of an exchange: kind, STAN, DE 7 (of a message of 1993 the same places of DE 12), RRN and terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ExchangeKey {
    pub(crate) kind: MessageKind,
    pub(crate) stan: [u8; 6],
    pub(crate) transmitted: [u8; 10],
    pub(crate) rrn: [u8; 12],
    pub(crate) terminal: [u8; 8],
}

impl ExchangeKey {
    /// The key of a message, from DE 11, 7, 37 and 41.
    pub(crate) fn of(message: &BankMessage, kind: MessageKind) -> Result<Self, FormatError> {
        let transmitted = if message.is_of_1993() {
            let [_, _, date_time @ ..]: [u8; 12] = digits(message, 12)?;
            date_time
        } else {
            digits(message, 7)?
        };
        Self::of_time(message, kind, transmitted)
    }

    /// The key of a message at a host with these rules: NPS goes by local time and date (DE 12 and 13).
    pub(crate) fn by(
        message: &BankMessage,
        kind: MessageKind,
        rules: HostRules,
    ) -> Result<Self, FormatError> {
        if rules == HostRules::Standard {
            return Self::of(message, kind);
        }
        let (time, date): ([u8; 6], [u8; 4]) = (digits(message, 12)?, digits(message, 13)?);
        let mut local = [b'0'; 10];
        for (place, digit) in local.iter_mut().zip(time.into_iter().chain(date)) {
            *place = digit;
        }
        Self::of_time(message, kind, local)
    }

    fn of_time(
        message: &BankMessage,
        kind: MessageKind,
        transmitted: [u8; 10],
    ) -> Result<Self, FormatError> {
        Ok(Self {
            kind,
            stan: digits(message, 11)?,
            transmitted,
            rrn: exactly(message, 37)?,
            terminal: exactly(message, 41)?,
        })
    }

    /// The original of a message with this key, if it has one: what DE 90 (in 1993 DE 56) names; at NPS what
    /// completes a pre-authorization has the numbers and the time of it.
    pub(crate) fn original_of(
        self,
        message: &BankMessage,
        rules: HostRules,
    ) -> Result<Option<Self>, FormatError> {
        if message.get(original_element(message)).is_some() {
            return Self::of_original(message).map(Some);
        }
        let completes = rules == HostRules::Nps
            && self.kind != MessageKind::Authorization
            && message
                .get(3)
                .is_some_and(|code| code.starts_with(&PRE_AUTHORIZED));
        let kind = MessageKind::Authorization;
        Ok(completes.then_some(Self { kind, ..self }))
    }

    /// The key of the original that DE 90 (in 1993 DE 56) names; the RRN (DE 37) and the terminal (DE 41) of the
    /// message are the original's.
    pub(crate) fn of_original(message: &BankMessage) -> Result<Self, FormatError> {
        let de = original_element(message);
        let malformed = FormatError {
            de,
            expected: "message type, STAN and date and time of an original",
        };
        let original = message
            .get(de)
            .filter(|data| data.iter().all(u8::is_ascii_digit));
        let part = |range: std::ops::Range<usize>| {
            original
                .and_then(|original| original.get(range))
                .ok_or(malformed)
        };
        // DE 56 has the year in front of month and day.
        let transmitted = if message.is_of_1993() { 12..22 } else { 10..20 };
        let kind = str::from_utf8(part(0..4)?)
            .ok()
            // Only a host like NPS has a 0120 that can be named.
            .and_then(|mti| MessageKind::at(mti.parse().ok()?, HostRules::Nps))
            .filter(|kind| *kind != MessageKind::Reversal);
        let kind = kind.ok_or(FormatError {
            de,
            expected: "an original MTI of x100, x120, x200 or x220",
        })?;
        Ok(Self {
            kind,
            stan: part(4..10)?.try_into().map_err(|_| malformed)?,
            transmitted: part(transmitted)?.try_into().map_err(|_| malformed)?,
            rrn: exactly(message, 37)?,
            terminal: exactly(message, 41)?,
        })
    }
}

/// The data element that names an original.
fn original_element(message: &BankMessage) -> u8 {
    if message.is_of_1993() { 56 } else { 90 }
}

/// A card request, read and checked. Its `Debug` is left out, because it holds card data.
pub(crate) struct CardRequest {
    pub(crate) key: ExchangeKey,
    pub(crate) pan: String,
    pub(crate) kind: PaymentKind,
    pub(crate) amount_minor: i64,
    pub(crate) currency_numeric: u16,
    pub(crate) expiry_yymm: Option<[u8; 4]>,
    pub(crate) cvv2: Option<String>,
    pub(crate) pin_block: Option<[u8; 8]>,
    /// The hold that it completes, or of a 0100 increments, from DE 90.
    pub(crate) original: Option<ExchangeKey>,
}

impl CardRequest {
    /// Reads a 0100, 0200 or 0220.
    ///
    /// # Errors
    /// The first data element that is missing or malformed.
    pub(crate) fn read(
        message: &BankMessage,
        kind: MessageKind,
        rules: HostRules,
    ) -> Result<Self, FormatError> {
        let kind_of_payment = PaymentKind::of(digits(message, 3)?, rules);
        let key = ExchangeKey::by(message, kind, rules)?;
        Ok(Self {
            key,
            pan: pan(message)?.to_owned(),
            kind: kind_of_payment,
            amount_minor: number(message, 4, "12 digits")?,
            currency_numeric: number(message, 49, "3 digits")?,
            expiry_yymm: message.get(14).map(|_| digits(message, 14)).transpose()?,
            cvv2: cvv2(message, rules)?.map(str::to_owned),
            pin_block: message
                .get(52)
                .map(|block| {
                    block.try_into().map_err(|_| FormatError {
                        de: 52,
                        expected: "8 bytes",
                    })
                })
                .transpose()?,
            original: key.original_of(message, rules)?,
        })
    }

    /// Whether it asks for nothing but whether the card is good.
    pub(crate) fn verifies(&self) -> bool {
        self.key.kind == MessageKind::Authorization && self.amount_minor == 0
    }

    /// Whether the issuer may refuse it: it asks for money. An advice tells what has happened, and money
    /// that comes back is taken.
    pub(crate) fn asks(&self) -> bool {
        self.key.kind != MessageKind::FinancialAdvice && self.kind != PaymentKind::Credit
    }
}

/// A 0400, 0420 or their repeat.
pub(crate) struct Reversal {
    pub(crate) key: ExchangeKey,
    /// The message that it undoes, from DE 90.
    pub(crate) original: ExchangeKey,
    pub(crate) pan: Option<String>,
    /// DE 4, the original's.
    pub(crate) amount_minor: Option<i64>,
    /// The amount that stays, from DE 95; everything is undone without it.
    pub(crate) kept_minor: Option<i64>,
}

impl Reversal {
    /// Reads a reversal.
    ///
    /// # Errors
    /// The first data element that is missing or malformed.
    pub(crate) fn read(message: &BankMessage, rules: HostRules) -> Result<Self, FormatError> {
        let amount = |_| number(message, 4, "12 digits");
        Ok(Self {
            key: ExchangeKey::by(message, MessageKind::Reversal, rules)?,
            original: ExchangeKey::of_original(message)?,
            pan: message.text(2).map(str::to_owned),
            amount_minor: message.get(4).map(amount).transpose()?,
            kept_minor: kept_minor(message)?,
        })
    }
}

/// The amount that a reversal leaves, from DE 95 of 1987.
pub(crate) fn kept_minor(reversal: &BankMessage) -> Result<Option<i64>, FormatError> {
    if reversal.is_of_1993() || reversal.get(95).is_none() {
        return Ok(None);
    }
    let actual = digits::<42>(reversal, 95)?;
    let actual = actual.first_chunk::<12>().map(|text| text.as_slice());
    let kept = actual.and_then(parsed).ok_or(FormatError {
        de: 95,
        expected: "42 digits",
    });
    kept.map(Some)
}
