//! bank-sim.
fn main() {}
