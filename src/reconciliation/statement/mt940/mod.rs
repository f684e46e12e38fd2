//! Statements as SWIFT MT940 messages.
//!
//! Each message, which is one page of a statement, must lead from its opening balance to its closing balance; the next page
//! must begin with what the page before closed with. `:86:` is kept as text: each bank has its own form in it.

use std::collections::VecDeque;
use std::io::Read;

use self::fields::{Field, Fields, Token};
use self::movement::{balance, movement};
use super::error::StatementError;
use super::part::{StatementEnd, StatementHead, StatementLine, StatementPart, StatementPurpose};
use crate::payment::bank_statement::{Balance, LineState, StatementKind};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::settlement::bank_account::AccountNumber;
use crate::settlement::position::Position;

mod fields;
mod movement;

/// The statements of a file.
pub struct Mt940<R> {
    fields: Fields<R>,
    today: BusinessDate,
    parts: VecDeque<StatementPart>,
    stage: Stage,
    /// The last page, where its statement goes on.
    page_before: Option<Page>,
    line_count: u64,
    is_done: bool,
}

/// Where the reader is.
enum Stage {
    /// Between messages.
    Outside,
    /// Before the opening balance.
    Head(Head),
    /// Behind the opening balance.
    Lines(Lines),
    /// Behind the closing balance.
    Closed,
}

/// The fields before the opening balance.
struct Head {
    position: Position,
    id: String,
    account: Option<AccountNumber>,
    sequence: Option<(u64, Option<u64>)>,
}

/// What was read behind the opening balance.
struct Lines {
    account: AccountNumber,
    sequence: u64,
    currency: Currency,
    balance_minor: i128,
    lines: u64,
    /// The line that texts belong to.
    line: Option<StatementLine>,
}

/// A page that another one follows.
struct Page {
    account: AccountNumber,
    sequence: u64,
    closing: Balance,
}

impl<R: Read> Mt940<R> {
    /// Reads the statements of a file.
    pub fn new(input: R, today: BusinessDate) -> Self {
        Self {
            fields: Fields::new(input),
            today,
            parts: VecDeque::new(),
            stage: Stage::Outside,
            page_before: None,
            line_count: 0,
            is_done: false,
        }
    }

    fn advance(&mut self) -> Result<(), StatementError> {
        match self.fields.next()? {
            Some(Token::Field(field)) => self.take(&field),
            Some(Token::End(position)) => self.end_message(position, "the end of the message"),
            None => {
                self.is_done = true;
                if !self.fields.any() {
                    let (expected, got) = (":20:", "the end of the file");
                    return Err(StatementError::value(
                        Position::BEGIN,
                        "file",
                        expected,
                        got,
                    ));
                }
                self.end_message(self.fields.position(), "the end of the file")
            }
        }
    }

    /// A message may end behind its closing balance.
    fn end_message(&mut self, position: Position, got: &str) -> Result<(), StatementError> {
        match std::mem::replace(&mut self.stage, Stage::Outside) {
            Stage::Outside | Stage::Closed => Ok(()),
            Stage::Head(_) => Err(StatementError::value(position, "message", ":60F:", got)),
            Stage::Lines(_) => Err(StatementError::value(position, "message", ":62F:", got)),
        }
    }

    fn take(&mut self, field: &Field) -> Result<(), StatementError> {
        if field.tag == "20" {
            self.end_message(field.position, ":20: of another message")?;
            self.stage = Stage::Head(Head {
                position: field.position,
                id: field.text("reference of 1 to 16 characters", 16)?,
                account: None,
                sequence: None,
            });
            return Ok(());
        }
        match std::mem::replace(&mut self.stage, Stage::Outside) {
            Stage::Outside => Err(field.misplaced("it behind :20:")),
            Stage::Head(head) => self.take_head(head, field),
            Stage::Lines(lines) => self.take_lines(lines, field),
            Stage::Closed => {
                self.stage = Stage::Closed;
                match field.tag.as_str() {
                    "60F" | "60M" | "61" | "62F" | "62M" => {
                        Err(field.misplaced("it before the closing balance"))
                    }
                    // What is available, and what is said of the whole statement.
                    _ => Ok(()),
                }
            }
        }
    }

    fn take_head(&mut self, mut head: Head, field: &Field) -> Result<(), StatementError> {
        match field.tag.as_str() {
            "25" | "25P" => {
                let text = field.first_line();
                let account = text.parse().map_err(|_| {
                    let expected = "an account number of 1 to 34 printable characters";
                    StatementError::text(field.position, "field 25", expected, text)
                })?;
                if head.account.replace(account).is_some() {
                    return Err(field.misplaced("it once"));
                }
            }
            "28C" | "28" if head.sequence.is_none() => head.sequence = Some(sequence(field)?),
            "28C" | "28" => return Err(field.misplaced("it once")),
            "60F" | "60M" => return self.begin(head, field),
            "61" | "62F" | "62M" => return Err(field.misplaced("it behind :60F:")),
            _ => {}
        }
        self.stage = Stage::Head(head);
        Ok(())
    }

