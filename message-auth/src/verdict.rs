//! What the evaluation comes to, and the fields that tell it.

use dkim::{DkimResult, SignatureVerdict};
use dmarc::{Disposition, DmarcResult, OverrideReason};
use mail_dns::Question;
use mail_syntax::Domain;
use mail_syntax::authentication_results::{
    AuthenticationResults, Keyword, Method, MethodResult, Outcome, Ptype,
};
use mail_syntax::folding::FoldError;
use screening::iprev;
use spf::ReceivedSpf;

use crate::message_auth::Inbound;
use crate::questions::Answered;

/// The most signatures that Authentication-Results tells of.
const MAX_SIGNATURES: usize = 20;
/// The octets of `b=` that tell signatures apart (RFC 6008 §4).
const MIN_B: usize = 8;

/// What one message came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What was handed in.
    pub inbound: Inbound,
    /// What is advised: what DMARC advises, or less for a reason in [`Verdict::overrides`]. Local policy decides. For a temporary error it
    /// is none: whether such mail is deferred is local policy too.
    pub disposition: Disposition,
    /// SPF of the MAIL FROM identity, for a null reverse-path `postmaster@` and the HELO name: the one that DMARC takes.
    pub spf_mail_from: spf::Verdict,
    /// SPF of the HELO identity.
    pub spf_helo: spf::Verdict,
    /// DKIM.
    pub dkim: dkim::Verdict,
    /// ARC.
    pub arc: dkim::arc::Verdict,
    /// DMARC.
    pub dmarc: dmarc::Verdict,
    /// Why less is advised than the record's policy: its own test mode (`t=y`), or a chain of trusted sealers. Empty if nothing is less.
    pub overrides: Vec<OverrideReason>,
    /// Whether the client's address has a name that leads back to it.
    pub iprev: iprev::Verdict,
    /// Everything that was asked, in order, each question once.
    pub questions: Vec<Question>,
    /// What was answered, in the order in which the answers came: with the message, all that this verdict was made from.
    pub answers: Vec<Answered>,
}

impl Verdict {
    /// The field to be put on top of the message (RFC 8601): its name, folded body and CRLF.
    ///
    /// It goes above all fields that were there, and those that claim to come from this server must have been removed before.
    ///
    /// # Errors
    /// If the authserv-id is too long for a line, which no domain name is. Nothing that a sender chose can be: values are cut to 320
    /// octets, reasons and comments to 255.
    // RFC 8601 §4: "An MTA MUST NOT add a result to an existing header field." So this is always a field of its own.
    pub fn authentication_results(&self) -> Result<String, FoldError> {
        self.results().to_field()
    }

    /// The Received-SPF field of the MAIL FROM identity (RFC 7208 §9.1): its name, folded body and CRLF.
    ///
    /// # Errors
    /// If a value is too long for a line.
    pub fn received_spf(&self) -> Result<String, FoldError> {
        let client = spf::Client::new(self.inbound.client_ip, self.inbound.helo.as_str());
        ReceivedSpf::new(&self.spf_mail_from, &client, &self.inbound.authserv_id).to_field()
    }

    /// The results one by one, for [`Verdict::authentication_results`] or for adding further ones.
    #[must_use]
    pub fn results(&self) -> AuthenticationResults {
        let mut results = AuthenticationResults::new(&self.inbound.authserv_id);
        results.push(spf_result(
            &self.spf_mail_from,
            "mailfrom",
            self.mail_from(),
        ));
        results.push(spf_result(
            &self.spf_helo,
            "helo",
            host_name(&self.inbound.helo),
        ));
        for result in self.dkim_results() {
            results.push(result);
        }
        results.push(self.arc_result());
        results.push(self.dmarc_result());
        results.push(self.iprev_result());
        results
    }

    /// The identity as far as SPF looked at it.
    fn mail_from(&self) -> Option<String> {
        // RFC 7208 §2.4: of a null reverse-path the identity is postmaster@ and the HELO name, and so the verdict has it.
        let sender = self.spf_mail_from.sender.as_str();
        let (local_part, domain) = sender.rsplit_once('@').unwrap_or(("", sender));
        let domain = match self.inbound.mail_from.mailbox() {
            Some(_) => domain.to_owned(),
            None => host_name(domain)?,
        };
        // RFC 8601 §2.7.2: "If the retrieved sender policies used to evaluate SPF do not contain explicit provisions for authenticating the
        // local-part (see Section 3.4.1 of [MAIL]) of an address, the "pvalue" reported along with results for this mechanism SHOULD NOT
        // include the local-part or the following "@" character."
        Some(match self.spf_mail_from.uses_local_part {
            true => format!("{local_part}@{domain}"),
            false => domain,
        })
    }

    fn dkim_results(&self) -> Vec<MethodResult> {
        let judged =
            |signature: &&SignatureVerdict| signature.cause != dkim::Cause::TooManySignatures;
        let mut signatures: Vec<&SignatureVerdict> =
            self.dkim.signatures.iter().filter(judged).collect();
        // Those that pass first: however many others there are, they are told.
        signatures.sort_by_key(|signature| signature.result != DkimResult::Pass);
        signatures.truncate(MAX_SIGNATURES);
        let b_values: Vec<String> = signatures
            .iter()
            .filter_map(|signature| signature.b())
            .collect();
        if signatures.is_empty() {
            return vec![MethodResult::new(Method::Dkim, outcome(self.dkim.result()))];
        }
        let result = |signature: &&SignatureVerdict| signature_result(signature, &b_values);
        signatures.iter().map(result).collect()
    }

