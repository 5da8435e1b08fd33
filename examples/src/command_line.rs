//! What the command-line tools share: messages from files, DNS from zone files, the time, exit codes, and the objects of `--json`.

use std::fmt::Display;
use std::io::{Read as _, Write as _};
use std::net::{AddrParseError, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dkim::DkimResult;
use mail_dns::{Answer, Evaluation, Failure, Name, Record, RecordType, Txt, Zone};
use mail_syntax::{Mailbox, ReversePath, is_invisible};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::resolver::Resolver;
use crate::tls::Trust;

/// The last lines of every `--help`.
pub const EXIT_CODES: &str = "EXIT CODES: 0 yes, 1 no, 2 the command line or a file is wrong, 75 for now there is no answer: try again later";

/// Octets of a message that the tools read; few servers take as much.
const MAX_MESSAGE: u64 = 64 << 20;

/// What a tool comes to; its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked is so, or was done: 0.
    Yes,
    /// It is not so, or was refused for good: 1.
    No,
    /// It cannot be told for now: 75, which mail systems know as EX_TEMPFAIL.
    Later,
}

/// Why a tool did not come to its end, in words for whoever called it.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The command line, or a file it names, is wrong: 2, as clap has it.
    #[error("{0}")]
    Usage(String),
    /// The other side refused for good: 1.
    #[error("{0}")]
    Refused(String),
    /// Another time it may work: 75.
    #[error("{0}")]
    Later(String),
}

impl ToolError {
    /// A wrong command line or file: what it is, and what is wrong with it.
    pub fn usage(what: impl Display, error: impl Display) -> Self {
        Self::Usage(format!("{what}: {error}"))
    }
}

/// Ends a tool: the error to standard error, the outcome as exit code.
pub fn exit(tool: &str, outcome: Result<Outcome, ToolError>) -> ExitCode {
    ExitCode::from(match outcome {
        Ok(Outcome::Yes) => 0,
        Ok(Outcome::No) => 1,
        Ok(Outcome::Later) => 75,
        Err(error) => {
            eprintln!("{tool}: {}", readable_lines(&error));
            match error {
                ToolError::Refused(_) => 1,
                ToolError::Usage(_) => 2,
                ToolError::Later(_) => 75,
            }
        }
    })
}

/// Prints text and the end of a line. What a stranger wrote may be in it: what a terminal would obey is replaced.
///
/// # Errors
///
/// The output's, but that nobody reads it any more is none.
pub fn print(text: impl Display) -> Result<(), ToolError> {
    print_octets(format!("{}\n", readable_lines(&text)).as_bytes())
}

/// Prints what `--json` wants.
///
/// # Errors
///
/// As [`print()`].
pub fn print_json(value: &Value) -> Result<(), ToolError> {
    print_octets(format!("{value:#}\n").as_bytes())
}

/// Prints octets as they are.
///
/// # Errors
///
/// As [`print()`].
pub fn print_octets(octets: &[u8]) -> Result<(), ToolError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(octets).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(ToolError::usage("standard output", error))
        }
        _ => Ok(()),
    }
}

fn readable_lines(text: &impl Display) -> String {
    let lines: Vec<String> = text.to_string().lines().map(readable).collect();
    lines.join("\n")
}

/// A line without control characters, tabs apart, and without what reorders the others or is not seen.
#[must_use]
pub fn readable(line: &str) -> String {
    let readable = |c: char| match c.is_control() && c != '\t' || is_invisible(c) {
        true => '\u{fffd}',
        false => c,
    };
    line.chars().map(readable).collect()
}

/// The message to read.
#[derive(Debug, Clone, clap::Args)]
pub struct Message {
    /// The message; `-` is standard input. Where all lines end in LF alone, they are taken as if they ended in CRLF.
    #[arg(default_value = "-")]
    message: PathBuf,
}

impl Message {
    /// The message as it would come over the wire: one that is stored with LF at the end of its lines has CRLF there. One that has any
    /// CRLF is as it is: a line that ends in LF alone among others is a defect of its own.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or of more than 64 MiB.
    pub fn read(&self) -> Result<Vec<u8>, ToolError> {
        let octets = self.read_exact()?;
        let has_crlf = octets.windows(2).any(|pair| pair == b"\r\n");
        Ok(if has_crlf { octets } else { with_crlf(&octets) })
    }

