//! TLS by rustls, over buffers in memory.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, BytesMut};
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::end_point::server_end_point;
use crate::TlsInfo;

/// How a server speaks TLS: a rustls configuration.
#[derive(Debug, Clone)]
pub struct TlsServer(Arc<ServerConfig>);

impl TlsServer {
    /// Certificates, versions and client authentication are those of the configuration.
    #[must_use]
    pub const fn new(config: Arc<ServerConfig>) -> Self {
        Self(config)
    }
}

/// How a client speaks TLS: a rustls configuration, and the name that the server must prove to have.
#[derive(Debug, Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl TlsClient {
    /// Whom to trust is in the configuration; `server` is what its certificate must name.
    #[must_use]
    pub const fn new(config: Arc<ClientConfig>, server: ServerName<'static>) -> Self {
        Self { config, server }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Config {
    Server(TlsServer),
    Client(TlsClient),
}

/// A TLS connection over buffers.
#[derive(Debug)]
pub(super) struct TlsLayer {
    connection: Connection,
    own_certificate: Option<Arc<Recorder>>,
    exporter_is_safe_in_1_2: bool,
    first: First,
    pub(super) peer_closed: bool,
}

/// What the first octet from the peer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// Anything: rustls judges it.
    Any,
    /// A record of TLS; another octet was sent in the clear behind STARTTLS.
    Record,
}

/// Why nothing could be taken in.
pub(super) enum Failure {
    Plaintext,
    Tls(rustls::Error),
}

impl TlsLayer {
    pub(super) fn new(config: &Config, first: First) -> Result<Self, rustls::Error> {
        let (connection, own_certificate, exporter_is_safe_in_1_2) = match config {
            Config::Server(TlsServer(config)) => {
                // A server connection does not tell which certificate it showed, so the resolver is watched.
                let recorder = Arc::new(Recorder {
                    inner: Arc::clone(&config.cert_resolver),
                    shown: Mutex::default(),
                });
                let mut watched = ServerConfig::clone(config);
                watched.cert_resolver = Arc::clone(&recorder) as _;
                let require_ems = config.require_ems;
                let connection = ServerConnection::new(Arc::new(watched))?;
                (connection.into(), Some(recorder), require_ems)
            }
            Config::Client(TlsClient { config, server }) => {
                let connection = ClientConnection::new(Arc::clone(config), server.clone())?;
                (connection.into(), None, config.require_ems)
            }
        };
        Ok(Self {
            connection,
            own_certificate,
            exporter_is_safe_in_1_2,
            first,
            peer_closed: false,
        })
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Takes records off the wire, at most one read of rustls; `plain` gets what was in them. The caller took the plaintext of the
    /// read before, and `wire` is not empty: for rustls an empty slice is the end.
    pub(super) fn take_in(&mut self, wire: &mut BytesMut) -> Result<usize, Failure> {
        if self.first == First::Record
            && let Some(&first) = wire.first()
        {
            // 22 is a handshake record; a server may also answer a client by an alert, 21.
            let is_client = matches!(self.connection, Connection::Client(_));
            if first != 22 && !(is_client && first == 21) {
                return Err(Failure::Plaintext);
            }
            self.first = First::Any;
        }
        let refused =
            |error: std::io::Error| Failure::Tls(rustls::Error::General(error.to_string()));
        let read = self.connection.read_tls(&mut &wire[..]).map_err(refused)?;
        wire.advance(read);
        let state = self
            .connection
            .process_new_packets()
            .map_err(Failure::Tls)?;
        self.peer_closed |= state.peer_has_closed();
        Ok(state.plaintext_bytes_to_read())
    }

    /// Reads `octets` of plaintext straight into its queue.
    pub(super) fn read_plain(
        &mut self,
        octets: usize,
        plain: &mut BytesMut,
    ) -> Result<(), Failure> {
        let start = plain.len();
        plain.resize(start + octets, 0);
        let room = plain.get_mut(start..).unwrap_or_default();
        self.connection
            .reader()
            .read_exact(room)
            .map_err(|error| Failure::Tls(rustls::Error::General(error.to_string())))
    }

    /// Encrypts all of `plain`.
    pub(super) fn put_out(&mut self, plain: &mut BytesMut, wire: &mut BytesMut) {
        while !plain.is_empty() {
            // Short writes are normal: rustls bounds its own buffer, which is emptied each time.
            match self.connection.writer().write(plain) {
                Ok(0) | Err(_) => return,
                Ok(written) => plain.advance(written),
            }
            self.flush(wire);
        }
    }

    /// Puts records that rustls has ready on the wire: handshake, alerts, data.
    pub(super) fn flush(&mut self, wire: &mut BytesMut) {
        let mut writer = bytes::BufMut::writer(wire);
        while self.connection.wants_write() {
            // A queue in memory takes everything.
            if !matches!(self.connection.write_tls(&mut writer), Ok(1..)) {
                return;
            }
        }
    }

    pub(super) fn close(&mut self, wire: &mut BytesMut) {
        self.connection.send_close_notify();
        self.flush(wire);
    }

    pub(super) fn info(&self) -> TlsInfo {
        let connection = &self.connection;
        let version = connection.protocol_version();
        let is_1_3 = version == Some(rustls::ProtocolVersion::TLSv1_3);
        // RFC 9266 §2: "Label: The ASCII string "EXPORTER-Channel-Binding" with no terminating NUL." "Context value: Zero-length
        // string." "Length: 32 bytes."
        let exporter = (is_1_3 || self.exporter_is_safe_in_1_2)
            .then(|| {
                connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
            })
            .and_then(Result::ok);
        let chain = connection.peer_certificates().unwrap_or_default();
        let end_point = match &self.own_certificate {
            Some(recorder) => recorder
                .shown()
                .and_then(|key| server_end_point(key.cert.first()?)),
            None => chain
                .first()
                .and_then(|certificate| server_end_point(certificate)),
        };
        TlsInfo {
            version: match version {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".into(),
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".into(),
                other => format!("{other:?}"),
            },
            cipher_suite: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .map(|name| name.replace("TLS13_", "TLS_"))
                .unwrap_or_default(),
            sni: match connection {
                Connection::Server(server) => server.server_name().map(str::to_ascii_lowercase),
                Connection::Client(_) => None,
            },
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            peer_certificates: chain.iter().map(|der| der.to_vec()).collect(),
            exporter,
            server_end_point: end_point,
        }
    }
}

/// A resolver that remembers the certificate that it chose for its one connection.
#[derive(Debug)]
struct Recorder {
    inner: Arc<dyn ResolvesServerCert>,
    shown: Mutex<Option<Arc<CertifiedKey>>>,
}

impl Recorder {
    fn shown(&self) -> Option<Arc<CertifiedKey>> {
        self.shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for Recorder {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.inner.resolve(hello);
        self.shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&chosen);
        chosen
    }

    fn only_raw_public_keys(&self) -> bool {
        self.inner.only_raw_public_keys()
    }
}
