//! An issuer's books: cards, accounts, holds. All rules about money are here, without any I/O; `reversal` has
//! those of undoing.

mod reversal;
pub(super) mod snapshot;

use std::fmt;

use time::OffsetDateTime;

use super::{
    card::{Card, CardToOpen, Delivery, masked},
    history::{Exchange, History, Standing},
    pin::ZonePinKey,
    request::{CardRequest, ExchangeKey, MessageKind, PaymentKind},
    tallies::Tallies,
};
use crate::{
    currency::Currency, outcome::Effect, random::HashMap, response_code::ResponseCode,
    test_cards::provoked_by,
};

/// Money in one currency. What is held and what is available are never negative.
#[derive(Debug, Clone, Copy)]
struct Account {
    currency: Currency,
    balance_minor: i64,
    held_minor: i64,
    credit_line_minor: i64,
}

impl Account {
    fn available_minor(&self) -> i64 {
        self.balance_minor
            .saturating_add(self.credit_line_minor)
            .saturating_sub(self.held_minor)
    }
}

/// The decision about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) response_code: ResponseCode,
    pub(crate) approval_code: Option<[u8; 6]>,
    /// The amount that is approved, where it is less than was asked for.
    pub(crate) part_minor: Option<i64>,
    pub(crate) delivery: Delivery,
    pub(crate) effect: Effect,
    /// Whether the message had come before.
    pub(crate) is_repeat: bool,
    /// Whether it was refused because the books have no room for it.
    pub(crate) is_full: bool,
}

impl Decision {
    fn without_effect(response_code: ResponseCode) -> Self {
        Self {
            response_code,
            approval_code: None,
            part_minor: None,
            delivery: Delivery::AtOnce,
            effect: Effect::None,
            is_repeat: false,
            is_full: false,
        }
    }
}

/// The cards and accounts of one issuer.
pub(crate) struct Books {
    by_pan: HashMap<String, u32>,
    cards: Vec<Card>,
    accounts: Vec<Account>,
    history: History,
    tallies: Tallies,
    zone_pin_key: ZonePinKey,
    /// The next approval code; a counter, so that a run can be repeated.
    next_approval: u32,
}

impl fmt::Debug for Books {
    /// Shows sizes only: the rest is card data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books")
            .field("cards", &self.cards.len())
            .field("accounts", &self.accounts.len())
            .finish_non_exhaustive()
    }
}

/// Approval codes have six digits and wrap.
const APPROVAL_CODES: u32 = 1_000_000;

impl Books {
    /// Empty books. `max_exchanges` is the most exchanges that may hold or have moved money.
    pub(crate) fn new(zone_pin_key: ZonePinKey, max_exchanges: usize) -> Self {
        Self {
            by_pan: HashMap::default(),
            cards: Vec::new(),
            accounts: Vec::new(),
            history: History::new(max_exchanges),
            tallies: Tallies::default(),
            zone_pin_key,
            next_approval: 1,
        }
    }

    /// Opens a card. A card number that is open already, or a table with more than 2^32 rows, is
    /// left as it is.
    pub(crate) fn open(&mut self, card: &CardToOpen<'_>) {
        let Ok(card_index) = u32::try_from(self.cards.len()) else {
            return;
        };
        if self.by_pan.contains_key(card.pan) {
            return;
        }
        let mut accounts = Vec::with_capacity(card.accounts.len());
        for opened in card.accounts {
            let Ok(index) = u32::try_from(self.accounts.len()) else {
                return;
            };
            self.accounts.push(Account {
                currency: opened.currency,
                balance_minor: opened.balance_minor,
                held_minor: 0,
                credit_line_minor: opened.credit_line_minor,
            });
            accounts.push((opened.currency.numeric(), index));
        }
        self.by_pan.insert(card.pan.to_owned(), card_index);
        self.cards.push(Card {
            masked_pan: masked(card.pan),
            pan: card.pan.to_owned(),
            expiry_yymm: card.expiry_yymm,
            cvv2: card.cvv2.map(str::to_owned),
            pin: card.pin.to_owned(),
            wrong_pins: 0,
            status: card.status,
            delivery: card.delivery,
            limit: card.limit,
            accounts,
        });
    }

