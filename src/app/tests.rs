//! All flows on the machine and the real store, where a test says what the hosts answer.

mod banks;
mod life;
mod lives;
mod model;
mod races;
mod stage;
mod styles;
