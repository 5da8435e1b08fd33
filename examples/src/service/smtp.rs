//! SMTP.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::server::{Context, Security, Service};

/// Serves one connection.
pub async fn serve(
    _context: Arc<Context>,
    _service: Service,
    _security: Security,
    _socket: TcpStream,
    _peer: SocketAddr,
) {
}
