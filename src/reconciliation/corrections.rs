//! What payswitch does by itself about what it finds, by rules of the configuration: it corrects, or proposes to.

use super::discrepancies::{Discrepancies, DiscrepancyError};
use crate::config::reconciliation::{CorrectedKind, CorrectionBearer, CorrectionRule};
use crate::payment::difference::DifferenceKind;
use crate::payment::discrepancy::{Bearer, Discrepancy, Ending, Step};
use crate::payment::ids::ImportId;
use crate::store::records::callers::BY_ITSELF;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::DiscrepancyFilter;

impl Discrepancies {
    /// Does what the rules say about what a report has otherwise. What they have done already stays, so that this may be
    /// done again.
    ///
    /// # Errors
    /// [`DiscrepancyError`].
    pub async fn correct_by_rules(
        &self,
        rules: &[CorrectionRule],
        import: ImportId,
    ) -> Result<(), DiscrepancyError> {
        if rules.is_empty() {
            return Ok(());
        }
        let filter = DiscrepancyFilter {
            is_open: true,
            import_id: Some(import),
            ..DiscrepancyFilter::default()
        };
        let mut after: Option<String> = None;
        loop {
            let found = self.list(&filter, MAX_PAGE_SIZE, after.as_ref()).await?;
            for one in &found.items {
                let rule = rules.iter().position(|rule| fits(rule, one));
                let rule = rule.and_then(|place| Some((place, rules.get(place)?)));
                if let Some((place, rule)) = rule {
                    self.correct_by(rule, place, one).await?;
                }
            }
            after = found.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn correct_by(
        &self,
        rule: &CorrectionRule,
        place: usize,
        found: &Discrepancy,
    ) -> Result<(), DiscrepancyError> {
        let ending = Ending::Correct(match rule.bears {
            CorrectionBearer::Merchant => Bearer::Merchant,
            CorrectionBearer::House => Bearer::House,
        });
        let step = match rule.applies {
            true => Step::End(ending),
            false => Step::Propose(ending),
        };
        let reason = format!("rule {}: up to {} minor units", place + 1, rule.up_to_minor);
        let alone_minor = i64::from(rule.up_to_minor);
        match self
            .take(&found.id, &step, (BY_ITSELF, &reason), alone_minor)
            .await
        {
            // Somebody has looked after it meanwhile, or it is of no merchant.
            Err(DiscrepancyError::Refused(_)) => Ok(()),
            done => done,
        }
    }
}

fn fits(rule: &CorrectionRule, found: &Discrepancy) -> bool {
    let kind = match rule.kind {
        CorrectedKind::AmountDiffers => DifferenceKind::AmountDiffers,
        CorrectedKind::MissingAtBank => DifferenceKind::NotInReport,
        CorrectedKind::UnknownToPayswitch => DifferenceKind::UnexpectedLine,
        CorrectedKind::DuplicateAtBank => DifferenceKind::DuplicateLine,
        CorrectedKind::OutcomeDiffers => DifferenceKind::Rejected,
        CorrectedKind::SignDiffers => DifferenceKind::SignDiffers,
        CorrectedKind::ReversalNotApplied => DifferenceKind::ReversalNotApplied,
        CorrectedKind::FeeDiffers => DifferenceKind::FeeDiffers,
    };
    let about = found.owed_more_minor().map(i64::unsigned_abs);
    let currency = rule.currency.as_deref();
    let Some(difference) = found.found.in_report().map(|found| &found.difference) else {
        return false;
    };
    // Nobody has done anything about it: what a person has opened again stays open.
    found.version == 1
        && difference.kind == kind
        // What has no known outcome is not corrected by a rule: it ends first.
        && !(kind == DifferenceKind::AmountDiffers && difference.is_of_line())
        && about.is_some_and(|about| (1..=u64::from(rule.up_to_minor)).contains(&about))
        && currency.is_none_or(|currency| currency == difference.currency.code())
}
