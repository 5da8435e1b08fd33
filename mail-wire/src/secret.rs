//! Values that must not be seen: passwords, keys, tokens.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize;

/// A value that is redacted in `Debug`, wiped when dropped, and compared in constant time.
///
/// There is no `PartialEq` on purpose: [`Secret::ct_eq`] is the only comparison. The length is not secret.
///
/// ```
/// use mail_wire::Secret;
///
/// let password = Secret::new(b"pencil".to_vec());
/// assert_eq!(format!("{password:?}"), "[redacted]");
/// assert!(password.ct_eq(b"pencil"));
/// assert!(!password.ct_eq(b"penci1"));
/// ```
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in; whoever made it has to wipe other copies.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The name is long so that a reviewer finds each place.
    #[must_use]
    pub const fn expose_secret(&self) -> &T {
        &self.0
    }

    /// The value itself, to be changed in place.
    #[must_use]
    pub const fn expose_secret_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Compares with `other` in a time that depends on the lengths alone.
    #[must_use]
    pub fn ct_eq(&self, other: impl AsRef<[u8]>) -> bool {
        self.0.as_ref().ct_eq(other.as_ref()).into()
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> core::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

/// Compares two byte strings in a time that depends on their lengths alone.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Overwrites the first `count` octets of `buffer` and drops them: for input that held credentials.
///
/// More than there is wipes all there is.
pub fn wipe_front(buffer: &mut bytes::BytesMut, count: usize) {
    let count = count.min(buffer.len());
    if let Some(front) = buffer.get_mut(..count) {
        front.zeroize();
    }
    bytes::Buf::advance(buffer, count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiped_input_is_gone() {
        let mut buffer = bytes::BytesMut::from(&b"AUTH PLAIN AGEAYg==\r\nNOOP\r\n"[..]);
        wipe_front(&mut buffer, 21);
        assert_eq!(&buffer[..], b"NOOP\r\n");
        wipe_front(&mut buffer, 100);
        assert!(buffer.is_empty());
    }

    #[test]
    fn secrets_compare_by_content() {
        let secret = Secret::from(b"abc".to_vec());
        assert!(secret.ct_eq("abc"));
        assert!(!secret.ct_eq("ab"));
        assert!(!secret.ct_eq("abcd"));
        assert!(ct_eq(b"", b""));
    }
}
