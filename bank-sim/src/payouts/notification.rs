//! The notification of what became of an order, camt.054.001.08.

use std::fmt::Write as _;

use quick_xml::escape::escape;
use time::{Date, OffsetDateTime, macros::format_description};

use super::{
    order::{Account, Order, Payment},
    transfer::Transfer,
};
use crate::{currency::decimal, digest::reference};

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08";

/// How many bytes of a digest the bank's own identifiers have.
const ID_BYTES: usize = 12;

/// Writes the notification of an order, one entry for each transfer. `transfers` are those of its payments, in order.
pub(super) fn write(order: &Order, transfers: &[Transfer], at: OffsetDateTime) -> Vec<u8> {
    let moment = at
        .format(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second]Z"
        ))
        .unwrap_or_default();
    let mut xml = Xml::default();
    xml.text
        .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let document = format!("Document xmlns=\"{NAMESPACE}\"");
    xml.within(&document, |xml| {
        xml.within("BkToCstmrDbtCdtNtfctn", |xml| {
            xml.within("GrpHdr", |xml| {
                xml.leaf(
                    "MsgId",
                    &format!("M{}", reference(&order.message_id, ID_BYTES)),
                );
                xml.leaf("CreDtTm", &moment);
            });
            let mut transfers = transfers.iter();
            for payment in &order.payments {
                xml.within("Ntfctn", |xml| {
                    let of = format!("{} {}", order.message_id, payment.id);
                    xml.leaf("Id", &format!("N{}", reference(&of, ID_BYTES)));
                    xml.leaf("CreDtTm", &moment);
                    xml.within("Acct", |xml| account(xml, &payment.debtor));
                    for transfer in transfers.by_ref().take(payment.transfers.len()) {
                        xml.within("Ntry", |xml| {
                            entry(xml, order, payment, transfer, at.date());
                        });
                    }
                });
            }
        });
    });
    xml.text.into_bytes()
}

fn account(xml: &mut Xml, account: &Account) {
    xml.within("Id", |xml| match account {
        Account::Iban(number) => xml.leaf("IBAN", number),
        Account::Other(number) => xml.within("Othr", |xml| xml.leaf("Id", number)),
    });
}

/// What was paid is a debit of the account, what came back a credit.
fn entry(xml: &mut Xml, order: &Order, payment: &Payment, transfer: &Transfer, date: Date) {
    let direction = match transfer.return_reason {
        None => "DBIT",
        Some(_) => "CRDT",
    };
    let code = transfer.currency.code();
    let amount = decimal(transfer.amount_minor, transfer.currency.exponent());
    let date = date.to_string();
    xml.line(&format!("<Amt Ccy=\"{code}\">{amount}</Amt>"));
    xml.leaf("CdtDbtInd", direction);
    xml.within("Sts", |xml| xml.leaf("Cd", "BOOK"));
    for name in ["BookgDt", "ValDt"] {
        xml.within(name, |xml| xml.leaf("Dt", &date));
    }
    xml.leaf("AcctSvcrRef", &transfer.utr);
    xml.within("BkTxCd", |xml| {
        xml.within("Domn", |xml| {
            xml.leaf("Cd", "PMNT");
            xml.within("Fmly", |xml| {
                xml.leaf("Cd", "ICDT");
                let kind = match transfer.return_reason {
                    None => "DMCT",
                    Some(_) => "RRTN",
                };
                xml.leaf("SubFmlyCd", kind);
            });
        });
    });
    xml.within("NtryDtls", |xml| {
        xml.within("TxDtls", |xml| {
            xml.within("Refs", |xml| {
                xml.leaf("MsgId", &order.message_id);
                xml.leaf("AcctSvcrRef", &transfer.utr);
                xml.leaf("PmtInfId", &payment.id);
                xml.leaf("EndToEndId", &transfer.end_to_end_id);
            });
            xml.line(&format!("<Amt Ccy=\"{code}\">{amount}</Amt>"));
            xml.leaf("CdtDbtInd", direction);
            if let Some(reason) = transfer.return_reason {
                xml.within("RtrInf", |xml| {
                    xml.within("Rsn", |xml| xml.leaf("Cd", reason));
                });
            }
        });
    });
}

/// XML while it is written, indented by two blanks a level.
#[derive(Default)]
struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    fn line(&mut self, text: &str) {
        let indent = self.depth * 2;
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{:indent$}{text}", "");
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.line(&format!("<{name}>{}</{name}>", escape(text)));
    }

    /// An element and what lies in it; the name may have attributes behind it.
    fn within(&mut self, start: &str, inner: impl FnOnce(&mut Self)) {
        self.line(&format!("<{start}>"));
        self.depth += 1;
        inner(self);
        self.depth -= 1;
        let name = start.split(' ').next().unwrap_or(start);
        self.line(&format!("</{name}>"));
    }
}