    /// The message as it is stored, whatever its lines end in.
    ///
    /// # Errors
    ///
    /// As [`Message::read`].
    pub fn read_exact(&self) -> Result<Vec<u8>, ToolError> {
        let name = self.message.display();
        let mut octets = Vec::new();
        let read = if self.message == Path::new("-") {
            let input = std::io::stdin().lock();
            input.take(MAX_MESSAGE + 1).read_to_end(&mut octets)
        } else {
            std::fs::File::open(&self.message)
                .and_then(|file| file.take(MAX_MESSAGE + 1).read_to_end(&mut octets))
        };
        read.map_err(|error| ToolError::usage(&name, error))?;
        if octets.len() as u64 > MAX_MESSAGE {
            return Err(ToolError::usage(name, "more than 64 MiB"));
        }
        Ok(octets)
    }
}

/// Puts a CR before every LF that has none.
#[must_use]
pub fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut before = 0;
    for &octet in octets {
        if octet == b'\n' && before != b'\r' {
            whole.push(b'\r');
        }
        whole.push(octet);
        before = octet;
    }
    whole
}

/// The time at which signatures are judged or made.
#[derive(Debug, Clone, clap::Args)]
pub struct Clock {
    /// The time, in seconds since 1970, instead of the system's.
    #[arg(long, value_name = "UNIX_SECONDS")]
    now: Option<u64>,
}

impl Clock {
    /// Seconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now.unwrap_or_else(crate::server::now)
    }
}

/// Who answers questions of the DNS.
#[derive(Debug, Clone, clap::Args)]
pub struct Dns {
    /// Answer from this file instead of the system's resolver: a master file (RFC 1035), or, if its name ends in .json,
    /// {"example.com": {"TXT": ["v=spf1 mx -all"], "MX": ["10 mail.example.com"]}, "slow.example": {"_rcode": "TIMEOUT"}}.
    #[arg(long, value_name = "FILE")]
    zone: Option<PathBuf>,
}

impl Dns {
    /// The verdict of an evaluation; what is not answered after 20 seconds counts as failed.
    ///
    /// # Errors
    ///
    /// A zone file that is wrong, or a system without a resolver.
    pub async fn resolve<E: Evaluation>(&self, evaluation: E) -> Result<E::Verdict, ToolError> {
        let deadline = Instant::now() + mail_dns::Limits::default().time;
        Ok(self.resolver()?.evaluate(evaluation, deadline).await)
    }

    fn resolver(&self) -> Result<Resolver, ToolError> {
        let Some(path) = &self.zone else {
            let system = crate::config::Dns::default();
            return Resolver::new(&system).map_err(|error| ToolError::Usage(error.to_string()));
        };
        let wrong = |error: &dyn Display| ToolError::usage(path.display(), error);
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let zone = match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("json") => {
                zone_from_json(&text).map_err(|error| wrong(&error))?
            }
            _ => text.parse().map_err(|error| wrong(&error))?,
        };
        Ok(Resolver::from_zone(zone))
    }
}

/// Reads a zone of the form `{"name": {"TXT": ["…" or ["string", "string"]], "A": ["…"], "MX": ["10 host"], "_rcode": "SERVFAIL"}}`.
///
/// Types are A, AAAA, CNAME, MX, PTR and TXT; others that zones have are passed over. `_rcode` is NXDOMAIN, SERVFAIL, REFUSED or TIMEOUT,
/// and then the answer to every question for the name; NOERROR says nothing. A name that is not there does not exist, unless one below
/// it does (RFC 8020 §2). An empty name is the root.
///
/// # Errors
///
/// What is wrong, and at which name.
pub fn zone_from_json(text: &str) -> Result<Zone, String> {
    let names: serde_json::Map<String, Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut zone = Zone::new();
    for (text, node) in names {
        let wrong = |error: &dyn Display| format!("{text}: {error}");
        let name: Name = text.parse().map_err(|error| wrong(&error))?;
        let node = (node.as_object()).ok_or_else(|| wrong(&"not an object of types"))?;
        zone.touch(name.clone());
        for (kind, values) in node {
            if kind == "_rcode" {
                let answer = match values.as_str() {
                    Some("NXDOMAIN") => Answer::nx_domain(),
                    Some("SERVFAIL") => Answer::failed(Failure::ServFail),
                    Some("REFUSED") => Answer::failed(Failure::Refused),
                    Some("TIMEOUT") => Answer::failed(Failure::Timeout),
                    Some("NOERROR") => continue,
                    _ => {
                        return Err(wrong(
                            &"_rcode is none of NOERROR, NXDOMAIN, SERVFAIL, REFUSED, TIMEOUT",
                        ));
                    }
                };
                zone.inject(name.clone(), None, answer);
                continue;
            }
            if RecordType::is_of_others(kind) {
                continue;
            }
            let kind: RecordType = kind.parse().map_err(|error| wrong(&error))?;
            let values = (values.as_array()).ok_or_else(|| wrong(&"not a list of records"))?;
            for value in values {
                let record = record_from_json(kind, value)
                    .ok_or_else(|| wrong(&format_args!("{value} is no {kind} record")))?;
                zone.insert(name.clone(), record);
            }
        }
    }
    Ok(zone)
}

