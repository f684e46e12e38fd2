//! What each stage of the rules adds: a report is compared with the rules up to it, and with all but those of it.
//!
//! What decides are the program's own functions. What payswitch knows of operations that are no item is left out. Nothing is
//! recorded: all of it comes before the report is taken in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use payswitch::payment::difference::Difference;
use payswitch::payment::ids::{HostId, ImportId, MerchantId, OperationId};
use payswitch::payment::moment::UnixMillis;
use payswitch::payment::reference::Rrn;
use payswitch::payment::report_line::{AppliedLines, LineState, ReportedItem};
use payswitch::reconciliation::asked::AllAsked;
use payswitch::reconciliation::candidates::ReportOf;
use payswitch::reconciliation::findings::{as_they_come, not_in_report, of_open_lines};
use payswitch::reconciliation::rules::MatchRules;
use payswitch::settlement::agreed_fees::AgreedFees;
use payswitch::settlement::report::file_format::ReportFormat;
use payswitch::settlement::report::line::ReportLine;
use serde_json::{Value, json};

use super::{Day, profile};
use crate::harness::Switch;
use crate::tools::{output, tool};

/// The rules that payswitch comes with.
const RULES: &str = include_str!("../../../src/reconciliation/rules.toml");
/// Lines that are compared at once as they come.
const AT_ONCE: usize = 256;

/// A report, and all that it may be about.
struct Comparison {
    host_id: HostId,
    lines: Vec<ReportLine>,
    /// Each once for each RRN by which it is found.
    items: Vec<ReportedItem>,
    by_rrn: BTreeMap<Rrn, Vec<usize>>,
    merchants: Vec<(String, MerchantId)>,
    fees: AgreedFees,
    day: Day,
}

/// Prints a table of what each stage adds to what is found of this report.
pub(super) async fn print(switch: &Switch, day: &Day, report: &Path, key: &Path) {
    let comparison = Comparison::of(switch, day, report).await;
    let rules: Vec<(i64, &str)> = (RULES.split("[[rules]]").skip(1))
        .map(|rule| {
            let read: toml::Table = rule.parse().expect("a rule");
            (read["stage"].as_integer().expect("a stage"), rule)
        })
        .collect();
    let last = rules.iter().map(|(stage, _)| *stage).max().expect("a rule");
    let score = |is_in: &dyn Fn(i64) -> bool| {
        let kept = rules.iter().filter(|(stage, _)| is_in(*stage));
        let text: Vec<_> = kept.map(|(_, rule)| format!("[[rules]]{rule}")).collect();
        let rules = MatchRules::read(&text.concat()).expect("rules");
        totals(key, report, &comparison.found(&rules))
    };
    let mut table = "                  recall    precision  clean lines matched\n".to_owned();
    for stage in 1..=last {
        let up_to = score(&|it| it <= stage);
        table += &format!("up to stage {stage}     {up_to}\n");
    }
    // Nothing is left of a comparison without the first one.
    for stage in 2..=last {
        let without = score(&|it| it != stage);
        table += &format!("all but stage {stage}   {without}\n");
    }
    println!("{table}");
}

/// What `score.py` says of what was found.
fn totals(key: &Path, report: &Path, found: &str) -> String {
    let path = report.with_extension("ablation.jsonl");
    std::fs::write(&path, found).expect("what was found");
    let mut score = tool("python3");
    score.args(["tools/score.py", "--totals", "--key"]).arg(key);
    let ran = output(score.arg("--found").arg(path));
    // It fails where something is not found.
    let told: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let number = |name: &str| told[name].as_f64().expect("a number");
    format!(
        "{:.6}  {:.6}   {:.6}",
        number("recall"),
        number("precision"),
        number("share")
    )
}

impl Comparison {
    async fn of(switch: &Switch, day: &Day, report: &Path) -> Self {
        let profile: toml::Table = profile().parse().expect("a profile");
        let table = |name: &str| profile["settlement"][name].as_table().expect("a table");
        let format = ReportFormat::from_table(table("report").clone()).expect("a format");
        let fees = AgreedFees::from_table(table("fees").clone(), Some(&format)).expect("fees");
        let file = BufReader::new(File::open(report).expect("the report"));
        let lines = format.read(file).expect("a report");
        let lines: Vec<ReportLine> = lines.map(|line| line.expect("a line")).collect();

        let (store, host_id) = (switch.store(), "acquirer".parse().expect("a host"));
        let mut acceptors: Vec<_> = lines.iter().map(|line| line.acceptor.clone()).collect();
        acceptors.sort_unstable();
        acceptors.dedup();
        let merchants = store.merchants_of_acceptors(&host_id, acceptors).await;
        let merchants = merchants.expect("the merchants");
        let mut items = Vec::new();
        for lines in lines.chunks(AT_ONCE) {
            let mut rrns: Vec<_> = lines.iter().filter_map(ReportLine::known_rrn).collect();
            rrns.sort_unstable();
            rrns.dedup();
            let found = store.items_of_rrns(&host_id, &rrns).await;
            items.extend(found.expect("items"));
        }
        let ids: Vec<_> = merchants.iter().map(|(_, merchant)| *merchant).collect();
        let date = day.date.parse().expect("a date");
        let open = store.open_items(&host_id, &ids, (date, date), usize::MAX);
        items.extend(open.await.expect("items"));
        let mut by_rrn: BTreeMap<Rrn, Vec<usize>> = BTreeMap::new();
        for (place, item) in items.iter().enumerate() {
            by_rrn.entry(item.found_by).or_default().push(place);
        }
        Self {
            host_id,
            lines,
            items,
            by_rrn,
            merchants,
            fees,
            day: day.clone(),
        }
    }

