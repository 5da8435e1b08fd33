//! The tls-server-end-point channel binding: a hash of the server's certificate.

use ring::digest;

/// The binding for a certificate in DER; `None` where the certificate's signature names no hash, or one that is not known here.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash = signature_hash(certificate)?;
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The hash by RFC 5929 §4.1.
fn signature_hash(certificate: &[u8]) -> Option<&'static digest::Algorithm> {
    // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (oid, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    Some(match oid {
        // RFC 5929 §4.1: "if the certificate's signatureAlgorithm uses a single hash function, and that hash function is either MD5
        // [RFC1321] or SHA-1 [RFC3174], then use SHA-256 [FIPS-180-3]"
        // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04 | 0x05]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => &digest::SHA256,
        // sha256-, sha384-, sha512WithRSAEncryption.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b] => &digest::SHA256,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c] => &digest::SHA384,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d] => &digest::SHA512,
        // RSASSA-PSS tells its hash in its parameters.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => pss_hash(parameters)?,
        // ecdsa-with-SHA256, -SHA384, -SHA512.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02] => &digest::SHA256,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03] => &digest::SHA384,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04] => &digest::SHA512,
        // Ed25519 and what is not known. RFC 5929 §4.1: "if the certificate's signatureAlgorithm uses no hash functions or uses
        // multiple hash functions, then this channel binding type's channel bindings are undefined at this time"
        _ => return None,
    })
}

/// RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] AlgorithmIdentifier DEFAULT sha1, … }
fn pss_hash(parameters: &[u8]) -> Option<&'static digest::Algorithm> {
    let (parameters, _) = element(parameters, SEQUENCE)?;
    let Some((hash, _)) = element(parameters, 0xa0) else {
        return Some(&digest::SHA256);
    };
    let (hash, _) = element(hash, SEQUENCE)?;
    let (oid, _) = element(hash, OBJECT_IDENTIFIER)?;
    Some(match oid {
        [0x2b, 0x0e, 0x03, 0x02, 0x1a] => &digest::SHA256,
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01] => &digest::SHA256,
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02] => &digest::SHA384,
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03] => &digest::SHA512,
        _ => return None,
    })
}

/// The content of a DER element with this tag at the front, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    if first != tag {
        return None;
    }
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // Up to 16 MiB; a handshake message holds no more.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            let length = digits
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        let wrap =
            |content: &[u8]| [&[SEQUENCE, u8::try_from(content.len()).unwrap()], content].concat();
        wrap(&[wrap(b"\x02\x01\x00"), wrap(algorithm)].concat())
    }

    #[test]
    fn hashes() {
        let rsa = |last| {
            [
                &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1],
                &[last][..],
                &[5, 0],
            ]
            .concat()
        };
        for (algorithm, octets) in [
            (rsa(4), Some(32)),
            (rsa(5), Some(32)),
            (rsa(11), Some(32)),
            (rsa(12), Some(48)),
            (rsa(13), Some(64)),
            (rsa(14), None),
            (vec![6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3], Some(48)),
            (vec![6, 3, 0x2b, 0x65, 0x70], None),
        ] {
            let der = certificate(&algorithm);
            assert_eq!(
                server_end_point(&der).map(|hash| hash.len()),
                octets,
                "{algorithm:?}"
            );
        }
        for length in 0..30 {
            assert_eq!(
                server_end_point(&certificate(&rsa(11))[..length.min(19)]),
                None
            );
        }
    }
}