fn record_from_json(kind: RecordType, value: &Value) -> Option<Record> {
    if let (RecordType::Txt, Some(strings)) = (kind, value.as_array()) {
        let strings: Option<Vec<&str>> = strings.iter().map(Value::as_str).collect();
        return Some(Record::Txt(Txt::new(strings?)));
    }
    let text = value.as_str()?;
    let name = |text: &str| match text {
        "" => Some(Name::root()),
        text => text.parse().ok(),
    };
    Some(match kind {
        RecordType::Txt => Record::Txt(Txt::new([text])),
        RecordType::A => Record::A(text.parse().ok()?),
        RecordType::Aaaa => Record::Aaaa(text.parse().ok()?),
        RecordType::Cname => Record::Cname(name(text)?),
        RecordType::Ptr => Record::Ptr(name(text)?),
        RecordType::Mx => {
            let (preference, exchange) = text.split_once(' ')?;
            Record::Mx {
                preference: preference.parse().ok()?,
                exchange: name(exchange.trim())?,
            }
        }
        _ => return None,
    })
}

/// Reads a reverse-path with or without its angle brackets; nothing at all is the null one.
///
/// # Errors
///
/// Why it is none.
pub fn reverse_path(text: &str) -> Result<ReversePath, mail_syntax::mailbox::MailboxError> {
    match text.starts_with('<') {
        true => ReversePath::parse_utf8(text),
        false => ReversePath::parse_utf8(&format!("<{text}>")),
    }
}

/// Reads a recipient with or without its angle brackets: an address, or `postmaster` alone (RFC 5321 §4.1.1.3).
///
/// # Errors
///
/// Why it is none.
pub fn recipient(text: &str) -> Result<String, mail_syntax::mailbox::MailboxError> {
    let bare = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'));
    let bare = bare.unwrap_or(text);
    if !bare.eq_ignore_ascii_case("postmaster") {
        Mailbox::parse_utf8(bare)?;
    }
    Ok(bare.to_owned())
}

/// What MAIL FROM may be asked about: a reverse-path, or what no server would take for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// A reverse-path.
    Path(ReversePath),
    /// Any other text, such as a domain alone, which SPF has a result for all the same (RFC 7208 §4.3).
    Other(String),
}

impl std::str::FromStr for Sender {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match reverse_path(text) {
            Ok(path) => Self::Path(path),
            Err(_) => Self::Other(text.trim_matches(['<', '>']).to_owned()),
        })
    }
}

/// A host and a port: `mail.example.com:587`, `192.0.2.1:25`, `[2001:db8::1]:25`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The host's name or address, without brackets, for its certificate.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::str::FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "want HOST:PORT".to_owned();
        let address: Result<SocketAddr, AddrParseError> = text.parse();
        if let Ok(address) = address {
            let (host, port) = (address.ip().to_string(), address.port());
            return Ok(Self { host, port });
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wanted)?;
        if host.is_empty() || host.contains(':') {
            return Err(wanted());
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.parse().map_err(|_| wanted())?,
        })
    }
}

impl Server {
    /// Its addresses, at least one.
    ///
    /// # Errors
    ///
    /// None could be found.
    pub async fn addresses(&self) -> Result<Vec<SocketAddr>, ToolError> {
        let failed = |error: &dyn Display| ToolError::Later(format!("{}: {error}", self.host));
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<_> = found.map_err(|error| failed(&error))?.collect();
        match addresses.is_empty() {
            true => Err(failed(&"no address")),
            false => Ok(addresses),
        }
    }
}

/// The certificates that vouch for servers: those of a PEM file, or the public ones.
///
/// # Errors
///
/// A file that cannot be read.
pub fn trust(ca: Option<&Path>) -> Result<Trust, ToolError> {
    Trust::roots(ca).map_err(|error| ToolError::usage("--ca", error))
}

/// The password in a file, without the end of its line.
///
/// # Errors
///
/// A file that cannot be read.
pub fn password(file: &Path) -> Result<mail_wire::Secret<String>, ToolError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| ToolError::usage(file.display(), error))
        .map(mail_wire::Secret::new)?;
    let line = text.expose_secret().trim_end_matches(['\r', '\n']);
    Ok(mail_wire::Secret::new(line.to_owned()))
}

