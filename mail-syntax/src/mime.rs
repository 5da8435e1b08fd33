//! The parts of a message: a tree over byte ranges (RFC 2045, 2046), their fields, and how to decode them.
//!
//! [`MimeTree::parse`] reads a whole message once and copies no text. Parts are numbered in the order in which they begin, so a
//! parent always has a smaller number than its children and no cycle can exist. Line ends are CRLF; a bare LF ends no line, as in
//! [`crate::header`], unless [`Limits::line_end`] says so.

mod charset;
mod encoded_word;
mod fields;
mod transfer;

use core::ops::Range;

use crate::header::{Header, HeaderIndex, HeaderSplitter, LineEnd};

pub use encoded_word::decode_words;
pub use fields::{ContentType, Disposition, MAX_PARAMETERS, Parameters, TransferEncoding};
pub use transfer::{TransferDecoder, decode};

/// What a tree may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How deep parts nest; deeper ones are not taken apart. Default: 100 (Dovecot, Postfix `mime_nesting_limit`). Costs: a line
    /// that begins with `--` is compared with as many boundaries.
    pub depth: usize,
    /// How many parts there are; what follows the last is left alone. Default: 10,000 (Dovecot). Costs: about 300 octets for each.
    pub parts: usize,
    /// Octets of a boundary; a multipart with a longer one is not taken apart. Default: 2,048 (Postfix
    /// `mime_boundary_length_limit`). RFC 2046 §5.1.1 allows 70.
    pub boundary: usize,
    /// The limits of each header block.
    pub header: crate::header::Limits,
    /// What ends a line. Default: CRLF.
    pub line_end: LineEnd,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 100,
            parts: 10_000,
            boundary: 2_048,
            header: crate::header::Limits::default(),
            line_end: LineEnd::Crlf,
        }
    }
}

/// The parts of one message.
///
/// ```
/// use mail_syntax::mime::{Limits, MimeTree};
/// let message = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x\r\nContent-Type: image/png\r\n\r\n\r\n--x--\r\n";
/// let tree = MimeTree::parse(message, &Limits::default());
/// let parts: Vec<_> = tree.root().children().collect();
/// assert_eq!(parts[0].body(), b"hi");
/// assert!(parts[1].content_type().is("image", "png"));
/// ```
#[derive(Debug, Clone)]
pub struct MimeTree<'a> {
    message: &'a [u8],
    nodes: Vec<Node>,
    truncated: bool,
}

#[derive(Debug, Clone)]
struct Node {
    parent: Option<usize>,
    children: Vec<usize>,
    /// The fields and the empty line.
    header: Range<usize>,
    index: HeaderIndex,
    body: Range<usize>,
    lines: usize,
    content_type: ContentType,
    encoding: TransferEncoding,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Leaf,
    Multipart,
    Message,
}

/// One part of a message, or the message itself: a header and a body.
#[derive(Debug, Clone, Copy)]
pub struct Part<'t> {
    tree: &'t MimeTree<'t>,
    number: usize,
}

impl<'a> MimeTree<'a> {
    /// Takes a message apart.
    ///
    /// Never fails: what cannot be taken apart is one part, as RFC 2045 §5.2 wants it. Time is linear in the message.
    #[must_use]
    pub fn parse(message: &'a [u8], limits: &Limits) -> Self {
        let mut builder = Builder {
            tree: MimeTree {
                message,
                nodes: Vec::new(),
                truncated: false,
            },
            limits,
            open: Vec::new(),
            newlines: 0,
        };
        builder.read();
        builder.tree
    }

    /// The message itself.
    #[must_use]
    pub fn root(&self) -> Part<'_> {
        Part {
            tree: self,
            number: 0,
        }
    }

    /// All parts in the order in which they begin, the message first, embedded messages among them.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = Part<'_>> {
        (0..self.nodes.len()).map(|number| Part { tree: self, number })
    }

    /// True if a limit kept parts from being taken apart.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}

