//! The development PKI.
