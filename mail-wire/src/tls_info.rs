//! What is known of a TLS connection, for the protocols above it.

/// What the handshake told.
///
/// SASL binds a login to the connection by `exporter` (RFC 9266) or `server_end_point` (RFC 5929 §4), a server chooses by `sni`,
/// logs and `Received` fields name `version` and `cipher_suite`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The protocol version as it is written in logs: `TLSv1.3`, `TLSv1.2`.
    pub version: String,
    /// The IANA name of the cipher suite: `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: String,
    /// The host name that the client asked for, in lower case.
    pub sni: Option<String>,
    /// The protocol agreed by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// The peer's certificate chain in DER, its own first; empty when it showed none.
    pub peer_certificates: Vec<Vec<u8>>,
    /// The tls-exporter channel binding (RFC 9266): there under TLS 1.3, and under TLS 1.2 with the extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// The tls-server-end-point channel binding (RFC 5929 §4.1): a hash of the server's certificate; not there where the
    /// certificate's signature names no hash.
    pub server_end_point: Option<Vec<u8>>,
}