    fn items_of<'a>(&'a self, lines: &[ReportLine]) -> impl Iterator<Item = &'a ReportedItem> {
        let mut rrns: Vec<_> = lines.iter().filter_map(ReportLine::known_rrn).collect();
        rrns.sort_unstable();
        rrns.dedup();
        let places = rrns.into_iter().filter_map(|rrn| self.by_rrn.get(&rrn));
        let places: Vec<usize> = places.flatten().copied().collect();
        places.into_iter().filter_map(|place| self.items.get(place))
    }

    /// What these rules find, as `score.py` reads it.
    fn found(&self, rules: &MatchRules) -> String {
        let of = ReportOf {
            host_id: self.host_id,
            business_date: self.day.date.parse().expect("a date"),
            merchants: &self.merchants,
            fees: Some(&self.fees),
        };
        let import = ImportId::from_parts(UnixMillis::new(0), [0; 10]);
        let mut settled: BTreeMap<OperationId, ImportId> = BTreeMap::new();
        let mut open: BTreeMap<&str, Vec<ReportLine>> = BTreeMap::new();
        let mut all = Vec::new();
        for lines in self.lines.chunks(AT_ONCE) {
            let items = self.items_of(lines).map(|item| ReportedItem {
                settled_by: settled.get(&item.operation_id).copied().or(item.settled_by),
                ..item.clone()
            });
            let (applied, _) = as_they_come(of, rules, lines, items.collect());
            settled.extend(applied.items.iter().map(|it| (it.operation_id, import)));
            for (line, outcome) in lines.iter().zip(&applied.lines) {
                if outcome.state == LineState::Open {
                    let of_acceptor = open.entry(line.acceptor.as_str()).or_default();
                    of_acceptor.push(line.clone());
                }
            }
            all.push(applied);
        }
        for (acceptor, lines) in open {
            let whose = self.merchants.iter().filter(|(it, _)| it == acceptor);
            let whose: Vec<_> = whose.map(|(_, merchant)| *merchant).collect();
            let theirs = |item: &&ReportedItem| {
                whose.contains(&item.merchant_id) && !settled.contains_key(&item.operation_id)
            };
            let named = self.items_of(&lines);
            let items = named.chain(self.items.iter().filter(theirs));
            let items = items.map(|item| ReportedItem {
                settled_by: settled.get(&item.operation_id).copied().or(item.settled_by),
                ..item.clone()
            });
            let lines = (&*lines, &AllAsked::default());
            let applied = of_open_lines(of, rules, lines, items.collect());
            settled.extend(applied.items.iter().map(|it| (it.operation_id, import)));
            all.push(applied);
        }
        let mut rrns: BTreeMap<OperationId, Rrn> = BTreeMap::new();
        let mut missing = AppliedLines::default();
        for item in &self.items {
            let is_new = rrns.insert(item.operation_id, item.own_rrn).is_none();
            let is_of_day = item.business_date == of.business_date;
            if is_new && is_of_day && !settled.contains_key(&item.operation_id) {
                missing.differences.push(not_in_report(of, item));
            }
        }
        all.push(missing);
        let mut found = json!({ "import": "DONE" }).to_string();
        for applied in &all {
            let first = applied.lines.iter().filter_map(|line| {
                let is_matched = line.state == LineState::Matched;
                Some((line.number, line.operation_id.filter(|_| is_matched)?))
            });
            let others = applied
                .items
                .iter()
                .map(|item| (item.line, item.operation_id));
            let pairs: BTreeSet<(i64, OperationId)> = first.chain(others).collect();
            for (line, operation) in pairs {
                write!(
                    found,
                    "\n{}",
                    json!({ "line": line, "rrn": rrn(&rrns, operation) })
                )
                .expect("a text");
            }
            for difference in &applied.differences {
                write!(found, "\n{}", raised(difference, &rrns)).expect("a text");
            }
        }
        found
    }
}

fn rrn(rrns: &BTreeMap<OperationId, Rrn>, operation: OperationId) -> Option<String> {
    rrns.get(&operation).map(ToString::to_string)
}

fn raised(it: &Difference, rrns: &BTreeMap<OperationId, Rrn>) -> Value {
    let kind = it.kind.discrepancy_name();
    let has_amounts = !matches!(
        kind,
        "CURRENCY_DIFFERS" | "DATE_DIFFERS" | "LATE_PRESENTMENT" | "REFERENCE_DIFFERS"
    );
    let minor = |text: &Option<String>| {
        let minor = text.as_deref().and_then(|text| text.parse::<i64>().ok());
        minor.filter(|_| has_amounts)
    };
    json!({
        "kind": kind, "line": it.line, "own_minor": minor(&it.ours),
        "rrn": it.operation_id.and_then(|operation| rrn(rrns, operation)),
        "bank_minor": minor(&it.theirs).filter(|_| kind != "OUTCOME_DIFFERS"),
        "candidates": it.candidates.iter().map(|like| like.rrn.to_string()).collect::<Vec<_>>(),
    })
}
