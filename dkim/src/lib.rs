//! DomainKeys Identified Mail (RFC 6376, 8301, 8463) without I/O: verify and sign.
