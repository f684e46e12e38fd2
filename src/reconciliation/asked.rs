//! What payswitch has asked the bank for, and is no item: its outcome is not known, or it was undone. A line may be about it
//! all the same.

use super::candidates::{ReportOf, bank_minor, item_kind};
use crate::payment::ids::{HostId, MerchantId, OperationId, PaymentId, SubjectId};
use crate::payment::money::Money;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Rrn;
use crate::payment::report_line::ReportedItem;
use crate::payment::settlement::ItemKind;
use crate::payment::state::PaymentState;
use crate::random::{HashMap, HashSet};
use crate::settlement::report::line::ReportLine;

/// How something stands that is no item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody knows whether the bank has done it. It is ended by ending this operation: itself, or the reversal of it that
    /// nobody sends any more.
    NotKnown { ends: OperationId },
    /// payswitch has undone it, or is undoing it.
    Undone,
}

/// Something that payswitch has asked for, and is no item.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) operation_id: OperationId,
    /// Its capture or refund; none of an authorization.
    pub(super) subject_id: Option<SubjectId>,
    pub(super) merchant_id: MerchantId,
    pub(super) amount: Money,
    pub(super) standing: Standing,
    pub(super) own_rrn: Rrn,
    payment_id: PaymentId,
    kind: ItemKind,
    /// Where the bank knows it by that of its payment.
    authorization_rrn: Rrn,
}

impl Asked {
    /// Whether it has the amount of a line that names it.
    pub(super) fn is_about(&self, line: &ReportLine) -> bool {
        self.amount.amount_minor() == bank_minor(line)
    }
}

/// What a line says was booked, of what nobody knew that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Booked {
    /// The number of the line.
    pub(super) line: u64,
    /// The operation that was booked.
    pub(super) about: OperationId,
    /// The operation that ends by that.
    pub(super) ends: OperationId,
}

/// All that was asked for of some payments, and is no item.
#[derive(Debug, Default)]
pub struct AllAsked {
    by_rrn: HashMap<Rrn, Vec<Asked>>,
    /// The RRNs of their captures' and refunds' own messages, also of those that are items.
    own: HashSet<(Rrn, ItemKind)>,
}

impl AllAsked {
    /// That of these payments at a host, with all of their operations.
    #[must_use]
    pub fn of(host_id: HostId, payments: &[(Payment, Vec<Operation>)]) -> Self {
        let mut all = Self::default();
        for (payment, operations) in payments {
            for operation in operations.iter().filter(|it| it.host_id == host_id) {
                if let Some(kind) = ItemKind::of_operation(operation.kind) {
                    all.own.insert((operation.rrn, kind));
                }
                let Some(asked) = asked(payment, operation, operations) else {
                    continue;
                };
                let mut rrns = vec![asked.own_rrn, asked.authorization_rrn];
                rrns.dedup();
                for rrn in rrns {
                    all.by_rrn.entry(rrn).or_default().push(asked.clone());
                }
            }
        }
        all
    }

