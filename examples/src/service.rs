//! The services: each drives a session of its protocol on a socket, and answers it from the store.

pub mod imap;
pub mod pop3;
pub mod smtp;
