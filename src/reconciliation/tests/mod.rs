//! Statements against a store, on both databases.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::accounts::StatementAccount;
use super::statement::format::StatementFormat;
use super::statement_imports::{
    GivenStatements, StatementImportError, StatementImports, TakenFile,
};
use super::statement_matching::Matching;
use crate::clock::Clock;
use crate::payment::bank_statement::{BankLine, LineMatch, LineState};
use crate::payment::ids::{BankAccountName, BankLineId, BankStatementId};
use crate::payment::samples::NOW;
use crate::random::Random;
use crate::settlement::tests::payouts::folder;
use crate::settlement::tests::{Scene, host};

mod accounts;
mod importing;
mod matching;
mod reported_days;

/// A line of this amount.
pub(super) fn line(amount_minor: i64) -> BankLine {
    BankLine {
        id: BankLineId::from_parts(NOW, [1; 10]),
        account: account(),
        statement_id: BankStatementId::from_parts(NOW, [1; 10]),
        ordinal: 1,
        number: 1,
        key: [0; 32],
        occurrence: 1,
        bank_state: LineState::Booked,
        booking_date: None,
        value_date: None,
        amount_minor,
        currency: "EUR".parse().unwrap(),
        bank_reference: None,
        own_reference: None,
        text: None,
        reverses: false,
        matching: LineMatch::new(true),
    }
}

fn account() -> BankAccountName {
    "main".parse().unwrap()
}

/// What takes statements of one account in.
struct Desk {
    imports: StatementImports,
    matching: Arc<Matching>,
    account: StatementAccount,
    folder: PathBuf,
}

impl Desk {
    fn of(scene: &Scene) -> Self {
        Self::of_account(scene, account())
    }

    fn of_account(scene: &Scene, name: BankAccountName) -> Self {
        Self::at(scene, name, scene.clock())
    }

    /// Where it is as late as this clock says.
    fn at(scene: &Scene, name: BankAccountName, clock: Arc<dyn Clock>) -> Self {
        let account = StatementAccount {
            name,
            number: "GB82WEST12345698765432".parse().unwrap(),
            format: StatementFormat::Camt,
            currency: "EUR".parse().unwrap(),
            hosts: vec![host()],
            window_days: 7,
        };
        let matching = Arc::new(Matching::new(scene.store.clone(), Arc::clone(&clock)));
        let folder = folder();
        Self {
            imports: StatementImports::new(
                scene.store.clone(),
                BTreeMap::from([(account.name, account.clone())]),
                Arc::clone(&matching),
                clock,
                Random::SYSTEM,
                folder.clone(),
            ),
            matching,
            account,
            folder,
        }
    }

    async fn try_take(&self, text: &str) -> Result<TakenFile, StatementImportError> {
        let given = GivenStatements {
            account: self.account.name,
            name: "statement.xml".to_owned(),
            sha256: None,
            operator: "anna".to_owned(),
        };
        let chunks: Vec<_> = text.as_bytes().chunks(100).map(<[u8]>::to_vec).collect();
        let chunks = chunks.into_iter().map(Ok::<_, String>);
        self.imports
            .take_in(given, futures_util::stream::iter(chunks))
            .await
    }

    async fn take(&self, text: &str) -> TakenFile {
        let taken = self.try_take(text).await;
        taken.unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// The lines as they came: amounts and states.
    async fn lines(&self, scene: &Scene) -> Vec<BankLine> {
        let lines = scene.store.bank_lines(account(), false, 100, None);
        lines.await.unwrap()
    }

    async fn close(self, scene: Scene) {
        let left = std::fs::read_dir(self.folder.join("imports")).unwrap();
        assert_eq!(left.count(), 0, "no file is left");
        std::fs::remove_dir_all(&self.folder).unwrap();
        scene.store.close().await;
    }
}

/// One statement of a camt.053.
#[derive(Clone)]
struct Camt<'a> {
    id: &'a str,
    sequence: u64,
    date: &'a str,
    opening: &'a str,
    closing: &'a str,
    entries: &'a [(&'a str, &'a str, &'a str)],
}

impl Camt<'_> {
    /// The file; each entry has an amount, which is below 0 for a debit, a reference and a text.
    fn text(&self) -> String {
        let signed = |amount: &str| match amount.strip_prefix('-') {
            Some(amount) => (amount.to_owned(), "DBIT"),
            None => (amount.to_owned(), "CRDT"),
        };
        let balance = |code: &str, amount: &str| {
            let (amount, mark) = signed(amount);
            format!(
                "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{amount}</Amt>\
                 <CdtDbtInd>{mark}</CdtDbtInd><Dt><Dt>{}</Dt></Dt></Bal>",
                self.date
            )
        };
        let entries: String = self
            .entries
            .iter()
            .map(|(amount, reference, text)| {
                let (amount, mark) = signed(amount);
                let date = self.date;
                format!(
                    "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
                     <BookgDt><Dt>{date}</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>{reference}</EndToEndId>\
                     </Refs></TxDtls></NtryDtls><AddtlNtryInf>{text}</AddtlNtryInf></Ntry>"
                )
            })
            .collect();
        format!(
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt>\
             <Stmt><Id>{}</Id><ElctrncSeqNb>{}</ElctrncSeqNb><Acct><Id><IBAN>GB82WEST12345698765432</IBAN></Id>\
             <Ccy>EUR</Ccy></Acct>{}{}{entries}</Stmt></BkToCstmrStmt></Document>",
            self.id,
            self.sequence,
            balance("OPBD", self.opening),
            balance("CLBD", self.closing),
        )
    }
}
