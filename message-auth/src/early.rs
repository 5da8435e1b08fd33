//! What DMARC will ask if SPF or DKIM pass, asked before that is known: so its questions share their rounds.

use std::collections::VecDeque;

use dmarc::tree_walk::{MAX_QUERIES, domains, record_name, shared_labels};
use mail_dns::{Name, Question, RecordType};
use mail_syntax::Domain;

/// The most questions that are asked early; those of one walk (RFC 9989 §4.10).
pub(crate) const MAX_EARLY: usize = MAX_QUERIES;

/// The questions of the walks from these identifiers that the walk from the Author Domain does not ask anyway.
///
/// Only of domains that look as if they were the author's, by two labels in common: of others the walk is seldom needed.
pub(crate) fn walks(
    author: &Domain,
    identifiers: impl Iterator<Item = Domain>,
) -> VecDeque<Question> {
    let Ok(author) = author.to_a_labels() else {
        return VecDeque::new();
    };
    let mut asked = domains(&author);
    let mut questions = VecDeque::new();
    for identifier in identifiers.filter_map(|identifier| identifier.to_a_labels().ok()) {
        if shared_labels(&identifier, &author) < 2 {
            continue;
        }
        for domain in domains(&identifier) {
            if asked.contains(&domain) || questions.len() >= MAX_EARLY {
                continue;
            }
            questions.extend(record_name(&domain).map(|name| Question::new(name, RecordType::Txt)));
            asked.push(domain);
        }
    }
    questions
}

/// The domain whose key is asked for (RFC 6376 §3.6.2.1).
pub(crate) fn signing_domain(question: &Question) -> Option<Domain> {
    let is_key = |name: &Name| {
        name.labels()
            .next()
            .is_some_and(|label| label == b"_domainkey")
    };
    let domain = question.name.ancestors().find(is_key)?.parent()?;
    mail_domain(&domain)
}

/// The name as a domain of mail, if it is one.
pub(crate) fn mail_domain(name: &Name) -> Option<Domain> {
    core::str::from_utf8(&name.to_dotted()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(author: &str, identifiers: &[&str]) -> Vec<String> {
        let identifiers = identifiers
            .iter()
            .map(|identifier| Domain::parse_utf8(identifier).unwrap());
        let questions = walks(&Domain::parse_utf8(author).unwrap(), identifiers);
        questions
            .iter()
            .map(|question| question.name.to_string())
            .collect()
    }

    #[test]
    fn the_walks_of_kin_are_asked() {
        assert_eq!(
            asked("news.example.com", &["a.b.example.com"]),
            ["_dmarc.a.b.example.com", "_dmarc.b.example.com"]
        );
        assert_eq!(
            asked(
                "example.com",
                &["m.example.com", "M.Example.COM", "m.example.com"]
            ),
            ["_dmarc.m.example.com"]
        );
        assert_eq!(
            asked("b\u{fc}cher.example", &["m.xn--bcher-kva.example"]),
            ["_dmarc.m.xn--bcher-kva.example"]
        );
        for other in [
            "example.com",
            "a.news.example.org",
            "com",
            "news.example.com",
            "example.net",
        ] {
            let asked = asked("news.example.com", &[other]);
            assert!(asked.is_empty(), "{other}: {asked:?}");
        }
        let many: Vec<String> = (0..20)
            .map(|number| format!("n{number}.example.com"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(asked("example.com", &many).len(), MAX_EARLY);
    }

    #[test]
    fn the_name_of_a_key_tells_who_signed() {
        for (name, domain) in [
            ("s1._domainkey.example.com", Some("example.com")),
            ("a.b._domainkey.example.com", Some("example.com")),
            ("_domainkey", None),
            ("example.com", None),
        ] {
            let question = Question::new(name.parse().unwrap(), RecordType::Txt);
            assert_eq!(
                signing_domain(&question)
                    .map(|domain| domain.to_string())
                    .as_deref(),
                domain
            );
        }
    }
}
