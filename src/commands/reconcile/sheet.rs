//! The sheet of a day: what the bank's report had otherwise, with a picture of the amounts, for a person to sign.

use std::fmt::Write as _;

use quick_xml::escape::escape;

use super::show::{has_amounts, side};
use crate::admin_api::pb;
use crate::commands::error::CommandError;
use crate::commands::operators_door::moment;
use crate::commands::output::amount;

/// What stands on the sheet of a day.
pub(super) struct Sheet<'a> {
    /// The report that was taken in.
    pub(super) import: &'a pb::SettlementImport,
    /// Everything that it had otherwise, with what was done about it.
    pub(super) found: &'a [pb::Discrepancy],
}

/// The width of the longest bar.
const WIDE: i64 = 420;
const BAR: i64 = 14;
const ROW: i64 = 44;

const STYLE: &str = "body{font:14px/1.5 sans-serif;margin:2em auto;max-width:60em;color:#111}\
    table{border-collapse:collapse;width:100%;margin:1em 0}th,td{border-bottom:1px solid #bbb;padding:.25em .6em;\
    text-align:left;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}h1{font-size:20px}\
    h2{font-size:16px;margin-top:2em}.sign{margin-top:4em;display:flex;gap:4em}.sign div{flex:1;border-top:1px solid #111}\
    @media print{body{margin:0}tr{break-inside:avoid}}";

/// What one kind of discrepancy comes to in one currency, in minor units without their signs.
struct Sum<'a> {
    kind: &'a str,
    currency: &'a str,
    count: i64,
    open: i64,
    ours_minor: i64,
    theirs_minor: i64,
}

impl Sheet<'_> {
    /// The sheet as HTML that needs nothing else. The same discrepancies give the same bytes.
    ///
    /// # Errors
    /// When a time can't be shown.
    pub(super) fn html(&self) -> Result<String, CommandError> {
        let import = self.import;
        let title = format!(
            "Reconciliation: {} of {}",
            escape(&import.host_id),
            escape(&import.business_date)
        );
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        );
        html.push_str("<table>\n");
        for (name, value) in [
            ("The bank's file", import.name.clone()),
            ("its SHA-256", import.sha256.clone()),
            ("taken in by", import.operator.clone()),
            ("at", moment(import.create_time)?),
            ("lines", import.line_count.to_string()),
            ("lines with an item", import.matched_count.to_string()),
            ("discrepancies", self.found.len().to_string()),
            ("not decided", self.open().to_string()),
        ] {
            let _ = writeln!(html, "<tr><th>{name}</th><td>{}</td></tr>", escape(&value));
        }
        html.push_str("</table>\n");
        let sums = self.sums();
        if !sums.is_empty() {
            html.push_str("<h2>Amounts, by kind</h2>\n");
            html.push_str(&picture(&sums));
        }
        html.push_str("<h2>Each of them</h2>\n<table>\n<tr>");
        for name in [
            "Discrepancy",
            "Kind",
            "Ours",
            "The bank's",
            "Line",
            "State",
            "What was done",
        ] {
            let _ = write!(html, "<th>{name}</th>");
        }
        html.push_str("</tr>\n");
        for one in self.found {
            html.push_str(&row(one)?);
        }
        html.push_str(
            "</table>\n<div class=\"sign\"><div>Prepared by, date</div><div>Approved by, date</div></div>\n</body></html>\n",
        );
        Ok(html)
    }

    fn open(&self) -> usize {
        let open = self.found.iter().filter(|one| is_open(one));
        open.count()
    }

    fn sums(&self) -> Vec<Sum<'_>> {
        let mut sums: Vec<Sum<'_>> = Vec::new();
        for one in self.found {
            let place = sums
                .iter()
                .position(|sum| (sum.kind, sum.currency) == (&*one.kind, &*one.currency));
            let place = place.unwrap_or_else(|| {
                sums.push(Sum {
                    kind: &one.kind,
                    currency: &one.currency,
                    count: 0,
                    open: 0,
                    ours_minor: 0,
                    theirs_minor: 0,
                });
                sums.len() - 1
            });
            let Some(sum) = sums.get_mut(place) else {
                continue;
            };
            let minor = |text: &str| text.parse::<i64>().unwrap_or(0).saturating_abs();
            sum.count += 1;
            sum.open += i64::from(is_open(one));
            if has_amounts(one) {
                sum.ours_minor = sum.ours_minor.saturating_add(minor(&one.ours));
                sum.theirs_minor = sum.theirs_minor.saturating_add(minor(&one.theirs));
            }
        }
        sums.sort_by_key(|sum| (sum.kind, sum.currency));
        sums
    }
}

fn is_open(one: &pb::Discrepancy) -> bool {
    !matches!(one.state.as_str(), "ACCEPTED" | "CORRECTED")
}

