//! Files that are right, made of entries or lines.

/// A camt.053 or camt.052 of one account, with what stands before and behind its account.
pub(super) struct CamtFile<'a> {
    pub(super) message: &'a str,
    pub(super) version: &'a str,
    pub(super) currency: &'a str,
    pub(super) before_entries: &'a str,
    pub(super) entries: &'a str,
}

impl CamtFile<'_> {
    pub(super) fn text(&self) -> String {
        let (root, part) = match self.message {
            "052" => ("BkToCstmrAcctRpt", "Rpt"),
            _ => ("BkToCstmrStmt", "Stmt"),
        };
        let Self {
            message,
            version,
            currency,
            before_entries,
            entries,
        } = self;
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{message}.001.{version}">
<{root}>
<GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-12-01T05:00:00Z</CreDtTm></GrpHdr>
<{part}><Id>S-1</Id><ElctrncSeqNb>231</ElctrncSeqNb><CreDtTm>2026-12-01T05:00:00Z</CreDtTm>
<Acct><Id><IBAN>GB82WEST12345698765432</IBAN></Id><Ccy>{currency}</Ccy></Acct>
{before_entries}
{entries}
</{part}>
</{root}>
</Document>
"#
        )
    }
}

/// A camt.053.001.08 in euros with these entries and no balances.
pub(super) fn camt053(entries: &str) -> String {
    CamtFile {
        message: "053",
        version: "08",
        currency: "EUR",
        before_entries: "",
        entries,
    }
    .text()
}

/// A balance of a camt message.
pub(super) fn camt_balance(code: &str, amount: &str, mark: &str, date: &str) -> String {
    format!(
        "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
         <CdtDbtInd>{mark}</CdtDbtInd><Dt><Dt>{date}</Dt></Dt></Bal>\n"
    )
}

/// An entry of a camt message, on a line of its own.
pub(super) fn camt_entry(amount: &str, mark: &str, rest: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd>\
         <Sts><Cd>BOOK</Cd></Sts>{rest}<BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd></Ntry>\n"
    )
}

/// An MT940 in euros that opens with 1000.00, has these lines, and closes with `closing`.
pub(super) fn mt940(lines: &str, closing: &str) -> String {
    format!(
        "{{1:F01BANKDEFFAXXX0000000000}}{{2:O9400000000000}}{{4:\r\n:20:ST-1\r\n:25:GB82WEST12345698765432\r\n\
         :28C:231/1\r\n:60F:C261130EUR1000,00\r\n{lines}:62F:C261201EUR{closing}\r\n:64:C261201EUR{closing}\r\n-}}\r\n"
    )
}

/// A BAI2 file of one account in dollars with these records behind 03, and 49, 98 and 99 as they have to be for a sum of all
/// amounts and a number of records.
pub(super) fn bai2(details: &str, sum: i64, records: u64) -> String {
    let (account, group, file) = (records + 2, records + 4, records + 6);
    let sum = sum + 100_000 + 110_000;
    format!(
        "01,BANKUS33,PAYSWITCH,261201,0500,7,,,2/\n02,PAYSWITCH,BANKUS33,1,261130,2400,USD,2/\n\
         03,0012345678,,010,+100000,,,015,110000,,/\n{details}49,{sum},{account}/\n98,{sum},1,{group}/\n99,{sum},1,{file}/\n"
    )
}
