//! Lines to a scripted bank: how they come up, stay up, stall and end, and which hosts they trust.

mod leaving;
mod lines;
mod renewal;
mod service;
mod stalled;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock::ManualClock;
use crate::hosts::Hosts;
use crate::hosts::exchange::Exchange;
use crate::hosts::notice::HostNotice;
use crate::hosts::profile::HostProfile;
use crate::hosts::status::LineStatus;
use crate::hosts::tests::bank::{self, Bank, BankLine};
use crate::hosts::tests::{CARD, Started, TEST_TIMEOUT, end_of, is_approved, known};
