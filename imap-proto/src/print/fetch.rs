//! What FETCH gives into octets.

use super::Writer;
use crate::reader::is_astring_char;
use crate::{
    BodyStructure, CommonExtension, Envelope, EnvelopeAddress, ExtensionValue, FetchValue,
    Parameters, Section, SectionData, SectionName, SectionText, Special,
};
use core::num::NonZeroU32;

impl Writer {
    pub(crate) fn fetch_value(&mut self, value: &FetchValue) {
        match value {
            FetchValue::BodyStructure {
                extended,
                structure,
            } => {
                self.raw(if *extended {
                    b"BODYSTRUCTURE "
                } else {
                    b"BODY "
                });
                self.body(structure, *extended);
            }
            FetchValue::Envelope(envelope) => {
                self.raw(b"ENVELOPE ");
                self.envelope(envelope);
            }
            FetchValue::Flags(flags) => {
                self.raw(b"FLAGS ");
                self.flags(flags);
            }
            FetchValue::InternalDate(date) => self.display(format_args!("INTERNALDATE \"{date}\"")),
            FetchValue::Size(size) => self.display(format_args!("RFC822.SIZE {size}")),
            FetchValue::Uid(uid) => self.display(format_args!("UID {uid}")),
            FetchValue::Section { name, origin, data } => {
                self.section_name(name, false);
                if let Some(origin) = origin {
                    self.display(format_args!("<{origin}>"));
                }
                self.raw(b" ");
                match data {
                    SectionData::Here(octets) => self.nstring(octets.as_deref()),
                    SectionData::Streamed(octets) => {
                        let binary = matches!(name, SectionName::Binary(_));
                        self.raw(if binary { b"~{" } else { b"{" });
                        self.display(format_args!("{octets}}}\r\n"));
                    }
                }
            }
            FetchValue::BinarySize(part, size) => {
                self.raw(b"BINARY.SIZE");
                self.part_in_brackets(part);
                self.display(format_args!(" {size}"));
            }
            FetchValue::Other(name, value) => {
                self.word(name);
                self.raw(b" ");
                self.extension(value);
            }
        }
    }

    pub(super) fn extension(&mut self, value: &ExtensionValue) {
        match value {
            ExtensionValue::Nil => self.raw(b"NIL"),
            ExtensionValue::String(octets) => self.string(octets),
            ExtensionValue::List(values) => self.list(values, Self::extension),
            ExtensionValue::Atom(atom) => {
                let plain = |octet| is_astring_char(octet) || matches!(octet, b'*' | b'\\' | b'%');
                if !atom.is_empty() && atom.bytes().all(plain) {
                    self.raw(atom.as_bytes());
                } else {
                    self.string(atom.as_bytes());
                }
            }
        }
    }

    fn addresses(&mut self, addresses: &[EnvelopeAddress]) {
        if addresses.is_empty() {
            return self.raw(b"NIL");
        }
        self.raw(b"(");
        for address in addresses {
            let parts = [
                &address.name,
                &address.route,
                &address.mailbox,
                &address.host,
            ];
            self.list(&parts, |w, part| w.nstring(part.as_deref()));
        }
        self.raw(b")");
    }

    fn envelope(&mut self, envelope: &Envelope) {
        self.raw(b"(");
        self.nstring(envelope.date.as_deref());
        self.raw(b" ");
        self.nstring(envelope.subject.as_deref());
        for addresses in [
            &envelope.from,
            &envelope.sender,
            &envelope.reply_to,
            &envelope.to,
            &envelope.cc,
            &envelope.bcc,
        ] {
            self.raw(b" ");
            self.addresses(addresses);
        }
        self.raw(b" ");
        self.nstring(envelope.in_reply_to.as_deref());
        self.raw(b" ");
        self.nstring(envelope.message_id.as_deref());
        self.raw(b")");
    }

    fn parameters(&mut self, parameters: &Parameters) {
        if parameters.is_empty() {
            return self.raw(b"NIL");
        }
        self.list(parameters, |w, (name, value)| {
            w.string(name);
            w.raw(b" ");
            w.string(value);
        });
    }

