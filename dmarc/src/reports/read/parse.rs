//! The elements of a report, put together to rows and what stands around them.

use std::net::{IpAddr, Ipv4Addr};

use memchr::memmem;

use super::text::Text;
use super::tokens::{Token, Tokens, split_prefix};
use super::{Defect, Defects, Element, Exceeded, Limits, ReadError};
use crate::reports::{
    ActionDisposition, AuthResults, DkimAuthResult, DkimResult, DmarcAlignment, Identifiers,
    PolicyEvaluated, PolicyPublished, ReportMetadata, Row, SpfAuthResult, SpfResult,
};
use crate::{OverrideReason, PolicyOverride};

/// The namespace of reports after RFC 9990.
const NAMESPACE: &[u8] = b"urn:ietf:params:xml:ns:dmarc-2.0";

/// After which RFC a report was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// RFC 7489, or a draft of it: any other namespace, or none.
    #[default]
    Rfc7489,
    /// RFC 9990.
    Rfc9990,
}

/// What a token made of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing that is to be told.
    Next,
    /// A row is complete.
    Row,
    /// The report is.
    End,
}

/// An element that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    element: Element,
    /// Where its name begins in `Parser::names`, which holds only those of elements that the schema does not have.
    name: usize,
}

/// The state between tokens.
#[derive(Debug)]
pub(super) struct Parser {
    open: Vec<Open>,
    names: Vec<u8>,
    /// The prefix that the root element has, and the report's own elements may have.
    prefix: Vec<u8>,
    pub(super) text: Text,
    pub(super) metadata: ReportMetadata,
    pub(super) policy_published: PolicyPublished,
    form: Form,
    defects: Defects,
    pub(super) row: Row,
    rows: u64,
    /// Which required elements were there: in the report, and in the record.
    pub(super) seen: Seen,
    pub(super) reason: OverrideReason,
    /// Strings of rows past, for those to come.
    pub(super) spare: Vec<String>,
    offset: u64,
    depth: usize,
    max_rows: u64,
    pub(super) max_results: usize,
}

/// Required elements that were found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen(u64);

impl Seen {
    /// Notes one; false if it had been noted.
    pub(super) fn note(&mut self, element: Element) -> bool {
        let before = self.0;
        self.0 |= 1 << element as u32;
        self.0 != before
    }

    fn has(self, element: Element) -> bool {
        self.0 & (1 << element as u32) != 0
    }

    fn forget(&mut self, elements: &[Element]) {
        for element in elements {
            self.0 &= !(1 << *element as u32);
        }
    }
}

/// What a record must have.
const OF_RECORD: [Element; 9] = [
    Element::Row,
    Element::Identifiers,
    Element::AuthResults,
    Element::SourceIp,
    Element::Count,
    Element::Disposition,
    Element::EvaluatedDkim,
    Element::EvaluatedSpf,
    Element::HeaderFrom,
];
/// What a result of a mechanism must have.
const OF_DKIM: [Element; 3] = [
    Element::DkimDomain,
    Element::DkimSelector,
    Element::DkimResult,
];
const OF_SPF: [Element; 2] = [Element::SpfDomain, Element::SpfResult];
/// What a record and its results may have.
const OPTIONAL_IN_RECORD: [Element; 2] = [Element::EnvelopeFrom, Element::EnvelopeTo];
const OPTIONAL_IN_RESULTS: [Element; 3] = [
    Element::DkimHumanResult,
    Element::SpfHumanResult,
    Element::SpfScope,
];
/// What a report must have.
const OF_REPORT: [Element; 7] = [
    Element::OrgName,
    Element::Email,
    Element::ReportId,
    Element::Begin,
    Element::End,
    Element::PolicyDomain,
    Element::P,
];

