//! What the store's tests need: databases of both kinds.
