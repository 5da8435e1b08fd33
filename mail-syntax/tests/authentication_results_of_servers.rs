//! Authentication-Results as large services and common servers lay them out: the layout is theirs, names and addresses are examples.
#![allow(missing_docs, clippy::unwrap_used)]

use mail_syntax::authentication_results::{AuthenticationResults, MethodResult, Ptype};

/// What stands in the field: server, version of the format, instance; then `method=result`, comment, reason, and properties.
fn summary(body: &str) -> String {
    let read = AuthenticationResults::parse(body.as_bytes()).unwrap();
    let mut lines = vec![format!(
        "{} v{} i{}",
        read.authserv_id().unwrap_or("-"),
        read.version(),
        read.instance().unwrap_or(0)
    )];
    lines.extend(read.results().iter().map(line));
    // What was read lenient is printed strict, and means the same.
    if read.authserv_id().is_some() {
        assert_eq!(
            AuthenticationResults::parse(read.to_string().as_bytes()),
            Ok(read)
        );
    }
    lines.join("\n")
}

fn line(result: &MethodResult) -> String {
    let mut line = format!("{}={}", result.method(), result.outcome());
    if let Some(comment) = result.comment() {
        line += &format!(" ({comment})");
    }
    if let Some(reason) = result.reason() {
        line += &format!(" reason={reason}");
    }
    for property in result.properties() {
        line += &format!(
            " {}.{}={}",
            property.ptype(),
            property.property(),
            property.value()
        );
    }
    line
}

#[test]
fn gmail() {
    let body = " mx.google.example;\r\n       dkim=pass header.i=@example.com header.s=s2026 header.b=AbCd12+/;\r\n       \
        spf=pass (google.example: domain of joe@example.com designates 192.0.2.1 as permitted sender) smtp.mailfrom=joe@example.com;\r\n       \
        dmarc=pass (p=REJECT sp=QUARANTINE dis=NONE) header.from=example.com";
    assert_eq!(
        summary(body),
        "mx.google.example v1 i0\n\
         dkim=pass header.i=@example.com header.s=s2026 header.b=AbCd12+/\n\
         spf=pass (google.example: domain of joe@example.com designates 192.0.2.1 as permitted sender) smtp.mailfrom=joe@example.com\n\
         dmarc=pass (p=REJECT sp=QUARANTINE dis=NONE) header.from=example.com"
    );
    // What it writes of a message that came through a forwarder, with its ARC set.
    let body = " i=2; mx.google.example;\r\n       dkim=neutral (body hash did not verify) header.i=@example.com header.s=s1 header.b=\"x/y=\";\r\n       \
        arc=pass (i=1 spf=pass spfdomain=example.com dkim=pass dkdomain=example.com dmarc=pass fromdomain=example.com);\r\n       \
        spf=pass (google.example: domain of list+bounce=joe=example.net@lists.example.org designates 2001:db8::1 as permitted sender) \
        smtp.mailfrom=\"list+bounce=joe=example.net@lists.example.org\"";
    assert_eq!(
        summary(body),
        "mx.google.example v1 i2\n\
         dkim=neutral (body hash did not verify) header.i=@example.com header.s=s1 header.b=x/y=\n\
         arc=pass (i=1 spf=pass spfdomain=example.com dkim=pass dkdomain=example.com dmarc=pass fromdomain=example.com)\n\
         spf=pass (google.example: domain of list+bounce=joe=example.net@lists.example.org designates 2001:db8::1 as permitted sender) \
         smtp.mailfrom=list+bounce=joe=example.net@lists.example.org"
    );
}

