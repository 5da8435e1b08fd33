//! Responses into octets.

use super::Writer;
use crate::{Code, Data, ListEntry, NamespaceEntry, Status, StatusValue};
use core::num::NonZeroU32;

impl Writer {
    pub(crate) fn status(&mut self, status: &Status) {
        self.raw(status.kind.as_str().as_bytes());
        self.raw(b" ");
        if let Some(code) = &status.code {
            self.raw(b"[");
            self.code(code);
            self.raw(b"] ");
        }
        self.raw(status.text.as_str().as_bytes());
    }

    fn code(&mut self, code: &Code) {
        match code {
            Code::Word(word) => self.raw(word.as_str().as_bytes()),
            Code::BadCharset(list) => {
                self.raw(b"BADCHARSET");
                if !list.is_empty() {
                    self.raw(b" ");
                    self.list(list, |w, charset| w.astring(charset));
                }
            }
            Code::Capability(list) => self.capabilities(b"CAPABILITY", list),
            Code::PermanentFlags(flags) => {
                self.raw(b"PERMANENTFLAGS ");
                self.flags(flags);
            }
            Code::UidNext(number) => self.display(format_args!("UIDNEXT {number}")),
            Code::UidValidity(number) => self.display(format_args!("UIDVALIDITY {number}")),
            Code::Unseen(number) => self.display(format_args!("UNSEEN {number}")),
            Code::AppendUid(validity, uids) => {
                self.display(format_args!("APPENDUID {validity} {uids}"));
            }
            Code::CopyUid(copy) => {
                self.display(format_args!("COPYUID {} ", copy.uid_validity));
                self.ranges(&copy.source);
                self.raw(b" ");
                self.ranges(&copy.destination);
            }
            Code::Other(name, rest) => {
                self.word(name);
                if let Some(rest) = rest {
                    self.raw(b" ");
                    let clean = rest.iter().map(|octet| match octet {
                        0 | b'\r' | b'\n' | b']' => b'?',
                        octet => *octet,
                    });
                    self.out.octets.extend(clean);
                }
            }
        }
    }

    fn ranges(&mut self, ranges: &[(NonZeroU32, NonZeroU32)]) {
        for (index, (from, to)) in ranges.iter().enumerate() {
            if index > 0 {
                self.raw(b",");
            }
            self.display(from);
            if from != to {
                self.display(format_args!(":{to}"));
            }
        }
    }

    fn capabilities(&mut self, name: &[u8], list: &[crate::Capability]) {
        self.raw(name);
        for capability in list {
            self.raw(b" ");
            self.raw(capability.as_str().as_bytes());
        }
    }

    pub(super) fn data(&mut self, data: &Data) {
        match data {
            Data::Status(status) => self.status(status),
            Data::Capability(list) => self.capabilities(b"CAPABILITY", list),
            Data::Enabled(list) => self.capabilities(b"ENABLED", list),
            Data::Flags(flags) => {
                self.raw(b"FLAGS ");
                self.flags(flags);
            }
            Data::List(entry) => self.list_entry(b"LIST ", entry),
            Data::Lsub(entry) => self.list_entry(b"LSUB ", entry),
            Data::Namespace(classes) => {
                self.raw(b"NAMESPACE ");
                self.joined(classes, |w, class| w.namespace(class));
            }
            Data::MailboxStatus(mailbox, values) => {
                self.on_mailbox(b"STATUS ", mailbox);
                self.raw(b" ");
                self.list(values, |w, value| match value {
                    StatusValue::Known(item, number) => {
                        w.display(format_args!("{} {number}", item.as_str()));
                    }
                    StatusValue::Other(name, value) => {
                        w.word(name);
                        w.raw(b" ");
                        w.extension(value);
                    }
                });
            }
            Data::Search(numbers) => {
                self.raw(b"SEARCH");
                for number in numbers {
                    self.display(format_args!(" {number}"));
                }
            }
            Data::Esearch(result) => {
                self.raw(b"ESEARCH");
                if let Some(tag) = &result.tag {
                    self.raw(b" (TAG ");
                    self.string(tag);
                    self.raw(b")");
                }
                if result.uid {
                    self.raw(b" UID");
                }
                if let Some(min) = result.min {
                    self.display(format_args!(" MIN {min}"));
                }
                if let Some(max) = result.max {
                    self.display(format_args!(" MAX {max}"));
                }
                if let Some(all) = result.all.as_ref().filter(|all| !all.is_empty()) {
                    self.display(format_args!(" ALL {all}"));
                }
                if let Some(count) = result.count {
                    self.display(format_args!(" COUNT {count}"));
                }
                for (name, value) in &result.other {
                    self.raw(b" ");
                    self.word(name);
                    self.raw(b" ");
                    self.extension(value);
                }
            }
            Data::Exists(number) => self.display(format_args!("{number} EXISTS")),
            Data::Recent(number) => self.display(format_args!("{number} RECENT")),
            Data::Expunge(number) => self.display(format_args!("{number} EXPUNGE")),
            Data::Fetch(number, values) => {
                self.display(format_args!("{number} FETCH "));
                self.list(values, Self::fetch_value);
            }
            Data::Id(parameters) => self.id(parameters.as_deref()),
            Data::Other(name, values) => {
                self.word(name);
                for value in values {
                    self.raw(b" ");
                    self.extension(value);
                }
            }
        }
    }

    fn delimiter(&mut self, delimiter: Option<char>) {
        let text = delimiter.map(String::from);
        self.nstring(text.as_deref().map(str::as_bytes));
    }

    fn list_entry(&mut self, name: &[u8], entry: &ListEntry) {
        self.raw(name);
        self.list(&entry.attributes, |w, name| w.raw(name.as_str().as_bytes()));
        self.raw(b" ");
        self.delimiter(entry.delimiter);
        self.raw(b" ");
        self.mailbox(&entry.mailbox);
        if !entry.extended.is_empty() {
            self.raw(b" ");
            self.list(&entry.extended, |w, (name, value)| {
                w.astring(name);
                w.raw(b" ");
                w.extension(value);
            });
        }
    }

    fn namespace(&mut self, entries: &[NamespaceEntry]) {
        if entries.is_empty() {
            return self.raw(b"NIL");
        }
        self.raw(b"(");
        for entry in entries {
            self.raw(b"(");
            self.string(&entry.prefix);
            self.raw(b" ");
            self.delimiter(entry.delimiter);
            for (name, values) in &entry.extended {
                self.raw(b" ");
                self.string(name);
                self.raw(b" ");
                self.list(values, |w, value| w.string(value));
            }
            self.raw(b")");
        }
        self.raw(b")");
    }
}
