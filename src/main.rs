//! payswitch.
fn main() {}
