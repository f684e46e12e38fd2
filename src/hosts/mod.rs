//! Where a message leaves for a bank.
