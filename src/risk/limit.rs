//! One limit, from the settings.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use crate::config::environment::Environment;
use crate::config::risk::{
    CountedEvent, LimitConfig, LimitedOperation, LimitedSubject, RiskConfig,
};
use crate::payment::ids::MerchantId;
use crate::payment::operation_kind::OperationKind;

/// The most limits: each is looked at for each attempt.
const MOST_LIMITS: usize = 16;
/// The longest name of a limit.
const NAME_LENGTH: usize = 40;
/// The largest `most`.
const MOST: u32 = 1_000_000;
/// The longest window, in seconds: a day.
const LONGEST_WINDOW_S: u32 = 86_400;
/// Where so many are allowed, a subject that was counted once is told to no other node: nearly all are.
const TELLS_ALL_BELOW: u32 = 10;

/// A limit that can't be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("risk.limits: expected {expected}, got {got:?} in the limit {limit:?}")]
pub struct InvalidLimit {
    /// The name of the limit as it came.
    pub limit: String,
    /// What was expected.
    pub expected: &'static str,
    /// The value as it came.
    pub got: String,
}

/// One limit.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) name: String,
    pub(super) of: LimitedSubject,
    by_merchant: bool,
    pub(super) counts: CountedEvent,
    operations: Vec<LimitedOperation>,
    most: u32,
    most_of: BTreeMap<MerchantId, u32>,
    pub(super) window_ms: i64,
    /// How many attempts were declined for it since this process has started.
    pub(super) times_reached: AtomicU64,
}

impl Limit {
    /// The limits of an installation.
    ///
    /// # Errors
    /// When one can't be kept.
    pub(super) fn all(
        config: &RiskConfig,
        environment: Environment,
    ) -> Result<Vec<Self>, InvalidLimit> {
        let limits = match (&config.limits, environment) {
            (Some(limits), _) => limits.clone(),
            (None, Environment::Test) => Vec::new(),
            (None, Environment::Live) => LimitConfig::usual(),
        };
        if let Some(first_too_many) = limits.get(MOST_LIMITS) {
            return Err(InvalidLimit {
                limit: first_too_many.name.clone(),
                expected: "16 limits at most",
                got: limits.len().to_string(),
            });
        }
        let mut all: Vec<Self> = Vec::with_capacity(limits.len());
        for limit in limits {
            let limit = Self::of(limit)?;
            if all.iter().any(|it| it.name == limit.name) {
                return Err(InvalidLimit {
                    limit: limit.name.clone(),
                    expected: "a name of its own",
                    got: limit.name,
                });
            }
            all.push(limit);
        }
        Ok(all)
    }

    fn of(config: LimitConfig) -> Result<Self, InvalidLimit> {
        let LimitConfig {
            name,
            of,
            by_merchant,
            counts,
            operations,
            most,
            window_seconds,
            most_of,
        } = config;
        let invalid = |expected, got: String| InvalidLimit {
            limit: name.clone(),
            expected,
            got,
        };
        let is_named = (1..=NAME_LENGTH).contains(&name.len())
            && name
                .bytes()
                .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-');
        if !is_named {
            let expected = "a name of 1 to 40 of a-z, 0-9 and -";
            return Err(invalid(expected, name.clone()));
        }
        if let Some(most) = [most]
            .iter()
            .chain(most_of.values())
            .find(|it| !(1..=MOST).contains(*it))
        {
            return Err(invalid("most of 1 to 1000000", most.to_string()));
        }
        if !(1..=LONGEST_WINDOW_S).contains(&window_seconds) {
            let expected = "window_seconds of 1 to 86400";
            return Err(invalid(expected, window_seconds.to_string()));
        }
        let most_of = most_of.into_iter().map(|(id, most)| {
            let id = id
                .parse()
                .map_err(|_| invalid("the name of a merchant in most_of", id))?;
            Ok((id, most))
        });
        Ok(Self {
            of,
            by_merchant,
            counts,
            operations,
            most,
            most_of: most_of.collect::<Result<_, InvalidLimit>>()?,
            window_ms: i64::from(window_seconds) * 1_000,
            times_reached: AtomicU64::new(0),
            name,
        })
    }

