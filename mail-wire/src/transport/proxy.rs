//! The PROXY protocol, by which a load balancer tells whom it speaks for.
//!
//! Version 1 is a line of text, version 2 binary; both by HAProxy's `proxy-protocol.txt`. Either is accepted where the header is
//! configured, and nothing else: a connection without it is refused, since it did not come through the balancer.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf as _, BytesMut};

/// Whom a load balancer speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// The connection is the balancer's own (a health check), or of a family that it does not tell: take the socket's addresses.
    Local,
    /// The connection that reached the balancer.
    Tcp {
        /// The peer's address.
        source: SocketAddr,
        /// The address that the peer connected to.
        destination: SocketAddr,
    },
}

/// The PROXY header is wrong; the fault is the balancer's, or of a peer that went around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The connection does not begin with a header.
    #[error("no PROXY header: the peer did not come through the load balancer, or that sends none")]
    Missing,
    /// The header breaks the grammar.
    #[error("a PROXY header that breaks its grammar")]
    Malformed,
    /// The header is longer than a version 1 line may be, or than 2,048 octets in version 2.
    #[error("a PROXY header that is too long")]
    TooLong,
    /// The input ended inside it.
    #[error("the input ended inside the PROXY header")]
    Incomplete,
    /// It did not come in time.
    #[error("no PROXY header came in time")]
    TimedOut,
}

/// The longest line of version 1, CR LF included.
const LONGEST_LINE: usize = 107;
/// Addresses take 216 octets at most; what follows are TLVs, which are not read.
const LONGEST_BINARY: usize = 2048;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Takes a header off the queue; `None` until it is there whole.
pub(super) fn take_header(input: &mut BytesMut) -> Result<Option<Proxied>, ProxyError> {
    let begins = |with: &[u8]| {
        let length = with.len().min(input.len());
        input.get(..length) == with.get(..length)
    };
    if begins(SIGNATURE) {
        take_binary(input)
    } else if begins(b"PROXY ") {
        take_line(input)
    } else {
        Err(ProxyError::Missing)
    }
}

fn take_line(input: &mut BytesMut) -> Result<Option<Proxied>, ProxyError> {
    let window = input
        .get(..input.len().min(LONGEST_LINE))
        .unwrap_or_default();
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if window.len() == LONGEST_LINE {
            Err(ProxyError::TooLong)
        } else {
            Ok(None)
        };
    };
    let line = input.split_to(end + 1);
    let text = line
        .strip_suffix(b"\r\n")
        .and_then(|line| core::str::from_utf8(line).ok())
        .ok_or(ProxyError::Malformed)?;
    let mut words = text.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(Some(Proxied::Local));
    }
    let [Some(source), Some(destination), Some(from), Some(to), None] =
        core::array::from_fn(|_| words.next())
    else {
        return Err(ProxyError::Malformed);
    };
    let address = |ip: &str, port: &str| {
        let ip = match family {
            Some("TCP4") => IpAddr::V4(ip.parse().ok()?),
            Some("TCP6") => IpAddr::V6(ip.parse().ok()?),
            _ => return None,
        };
        let canonical = port.bytes().all(|octet| octet.is_ascii_digit())
            && (port == "0" || !port.starts_with('0'));
        let port = port.parse().ok().filter(|_| canonical)?;
        Some(SocketAddr::new(ip, port))
    };
    match (address(source, from), address(destination, to)) {
        (Some(source), Some(destination)) => Ok(Some(Proxied::Tcp {
            source,
            destination,
        })),
        _ => Err(ProxyError::Malformed),
    }
}

