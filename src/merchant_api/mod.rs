//! Where an authorization enters.
