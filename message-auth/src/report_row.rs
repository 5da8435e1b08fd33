//! What is told of a message to the owner of its domain (RFC 9990).

use dmarc::reports::{
    ActionDisposition, AuthResults, DkimAuthResult, DmarcAlignment, Identifiers, PolicyEvaluated,
    Row, SpfAuthResult, SpfScope,
};
use dmarc::{Disposition, DmarcResult};

use crate::verdict::Verdict;

impl Verdict {
    /// The row for the aggregate report about this message, counted once, or `None` where no DMARC record is in force or the result is not
    /// known: of such a message there is nothing to report.
    ///
    /// The disposition is the one advised: a server that does something else says so in `policy_evaluated`, with its reason. The domain of
    /// the recipient (`envelope_to`) is left out; it is told only if the server adds it. Signatures that passed come first; no row has more
    /// than [`Row::MAX_SIGNATURES`].
    #[must_use]
    pub fn report_row(&self) -> Option<Row> {
        let dmarc = &self.dmarc;
        let author = dmarc.author_domain.as_ref()?;
        dmarc.record.as_ref()?;
        if !matches!(dmarc.result, DmarcResult::Pass | DmarcResult::Fail) {
            return None;
        }
        let alignment = |passed: bool| match passed {
            true => DmarcAlignment::Pass,
            false => DmarcAlignment::Fail,
        };
        let sender = self.inbound.mail_from.mailbox();
        let sender = sender.map_or(Some(String::new()), |mailbox| {
            mailbox.domain().map(ToString::to_string)
        });
        Some(Row {
            source_ip: self.inbound.client_ip.to_canonical(),
            count: 1,
            policy_evaluated: PolicyEvaluated {
                disposition: self.action(),
                dkim: alignment(dmarc.aligned_dkim().is_some()),
                spf: alignment(dmarc.aligned_spf().is_some()),
                reasons: self.overrides.clone(),
            },
            identifiers: Identifiers {
                header_from: author.to_string(),
                envelope_from: sender,
                envelope_to: None,
            },
            auth_results: AuthResults {
                dkim: self.dkim_auth_results(),
                spf: self.spf_auth_result().into_iter().collect(),
            },
        })
    }

    /// RFC 9990, ActionDispositionType: "pass" is "No action, passing DMARC w/enforcing policy".
    fn action(&self) -> ActionDisposition {
        let enforcing = self.dmarc.policy.is_some_and(|policy| {
            let test_mode = self
                .dmarc
                .record
                .as_ref()
                .is_some_and(|record| record.test_mode);
            policy.disposition(test_mode) != Disposition::None
        });
        match self.dmarc.result {
            DmarcResult::Pass if enforcing => ActionDisposition::Pass,
            _ => self.disposition.into(),
        }
    }

    fn dkim_auth_results(&self) -> Vec<DkimAuthResult> {
        let result = |signature: &dkim::SignatureVerdict| {
            use dkim::DkimResult as From;
            use dmarc::reports::DkimResult as To;
            Some(DkimAuthResult {
                domain: signature.domain.as_ref()?.to_string(),
                selector: Some(signature.selector.as_ref()?.to_string()),
                result: match signature.result {
                    From::None => To::None,
                    From::Pass => To::Pass,
                    From::Fail => To::Fail,
                    From::Policy => To::Policy,
                    From::Neutral => To::Neutral,
                    From::TempError => To::TempError,
                    From::PermError => To::PermError,
                },
                human_result: Some(signature.cause.to_string())
                    .filter(|_| signature.result != From::Pass),
            })
        };
        let mut results: Vec<_> = self.dkim.signatures.iter().filter_map(result).collect();
        // RFC 9990 §3.1.3: "A report SHOULD contain no more than 100 signatures for a given "row", in decreasing priority."
        results.sort_by_key(|signature| signature.result != dmarc::reports::DkimResult::Pass);
        results.truncate(Row::MAX_SIGNATURES);
        results
    }

    fn spf_auth_result(&self) -> Option<SpfAuthResult> {
        use dmarc::reports::SpfResult as To;
        use spf::SpfResult as From;
        let spf = &self.spf_mail_from;
        Some(SpfAuthResult {
            domain: spf.domain.as_ref()?.to_string(),
            scope: Some(SpfScope::MailFrom),
            result: match spf.result {
                From::None => To::None,
                From::Neutral => To::Neutral,
                From::Pass => To::Pass,
                From::Fail => To::Fail,
                From::SoftFail => To::SoftFail,
                From::TempError => To::TempError,
                From::PermError => To::PermError,
            },
            human_result: Some(spf.cause.to_string()).filter(|_| spf.result != From::Pass),
        })
    }
}