fn take_binary(input: &mut BytesMut) -> Result<Option<Proxied>, ProxyError> {
    let Some(&[command, family, high, low]) = input.get(12..16) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_BINARY {
        return Err(ProxyError::TooLong);
    }
    if input.len() < 16 + length {
        return Ok(None);
    }
    input.advance(16);
    let block = input.split_to(length);
    match command {
        0x20 => return Ok(Some(Proxied::Local)),
        0x21 => {}
        _ => return Err(ProxyError::Malformed),
    }
    let mut block = &block[..];
    let (ips, length) = match family {
        // TCP over IPv4, over IPv6.
        0x11 => (4, 12),
        0x21 => (16, 36),
        // Unspecified, datagrams and UNIX sockets: no addresses that mean something here.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => return Ok(Some(Proxied::Local)),
        _ => return Err(ProxyError::Malformed),
    };
    if block.len() < length {
        return Err(ProxyError::Malformed);
    }
    let mut ip = || {
        if ips == 4 {
            IpAddr::V4(Ipv4Addr::from_bits(block.get_u32()))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(block.get_u128()))
        }
    };
    let (source, destination) = (ip(), ip());
    let (from, to) = (block.get_u16(), block.get_u16());
    Ok(Some(Proxied::Tcp {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(octets: &[u8]) -> (Result<Option<Proxied>, ProxyError>, Vec<u8>) {
        let mut input = BytesMut::from(octets);
        let taken = take_header(&mut input);
        (taken, input.to_vec())
    }

    fn tcp(source: &str, destination: &str) -> Result<Option<Proxied>, ProxyError> {
        Ok(Some(Proxied::Tcp {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }))
    }

    #[test]
    fn version_1() {
        for (line, want) in [
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\n",
                tcp("192.0.2.1:56324", "192.0.2.2:25"),
            ),
            (
                "PROXY TCP6 2001:db8::1 2001:db8::2 1 25\r\n",
                tcp("[2001:db8::1]:1", "[2001:db8::2]:25"),
            ),
            ("PROXY UNKNOWN\r\n", Ok(Some(Proxied::Local))),
            ("PROXY UNKNOWN ffff::1 x\r\n", Ok(Some(Proxied::Local))),
            (
                "PROXY TCP4 2001:db8::1 192.0.2.2 1 25\r\n",
                Err(ProxyError::Malformed),
            ),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
                Err(ProxyError::Malformed),
            ),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 +1 25\r\n",
                Err(ProxyError::Malformed),
            ),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 01 25\r\n",
                Err(ProxyError::Malformed),
            ),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 1 25 x\r\n",
                Err(ProxyError::Malformed),
            ),
            (
                "PROXY TCP4 192.0.2.1  192.0.2.2 1 25\r\n",
                Err(ProxyError::Malformed),
            ),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\n",
                Err(ProxyError::Malformed),
            ),
            ("EHLO a.example\r\n", Err(ProxyError::Missing)),
            ("proxy TCP4", Err(ProxyError::Missing)),
            ("PRO", Ok(None)),
            ("", Ok(None)),
        ] {
            assert_eq!(take(line.as_bytes()).0, want, "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        assert_eq!(take(long.as_bytes()).0, Err(ProxyError::TooLong));
        assert_eq!(take(b"PROXY UNKNOWN\r\nEHLO").1, b"EHLO");
    }

    #[test]
    fn version_2() {
        let header = |command, family, block: &[u8]| {
            let mut octets = SIGNATURE.to_vec();
            octets.extend([command, family, 0, u8::try_from(block.len()).unwrap()]);
            octets.extend(block);
            octets.extend(b"EHLO");
            octets
        };
        let v4 = header(
            0x21,
            0x11,
            &[192, 0, 2, 1, 192, 0, 2, 2, 0, 9, 0, 25, 4, 0, 0],
        );
        assert_eq!(
            take(&v4),
            (tcp("192.0.2.1:9", "192.0.2.2:25"), b"EHLO".to_vec())
        );
        for length in 0..v4.len() - 4 {
            assert_eq!(take(&v4[..length]).0, Ok(None), "{length}");
        }
        let mut block = [0; 36];
        (block[15], block[31], block[33], block[35]) = (1, 2, 9, 25);
        assert_eq!(
            take(&header(0x21, 0x21, &block)).0,
            tcp("[::1]:9", "[::2]:25")
        );
        assert_eq!(
            take(&header(0x20, 0, b"")),
            (Ok(Some(Proxied::Local)), b"EHLO".to_vec())
        );
        for (command, family, block) in [
            (0x22, 0x11, &block[..]),
            (0x11, 0x11, &block),
            (0x21, 0x11, &block[..11]),
            (0x21, 0x41, &block),
        ] {
            assert_eq!(
                take(&header(command, family, block)).0,
                Err(ProxyError::Malformed)
            );
        }
        let mut long = v4;
        long[14] = 9;
        assert_eq!(take(&long).0, Err(ProxyError::TooLong));
    }
}
