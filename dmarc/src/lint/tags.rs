//! Tags that are misspelt, unknown, doubled, dropped, or no tags at all.

use core::ops::Range;

use mail_syntax::tag_list::{MAX_TAGS, Tag, TagListError, Tags};

use super::{Linter, Severity, What, memchr_semicolon, name_span};
use crate::record::NAMES;

/// The tags that RFC 9989 has dropped (Appendix C.6 and §9).
const DROPPED: [(&str, &str); 3] = [
    ("pct", "leave it out; t=y is what has become of pct=0"),
    ("rf", "leave it out; there is one format of failure reports"),
    ("ri", "leave it out; aggregate reports come once a day"),
];

impl<'a> Linter<'a> {
    /// Each part of the record by itself.
    pub(super) fn tags(&mut self) {
        let text = self.text;
        for (number, tag) in Tags::new(text).skip(1).enumerate() {
            if number == MAX_TAGS {
                let start = match &tag {
                    Ok(tag) => tag.offset(),
                    Err(error) => offset(error),
                };
                let what = What::TooManyTags;
                self.find(Severity::Error, start..text.len(), what, "leave them out");
                return;
            }
            match tag {
                Ok(tag) => self.tag(tag),
                Err(error) => {
                    let start = offset(&error).min(text.len());
                    let end = start + memchr_semicolon(text.get(start..).unwrap_or_default());
                    let advice = "write name=value, or leave it out";
                    self.find(Severity::Error, start..end, What::NoTag(error), advice);
                }
            }
        }
    }

    fn tag(&mut self, tag: Tag<'a>) {
        let span = name_span(&tag);
        let known = NAMES
            .iter()
            .position(|name| name.eq_ignore_ascii_case(tag.name()));
        let (Some(slot), Some(name)) = (
            known.and_then(|known| self.once.get_mut(known)),
            known.and_then(|known| NAMES.get(known)),
        ) else {
            self.unknown_tag(&tag, span);
            return;
        };
        if slot.is_none() {
            *slot = Some(tag);
        } else {
            let advice = format!("keep one {name}=");
            self.find(Severity::Error, span, What::Doubled(name), advice);
        }
    }

    fn unknown_tag(&mut self, tag: &Tag<'_>, span: Range<usize>) {
        let dropped = DROPPED
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(tag.name()));
        if let Some((name, advice)) = dropped {
            let weighs = if *name == "pct" && tag.value() != "100" {
                Severity::Warning
            } else {
                Severity::Note
            };
            self.find(weighs, span, What::DroppedTag(name), *advice);
            return;
        }
        if tag.name().eq_ignore_ascii_case("v") {
            let what = What::UnknownTag {
                name: tag.name().to_owned(),
                nearest: None,
            };
            let advice = "leave it out; one record has one version, at its beginning";
            self.find(Severity::Error, span, what, advice);
            return;
        }
        let nearest = nearest(tag.name());
        let advice = match nearest {
            Some(name) => format!("write {name}="),
            None => "leave it out".to_owned(),
        };
        let what = What::UnknownTag {
            name: tag.name().to_owned(),
            nearest,
        };
        // What resembles a tag is a mistake; what does not may be of a version to come.
        let weighs = match nearest {
            Some(_) => Severity::Error,
            None => Severity::Warning,
        };
        self.find(weighs, span, what, advice);
    }
}

/// Where a part is wrong.
fn offset(error: &TagListError) -> usize {
    match error {
        TagListError::Name { offset }
        | TagListError::MissingEquals { offset }
        | TagListError::Octet { offset }
        | TagListError::Duplicate { offset } => *offset,
        _ => 0,
    }
}

/// The tag that a misspelt name was likely meant to be.
fn nearest(name: &str) -> Option<&'static str> {
    if name.eq_ignore_ascii_case("policy") {
        return Some("p");
    }
    // What is as short as p and t is near to everything.
    if !(2..=8).contains(&name.len()) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    NAMES
        .into_iter()
        .filter(|known| known.len() >= 2)
        .map(|known| (distance(name.as_bytes(), known.as_bytes()), known))
        .filter(|(distance, _)| *distance == 1)
        .max_by_key(|(_, known)| known.len())
        .map(|(_, known)| known)
}

/// How many octets must be put in, taken out, replaced or swapped with their neighbour: 0, 1, or 2 for more.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let common = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[common..], &other[common..]);
    match (one, other) {
        ([], []) => 0,
        ([_, one @ ..], [_, other @ ..]) if one == other => 1,
        ([_, one @ ..], _) if one == other => 1,
        (_, [_, other @ ..]) if one == other => 1,
        ([a, b, one @ ..], [c, d, other @ ..]) if (a, b) == (d, c) && one == other => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_have_a_nearest() {
        for (name, wanted) in [
            ("rau", Some("rua")),
            ("RUAA", Some("rua")),
            ("spf", Some("aspf")),
            ("akim", Some("adkim")),
            ("adkmi", Some("adkim")),
            ("policy", Some("p")),
            ("x", None),
            ("bimi", None),
            ("adkim_is_strict", None),
        ] {
            assert_eq!(nearest(name), wanted, "{name}");
        }
    }
}