    /// Decides about a 0100, 0200 or 0220 and moves the money.
    ///
    /// A request seen before has no effect again: 94 for a 0100 or 0200, the first answer once more
    /// for an advice, which is repeated until it is acknowledged. 96 when the books are full. A 0100 of nothing
    /// verifies the card: 85 where it is good.
    pub(crate) fn decide(&mut self, request: &CardRequest, now: OffsetDateTime) -> Decision {
        self.tallies.of(request.currency_numeric).exchanges += 1;
        if let Some(seen) = self.history.get(&request.key) {
            let first = request.key.kind.may_come_again().then_some(seen);
            let code = first.map_or(ResponseCode::DUPLICATE, |seen| seen.response_code);
            return Decision {
                approval_code: first.and_then(|seen| seen.approval_code),
                is_repeat: true,
                ..Decision::without_effect(code)
            };
        }
        if self.history.is_full() {
            return Decision {
                is_full: true,
                ..Decision::without_effect(ResponseCode::SYSTEM_MALFUNCTION)
            };
        }
        let card = self.by_pan.get(&request.pan).copied();
        let moved = self.check_and_move(request, card, now);
        let mut decision = Decision::without_effect(match &moved {
            Ok(_) if request.verifies() => ResponseCode::NO_REASON_TO_DECLINE,
            Ok(_) => ResponseCode::APPROVED,
            Err(code) => *code,
        });
        if let Ok(moved) = &moved {
            decision.approval_code = Some(self.approval_code());
            decision.effect = moved.effect;
            if moved.approved_minor < request.amount_minor {
                decision.response_code = ResponseCode::PARTLY_APPROVED;
                decision.part_minor = Some(moved.approved_minor);
            }
            if let Some(card) = self.card(card).filter(|_| request.asks()) {
                decision.delivery = card.delivery;
            }
        }
        let moved = moved.ok();
        let approved_minor = moved
            .as_ref()
            .map_or(request.amount_minor, |moved| moved.approved_minor);
        self.tallies.add(
            (&request.key, card, request.original.is_some()),
            request.currency_numeric,
            decision.effect,
            approved_minor,
        );
        self.history.remember(
            request.key,
            Exchange {
                account: moved.as_ref().map(|moved| moved.account),
                card,
                amount_minor: request.amount_minor,
                approved_minor,
                currency_numeric: request.currency_numeric,
                posted_minor: moved.as_ref().map_or(0, |moved| moved.posted_minor),
                standing: moved
                    .as_ref()
                    .map_or(Standing::Declined, |moved| moved.standing),
                response_code: decision.response_code,
                approval_code: decision.approval_code,
                hold: moved.and_then(|moved| moved.hold),
                increments: Vec::new(),
            },
        );
        decision
    }

    fn check_and_move(
        &mut self,
        request: &CardRequest,
        card: Option<u32>,
        now: OffsetDateTime,
    ) -> Result<Moved, ResponseCode> {
        if self.history.was_reversed_first(&request.key) {
            return Err(ResponseCode::DO_NOT_HONOUR);
        }
        let index = card.ok_or(ResponseCode::INVALID_CARD)?;
        let completes = request.key.kind != MessageKind::Authorization;
        match (request.kind, &request.original) {
            (PaymentKind::Debit, Some(original)) if completes => {
                return self.complete(request, original, index);
            }
            (_, Some(original)) if !completes => self.check_hold(request, original, index)?,
            _ => {}
        }
        let (account, approved_minor) = self.check_card(request, index, now)?;
        let moved = self.move_money(request, account, approved_minor)?;
        if let Some(original) = request.original.filter(|_| !completes) {
            let added = request.key;
            let history = &mut self.history;
            history.change(&original, |held| held.increments.push(added));
        }
        Ok(moved)
    }

