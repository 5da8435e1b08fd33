//! Fields and zone files of strangers.

use dkim::diagnosis::{Diagnoser, Integrity, Limits};
use dkim::{DkimResult, Options, Verifier};
use mail_dns::{Name, Question, RecordType, Zone, resolve_blocking};
use mail_syntax::address_list::{AddressList, AuthorDomains};
use mail_syntax::authentication_results::{AuthenticationResults, NAME, claims, strip};
use mail_syntax::header::{self, Header};
use spf::ReceivedSpf;

use crate::authentication::{NOW, zone};

/// A Received-SPF field prints as one that reads the same, and so does the whole field when it is folded.
pub fn spf_received_spf(data: &[u8]) {
    let Ok(field) = String::from_utf8_lossy(data).parse::<ReceivedSpf>() else {
        return;
    };
    let printed = field.to_string();
    // What is printed may be longer than what may be read: a value is quoted.
    if printed.len() <= 8_192 {
        assert_eq!(printed.parse().as_ref(), Ok(&field), "{printed:?}");
    }
    let Ok(folded) = field.to_field() else {
        return;
    };
    assert!(folded.split("\r\n").all(|line| line.len() <= 998));
    let (_, body) = folded.split_once(':').expect("a field has a colon");
    let again = body.trim_end().parse::<ReceivedSpf>();
    if let Ok(again) = again {
        assert_eq!(again.result(), field.result(), "{folded:?}");
        assert!(again.pairs().eq(field.pairs()), "{folded:?}");
    }
}

/// An address list prints as one that reads the same; its authors are those of its mailboxes, and nobody is an author whom it does not name.
pub fn mail_syntax_from_author(data: &[u8]) {
    let authors = AuthorDomains::of_from(data);
    let Ok(list) = AddressList::parse(data) else {
        assert!(
            matches!(authors, AuthorDomains::Malformed(_)),
            "{authors:?}"
        );
        return;
    };
    let printed = list.to_string();
    assert_eq!(
        AddressList::parse(printed.as_bytes()).as_ref(),
        Ok(&list),
        "{printed:?}"
    );
    assert_eq!(
        AuthorDomains::of_from(printed.as_bytes()),
        authors,
        "{printed:?}"
    );
    let of_mailboxes = || {
        list.mailboxes()
            .filter_map(|mailbox| mailbox.addr_spec().domain())
    };
    match authors {
        AuthorDomains::None => assert_eq!(list.mailboxes().count(), 0),
        AuthorDomains::One(domain) => {
            assert_ne!(list.mailboxes().count(), 0);
            assert!(of_mailboxes().all(|other| other == domain), "{list}");
        }
        AuthorDomains::Several(domains) => {
            assert!(domains.len() > 1);
            assert!(
                domains
                    .iter()
                    .all(|domain| of_mailboxes().any(|other| other == *domain)),
                "{list}"
            );
        }
        // One whose domain is none.
        AuthorDomains::Malformed(_) => {
            assert!(of_mailboxes().count() < list.mailboxes().count(), "{list}");
        }
    }
}

/// Behind [`strip`] no field bears our name, however it is read, and everything else is there as it was.
pub fn authentication_results_strip(data: &[u8]) {
    let own = "mx.example.org";
    let Ok((header, _)) = Header::split(data, &header::Limits::default()) else {
        return;
    };
    let kept = strip(&header, own);
    let forged: usize = claims(&header, own).map(|field| field.raw().len()).sum();
    assert_eq!(kept.len() + forged, header.octets().len());
    // A last line that was cut off goes on with what is put behind it.
    if !kept.ends_with(b"\r\n") {
        return;
    }
    let whole = [&kept[..], b"\r\n"].concat();
    let Ok((header, _)) = Header::split(&whole, &header::Limits::default()) else {
        return;
    };
    assert_eq!(claims(&header, own).count(), 0, "{}", whole.escape_ascii());
    for field in header.named(NAME) {
        let body = String::from_utf8_lossy(field.body()).to_lowercase();
        let read = AuthenticationResults::parse(field.body());
        let id = read
            .ok()
            .and_then(|read| read.authserv_id().map(str::to_lowercase));
        assert_ne!(id.as_deref(), Some(own), "{body:?}");
        // What a reader sees who takes no notice of what is glued to a name.
        let after = body.trim_start().strip_prefix(own);
        let ends = |rest: &str| {
            !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "-._".contains(c))
        };
        assert!(!after.is_some_and(ends), "{body:?}");
    }
}

/// A zone file is read or refused at a line that it has; the same text is the same zone, and every name in it has an answer.
pub fn mail_dns_master_file(data: &[u8]) {
    let origin: Name = "example.com".parse().expect("a name");
    let lines = data.iter().filter(|octet| **octet == b'\n').count() + 1;
    match Zone::parse(data, &origin) {
        Err(error) => assert!((1..=lines).contains(&error.line), "{error}"),
        Ok(read) => {
            let again = Zone::parse(data, &origin).expect("it was read before");
            for kind in [
                RecordType::A,
                RecordType::Mx,
                RecordType::Txt,
                RecordType::Cname,
                RecordType::Ptr,
            ] {
                for name in ["example.com", "www.example.com", "a.b.example.com"] {
                    let question = Question::new(name.parse::<Name>().expect("a name"), kind);
                    let answer = read.answer(&question);
                    assert_eq!(again.answer(&question), answer, "{question}");
                    // What stands in the zone is printed as what reads the same.
                    for record in answer.records() {
                        let text = record.to_string();
                        let parsed = mail_dns::Record::parse(record.kind(), &text);
                        assert_eq!(parsed.as_ref(), Ok(record), "{text:?}");
                    }
                }
            }
        }
    }
}

/// A diagnosis has the results of the verifier, finds nothing wrong with what passes, and explains nothing whose hashes it did not see fit.
pub fn dkim_diagnosis(data: &[u8]) {
    let zone = zone();
    let mut limits = Limits::default();
    (limits.octets, limits.tries) = (1 << 20, 40);
    let diagnoser = Diagnoser::new(data, NOW, Options::default(), limits).expect("short enough");
    let diagnosis = resolve_blocking(diagnoser, |question| zone.answer(question));
    let mut verifier = Verifier::new(NOW, Options::default());
    verifier.write(data);
    verifier.finish();
    let verdict = resolve_blocking(verifier, |question| zone.answer(question));
    for signature in &diagnosis.signatures {
        if signature.result == DkimResult::Pass {
            let parts = (signature.body, signature.header);
            assert_eq!(parts, (Integrity::Intact, Integrity::Intact), "{signature}");
            assert!(signature.changes.is_empty(), "{signature}");
        }
        assert!(!signature.to_string().is_empty());
    }
    // Line ends that are mended first make other signatures of it; where there is nothing to mend the results are the verifier's.
    let count = |octet: u8| data.iter().filter(|it| **it == octet).count();
    let pairs = data.windows(2).filter(|pair| pair == b"\r\n").count();
    if (count(b'\r'), count(b'\n')) == (pairs, pairs) {
        let told: Vec<_> = diagnosis
            .signatures
            .iter()
            .map(|signature| signature.result)
            .collect();
        let verified: Vec<_> = verdict
            .signatures
            .iter()
            .map(|signature| signature.result)
            .collect();
        assert_eq!(told, verified);
    }
}
