//! What a run came to, for people.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Color, Table};

use super::cards::float;
use super::figures::{Followed, Pace, Quantiles, Report};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pace = match self.pace {
            Pace::Closed { concurrency } => format!("closed loop, {concurrency} callers"),
            Pace::Open {
                rate,
                in_flight_limit,
            } => format!("open loop, {rate}/s, at most {in_flight_limit} in flight"),
        };
        let ended = if self.interrupted {
            ", interrupted"
        } else {
            ""
        };
        writeln!(
            f,
            "{}: {pace}, {} connections, {:.1} s{ended}\n",
            self.address, self.connections, self.counted.elapsed_s
        )?;
        writeln!(f, "{}\n\n{}", self.rates(), self.latencies())?;
        if self.counted.not_made > 0 {
            writeln!(
                f,
                "\n{} calls were due and never made; their waiting counts in the total.",
                self.counted.not_made
            )?;
        }
        if let Some(followed) = &self.followed_by {
            writeln!(f, "\n{}", self.kinds(followed))?;
        }
        let ends = self.ends();
        if ends.row_count() > 0 {
            write!(f, "\n{ends}")?;
        }
        Ok(())
    }
}

impl Report {
    fn rates(&self) -> Table {
        let mut table = table(&["", "calls", "per second"]);
        let counted = &self.counted;
        let errors_per_s = float(counted.errors) / counted.elapsed_s.max(f64::MIN_POSITIVE);
        for (name, calls, per_s) in [
            ("offered", counted.offered, Some(counted.offered_per_s)),
            ("answered", counted.answered, Some(counted.achieved_per_s)),
            ("errors", counted.errors, Some(errors_per_s)),
            ("cards sealed ahead", self.sealed_ahead, None),
            ("cards sealed during the run", self.sealed_during_run, None),
        ] {
            let per_s = per_s.map_or_else(String::new, |rate| format!("{rate:.0}"));
            table.add_row([Cell::new(name), right(calls), right(per_s)]);
        }
        table
    }

    fn latencies(&self) -> Table {
        let mut table = table(&["ms", "p50", "p90", "p99", "p99.9", "max"]);
        for (name, times) in [
            ("total", self.counted.latency.total_us),
            ("bank", self.counted.latency.bank_us),
            ("payswitch itself", self.counted.latency.own_us),
        ] {
            let mut row = vec![Cell::new(name)];
            for us in [times.p50, times.p90, times.p99, times.p99_9, times.max] {
                row.push(right(millis(times, us)));
            }
            table.add_row(row);
        }
        table
    }

    /// A row for each kind of call in a mix.
    fn kinds(&self, followed: &Followed) -> Table {
        let mut table = table(&[
            "",
            "answered",
            "per second",
            "errors",
            "p50 ms",
            "p99 ms",
            "max ms",
        ]);
        let counted = &self.counted;
        let authorizations = (
            counted.answered,
            counted.achieved_per_s,
            counted.errors,
            counted.latency.total_us,
        );
        let followed = followed.0.iter().map(|(kind, calls)| {
            let counts = (calls.answered, calls.achieved_per_s, calls.errors);
            (*kind, (counts.0, counts.1, counts.2, calls.total_us))
        });
        for (kind, (answered, per_s, errors, times)) in
            std::iter::once(("authorize", authorizations)).chain(followed)
        {
            let mut row = vec![
                Cell::new(kind),
                right(answered),
                right(format!("{per_s:.0}")),
                right(errors),
            ];
            row.extend([times.p50, times.p99, times.max].map(|us| right(millis(times, us))));
            table.add_row(row);
        }
        table
    }

    fn ends(&self) -> Table {
        let mut table = table(&["ended as", "calls"]);
        for (state, calls) in &self.counted.states {
            let color = match *state {
                "AUTHORIZED" => Color::Green,
                "DECLINED" | "AUTHORIZING" => Color::Yellow,
                _ => Color::Red,
            };
            table.add_row([Cell::new(state).fg(color), right(calls)]);
            let inside = self.counted.reasons.iter().filter_map(|(reason, calls)| {
                let reason = reason.strip_prefix(state)?.strip_prefix(' ')?;
                Some((reason, calls))
            });
            for (reason, calls) in inside {
                table.add_row([Cell::new(format!("  {reason}")), right(calls)]);
            }
        }
        for (reason, calls) in &self.counted.error_reasons {
            table.add_row([Cell::new(reason).fg(Color::Red), right(calls)]);
        }
        for (kind, of) in self.followed_by.iter().flat_map(|followed| &followed.0) {
            for (state, calls) in &of.states {
                table.add_row([Cell::new(format!("{kind}: {state}")), right(calls)]);
            }
            for (reason, calls) in of.reasons.iter().chain(&of.error_reasons) {
                let reason = Cell::new(format!("  {kind}: {reason}"));
                table.add_row([reason.fg(Color::Red), right(calls)]);
            }
        }
        table
    }
}

