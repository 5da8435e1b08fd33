//! What a record means, in words.

use crate::record::{
    AlignmentMode, FailureOptions, FailureScope, Policy, Psd, Record, ReportingUri,
};

/// What a record means, a sentence for each thing that it says or leaves to a default.
///
/// ```
/// let record: dmarc::Record = "v=DMARC1; p=reject; sp=none; adkim=s; rua=mailto:dmarc@example.com".parse()?;
/// assert_eq!(dmarc::lint::explain(&record), [
///     "Mail from the domain that fails is to be rejected (p=reject).",
///     "Mail from a subdomain that fails is to be treated as any other (sp=none).",
///     "A DKIM signature counts if its domain is the author's, exactly (adkim=s).",
///     "SPF counts if its domain is of the author's organization (aspf=r).",
///     "Aggregate reports go to mailto:dmarc@example.com (rua).",
///     "Nobody gets failure reports (no ruf).",
/// ]);
/// # Ok::<(), dmarc::record::RecordError>(())
/// ```
#[must_use]
pub fn explain(record: &Record) -> Vec<String> {
    let Some(p) = record.p else {
        return vec!["The record has neither a valid policy nor a valid rua=, so DMARC does not apply (RFC 9989 §4.10.1).".to_owned()];
    };
    let mut sentences = Vec::new();
    for (whose, name, policy) in [
        ("the domain", "p", Some(p)),
        ("a subdomain", "sp", record.sp),
        ("a subdomain that does not exist", "np", record.np),
    ] {
        if let Some(policy) = policy {
            let action = match policy {
                Policy::None => "treated as any other",
                Policy::Quarantine => "treated as suspicious",
                Policy::Reject => "rejected",
            };
            sentences.push(format!(
                "Mail from {whose} that fails is to be {action} ({name}={policy})."
            ));
        }
    }
    if record.sp.is_none() && record.np.is_none() {
        sentences.push(format!(
            "The same holds for its subdomains ({p}: no sp, no np)."
        ));
    } else if record.sp.is_none() {
        sentences
            .push("Subdomains that exist are treated as the domain itself (no sp).".to_owned());
    }
    if record.test_mode {
        sentences
            .push("The policy is being tested: each is applied one level lower (t=y).".to_owned());
    }
    for (what, name, mode) in [
        ("A DKIM signature", "adkim", record.adkim),
        ("SPF", "aspf", record.aspf),
    ] {
        let (how, letter) = match mode {
            AlignmentMode::Strict => ("the author's, exactly", "s"),
            AlignmentMode::Relaxed => ("of the author's organization", "r"),
        };
        sentences.push(format!(
            "{what} counts if its domain is {how} ({name}={letter})."
        ));
    }
    match record.psd {
        Psd::Yes => sentences
            .push("Everybody may register names below this domain: each is an organization of its own (psd=y).".to_owned()),
        Psd::No => sentences
            .push("The domain and what is below it is an organization of its own (psd=n).".to_owned()),
        Psd::Unspecified => {}
    }
    sentences.push(match record.rua.as_slice() {
        [] => "Nobody gets aggregate reports (no rua).".to_owned(),
        uris => format!("Aggregate reports go to {} (rua).", list(uris)),
    });
    sentences.push(match record.ruf.as_slice() {
        [] => "Nobody gets failure reports (no ruf).".to_owned(),
        uris => format!(
            "Failure reports go to {}, {} (ruf, fo).",
            list(uris),
            when(&record.fo)
        ),
    });
    sentences
}

fn list(uris: &[ReportingUri]) -> String {
    let uris: Vec<&str> = uris.iter().map(ReportingUri::as_str).collect();
    uris.join(", ")
}

fn when(options: &FailureOptions) -> String {
    let wanted = [
        (
            options.alignment == Some(FailureScope::Any),
            "SPF or DKIM gives no aligned pass",
        ),
        (options.dkim, "a DKIM signature fails"),
        (options.spf, "SPF fails"),
    ];
    let mut said: Vec<&str> = wanted
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, said)| said)
        .collect();
    if said.is_empty() || options.alignment == Some(FailureScope::All) {
        said.insert(0, "neither SPF nor DKIM gives an aligned pass");
    }
    format!("when {}", said.join(", or when "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_explained() {
        let explained = |text: &str| {
            text.parse::<Record>()
                .map(|record| explain(&record).join(" "))
        };
        let Ok(text) =
            explained("v=DMARC1; p=quarantine; t=y; psd=n; ruf=mailto:a@example.com; fo=0:d")
        else {
            return;
        };
        for part in [
            "Mail from the domain that fails is to be treated as suspicious (p=quarantine).",
            "The same holds for its subdomains",
            "one level lower (t=y)",
            "an organization of its own (psd=n)",
            "Nobody gets aggregate reports",
            "go to mailto:a@example.com, when neither SPF nor DKIM gives an aligned pass, or when a DKIM signature fails (ruf, fo).",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(explained("v=DMARC1").is_ok_and(|text| text.contains("does not apply")));
    }
}
