//! Undoing: a reversal undoes the message that it names, and no other.

use super::Books;
use crate::{
    issuer::{
        books::Decision,
        history::{Exchange, Standing},
        request::{ExchangeKey, MessageKind, Reversal},
    },
    outcome::Effect,
    response_code::ResponseCode,
};

impl Books {
    /// Undoes an original, down to the amount of DE 95 if there is one. Of a hold it releases what is left; what
    /// was captured stays. A sale, a refund or a capture gives back what it posted, and a capture's amount is
    /// held again while its authorization stands.
    ///
    /// The answer follows from the state of the original, so that a repeat changes nothing and is answered alike.
    /// 25 when no such original came, or when it came later and was declined for it; 13 when the amount is not
    /// the original's.
    pub(crate) fn reverse(&mut self, asked: &Reversal) -> Decision {
        let is_repeat = !self.history.is_new_reversal(asked.key);
        let undone = self.undo(asked);
        Decision {
            effect: undone.unwrap_or_default(),
            is_repeat,
            ..Decision::without_effect(undone.err().unwrap_or(ResponseCode::APPROVED))
        }
    }

    fn undo(&mut self, asked: &Reversal) -> Result<Effect, ResponseCode> {
        let Some(found) = self.history.get(&asked.original).cloned() else {
            self.history.remember_reversal_first(asked.original);
            return Err(ResponseCode::ORIGINAL_NOT_FOUND);
        };
        self.tallies.of(found.currency_numeric).exchanges += 1;
        let is_of_another_card = asked
            .pan
            .as_ref()
            .is_some_and(|pan| self.by_pan.get(pan).copied() != found.card);
        let was_declined_for_it = found.standing == Standing::Declined
            && self.history.was_reversed_first(&asked.original);
        if is_of_another_card || was_declined_for_it {
            return Err(ResponseCode::ORIGINAL_NOT_FOUND);
        }
        let kept_minor = asked.kept_minor.unwrap_or(0);
        let amount_minor = asked.amount_minor.unwrap_or(found.amount_minor);
        // After an approval of a part some name what they asked for, others what they got.
        let is_of_original = [found.amount_minor, found.approved_minor].contains(&amount_minor);
        if !is_of_original || kept_minor > found.amount_minor {
            return Err(ResponseCode::INVALID_AMOUNT);
        }
        match (found.standing, asked.original.kind) {
            (Standing::Declined | Standing::Reversed, _)
            // Captured to the last unit.
            | (Standing::Posted, MessageKind::Authorization) => Ok(Effect::None),
            (Standing::Held { remaining_minor }, _) => {
                self.release(&asked.original, &found, remaining_minor, kept_minor)
            }
            (Standing::Posted, _) => self.give_back(&asked.original, &found, kept_minor),
        }
    }

    /// Releases a hold until it and its captures are no more than `kept_minor`.
    fn release(
        &mut self,
        original: &ExchangeKey,
        found: &Exchange,
        remaining_minor: i64,
        kept_minor: i64,
    ) -> Result<Effect, ResponseCode> {
        let place = found.account.and_then(|account| self.account_mut(account));
        let place = place.ok_or(ResponseCode::SYSTEM_MALFUNCTION)?;
        let stays_minor = kept_minor
            .saturating_sub(found.posted_minor)
            .clamp(0, remaining_minor);
        let released_minor = remaining_minor.saturating_sub(stays_minor);
        if released_minor == 0 && kept_minor > 0 {
            return Ok(Effect::None);
        }
        place.held_minor = place.held_minor.saturating_sub(released_minor);
        self.history.change(original, |held| {
            held.standing = match (stays_minor, kept_minor) {
                (0, 0) => Standing::Reversed,
                (0, _) => Standing::Posted,
                (remaining_minor, _) => Standing::Held { remaining_minor },
            };
        });
        Ok(self.undone(
            found,
            released_minor,
            kept_minor > 0 || found.posted_minor > 0,
        ))
    }

    /// Gives back what was posted, or takes back what was credited, until no more than `kept_minor` stays.
    fn give_back(
        &mut self,
        original: &ExchangeKey,
        found: &Exchange,
        kept_minor: i64,
    ) -> Result<Effect, ResponseCode> {
        let posted_minor = found.posted_minor.clamp(-kept_minor, kept_minor);
        let given_minor = found.posted_minor.saturating_sub(posted_minor);
        if given_minor == 0 && kept_minor > 0 {
            return Ok(Effect::None);
        }
        let given_back = self.given_back(found, given_minor);
        let held_again = given_back.iter().filter(|(.., is_held)| *is_held);
        let held_again_minor: i64 = held_again.map(|(_, minor, _)| minor).sum();
        let place = found.account.and_then(|account| self.account_mut(account));
        let place = place.ok_or(ResponseCode::SYSTEM_MALFUNCTION)?;
        let mut after = *place;
        after.balance_minor = after.balance_minor.saturating_add(given_minor);
        after.held_minor = after.held_minor.saturating_add(held_again_minor);
        if after.available_minor() < 0 {
            // A refund whose money has been spent since cannot be taken back.
            return Err(ResponseCode::INSUFFICIENT_FUNDS);
        }
        *place = after;
        for (key, minor, _) in given_back {
            self.history.change(&key, |held| {
                held.posted_minor = held.posted_minor.saturating_sub(minor);
                held.standing = match held.standing {
                    Standing::Held { remaining_minor } => Standing::Held {
                        remaining_minor: remaining_minor.saturating_add(minor),
                    },
                    Standing::Posted => Standing::Held {
                        remaining_minor: minor,
                    },
                    Standing::Reversed | Standing::Declined => held.standing,
                };
            });
        }
        self.history.change(original, |exchange| {
            exchange.posted_minor = posted_minor;
            if kept_minor == 0 {
                exchange.standing = Standing::Reversed;
            }
        });
        Ok(self.undone(found, given_minor.saturating_abs(), kept_minor > 0))
    }

    /// How much of what a capture gives back goes to each of its holds, and whether it is held again there. The
    /// increment that came last gets it first: the authorization is captured first.
    fn given_back(&self, capture: &Exchange, given_minor: i64) -> Vec<(ExchangeKey, i64, bool)> {
        let mut left_minor = given_minor;
        let mut parts = Vec::new();
        let holds = capture.hold.as_deref().map(|key| self.holds_of(*key));
        for key in holds.unwrap_or_default().into_iter().rev() {
            let Some(hold) = self.history.get(&key) else {
                continue;
            };
            let minor = left_minor.min(hold.posted_minor);
            left_minor = left_minor.saturating_sub(minor);
            let is_held = matches!(hold.standing, Standing::Held { .. } | Standing::Posted);
            if minor > 0 {
                parts.push((key, minor, is_held));
            }
        }
        parts
    }

    fn undone(&mut self, found: &Exchange, amount_minor: i64, is_partly: bool) -> Effect {
        let sum = &mut self.tallies.of(found.currency_numeric).reversed_minor;
        *sum = sum.saturating_add(amount_minor);
        if is_partly {
            Effect::Partly
        } else {
            Effect::Reversed
        }
    }
}
