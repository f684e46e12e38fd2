//! Prefixed identifiers that sort by the time they were made: a prefix and a UUIDv7 (RFC 9562) in
//! Crockford base 32, for instance `pay_06e9x3w8k1z7h4n2m5q0r8t6va`.

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::moment::UnixMillis;

/// Crockford's alphabet, in lower case: no i, l, o or u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in groups of five.
const TEXT_LENGTH: usize = 26;

/// A text that is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got:?}")]
pub struct InvalidId {
    /// What an identifier of this kind looks like.
    pub expected: &'static str,
    /// The text as it came, cut to 40 characters.
    pub got: String,
}

fn to_text(mut bits: u128) -> [u8; TEXT_LENGTH] {
    let mut text = [b'0'; TEXT_LENGTH];
    for letter in text.iter_mut().rev() {
        let index = usize::try_from(bits & 31).unwrap_or(0);
        *letter = ALPHABET.get(index).copied().unwrap_or(b'0');
        bits >>= 5;
    }
    text
}

fn from_text(text: &str) -> Option<u128> {
    // The first of 26 characters holds three bits, so anything above '7' there would overflow.
    if text.len() != TEXT_LENGTH || text.bytes().next()? > b'7' {
        return None;
    }
    text.bytes().try_fold(0_u128, |bits, byte| {
        let digit = ALPHABET.iter().position(|&letter| letter == byte)?;
        Some((bits << 5) | u128::try_from(digit).ok()?)
    })
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// An identifier made at `now` from 80 random bits.
            #[must_use]
            pub fn from_parts(now: UnixMillis, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_i64()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = to_text(self.0.as_u128());
                f.write_str($prefix)?;
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix($prefix)
                    .and_then(from_text)
                    .map(|bits| Self(Uuid::from_u128(bits)))
                    .ok_or_else(|| InvalidId {
                        expected: concat!(
                            "\"", $prefix, "\" and 26 characters of Crockford base 32 in lower case"
                        ),
                        got: text.chars().take(40).collect(),
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

prefixed_id!(
    /// Names one payment.
    PaymentId,
    "pay_"
);
prefixed_id!(
    /// Names one verification of a card.
    VerificationId,
    "ver_"
);
prefixed_id!(
    /// Names one exchange with a host.
    OperationId,
    "op_"
);
prefixed_id!(
    /// Names one event.
    EventId,
    "evt_"
);
prefixed_id!(
    /// Names one capture of a payment.
    CaptureId,
    "cap_"
);
prefixed_id!(
    /// Names one refund of a payment.
    RefundId,
    "ref_"
);
prefixed_id!(
    /// Names one chargeback of a payment, or what gives one back.
    ChargebackId,
    "cbk_"
);
prefixed_id!(
    /// Names what one merchant settles with one host for one business date in one currency.
    BatchId,
    "bat_"
);
prefixed_id!(
    /// Names one file of a bank that was taken in.
    ImportId,
    "imp_"
);
prefixed_id!(
    /// Names one thing that a bank has otherwise.
    DiscrepancyId,
    "dis_"
);
prefixed_id!(
    /// Names one payout to a merchant.
    PayoutId,
    "out_"
);
prefixed_id!(
    /// Names one order to a bank to make payouts.
    OrderId,
    "ord_"
);
prefixed_id!(
    /// Names one statement of a bank account that was taken in.
    BankStatementId,
    "bst_"
);
prefixed_id!(
    /// Names one line of such a statement.
    BankLineId,
    "bln_"
);
prefixed_id!(
    /// Names one change of the account that a merchant's payouts go to.
    AccountChangeId,
    "acc_"
);
prefixed_id!(
    /// Names one running gateway process, from its start to its end.
    NodeId,
    "node_"
);
prefixed_id!(
    /// Names one client connection to the merchant API.
    ConnectionId,
    "con_"
);
prefixed_id!(
    /// Names one entry of the quarantine of responses that matched nothing.
    QuarantineId,
    "qua_"
);
prefixed_id!(
    /// Names one row of what operators did.
    AuditId,
    "aud_"
);

impl VerificationId {
    /// The verification whose operation lies with this payment.
    #[must_use]
    pub fn of(payment_id: PaymentId) -> Self {
        Self(payment_id.0)
    }

    /// The payment that its operation lies with.
    #[must_use]
    pub const fn payment_id(self) -> PaymentId {
        PaymentId(self.0)
    }
}

impl BatchId {
    /// When its day was opened, as the identifier says.
    #[must_use]
    pub fn opened_at(&self) -> UnixMillis {
        moment_of(self.0)
    }
}

impl PayoutId {
    /// When it was made, as the identifier says.
    #[must_use]
    pub fn made_at(&self) -> UnixMillis {
        moment_of(self.0)
    }
}

fn moment_of(id: Uuid) -> UnixMillis {
    let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |at| at.to_unix());
    let millis = i64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
    UnixMillis::new(millis.saturating_add(i64::from(nanos / 1_000_000)))
}

/// The capture, refund or chargeback that an operation carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectId {
    /// A capture.
    Capture(CaptureId),
    /// A refund.
    Refund(RefundId),
    /// A chargeback, or what gives one back.
    Chargeback(ChargebackId),
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(id) => id.fmt(f),
            Self::Refund(id) => id.fmt(f),
            Self::Chargeback(id) => id.fmt(f),
        }
    }
}

