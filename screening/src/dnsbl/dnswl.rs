//! What white lists say, for Authentication-Results.

use core::fmt;

use mail_syntax::authentication_results::{self, Keyword, Method, MethodResult, Ptype};

use super::{Outcome, Row, Verdict};

impl Verdict {
    /// What each white list of addresses says, for the field Authentication-Results: the method `dnswl`, which RFC 8904 registers.
    ///
    /// A white list is one whose weight is negative. One that was not asked has no result.
    ///
    /// | outcome | result |
    /// |---|---|
    /// | [`Listed`](Outcome::Listed) | `pass`, with its codes as `policy.ip` and its reason, if it was asked for, as `policy.txt` |
    /// | [`NotListed`](Outcome::NotListed), [`OtherCodes`](Outcome::OtherCodes) | `none` |
    /// | [`Failed`](Outcome::Failed) | `temperror` |
    /// | [`ListError`](Outcome::ListError), [`NotAList`](Outcome::NotAList) | `permerror`, with what it answered as `policy.ip` |
    pub fn dnswl_results(&self) -> impl Iterator<Item = MethodResult> {
        self.lists.iter().filter_map(Row::dnswl_result)
    }
}

impl Row {
    fn dnswl_result(&self) -> Option<MethodResult> {
        if self.list.weight >= 0 || self.list.subject.is_name() {
            return None;
        }
        let (outcome, codes): (_, &[_]) = match &self.outcome {
            Outcome::Listed { codes, .. } => (authentication_results::Outcome::Pass, codes),
            Outcome::NotListed | Outcome::OtherCodes(_) => {
                (authentication_results::Outcome::None, &[])
            }
            Outcome::Failed(_) => (authentication_results::Outcome::TempError, &[]),
            Outcome::ListError(answer) | Outcome::NotAList(answer) => (
                authentication_results::Outcome::PermError,
                core::slice::from_ref(answer),
            ),
            Outcome::NotAsked(_) => return None,
        };
        let mut result = MethodResult::new(Method::Dnswl, outcome);
        let mut add = |ptype, property: &str, value: &dyn fmt::Display| {
            let property: Result<Keyword, _> = property.parse();
            if let Ok(property) = property {
                result.add_property(ptype, property, &value.to_string());
            }
        };
        add(Ptype::Dns, "zone", &self.list.zone);
        if !codes.is_empty() {
            let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
            add(Ptype::Policy, "ip", &codes.join(","));
        }
        if let Outcome::Listed {
            reason: Some(reason),
            ..
        } = &self.outcome
        {
            add(Ptype::Policy, "txt", reason);
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use mail_dns::{Failure, Name};
    use mail_syntax::authentication_results::AuthenticationResults;

    use super::super::{List, NotAsked, Subject};
    use super::*;

    fn row(weight: i32, subject: Subject, outcome: Outcome) -> Row {
        let zone: Name = "list.example".parse().unwrap();
        Row {
            list: List::of(subject, zone, weight),
            outcome,
            points: 0,
        }
    }

    #[test]
    fn each_outcome_has_its_result() {
        let code = |last| [127, 0, 10, last].into();
        let listed = |reason: Option<&str>| Outcome::Listed {
            codes: vec![code(0), code(1)],
            reason: reason.map(str::to_owned),
        };
        let white = |outcome| row(-2, Subject::Address, outcome);
        for (row, expected) in [
            (
                white(listed(None)),
                "dnswl=pass dns.zone=list.example policy.ip=\"127.0.10.0,127.0.10.1\"",
            ),
            (
                white(listed(Some("a shop; dkim=pass\r\nX: y"))),
                "dnswl=pass dns.zone=list.example policy.ip=\"127.0.10.0,127.0.10.1\" policy.txt=\"a shop; dkim=pass??X: y\"",
            ),
            (
                white(Outcome::NotListed),
                "dnswl=none dns.zone=list.example",
            ),
            (
                white(Outcome::OtherCodes(vec![code(9)])),
                "dnswl=none dns.zone=list.example",
            ),
            (
                white(Outcome::Failed(Failure::Timeout)),
                "dnswl=temperror dns.zone=list.example",
            ),
            (
                white(Outcome::ListError([127, 255, 255, 254].into())),
                "dnswl=permerror dns.zone=list.example policy.ip=127.255.255.254",
            ),
            (
                white(Outcome::NotAList([192, 0, 2, 1].into())),
                "dnswl=permerror dns.zone=list.example policy.ip=192.0.2.1",
            ),
            (white(Outcome::NotAsked(NotAsked::NotKnown)), "none"),
            (row(2, Subject::Address, listed(None)), "none"),
            (row(-2, Subject::MailFrom, listed(None)), "none"),
        ] {
            let verdict = Verdict {
                score: 0,
                over_threshold: false,
                lists: vec![row],
            };
            let mut results = AuthenticationResults::new("mx.example.org");
            for result in verdict.dnswl_results() {
                results.push(result);
            }
            let printed = results.to_string();
            assert_eq!(printed, format!("mx.example.org; {expected}"));
            assert_eq!(
                AuthenticationResults::parse(printed.as_bytes()),
                Ok(results)
            );
        }
    }
}
