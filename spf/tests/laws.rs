//! Laws of the parsers: what is printed is read again, nothing panics, an expansion fits into a name, and the record grammar is that of
//! RFC 7208 §12 written down a second time with nom.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use spf::macros::{Context, DomainSpec, ExplainString, MacroString};
use spf::{Limits, ReceivedSpf, SpfRecord};

/// Text of the pieces that records are made of, so that most of it is nearly a record.
fn record_like() -> impl Strategy<Value = String> {
    let pieces = vec![
        " ",
        " ",
        " ",
        "a",
        "mx",
        "ptr",
        "all",
        "include",
        "exists",
        "ip4",
        "ip6",
        "redirect",
        "exp",
        "-",
        "~",
        "?",
        "+",
        ":",
        ":",
        "=",
        "/",
        "//",
        "0",
        "24",
        "32",
        "128",
        "033",
        "192.0.2.1",
        "192.0.2",
        "2001:db8::1",
        "::ffff:1.2.3.4",
        "example.com",
        ".com",
        "com.",
        "%{d}",
        "%{i",
        "%{L1r+-}",
        "%{d0}",
        "%{c}",
        "%%",
        "%_",
        "%-",
        "%",
        "}",
        "x-y",
        "_",
        "A",
        "MX",
        "é",
        "\t",
    ];
    let tail = prop::collection::vec(prop::sample::select(pieces), 0..12)
        .prop_map(|pieces| pieces.concat());
    prop_oneof![
        4 => tail.clone().prop_map(|tail| format!("v=spf1 {tail}")),
        1 => tail,
        1 => "v=spf1[ -~]{0,40}",
        8 => nearly_a_record(),
    ]
}

/// A record with one character taken out, put in, or neither.
fn nearly_a_record() -> impl Strategy<Value = String> {
    let terms = vec![
        "a",
        "MX/24",
        "a:example.com/24//64",
        "mx//0",
        "ptr",
        "ptr:%{d}",
        "include:_spf.%{d2}",
        "exists:%{L1r+-}.x.%{d}",
        "ip4:192.0.2.0/24",
        "ip6:2001:db8::/32",
        "~all",
        "-all",
        "redirect=%{d}.x.org",
        "exp=e.%{o}",
        "moo.cow=%{c}x",
        "?exists:%{i}._%%.c-m.",
        "a:foo:bar/baz.example.com/0",
        "",
    ];
    let characters = prop::sample::select(" ab0/9:=.-%{}\u{e9}r+~".chars().collect::<Vec<_>>());
    let terms = prop::collection::vec(prop::sample::select(terms), 0..5);
    (terms, any::<prop::sample::Index>(), characters, 0..4_u8).prop_map(
        |(terms, at, character, change)| {
            let record = format!("v=spf1 {}", terms.join(" "));
            let at = at.index(record.len());
            match change {
                0 => format!("{}{}", &record[..at], &record[at + 1..]),
                1 => format!("{}{character}{}", &record[..at], &record[at..]),
                _ => record,
            }
        },
    )
}

