//! Where complaints about a message are wanted: CFBL-Address and CFBL-Feedback-ID (RFC 9477), read, checked and written.
//!
//! The rules are those of the last draft (draft-benecke-cfbl-address-header-13, May 2023), whose text they quote; the published RFC 9477
//! was not at hand.
//!
//! ```
//! use mail_syntax::header::{Header, Limits};
//! use screening::outbound::cfbl_address::{Signature, destinations};
//!
//! let message = b"From: News <news@example.com>\r\nCFBL-Address: fbl@example.com; report=arf\r\n\r\n";
//! let (header, _) = Header::split(message, &Limits::default())?;
//! let author = "example.com".parse()?;
//! let signatures = [Signature { domain: &"example.com".parse()?, fields: &["from", "cfbl-address"] }];
//! let [destination] = destinations(&header, &author, &signatures).try_into().map_err(|_| "one field")?;
//! assert_eq!(destination?.mailbox.to_string(), "fbl@example.com");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use core::str::FromStr;

use mail_syntax::address_list::{Address, AddressList};
use mail_syntax::folding::unfold;
use mail_syntax::header::Header;
use mail_syntax::{Domain, Mailbox};

/// The most CFBL-Address fields of a message that are looked at; further ones get no report. Each costs a mail for each complaint.
pub const MAX_ADDRESSES: usize = 10;

/// The form in which reports are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReportFormat {
    /// RFC 5965: what every address must accept.
    #[default]
    Arf,
    /// The JSON of XARF, or ARF where a provider has no XARF.
    Xarf,
}

/// The body of a CFBL-Address field.
///
/// ```
/// use screening::outbound::cfbl_address::{CfblAddress, ReportFormat};
/// let address: CfblAddress = "fbl@example.com; report=xarf".parse()?;
/// assert_eq!(address.format, ReportFormat::Xarf);
/// assert_eq!(address.to_string(), "fbl@example.com; report=xarf");
/// # Ok::<(), screening::outbound::cfbl_address::CfblError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CfblAddress {
    /// Where reports go.
    pub mailbox: Mailbox,
    /// In which form.
    pub format: ReportFormat,
}

/// Why no report goes to the address of a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CfblError {
    /// What stands before the semicolon is not one address.
    #[error("CFBL-Address: not one address, at the beginning of {text:?}")]
    Address {
        /// The body, its first 80 characters.
        text: String,
    },
    /// The address has an address literal in place of a domain: nobody can sign for it.
    #[error("CFBL-Address: no domain in the address")]
    NoDomain,
    /// What stands behind the semicolon is neither `report=arf` nor `report=xarf`.
    #[error(
        "CFBL-Address: want `report=arf` or `report=xarf` behind the semicolon, at octet {offset}"
    )]
    Format {
        /// Where it begins, in the unfolded body.
        offset: usize,
    },
    /// No valid signature of a domain that must have signed covers the field.
    #[error("CFBL-Address: no valid signature of {domain} covers it")]
    NotSigned {
        /// Whose signature is missing.
        domain: Domain,
    },
    /// The domain of the address signed, and the Author Domain did not.
    #[error("CFBL-Address: the author domain {domain} has no valid signature")]
    AuthorNotSigned {
        /// The Author Domain.
        domain: Domain,
    },
    /// A CFBL-Feedback-ID field is there that the signature does not cover, or there are several.
    #[error("CFBL-Feedback-ID: there are several, or the signature of {domain} does not cover it")]
    FeedbackIdNotSigned {
        /// Whose signature it is.
        domain: Domain,
    },
}

