//! The record as it is published.

use mail_dns::{Name, Txt};

use super::Record;

/// Octets of one string of a TXT record (RFC 1035 §3.3).
const STRING: usize = 255;

impl Record {
    /// The record as the DNS holds it, in strings of at most 255 octets; where it does not fit into one, each begins with a tag if it can.
    #[must_use]
    pub fn to_txt(&self) -> Txt {
        let text = self.to_string();
        let mut strings: Vec<String> = vec![String::new()];
        for tag in text.split_inclusive("; ") {
            match strings.last_mut() {
                Some(last) if last.len() + tag.len() <= STRING => last.push_str(tag),
                _ => strings.push(tag.to_owned()),
            }
        }
        Txt::new(strings)
    }

    /// The record as an entry of a master file (RFC 1035 §5.1), without a time to live: one line, or where it needs several strings, one
    /// line for each of them within parentheses. [`record_name`](crate::tree_walk::record_name) tells the name for a domain.
    ///
    /// ```
    /// use dmarc::{Policy, Record, tree_walk::record_name};
    /// let mut record = Record::new(Policy::Reject);
    /// record.rua.push("mailto:dmarc@example.com".parse()?);
    /// record.test_mode = true;
    /// let name = record_name(&"example.com".parse()?).ok_or("too long a name")?;
    /// assert_eq!(
    ///     record.zone_line(&name),
    ///     r#"_dmarc.example.com. IN TXT "v=DMARC1; p=reject; t=y; rua=mailto:dmarc@example.com""#,
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn zone_line(&self, name: &Name) -> String {
        let txt = self.to_txt();
        if txt.strings().len() == 1 {
            return format!("{name}. IN TXT {txt}");
        }
        let strings: Vec<String> = (txt.strings())
            .map(|string| format!("\n\t{}", Txt::new([string])))
            .collect();
        format!("{name}. IN TXT ({} )", strings.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Policy;

    #[test]
    fn what_is_long_is_cut_at_tags() {
        let mut record = Record::new(Policy::None);
        let uri = |length: usize| format!("mailto:{}@example.com", "a".repeat(length)).parse();
        record.rua = vec![uri(200).unwrap()];
        record.ruf = vec![uri(10).unwrap(), uri(300).unwrap()];
        let name = "_dmarc.example.com".parse().unwrap();
        let txt = record.to_txt();
        let lengths: Vec<usize> = txt.strings().map(<[u8]>::len).collect();
        assert_eq!(lengths, [243, 255, 98]);
        assert_eq!(Record::parse(&txt.joined()), Ok(record.clone()));
        let line = record.zone_line(&name);
        assert!(
            line.starts_with("_dmarc.example.com. IN TXT (\n\t\"v=DMARC1; p=none; rua=mailto:aaa")
        );
        assert_eq!(line.lines().count(), 4);
        let zone = mail_dns::Zone::parse(format!("{line}\n"), &Name::root());
        assert!(zone.is_ok(), "{zone:?}");
    }
}
