//! The contract between a mail protocol and a byte stream: sessions without I/O, framers, TLS, drivers.