impl CfblAddress {
    /// Reads the body of a field.
    ///
    /// # Errors
    ///
    /// Something other than one address and a known form.
    pub fn parse(body: &[u8]) -> Result<Self, CfblError> {
        let body = unfold(body);
        let text = String::from_utf8_lossy(&body);
        // draft-benecke-cfbl-address-header-13 §5.1: `cfbl-address = "CFBL-Address:" CFWS addr-spec [";" CFWS report-format] CRLF`
        let (address, format) = match text.rfind(';') {
            // A semicolon may stand in a quoted local part.
            Some(at) if !text[at..].contains(['@', '"']) => {
                (&text[..at], Some((at, &text[at + 1..])))
            }
            _ => (&*text, None),
        };
        let wrong = || CfblError::Address {
            text: text.trim().chars().take(80).collect(),
        };
        let list = AddressList::parse(address.as_bytes()).map_err(|_| wrong())?;
        let [Address::Mailbox(mailbox)] = list.addresses() else {
            return Err(wrong());
        };
        let mailbox = mailbox.addr_spec().mailbox().map_err(|_| wrong())?;
        if mailbox.domain().is_none() {
            return Err(CfblError::NoDomain);
        }
        let format = match format.map(|(at, format)| (at, format.trim().to_ascii_lowercase())) {
            None => ReportFormat::Arf,
            Some((at, format)) => match format.as_str() {
                "report=arf" | "" => ReportFormat::Arf,
                "report=xarf" => ReportFormat::Xarf,
                _ => return Err(CfblError::Format { offset: at + 1 }),
            },
        };
        Ok(Self { mailbox, format })
    }
}

impl FromStr for CfblAddress {
    type Err = CfblError;

    fn from_str(text: &str) -> Result<Self, CfblError> {
        Self::parse(text.as_bytes())
    }
}

/// The body of the field.
impl fmt::Display for CfblAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.format {
            ReportFormat::Arf => "arf",
            ReportFormat::Xarf => "xarf",
        };
        write!(f, "{}; report={format}", self.mailbox)
    }
}

/// A DKIM signature that is valid: its `d=` and its `h=`.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// `d=`.
    pub domain: &'a Domain,
    /// The names in `h=`, in any case, each as often as it stands there.
    pub fields: &'a [&'a str],
}

impl Signature<'_> {
    /// How many fields of this name it covers: those at the bottom of the header.
    fn covered(&self, name: &str) -> usize {
        let is_it = |field: &&&str| field.trim().eq_ignore_ascii_case(name);
        self.fields.iter().filter(is_it).count()
    }
}

/// The addresses that want reports about a message and may get them, and why others may not; from the top of the header.
///
/// `author` is the Author Domain, of the one From field; `signatures` are those that are valid.
pub fn destinations(
    header: &Header<'_>,
    author: &Domain,
    signatures: &[Signature<'_>],
) -> Vec<Result<CfblAddress, CfblError>> {
    // draft-benecke-cfbl-address-header-13 §3.2: "These multiple header fields MUST be treated as a list of receive report addresses so
    // that each address can receive a report."
    let fields: Vec<_> = header.named("CFBL-Address").collect();
    let feedback_ids = header.named("CFBL-Feedback-ID").count();
    let count = fields.len();
    let check = |(at, field): (usize, &mail_syntax::header::Field<'_>)| {
        let address = CfblAddress::parse(field.body())?;
        let domain = address.mailbox.domain().ok_or(CfblError::NoDomain)?;
        // A signature covers fields from the bottom up.
        let below = count - at;
        let covers = |signature: &&Signature<'_>| signature.covered("CFBL-Address") >= below;
        let covers_id = |signature: &Signature<'_>| {
            feedback_ids == 0 || (feedback_ids == 1 && signature.covered("CFBL-Feedback-ID") >= 1)
        };
        let by = |signs: &dyn Fn(&Domain) -> bool, whose: &Domain| {
            let missing = || CfblError::NotSigned {
                domain: whose.clone(),
            };
            let mut covering = (signatures.iter())
                .filter(covers)
                .filter(|signature| signs(signature.domain))
                .peekable();
            covering.peek().ok_or_else(missing)?;
            match covering.any(covers_id) {
                true => Ok(()),
                false => Err(CfblError::FeedbackIdNotSigned {
                    domain: whose.clone(),
                }),
            }
        };
        // draft-benecke-cfbl-address-header-13 §3.1.2: "the DKIM "d=" parameter and the [RFC5322].From domain have a identical (Example 1) or
        // parent (Example 2) domain." Both examples stand for §3.1.1 too: in the first one address and From have one domain.
        let signs_author = |signer: &Domain| author.is_at_or_below(signer);
        if domain.is_at_or_below(author) {
            by(&signs_author, author)?;
        } else {
            // draft-benecke-cfbl-address-header-13 §3.1.3: "an additional valid [DKIM] signature MUST be added that matches the domain in
            // the CFBL-Address header field." That of the author need not cover the field: a message may be signed before the field is added.
            by(&|signer| signer == domain, domain)?;
            if !signatures
                .iter()
                .any(|signature| signs_author(signature.domain))
            {
                return Err(CfblError::AuthorNotSigned {
                    domain: author.clone(),
                });
            }
        }
        Ok(address)
    };
    let looked_at = fields.iter().enumerate().take(MAX_ADDRESSES);
    looked_at.map(check).collect()
}

