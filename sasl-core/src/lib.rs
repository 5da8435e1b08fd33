//! SASL mechanisms, client and server, on raw bytes.
