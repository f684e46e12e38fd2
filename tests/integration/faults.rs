//! What the simulated banks do wrong.

use bank_sim::RunningSim;
use bank_sim::control::pb::control_service_client::ControlServiceClient;
use bank_sim::control::pb::fault::What;
use bank_sim::control::pb::{Change, DropRequest, DropResponse, Fault, InjectFaultRequest};
use tonic::transport::Channel;

use crate::harness::Switch;

/// The message never reaches the bank.
pub(crate) const LOST: What = What::DropRequest(DropRequest {});
/// The bank does what it is asked for, and its answer is lost.
pub(crate) const UNANSWERED: What = What::DropResponse(DropResponse { after_effect: true });

/// An element of the answer is another one.
pub(crate) fn change(de: i32, value: &str) -> What {
    let value = value.into();
    What::Change(Change { de, value })
}

/// Another response code.
pub(crate) fn with_code(code: &str) -> What {
    change(39, code)
}

/// What the acquirer does wrong with the next message of this type.
pub(crate) fn fault(mti: &str, what: What) -> Fault {
    Fault {
        host: "acquirer".into(),
        mti: mti.into(),
        times: 1,
        what: Some(what),
        ..Fault::default()
    }
}

/// The same for an amount.
pub(crate) fn fault_of(mti: &str, amount_minor: i64, what: What) -> Fault {
    let amount = Some(amount_minor);
    Fault {
        amount,
        ..fault(mti, what)
    }
}

/// It does so with so many of them; with all of them where `times` is zero.
pub(crate) fn times(times: i32, fault: Fault) -> Fault {
    Fault { times, ..fault }
}

/// A bank does something wrong from now on.
pub(crate) async fn inject(switch: &Switch, fault: Fault) {
    inject_into(&switch.banks, fault).await;
}

/// As [`inject`], into banks that stand alone.
pub(crate) async fn inject_into(banks: &RunningSim, fault: Fault) {
    let fault = Some(fault);
    let mut control = control(banks).await;
    let injected = control.inject_fault(InjectFaultRequest { fault }).await;
    injected.expect("a fault");
}

/// Tells banks what to do.
pub(crate) async fn control(banks: &RunningSim) -> ControlServiceClient<Channel> {
    let address = banks.control_address().expect("a control API");
    let control = ControlServiceClient::connect(format!("http://{address}"));
    control.await.expect("the control API")
}
