//! One record, with all that continue it.

use crate::payment::moment::BusinessDate;
use crate::reconciliation::statement::error::StatementError;
use crate::settlement::amount_form::AmountForm;
use crate::settlement::position::Position;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    FileHeader,
    GroupHeader,
    Account,
    Detail,
    AccountTrailer,
    Continuation,
    GroupTrailer,
    FileTrailer,
}

impl Code {
    const ALL: [(&'static str, Self); 8] = [
        ("01", Self::FileHeader),
        ("02", Self::GroupHeader),
        ("03", Self::Account),
        ("16", Self::Detail),
        ("49", Self::AccountTrailer),
        ("88", Self::Continuation),
        ("98", Self::GroupTrailer),
        ("99", Self::FileTrailer),
    ];

    /// The two digits of it.
    pub(super) fn digits(self) -> &'static str {
        let own = Self::ALL.iter().find(|(_, code)| *code == self);
        own.map_or("", |(digits, _)| digits)
    }

    /// The code that two digits are.
    pub(super) fn of(digits: &str) -> Option<Self> {
        let own = Self::ALL.iter().find(|(own, _)| *own == digits);
        own.map(|(_, code)| *code)
    }
}

/// A record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) code: Code,
    /// Where it begins.
    pub(super) position: Position,
    /// Its fields behind the code, those of each record that it was continued in by themselves.
    pub(super) segments: Vec<Vec<String>>,
    /// The text at the end of a detail, its lines joined by `\n`.
    pub(super) text: Option<String>,
    /// How many records it is, with those that continue it.
    pub(super) physical: u64,
}

impl Record {
    /// A field, without white space around it; empty where there is none.
    pub(super) fn field(&self, index: usize) -> &str {
        let mut fields = self.segments.iter().flatten();
        fields.nth(index).map_or("", |field| field.trim())
    }

    /// A field is not what it has to be.
    pub(super) fn wrong(&self, name: &str, expected: &str, got: &str) -> StatementError {
        let of = format!("{} {name}", self.code.digits());
        StatementError::text(self.position, &of, expected, got)
    }

    /// A text that can't be left out.
    pub(super) fn mandatory(&self, index: usize, name: &str) -> Result<&str, StatementError> {
        match self.field(index) {
            "" => Err(self.wrong(name, "a text", "")),
            text => Ok(text),
        }
    }

    /// A date, YYMMDD.
    pub(super) fn date(
        &self,
        text: &str,
        name: &str,
        today: BusinessDate,
    ) -> Result<BusinessDate, StatementError> {
        let date = Some(text).filter(|text| text.len() == 6);
        let date = date.and_then(|text| BusinessDate::named(text, today));
        date.ok_or_else(|| self.wrong(name, "a date as YYMMDD", text))
    }

    /// Whether a text is a time or nothing. 2400 and 9999 are the end of the day.
    pub(super) fn check_time(&self, text: &str, name: &str) -> Result<(), StatementError> {
        let is_time = match text {
            "" | "2400" | "9999" => true,
            _ => {
                let parts = text.split_at_checked(2);
                let part = |part: &str, below: u8| {
                    let is_number = part.len() == 2 && part.bytes().all(|it| it.is_ascii_digit());
                    is_number && part.parse::<u8>().is_ok_and(|it| it < below)
                };
                parts.is_some_and(|(hour, minute)| part(hour, 24) && part(minute, 60))
            }
        };
        match is_time {
            true => Ok(()),
            false => Err(self.wrong(name, "a time as HHMM, 2400 or 9999", text)),
        }
    }

    /// An amount in minor units, perhaps with a sign.
    pub(super) fn signed(&self, text: &str, name: &str) -> Result<i64, StatementError> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let minor = AmountForm::Minor.read(digits, 0);
        let minor = minor.map_err(|invalid| self.wrong(name, &invalid.to_string(), text))?;
        Ok(if is_negative { -minor } else { minor })
    }

    /// Whether a field is this sum.
    pub(super) fn is_sum(&self, index: usize, is: i128) -> Result<(), StatementError> {
        let text = self.field(index);
        let said = self.signed(text, "control total")?;
        match i128::from(said) == is {
            true => Ok(()),
            false => {
                let expected = format!("{is}, which the amounts make");
                Err(self.wrong("control total", &expected, text))
            }
        }
    }

    /// Whether a field is this number.
    pub(super) fn is_count(&self, index: usize, is: u64) -> Result<(), StatementError> {
        let text = self.field(index);
        match text.parse::<u64>() {
            Ok(said) if said == is => Ok(()),
            _ => {
                let expected = format!("{is}, which there are");
                let name = match (self.code, index) {
                    (Code::GroupTrailer, 1) => "number of accounts",
                    (Code::FileTrailer, 1) => "number of groups",
                    _ => "number of records",
                };
                Err(self.wrong(name, &expected, text))
            }
        }
    }
}
