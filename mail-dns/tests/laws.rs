//! Laws: what is printed parses to the same value, and nothing panics.
#![allow(missing_docs, clippy::unwrap_used)]

use mail_dns::{Name, Question, Record, RecordType, Suffixes, Tlsa, Txt, Zone};
use proptest::prelude::*;

fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => "[a-zA-Z0-9_-]{1,12}".prop_map(String::into_bytes), 1 => proptest::collection::vec(any::<u8>(), 1..=20)]
}

fn name() -> impl Strategy<Value = Name> {
    proptest::collection::vec(label(), 0..8).prop_map(|labels| Name::from_labels(labels).unwrap())
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        any::<u32>().prop_map(|address| Record::A(address.into())),
        any::<u128>().prop_map(|address| Record::Aaaa(address.into())),
        (any::<u16>(), name()).prop_map(|(preference, exchange)| Record::Mx {
            preference,
            exchange
        }),
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..4)
            .prop_map(|strings| Record::Txt(Txt::new(strings))),
        name().prop_map(Record::Ptr),
        (
            any::<[u8; 3]>(),
            proptest::collection::vec(any::<u8>(), 1..80)
        )
            .prop_map(|([usage, selector, matching], data)| Record::Tlsa(Tlsa {
                usage,
                selector,
                matching,
                data: data.into()
            })),
    ]
}

proptest! {
    #[test]
    fn names_print_and_parse(name in name()) {
        let text = name.to_string();
        let parsed: Name = text.parse().unwrap();
        prop_assert_eq!(parsed.wire(), name.wire());
        if !name.is_root() {
            prop_assert_eq!(&format!("{text}.").parse::<Name>().unwrap(), &name);
        }
    }

    #[test]
    fn parsed_names_print_and_parse(text in "\\PC{0,40}|[a-z.\\\\0-9]{0,300}") {
        if let Ok(name) = text.parse::<Name>() {
            prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name));
        }
        let _ = Name::from_dotted(text.as_bytes());
    }

    #[test]
    fn records_print_and_parse(record in record()) {
        prop_assert_eq!(Record::parse(record.kind(), record.to_string()), Ok(record));
    }

    /// Equal names have equal hashes, and order agrees with equality.
    #[test]
    fn case_never_matters(name in name()) {
        use std::hash::{BuildHasher, RandomState};
        let upper = Name::from_labels(name.labels().map(<[u8]>::to_ascii_uppercase)).unwrap();
        let state = RandomState::new();
        prop_assert_eq!(&upper, &name);
        prop_assert_eq!(state.hash_one(&upper), state.hash_one(&name));
        prop_assert!(upper.cmp(&name).is_eq());
        prop_assert_eq!(name.ancestors().count(), name.label_count() + 1);
        prop_assert!(name.ancestors().all(|ancestor| name.is_subdomain_of(&ancestor)));
    }

    /// The names of a walk are those that are made one by one.
    #[test]
    fn suffixes_are_the_names_of_the_last_labels(
        labels in proptest::collection::vec("[a-zA-Z0-9_-]{1,12}", 1..24), counts in proptest::collection::vec(0..26_u8, 0..12),
    ) {
        let dotted = labels.join(".");
        let expected: Vec<Option<Name>> = counts.iter().map(|count| {
            let first = labels.len().checked_sub(usize::from(*count))?;
            let name = [vec!["_x".to_owned()], labels[first..].to_vec()].concat();
            Name::from_labels(name).ok().filter(|_| *count > 0)
        }).collect();
        match Suffixes::new(b"_x", dotted.as_bytes(), &counts) {
            Ok(names) => {
                let all: Vec<Option<Name>> = (0..counts.len()).map(|place| names.get(place)).collect();
                prop_assert_eq!(&all, &expected);
                let wires = expected.iter().map(|name| name.as_ref().map_or(&[][..], Name::wire));
                prop_assert!(names.wires().eq(wires));
                for name in expected.into_iter().flatten() {
                    prop_assert_eq!(names.position(name.wire()), all.iter().position(|one| one.as_ref() == Some(&name)));
                    prop_assert_eq!(names.position(name.prepend("y").unwrap_or_else(|_| Name::root()).wire()), None);
                }
                prop_assert_eq!(names.position(&[]), None);
            }
            Err(error) => prop_assert!(dotted.len() > 255, "{error}"),
        }
    }

    /// The canonical order puts everything below a name directly behind it; `Zone` relies on it.
    #[test]
    fn order_is_that_of_reversed_labels(mut names in proptest::collection::vec(name(), 0..12)) {
        names.sort();
        let keys: Vec<Vec<Vec<u8>>> = names.iter().map(|name| {
            let mut labels: Vec<_> = name.labels().map(<[u8]>::to_ascii_lowercase).collect();
            labels.reverse();
            labels
        }).collect();
        prop_assert!(keys.is_sorted());
    }

    /// A zone file made of printed records holds those records.
    #[test]
    fn zones_hold_what_was_written(records in proptest::collection::vec((name(), 0..1000_u32, record()), 0..8)) {
        let text: String = records.iter().map(|(name, ttl, record)| {
            format!("{name}{} {ttl} IN {} ( {record} ) ; end\r\n", if name.is_root() { "" } else { "." }, record.kind())
        }).collect();
        let zone: Zone = text.parse().unwrap();
        for (name, _, record) in &records {
            let answer = zone.answer(&Question::new(name.clone(), record.kind()));
            let expected: Vec<_> = records.iter().filter(|(other, _, one)| other == name && one.kind() == record.kind()).map(|(_, _, one)| one.clone()).collect();
            prop_assert_eq!(answer.records(), &expected);
        }
        for kind in RecordType::ALL {
            let _ = zone.answer(&Question::new("a.b".parse().unwrap(), kind));
        }
    }

    #[test]
    fn no_zone_text_panics(text in "(\\$TTL|\\$ORIGIN|@|[a-c.]{1,4}|IN|A|MX|TXT|[0-9.]{1,8}|\"[^\"]{0,5}\"|[ \t\n();\"\\\\]){0,40}") {
        let _ = text.parse::<Zone>();
    }
}

/// What is written down of a lookup is read again as it was.
#[cfg(feature = "serde")]
mod written_down {
    use core::time::Duration;

    use mail_dns::{Answer, Dnssec};

    use super::*;

    proptest! {
        #[test]
        fn questions_and_answers(
            name in name(), records in proptest::collection::vec(record(), 0..4), ttl in proptest::option::of(0_u32..), canonical in proptest::option::of(name()),
        ) {
            let question = Question::new(name, RecordType::Txt);
            let text = serde_json::to_string(&question).unwrap();
            prop_assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question);
            let mut answer = Answer::found(records);
            answer.ttl = ttl.map(|seconds| Duration::from_secs(seconds.into()));
            (answer.canonical, answer.dnssec) = (canonical, Dnssec::Secure);
            let text = serde_json::to_string(&answer).unwrap();
            prop_assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
        }
    }
}