/// No server name, or one far behind; a result of its own; a word without a property type.
#[test]
fn outlook() {
    let body = " spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=example.com; dkim=pass (signature was verified)\r\n \
        header.d=example.com;dmarc=bestguesspass action=none header.from=example.com;compauth=pass reason=109";
    assert_eq!(
        summary(body),
        "- v1 i0\n\
         spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.com\n\
         dkim=pass (signature was verified) header.d=example.com\n\
         dmarc=bestguesspass header.from=example.com\n\
         compauth=pass reason=109"
    );
    let body = " i=1; mx.outlook.example 1; spf=pass smtp.mailfrom=example.com; dmarc=pass action=none header.from=example.com; \
        dkim=pass header.d=example.com; arc=none";
    assert_eq!(
        summary(body),
        "mx.outlook.example v1 i1\n\
         spf=pass smtp.mailfrom=example.com\n\
         dmarc=pass header.from=example.com\n\
         dkim=pass header.d=example.com\n\
         arc=none"
    );
    let body = "spf=none (sender IP is 192.0.2.1) smtp.helo=mail.example.com; mx.outlook.example; dkim=none (message not signed) header.d=none;";
    assert_eq!(
        summary(body),
        "mx.outlook.example v1 i0\n\
         spf=none (sender IP is 192.0.2.1) smtp.helo=mail.example.com\n\
         dkim=none (message not signed) header.d=none"
    );
}

#[test]
fn yahoo() {
    let body = " atlas1.mail.yahoo.example;\r\n dkim=pass header.i=@example.com header.s=s1;\r\n spf=pass smtp.mailfrom=example.com;\r\n \
        dmarc=pass(p=REJECT,sp=NONE) header.from=example.com;";
    assert_eq!(
        summary(body),
        "atlas1.mail.yahoo.example v1 i0\n\
         dkim=pass header.i=@example.com header.s=s1\n\
         spf=pass smtp.mailfrom=example.com\n\
         dmarc=pass (p=REJECT,sp=NONE) header.from=example.com"
    );
    let body = "atlas2.mail.yahoo.example; dkim=unknown; spf=none smtp.mailfrom=example.com; dmarc=unknown header.from=example.com; \
        dkim=perm_fail (bad sig) header.i=@example.com";
    assert_eq!(
        summary(body),
        "atlas2.mail.yahoo.example v1 i0\n\
         dkim=unknown\n\
         spf=none smtp.mailfrom=example.com\n\
         dmarc=unknown header.from=example.com\n\
         dkim=perm_fail (bad sig) header.i=@example.com"
    );
}

/// Many methods of its own, properties with a hyphen, and values with commas.
#[test]
fn fastmail() {
    let body = " mx1.messagingengine.example;\r\n    arc=none (no signatures found);\r\n    bimi=skipped (DMARC did not pass);\r\n    \
        dkim=pass (2048-bit rsa key sha256) header.d=example.com header.i=@example.com header.b=AbCd12+/\r\n      \
        header.a=rsa-sha256 header.s=s1 x-bits=2048;\r\n    dmarc=pass policy.published-domain-policy=reject\r\n      \
        policy.applied-disposition=none policy.evaluated-disposition=none\r\n      (p=reject,d=none,d.eval=none) policy.policy-from=p header.from=example.com;\r\n    \
        iprev=pass smtp.remote-ip=192.0.2.1 (mail.example.com);\r\n    \
        spf=pass smtp.mailfrom=joe@example.com smtp.helo=mail.example.com;\r\n    x-tls=pass smtp.version=TLSv1.3 smtp.cipher=TLS_AES_256_GCM_SHA384 smtp.bits=256/256";
    assert_eq!(
        summary(body),
        "mx1.messagingengine.example v1 i0\n\
         arc=none (no signatures found)\n\
         bimi=skipped (DMARC did not pass)\n\
         dkim=pass (2048-bit rsa key sha256) header.d=example.com header.i=@example.com header.b=AbCd12+/ header.a=rsa-sha256 header.s=s1\n\
         dmarc=pass policy.published-domain-policy=reject policy.applied-disposition=none policy.evaluated-disposition=none \
         policy.policy-from=p header.from=example.com\n\
         iprev=pass smtp.remote-ip=192.0.2.1\n\
         spf=pass smtp.mailfrom=joe@example.com smtp.helo=mail.example.com\n\
         x-tls=pass smtp.version=TLSv1.3 smtp.cipher=TLS_AES_256_GCM_SHA384 smtp.bits=256/256"
    );
}

