//! DMARC (RFC 9989) without I/O: discovery, alignment, policy.