    /// RFC 8617 §6: with the client's address, which a later sealer or reader cannot know.
    fn arc_result(&self) -> MethodResult {
        let mut result = self.arc.method_result();
        let address = self.inbound.client_ip.to_canonical().to_string();
        add(&mut result, Ptype::Smtp, "remote-ip", Some(address));
        result
    }

    fn dmarc_result(&self) -> MethodResult {
        let dmarc = &self.dmarc;
        let mut result = MethodResult::new(Method::Dmarc, outcome(dmarc.result));
        if !matches!(dmarc.result, DmarcResult::Pass | DmarcResult::Fail) {
            result = result.with_reason(&dmarc.cause.to_string());
        }
        // What the record itself lowers is in `policy.dmarc`.
        let by_us = |reason: &&OverrideReason| reason.kind != dmarc::PolicyOverride::PolicyTestMode;
        if let Some(reason) = self.overrides.iter().find(by_us) {
            result = result.with_comment(&format!("policy overridden: {}", reason.kind));
        }
        add(
            &mut result,
            Ptype::Header,
            "from",
            dmarc.author_domain.as_ref().map(ToString::to_string),
        );
        // RFC 9989 §9.1 registers policy.dmarc as the policy that is left when its options have been processed.
        let test_mode = dmarc.record.as_ref().is_some_and(|record| record.test_mode);
        let policy = dmarc
            .policy
            .map(|policy| policy.disposition(test_mode).to_string());
        add(&mut result, Ptype::Policy, "dmarc", policy);
        result
    }

    fn iprev_result(&self) -> MethodResult {
        let mut result = MethodResult::new(Method::Iprev, outcome(self.iprev.result));
        if let Some(name) = self.iprev.confirmed.first() {
            result = result.with_comment(name.to_string().trim_end_matches('.'));
        }
        add(
            &mut result,
            Ptype::Policy,
            "iprev",
            Some(self.iprev.address.to_string()),
        );
        result
    }
}

/// What a client calls itself. It says so before SMTPUTF8 can be agreed on, so that the message above which it is told may be ASCII: of U-labels
/// the A-labels, and nothing of other characters.
// RFC 8616 §4: "an IDN host name MUST be represented as A-labels."
fn host_name(name: &str) -> Option<String> {
    if name.is_ascii() {
        return Some(name.to_owned());
    }
    let domain = Domain::parse_utf8(name).ok()?.to_a_labels().ok()?;
    Some(domain.to_string())
}

/// RFC 8601 §2.7.2: the result of one identity, and the identity.
fn spf_result(verdict: &spf::Verdict, property: &str, identity: Option<String>) -> MethodResult {
    let mut result = MethodResult::new(Method::Spf, outcome(verdict.result));
    add(
        &mut result,
        Ptype::Smtp,
        property,
        identity.filter(|identity| !identity.is_empty()),
    );
    result
}

/// RFC 8601 §2.7.1 and RFC 6008: the result of one signature; `b_values` are those of all that are told.
fn signature_result(signature: &SignatureVerdict, b_values: &[String]) -> MethodResult {
    let mut result = MethodResult::new(Method::Dkim, outcome(signature.result));
    if signature.result != DkimResult::Pass {
        result = result.with_reason(&signature.cause.to_string());
    }
    if signature.testing {
        result = result.with_comment("key in test mode");
    }
    let identity = signature
        .signature
        .as_ref()
        .and_then(|signature| signature.identity());
    let b = signature.b().map(|b| distinct_prefix(&b, b_values));
    for (property, value) in [
        ("d", signature.domain.as_ref().map(ToString::to_string)),
        ("i", identity.map(ToString::to_string)),
        ("s", signature.selector.as_ref().map(ToString::to_string)),
        (
            "a",
            signature.algorithm.map(|algorithm| algorithm.to_string()),
        ),
        ("b", b),
    ] {
        add(&mut result, Ptype::Header, property, value);
    }
    result
}

/// The word of a result; all words of the four are registered.
fn outcome(result: impl ToString) -> Outcome {
    result.to_string().parse().unwrap_or(Outcome::None)
}

fn add(result: &mut MethodResult, ptype: Ptype, property: &str, value: Option<String>) {
    if let (Ok(property), Some(value)) = (property.parse::<Keyword>(), value) {
        // A line has room for it, quotes and all; what a client calls itself may be longer.
        let fits = |&(at, c): &(usize, char)| at + c.len_utf8() <= MAX_VALUE;
        let shown: String = value
            .char_indices()
            .take_while(fits)
            .map(|(_, c)| c)
            .collect();
        result.add_property(ptype, property, &shown);
    }
}

/// The most octets of a value: the longest mailbox (RFC 5321 §4.5.3.1) fits in.
const MAX_VALUE: usize = 320;

/// The first characters of `b=`: as many as make it another than all others (RFC 6008 §4).
fn distinct_prefix(b: &str, all: &[String]) -> String {
    let common = |other: &String| {
        b.bytes()
            .zip(other.bytes())
            .take_while(|(one, other)| one == other)
            .count()
    };
    let longest = all
        .iter()
        .filter(|other| *other != b)
        .map(common)
        .max()
        .unwrap_or(0);
    b.chars().take(MIN_B.max(longest + 1)).collect()
}
