//! The sources of data elements: where a message takes each value from, as a profile says it.

use super::element::ElementName;

/// Where the value of a data element comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A value of the operation, its merchant, its card or its original.
    Named(NamedSource),
    /// The same in every message.
    Literal(String),
    /// Parts of the original, one after another: DE 90, or whatever element the host reads them from.
    OriginalData(Vec<OriginalPart>),
    /// An element of the original's answer that was kept. Where the answer had none, the element is left out.
    Kept(ElementName),
    /// An element as the original sent it.
    AsSent(ElementName),
    /// A text where the merchant takes less than is asked for. Otherwise the element is left out.
    AcceptsPartial(String),
    /// The first source, or the second one where the first has no value.
    OrElse(Box<Source>, Box<Source>),
    /// Sub-elements of a tag, a length and a value, in this order. Those without a value are left out, and
    /// the whole element when all are.
    Subelements(Vec<(u16, Source)>),
}

/// A source that is a name in a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedSource {
    /// The card's PAN.
    Pan,
    /// The operation's amount, in the minor units that the host reads.
    Amount,
    /// The operation's transmission date and time, MMDDhhmmss in UTC.
    TransmissionDateTime,
    /// The operation's STAN.
    Stan,
    /// Time at the merchant, hhmmss.
    LocalTime,
    /// Date at the merchant, MMDD.
    LocalDate,
    /// Date and time at the merchant, YYMMDDhhmmss.
    LocalDateTime,
    /// The card's expiry date, YYMM.
    Expiry,
    /// The merchant's category code.
    Mcc,
    /// The merchant's country, ISO 3166-1 numeric.
    Country,
    /// The operation's RRN.
    Rrn,
    /// The terminal of the payment.
    TerminalId,
    /// The merchant's acceptor identification code.
    AcceptorId,
    /// The merchant's name, city and country: 40 characters, in the host's layout.
    AcceptorNameLocation,
    /// The amount's currency, ISO 4217 numeric, three digits.
    CurrencyNumeric,
    /// The card verification value. Where the customer gave none, the element is left out.
    Cvv,
    /// The code that the profile gives to the reason of the operation.
    Reason,
    /// What the host approved of the original, in the minor units that it reads.
    OriginalAmount,
    /// What stays of the original where the operation gives a part of it back: 42 digits, of which the first twelve are
    /// that amount and the others zeros.
    ReplacementAmounts,
    /// The original's STAN.
    OriginalStan,
    /// The original's RRN.
    OriginalRrn,
    /// The original's transmission date and time, MMDDhhmmss in UTC.
    OriginalTransmissionDateTime,
    /// The original's time at the merchant, hhmmss.
    OriginalLocalTime,
    /// The original's date at the merchant, MMDD.
    OriginalLocalDate,
    /// The original's date and time at the merchant, YYMMDDhhmmss.
    OriginalLocalDateTime,
    /// DE 38 of the original's approval. Where it has none, the element is left out.
    OriginalApprovalCode,
}

impl NamedSource {
    /// Every source and its name.
    pub const ALL: [(&'static str, Self); 26] = [
        ("pan", Self::Pan),
        ("amount", Self::Amount),
        ("transmission_date_time", Self::TransmissionDateTime),
        ("stan", Self::Stan),
        ("local_time", Self::LocalTime),
        ("local_date", Self::LocalDate),
        ("local_date_time", Self::LocalDateTime),
        ("expiry", Self::Expiry),
        ("mcc", Self::Mcc),
        ("country", Self::Country),
        ("rrn", Self::Rrn),
        ("terminal_id", Self::TerminalId),
        ("acceptor_id", Self::AcceptorId),
        ("acceptor_name_location", Self::AcceptorNameLocation),
        ("currency_numeric", Self::CurrencyNumeric),
        ("cvv", Self::Cvv),
        ("reason", Self::Reason),
        ("original_amount", Self::OriginalAmount),
        ("replacement_amounts", Self::ReplacementAmounts),
        ("original_stan", Self::OriginalStan),
        ("original_rrn", Self::OriginalRrn),
        (
            "original_transmission_date_time",
            Self::OriginalTransmissionDateTime,
        ),
        ("original_local_time", Self::OriginalLocalTime),
        ("original_local_date", Self::OriginalLocalDate),
        ("original_local_date_time", Self::OriginalLocalDateTime),
        ("original_approval_code", Self::OriginalApprovalCode),
    ];

    /// The source of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, source)| *source)
    }