impl FromStr for SubjectId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('_') {
            Some(("cap", _)) => text.parse().map(Self::Capture),
            Some(("cbk", _)) => text.parse().map(Self::Chargeback),
            _ => text.parse().map(Self::Refund),
        }
    }
}

/// The longest text of a merchant or host identifier.
const MAX_SLUG_LENGTH: usize = 40;

// Each payment holds several, and copying a short text costs less than counting who shares it.
macro_rules! slug_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(ArrayString<MAX_SLUG_LENGTH>);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let allowed = |byte: u8| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
                };
                ArrayString::from(text)
                    .ok()
                    .filter(|text| !text.is_empty() && text.bytes().all(allowed))
                    .map(Self)
                    .ok_or_else(|| InvalidId {
                        expected: "1 to 40 of the characters a-z, 0-9, '-' and '_'",
                        got: text.chars().take(MAX_SLUG_LENGTH).collect(),
                    })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }
    };
}

slug_id!(
    /// Names a merchant, for instance `demo-shop`. Chosen by the operator.
    MerchantId
);
slug_id!(
    /// Names a bank host, for instance `acquirer`: the name of its profile.
    HostId
);
slug_id!(
    /// Names a bank account whose statements are taken in: its name in the configuration.
    BankAccountName
);
slug_id!(
    /// Names an operator, for instance `alice`: the name in the operator's client certificate.
    OperatorName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back() {
        let id = PaymentId::from_parts(UnixMillis::new(1_763_757_000_123), [7; 10]);
        let text = id.to_string();
        assert_eq!(text.len(), 30);
        assert_eq!(text.parse::<PaymentId>(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        let capture = SubjectId::Capture(CaptureId::from_parts(UnixMillis::new(1), [7; 10]));
        let refund = SubjectId::Refund(RefundId::from_parts(UnixMillis::new(1), [7; 10]));
        let chargeback =
            SubjectId::Chargeback(ChargebackId::from_parts(UnixMillis::new(1), [7; 10]));
        for subject in [capture, refund, chargeback] {
            assert_eq!(subject.to_string().parse(), Ok(subject));
        }
    }

    #[test]
    fn ids_sort_by_time() {
        let ids: Vec<String> = (0..50_i64)
            .map(|i| {
                let random = [u8::try_from(255 - i).unwrap(); 10];
                PaymentId::from_parts(UnixMillis::new(1_763_757_000_000 + i * 1000), random)
                    .to_string()
            })
            .collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn other_texts_are_refused() {
        let good = PaymentId::from_parts(UnixMillis::new(1), [0; 10]).to_string();
        let other_kind = good.replace("pay_", "op_");
        let overflow = format!("pay_8{}", "0".repeat(25));
        let long = format!("{good}0");
        for text in [
            "",
            "pay_",
            "pay_u",
            &other_kind,
            &overflow,
            &long,
            &good.to_uppercase(),
        ] {
            assert!(text.parse::<PaymentId>().is_err(), "{text}");
        }
    }

    #[test]
    fn slugs_are_plain() {
        assert!("demo-shop_1".parse::<MerchantId>().is_ok());
        for text in ["", "Demo", "a b", "ä", &"x".repeat(41)] {
            assert!(text.parse::<MerchantId>().is_err(), "{text}");
        }
    }
}
