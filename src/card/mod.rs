//! Opens what merchants sealed.
