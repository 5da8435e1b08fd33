//! POP3.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::server::{Context, Security};

/// Serves one connection.
pub async fn serve(
    _context: Arc<Context>,
    _security: Security,
    _socket: TcpStream,
    _peer: SocketAddr,
) {
}
