//! What a handle to a running simulator can do at the end of the bank's day.

use time::Date;

use super::{RunningSim, SimError};
use crate::{acquirer::Acquirer, host::Role, settlement::SettlementItem};

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
        Ok(self.acquirer(acquirer)?.settlement().items(date))
    }

    fn acquirer(&self, host: &str) -> Result<&Acquirer, SimError> {
        match &self.running(host)?.host.role {
            Role::Acquirer(acquirer) => Ok(acquirer),
            Role::Issuer(_) => Err(SimError::NoAcquirer {
                name: host.to_owned(),
            }),
        }
    }
}