impl Parser {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            open: Vec::new(),
            names: Vec::new(),
            prefix: Vec::new(),
            text: Text::new(limits.text),
            metadata: ReportMetadata::default(),
            policy_published: PolicyPublished::default(),
            form: Form::default(),
            defects: Defects::default(),
            row: empty_row(),
            rows: 0,
            seen: Seen::default(),
            reason: no_reason(),
            spare: Vec::new(),
            offset: 0,
            depth: limits.depth,
            max_rows: limits.rows,
            max_results: limits.results,
        }
    }

    pub(super) fn row(&self) -> &Row {
        &self.row
    }

    pub(super) fn take_row(&mut self) -> Row {
        core::mem::replace(&mut self.row, empty_row())
    }

    pub(super) fn metadata(&self) -> &ReportMetadata {
        &self.metadata
    }

    pub(super) fn policy_published(&self) -> &PolicyPublished {
        &self.policy_published
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn defects(&self) -> &Defects {
        &self.defects
    }

    pub(super) fn into_parts(self) -> (ReportMetadata, PolicyPublished, Defects) {
        (self.metadata, self.policy_published, self.defects)
    }

    /// Whether the root element was found.
    pub(super) fn has_begun(&self) -> bool {
        !self.open.is_empty()
    }

    #[cold]
    pub(super) fn defect(&mut self, defect: Defect, element: Element, offset: u64) {
        self.defects.add(defect, element, offset);
    }

    #[cold]
    pub(super) fn note(&mut self, defect: Defect, element: Element) {
        self.defects.add(defect, element, self.offset);
    }

    fn top(&self) -> Element {
        self.open.last().map_or(Element::Other, |open| open.element)
    }

    /// Goes on by one token.
    #[inline]
    pub(super) fn take(&mut self, token: &Token, tokens: &Tokens<'_>) -> Result<Step, ReadError> {
        match token {
            Token::Text(range) => {
                let element = self.top();
                if element.is_leaf() {
                    let octets = tokens.octets(range.clone());
                    if octets.first() == Some(&b'<') {
                        self.offset = tokens.offset();
                        self.note(Defect::StrayLessThan, element);
                        self.text.verbatim(octets);
                    } else if !self.text.escaped(octets) {
                        self.offset = tokens.offset();
                        self.note(Defect::UnknownEntity, element);
                    }
                }
            }
            Token::Verbatim(range) => {
                if self.top().is_leaf() {
                    self.text.verbatim(tokens.octets(range.clone()));
                }
            }
            Token::Start {
                name,
                attributes,
                is_empty,
            } => {
                self.offset = tokens.offset();
                let name = tokens.octets(name.clone());
                if self.open.is_empty() {
                    self.begin(name, tokens.octets(attributes.clone()));
                } else {
                    self.start(name)?;
                }
                if *is_empty && !self.open.is_empty() {
                    return self.close();
                }
            }
            Token::End(name) => {
                self.offset = tokens.offset();
                return self.end(tokens.octets(name.clone()));
            }
            Token::EndOfDocument => {}
        }
        Ok(Step::Next)
    }

    /// The root element, or something before it.
    fn begin(&mut self, name: &[u8], attributes: &[u8]) {
        let (name, prefix) = split_prefix(name);
        if name != b"feedback" {
            self.note(Defect::NotRoot, Element::Other);
            return;
        }
        self.prefix.extend_from_slice(prefix);
        if memmem::find(attributes, NAMESPACE).is_some() {
            self.form = Form::Rfc9990;
        }
        self.open.push(Open {
            element: Element::Feedback,
            name: 0,
        });
    }

    /// An element below the root.
    #[inline]
    fn start(&mut self, full_name: &[u8]) -> Result<(), ReadError> {
        if self.open.len() >= self.depth {
            return Err(ReadError::Limit {
                what: Exceeded::Depth,
                offset: self.offset,
            });
        }
        let parent = self.top();
        let (name, prefix) = split_prefix(full_name);
        // RFC 9990 §5: "If a processor is unable to handle an extension in a report, it SHOULD ignore the data and continue to the next
        // extension."
        let element = if prefix.is_empty() || prefix == self.prefix {
            parent.child(name)
        } else {
            Element::Other
        };
        let open = Open {
            element,
            name: self.names.len(),
        };
        self.open.push(open);
        match element {
            Element::Other => self.names.extend_from_slice(full_name),
            element if element.is_leaf() => self.text.clear(),
            element => self.start_group(element)?,
        }
        Ok(())
    }

    fn start_group(&mut self, element: Element) -> Result<(), ReadError> {
        match element {
            Element::Record => {
                if self.rows >= self.max_rows {
                    return Err(ReadError::Limit {
                        what: Exceeded::Rows,
                        offset: self.offset,
                    });
                }
                self.rows += 1;
                self.seen.forget(&OF_RECORD);
                self.seen.forget(&OPTIONAL_IN_RECORD);
                self.empty_row();
            }
            Element::Row | Element::Identifiers | Element::AuthResults => self.saw(element),
            Element::Reason => self.reason = no_reason(),
            Element::Dkim => {
                self.seen.forget(&OF_DKIM);
                self.seen.forget(&OPTIONAL_IN_RESULTS);
                let result = DkimAuthResult {
                    domain: self.spare.pop().unwrap_or_default(),
                    selector: None,
                    result: DkimResult::Neutral,
                    human_result: None,
                };
                self.row.auth_results.dkim.push(result);
            }
            Element::Spf => {
                self.seen.forget(&OF_SPF);
                self.seen.forget(&OPTIONAL_IN_RESULTS);
                let result = SpfAuthResult {
                    domain: self.spare.pop().unwrap_or_default(),
                    scope: None,
                    result: SpfResult::Neutral,
                    human_result: None,
                };
                self.row.auth_results.spf.push(result);
            }
            _ => {}
        }
        Ok(())
    }

    /// The end of an element of this name, and of all that was left open in it.
    #[inline]
    fn end(&mut self, full_name: &[u8]) -> Result<Step, ReadError> {
        let (name, _) = split_prefix(full_name);
        let is_it = |open: &Open, names: &[u8]| match open.element {
            Element::Other => names.get(open.name..) == Some(full_name),
            element => element.name().as_bytes() == name,
        };
        if self
            .open
            .last()
            .is_some_and(|open| is_it(open, &self.names))
        {
            return self.close();
        }
        // An element of the schema that is open further down. Others are not looked for: their ends mean nothing.
        let found = self.open.iter().rposition(|open| {
            open.element != Element::Other && open.element.name().as_bytes() == name
        });
        let Some(found) = found else {
            let element = self.top();
            if !self.open.is_empty() {
                self.note(Defect::StrayEnd, element);
            }
            return Ok(Step::Next);
        };
        let mut step = Step::Next;
        while self.open.len() > found {
            if self.open.len() > found + 1 {
                let element = self.top();
                self.note(Defect::NotClosed, element);
            }
            step = self.close()?;
        }
        Ok(step)
    }

    /// The end of the element that is open.
    #[inline]
    fn close(&mut self) -> Result<Step, ReadError> {
        let Some(open) = self.open.pop() else {
            return Ok(Step::Next);
        };
        match open.element {
            Element::Other => self.names.truncate(open.name),
            Element::Record => {
                let is_usable = self.end_record();
                return Ok(if is_usable { Step::Row } else { Step::Next });
            }
            Element::Feedback => {
                self.end_report()?;
                return Ok(Step::End);
            }
            Element::Reason => self.end_reason(),
            Element::Dkim => self.end_dkim(),
            Element::Spf => self.end_spf(),
            element if element.is_leaf() => self.leaf(element),
            _ => {}
        }
        Ok(Step::Next)
    }

    /// Whether the record can be used.
    fn end_record(&mut self) -> bool {
        if !self.seen.has(Element::SourceIp) || !self.seen.has(Element::Count) {
            self.note(Defect::RecordLeftOut, Element::Record);
            return false;
        }
        for element in OF_RECORD {
            if !self.seen.has(element) {
                self.note(Defect::Missing, element);
            }
        }
        true
    }

    fn end_report(&mut self) -> Result<(), ReadError> {
        let what_it_is_about = [Element::Begin, Element::End, Element::PolicyDomain];
        if self.rows == 0
            && !what_it_is_about
                .iter()
                .any(|element| self.seen.has(*element))
        {
            return Err(ReadError::Empty);
        }
        for element in OF_REPORT {
            if !self.seen.has(element) {
                self.note(Defect::Missing, element);
            }
        }
        // RFC 9990 §3.1.1.2: "There MUST be at least one "record" element"
        if self.rows == 0 {
            self.note(Defect::Missing, Element::Record);
        }
        Ok(())
    }

    fn end_reason(&mut self) {
        if !self.seen.has(Element::ReasonType) && self.reason.comment.is_none() {
            self.note(Defect::Empty, Element::Reason);
        } else if self.row.policy_evaluated.reasons.len() < self.max_results {
            if !self.seen.has(Element::ReasonType) {
                self.note(Defect::Missing, Element::ReasonType);
            }
            let reason = core::mem::replace(&mut self.reason, no_reason());
            self.row.policy_evaluated.reasons.push(reason);
        } else {
            self.note(Defect::TooMany, Element::Reason);
        }
        self.seen.forget(&[Element::ReasonType]);
    }

    fn end_dkim(&mut self) {
        // RFC 7489 let the selector be left out.
        let wanted = match self.form {
            Form::Rfc9990 => OF_DKIM.as_slice(),
            Form::Rfc7489 => &[Element::DkimDomain, Element::DkimResult],
        };
        for element in wanted {
            if !self.seen.has(*element) {
                self.note(Defect::Missing, *element);
            }
        }
        if self.row.auth_results.dkim.len() > self.max_results {
            self.row.auth_results.dkim.pop();
            self.note(Defect::TooMany, Element::Dkim);
        }
    }

    fn end_spf(&mut self) {
        for element in OF_SPF {
            if !self.seen.has(element) {
                self.note(Defect::Missing, element);
            }
        }
        if self.row.auth_results.spf.len() > self.max_results {
            self.row.auth_results.spf.pop();
            self.note(Defect::TooMany, Element::Spf);
        }
        // RFC 9990 §3.1.1.11 has zero or one; RFC 7489 had several.
        if self.form == Form::Rfc9990 && self.row.auth_results.spf.len() == 2 {
            self.note(Defect::Repeated, Element::Spf);
        }
    }
}

pub(super) fn empty_row() -> Row {
    Row {
        source_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        count: 0,
        policy_evaluated: PolicyEvaluated {
            disposition: ActionDisposition::None,
            dkim: DmarcAlignment::Fail,
            spf: DmarcAlignment::Fail,
            reasons: Vec::new(),
        },
        identifiers: Identifiers::default(),
        auth_results: AuthResults::default(),
    }
}

fn no_reason() -> OverrideReason {
    OverrideReason {
        kind: PolicyOverride::Other,
        comment: None,
    }
}
