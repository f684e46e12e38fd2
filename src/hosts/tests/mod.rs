//! The links against a scripted bank: real sockets, real TLS.

pub(super) mod known;