    /// Every name there is, for an error.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }

    /// Whether only an operation with an original has it.
    #[must_use]
    pub fn needs_original(self) -> bool {
        matches!(
            self,
            Self::OriginalAmount
                | Self::ReplacementAmounts
                | Self::OriginalStan
                | Self::OriginalRrn
                | Self::OriginalTransmissionDateTime
                | Self::OriginalLocalTime
                | Self::OriginalLocalDate
                | Self::OriginalLocalDateTime
                | Self::OriginalApprovalCode
        )
    }
}

/// A part of the original data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginalPart {
    /// Its message type, 4 digits.
    Mti,
    /// Its STAN, 6 digits.
    Stan,
    /// Its DE 7, 10 digits.
    TransmissionDateTime,
    /// Its DE 12, 6 digits.
    LocalTime,
    /// Its DE 13, 4 digits.
    LocalDate,
    /// Its date and time at the merchant, 12 digits.
    LocalDateTime,
    /// Its amount, 12 digits.
    Amount,
    /// Twelve zeros, for an amount in a currency of reconciliation that nobody knows.
    NoAmount,
    /// Its DE 32 behind its length of two digits, at most 13.
    AcquiringInstitutionWithLength,
    /// Its DE 32, filled with zeros on the left to 11 digits.
    AcquiringInstitution,
    /// Its DE 33, filled with zeros on the left to 11 digits.
    ForwardingInstitution,
}

impl OriginalPart {
    /// Every part, its name in a profile, and its width in characters.
    pub const ALL: [(&'static str, Self, usize); 11] = [
        ("mti", Self::Mti, 4),
        ("stan", Self::Stan, 6),
        ("transmission_date_time", Self::TransmissionDateTime, 10),
        ("local_time", Self::LocalTime, 6),
        ("local_date", Self::LocalDate, 4),
        ("local_date_time", Self::LocalDateTime, 12),
        ("amount", Self::Amount, 12),
        ("no_amount", Self::NoAmount, 12),
        (
            "acquiring_institution_with_length",
            Self::AcquiringInstitutionWithLength,
            13,
        ),
        ("acquiring_institution", Self::AcquiringInstitution, 11),
        ("forwarding_institution", Self::ForwardingInstitution, 11),
    ];

    /// The part of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _, _)| *known == name)
            .map(|(_, part, _)| *part)
    }

    /// Its width, in characters; of one that has a length in front, the most.
    #[must_use]
    pub fn width(self) -> usize {
        Self::ALL
            .iter()
            .find(|(_, part, _)| *part == self)
            .map_or(0, |(_, _, width)| *width)
    }
}

impl Source {
    /// The source and, where it has sub-elements, those of them: each is shown to `visit`.
    pub fn visit<'a>(&'a self, visit: &mut impl FnMut(&'a Source)) {
        visit(self);
        match self {
            Self::Subelements(parts) => parts.iter().for_each(|(_, part)| part.visit(visit)),
            Self::OrElse(first, second) => [first, second]
                .into_iter()
                .for_each(|part| part.visit(visit)),
            _ => {}
        }
    }

    /// Whether the source, or one of its sub-elements, is `wanted`.
    #[must_use]
    pub fn contains(&self, wanted: impl Fn(&Source) -> bool) -> bool {
        let mut found = false;
        self.visit(&mut |source| found |= wanted(source));
        found
    }

    /// Whether the card has it, and has it always.
    #[must_use]
    pub fn is_of_the_card(&self) -> bool {
        matches!(self, Self::Named(NamedSource::Pan | NamedSource::Expiry))
    }

    /// Whether only an operation with an original has it.
    #[must_use]
    pub fn needs_original(&self) -> bool {
        match self {
            Self::Named(named) => named.needs_original(),
            Self::OriginalData(_) | Self::Kept(_) | Self::AsSent(_) => true,
            Self::Literal(_)
            | Self::AcceptsPartial(_)
            | Self::OrElse(..)
            | Self::Subelements(_) => false,
        }
    }

    /// Whether a host can find the original by it.
    #[must_use]
    pub fn names_original(&self) -> bool {
        match self {
            Self::Named(named) => {
                matches!(named, NamedSource::OriginalStan | NamedSource::OriginalRrn)
            }
            Self::OriginalData(_) | Self::Kept(_) => true,
            Self::Literal(_)
            | Self::AsSent(_)
            | Self::AcceptsPartial(_)
            | Self::OrElse(..)
            | Self::Subelements(_) => false,
        }
    }
}
