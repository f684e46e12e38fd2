//! Hosts and their lines.

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::hosts::circuit::CircuitState;
use crate::hosts::line::orders::Echo;
use crate::hosts::service::{HostView, LineEcho};
use crate::hosts::status::{LineState, LineStatus};

/// A host, as this node sees it.
pub(in crate::admin_api) fn host(host: &HostView) -> pb::Host {
    let circuit_state = match host.circuit.state {
        CircuitState::Closed => pb::CircuitState::Closed,
        CircuitState::Open => pb::CircuitState::Open,
        CircuitState::Probation => pb::CircuitState::Probation,
    };
    pb::Host {
        host_id: host.status.host_id.to_string(),
        required: host.status.required,
        signed_off_by_operator: host.signed_off,
        lines: (1..).zip(&host.status.lines).map(line).collect(),
        address: host.address.clone(),
        circuit_state: circuit_state.into(),
        circuit_state_time: Some(timestamp(host.circuit.since)),
    }
}

fn line((line_number, line): (i32, &LineStatus)) -> pb::Line {
    let state = match line.state {
        LineState::Connecting => pb::LineState::Connecting,
        LineState::SigningOn => pb::LineState::SigningOn,
        LineState::SignedOn => pb::LineState::SignedOn,
        LineState::BackingOff => pb::LineState::BackingOff,
        LineState::Draining => pb::LineState::Draining,
        LineState::SignedOff => pb::LineState::SignedOff,
        LineState::Closed => pb::LineState::Closed,
    };
    pb::Line {
        line_number,
        state: state.into(),
        in_flight_count: i32::try_from(line.in_flight).unwrap_or(i32::MAX),
        state_time: Some(timestamp(line.since)),
        last_error: line.last_fault.clone().unwrap_or_default(),
    }
}

/// What each line answered to an echo.
pub(in crate::admin_api) fn echo_results(echoes: Vec<LineEcho>) -> Vec<pb::EchoResult> {
    let result = |(line_number, echo): (i32, LineEcho)| match echo {
        Ok(Echo {
            response_code,
            took,
        }) => pb::EchoResult {
            line_number,
            answered: true,
            round_trip_us: i64::try_from(took.as_micros()).unwrap_or(i64::MAX),
            response_code: response_code.map_or_else(String::new, |code| code.to_string()),
            error: String::new(),
        },
        Err(no_echo) => pb::EchoResult {
            line_number,
            error: no_echo.to_string(),
            ..pb::EchoResult::default()
        },
    };
    (1..).zip(echoes).map(result).collect()
}