    /// Whether a 0100 may add to the hold that it names: 25 where there is none, or nothing is held any more.
    fn check_hold(
        &self,
        request: &CardRequest,
        original: &ExchangeKey,
        card: u32,
    ) -> Result<(), ResponseCode> {
        let held = self.history.get(original);
        let held = held.ok_or(ResponseCode::ORIGINAL_NOT_FOUND)?;
        if held.card != Some(card) || !matches!(held.standing, Standing::Held { .. }) {
            return Err(ResponseCode::ORIGINAL_NOT_FOUND);
        }
        if held.currency_numeric != request.currency_numeric {
            return Err(ResponseCode::NOT_PERMITTED);
        }
        Ok(())
    }

    /// The checks that do not concern the balance: kind and currency; and, of what asks for money, first the
    /// card's own, and then the limit and the amounts that provoke an answer. The account, and how much is approved.
    fn check_card(
        &mut self,
        request: &CardRequest,
        index: u32,
        now: OffsetDateTime,
    ) -> Result<(u32, i64), ResponseCode> {
        let malfunction = ResponseCode::SYSTEM_MALFUNCTION;
        let card = usize::try_from(index)
            .ok()
            .and_then(|index| self.cards.get_mut(index));
        let card = card.ok_or(malfunction)?;
        if request.asks() {
            card.check(request, &self.zone_pin_key, now)?;
        }
        let permitted = match (request.key.kind, request.kind) {
            (_, PaymentKind::Debit) => true,
            (MessageKind::Financial | MessageKind::FinancialAdvice, PaymentKind::Credit) => true,
            (_, PaymentKind::Credit | PaymentKind::Other) => false,
        };
        let account = card
            .accounts
            .iter()
            .find(|(numeric, _)| permitted && *numeric == request.currency_numeric)
            .map(|(_, account)| *account)
            .ok_or(ResponseCode::NOT_PERMITTED)?;
        let mut approved_minor = request.amount_minor;
        if !request.asks() {
            return Ok((account, approved_minor));
        }
        if let Some(limit) = card.limit {
            let currency = Currency::from_numeric(request.currency_numeric).ok_or(malfunction)?;
            let most_minor = currency.minor_units(limit.whole_units);
            if let Some(most_minor) = most_minor.filter(|most| approved_minor > *most) {
                if !limit.approves_part {
                    return Err(ResponseCode::EXCEEDS_LIMIT);
                }
                approved_minor = most_minor;
            }
        }
        provoked_by(request.amount_minor).map_or(Ok((account, approved_minor)), Err)
    }

    fn move_money(
        &mut self,
        request: &CardRequest,
        account: u32,
        amount_minor: i64,
    ) -> Result<Moved, ResponseCode> {
        let malfunction = ResponseCode::SYSTEM_MALFUNCTION;
        let place = self.account_mut(account).ok_or(malfunction)?;
        let is_credit = request.kind == PaymentKind::Credit;
        if !is_credit && place.available_minor() < amount_minor {
            return Err(ResponseCode::INSUFFICIENT_FUNDS);
        }
        Ok(match request.key.kind {
            MessageKind::Authorization => {
                place.held_minor = place
                    .held_minor
                    .checked_add(amount_minor)
                    .ok_or(malfunction)?;
                let standing = Standing::Held {
                    remaining_minor: amount_minor,
                };
                Moved {
                    account,
                    approved_minor: amount_minor,
                    posted_minor: 0,
                    standing,
                    effect: match amount_minor {
                        0 => Effect::None,
                        _ => Effect::Held,
                    },
                    hold: None,
                }
            }
            MessageKind::Financial | MessageKind::FinancialAdvice | MessageKind::Reversal => {
                let posted_minor = if is_credit {
                    -amount_minor
                } else {
                    amount_minor
                };
                place.balance_minor = place
                    .balance_minor
                    .checked_sub(posted_minor)
                    .ok_or(malfunction)?;
                Moved {
                    account,
                    approved_minor: amount_minor,
                    posted_minor,
                    standing: Standing::Posted,
                    effect: if is_credit {
                        Effect::Credited
                    } else {
                        Effect::Debited
                    },
                    hold: None,
                }
            }
        })
    }

