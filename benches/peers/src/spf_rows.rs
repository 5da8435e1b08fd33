//! SPF: a chain of ten includes, and one record alone.

use core::hint::black_box;

use mail_auth::Parameters;
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::spf::verify::SpfParameters;
use mail_dns::Zone;
use spf::{CheckHost, Client, Config, SpfRecord, SpfResult};

use crate::race::Race;
use crate::zone::{Texts, answers, authenticator, judge, ready};

/// As a bulk sender publishes it.
const RECORD: &str = "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ip6:2001:db8:100::/48 a:mail.example.com/28 mx:example.net \
    include:_spf.example.org include:%{i}._ip.%{h}._ehlo.%{d}._spf.example.org exists:%{l1r-}.users.example.com \
    ip4:192.0.2.128/25 ip6:2001:db8:200::/48 redirect=_spf.example.com";

pub(crate) fn run() {
    let limits = spf::Limits::default();
    Race::new(
        format!("SPF record parsed, {} octets", RECORD.len()),
        "cut at blanks",
        || black_box(RECORD).split(' ').map(str::len).sum::<usize>(),
    )
    .with("ours", || {
        SpfRecord::parse(black_box(RECORD.as_bytes()), &limits).expect("a record")
    })
    .with("mail-auth", || {
        mail_auth::spf::Spf::parse(black_box(RECORD.as_bytes())).expect("a record")
    })
    .run();

    let mut records = vec![];
    let mut record = "v=spf1".to_owned();
    for number in 0..10 {
        let name = format!("i{number}.example.com");
        record += &format!(" include:{name}");
        records.push((name, format!("v=spf1 ip4:198.51.{number}.0/24 ip4:203.0.{number}.0/24 ip6:2001:db8:{number}::/48 ~all")));
    }
    records.push(("example.com".to_owned(), record + " ip4:192.0.2.1 -all"));
    let mut zone = Zone::new();
    let mut texts = Texts::default();
    for (name, text) in &records {
        zone = zone.txt(name, text);
        texts = texts.txt(name, text);
    }

    let client = Client::new([192, 0, 2, 1], "mail.example.com");
    let path = "<joe@example.com>".parse().expect("a path");
    let config = Config::default();
    let check = || CheckHost::mail_from(black_box(&client), &path, &config);
    let answers = answers(&zone, check());
    assert_eq!(judge(&answers, check()).result, SpfResult::Pass);

    let authenticator = authenticator();
    let peer = || {
        let check = SpfParameters::verify_mail_from(
            black_box([192, 0, 2, 1].into()),
            "mail.example.com",
            "mx.example.org",
            "joe@example.com",
        );
        ready(authenticator.verify_spf(Parameters::new(check).with_txt_cache(&texts)))
    };
    assert_eq!(peer().result(), mail_auth::SpfResult::Pass);

    Race::new("SPF, ten includes, records parsed", "map look-ups", || {
        black_box(&answers)
            .keys()
            .map(|question| answers[question].records().len())
            .sum::<usize>()
    })
    .with("ours", || judge(&answers, check()))
    .with("mail-auth", peer)
    .run();
}
