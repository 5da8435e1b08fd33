//! What a server says it can, in its reply to EHLO or LHLO.

use sasl_core::Mechanisms;

use crate::Reply;

/// What a server says it can (RFC 5321 §4.1.1.1). Empty after HELO.
///
/// ```
/// use smtp_proto::{Reply, client::Capabilities};
///
/// let reply = Reply::new(250, None, "mx.example\nSIZE 1000\nAUTH PLAIN SCRAM-SHA-256\n8bitmime")?;
/// let capabilities = Capabilities::from_reply(&reply);
/// assert!(capabilities.has("8BITMIME"));
/// assert_eq!(capabilities.most_octets(), Some(1000));
/// assert_eq!(capabilities.mechanisms().to_string(), "SCRAM-SHA-256 PLAIN");
/// # Ok::<(), smtp_proto::ReplyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    server: String,
    lines: Vec<(String, String)>,
}

impl Capabilities {
    /// Reads the reply to EHLO or LHLO: the first line names the server, each other one a capability. Lines that are none are
    /// passed over.
    #[must_use]
    pub fn from_reply(reply: &Reply) -> Self {
        let mut lines = reply.lines().iter();
        let server = lines
            .next()
            .and_then(|line| line.split(' ').next())
            .unwrap_or_default()
            .to_owned();
        let lines = lines
            .filter_map(|line| {
                let line = line.trim_matches([' ', '\t']);
                // Servers before RFC 4954 wrote "AUTH=LOGIN PLAIN", and some still write both forms.
                let (keyword, parameters) = line.split_once([' ', '=']).unwrap_or((line, ""));
                // RFC 5321 §4.1.1.1: `ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`
                let is_keyword = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && keyword
                        .bytes()
                        .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
                is_keyword.then(|| (keyword.to_ascii_uppercase(), parameters.trim().to_owned()))
            })
            .collect();
        Self { server, lines }
    }

    /// The name that the server gives itself; not checked.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether this keyword is offered, in any case.
    #[must_use]
    pub fn has(&self, keyword: &str) -> bool {
        self.parameters(keyword).next().is_some()
    }

    /// What stands behind a keyword, once for each line that has it.
    pub fn parameters(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(keyword))
            .map(|(_, parameters)| parameters.as_str())
    }

    /// All keywords in capitals with what stands behind them, in the server's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines
            .iter()
            .map(|(keyword, parameters)| (keyword.as_str(), parameters.as_str()))
    }

    /// The largest message, where the server says one (RFC 1870 §3: "A parameter value of 0 (zero) indicates that no fixed maximum
    /// message size is in force.")
    #[must_use]
    pub fn most_octets(&self) -> Option<u64> {
        self.parameters("SIZE")
            .find_map(|size| size.parse().ok())
            .filter(|size| *size > 0)
    }

    /// The mechanisms of AUTH that this workspace knows.
    #[must_use]
    pub fn mechanisms(&self) -> Mechanisms {
        self.parameters("AUTH")
            .flat_map(|list| Mechanisms::from_names(list).iter())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ehlo() {
        for (lines, keyword, parameters) in [
            ("mx\nPIPELINING", "pipelining", Some("")),
            ("mx\nPIPELINING", "PIPE", None),
            ("mx\nsize 14680064", "SIZE", Some("14680064")),
            ("mx\nAUTH=LOGIN PLAIN", "AUTH", Some("LOGIN PLAIN")),
            ("mx\n-X y", "-X", None),
            ("PIPELINING\nSIZE", "PIPELINING", None),
            ("mx\nX-EXPS GSSAPI  NTLM ", "X-EXPS", Some("GSSAPI  NTLM")),
        ] {
            let reply = Reply::new(250, None, lines).unwrap();
            let capabilities = Capabilities::from_reply(&reply);
            assert_eq!(
                capabilities.parameters(keyword).next(),
                parameters,
                "{lines}"
            );
        }
    }

    #[test]
    fn size_zero_is_no_limit() {
        for (lines, limit) in [
            ("mx\nSIZE 0", None),
            ("mx\nSIZE", None),
            ("mx\nSIZE 99999999999999999999", None),
            ("mx\nSIZE 7", Some(7)),
        ] {
            let reply = Reply::new(250, None, lines).unwrap();
            assert_eq!(
                Capabilities::from_reply(&reply).most_octets(),
                limit,
                "{lines}"
            );
        }
    }
}