impl<'t> Part<'t> {
    fn node(&self) -> &'t Node {
        // A `Part` is only made with the number of a node, and there is always a root.
        &self.tree.nodes[self.number]
    }

    /// The number of this part in [`MimeTree::parts`]; its parent has a smaller one.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The part that this one stands in.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.node().parent.map(|number| Self {
            tree: self.tree,
            number,
        })
    }

    /// The parts of a multipart, in order; of others none.
    pub fn children(&self) -> impl ExactSizeIterator<Item = Self> + use<'t> {
        let children = if self.is_multipart() {
            self.node().children.as_slice()
        } else {
            &[]
        };
        let tree = self.tree;
        children.iter().map(move |&number| Part { tree, number })
    }

    /// The message that this part holds, if it is a message/rfc822 or message/global that was taken apart.
    #[must_use]
    pub fn message(&self) -> Option<Self> {
        match (self.node().kind, self.node().children.first()) {
            (Kind::Message, Some(&number)) => Some(Self {
                tree: self.tree,
                number,
            }),
            _ => None,
        }
    }

    /// True if the part is a multipart with a usable boundary, even where no part was found between its boundaries.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.node().kind == Kind::Multipart
    }

    /// Where the header stands in the message, its empty line included.
    #[must_use]
    pub fn header_range(&self) -> Range<usize> {
        self.node().header.clone()
    }

    /// Where the body stands in the message. The line end before a boundary belongs to the boundary.
    #[must_use]
    pub fn body_range(&self) -> Range<usize> {
        self.node().body.clone()
    }

    /// The header as it stands, its empty line included: what IMAP calls `MIME` or `HEADER`.
    #[must_use]
    pub fn header_octets(&self) -> &'t [u8] {
        // Ranges are made from offsets of this message.
        &self.tree.message[self.node().header.clone()]
    }

    /// The fields of the header.
    #[must_use]
    pub fn header(&self) -> Header<'t> {
        Header::new(self.header_octets(), &self.node().index)
    }

    /// The body as it stands, encoded.
    #[must_use]
    pub fn body(&self) -> &'t [u8] {
        // Ranges are made from offsets of this message.
        &self.tree.message[self.node().body.clone()]
    }

    /// The body, its transfer encoding decoded: held whole. [`TransferDecoder`] does the same as a stream.
    #[must_use]
    pub fn decoded_body(&self) -> Vec<u8> {
        decode(self.encoding(), self.body())
    }

    /// The media type, or what is meant where none can be read.
    #[must_use]
    pub fn content_type(&self) -> &'t ContentType {
        &self.node().content_type
    }

    /// The transfer encoding.
    #[must_use]
    pub fn encoding(&self) -> &'t TransferEncoding {
        &self.node().encoding
    }

    /// The octets of the body as it stands.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.node().body.len()
    }

    /// The lines of the body as it stands: how many line ends it has.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.node().lines
    }

    /// The body of Content-Disposition.
    #[must_use]
    pub fn disposition(&self) -> Option<Disposition> {
        self.header()
            .named("Content-Disposition")
            .next()
            .and_then(|field| Disposition::parse(&field.value()))
    }

    /// The body of Content-ID, its angle brackets included.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.text("Content-ID")
    }

    /// The body of Content-Description, encoded words left alone.
    #[must_use]
    pub fn description(&self) -> Option<String> {
        self.text("Content-Description")
    }

    /// The body of Content-MD5.
    #[must_use]
    pub fn md5(&self) -> Option<String> {
        self.text("Content-MD5")
    }

    /// The body of Content-Location.
    #[must_use]
    pub fn location(&self) -> Option<String> {
        self.text("Content-Location")
    }

    /// The language tags of Content-Language.
    #[must_use]
    pub fn language(&self) -> Vec<String> {
        let tags = self.text("Content-Language").unwrap_or_default();
        let is_tag = |tag: &&str| {
            !tag.is_empty() && tag.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        };
        tags.split(',')
            .map(|tag| tag.split('(').next().unwrap_or("").trim())
            .filter(is_tag)
            .map(str::to_owned)
            .collect()
    }

    fn text(&self, name: &str) -> Option<String> {
        let field = self.header().named(name).next()?;
        Some(String::from_utf8_lossy(&field.value()).into_owned()).filter(|text| !text.is_empty())
    }
}

