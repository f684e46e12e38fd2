//! Agreeing the totals of a business date with a host.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::Hosts;
use super::host::Host;
use super::line::LineHandle;
use super::line::settlement::SettlementRequest;
use super::message::totals::{
    Said, TotalsAnswer, TotalsError, TotalsFormat, TotalsMessage, TotalsProfile,
};
use super::notice::HostCutover;
use crate::payment::ids::HostId;

/// What became of a message of settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalsExchange {
    /// The host answered.
    Answered(TotalsAnswer),
    /// It did not, in time.
    NotAnswered,
    /// No line takes messages.
    NotSent,
}

impl Hosts {
    /// How the totals of a business date are agreed with a host; none where they are not.
    #[must_use]
    pub fn totals(&self, host_id: HostId) -> Option<&TotalsProfile> {
        self.host(host_id)?.profile.totals.as_ref()
    }

    /// Sends totals, or an item of a date, and waits for the answer as long as the profile says. It may be sent any number
    /// of times.
    ///
    /// # Errors
    /// When the message can't be built.
    pub async fn send_totals(
        &self,
        host_id: HostId,
        message: &TotalsMessage<'_>,
    ) -> Result<TotalsExchange, TotalsError> {
        match self.host(host_id) {
            Some(host) => host.send_totals(message).await,
            None => Err(TotalsError::NoMessage),
        }
    }

    /// The cutovers that hosts announce. They come out once: the first who asks gets them.
    pub fn cutovers(&self) -> Option<mpsc::Receiver<HostCutover>> {
        let mut cutovers = self.cutovers.lock().unwrap_or_else(PoisonError::into_inner);
        cutovers.take()
    }
}

impl Host {
    async fn send_totals(
        &self,
        message: &TotalsMessage<'_>,
    ) -> Result<TotalsExchange, TotalsError> {
        let profile = &self.profile;
        let totals = profile.totals.as_ref().ok_or(TotalsError::NoMessage)?;
        let utc = TimeZone::UTC;
        let format = TotalsFormat {
            time_zone: profile.time_zone.as_ref().unwrap_or(&utc),
            minor_digits: &profile.minor_digits,
        };
        let (mti, elements) = totals.elements(message, &format)?;
        let (answer, answered) = oneshot::channel();
        let of_host = profile.clone();
        let ours = match message.says {
            Said::Totals(totals) => Some(totals),
            Said::Item { .. } => None,
        };
        let asked = (ours, message.currency);
        let read = Box::new(move |message: &iso8583::Message<'_>| {
            let refused = TotalsAnswer::Refused {
                response_code: None,
            };
            let totals = of_host.totals.as_ref();
            totals.map_or(refused, |totals| {
                totals.answer(message, asked, &of_host.minor_digits)
            })
        });
        let request = SettlementRequest {
            mti,
            elements,
            read,
            answer,
        };
        let is_open = |line: &&LineHandle| line.open.load(Ordering::Acquire);
        let Some(line) = self.lines.iter().find(is_open) else {
            return Ok(TotalsExchange::NotSent);
        };
        if line.settlement.try_send(request).is_err() {
            return Ok(TotalsExchange::NotSent);
        }
        Ok(match timeout(profile.reply_timeout, answered).await {
            Ok(Ok(answer)) => TotalsExchange::Answered(answer),
            Ok(Err(_)) | Err(_) => TotalsExchange::NotAnswered,
        })
    }
}