/// A time in milliseconds; nothing where no call was timed.
fn millis(times: Quantiles, us: u64) -> String {
    if times.count == 0 {
        return "-".to_owned();
    }
    format!("{}.{:02}", us / 1000, us % 1000 / 10)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header.iter().enumerate().map(|(column, name)| {
        if column == 0 {
            Cell::new(name)
        } else {
            right(name)
        }
    }));
    table
}

fn right(what: impl fmt::Display) -> Cell {
    Cell::new(what.to_string()).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::cards::Sealing;
    use super::super::figures::Counted;
    use super::super::tally::Tally;
    use super::*;
    use crate::merchant_api::client::encoded::{Answer, Ended, EndedRefund, RefundAnswer};
    use crate::merchant_api::pb;

    /// A thousand calls were due, and took 1 to 1000 ms.
    fn report(not_made: u64) -> Report {
        let tally = Tally::new().unwrap();
        for ms in 1..=1000 {
            let took = Duration::from_millis(ms);
            if ms > 1000 - not_made {
                tally.skip(took);
                continue;
            }
            let payment = Ended {
                state: pb::PaymentState::Declined.into(),
                decline: Some(pb::Decline {
                    reason: pb::DeclineReason::LostCard.into(),
                    response_code: "41".into(),
                    ..pb::Decline::default()
                }),
                ..Ended::default()
            };
            tally.start();
            let payment = Some(payment);
            let answer = tonic::Response::new(Answer { payment });
            tally.end(took, &Ok(answer));
        }
        let due = Some((1000, Duration::from_secs(10)));
        Report {
            address: "127.0.0.1:8443".into(),
            pace: Pace::Open {
                rate: 100.0,
                in_flight_limit: 8,
            },
            connections: 2,
            warm_up: 0,
            sealing: Sealing::Ahead,
            sealed_ahead: 1000,
            sealed_ahead_in_s: 0.1,
            sealed_during_run: 0,
            duration_s: 10.0,
            interrupted: false,
            counted: Counted::new(tally.close(), Duration::from_secs(11), due),
            followed_by: None,
        }
    }

    /// Five refunds, of which one was not answered.
    fn mixed() -> Report {
        let tally = Tally::new().unwrap();
        for answer in [
            Ok(pb::RefundState::Refunded),
            Ok(pb::RefundState::Refunded),
            Ok(pb::RefundState::Declined),
            Ok(pb::RefundState::Sending),
            Err(tonic::Status::unavailable("gone")),
        ] {
            tally.start();
            let answer = answer.map(|state| {
                let state = state.into();
                let refund = Some(EndedRefund {
                    state,
                    ..EndedRefund::default()
                });
                tonic::Response::new(RefundAnswer { refund })
            });
            tally.end(Duration::from_millis(2), &answer);
        }
        let kinds = [("refund", tally.close())];
        Report {
            followed_by: Some(Followed::new(kinds, |_| Duration::from_secs(2))),
            ..report(0)
        }
    }

    #[test]
    fn a_mix_counts_each_kind_of_call() {
        let report = mixed();
        assert!(!report.all_answered());
        let json = serde_json::to_value(&report).unwrap();
        let refunds = &json["followed_by"]["refund"];
        assert_eq!(refunds["made"], 5);
        assert_eq!(refunds["answered"], 4);
        assert_eq!(refunds["achieved_per_s"], 2.0);
        assert_eq!(refunds["errors"], 1);
        assert_eq!(refunds["states"]["REFUNDED"], 2);
        assert_eq!(refunds["error_reasons"]["Unavailable gone"], 1);
        let text = report.to_string();
        for expected in ["authorize", "refund: DECLINED", "refund: Unavailable gone"] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn people_can_read_it() {
        let text = report(0).to_string();
        for expected in [
            "open loop, 100/s, at most 8 in flight",
            "DECLINED",
            "  LOST_CARD (DE 39 41)",
            "p99.9",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!text.contains("never made"), "{text}");
        assert!(report(3).to_string().contains("3 calls were due"));
    }

    #[test]
    fn the_quantiles_are_those_of_the_calls() {
        let times = report(0).counted.latency.total_us;
        for (got, expected) in [
            (times.p50, 500_000),
            (times.p99, 990_000),
            (times.max, 1_000_000),
        ] {
            // The histogram keeps three digits.
            assert!(got.abs_diff(expected) <= expected / 1000 + 1, "{got}");
        }
        assert_eq!(times.count, 1000);
    }

    #[test]
    fn json_says_how_calls_were_made() {
        let json = serde_json::to_value(report(0)).unwrap();
        assert_eq!(json["loop"], "open");
        assert_eq!(json["rate"], 100.0);
        assert_eq!(json["states"]["DECLINED"], 1000);
        assert_eq!(json["offered_per_s"], 100.0);
    }

    #[test]
    fn a_call_that_was_never_made_is_no_success() {
        assert!(report(0).all_answered());
        assert!(!report(1).all_answered());
    }
}
