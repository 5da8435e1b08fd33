//! The reply to EHLO, read and listed; examples from the RFCs of the extensions.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use sasl_core::{Mechanism, Mechanisms};
use smtp_proto::{Extensions, Reply};

fn of(lines: &str) -> Extensions {
    Extensions::of(&Reply::new(250, None, &format!("mx.example\n{lines}")).unwrap())
}

#[test]
fn values() {
    assert_eq!(of("SIZE").size, Some(0));
    assert_eq!(of("size 1000000").size, Some(1_000_000));
    assert_eq!(of("SIZE x").size, None);
    assert_eq!(of("SIZE 99999999999999999999").size, None, "beyond 64 bits");
    let plain = Mechanisms::from_iter([Mechanism::Plain]);
    assert_eq!(of("AUTH PLAIN GSSAPI").auth, plain);
    assert_eq!(of("AUTH=PLAIN\nAUTH PLAIN").auth, plain);
    assert_eq!(of("AUTH").auth, Mechanisms::NONE);
    let limits = of("LIMITS RCPTMAX=20 MAILMAX=0 RCPTDOMAINMAX=1000000 X=1")
        .limits
        .unwrap();
    assert_eq!(
        (limits.rcpt_max, limits.mail_max, limits.rcpt_domain_max),
        (Some(20), None, None)
    );
    assert_eq!(of("HELP\nX-NEW a b").other, ["HELP", "X-NEW a b"]);
    assert!(of("starttls").start_tls && !of("STARTTLSX").start_tls);
    assert_eq!(
        Extensions::of(&Reply::new(250, None, "PIPELINING").unwrap()),
        Extensions::default()
    );
}

proptest! {
    #[test]
    fn listed_and_read(lines in proptest::collection::vec(
        "(PIPELINING|SIZE|SIZE [0-9]{1,9}|8BITMIME|SMTPUTF8|STARTTLS|AUTH PLAIN( LOGIN)?|DSN|ENHANCEDSTATUSCODES|CHUNKING|BINARYMIME|REQUIRETLS|LIMITS RCPTMAX=[1-9]|X[A-Z]{3} [a-z]{0,3})",
        0..12,
    )) {
        let extensions = of(&lines.join("\n"));
        prop_assert_eq!(of(&extensions.lines().join("\n")), extensions);
    }

    #[test]
    fn any_text(text in "[ -~\n]{0,200}") {
        let _ = of(&text);
    }
}
