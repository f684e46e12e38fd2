//! The sheet of a day as HTML that needs nothing else.

use std::fmt::Write as _;

use super::content::{AMOUNTS, COLUMNS, Row, SIGNED, Sheet, Sum};

/// The length of the longest bar.
const LONGEST: i32 = 420;
const BAR: i32 = 14;
const ROW: i32 = 44;
/// The colors of our bars and the bank's.
const FILLS: [&str; 2] = ["#4878a8", "#c8763c"];

const STYLE: &str = "body{font:14px/1.5 sans-serif;margin:2em auto;max-width:90em;color:#111}\
    table{border-collapse:collapse;width:100%;margin:1em 0}th,td{border-bottom:1px solid #bbb;padding:.25em .6em;\
    text-align:left;vertical-align:top}.n{text-align:right;font-variant-numeric:tabular-nums}td.n{max-width:11em;overflow-wrap:break-word}\
    td:last-child{min-width:18em}table.f td{min-width:0}\
    table.f{width:auto}h1{font-size:20px}h2{font-size:16px;margin-top:2em}\
    .sign{margin-top:5em;display:flex;gap:4em;break-inside:avoid}.sign div{flex:1;border-top:1px solid #111}\
    @media print{body{margin:0}tr{break-inside:avoid}}";

pub(super) fn html(sheet: &Sheet) -> String {
    let title = escaped(&sheet.title);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n<table class=\"f\">\n"
    );
    for (name, value) in &sheet.facts {
        let value = escaped(value);
        let _ = writeln!(html, "<tr><th>{name}</th><td>{value}</td></tr>");
    }
    html.push_str("</table>\n");
    if !sheet.sums.is_empty() {
        html.push_str("<h2>Amounts, by kind</h2>\n");
        html.push_str(&picture(&sheet.sums));
    }
    html.push_str("<h2>Each of them</h2>\n<table>\n<tr>");
    for name in COLUMNS {
        let class = match AMOUNTS.contains(&name) {
            true => " class=\"n\"",
            false => "",
        };
        let _ = write!(html, "<th{class}>{name}</th>");
    }
    html.push_str("</tr>\n");
    for one in &sheet.rows {
        html.push_str(&row(one));
    }
    let _ = write!(
        html,
        "</table>\n<p>{}</p>\n<div class=\"sign\">",
        sheet.summary
    );
    for name in SIGNED {
        let _ = write!(html, "<div>{name}</div>");
    }
    html.push_str("</div>\n</body></html>\n");
    html
}

/// Two bars for each kind: ours and the bank's.
fn picture(sums: &[Sum]) -> String {
    let rows = i32::try_from(sums.len()).unwrap_or(i32::MAX);
    let [ours, theirs] = FILLS;
    let mut svg = format!(
        "<svg viewBox=\"0 0 900 {}\" width=\"100%\" role=\"img\" aria-label=\"Amounts of both sides, by kind\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect x=\"230\" y=\"4\" width=\"10\" height=\"10\" fill=\"{ours}\"/><text x=\"246\" y=\"13\">ours</text>\
         <rect x=\"300\" y=\"4\" width=\"10\" height=\"10\" fill=\"{theirs}\"/><text x=\"316\" y=\"13\">the bank's</text>\n",
        rows.saturating_mul(ROW).saturating_add(24)
    );
    for (row, sum) in (0_i32..).zip(sums) {
        let top = row.saturating_mul(ROW).saturating_add(24);
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{}\">{}</text><text x=\"0\" y=\"{}\" fill=\"#555\">{}</text>",
            top + 11,
            escaped(&sum.kind),
            top + 26,
            sum.counts()
        );
        let tops = [top, top + BAR + 2];
        let bars = sum.bars(LONGEST).into_iter().flatten();
        for ((text, length), (y, fill)) in bars.zip(tops.iter().zip(FILLS)) {
            let _ = writeln!(
                svg,
                "<rect x=\"230\" y=\"{y}\" width=\"{length}\" height=\"{BAR}\" fill=\"{fill}\"/>\
                 <text x=\"{}\" y=\"{}\">{}</text>",
                230 + length + 6,
                y + 11,
                escaped(&text)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn row(one: &Row) -> String {
    let done: Vec<_> = one.done.iter().map(|step| escaped(step)).collect();
    format!(
        "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td>\
         <td>{}</td></tr>\n",
        escaped(&one.id),
        escaped(&one.kind),
        escaped(&one.ours),
        escaped(&one.theirs),
        one.line,
        escaped(&one.state),
        done.join("<br>")
    )
}

/// A text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::samples::{differs, import, missing};
    use super::*;

    #[test]
    fn a_sheet_shows_each_discrepancy_and_no_markup_of_a_bank() {
        let sheet = Sheet::of(&import(), &[differs(), missing()]).unwrap();
        let html = html(&sheet);
        for part in [
            "25.01 EUR",
            "700 JPY",
            "&lt;i&gt;a &amp; b",
            "&lt;b&gt;report",
            "dis_1",
            "Approved by",
            "<svg",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<b>") && !html.contains("<i>"), "{html}");
        assert_eq!(escaped("\"'&amp;"), "&quot;&#39;&amp;amp;");
    }
}
