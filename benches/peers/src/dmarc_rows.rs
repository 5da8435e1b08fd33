//! DMARC: a record alone, and an evaluation with three tree walks.

use core::hint::black_box;
use std::collections::HashMap;
use std::sync::Arc;

use dkim::{PrivateKey, SigningKey};
use dmarc::tree_walk::Published;
use dmarc::{Authentication, AuthorDomains, Config, Dmarc, DmarcResult, Record, Verdict};
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{AuthenticatedMessage, Parameters};
use mail_dns::{Evaluation, Name, Need, Question, RecordType, Zone};

use crate::message::{KEYS, message, signed};
use crate::race::Race;
use crate::zone::{Answers, Texts, answers, authenticator, judge, ready};

const RECORD: &str = "v=DMARC1; p=reject; sp=quarantine; adkim=r; aspf=r; fo=1; rua=mailto:dmarc@example.com,mailto:reports@example.net; \
    ruf=mailto:failures@example.com";

pub(crate) fn run() {
    Race::new(
        format!("DMARC record parsed, {} octets", RECORD.len()),
        "cut at semicolons",
        || black_box(RECORD).split(';').map(str::len).sum::<usize>(),
    )
    .with("ours", || {
        Record::parse(black_box(RECORD.as_bytes())).expect("a record")
    })
    .with("mail-auth", || {
        mail_auth::dmarc::Dmarc::parse(black_box(RECORD.as_bytes())).expect("a record")
    })
    .run();

    // The identifiers are there: the author news.example.com, SPF for another domain, DKIM for list.mail.example.com.
    let zone = Zone::new()
        .txt(
            "_dmarc.example.com",
            "v=DMARC1; p=reject; rua=mailto:dmarc@example.com",
        )
        .a("news.example.com", [192, 0, 2, 1]);
    let config = Config::default();
    let author = AuthorDomains::of_from(b"Joe <joe@news.example.com>");
    let (spf, dkim) = (
        "bounces.mail.example.net".parse().expect("a domain"),
        "list.mail.example.com".parse().expect("a domain"),
    );
    let evaluation = || {
        let mut dmarc = Dmarc::new(black_box(&author), &config);
        dmarc.spf(&spf, Authentication::Pass);
        dmarc.dkim(&dkim, Authentication::Pass);
        dmarc.no_more_identifiers();
        dmarc
    };
    let answers = answers(&zone, evaluation());
    assert_eq!(judge(&answers, evaluation()).result, DmarcResult::Pass);

    let published: HashMap<Question, Published> = answers
        .iter()
        .map(|(question, answer)| (question.clone(), Published::read(answer)))
        .collect();

    let pem = KEYS[1].1;
    let key = PrivateKey::from_pem(pem).expect("a key");
    let texts = Texts::default()
        .txt(
            "_dmarc.example.com",
            "v=DMARC1; p=reject; rua=mailto:dmarc@example.com",
        )
        .txt("bounces.mail.example.net", "v=spf1 +all")
        .txt(
            "s._domainkey.list.mail.example.com",
            &key.key_record().expect("a key").to_string(),
        );
    let key: Arc<dyn SigningKey> = Arc::new(key);
    let signed = signed("list.mail.example.com", &key, &message(2 << 10));
    let authenticator = authenticator();
    let message = AuthenticatedMessage::parse(&signed).expect("a message");
    let dkim_output =
        ready(authenticator.verify_dkim(Parameters::new(&message).with_txt_cache(&texts)));
    let check = SpfParameters::verify_mail_from(
        [192, 0, 2, 1].into(),
        "mail.example.net",
        "mx.example.org",
        "joe@bounces.mail.example.net",
    );
    let spf_output = ready(authenticator.verify_spf(Parameters::new(check).with_txt_cache(&texts)));
    let peer = || {
        let dmarc = DmarcParameters::new(
            black_box(&message),
            &dkim_output,
            "bounces.mail.example.net",
            &spf_output,
        );
        ready(authenticator.verify_dmarc(Parameters::new(dmarc).with_txt_cache(&texts)))
    };
    assert_eq!(peer().dkim_result(), &mail_auth::DmarcResult::Pass);
    texts.asked.set(0);
    peer();
    let asked = (answers.len(), texts.asked.get());

    // The limit: the three names of which a record could decide.
    let names = [
        "_dmarc.news.example.com",
        "_dmarc.example.com",
        "_dmarc.com",
    ];
    let questions =
        names.map(|name| Question::new(name.parse::<Name>().expect("a name"), RecordType::Txt));
    let limit: Answers = questions
        .iter()
        .map(|question| (question.clone(), zone.answer(question)))
        .collect();
    Race::new("DMARC, three walks", "three map look-ups", || {
        black_box(&questions)
            .iter()
            .map(|question| limit[question].records().len())
            .sum::<usize>()
    })
    .with("ours, parsed each time", || judge(&answers, evaluation()))
    .with("ours, parsed beforehand", || {
        judge_published(&published, evaluation())
    })
    .with("mail-auth, parsed each time", peer)
    .run();
    println!(
        "| DMARC, questions | ours {}, mail-auth {} | | | | |",
        asked.0, asked.1
    );
}

/// As a server drives it whose cache keeps what the answers come to.
fn judge_published(published: &HashMap<Question, Published>, mut dmarc: Dmarc) -> Verdict {
    loop {
        match dmarc.poll() {
            Need::Lookup(question) => dmarc.answer_published(&question, &published[&question]),
            Need::Wait => panic!("waits for something that is not DNS"),
            Need::Done(verdict) => return verdict,
        }
    }
}