    fn body(&mut self, body: &BodyStructure, extended: bool) {
        self.raw(b"(");
        match body {
            BodyStructure::Multipart {
                parts,
                subtype,
                extension,
            } => {
                for part in parts {
                    self.body(part, extended);
                }
                self.raw(b" ");
                self.string(subtype);
                if let Some(extension) = extension.as_ref().filter(|_| extended) {
                    self.raw(b" ");
                    self.parameters(&extension.parameters);
                    self.common_extension(&extension.common);
                }
            }
            BodyStructure::Single(part) => {
                self.string(&part.media_type);
                self.raw(b" ");
                self.string(&part.subtype);
                self.raw(b" ");
                self.parameters(&part.parameters);
                self.raw(b" ");
                self.nstring(part.id.as_deref());
                self.raw(b" ");
                self.nstring(part.description.as_deref());
                self.raw(b" ");
                self.string(&part.encoding);
                self.display(format_args!(" {}", part.octets));
                match &part.special {
                    Special::None => {}
                    Special::Text { lines } => self.display(format_args!(" {lines}")),
                    Special::Message {
                        envelope,
                        structure,
                        lines,
                    } => {
                        self.raw(b" ");
                        self.envelope(envelope);
                        self.raw(b" ");
                        self.body(structure, extended);
                        self.display(format_args!(" {lines}"));
                    }
                }
                if let Some(extension) = part.extension.as_ref().filter(|_| extended) {
                    self.raw(b" ");
                    self.nstring(extension.md5.as_deref());
                    self.common_extension(&extension.common);
                }
            }
        }
        self.raw(b")");
    }

    fn common_extension(&mut self, common: &CommonExtension) {
        self.raw(b" ");
        match &common.disposition {
            None => self.raw(b"NIL"),
            Some((kind, parameters)) => {
                self.raw(b"(");
                self.string(kind);
                self.raw(b" ");
                self.parameters(parameters);
                self.raw(b")");
            }
        }
        self.raw(b" ");
        match &common.language[..] {
            [] => self.raw(b"NIL"),
            [language] => self.string(language),
            languages => self.list(languages, |w, language| w.string(language)),
        }
        self.raw(b" ");
        self.nstring(common.location.as_deref());
        for value in &common.future {
            self.raw(b" ");
            self.extension(value);
        }
    }

    fn part(&mut self, part: &[NonZeroU32]) {
        for (index, number) in part.iter().enumerate() {
            if index > 0 {
                self.raw(b".");
            }
            self.display(number);
        }
    }

    pub(super) fn part_in_brackets(&mut self, part: &[NonZeroU32]) {
        self.raw(b"[");
        self.part(part);
        self.raw(b"]");
    }

    pub(crate) fn section_name(&mut self, name: &SectionName, peek: bool) {
        let peek: &[u8] = if peek { b".PEEK" } else { b"" };
        match name {
            SectionName::Rfc822 => self.raw(b"RFC822"),
            SectionName::Rfc822Header => self.raw(b"RFC822.HEADER"),
            SectionName::Rfc822Text => self.raw(b"RFC822.TEXT"),
            SectionName::Binary(part) => {
                self.raw(b"BINARY");
                self.raw(peek);
                self.part_in_brackets(part);
            }
            SectionName::Body(section) => {
                self.raw(b"BODY");
                self.raw(peek);
                self.section(section);
            }
        }
    }

    fn section(&mut self, section: &Section) {
        self.raw(b"[");
        self.part(&section.part);
        if let Some(text) = &section.text {
            if !section.part.is_empty() {
                self.raw(b".");
            }
            match text {
                SectionText::Header => self.raw(b"HEADER"),
                SectionText::Text => self.raw(b"TEXT"),
                SectionText::Mime => self.raw(b"MIME"),
                SectionText::HeaderFields(fields) => {
                    self.raw(b"HEADER.FIELDS ");
                    self.list(fields, |w, field| w.astring(field));
                }
                SectionText::HeaderFieldsNot(fields) => {
                    self.raw(b"HEADER.FIELDS.NOT ");
                    self.list(fields, |w, field| w.astring(field));
                }
            }
        }
        self.raw(b"]");
    }
}
