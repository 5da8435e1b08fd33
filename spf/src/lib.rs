//! Sender Policy Framework (RFC 7208) without I/O.
