//! Aggregate reports written as XML, valid by the schema of RFC 9990 Appendix A.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{
    AuthResults, DkimAuthResult, PolicyPublished, Report, ReportMetadata, Row, SpfAuthResult,
    SpfScope,
};
use crate::{AlignmentMode, Policy};

/// The namespace of RFC 9990 §6.1.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:dmarc-2.0";

/// Writes a report row by row, so that it need not be held whole.
///
/// ```
/// use dmarc::reports::ReportWriter;
/// # let (metadata, policy, row) = {
/// #     let report = include_bytes!("../../tests/reports/rfc9990_appendix_b.xml");
/// #     let (report, _) = dmarc::reports::Report::read(report, &Default::default())?;
/// #     (report.metadata, report.policy_published, report.rows[0].clone())
/// # };
/// let mut writer = ReportWriter::new(Vec::new(), &metadata, &policy)?;
/// writer.row(&row)?;
/// let xml = writer.finish()?;
/// assert!(xml.starts_with(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ReportWriter<W: Write> {
    out: W,
}

impl<W: Write> ReportWriter<W> {
    /// Writes what stands before the rows.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(out: W, metadata: &ReportMetadata, policy: &PolicyPublished) -> io::Result<Self> {
        let mut writer = Self { out };
        // RFC 9990 §3.1.1.1: "DMARC aggregate feedback reports have the root element "feedback" with its XML namespace set to the DMARC
        // namespace."
        write!(
            writer.out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback xmlns=\"{NAMESPACE}\">\n"
        )?;
        // RFC 9990 §3.1.1.2: "The elements in this table MUST appear in the order listed."
        writer.leaf(1, "version", "1.0")?;
        writer.metadata(metadata)?;
        writer.policy(policy)?;
        Ok(writer)
    }

    /// Writes one row.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn row(&mut self, row: &Row) -> io::Result<()> {
        self.begin(1, "record")?;
        self.begin(2, "row")?;
        self.leaf(3, "source_ip", &row.source_ip.to_string())?;
        self.leaf(3, "count", &row.count.to_string())?;
        self.begin(3, "policy_evaluated")?;
        // RFC 9990 §3.1.1.9: "The elements in this table MUST appear in the order listed."
        let evaluated = &row.policy_evaluated;
        self.leaf(4, "disposition", evaluated.disposition.as_str())?;
        self.leaf(4, "dkim", evaluated.dkim.as_str())?;
        self.leaf(4, "spf", evaluated.spf.as_str())?;
        for reason in &evaluated.reasons {
            self.begin(4, "reason")?;
            self.leaf(5, "type", &reason.kind.to_string())?;
            self.optional(5, "comment", reason.comment.as_deref())?;
            self.end(4, "reason")?;
        }
        self.end(3, "policy_evaluated")?;
        self.end(2, "row")?;
        self.begin(2, "identifiers")?;
        let identifiers = &row.identifiers;
        self.leaf(3, "header_from", &identifiers.header_from)?;
        self.optional(3, "envelope_from", identifiers.envelope_from.as_deref())?;
        self.optional(3, "envelope_to", identifiers.envelope_to.as_deref())?;
        self.end(2, "identifiers")?;
        self.auth_results(&row.auth_results)?;
        self.end(1, "record")
    }

    /// Writes what stands behind the rows, of which there must be one at least, and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(b"</feedback>\n")?;
        Ok(self.out)
    }

    fn metadata(&mut self, metadata: &ReportMetadata) -> io::Result<()> {
        self.begin(1, "report_metadata")?;
        self.leaf(2, "org_name", &metadata.org_name)?;
        self.leaf(2, "email", &metadata.email)?;
        self.optional(
            2,
            "extra_contact_info",
            metadata.extra_contact_info.as_deref(),
        )?;
        self.leaf(2, "report_id", &metadata.report_id)?;
        self.begin(2, "date_range")?;
        self.leaf(3, "begin", &metadata.date_range.begin.to_string())?;
        self.leaf(3, "end", &metadata.date_range.end.to_string())?;
        self.end(2, "date_range")?;
        if !metadata.errors.is_empty() {
            self.leaf(2, "error", &metadata.errors.join("\n"))?;
        }
        self.optional(2, "generator", metadata.generator.as_deref())?;
        self.end(1, "report_metadata")
    }

    fn policy(&mut self, policy: &PolicyPublished) -> io::Result<()> {
        let word = |policy: Policy| match policy {
            Policy::None => "none",
            Policy::Quarantine => "quarantine",
            Policy::Reject => "reject",
        };
        let mode = |mode: AlignmentMode| match mode {
            AlignmentMode::Relaxed => "r",
            AlignmentMode::Strict => "s",
        };
        self.begin(1, "policy_published")?;
        self.leaf(2, "domain", &policy.domain)?;
        let method = policy.discovery_method.map(super::DiscoveryMethod::as_str);
        self.optional(2, "discovery_method", method)?;
        self.leaf(2, "p", word(policy.p.unwrap_or(Policy::None)))?;
        self.optional(2, "sp", policy.sp.map(word))?;
        self.optional(2, "np", policy.np.map(word))?;
        self.optional(2, "fo", policy.fo.as_deref())?;
        self.optional(2, "adkim", policy.adkim.map(mode))?;
        self.optional(2, "aspf", policy.aspf.map(mode))?;
        let testing = policy
            .testing
            .map(|testing| if testing { "y" } else { "n" });
        self.optional(2, "testing", testing)?;
        self.end(1, "policy_published")
    }

    fn auth_results(&mut self, results: &AuthResults) -> io::Result<()> {
        // RFC 9990 §3.1.1.11: "The elements in this table MUST appear in the order listed."
        self.begin(2, "auth_results")?;
        for dkim in results.dkim.iter().take(Row::MAX_SIGNATURES) {
            self.dkim(dkim)?;
        }
        // RFC 9990 §3.1.1.13: "Only the "MAIL FROM" identity (see Section 2.4 of [RFC7208]) is used in DMARC."
        let mut spf = results.spf.iter();
        if let Some(spf) = spf.find(|spf| spf.scope != Some(SpfScope::Helo)) {
            self.spf(spf)?;
        }
        self.end(2, "auth_results")
    }

    fn dkim(&mut self, dkim: &DkimAuthResult) -> io::Result<()> {
        self.begin(3, "dkim")?;
        self.leaf(4, "domain", &dkim.domain)?;
        self.leaf(4, "selector", dkim.selector.as_deref().unwrap_or_default())?;
        self.leaf(4, "result", dkim.result.as_str())?;
        self.optional(4, "human_result", dkim.human_result.as_deref())?;
        self.end(3, "dkim")
    }

    fn spf(&mut self, spf: &SpfAuthResult) -> io::Result<()> {
        self.begin(3, "spf")?;
        self.leaf(4, "domain", &spf.domain)?;
        self.optional(4, "scope", spf.scope.map(SpfScope::as_str))?;
        self.leaf(4, "result", spf.result.as_str())?;
        self.optional(4, "human_result", spf.human_result.as_deref())?;
        self.end(3, "spf")
    }

    fn indent(&mut self, depth: usize) -> io::Result<()> {
        const SPACES: &[u8] = b"            ";
        self.out
            .write_all(SPACES.get(..2 * depth).unwrap_or(SPACES))
    }

    fn begin(&mut self, depth: usize, name: &str) -> io::Result<()> {
        self.indent(depth)?;
        writeln!(self.out, "<{name}>")
    }

    fn end(&mut self, depth: usize, name: &str) -> io::Result<()> {
        self.indent(depth)?;
        writeln!(self.out, "</{name}>")
    }

    fn optional(&mut self, depth: usize, name: &str, text: Option<&str>) -> io::Result<()> {
        text.map_or(Ok(()), |text| self.leaf(depth, name, text))
    }

    fn leaf(&mut self, depth: usize, name: &str, text: &str) -> io::Result<()> {
        self.indent(depth)?;
        write!(self.out, "<{name}>")?;
        self.text(text)?;
        writeln!(self.out, "</{name}>")
    }

    /// Text in which nothing is markup, and nothing that XML cannot have.
    fn text(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some(at) = rest.find(needs_escape) {
            let (before, from) = rest.split_at(at);
            self.out.write_all(before.as_bytes())?;
            let mut characters = from.chars();
            let escaped = match characters.next() {
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('&') => "&amp;",
                Some('\r') => "&#13;",
                // XML 1.0 has no other control characters, not even escaped.
                _ => "\u{fffd}",
            };
            self.out.write_all(escaped.as_bytes())?;
            rest = characters.as_str();
        }
        self.out.write_all(rest.as_bytes())
    }
}

fn needs_escape(character: char) -> bool {
    match character {
        '<' | '>' | '&' => true,
        '\t' | '\n' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        character => character < ' ',
    }
}

impl Report {
    /// Writes the report as XML.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_xml<W: Write>(&self, out: W) -> io::Result<W> {
        let mut writer = ReportWriter::new(out, &self.metadata, &self.policy_published)?;
        for row in &self.rows {
            writer.row(row)?;
        }
        writer.finish()
    }

    /// The report as XML.
    #[must_use]
    pub fn to_xml(&self) -> Vec<u8> {
        // A Vec takes whatever is written.
        self.write_xml(Vec::new()).unwrap_or_default()
    }

    /// The report as XML in gzip, which is how it travels. The same report gives the same octets: there is no time in them.
    #[must_use]
    pub fn to_gzip(&self) -> Vec<u8> {
        let gzip = GzEncoder::new(Vec::new(), Compression::default());
        let gzip = self.write_xml(gzip).and_then(GzEncoder::finish);
        gzip.unwrap_or_default()
    }
}