/// Whether a message needs SMTPUTF8: RFC 6531 §3.1 has it for addresses and header fields that are not ASCII.
#[must_use]
pub fn needs_smtputf8<'a>(message: &[u8], mut paths: impl Iterator<Item = &'a Mailbox>) -> bool {
    let end = message.windows(4).position(|octets| octets == b"\r\n\r\n");
    let header = message
        .get(..end.unwrap_or(message.len()))
        .unwrap_or_default();
    !header.is_ascii() || paths.any(|path| !path.is_ascii())
}

fn text<T: Display>(value: Option<T>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.to_string()))
}

/// SPF for `--json`: `result`, `domain`, `identity`, `cause`.
#[must_use]
pub fn spf_json(verdict: &spf::Verdict) -> Value {
    json!({
        "result": verdict.result.as_str(),
        "domain": text(verdict.domain.as_ref()),
        "identity": verdict.identity.to_string(),
        "cause": verdict.cause.to_string(),
    })
}

/// DKIM for `--json`: for each signature from the top of the header `result`, `domain`, `selector`, `algorithm`, `cause`. A
/// header that goes past a limit is one `permerror` of nothing that is known.
#[must_use]
pub fn dkim_json(verdict: &dkim::Verdict) -> Value {
    if let Some(error) = &verdict.header_error {
        return json!([{
            "result": DkimResult::PermError.to_string(),
            "domain": null,
            "selector": null,
            "algorithm": null,
            "cause": error.to_string(),
        }]);
    }
    let signature = |signature: &dkim::SignatureVerdict| {
        json!({
            "result": signature.result.to_string(),
            "domain": text(signature.domain.as_ref()),
            "selector": text(signature.selector.as_ref()),
            "algorithm": text(signature.algorithm),
            "cause": cause(signature),
        })
    };
    verdict.signatures.iter().map(signature).collect()
}

/// Why a signature has its result, and what speaks against its key.
fn cause(signature: &dkim::SignatureVerdict) -> String {
    let mut cause = signature.cause.to_string();
    if let Some(bits) = signature.key_bits.filter(|_| signature.weak_key) {
        cause += &format!("; the key is weak, {bits} bits");
    }
    if signature.testing {
        cause += "; the domain is only testing DKIM";
    }
    cause
}

/// ARC for `--json`: `result`, `oldest_pass`, `cause`, and of each set from the oldest `instance`, `domain`, `selector`.
#[must_use]
pub fn arc_json(verdict: &dkim::arc::Verdict) -> Value {
    let set = |set: &dkim::arc::Set| {
        json!({
            "instance": set.instance,
            "domain": set.domain.to_string(),
            "selector": set.selector.to_string(),
        })
    };
    json!({
        "result": verdict.status.to_string(),
        "oldest_pass": verdict.oldest_pass,
        "sets": verdict.sets.iter().map(set).collect::<Value>(),
        "cause": verdict.cause.to_string(),
    })
}

/// All of a message's verdict for `--json`.
///
/// # Errors
///
/// An authserv-id that is too long for a line.
pub fn verdict_json(verdict: &message_auth::Verdict) -> Result<Value, ToolError> {
    let dmarc = &verdict.dmarc;
    let field = verdict.authentication_results();
    let questions: Vec<String> = verdict.questions.iter().map(ToString::to_string).collect();
    let reason = |reason: &dmarc::OverrideReason| json!({"reason": reason.kind.to_string(), "comment": reason.comment});
    Ok(json!({
        "spf": spf_json(&verdict.spf_mail_from),
        "dkim": dkim_json(&verdict.dkim),
        "arc": arc_json(&verdict.arc),
        "dmarc": {
            "result": dmarc.result.to_string(),
            "author_domain": text(dmarc.author_domain.as_ref()),
            "record_domain": text(dmarc.record_domain.as_ref()),
            "policy": text(dmarc.policy),
            "disposition": verdict.disposition.to_string(),
            "cause": dmarc.cause.to_string(),
        },
        "overrides": verdict.overrides.iter().map(reason).collect::<Value>(),
        "iprev": {
            "result": verdict.iprev.result.to_string(),
            "name": text(verdict.iprev.confirmed.first()),
        },
        "authentication_results": field.map_err(|error| ToolError::usage("--authserv-id", error))?,
        "questions": questions,
    }))
}