fn context<'a>(local_part: &'a [u8], domain: &'a [u8], helo: &'a [u8]) -> Context<'a> {
    Context {
        local_part,
        sender_domain: domain,
        domain,
        ip: [192, 0, 2, 3].into(),
        helo,
        validated: b"unknown",
        receiver: b"unknown",
        now: u64::MAX,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_record_prints_what_it_parses(text in record_like()) {
        if let Ok(record) = text.parse::<SpfRecord>() {
            prop_assert_eq!(record.to_string().parse::<SpfRecord>(), Ok(record));
        }
    }

    #[test]
    fn a_record_is_what_the_grammar_says(text in record_like()) {
        let record = SpfRecord::parse(text.as_bytes(), &Limits::default());
        prop_assert_eq!(record.is_ok(), grammar::is_record(&text), "{:?}", record);
    }

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = SpfRecord::parse(&octets, &Limits::default());
        let _ = SpfRecord::parse(&[b"v=spf1 ", octets.as_slice()].concat(), &Limits::default());
    }

    #[test]
    fn a_fault_is_within_the_record(text in record_like()) {
        if let Err(error) = text.parse::<SpfRecord>() {
            prop_assert!(error.at <= text.len());
        }
    }

    #[test]
    fn an_expansion_is_a_name_or_nothing(text in "([a-z.]{0,4}(%\\{[slodivh][0-9]{0,2}r?[-.+]{0,2}\\})?){1,60}(\\.com|%\\{d\\})", local in "[ -~]{1,64}", domain in "([a-z]{1,20}\\.){1,8}org", helo in "[ -~]{0,250}") {
        let context = context(local.as_bytes(), domain.as_bytes(), helo.as_bytes());
        if let Ok(spec) = text.parse::<DomainSpec>() {
            prop_assert_eq!(spec.to_string().parse::<DomainSpec>(), Ok(spec.clone()));
            // The whole expansion, cut by the words of RFC 7208 §7.3.
            let whole = text.parse::<MacroString>().unwrap().expand(&context, usize::MAX).unwrap();
            let mut rest = whole.strip_suffix(b".").unwrap_or(&whole);
            while rest.len() > 253 {
                match rest.iter().position(|&octet| octet == b'.') {
                    Some(dot) => rest = &rest[dot + 1..],
                    None => break,
                }
            }
            prop_assert_eq!(spec.expand(&context).ok(), mail_dns::Name::from_dotted(rest).ok());
        }
    }

    #[test]
    fn an_explanation_prints_what_it_parses(text in "([ -~]|%\\{[cCrtS]\\}|%%|%_){0,30}", most in 0..600_usize) {
        if let Ok(text) = text.parse::<ExplainString>() {
            prop_assert_eq!(text.to_string().parse::<ExplainString>(), Ok(text.clone()));
            if let Ok(expanded) = text.expand(&context(b"joe", b"example.com", b"helo"), most) {
                prop_assert!(expanded.len() <= most);
            }
        }
    }

    #[test]
    fn received_spf_prints_what_it_parses(body in "(pass|fail|NONE|softfail|x)[ \t]{0,2}(\\([a-z \\\\()]{0,9}\\))?[ ]?((client-ip|helo|x)[ ]?=(\"[ -~]{0,9}\"|[a-z0-9.:]{0,9});? ?){0,4}") {
        if let Ok(field) = body.parse::<ReceivedSpf>() {
            prop_assert_eq!(field.to_string().parse::<ReceivedSpf>(), Ok(field.clone()));
            let whole = field.to_field().unwrap();
            prop_assert!(whole.starts_with("Received-SPF: ") && whole.ends_with("\r\n"));
            let again: ReceivedSpf = whole["Received-SPF:".len()..].parse().unwrap();
            prop_assert_eq!(again.pairs().collect::<Vec<_>>(), field.pairs().collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_field_body_panics(body in "\\PC{0,100}") {
        let _ = body.parse::<ReceivedSpf>();
    }
}

/// RFC 7208 §12, rule by rule. Where a rule is ambiguous for a parser that does not go back, the alternatives are tried in turn.
mod grammar {
    use nom::branch::alt;
    use nom::bytes::complete::{tag, tag_no_case, take_while, take_while_m_n};
    use nom::character::complete::{char, one_of, satisfy};
    use nom::combinator::{all_consuming, opt, recognize, verify};
    use nom::multi::{many0_count, many1_count};
    use nom::sequence::{delimited, pair, preceded};
    use nom::{IResult, Parser};

    pub(crate) fn is_record(text: &str) -> bool {
        let terms = |text: &str| {
            let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
            // RFC 7208 §6: "These two modifiers MUST NOT appear in a record more than once each."
            let count = |name: &str| {
                words
                    .iter()
                    .filter(|word| word.to_ascii_lowercase().starts_with(name))
                    .count()
            };
            words
                .iter()
                .all(|word| is_directive(word) || is_modifier(word))
                && count("redirect=") < 2
                && count("exp=") < 2
        };
        match text.split_at_checked(6) {
            Some((version, rest)) => {
                version.eq_ignore_ascii_case("v=spf1")
                    && (rest.is_empty() || rest.starts_with(' '))
                    && terms(rest)
            }
            None => false,
        }
    }

    fn name(text: &str) -> IResult<&str, &str> {
        recognize(pair(
            satisfy(|c| c.is_ascii_alphabetic()),
            take_while(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c)),
        ))
        .parse(text)
    }

    fn is_modifier(word: &str) -> bool {
        let Ok((value, name)) = name(word) else {
            return false;
        };
        let Some(value) = value.strip_prefix('=') else {
            return false;
        };
        if name.eq_ignore_ascii_case("redirect") || name.eq_ignore_ascii_case("exp") {
            is_domain_spec(value)
        } else {
            is_macro_string(value, true)
        }
    }

    fn is_directive(word: &str) -> bool {
        let word = word.strip_prefix(['+', '-', '?', '~']).unwrap_or(word);
        let argument = |name: &str| {
            let (head, rest) = word.split_at_checked(name.len())?;
            head.eq_ignore_ascii_case(name).then_some(rest)
        };
        let spec = |name: &str| argument(name).and_then(|rest| rest.strip_prefix(':'));
        let with_prefix = |rest: &str| {
            // Every place where the domain-spec may end.
            (0..=rest.len())
                .filter(|&at| rest.is_char_boundary(at))
                .any(|at| {
                    let (domain, prefix) = rest.split_at(at);
                    let domain =
                        domain.is_empty() || domain.strip_prefix(':').is_some_and(is_domain_spec);
                    domain
                        && all_consuming((
                            opt(preceded(char('/'), length(32))),
                            opt(preceded(tag("//"), length(128))),
                        ))
                        .parse(prefix)
                        .is_ok()
                })
        };
        word.eq_ignore_ascii_case("all")
            || spec("include").is_some_and(is_domain_spec)
            || spec("exists").is_some_and(is_domain_spec)
            || word.eq_ignore_ascii_case("ptr")
            || spec("ptr").is_some_and(is_domain_spec)
            || argument("a").is_some_and(with_prefix)
            || argument("mx").is_some_and(with_prefix)
            || spec("ip4").is_some_and(|text| {
                let (address, prefix) = text.split_at(text.find('/').unwrap_or(text.len()));
                address.parse::<std::net::Ipv4Addr>().is_ok()
                    && all_consuming(opt(preceded(char('/'), length(32))))
                        .parse(prefix)
                        .is_ok()
            })
            || spec("ip6").is_some_and(|text| {
                let (address, prefix) = text.split_at(text.find('/').unwrap_or(text.len()));
                address.parse::<std::net::Ipv6Addr>().is_ok()
                    && all_consuming(opt(preceded(char('/'), length(128))))
                        .parse(prefix)
                        .is_ok()
            })
    }

    /// `"0" / %x31-39 0*2DIGIT`, within the range.
    fn length<'a>(
        most: u16,
    ) -> impl Parser<&'a str, Output = &'a str, Error = nom::error::Error<&'a str>> {
        verify(
            take_while_m_n(1, 3, |c: char| c.is_ascii_digit()),
            move |digits: &str| {
                (digits == "0" || !digits.starts_with('0'))
                    && digits.parse::<u16>().is_ok_and(|value| value <= most)
            },
        )
    }

    fn macro_expand(
        letters: &'static str,
    ) -> impl for<'a> Fn(&'a str) -> IResult<&'a str, &'a str> {
        move |text| {
            let digits = verify(take_while(|c: char| c.is_ascii_digit()), |digits: &str| {
                digits.is_empty() || digits.contains(|c| c != '0')
            });
            let inner = (
                one_of(letters),
                digits,
                opt(tag_no_case("r")),
                many0_count(one_of(".-+,/_=")),
            );
            alt((
                recognize(delimited(tag("%{"), inner, char('}'))),
                tag("%%"),
                tag("%_"),
                tag("%-"),
            ))
            .parse(text)
        }
    }

    const TERM_LETTERS: &str = "slodiphvSLODIPHV";
    const ALL_LETTERS: &str = "slodiphcrtvSLODIPHCRTV";

    fn is_macro_string(text: &str, all: bool) -> bool {
        let letters = if all { ALL_LETTERS } else { TERM_LETTERS };
        let literal = recognize(many1_count(satisfy(|c| c.is_ascii_graphic() && c != '%')));
        all_consuming(many0_count(alt((literal, macro_expand(letters)))))
            .parse(text)
            .is_ok()
    }

    /// `macro-string ( ( "." toplabel [ "." ] ) / macro-expand )`
    fn is_domain_spec(text: &str) -> bool {
        (0..text.len())
            .filter(|&at| text.is_char_boundary(at))
            .any(|at| {
                let (head, end) = text.split_at(at);
                is_macro_string(head, false)
                    && (all_consuming(macro_expand(TERM_LETTERS)).parse(end).is_ok() || is_top(end))
            })
    }

    fn is_top(end: &str) -> bool {
        let Some(label) = end.strip_prefix('.') else {
            return false;
        };
        let label = label.strip_suffix('.').unwrap_or(label);
        let octets = label.as_bytes();
        let hyphens = label.contains('-')
            && octets
                .iter()
                .all(|c| c.is_ascii_alphanumeric() || *c == b'-');
        let ends = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
        let alpha = octets.iter().all(u8::is_ascii_alphanumeric)
            && octets.iter().any(u8::is_ascii_alphabetic);
        alpha || hyphens && ends(octets.first()) && ends(octets.last())
    }
}