/// Two bars for each kind: ours and the bank's.
fn picture(sums: &[Sum<'_>]) -> String {
    let most = sums
        .iter()
        .flat_map(|sum| [sum.ours_minor, sum.theirs_minor])
        .max();
    let most = most.unwrap_or(0).max(1);
    let rows = i64::try_from(sums.len()).unwrap_or(i64::MAX);
    let mut svg = format!(
        "<svg viewBox=\"0 0 900 {}\" width=\"100%\" role=\"img\" aria-label=\"Amounts of both sides, by kind\" \
         font-family=\"sans-serif\" font-size=\"12\">\n",
        rows.saturating_mul(ROW).saturating_add(24)
    );
    let _ = writeln!(
        svg,
        "<rect x=\"230\" y=\"4\" width=\"10\" height=\"10\" fill=\"#4878a8\"/><text x=\"246\" y=\"13\">ours</text>\
         <rect x=\"300\" y=\"4\" width=\"10\" height=\"10\" fill=\"#c8763c\"/><text x=\"316\" y=\"13\">the bank's</text>"
    );
    for (row, sum) in (0_i64..).zip(sums) {
        let top = row.saturating_mul(ROW).saturating_add(24);
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{}\">{}</text><text x=\"0\" y=\"{}\" fill=\"#555\">{} in all, {} open</text>",
            top + 11,
            escape(sum.kind),
            top + 26,
            sum.count,
            sum.open
        );
        for (minor, y, fill) in [
            (sum.ours_minor, top, "#4878a8"),
            (sum.theirs_minor, top + BAR + 2, "#c8763c"),
        ] {
            let wide = i128::from(minor) * i128::from(WIDE) / i128::from(most);
            let wide = i64::try_from(wide).unwrap_or(WIDE);
            let _ = writeln!(
                svg,
                "<rect x=\"230\" y=\"{y}\" width=\"{wide}\" height=\"{BAR}\" fill=\"{fill}\"/>\
                 <text x=\"{}\" y=\"{}\">{} {}</text>",
                230 + wide + 6,
                y + 11,
                amount(minor, sum.currency),
                escape(sum.currency)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn row(one: &pb::Discrepancy) -> Result<String, CommandError> {
    let mut done = String::new();
    for step in &one.history {
        let _ = write!(
            done,
            "{} {} by {}: {}<br>",
            escape(&moment(step.time)?),
            escape(&step.state),
            escape(&step.actor),
            escape(&step.reason)
        );
    }
    if !one.correction_id.is_empty() {
        let _ = write!(done, "journal {}", escape(&one.correction_id));
    }
    let side = |value: &str| {
        let shown = side(one, value);
        match (has_amounts(one), value) {
            (true, value) if !value.is_empty() => format!("{shown} {}", one.currency),
            _ => value.to_owned(),
        }
    };
    let line = match one.line {
        0 => String::new(),
        line => line.to_string(),
    };
    Ok(format!(
        "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{line}</td><td>{}</td>\
         <td>{done}</td></tr>\n",
        escape(&one.discrepancy_id),
        escape(&one.kind),
        escape(side(&one.ours)),
        escape(side(&one.theirs)),
        escape(&one.state)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_shows_each_discrepancy_and_no_markup_of_a_bank() {
        let import = pb::SettlementImport {
            host_id: "acquirer".into(),
            business_date: "2026-11-27".into(),
            name: "<b>report</b>.csv".into(),
            create_time: Some(prost_types::Timestamp::default()),
            ..Default::default()
        };
        let differs = pb::Discrepancy {
            discrepancy_id: "dis_1".into(),
            kind: "AMOUNT_DIFFERS".into(),
            state: "CORRECTED".into(),
            currency: "EUR".into(),
            ours: "2500".into(),
            theirs: "2501".into(),
            line: 7,
            history: vec![pb::DiscrepancyStep {
                time: Some(prost_types::Timestamp::default()),
                state: "CORRECTED".into(),
                actor: "alice".into(),
                reason: "a & b".into(),
            }],
            ..Default::default()
        };
        let missing = pb::Discrepancy {
            kind: "MISSING_AT_BANK".into(),
            state: "OPEN".into(),
            currency: "JPY".into(),
            ours: "700".into(),
            ..Default::default()
        };
        let found = [differs, missing];
        let sheet = Sheet {
            import: &import,
            found: &found,
        };
        let html = sheet.html().unwrap();
        for part in [
            "25.01 EUR",
            "700 JPY",
            "a &amp; b",
            "&lt;b&gt;report",
            "dis_1",
            "Approved by",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<b>"), "{html}");
        assert_eq!(sheet.open(), 1);
        assert_eq!(html, sheet.html().unwrap());
    }
}