    /// What the settings say.
    pub(super) fn settings(&self) -> LimitConfig {
        let most_of = self.most_of.iter();
        LimitConfig {
            name: self.name.clone(),
            of: self.of,
            by_merchant: self.counts_apart(),
            counts: self.counts,
            operations: self.operations.clone(),
            most: self.most,
            window_seconds: u32::try_from(self.window_ms / 1_000).unwrap_or(u32::MAX),
            most_of: most_of.map(|(id, most)| (id.to_string(), *most)).collect(),
        }
    }

    /// Whether each merchant is counted apart.
    pub(super) fn counts_apart(&self) -> bool {
        self.by_merchant || self.of == LimitedSubject::Merchant
    }

    /// Whether an operation of this kind counts and is limited.
    pub(super) fn is_for(&self, kind: OperationKind) -> bool {
        let operation = match kind {
            OperationKind::Verification => LimitedOperation::VerifyCard,
            _ => LimitedOperation::AuthorizePayment,
        };
        self.operations.contains(&operation)
    }

    /// The most that this merchant may count in a window, or any that the settings don't name.
    pub(super) fn most(&self, merchant_id: Option<&MerchantId>) -> u32 {
        match merchant_id {
            Some(id) if !self.most_of.is_empty() => *self.most_of.get(id).unwrap_or(&self.most),
            _ => self.most,
        }
    }

    /// From which count on other nodes are told of a subject.
    pub(super) fn told_from(&self) -> i64 {
        let least = self
            .most_of
            .values()
            .fold(self.most, |one, other| one.min(*other));
        if least < TELLS_ALL_BELOW { 1 } else { 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit() -> LimitConfig {
        LimitConfig::usual().remove(0)
    }

    #[test]
    fn a_test_environment_has_the_limits_that_it_sets() {
        let names = |limits: Option<Vec<LimitConfig>>, environment| {
            let limits = Limit::all(&RiskConfig { limits }, environment).unwrap();
            Vec::from_iter(limits.into_iter().map(|it| it.name))
        };
        let usual = ["card-attempts", "card-declines", "range-declines"];
        assert_eq!(names(None, Environment::Live), usual);
        assert!(names(None, Environment::Test).is_empty());
        assert!(names(Some(Vec::new()), Environment::Live).is_empty());
        let one = names(Some(vec![limit()]), Environment::Test);
        assert_eq!(one, ["card-attempts"]);
    }

    #[test]
    fn a_limit_that_can_not_be_kept_is_named() {
        let most_of = |id: &str, most| BTreeMap::from([(id.to_owned(), most)]);
        #[rustfmt::skip]
        let table = [
            (LimitConfig { name: "Card".into(), ..limit() }, "a name of 1 to 40"),
            (LimitConfig { name: "a".repeat(41), ..limit() }, "a name of 1 to 40"),
            (LimitConfig { most: 0, ..limit() }, "most of 1 to 1000000"),
            (LimitConfig { most_of: most_of("shop", 0), ..limit() }, "most of 1 to 1000000"),
            (LimitConfig { most_of: most_of("sh op", 1), ..limit() }, "the name of a merchant"),
            (LimitConfig { window_seconds: 86_401, ..limit() }, "window_seconds of 1 to 86400"),
        ];
        let refused = |limits| {
            let config = RiskConfig {
                limits: Some(limits),
            };
            Limit::all(&config, Environment::Test).unwrap_err()
        };
        for (limit, expected) in table {
            let error = refused(vec![limit]);
            assert!(error.expected.starts_with(expected), "{error}");
        }
        assert_eq!(
            refused(vec![limit(), limit()]).expected,
            "a name of its own"
        );
        let many = (0..17).map(|index| LimitConfig {
            name: format!("limit-{index}"),
            ..limit()
        });
        assert_eq!(refused(many.collect()).limit, "limit-16");
    }

    #[test]
    fn a_merchant_may_have_another_most() {
        let config = LimitConfig {
            most_of: BTreeMap::from([("shop".to_owned(), 3)]),
            operations: vec![LimitedOperation::VerifyCard],
            ..limit()
        };
        let limit = Limit::of(config).unwrap();
        let most = |id: &str| limit.most(Some(&id.parse().unwrap()));
        assert_eq!((most("shop"), most("other")), (3, 30));
        assert!(limit.is_for(OperationKind::Verification) && !limit.is_for(OperationKind::Sale));
        assert_eq!(limit.told_from(), 1);
        assert_eq!(Limit::of(self::limit()).unwrap().told_from(), 2);
    }
}