struct Builder<'a, 'l> {
    tree: MimeTree<'a>,
    limits: &'l Limits,
    open: Vec<Open>,
    /// Line ends before the line being read.
    newlines: usize,
}

/// A part whose end was not seen yet.
struct Open {
    node: usize,
    state: State,
    /// Line ends before its body.
    newlines: usize,
}

enum State {
    Header,
    /// In the body; a multipart with the boundary that is being looked for.
    Body(Option<Box<[u8]>>),
}

impl Builder<'_, '_> {
    fn read(&mut self) {
        let message = self.tree.message;
        self.begin(None, 0);
        let (mut line, mut last_line_end) = (0, 0);
        while line < message.len() {
            let (text_end, next) = self.line(line);
            let text = &message[line..text_end];
            match self.delimiter(text) {
                Some((at, closes)) => {
                    self.boundary(at, closes, line - last_line_end, last_line_end > 0, next);
                }
                None if text.is_empty() => self.empty_line(next),
                None => {}
            }
            last_line_end = next - text_end;
            self.newlines += usize::from(last_line_end > 0);
            line = next;
        }
        self.close_from(0, message.len(), self.newlines);
    }

    /// The end of the text of the line that begins here, and the beginning of the next.
    fn line(&self, start: usize) -> (usize, usize) {
        let message = self.tree.message;
        for at in memchr::memchr_iter(b'\n', &message[start..]) {
            let at = start + at;
            if at > start && message[at - 1] == b'\r' {
                return (at - 1, at + 1);
            }
            if self.limits.line_end == LineEnd::CrlfOrLf {
                return (at, at + 1);
            }
        }
        (message.len(), message.len())
    }

    /// The place in `open` of the multipart whose boundary this line is, and whether it is the last one.
    fn delimiter(&self, text: &[u8]) -> Option<(usize, bool)> {
        let rest = text.strip_prefix(b"--")?;
        // An outer boundary ends all that is open within (RFC 2046 §5.1.2), and an inner one may have the same text.
        self.open.iter().enumerate().rev().find_map(|(at, open)| {
            let State::Body(Some(boundary)) = &open.state else {
                return None;
            };
            let behind = rest.strip_prefix(&**boundary)?;
            let (behind, closes) = behind
                .strip_prefix(b"--")
                .map_or((behind, false), |behind| (behind, true));
            // RFC 2046 §5.1.1: "delimiter := CRLF dash-boundary", "dash-boundary := "--" boundary", then transport-padding.
            behind
                .iter()
                .all(|c| matches!(c, b' ' | b'\t'))
                .then_some((at, closes))
        })
    }

    fn boundary(
        &mut self,
        at: usize,
        closes: bool,
        end: usize,
        line_end_before: bool,
        next: usize,
    ) {
        // RFC 2046 §5.1.1: "The CRLF preceding the boundary delimiter line is conceptually attached to the boundary"
        self.close_from(at + 1, end, self.newlines - usize::from(line_end_before));
        let parent = self.open[at].node;
        if closes {
            self.open[at].state = State::Body(None);
        } else if self.tree.nodes.len() < self.limits.parts {
            self.begin(Some(parent), next);
        } else {
            self.tree.truncated = true;
            self.open[at].state = State::Body(None);
        }
    }

    fn empty_line(&mut self, next: usize) {
        let Some(Open {
            node,
            state: State::Header,
            ..
        }) = self.open.last()
        else {
            return;
        };
        let node = *node;
        let boundary = self.finish_header(node, next);
        let newlines = self.newlines + 1;
        if let Some(open) = self.open.last_mut() {
            open.state = State::Body(boundary);
            open.newlines = newlines;
        }
        if self.tree.nodes[node].kind == Kind::Message {
            self.begin(Some(node), next);
        }
    }

