//! The settlement report of a date: a CSV of what the bank pays to the acceptors and takes back, and its fees.

use std::collections::BTreeMap;

use csv::{Terminator, WriterBuilder};
use time::Date;

use super::{
    item::{ItemKind, SettlementItem},
    reference,
};
use crate::currency::{Currency, code_of, decimal};

const HEADER: [&str; 18] = [
    "Business Date",
    "Acceptor",
    "Terminal",
    "Type",
    "RRN",
    "ARN",
    "Approval Code",
    "Card",
    "Gross Currency",
    "Gross Debit",
    "Gross Credit",
    "Interchange",
    "Scheme Fee",
    "Commission",
    "Net Currency",
    "Net Debit",
    "Net Credit",
    "Reject Code",
];

/// How the last line of a currency begins.
const END: &str = "<END>";

/// What the bank takes of captures, in parts of 10,000: 0.20 % and 0.05 %.
const INTERCHANGE: i64 = 20;
const SCHEME_FEE: i64 = 5;
const WHOLE: i64 = 10_000;

/// How many decimals a currency has that ISO 4217 does not know.
const USUAL_EXPONENT: u8 = 2;

/// What one item comes to, in minor units. Only captures cost fees.
struct Money {
    gross: i64,
    interchange: i64,
    scheme_fee: i64,
}

impl Money {
    fn of(item: &SettlementItem) -> Self {
        let (interchange, scheme_fee) = match item.kind {
            ItemKind::Capture => (INTERCHANGE, SCHEME_FEE),
            ItemKind::Refund | ItemKind::Chargeback | ItemKind::ChargebackReversed => (0, 0),
        };
        Self {
            gross: item.amount_minor,
            interchange: part(item.amount_minor, interchange),
            scheme_fee: part(item.amount_minor, scheme_fee),
        }
    }

    fn net(&self) -> i64 {
        self.gross - self.interchange - self.scheme_fee
    }
}

/// So many parts of 10,000 of an amount that is not negative, rounded half to even.
fn part(amount_minor: i64, parts: i64) -> i64 {
    // An amount has at most twelve digits.
    let product = amount_minor.saturating_mul(parts);
    let (whole, rest) = (product / WHOLE, product % WHOLE);
    let is_above_half = rest * 2 > WHOLE || (rest * 2 == WHOLE && whole % 2 == 1);
    whole + i64::from(is_above_half)
}

/// What the lines of one currency come to, in minor units.
struct Sums {
    exponent: u8,
    lines: u64,
    gross_debit: i64,
    gross_credit: i64,
    net_debit: i64,
    net_credit: i64,
}

impl Sums {
    fn new(exponent: u8) -> Self {
        Self {
            exponent,
            lines: 0,
            gross_debit: 0,
            gross_credit: 0,
            net_debit: 0,
            net_credit: 0,
        }
    }

    fn add(&mut self, kind: ItemKind, money: &Money) {
        let (gross, net) = if kind.cardholder_pays() {
            (&mut self.gross_credit, &mut self.net_credit)
        } else {
            (&mut self.gross_debit, &mut self.net_debit)
        };
        *gross = gross.saturating_add(money.gross);
        *net = net.saturating_add(money.net());
        self.lines += 1;
    }
}

/// The report of a date over its items, by acceptor, currency and RRN. The same items give the same bytes. It ends with
/// a line for each currency, which names it where there are several.
pub(super) fn write(items: Vec<SettlementItem>, date: Date, institution_id: &str) -> Vec<u8> {
    // Writing to memory does not fail.
    try_write(items, date, institution_id).unwrap_or_default()
}

fn try_write(
    mut items: Vec<SettlementItem>,
    date: Date,
    institution_id: &str,
) -> Result<Vec<u8>, csv::Error> {
    items.sort_by_cached_key(|item| {
        let (acceptor, rrn) = (item.acceptor.clone(), item.rrn.clone());
        (acceptor, code_of(item.currency_numeric), rrn)
    });
    let mut csv = WriterBuilder::new()
        .flexible(true)
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    csv.write_record(HEADER)?;
    let mut by_currency: BTreeMap<String, Sums> = BTreeMap::new();
    let mut parts = reference::Parts::default();
    for item in &items {
        let code = code_of(item.currency_numeric);
        let arn = parts.next(item, date, institution_id);
        let currency = Currency::from_numeric(item.currency_numeric);
        let exponent = currency.map_or(USUAL_EXPONENT, Currency::exponent);
        let money = Money::of(item);
        csv.write_record(line(item, date, arn, &money, (&code, exponent)))?;
        let sums = by_currency
            .entry(code)
            .or_insert_with(|| Sums::new(exponent));
        sums.add(item.kind, &money);
    }
    if by_currency.is_empty() {
        csv.write_record([END, "0", "0", "0", "0", "0"])?;
    }
    let names_currency = by_currency.len() > 1;
    for (code, sums) in by_currency {
        let amounts = [
            sums.gross_debit,
            sums.gross_credit,
            sums.net_debit,
            sums.net_credit,
        ];
        let mut end = vec![END.to_owned(), sums.lines.to_string()];
        end.extend(amounts.map(|minor| decimal(minor, sums.exponent)));
        end.extend(names_currency.then_some(code));
        csv.write_record(end)?;
    }
    let written = csv.into_inner();
    written.map_err(|error| error.into_error().into())
}

