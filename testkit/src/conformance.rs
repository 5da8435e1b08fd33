//! The public conformance suites: where they are, how they are read, and the zones in them.
//!
//! They are no part of the repository. They lie in the folder that the environment variable `MAIL_CONFORMANCE_DIR` names, else in
//! `../shared/conformance` beside the workspace. A test whose suite is absent says so on stderr and ends.

use std::path::{Path, PathBuf};

use mail_dns::{Answer, Failure, Name, Record, RecordType, Txt, Zone};
use serde_json::Value;

/// The folder of the suites, if there is one.
pub fn root() -> Option<PathBuf> {
    let folder = match std::env::var_os("MAIL_CONFORMANCE_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()?
            .join("../shared/conformance"),
    };
    folder.is_dir().then_some(folder)
}

/// The JSON file at this path below [`root`]; where there is none, or it cannot be read, stderr says so and why.
pub fn load_json(path: &str) -> Option<Value> {
    let Some(root) = root() else {
        eprintln!(
            "skipped: {path}: no conformance suites (set MAIL_CONFORMANCE_DIR, or put them in ../shared/conformance beside the workspace)"
        );
        return None;
    };
    let file = root.join(path);
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("skipped: {}: {error}", file.display());
            return None;
        }
    };
    match serde_json::from_slice(&text) {
        Ok(value) => Some(value),
        Err(error) => {
            eprintln!("skipped: {}: {error}", file.display());
            None
        }
    }
}

/// What is wrong with an entry of a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("zone entry {number}: {what}")]
pub struct ZoneError {
    /// Which entry, from 0.
    pub number: usize,
    /// What is wrong.
    pub what: String,
}

/// The zone of a suite: a list of `{"name", "type", "value"}`, or `{"name", "type", "error"}` with `timeout`, `servfail`, `nxdomain` or
/// `nodata`, where the type `*` stands for all types of which the name has no record.
///
/// Records of types that mail does not ask for (`SPF`) make the name exist and are no more.
///
/// # Errors
///
/// An entry of another form.
pub fn zone(entries: &Value) -> Result<Zone, ZoneError> {
    let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut zone = Zone::new();
    let mut present = std::collections::BTreeSet::new();
    let mut failing = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let fault = |what: String| ZoneError { number, what };
        let word = |key: &str| {
            entry[key]
                .as_str()
                .ok_or_else(|| fault(format!("no {key}")))
        };
        let name = name(word("name")?).map_err(fault)?;
        let kind = word("type")?;
        if let Some(error) = entry["error"].as_str() {
            let answer = match error {
                "timeout" => Answer::failed(Failure::Timeout),
                "servfail" => Answer::failed(Failure::ServFail),
                "nxdomain" => Answer::nx_domain(),
                "nodata" => Answer::no_data(),
                _ => return Err(fault(format!("unknown error {error:?}"))),
            };
            match kind {
                "*" => failing.push((name, answer)),
                kind => match kind.parse() {
                    Ok(kind) => zone.inject(name, Some(kind), answer),
                    Err(_) => zone.touch(name),
                },
            }
            continue;
        }
        let Ok(kind) = kind.parse::<RecordType>() else {
            zone.touch(name);
            continue;
        };
        let record = record(kind, &entry["value"]).map_err(fault)?;
        present.insert((name.clone(), kind));
        zone.insert(name, record);
    }
    for (name, answer) in failing {
        for kind in RecordType::ALL {
            if !present.contains(&(name.clone(), kind)) {
                zone.inject(name.clone(), Some(kind), answer.clone());
            }
        }
    }
    Ok(zone)
}

fn record(kind: RecordType, value: &Value) -> Result<Record, String> {
    let text = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("{value} is no string"))
    };
    Ok(match kind {
        RecordType::A => Record::A(
            text(value)?
                .parse()
                .map_err(|error| format!("{value}: {error}"))?,
        ),
        RecordType::Aaaa => Record::Aaaa(
            text(value)?
                .parse()
                .map_err(|error| format!("{value}: {error}"))?,
        ),
        RecordType::Mx => Record::Mx {
            preference: value[0]
                .as_u64()
                .and_then(|number| number.try_into().ok())
                .ok_or_else(|| format!("{value} is no MX"))?,
            exchange: name(&text(&value[1])?)?,
        },
        RecordType::Txt => match value {
            Value::Array(strings) => Record::Txt(Txt::new(
                strings.iter().map(text).collect::<Result<Vec<_>, _>>()?,
            )),
            value => Record::Txt(Txt::new([text(value)?])),
        },
        RecordType::Ptr => Record::Ptr(name(&text(value)?)?),
        RecordType::Cname => Record::Cname(name(&text(value)?)?),
        _ => return Err(format!("{kind} records have no form here")),
    })
}

/// A name of a suite is plain text with dots; the empty one, which is an MX that accepts no mail, is the root.
fn name(text: &str) -> Result<Name, String> {
    if text.is_empty() {
        return Ok(Name::root());
    }
    Name::from_dotted(text.as_bytes()).map_err(|error| format!("{text:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use mail_dns::{Data, Question};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_common_zone_form() {
        let zone = zone(&json!([
            { "name": "a.example.", "type": "TXT", "value": ["v=spf1 ", "-all"] },
            { "name": "a.example", "type": "SPF", "value": ["v=spf1 -all"] },
            { "name": "a.example", "type": "*", "error": "timeout" },
            { "name": "b.example", "type": "MX", "value": [10, "a.example"] },
            { "name": "b.example", "type": "A", "error": "servfail" },
        ]))
        .unwrap();
        let ask = |name: &str, kind| zone.answer(&Question::new(name.parse().unwrap(), kind));
        assert!(
            matches!(&ask("A.example", RecordType::Txt).records()[0], Record::Txt(text) if *text.joined() == *b"v=spf1 -all")
        );
        assert_eq!(
            ask("a.example", RecordType::A).data,
            Data::Failed(Failure::Timeout)
        );
        assert_eq!(ask("b.example", RecordType::Mx).records().len(), 1);
        assert_eq!(
            ask("b.example", RecordType::A).data,
            Data::Failed(Failure::ServFail)
        );
        assert_eq!(ask("b.example", RecordType::Txt).data, Data::NoData);
        assert_eq!(ask("c.example", RecordType::Txt).data, Data::NxDomain);
    }

    #[test]
    fn what_is_no_zone_entry() {
        assert_eq!(zone(&json!([{ "type": "A" }])).unwrap_err().number, 0);
        assert!(zone(&json!([{ "name": "a", "type": "A", "value": "1.2.3" }])).is_err());
        assert!(zone(&json!([{ "name": "a", "type": "A", "error": "?" }])).is_err());
    }
}
