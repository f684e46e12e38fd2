//! The rules by which lines find their items, as data.

use serde::Deserialize;

/// The rules that payswitch comes with.
const STANDARD: &str = include_str!("rules.toml");
/// The longest name of a rule.
const MOST_NAME: usize = 40;
/// The most lines, or items, of one match.
const MOST_TOGETHER: usize = 8;

/// What a line and an item may have alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// The RRN (DE 37): that of the item's own message, or of its payment's. Zeros in front do not count.
    Rrn,
    /// The RRN as it is written, with all its zeros.
    WrittenRrn,
    /// The approval code (DE 38).
    ApprovalCode,
    /// The acquirer's reference (ARN).
    AcquirerReference,
    /// The merchant's own reference.
    MerchantReference,
    /// The amount, with its direction.
    Amount,
    /// The currency.
    Currency,
    /// The business date: of the line, the item and the report.
    Date,
}

/// Which items a rule is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum With {
    /// Those that no line has settled.
    #[default]
    Open,
    /// Those that a line has settled: what fits is there once more.
    Settled,
}

/// How many belong together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HowMany {
    /// One.
    #[default]
    One,
    /// Up to [`MatchRule::most`].
    Many,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchRule {
    /// Its name.
    pub name: String,
    /// When it is tried.
    pub stage: u32,
    /// What line and item both have, and have alike.
    pub same: Vec<Key>,
    /// What may be otherwise.
    #[serde(default)]
    pub may_differ: Vec<Key>,
    /// Which items it is about.
    #[serde(default)]
    pub with: With,
    /// How many lines belong together.
    #[serde(default)]
    pub lines: HowMany,
    /// How many items belong together.
    #[serde(default)]
    pub items: HowMany,
    /// The most of them, where they are many.
    #[serde(default)]
    pub most: usize,
    /// Whether what fits is taken.
    #[serde(default = "decides")]
    pub decides: bool,
    /// By how many minor units an amount may be off that is the same.
    #[serde(default)]
    pub tolerance_minor: u64,
    /// How many days apart dates may be that may differ; 0 is any.
    #[serde(default)]
    pub days: u16,
}

const fn decides() -> bool {
    true
}

impl MatchRule {
    /// Whether a line and an item have this alike.
    #[must_use]
    pub fn wants(&self, key: Key) -> bool {
        self.same.contains(&key)
    }

    /// Whether this may be otherwise.
    #[must_use]
    pub fn allows(&self, key: Key) -> bool {
        self.may_differ.contains(&key)
    }

    /// Whether one line is one item.
    #[must_use]
    pub fn is_one_to_one(&self) -> bool {
        (self.lines, self.items) == (HowMany::One, HowMany::One)
    }

    fn check(&self) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("rule {:?}: {what}", self.name));
        if self.name.is_empty() || self.name.len() > MOST_NAME {
            return wrong("expected a name of 1 to 40 characters");
        }
        if let Some(key) = self.same.iter().find(|key| self.allows(**key)) {
            return wrong(&format!("{key:?} is the same, and may differ"));
        }
        let is_found = [
            Key::Rrn,
            Key::WrittenRrn,
            Key::ApprovalCode,
            Key::AcquirerReference,
            Key::MerchantReference,
            Key::Amount,
        ];
        if !is_found.iter().any(|key| self.wants(*key)) {
            return wrong("expected a reference or the amount among what is the same");
        }
        if self.tolerance_minor > 0 && (!self.wants(Key::Amount) || !self.is_one_to_one()) {
            return wrong(
                "a tolerance is for an amount that is the same, of one line and one item",
            );
        }
        if self.is_one_to_one() {
            return match self.most {
                0 => Ok(()),
                _ => wrong("`most` is for what is many"),
            };
        }
        let sums = [Key::Rrn, Key::Amount, Key::Currency];
        if !sums.iter().all(|key| self.wants(*key)) {
            return wrong("many have at least rrn, amount and currency alike");
        }
        if !self.decides || self.with != With::Open {
            return wrong("what is many is taken, and is open");
        }
        match self.most {
            2..=MOST_TOGETHER => Ok(()),
            _ => wrong("expected `most`, 2 to 8"),
        }
    }
}

/// Rules, by their stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchRules(Vec<MatchRule>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    rules: Vec<MatchRule>,
}

impl MatchRules {
    /// Reads rules.
    ///
    /// # Errors
    /// When they are no such file, or a rule says what can't be: with what was expected and where.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut file: RulesFile = toml::from_str(text).map_err(|error| error.to_string())?;
        for rule in &file.rules {
            rule.check()?;
        }
        let mut names: Vec<&str> = file.rules.iter().map(|rule| &*rule.name).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[one, next]| one == next) {
            return Err(format!("rule {name:?}: expected a name of its own"));
        }
        file.rules.sort_by_key(|rule| rule.stage);
        Ok(Self(file.rules))
    }

    /// Those that payswitch comes with.
    #[must_use]
    pub fn standard() -> Self {
        // A test reads them.
        Self::read(STANDARD).unwrap_or_else(|_| Self(Vec::new()))
    }

    /// The same rules where there are more lines or items than are looked at: only an RRN tells one, and nothing is summed.
    #[must_use]
    pub fn careful(mut self) -> Self {
        self.0.retain(MatchRule::is_one_to_one);
        for rule in &mut self.0 {
            rule.decides &= rule.wants(Key::Rrn);
        }
        self
    }

    /// The rules of the first stage, which are tried as the lines come; or else those of the later ones, stage by stage.
    pub fn stages(&self, first: bool) -> impl Iterator<Item = &[MatchRule]> {
        let stages = self.0.chunk_by(|one, next| one.stage == next.stage);
        let taken = match first {
            true => (0, 1),
            false => (1, usize::MAX),
        };
        stages.skip(taken.0).take(taken.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_payswitch_comes_with_can_be_read() {
        let rules = MatchRules::read(STANDARD).unwrap();
        assert_eq!(rules.stages(true).count(), 1);
        assert!(rules.stages(false).count() > 1);
        assert_eq!(rules, MatchRules::standard());
    }

    #[test]
    fn a_rule_that_can_not_be_says_why() {
        let rule = |text: &str| MatchRules::read(&format!("[[rules]]\nstage = 1\n{text}"));
        for (text, expected) in [
            ("name = 'a'\nsame = ['date']", "expected a reference"),
            ("name = ''\nsame = ['rrn']", "expected a name"),
            (
                "name = 'a'\nsame = ['rrn']\nmay_differ = ['rrn']",
                "Rrn is the same, and may differ",
            ),
            ("name = 'a'\nsame = ['rrn']\nmost = 3", "`most` is for"),
            (
                "name = 'a'\nsame = ['rrn']\ntolerance_minor = 3",
                "a tolerance is for",
            ),
            (
                "name = 'a'\nsame = ['rrn']\nlines = 'many'\nmost = 3",
                "many have at least",
            ),
            (
                "name = 'a'\nsame = ['rrn', 'amount', 'currency']\nlines = 'many'\nmost = 9",
                "2 to 8",
            ),
            ("name = 'a'\nsame = ['stan']", "unknown variant `stan`"),
        ] {
            let error = rule(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