fn line(
    item: &SettlementItem,
    date: Date,
    arn: String,
    money: &Money,
    (code, exponent): (&str, u8),
) -> [String; 18] {
    let amount = |minor| decimal(minor, exponent);
    // Debit, then credit; the other of the two is empty. The acceptor is paid what the cardholder pays.
    let by_side = |minor| {
        if item.kind.cardholder_pays() {
            [String::new(), amount(minor)]
        } else {
            [amount(minor), String::new()]
        }
    };
    let [gross_debit, gross_credit] = by_side(money.gross);
    let [net_debit, net_credit] = by_side(money.net());
    let kind = match item.kind {
        ItemKind::Capture => "SALE",
        ItemKind::Refund => "REFUND",
        ItemKind::Chargeback => "CHARGEBACK",
        ItemKind::ChargebackReversed => "CHARGEBACK_REVERSED",
    };
    [
        date.to_string(),
        item.acceptor.clone(),
        item.terminal.clone(),
        kind.to_owned(),
        item.rrn.clone(),
        arn,
        item.approval_code.clone(),
        item.card_masked.clone(),
        code.to_owned(),
        gross_debit,
        gross_credit,
        amount(money.interchange),
        amount(money.scheme_fee),
        amount(0),
        code.to_owned(),
        net_debit,
        net_credit,
        String::new(),
    ]
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn item(kind: ItemKind, rrn: &str, currency_numeric: u16, amount_minor: i64) -> SettlementItem {
        SettlementItem {
            acceptor: "SHOP, \"1\"".to_owned(),
            terminal: "TERM0001".to_owned(),
            kind,
            rrn: rrn.to_owned(),
            approval_code: "000007".to_owned(),
            card_masked: "411111******1111".to_owned(),
            currency_numeric,
            amount_minor,
            business_date: date!(2026 - 11 - 29),
            reconciled_with: None,
        }
    }

    fn report(items: Vec<SettlementItem>) -> String {
        String::from_utf8(write(items, date!(2026 - 11 - 29), "400001")).unwrap()
    }

    #[test]
    fn fees_are_rounded_half_to_even() {
        for (amount_minor, parts, expected) in [
            (1_000, INTERCHANGE, 2),
            (1_249, INTERCHANGE, 2),
            (1_250, INTERCHANGE, 2),
            (1_251, INTERCHANGE, 3),
            (1_750, INTERCHANGE, 4),
            (3_000, SCHEME_FEE, 2),
            (5_000, SCHEME_FEE, 2),
            (0, SCHEME_FEE, 0),
            (999_999_999_999, INTERCHANGE, 2_000_000_000),
        ] {
            assert_eq!(
                part(amount_minor, parts),
                expected,
                "{parts} of {amount_minor}"
            );
        }
    }

    #[test]
    fn a_report_has_a_line_for_each_item_and_one_for_the_end() {
        let text = report(vec![
            item(ItemKind::Refund, "633312000002", 978, 500),
            item(ItemKind::Capture, "633312000001", 978, 10_000),
        ]);
        let expected = "Business Date,Acceptor,Terminal,Type,RRN,ARN,Approval Code,Card,Gross Currency,Gross Debit,\
            Gross Credit,Interchange,Scheme Fee,Commission,Net Currency,Net Debit,Net Credit,Reject Code\n\
            2026-11-29,\"SHOP, \"\"1\"\"\",TERM0001,SALE,633312000001,74000016333333120000017,000007,\
            411111******1111,EUR,,100.00,0.20,0.05,0.00,EUR,,99.75,\n\
            2026-11-29,\"SHOP, \"\"1\"\"\",TERM0001,REFUND,633312000002,74000016333333120000025,000007,\
            411111******1111,EUR,5.00,,0.00,0.00,0.00,EUR,5.00,,\n\
            <END>,2,5.00,100.00,5.00,99.75\n";
        assert_eq!(text, expected);
        assert!(report(Vec::new()).ends_with("\n<END>,0,0,0,0,0\n"));
    }

    #[test]
    fn each_currency_has_its_decimals_and_its_end() {
        let text = report(vec![
            item(ItemKind::Capture, "633312000001", 392, 1_000),
            item(ItemKind::Capture, "633312000002", 414, 1_250),
        ]);
        assert!(text.contains(",JPY,,1000,2,0,0,JPY,,998,\n"), "{text}");
        assert!(
            text.contains(",KWD,,1.250,0.002,0.001,0.000,KWD,,1.247,\n"),
            "{text}"
        );
        let end = "<END>,1,0,1000,0,998,JPY\n<END>,1,0.000,1.250,0.000,1.247,KWD\n";
        assert!(text.ends_with(end), "{text}");
    }
}