    /// Posts an advice against the hold of its original: the hold shrinks by the amount and the
    /// account is debited by it. Several advices may share a hold; 61 answers one that is above what
    /// is left, 25 one whose original is unknown or holds nothing any more.
    fn complete(
        &mut self,
        request: &CardRequest,
        original: &ExchangeKey,
        card: u32,
    ) -> Result<Moved, ResponseCode> {
        let held = self
            .history
            .get(original)
            .cloned()
            .filter(|held| held.card == Some(card));
        let held = held.ok_or(ResponseCode::ORIGINAL_NOT_FOUND)?;
        let Some(account) = held.account else {
            return Err(ResponseCode::ORIGINAL_NOT_FOUND);
        };
        let holds: Vec<(ExchangeKey, i64)> = self
            .holds_of(*original)
            .into_iter()
            .filter_map(|key| match self.history.get(&key)?.standing {
                Standing::Held { remaining_minor } => Some((key, remaining_minor)),
                _ => None,
            })
            .collect();
        if holds.is_empty() {
            return Err(ResponseCode::ORIGINAL_NOT_FOUND);
        }
        if held.currency_numeric != request.currency_numeric || request.kind != PaymentKind::Debit {
            return Err(ResponseCode::NOT_PERMITTED);
        }
        let held_minor: i64 = holds.iter().map(|(_, minor)| minor).sum();
        if request.amount_minor > held_minor {
            return Err(ResponseCode::EXCEEDS_LIMIT);
        }
        let place = self
            .account_mut(account)
            .ok_or(ResponseCode::SYSTEM_MALFUNCTION)?;
        // The hold covered the amount, so neither can go below zero.
        place.held_minor = place.held_minor.saturating_sub(request.amount_minor);
        place.balance_minor = place.balance_minor.saturating_sub(request.amount_minor);
        let mut asked_minor = request.amount_minor;
        for (key, remaining_minor) in holds {
            let taken_minor = asked_minor.min(remaining_minor);
            if taken_minor == 0 {
                break;
            }
            asked_minor = asked_minor.saturating_sub(taken_minor);
            self.history.change(&key, |held| {
                held.posted_minor = held.posted_minor.saturating_add(taken_minor);
                held.standing = match remaining_minor.saturating_sub(taken_minor) {
                    0 => Standing::Posted,
                    remaining_minor => Standing::Held { remaining_minor },
                };
            });
        }
        Ok(Moved {
            account,
            approved_minor: request.amount_minor,
            posted_minor: request.amount_minor,
            standing: Standing::Posted,
            effect: Effect::Debited,
            hold: Some(Box::new(*original)),
        })
    }

    /// A hold, and then what was added to it.
    fn holds_of(&self, original: ExchangeKey) -> Vec<ExchangeKey> {
        let held = self.history.get(&original);
        let added = held.map(|held| held.increments.as_slice());
        let mut holds = vec![original];
        holds.extend_from_slice(added.unwrap_or_default());
        holds
    }

    fn approval_code(&mut self) -> [u8; 6] {
        let number = self.next_approval;
        self.next_approval = (number + 1) % APPROVAL_CODES;
        let mut code = *b"000000";
        let mut rest = number;
        for place in code.iter_mut().rev() {
            *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        code
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn card(&self, index: Option<u32>) -> Option<&Card> {
        self.cards.get(usize::try_from(index?).ok()?)
    }

    fn account_mut(&mut self, index: u32) -> Option<&mut Account> {
        self.accounts.get_mut(usize::try_from(index).ok()?)
    }
}

/// The effect of a payment on an account.
#[derive(Debug)]
struct Moved {
    account: u32,
    approved_minor: i64,
    posted_minor: i64,
    standing: Standing,
    effect: Effect,
    /// The hold that it completes.
    hold: Option<Box<ExchangeKey>>,
}