/// Whether a feedback report may be acted on: a valid signature is of the domain that it comes from.
///
/// `author` is the Author Domain of the report, `signers` are the `d=` of its valid signatures. That the domain is one of a provider that
/// has our mail is for the caller to know.
// draft-benecke-cfbl-address-header-13 §3.5: "This signature MUST match the [RFC5322].From domain of the Feedback Message."
pub fn may_be_believed(author: &Domain, signers: &[&Domain]) -> bool {
    signers.contains(&author)
}

/// The identifier in the body of a CFBL-Feedback-ID field: without white space and comments; none if it is empty, or has other characters
/// than `atext` and colons.
///
/// Whoever writes one should make it hard to forge: with a keyed hash in it, nobody can complain about mail that he did not get.
pub fn feedback_id(body: &[u8]) -> Option<String> {
    let mut id = String::new();
    let mut depth = 0_usize;
    let mut octets = body.iter();
    while let Some(&octet) = octets.next() {
        match octet {
            b'\\' if depth > 0 => drop(octets.next()),
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            _ if depth > 0 => {}
            // draft-benecke-cfbl-address-header-13 §5.2: "Whitespace is ignored in the fid value and MUST be ignored when reassembling the
            // original feedback id."
            b' ' | b'\t' | b'\r' | b'\n' => {}
            // RFC 5322 §3.2.3: atext.
            b':' => id.push(':'),
            octet if octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet) => {
                id.push(char::from(octet));
            }
            _ => return None,
        }
    }
    (depth == 0 && !id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use mail_syntax::header::Limits;

    use super::*;

    #[test]
    fn addresses_are_read_and_print_what_they_parse() {
        for (body, wanted) in [
            (
                " fbl@example.com; report=arf",
                "fbl@example.com; report=arf",
            ),
            ("fbl@example.com", "fbl@example.com; report=arf"),
            (
                "\r\n fbl@example.com;\r\n report=xarf",
                "fbl@example.com; report=xarf",
            ),
            (
                " (here) fbl@example.com ; Report=XARF ",
                "fbl@example.com; report=xarf",
            ),
            ("fbl@example.com;", "fbl@example.com; report=arf"),
            ("\"a;b\"@example.com", "\"a;b\"@example.com; report=arf"),
            (
                "<fbl@example.com>; report=arf",
                "fbl@example.com; report=arf",
            ),
        ] {
            let address = CfblAddress::parse(body.as_bytes()).unwrap();
            assert_eq!(address.to_string(), wanted, "{body}");
            assert_eq!(wanted.parse(), Ok(address));
        }
        for body in [
            "",
            "; report=arf",
            "fbl",
            "a@example.com, b@example.com",
            "list: a@example.com;",
            "a@example.com b@example.com; report=arf",
        ] {
            let error = CfblAddress::parse(body.as_bytes()).unwrap_err();
            assert!(
                matches!(error, CfblError::Address { .. }),
                "{body}: {error}"
            );
        }
        assert_eq!(
            "a@[192.0.2.1]".parse::<CfblAddress>(),
            Err(CfblError::NoDomain)
        );
        for body in ["fbl@example.com; report=json", "fbl@example.com; arf"] {
            let error = body.parse::<CfblAddress>();
            assert_eq!(error, Err(CfblError::Format { offset: 16 }));
        }
    }

    /// What the fields of a message with this header come to; signatures are `d=` and `h=`.
    fn check(header: &str, author: &str, signatures: &[(&str, &str)]) -> Vec<String> {
        let message = header.replace('\n', "\r\n") + "\r\n";
        let (header, _) = Header::split(message.as_bytes(), &Limits::default()).unwrap();
        let signed: Vec<(Domain, Vec<&str>)> = signatures
            .iter()
            .map(|(domain, fields)| (domain.parse().unwrap(), fields.split(':').collect()))
            .collect();
        let signatures: Vec<_> = signed
            .iter()
            .map(|(domain, fields)| Signature { domain, fields })
            .collect();
        destinations(&header, &author.parse().unwrap(), &signatures)
            .into_iter()
            .map(|result| match result {
                Ok(address) => address.mailbox.to_string(),
                Err(error) => error.to_string(),
            })
            .collect()
    }

    #[test]
    fn the_examples_of_section_3_get_their_reports() {
        const H: &str = "Subject:From:To:Message-ID:CFBL-Feedback-ID:CFBL-Address";
        for (address, author, signatures) in [
            ("fbl@example.com", "example.com", &[("example.com", H)][..]),
            (
                "fbl@mailer.example.com",
                "mailer.example.com",
                &[("example.com", H)],
            ),
            (
                "fbl@mailer.example.com",
                "example.com",
                &[("example.com", H)],
            ),
            (
                "fbl@saas-mailer.example",
                "example.com",
                &[("saas-mailer.example", H), ("example.com", H)],
            ),
            (
                "fbl@saas-mailer.example",
                "example.com",
                &[
                    ("example.com", "Subject:From:To:Message-ID"),
                    ("saas-mailer.example", H),
                ],
            ),
        ] {
            let header = format!("CFBL-Address: {address}; report=arf\n");
            assert_eq!(check(&header, author, signatures), [address]);
            // And none of them without its signatures, or if one is of another domain.
            assert_ne!(check(&header, author, &[]), [address]);
            assert_ne!(check(&header, author, &signatures[1..]), [address]);
            assert_ne!(check(&header, author, &[("evil.example", H)]), [address]);
        }
    }

    #[test]
    fn a_field_that_is_not_covered_gets_none() {
        let one = "CFBL-Address: a@example.com\n";
        let id = "CFBL-Feedback-ID: 1\n";
        let no = "CFBL-Address: no valid signature of example.com covers it";
        let no_id = "CFBL-Feedback-ID: there are several, or the signature of example.com does not cover it";
        for (header, fields, wanted) in [
            (one.to_owned(), "from", vec![no]),
            (one.to_owned(), "cfbl-address", vec!["a@example.com"]),
            (format!("{one}{id}"), "cfbl-address", vec![no_id]),
            (
                format!("{one}{id}"),
                "cfbl-address:CFBL-Feedback-ID",
                vec!["a@example.com"],
            ),
            (
                format!("{id}{one}{id}"),
                "cfbl-address:cfbl-feedback-id:cfbl-feedback-id",
                vec![no_id],
            ),
            // What was put on top later is not what was signed.
            (
                format!("CFBL-Address: b@example.com\n{one}"),
                "cfbl-address",
                vec![no, "a@example.com"],
            ),
            (
                format!("CFBL-Address: b@example.com\n{one}"),
                "cfbl-address:cfbl-address",
                vec!["b@example.com", "a@example.com"],
            ),
        ] {
            assert_eq!(
                check(&header, "example.com", &[("example.com", fields)]),
                wanted,
                "{header}"
            );
        }
        let third = "CFBL-Address: a@mailer.example\n";
        let wanted = "CFBL-Address: the author domain example.com has no valid signature";
        let signed = [("mailer.example", "cfbl-address")];
        assert_eq!(check(third, "example.com", &signed), [wanted]);
        // A domain below that of the address is not its owner, nor is one below the author's.
        let below = [
            ("x.mailer.example", "cfbl-address"),
            ("x.example.com", "from"),
        ];
        assert_ne!(check(third, "example.com", &below), ["a@mailer.example"]);
        assert_eq!(
            check(&one.repeat(11), "example.com", &[]).len(),
            MAX_ADDRESSES
        );
    }

    #[test]
    fn feedback_ids_are_put_together() {
        for (body, wanted) in [
            (" 111:222:333:4444", Some("111:222:333:4444")),
            (
                " 3789e1\r\n\t 63f9 (a (nested \\) one)) x",
                Some("3789e163f9x"),
            ),
            ("", None),
            (" (only) ", None),
            ("a@b", None),
            ("a)b", None),
            ("a(b", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(feedback_id(body.as_bytes()).as_deref(), wanted, "{body:?}");
        }
    }

    #[test]
    fn a_report_is_believed_if_its_author_signed() {
        let [a, b]: [Domain; 2] = ["a.example", "b.a.example"].map(|text| text.parse().unwrap());
        assert!(may_be_believed(&a, &[&b, &a]));
        assert!(!may_be_believed(&b, &[&a]) && !may_be_believed(&a, &[]));
    }
}