    fn begin(&mut self, parent: Option<usize>, start: usize) {
        let node = self.tree.nodes.len();
        self.tree.nodes.push(Node {
            parent,
            children: Vec::new(),
            header: start..start,
            index: HeaderIndex::default(),
            body: start..start,
            lines: 0,
            content_type: ContentType::text_plain(),
            encoding: TransferEncoding::default(),
            kind: Kind::Leaf,
        });
        if let Some(parent) = parent {
            self.tree.nodes[parent].children.push(node);
        }
        self.open.push(Open {
            node,
            state: State::Header,
            newlines: 0,
        });
    }

    /// Reads the header of a node, which ends here, and gives its boundary if it is to be taken apart.
    fn finish_header(&mut self, node: usize, end: usize) -> Option<Box<[u8]>> {
        let (depth, parts) = (self.open.len(), self.tree.nodes.len());
        let in_digest = self.tree.nodes[node].parent.is_some_and(|parent| {
            let parent = &self.tree.nodes[parent];
            parent.kind == Kind::Multipart && parent.content_type.is("multipart", "digest")
        });
        let start = self.tree.nodes[node].header.start;
        let octets = &self.tree.message[start..end];
        let mut splitter = HeaderSplitter::new(self.limits.header.clone(), self.limits.line_end);
        match splitter.push(octets) {
            Ok(_) => self.tree.nodes[node].index = splitter.finish(),
            Err(_) => self.tree.truncated = true,
        }
        let this = &mut self.tree.nodes[node];
        this.header = start..end;
        this.body = end..end;
        let header = Header::new(octets, &this.index);
        let content_type = header.named("Content-Type").next();
        let encoding = header.named("Content-Transfer-Encoding").next();
        let content_type = match content_type {
            Some(field) => {
                ContentType::parse(&field.value()).unwrap_or_else(ContentType::text_plain)
            }
            // RFC 2046 §5.1.5: "the default Content-Type value for a body part is changed from "text/plain" to
            // "message/rfc822"."
            None if in_digest => ContentType::message_rfc822(),
            None => ContentType::text_plain(),
        };
        this.encoding = encoding
            .and_then(|field| TransferEncoding::parse(&field.value()))
            .unwrap_or_default();
        this.content_type = content_type;
        let boundary = this.content_type.parameters().value("boundary");
        let boundary =
            boundary.map(|boundary| boundary.trim_end().as_bytes().to_vec().into_boxed_slice());
        let boundary = boundary.filter(|boundary| !boundary.is_empty());
        let divides = this.content_type.is_multipart() && boundary.is_some();
        let embeds = this.content_type.is_message() && this.encoding.is_identity();
        if !divides && !embeds {
            return None;
        }
        let fits = boundary
            .as_ref()
            .is_none_or(|boundary| boundary.len() <= self.limits.boundary);
        if depth >= self.limits.depth || parts >= self.limits.parts || !fits {
            self.tree.truncated = true;
            return None;
        }
        this.kind = if divides {
            Kind::Multipart
        } else {
            Kind::Message
        };
        boundary.filter(|_| divides)
    }