    fn begin(&mut self, head: Head, field: &Field) -> Result<(), StatementError> {
        let missing = |tag: &str| {
            let expected = format!("it behind {tag}");
            field.misplaced(&expected)
        };
        let account = head.account.ok_or_else(|| missing(":25:"))?;
        let (sequence, page) = head.sequence.ok_or_else(|| missing(":28C:"))?;
        let (opening, currency) = balance(field, self.today)?;
        let before = self.page_before.take();
        let before = before.filter(|it| it.account == account && it.sequence == sequence);
        if let (true, Some(before)) = (field.tag == "60M", before)
            && before.closing.amount_minor != opening.amount_minor
        {
            return Err(StatementError::value(
                field.position,
                "field 60M",
                format!(
                    "{} minor units, which the page before closed with",
                    before.closing.amount_minor
                ),
                opening.amount_minor,
            ));
        }
        self.parts.push_back(StatementPart::Begin(StatementHead {
            account: account.clone(),
            id: head.id,
            sequence: Some(sequence),
            page,
            currency,
            kind: StatementKind::Booked,
            purpose: StatementPurpose::New,
            opening: Some(opening),
            position: head.position,
        }));
        self.stage = Stage::Lines(Lines {
            account,
            sequence,
            currency,
            balance_minor: opening.amount_minor.into(),
            lines: 0,
            line: None,
        });
        Ok(())
    }

    fn take_lines(&mut self, mut lines: Lines, field: &Field) -> Result<(), StatementError> {
        match field.tag.as_str() {
            "61" => {
                self.hand_out(&mut lines);
                let movement = movement(field, lines.currency, self.today)?;
                lines.balance_minor += i128::from(movement.amount_minor);
                lines.lines += 1;
                self.line_count += 1;
                lines.line = Some(StatementLine {
                    number: self.line_count,
                    state: LineState::Booked,
                    booking_date: movement.entry_date,
                    value_date: Some(movement.value_date),
                    amount_minor: movement.amount_minor,
                    currency: lines.currency,
                    bank_reference: movement.bank_reference,
                    own_reference: movement.own_reference,
                    text: movement.text,
                    reverses: movement.reverses,
                    position: field.position,
                });
            }
            "86" => {
                let Some(line) = &mut lines.line else {
                    return Err(field.misplaced("it behind :61: or behind the closing balance"));
                };
                match &mut line.text {
                    Some(text) => {
                        text.push('\n');
                        text.push_str(&field.text);
                    }
                    None => line.text = Some(field.text.clone()),
                }
            }
            "62F" | "62M" => return self.close(lines, field),
            "25" | "25P" | "28C" | "28" | "60F" | "60M" => {
                return Err(field.misplaced("it before the opening balance"));
            }
            _ => {}
        }
        self.stage = Stage::Lines(lines);
        Ok(())
    }

    fn hand_out(&mut self, lines: &mut Lines) {
        let line = lines.line.take();
        self.parts.extend(line.map(StatementPart::Line));
    }

    fn close(&mut self, mut lines: Lines, field: &Field) -> Result<(), StatementError> {
        self.hand_out(&mut lines);
        let (closing, currency) = balance(field, self.today)?;
        let of = format!("field {}", field.tag);
        if currency != lines.currency {
            let expected = format!("the currency {} of the opening balance", lines.currency);
            return Err(StatementError::value(
                field.position,
                &of,
                expected,
                currency,
            ));
        }
        let expected = lines.balance_minor;
        if i128::from(closing.amount_minor) != expected {
            let made = "which the opening balance and the lines make";
            return Err(StatementError::value(
                field.position,
                &of,
                format!("{expected} minor units, {made}"),
                closing.amount_minor,
            ));
        }
        self.parts.push_back(StatementPart::End(StatementEnd {
            closing: Some(closing),
            lines: lines.lines,
        }));
        self.page_before = (field.tag == "62M").then_some(Page {
            account: lines.account,
            sequence: lines.sequence,
            closing,
        });
        self.stage = Stage::Closed;
        Ok(())
    }
}

/// `:28C:`: the number of the statement, and perhaps that of the page.
fn sequence(field: &Field) -> Result<(u64, Option<u64>), StatementError> {
    let text = field.first_line();
    let number = |text: &str| -> Option<u64> {
        let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
        text.parse().ok().filter(|_| is_number)
    };
    let read = match text.split_once('/') {
        None => number(text).map(|sequence| (sequence, None)),
        Some((sequence, page)) => number(sequence)
            .zip(number(page))
            .map(|(sequence, page)| (sequence, Some(page))),
    };
    read.ok_or_else(|| {
        let expected = "a number of at most 5 digits, or two with / between them";
        StatementError::text(field.position, "field 28C", expected, text)
    })
}

impl<R: Read> Iterator for Mt940<R> {
    type Item = Result<StatementPart, StatementError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.parts.is_empty() && !self.is_done {
            if let Err(error) = self.advance() {
                self.is_done = true;
                return Some(Err(error));
            }
        }
        self.parts.pop_front().map(Ok)
    }
}