/// DKIM in words: a line for each signature.
#[must_use]
pub fn dkim_lines(verdict: &dkim::Verdict) -> Vec<String> {
    let unknown = || "?".to_owned();
    let line = |signature: &dkim::SignatureVerdict| {
        let domain = (signature.domain.as_ref()).map_or_else(unknown, ToString::to_string);
        let selector = (signature.selector.as_ref()).map_or_else(unknown, ToString::to_string);
        let algorithm = (signature.algorithm).map_or_else(unknown, |it| it.to_string());
        let (result, cause) = (signature.result, cause(signature));
        format!("{result} d={domain} s={selector} a={algorithm}: {cause}")
    };
    let mut lines: Vec<String> = verdict.signatures.iter().map(line).collect();
    match &verdict.header_error {
        Some(error) => lines.push(format!("permerror: {error}")),
        None if lines.is_empty() => lines.push("none: no signature".to_owned()),
        None => {}
    }
    lines
}

#[cfg(test)]
mod tests {
    use mail_dns::Question;

    use super::*;

    #[test]
    fn a_recipient_is_an_address_or_postmaster() {
        for (text, wanted) in [
            ("ann@example.org", "ann@example.org"),
            ("<ann@example.org>", "ann@example.org"),
            ("Postmaster", "Postmaster"),
            ("<postmaster>", "postmaster"),
        ] {
            assert_eq!(recipient(text).as_deref(), Ok(wanted));
        }
        for text in ["", "<>", "ann", "<ann@example.org", "ann b@example.org"] {
            assert!(recipient(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_line_feed_without_carriage_return_gets_one() {
        for (disk, wire) in [
            ("", ""),
            ("a\n\nb", "a\r\n\r\nb"),
            ("\na\r\n", "\r\na\r\n"),
            ("a\rb\r\r\n", "a\rb\r\r\n"),
        ] {
            assert_eq!(with_crlf(disk.as_bytes()), wire.as_bytes(), "{disk:?}");
            assert_eq!(with_crlf(wire.as_bytes()), wire.as_bytes(), "{wire:?}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_replaced() {
        assert_eq!(
            readable("a\tb\u{1b}[2Jc\u{9b}d\re\u{202e}f\u{feff}"),
            "a\tb\u{fffd}[2Jc\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}"
        );
        assert_eq!(readable_lines(&"250-a\r\n250 b\r\n"), "250-a\n250 b");
    }

    #[test]
    fn servers_have_host_and_port() {
        for (text, wanted) in [
            ("mail.example.com:587", Some(("mail.example.com", 587))),
            ("[2001:db8::1]:25", Some(("2001:db8::1", 25))),
            ("192.0.2.1:25", Some(("192.0.2.1", 25))),
            ("mail.example.com", None),
            ("2001:db8::1", None),
            (":25", None),
            ("a:70000", None),
        ] {
            let server = text.parse::<Server>().ok();
            let server = server
                .as_ref()
                .map(|server| (server.host.as_str(), server.port));
            assert_eq!(server, wanted, "{text}");
        }
    }

    #[test]
    fn a_zone_may_have_what_mail_does_not_ask_for() {
        let zone = r#"{"a.example": {"SPF": ["v=spf1"], "dnskey": [], "TYPE65": ["x"], "_rcode": "NOERROR"},
            "b.example": {"CNAME": [""], "MX": ["0 "]}}"#;
        let zone = zone_from_json(zone).unwrap();
        let ask = |name: &str| {
            let name: Name = name.parse().unwrap();
            zone.answer(&Question::new(name, RecordType::Mx)).data
        };
        assert_eq!(ask("a.example"), mail_dns::Data::NoData);
        assert_eq!(ask("c.example"), mail_dns::Data::NxDomain);
    }

    #[test]
    fn mistakes_in_a_zone_are_told() {
        for (zone, wanted) in [
            ("[]", "invalid type"),
            (r#"{"a..b": {}}"#, "a..b: "),
            (r#"{"a": 1}"#, "a: not an object of types"),
            (r#"{"a": {"A": "192.0.2.1"}}"#, "a: not a list of records"),
            (r#"{"a": {"MX": ["host"]}}"#, "a: \"host\" is no MX record"),
            (r#"{"a": {"TXT": [["b", 1]]}}"#, "is no TXT record"),
            (r#"{"a": {"PEAR": []}}"#, "a: "),
            (r#"{"a": {"_rcode": "PEAR"}}"#, "a: _rcode is none of"),
        ] {
            let error = zone_from_json(zone).unwrap_err();
            assert!(error.contains(wanted), "{zone}: {error}");
        }
    }
}
