//! What a handle to a running simulator can do at the end of the bank's day.

use time::Date;

use super::{RunningSim, SimError};
use crate::{
    cutover::{Cutover, cut_over},
    host::Host,
    issuer::Issuer,
    payouts::OrderAnswer,
    settlement::{
        BookedDispute, ClearingAnswer, Dispute, Settlement, SettlementError, SettlementItem,
    },
};

impl RunningSim {
    /// The settlement items that an acquirer has booked, of one business date or all, by acceptor, currency and RRN.
    ///
    /// # Errors
    /// [`SimError::UnknownHost`] and [`SimError::NoAcquirer`].
    pub fn settlement_items(
        &self,
        acquirer: &str,
        date: Option<Date>,
    ) -> Result<Vec<SettlementItem>, SimError> {
        Ok(self.settlement(acquirer)?.1.items(date))
    }

    /// Moves the business date of an acquirer on, to the following one unless another is given, tells it on each line
    /// that is signed on, and waits up to ten seconds for the answers.
    ///
    /// # Errors
    /// [`SimError::UnknownHost`] and [`SimError::NoAcquirer`], [`SimError::Settlement`] when the date is not later
    /// than the present one.
    pub async fn cut_over(&self, acquirer: &str, next: Option<Date>) -> Result<Cutover, SimError> {
        let (host, settlement) = self.settlement(acquirer)?;
        cut_over(host, settlement, next)
            .await
            .map_err(refused(acquirer))
    }

    /// Changes the amount of the item that an acquirer booked first under this RRN, as a bank does that is wrong; the
    /// new amount in minor units.
    ///
    /// # Errors
    /// [`SimError::UnknownHost`] and [`SimError::NoAcquirer`], [`SimError::Settlement`] when there is no such item or
    /// it can't have such an amount.
    pub fn misbook_item(
        &self,
        acquirer: &str,
        rrn: &str,
        delta_minor: i64,
    ) -> Result<i64, SimError> {
        let (_, settlement) = self.settlement(acquirer)?;
        settlement
            .misbook(rrn, delta_minor)
            .map_err(refused(acquirer))
    }

    /// Books that a capture of an acquirer is charged back or given back. It stands in the settlement report, and counts
    /// in no totals. Where an issuer of this simulator knows the payment, it credits or debits the card.
    ///
    /// # Errors
    /// [`SimError::UnknownHost`] and [`SimError::NoAcquirer`], [`SimError::Settlement`] when there is no such capture,
    /// no room, or the dispute can't have such an amount.
    pub fn dispute_item(
        &self,
        acquirer: &str,
        dispute: &Dispute,
    ) -> Result<BookedDispute, SimError> {
        let (_, settlement) = self.settlement(acquirer)?;
        settlement
            .dispute(dispute, self.issuers())
            .map_err(refused(acquirer))
    }

    /// The settlement report of an acquirer for a date, in CSV: what totals have reconciled with it or, without totals,
    /// what is booked under it. The same items give the same bytes.
    ///
    /// # Errors
    /// [`SimError::UnknownHost`] and [`SimError::NoAcquirer`].
    pub fn settlement_report(&self, acquirer: &str, date: Date) -> Result<Vec<u8>, SimError> {
        Ok(self.settlement(acquirer)?.1.report(date))
    }

    /// Books the items of a clearing file at an acquirer, all or none; the same bytes are booked once. Where an issuer of
    /// this simulator knows the authorization under the RRN and the terminal, its hold becomes a debit.
    ///
    /// # Errors
    /// [`SimError::UnknownHost`] and [`SimError::NoAcquirer`], [`SimError::Settlement`] when there is no room.
    pub fn take_clearing_file(
        &self,
        acquirer: &str,
        bytes: &[u8],
    ) -> Result<ClearingAnswer, SimError> {
        let (_, settlement) = self.settlement(acquirer)?;
        settlement
            .take_clearing_file(bytes, self.issuers())
            .map_err(refused(acquirer))
    }

    /// Hands a payment order (pain.001.001.09) to the bank that pays out.
    #[must_use]
    pub fn submit_payment_order(&self, xml: &[u8]) -> OrderAnswer {
        self.payouts.submit(xml)
    }

    /// The notification (camt.054.001.08) of an order that was accepted, by its GrpHdr/MsgId.
    #[must_use]
    pub fn account_notification(&self, message_id: &str) -> Option<Vec<u8>> {
        self.payouts.notification(message_id)
    }

    fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        let hosts = self.hosts.values();
        hosts.filter_map(|running| running.host.issuer())
    }

    fn settlement(&self, host: &str) -> Result<(&Host, &Settlement), SimError> {
        let host = &self.running(host)?.host;
        let acquirer = host.acquirer().ok_or_else(|| SimError::NoAcquirer {
            name: host.name.to_string(),
        })?;
        Ok((host, acquirer.settlement()))
    }
}

fn refused(host: &str) -> impl Fn(SettlementError) -> SimError {
    move |source| SimError::Settlement {
        host: host.to_owned(),
        source,
    }
}