/// One field for each method, as milters write them, and others.
#[test]
fn milters_and_others() {
    for (body, wanted) in [
        (
            "mx.example.org;\r\n\tdkim=pass (2048-bit key; unprotected) header.d=example.com header.i=@example.com header.a=rsa-sha256 \
             header.s=s1 header.b=AbCd12+/;\r\n\tdkim-atps=neutral",
            "mx.example.org v1 i0\n\
             dkim=pass (2048-bit key; unprotected) header.d=example.com header.i=@example.com header.a=rsa-sha256 header.s=s1 header.b=AbCd12+/\n\
             dkim-atps=neutral",
        ),
        (
            "OpenDMARC; dmarc=fail (p=none dis=none) header.from=example.com",
            "OpenDMARC v1 i0\ndmarc=fail (p=none dis=none) header.from=example.com",
        ),
        (
            "mx.example.org;\tdkim=pass header.d=example.com header.s=s1 header.b=AbCd12+/;\tspf=fail (mx.example.org: domain of joe@example.com \
             does not designate 192.0.2.1 as permitted sender) smtp.mailfrom=joe@example.com;\tdmarc=none",
            "mx.example.org v1 i0\ndkim=pass header.d=example.com header.s=s1 header.b=AbCd12+/\n\
             spf=fail (mx.example.org: domain of joe@example.com does not designate 192.0.2.1 as permitted sender) smtp.mailfrom=joe@example.com\ndmarc=none",
        ),
        (
            "mx.example.org; spf=Pass smtp.mailfrom=<joe@example.com>; DKIM=hardfail reason=\"bad; signature\"",
            "mx.example.org v1 i0\nspf=pass smtp.mailfrom=<joe@example.com>\ndkim=hardfail reason=bad; signature",
        ),
        (
            "mx.example.org; dnswl=pass dns.zone=list.dnswl.example dns.sec=na policy.ip=127.0.10.1 policy.txt=\"fwd.example https://dnswl.example/?d=fwd.example\"",
            "mx.example.org v1 i0\ndnswl=pass dns.zone=list.dnswl.example dns.sec=na policy.ip=127.0.10.1 policy.txt=fwd.example https://dnswl.example/?d=fwd.example",
        ),
        (
            "mx.example.org; vbr=pass header.md=example.com header.mv=certifier.example; sender-id=pass header.from=joe@example.com; \
             rrvs=unknown smtp.rcptto=amy@example.org; smime=fail (certificate expired) body.smime-part=1.2 body.smime-serial=\"ab:cd\"",
            "mx.example.org v1 i0\nvbr=pass header.md=example.com header.mv=certifier.example\nsender-id=pass header.from=joe@example.com\n\
             rrvs=unknown smtp.rcptto=amy@example.org\nsmime=fail (certificate expired) body.smime-part=1.2 body.smime-serial=ab:cd",
        ),
        (
            "mx.example.org; auth=pass (cram-md5) smtp.auth=joe@example.com; dkim-adsp=discard header.from=joe@example.com; domainkeys=policy header.from=joe@example.com",
            "mx.example.org v1 i0\nauth=pass (cram-md5) smtp.auth=joe@example.com\ndkim-adsp=discard header.from=joe@example.com\n\
             domainkeys=policy header.from=joe@example.com",
        ),
        ("mx.example.org; none", "mx.example.org v1 i0"),
        ("mx.example.org 1; none;", "mx.example.org v1 i0"),
        (
            "mx.example.org 2; spf=pass",
            "mx.example.org v2 i0\nspf=pass",
        ),
        (
            "mx.example.org; ; spf=pass;; dkim=none;",
            "mx.example.org v1 i0\nspf=pass\ndkim=none",
        ),
        ("mx.example.org", "mx.example.org v1 i0"),
    ] {
        assert_eq!(summary(body), wanted);
    }
    // Where a property came from is part of its name.
    let read =
        AuthenticationResults::parse(b"x; spf=pass header.mailfrom=a smtp.mailfrom=b").unwrap();
    assert_eq!(
        read.results()[0].property(&Ptype::Smtp, "MailFrom"),
        Some("b")
    );
}
