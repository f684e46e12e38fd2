//! Where the value of each data element of a message comes from, as a profile says it.

use iso8583::Mti;

/// Where the value of a data element comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The card's PAN.
    Pan,
    /// The operation's amount, in minor units.
    Amount,
    /// The operation's transmission date and time, MMDDhhmmss in UTC.
    TransmissionDateTime,
    /// The operation's STAN.
    Stan,
    /// Time at the merchant, hhmmss.
    LocalTime,
    /// Date at the merchant, MMDD.
    LocalDate,
    /// The card's expiry date, YYMM.
    Expiry,
    /// The merchant's category code.
    Mcc,
    /// The merchant's country, ISO 3166-1 numeric.
    Country,
    /// The operation's RRN.
    Rrn,
    /// The merchant's terminal.
    TerminalId,
    /// The merchant's acceptor identification code.
    AcceptorId,
    /// The merchant's name (25), city (13) and country (2): 40 characters.
    AcceptorNameLocation,
    /// The amount's currency, ISO 4217 numeric, three digits.
    CurrencyNumeric,
    /// The card verification value. Where the customer gave none, the element is left out.
    Cvv,
    /// The same in every message.
    Literal(String),
    /// Sub-elements of a two-digit tag, a two-digit length and a value, in this order. Those
    /// without a value are left out, and the whole element when all are.
    Subelements(Vec<(u8, Source)>),
}

/// The sources that a profile can name.
const NAMED: [(&str, Source); 15] = [
    ("pan", Source::Pan),
    ("amount", Source::Amount),
    ("transmission_date_time", Source::TransmissionDateTime),
    ("stan", Source::Stan),
    ("local_time", Source::LocalTime),
    ("local_date", Source::LocalDate),
    ("expiry", Source::Expiry),
    ("mcc", Source::Mcc),
    ("country", Source::Country),
    ("rrn", Source::Rrn),
    ("terminal_id", Source::TerminalId),
    ("acceptor_id", Source::AcceptorId),
    ("acceptor_name_location", Source::AcceptorNameLocation),
    ("currency_numeric", Source::CurrencyNumeric),
    ("cvv", Source::Cvv),
];

impl Source {
    /// The source of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        NAMED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, source)| source.clone())
    }

    /// Every name there is.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        NAMED.iter().map(|(name, _)| *name).collect()
    }
}

/// How a request is made: its message type, and what each data element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The message type.
    pub mti: Mti,
    /// The message type of its answer.
    pub response_mti: Mti,
    /// The data elements, in ascending order.
    pub fields: Vec<(u8, Source)>,
}
