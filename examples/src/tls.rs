//! Certificates: the server's own, and whom the server trusts when it is a client.

use std::path::Path;
use std::sync::Arc;

use mail_wire::{TlsClient, TlsServer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A PEM file cannot be read.
    #[error("{path}: {error}")]
    Pem {
        /// Which.
        path: String,
        /// Why.
        error: rustls_pki_types::pem::Error,
    },
    /// Certificate and key do not fit, or are of a kind that is not spoken.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// A self-signed certificate could not be made.
    #[error("self-signed certificate: {0}")]
    Made(#[from] rcgen::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A chain and its key out of PEM files.
///
/// # Errors
///
/// A file that cannot be read, or a key that does not fit.
pub fn server(certificate: &Path, key: &Path) -> Result<TlsServer, TlsError> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| pem(key, error))?;
    server_of(chain, key)
}

fn server_of(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsServer, TlsError> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsServer::new(Arc::new(config)))
}

/// Makes a self-signed certificate for these names, and writes it and its key into PEM files.
///
/// # Errors
///
/// A file that cannot be written.
pub fn make_self_signed(names: &[String], certificate: &Path, key: &Path) -> std::io::Result<()> {
    let made = rcgen::generate_simple_self_signed(names).map_err(std::io::Error::other)?;
    write_private(key, &made.signing_key.serialize_pem())?;
    std::fs::write(certificate, made.cert.pem())
}

/// Writes a file that only its owner may read.
///
/// # Errors
///
/// The disk's.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| pem(path, error))
}

fn pem(path: &Path, error: rustls_pki_types::pem::Error) -> TlsError {
    TlsError::Pem {
        path: path.display().to_string(),
        error,
    }
}

/// How the server's certificate is looked at by our client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trust {
    /// Anyone: TLS that keeps listeners out but does not know whom it talks to, which is what relaying without DANE or MTA-STS has.
    ///
    /// RFC 3207 §4.1: "The decision of whether or not to believe the authenticity of the other party in a TLS negotiation is a local
    /// matter."
    Anyone,
    /// Whoever these roots vouch for.
    Roots(Arc<RootCertStore>),
}

impl Trust {
    /// The roots in a PEM file, or those of Mozilla.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn roots(ca: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate)?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        Ok(Self::Roots(Arc::new(roots)))
    }

    /// TLS for a client that talks to this host.
    ///
    /// # Errors
    ///
    /// A failure of rustls.
    pub fn client(&self, host: ServerName<'static>) -> Result<TlsClient, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let config = match self {
            Self::Roots(roots) => builder
                .with_root_certificates(Arc::clone(roots))
                .with_no_client_auth(),
            Self::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone(provider())))
                .with_no_client_auth(),
        };
        Ok(TlsClient::new(Arc::new(config), host))
    }
}

/// Takes any certificate, but wants proof that the server has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
