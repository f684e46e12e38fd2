//! A host moves on to another business date, and tells it on its lines.

use std::{net::SocketAddr, time::Duration};

use time::Date;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{
    clock::transmission_date_time,
    host::Host,
    lines::OwnRequest,
    message::BankMessage,
    network,
    settlement::{Settlement, SettlementError, date},
};

/// How long the lines may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What came of a cutover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cutover {
    /// The date that items are booked under from now on.
    pub business_date: Date,
    /// What each line said that was signed on, the oldest line first.
    pub lines: Vec<LineAnswer>,
}

/// What one line said to a cutover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineAnswer {
    /// The other end of the line.
    pub peer: SocketAddr,
    /// What came.
    pub came: Came,
}

/// What came on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// An answer with this DE 39; empty when it had none.
    Answer(String),
    /// No answer within 10 seconds.
    Nothing,
    /// The end of the line.
    End,
}

/// Moves the date of a host on, to the following one unless another is given, and tells it on each line that is
/// signed on. The date has moved when the first line hears of it.
pub(crate) async fn cut_over(
    host: &Host,
    settlement: &Settlement,
    next: Option<Date>,
) -> Result<Cutover, SettlementError> {
    let business_date = settlement.move_on(next)?;
    tracing::info!(host.id = %host.name, %business_date, "the business date has moved on");
    let mut asked = Vec::new();
    for (peer, requests) in host.lines.signed_on() {
        let (answer, answered) = oneshot::channel();
        let message = request(host, business_date);
        // A line that is full or gone drops the request, and with it the sender of its answer.
        let _ = requests.try_send(OwnRequest { message, answer });
        asked.push((peer, answered));
    }
    let until = Instant::now() + ANSWER_LIMIT;
    let mut lines = Vec::with_capacity(asked.len());
    for (peer, answered) in asked {
        let came = match timeout_at(until, answered).await {
            Ok(Ok(answer)) => Came::Answer(answer.text(39).unwrap_or_default().to_owned()),
            Ok(Err(_)) => Came::End,
            Err(_) => Came::Nothing,
        };
        lines.push(LineAnswer { peer, came });
    }
    Ok(Cutover {
        business_date,
        lines,
    })
}

fn request(host: &Host, business_date: Date) -> BankMessage {
    let is_of_1993 = host.codec.is_of_1993();
    let sent_at = transmission_date_time(host.clock.now_utc());
    let mut request = network::request(network::CUTOVER, is_of_1993, &sent_at);
    let de = date::element_number(is_of_1993);
    request.set(de, date::element(business_date, is_of_1993));
    request
}
