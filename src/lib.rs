//! payswitch.
