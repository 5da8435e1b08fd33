//! Commands and responses into octets. Atom, quoted string or literal: the content decides, so nothing can be injected.

mod command;
mod fetch;
mod response;

use crate::reader::{is_astring_char, is_atom_char};
use crate::{Command, Flag, Mailbox, Response};
use core::fmt::{Display, Write as _};

use mail_wire::framing::literal_mark;

/// How literals are announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LiteralMode {
    /// `{n}`: the other side is waited for, or is a client.
    #[default]
    Synchronising,
    /// `{n+}` up to 4,096 octets, `{n}` above (LITERAL-, RFC 7888).
    Minus,
    /// `{n+}` (LITERAL+, RFC 7888).
    Plus,
}

/// How to print: what was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrintOptions {
    /// How literals are announced.
    pub literals: LiteralMode,
    /// Whether UTF-8 may stand in quoted strings and mailbox names.
    pub utf8: bool,
}

/// A printed command or response.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Printed {
    /// The octets, CR LF at their end.
    pub octets: Vec<u8>,
    /// Where to stop and wait for a continuation, ascending: behind the CR LF of each synchronising literal.
    pub stops: Vec<usize>,
}

/// The octets may hold a password: they are not shown.
impl core::fmt::Debug for Printed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "Printed({} octets, stops {:?})",
            self.octets.len(),
            self.stops
        )
    }
}

impl Command {
    /// The octets of the command.
    #[must_use]
    pub fn print(&self, options: PrintOptions) -> Printed {
        let mut writer = Writer::new(options);
        writer.display(&self.tag);
        writer.raw(b" ");
        writer.command(&self.body);
        writer.raw(b"\r\n");
        writer.out
    }
}

impl Response {
    /// The octets of the response; literals are never waited for.
    #[must_use]
    pub fn print(&self, utf8: bool) -> Vec<u8> {
        let mut writer = Writer::new(PrintOptions {
            literals: LiteralMode::Synchronising,
            utf8,
        });
        match self {
            Self::Continue(text) => {
                writer.raw(b"+ ");
                writer.line_text(text);
            }
            Self::Data(data) => {
                writer.raw(b"* ");
                writer.data(data);
            }
            Self::Tagged(tag, status) => {
                writer.display(tag);
                writer.raw(b" ");
                writer.status(status);
            }
        }
        writer.raw(b"\r\n");
        writer.out.octets
    }
}

/// Whatever announces a literal at the end of this line announces none then: its brace becomes `)`.
pub(crate) fn end_as_text(line: &mut [u8]) {
    if literal_mark(line).is_some()
        && let Some(brace) = line.last_mut()
    {
        *brace = b')';
    }
}

pub(crate) struct Writer {
    pub(crate) out: Printed,
    options: PrintOptions,
}

impl Writer {
    pub(crate) fn new(options: PrintOptions) -> Self {
        Self {
            out: Printed::default(),
            options,
        }
    }

    pub(crate) fn raw(&mut self, octets: &[u8]) {
        self.out.octets.extend_from_slice(octets);
    }

    fn display(&mut self, value: impl Display) {
        struct Octets<'a>(&'a mut Vec<u8>);
        impl core::fmt::Write for Octets<'_> {
            fn write_str(&mut self, text: &str) -> core::fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        // Writing to a vector does not fail.
        let _ = write!(Octets(&mut self.out.octets), "{value}");
    }

    /// Text up to the end of the line, with `?` for what would end it, and `)` for the brace that would make its end a literal.
    fn line_text(&mut self, text: &[u8]) {
        let clean = text.iter().map(|octet| {
            if matches!(octet, 0 | b'\r' | b'\n') {
                b'?'
            } else {
                *octet
            }
        });
        self.out.octets.extend(clean);
        end_as_text(&mut self.out.octets);
    }

    fn joined<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.raw(b" ");
            }
            print(self, item);
        }
    }

    fn list<T>(&mut self, items: &[T], print: impl FnMut(&mut Self, &T)) {
        self.raw(b"(");
        self.joined(items, print);
        self.raw(b")");
    }

    pub(crate) fn string(&mut self, octets: &[u8]) {
        let fits = octets.len() <= 1024
            && !octets
                .iter()
                .any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
            && (octets.is_ascii() || (self.options.utf8 && core::str::from_utf8(octets).is_ok()));
        if fits {
            self.raw(b"\"");
            for octet in octets {
                if matches!(octet, b'"' | b'\\') {
                    self.raw(b"\\");
                }
                self.raw(&[*octet]);
            }
            self.raw(b"\"");
        } else {
            self.literal(octets);
        }
    }

    fn literal(&mut self, octets: &[u8]) {
        let waits = match self.options.literals {
            LiteralMode::Synchronising => true,
            // RFC 7888 §5: LITERAL- is for literals of at most 4096 octets.
            LiteralMode::Minus => octets.len() > 4096,
            LiteralMode::Plus => false,
        };
        // RFC 9051 §9: only a literal8 may hold NUL.
        if octets.contains(&0) {
            self.raw(b"~");
        }
        self.raw(b"{");
        self.display(octets.len());
        self.raw(if waits { b"}\r\n" } else { b"+}\r\n" });
        if waits {
            self.out.stops.push(self.out.octets.len());
        }
        self.raw(octets);
    }

    fn astring(&mut self, octets: &[u8]) {
        let is_atom = !octets.is_empty()
            && octets.iter().all(|octet| is_astring_char(*octet))
            && !octets.eq_ignore_ascii_case(b"NIL");
        if is_atom {
            self.raw(octets);
        } else {
            self.string(octets);
        }
    }

    fn pattern(&mut self, octets: &[u8]) {
        let plain = |octet: &u8| is_astring_char(*octet) || matches!(octet, b'%' | b'*');
        if !octets.is_empty() && octets.iter().all(plain) {
            self.raw(octets);
        } else {
            self.string(octets);
        }
    }

    /// An atom of the peer's or application's making, which is a quoted string where it is none.
    fn word(&mut self, text: &str) {
        if !text.is_empty() && text.bytes().all(is_atom_char) {
            self.raw(text.as_bytes());
        } else {
            self.string(text.as_bytes());
        }
    }

    fn nstring(&mut self, string: Option<&[u8]>) {
        match string {
            Some(octets) => self.string(octets),
            None => self.raw(b"NIL"),
        }
    }

    fn mailbox(&mut self, mailbox: &Mailbox) {
        if self.options.utf8 {
            self.astring(mailbox.as_str().as_bytes());
        } else {
            self.astring(mailbox.to_utf7().as_bytes());
        }
    }

    fn flags(&mut self, flags: &[Flag]) {
        self.list(flags, |w, flag| w.raw(flag.as_str().as_bytes()));
    }
}