    /// What a line names by its RRN. An outcome is told only of the merchant whose acceptor the line names.
    fn named<'s>(
        &'s self,
        of: ReportOf<'_>,
        line: &ReportLine,
    ) -> impl Iterator<Item = &'s Asked> + use<'s> {
        let is_booked = line.reject_code.is_none() && bank_minor(line) > 0;
        let rrn = line.known_rrn().filter(|_| is_booked);
        let named = rrn.and_then(|rrn| Some((rrn, self.by_rrn.get(&rrn)?)));
        let merchants: Vec<MerchantId> = of.merchants_of(line).collect();
        let (kind, currency) = (item_kind(line.kind), line.currency);
        let named = named.into_iter().flat_map(move |(rrn, asked)| {
            let is_own = self.own.contains(&(rrn, kind));
            asked
                .iter()
                .filter(move |asked| asked.own_rrn == rrn || !is_own)
        });
        named.filter(move |asked| {
            let may_be = match asked.standing {
                Standing::NotKnown { .. } => false,
                Standing::Undone => merchants.is_empty(),
            };
            asked.kind == kind
                && asked.amount.currency() == currency
                && (may_be || merchants.contains(&asked.merchant_id))
        })
    }

    /// What lines say was booked: of each that names one thing only. Where an open item fits a line as well, it is about
    /// that. The RRN of its payment says less than its own: then it must not have any item that is the same, settled or not,
    /// for the line may be there once more.
    pub(super) fn booked(
        &self,
        of: ReportOf<'_>,
        lines: &[ReportLine],
        items: &[ReportedItem],
    ) -> Vec<Booked> {
        let what = |item: &ReportedItem| {
            let amount = (item.currency, item.amount_minor);
            (item.found_by, item.kind, amount)
        };
        // The own RRN of one of them is not that of another one of its payment.
        let is_named = |item: &&ReportedItem| {
            item.found_by == item.own_rrn || !self.own.contains(&(item.found_by, item.kind))
        };
        let all: HashSet<_> = items.iter().filter(is_named).map(what).collect();
        let open = items.iter().filter(|item| item.settled_by.is_none());
        let open: HashSet<_> = open.filter(is_named).map(what).collect();
        let mut taken: HashSet<OperationId> = HashSet::default();
        let mut booked = Vec::new();
        for line in lines {
            let minor = bank_minor(line);
            let fit = self.named(of, line).filter(|asked| asked.is_about(line));
            let fit = fit.filter_map(|asked| match asked.standing {
                Standing::NotKnown { ends } => Some((asked, ends)),
                Standing::Undone => None,
            });
            let fit: Vec<_> = fit.collect();
            let (Some(rrn), [(asked, ends)]) = (line.known_rrn(), &*fit) else {
                continue;
            };
            let amount = (line.currency, minor);
            let items = if asked.own_rrn == rrn { &open } else { &all };
            let is_item = items.contains(&(rrn, item_kind(line.kind), amount));
            if !is_item && taken.insert(*ends) {
                booked.push(Booked {
                    line: line.number,
                    about: asked.operation_id,
                    ends: *ends,
                });
            }
        }
        booked
    }

    /// What a line is about that no item fits: of what it names, that with its amount, and what nobody knows the outcome of
    /// before what was undone. None where it names things of two payments.
    pub(super) fn about(&self, of: ReportOf<'_>, line: &ReportLine) -> Option<&Asked> {
        let named: Vec<&Asked> = self.named(of, line).collect();
        let first = named.first()?;
        if named.iter().any(|it| it.payment_id != first.payment_id) {
            return None;
        }
        named.into_iter().min_by_key(|asked| {
            let is_undone = asked.standing == Standing::Undone;
            (!asked.is_about(line), is_undone)
        })
    }
}

/// An operation as something that was asked for, and is no item; none where it is one, or nothing came of it.
fn asked(payment: &Payment, operation: &Operation, all: &[Operation]) -> Option<Asked> {
    let kind = match operation.kind {
        // A bank may settle what it has only authorized.
        OperationKind::Authorization => ItemKind::Capture,
        OperationKind::Capture | OperationKind::Sale | OperationKind::Refund => {
            ItemKind::of_operation(operation.kind)?
        }
        _ => return None,
    };
    Some(Asked {
        operation_id: operation.id,
        subject_id: operation.subject_id,
        merchant_id: payment.merchant_id,
        amount: operation.amount,
        standing: standing(payment, operation, all)?,
        own_rrn: operation.rrn,
        payment_id: payment.id,
        kind,
        authorization_rrn: payment.authorization.rrn,
    })
}

fn standing(payment: &Payment, operation: &Operation, all: &[Operation]) -> Option<Standing> {
    use OperationState as S;
    let is_authorization = operation.kind == OperationKind::Authorization;
    let mut about = all.iter().filter(|it| it.original_id == Some(operation.id));
    let not_known = |ends| Some(Standing::NotKnown { ends });
    match &operation.state {
        S::Reversed => Some(Standing::Undone),
        S::Unknown { .. } => match about.rfind(|it| it.kind == OperationKind::Reversal) {
            Some(reversal) => match reversal.state {
                S::Suspended { .. } if !is_authorization => not_known(reversal.id),
                _ => Some(Standing::Undone),
            },
            // It waits for a late answer, or for an operator.
            None if operation.original_id.is_some() => not_known(operation.id),
            None => None,
        },
        // The bank can't have booked what was never sent.
        S::Queued if operation.attempts.first_at.is_none() => None,
        S::Queued | S::Sent | S::Suspended { .. } => not_known(operation.id),
        state if state.counts() => {
            let is_undone = match operation.kind {
                OperationKind::Authorization => matches!(
                    payment.state,
                    PaymentState::Voiding { .. } | PaymentState::Voided
                ),
                _ => about.any(is_void_that_stands),
            };
            is_undone.then_some(Standing::Undone)
        }
        _ => None,
    }
}

/// Whether it voids, and was not refused: while its outcome is not known, what it voids is no item.
fn is_void_that_stands(operation: &Operation) -> bool {
    use OperationState as S;
    operation.kind == OperationKind::Void
        && !matches!(
            operation.state,
            S::Declined { .. }
                | S::Rejected { .. }
                | S::Cancelled
                | S::Resolved {
                    took_effect: false,
                    ..
                }
        )
}
