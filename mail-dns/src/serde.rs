//! Names, types and records as text.

use ::serde::de::{Deserialize, Deserializer, Error};
use ::serde::ser::{Serialize, Serializer};

use crate::{Name, Record, RecordType};

macro_rules! as_text {
    ($($kind:ty),*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

as_text!(Name, RecordType);

/// A record: its type, and its data as a master file writes it.
#[derive(::serde::Serialize, ::serde::Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: RecordType,
    data: String,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, data) = (self.kind(), self.to_string());
        Line { kind, data }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Line { kind, data } = Line::deserialize(deserializer)?;
        Self::parse(kind, data).map_err(D::Error::custom)
    }
}

/// A list that is shared.
pub(crate) mod records {
    use std::sync::Arc;

    use super::{Deserialize, Deserializer, Record, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        records: &Arc<[Record]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        records.as_ref().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[Record]>, D::Error> {
        Vec::deserialize(deserializer).map(Arc::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Answer, Failure, Question, Record, RecordType};

    #[test]
    fn questions_and_answers_are_readable() {
        let question = Question::new("_dmarc.example.com".parse().unwrap(), RecordType::Txt);
        let value = json!({"name": "_dmarc.example.com", "type": "TXT"});
        assert_eq!(serde_json::to_value(&question).unwrap(), value);
        assert_eq!(serde_json::from_value::<Question>(value).unwrap(), question);
        let mx = Record::Mx {
            preference: 10,
            exchange: "mx.example.com".parse().unwrap(),
        };
        for (answer, data) in [
            (
                Answer::found([mx]),
                json!({"records": [{"type": "MX", "data": "10 mx.example.com."}]}),
            ),
            (Answer::no_data(), json!("no_data")),
            (Answer::nx_domain(), json!("nx_domain")),
            (
                Answer::failed(Failure::ServFail),
                json!({"failed": "serv_fail"}),
            ),
        ] {
            assert_eq!(
                serde_json::to_value(&answer).unwrap(),
                json!({"data": data, "dnssec": "unknown"})
            );
            assert_eq!(
                serde_json::from_value::<Answer>(json!({"data": data})).unwrap(),
                answer
            );
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for (kind, data) in [
            ("A", "192.0.2"),
            ("A", "192.0.2.1 192.0.2.2"),
            ("A", "192.0.2.1\n192.0.2.2"),
            ("MX", "mx.example.com."),
            ("TXT", ""),
            ("TXT", "\"open"),
            ("TXT", "\"a\"\n\"open"),
            ("TLSA", "3 1 1 d2f"),
            ("PEAR", "x"),
        ] {
            let record = json!({"type": kind, "data": data});
            assert!(
                serde_json::from_value::<Record>(record).is_err(),
                "{kind} {data:?}"
            );
        }
    }
}