    /// Ends all parts from this place in `open` on, at this octet, before which there are so many line ends.
    ///
    /// A part that began behind that octet, as its header took the line end that the boundary wants too, is empty, and those
    /// around it end where it does.
    fn close_from(&mut self, at: usize, mut end: usize, mut newlines: usize) {
        while self.open.len() > at {
            let Some(Open {
                node,
                state,
                newlines: before,
            }) = self.open.last()
            else {
                return;
            };
            let (node, before, in_header) = (*node, *before, matches!(state, State::Header));
            let this = &mut self.tree.nodes[node];
            let start = if in_header {
                this.header.start
            } else {
                this.body.start
            };
            if start > end {
                (end, newlines) = (start, self.newlines);
            }
            if in_header {
                // The header was cut off, so there is no body in which parts could stand.
                self.finish_header(node, end);
                self.tree.nodes[node].kind = Kind::Leaf;
            } else {
                this.body.end = end;
                this.lines = newlines.saturating_sub(before);
            }
            self.open.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(message: &str) -> MimeTree<'_> {
        MimeTree::parse(message.as_bytes(), &Limits::default())
    }

    #[test]
    fn fields_folded_by_a_bare_lf() {
        let message = "Content-Type: multipart/mixed;\n boundary=\"a\n b\"\n\n--a b\nContent-Type: text/plain;\n\tcharset=utf-8\n\
             Content-Disposition: attachment;\n filename=x\nContent-Transfer-Encoding:\n base64\nContent-Language: de,\n en\n\naGk=\n--a b--\n";
        let lenient = Limits {
            line_end: LineEnd::CrlfOrLf,
            ..Limits::default()
        };
        for message in [message.to_owned(), message.replace('\n', "\r\n")] {
            let tree = MimeTree::parse(message.as_bytes(), &lenient);
            let parts: Vec<_> = tree.root().children().collect();
            let [part] = parts[..] else {
                panic!("{parts:?}")
            };
            let charset = part.content_type().parameters().value("charset");
            assert_eq!(charset.as_deref(), Some("utf-8"));
            let disposition = part.disposition().unwrap();
            let name = disposition.parameters().value("filename");
            assert_eq!(name.as_deref(), Some("x"));
            assert_eq!(part.language(), ["de", "en"]);
            assert_eq!(part.decoded_body(), b"hi");
        }
        // Where CRLF alone ends a line, it stays one line that says nothing.
        assert_eq!(parse(message).root().children().len(), 0);
    }

    #[test]
    fn a_plain_message() {
        let tree = parse(
            "Subject: x\r\nContent-Language: en (x), de\r\nContent-ID: <a@b>\r\n\r\none\r\ntwo\r\n",
        );
        let root = tree.root();
        assert_eq!(
            (root.body(), root.octets(), root.lines()),
            (&b"one\r\ntwo\r\n"[..], 10, 2)
        );
        assert_eq!(root.content_type(), &ContentType::text_plain());
        assert_eq!(root.language(), ["en", "de"]);
        assert_eq!(root.id().as_deref(), Some("<a@b>"));
        assert_eq!(
            root.header_octets().len() + root.octets(),
            root.body_range().end
        );
        assert_eq!(
            (root.children().count(), root.message().is_none()),
            (0, true)
        );
    }

    #[test]
    fn nested_multiparts_and_messages() {
        let message = concat!(
            "Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\npreamble\r\n",
            "--a b\r\n\r\n\r\none\r\n",
            "--a b \r\nContent-Type: message/rfc822\r\n\r\n",
            "Subject: inner\r\nContent-Type: multipart/digest; boundary=c\r\n\r\n",
            "--c\r\n\r\nSubject: digested\r\n\r\ntext\r\n--cc\r\n",
            "--c--\r\nepilogue\r\n--c\r\n",
            "--a b--\r\n--a b\r\nnot a part\r\n"
        );
        let tree = parse(message);
        let shape: Vec<_> = tree
            .parts()
            .map(|p| {
                (
                    p.parent().map(|p| p.number()),
                    p.content_type().subtype().to_owned(),
                    p.body().escape_ascii().to_string(),
                    p.lines(),
                )
            })
            .collect();
        let body = |from: &str, to: &str| {
            let start = message.find(from).unwrap();
            message.as_bytes()[start..start + message[start..].find(to).unwrap()]
                .escape_ascii()
                .to_string()
        };
        assert_eq!(
            shape,
            [
                (
                    None,
                    "mixed".into(),
                    message.as_bytes()[message.find("preamble").unwrap()..]
                        .escape_ascii()
                        .to_string(),
                    23
                ),
                (Some(0), "plain".into(), "\\r\\none".into(), 1),
                (
                    Some(0),
                    "rfc822".into(),
                    body("Subject: inner", "\r\n--a b--"),
                    11
                ),
                (Some(2), "digest".into(), body("--c\r\n", "\r\n--a b--"), 8),
                (
                    Some(3),
                    "rfc822".into(),
                    "Subject: digested\\r\\n\\r\\ntext\\r\\n--cc".into(),
                    3
                ),
                (Some(4), "plain".into(), "text\\r\\n--cc".into(), 1),
            ]
        );
        assert_eq!(tree.parts().nth(2).unwrap().message().unwrap().number(), 3);
        assert!(!tree.is_truncated());
    }

    #[test]
    fn cut_off_headers_and_empty_parts() {
        let tree = parse(
            "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n--b\r\nA: b\r\n--b\r\n\r\n--b--",
        );
        let parts: Vec<_> = tree
            .root()
            .children()
            .map(|p| (p.header_octets(), p.body()))
            .collect();
        assert_eq!(
            parts,
            [(&b""[..], &b""[..]), (b"A: b", b""), (b"\r\n", b"")]
        );
        assert_eq!(
            parse("Content-Type: multipart/x; boundary=b")
                .root()
                .children()
                .count(),
            0
        );
        assert_eq!(parse("").root().body(), b"");
        // The line end behind the inner boundary is the one that the outer boundary wants before it.
        let tree = parse(
            "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/y; boundary=a\r\n\r\n--a\r\n--b--\r\n",
        );
        assert_eq!(
            tree.parts().skip(1).map(|p| p.body()).collect::<Vec<_>>(),
            [&b"--a\r\n"[..], b""]
        );
        // Without a boundary, a multipart is one part.
        assert!(
            !parse("Content-Type: multipart/x\r\n\r\n--\r\n")
                .root()
                .is_multipart()
        );
    }

    #[test]
    fn an_outer_boundary_ends_inner_parts() {
        let tree = parse(concat!(
            "Content-Type: multipart/x; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/y; boundary=i\r\n\r\n",
            "--i\r\n\r\nin\r\n--o\r\n\r\nout\r\n--i\r\n--o--\r\n"
        ));
        let bodies: Vec<_> = tree.parts().skip(2).map(|p| p.body()).collect();
        assert_eq!(bodies, [&b"in"[..], b"out\r\n--i"]);
    }

    #[test]
    fn limits_hold() {
        let nested: String = (0..200)
            .map(|n| format!("Content-Type: multipart/x; boundary=b{n}\r\n\r\n--b{n}\r\n"))
            .collect();
        let tree = parse(&nested);
        assert!(tree.is_truncated());
        assert_eq!(tree.parts().len(), 100);
        let many = format!(
            "Content-Type: multipart/x; boundary=b\r\n\r\n{}",
            "--b\r\n\r\n".repeat(20_000)
        );
        let tree = parse(&many);
        assert!(tree.is_truncated());
        assert_eq!(tree.parts().len(), 10_000);
        let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(5_000);
        assert_eq!(parse(&messages).parts().len(), 100);
        let long = format!(
            "Content-Type: multipart/x; boundary={0}\r\n\r\n--{0}\r\n\r\n",
            "b".repeat(2_049)
        );
        assert!(parse(&long).is_truncated());
    }

    #[test]
    fn an_encoded_message_stays_closed() {
        let tree = parse(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==\r\n",
        );
        assert!(tree.root().message().is_none());
        assert_eq!(tree.root().decoded_body(), b"Subject: x");
    }

    proptest! {
        #[test]
        fn parts_lie_within_their_parents(lines in proptest::collection::vec(prop_oneof![
            Just("Content-Type: multipart/mixed; boundary=a\r\n"), Just("Content-Type: multipart/digest; boundary=b\r\n"),
            Just("Content-Type: message/rfc822\r\n"), Just("\r\n"), Just("--a\r\n"), Just("--b\r\n"), Just("--a--\r\n"),
            Just("--b--\r\n"), Just("text\r\n"), Just("\r"), Just("\n"),
        ], 0..40)) {
            let message = lines.concat();
            let tree = parse(&message);
            for part in tree.parts() {
                prop_assert_eq!(part.header_range().end, part.body_range().start);
                prop_assert_eq!(part.lines(), memchr::memmem::find_iter(part.body(), b"\r\n").count());
                if let Some(parent) = part.parent() {
                    prop_assert!(parent.number() < part.number());
                    prop_assert!(parent.body_range().start <= part.header_range().start);
                    prop_assert!(parent.body_range().end >= part.body_range().end);
                }
            }
        }
    }
}
