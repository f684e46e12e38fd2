//! The simulated banks as their neighbours meet them: real TLS, real sockets, both codecs.

mod harness;

mod cards;
mod lines;
mod outages;
mod postings;
mod program;
mod tls;
