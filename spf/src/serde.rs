//! Records and what is in them as text.

use ::serde::de::{Deserialize, Deserializer, Error};
use ::serde::ser::{Serialize, Serializer};

use crate::macros::{DomainSpec, ExplainString, MacroString};
use crate::record::RecordFault;
use crate::{Directive, Explanation, SpfRecord};

macro_rules! to_text {
    ($($kind:ty),*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

macro_rules! from_text {
    ($($kind:ty),*) => {$(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

to_text!(
    SpfRecord,
    Directive,
    DomainSpec,
    MacroString,
    ExplainString,
    Explanation,
    RecordFault
);
from_text!(SpfRecord, DomainSpec, MacroString, ExplainString);

#[cfg(test)]
mod tests {
    use mail_dns::{Zone, resolve_blocking};
    use serde_json::{Value, json};

    use crate::{CheckHost, Client, Config, Identity, SpfRecord};

    fn verdict(record: &str) -> Value {
        let zone = Zone::new().txt("example.com", record);
        let client = Client::new([192, 0, 2, 1], "mail.example.com");
        let config = Config {
            trace: true,
            ..Config::default()
        };
        let check = CheckHost::new(&client, Identity::MailFrom, "joe@example.com", &config);
        let verdict = resolve_blocking(check, |question| zone.answer(question));
        serde_json::to_value(&verdict).unwrap()
    }

    #[test]
    fn verdicts_are_readable() {
        let value = verdict("v=spf1 ip4:192.0.2.0/24 -all");
        let lookup = json!({
            "question": {"name": "example.com", "type": "TXT"},
            "answer": {
                "data": {"records": [{"type": "TXT", "data": "\"v=spf1 ip4:192.0.2.0/24 -all\""}]},
                "dnssec": "unknown",
            },
        });
        let step = |term: &str, outcome: &str, lookups: Value| {
            json!({
                "depth": 0, "domain": "example.com", "term": term, "outcome": outcome, "lookups": lookups, "terms": 0,
                "void_lookups": 0,
            })
        };
        let expected = json!({
            "result": "pass",
            "identity": "mailfrom",
            "sender": "joe@example.com",
            "domain": "example.com",
            "cause": {"kind": "matched", "domain": "example.com", "directive": "ip4:192.0.2.0/24"},
            "authorized_bits": 8,
            "explanation": null,
            "uses_local_part": false,
            "terms": 0,
            "void_lookups": 0,
            "trace": [
                step("record", "read", json!([[lookup["question"], lookup["answer"]]])),
                step("ip4:192.0.2.0/24", "match", json!([])),
            ],
        });
        assert_eq!(value, expected);
        let cause = &verdict("v=spf1 moo -all")["cause"];
        let error = json!({"at": 7, "fault": "unknown mechanism"});
        assert_eq!(
            *cause,
            json!({"kind": "syntax", "domain": "example.com", "error": error})
        );
    }

    #[test]
    fn records_are_text() {
        let record: SpfRecord = serde_json::from_value(json!("v=spf1  MX -all")).unwrap();
        assert_eq!(
            serde_json::to_value(&record).unwrap(),
            json!("v=spf1 mx -all")
        );
        assert!(serde_json::from_value::<SpfRecord>(json!("v=spf1 moo")).is_err());
    }
}
