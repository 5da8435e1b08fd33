//! What is printed parses to what was printed: of all commands and responses, however literals are announced and names encoded.
#![allow(missing_docs, clippy::unwrap_used)]

use core::num::{NonZeroU32, NonZeroU64};
use imap_proto::*;
use mail_wire::Secret;
use proptest::prelude::*;
use proptest::sample::select;

/// Octets that a string can hold: all but NUL.
fn octets() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        "[ -~]{0,12}".prop_map(String::into_bytes),
        prop::collection::vec(1u8..=255, 0..12),
        select(vec![
            &b"NIL"[..],
            b"\"\\",
            b"{3}\r\nabc",
            b"a]b",
            b"\r\n* BYE\r\n",
            "\u{fc}".as_bytes()
        ])
        .prop_map(<[u8]>::to_vec),
        Just(vec![b'x'; 5_000]),
    ]
    .boxed()
}

fn nstring() -> BoxedStrategy<NString> {
    prop::option::of(octets()).boxed()
}

fn nz() -> BoxedStrategy<NonZeroU32> {
    prop_oneof![1u32..50, Just(u32::MAX)]
        .prop_map(|number| NonZeroU32::new(number).unwrap())
        .boxed()
}

fn mailbox() -> BoxedStrategy<Mailbox> {
    prop_oneof![
        "[ -~]{1,10}",
        "[a-z/&+\u{e4}\u{65e5}\u{1f4e7}]{1,8}",
        Just("inbox".to_owned())
    ]
    .prop_map(|name| Mailbox::new(&name).unwrap())
    .boxed()
}

fn keyword() -> BoxedStrategy<Keyword> {
    "\\\\?[A-Z$][a-z.-]{0,6}"
        .prop_map(|name| name.parse().unwrap())
        .boxed()
}

fn flag() -> BoxedStrategy<Flag> {
    prop_oneof![
        select(vec![
            Flag::Answered,
            Flag::Deleted,
            Flag::Draft,
            Flag::Flagged,
            Flag::Seen,
            Flag::Any
        ]),
        keyword().prop_map(|name| name.as_str().parse().unwrap()),
    ]
    .boxed()
}

fn flags() -> BoxedStrategy<Vec<Flag>> {
    prop::collection::vec(flag(), 0..4).boxed()
}

fn day() -> BoxedStrategy<Date> {
    (0u16..=9999, 1u8..=12, 1u8..=28)
        .prop_map(|(year, month, day)| Date::new(year, month, day).unwrap())
        .boxed()
}

fn date_time() -> BoxedStrategy<DateTime> {
    (day(), (0u8..24, 0u8..60, 0u8..60), -5_999i16..=5_999)
        .prop_map(|(day, clock, zone)| DateTime::new(day, clock, zone).unwrap())
        .boxed()
}

fn set() -> BoxedStrategy<SequenceSet> {
    let number = || prop_oneof![nz().prop_map(SeqNumber::Number), Just(SeqNumber::Last)];
    prop_oneof![
        prop::collection::vec((number(), number()), 1..4).prop_map(SequenceSet::Ranges),
        Just(SequenceSet::Saved),
    ]
    .boxed()
}

fn part() -> BoxedStrategy<Vec<NonZeroU32>> {
    prop::collection::vec(nz(), 1..4).boxed()
}

fn section_name() -> BoxedStrategy<SectionName> {
    let names = || prop::collection::vec("[A-Za-z-]{1,8}".prop_map(String::into_bytes), 1..3);
    let text = prop_oneof![
        Just(SectionText::Header),
        names().prop_map(SectionText::HeaderFields),
        names().prop_map(SectionText::HeaderFieldsNot),
        Just(SectionText::Text),
    ];
    prop_oneof![
        (prop::collection::vec(nz(), 0..3), prop::option::of(text))
            .prop_map(|(part, text)| SectionName::Body(Section { part, text })),
        part().prop_map(|part| SectionName::Body(Section {
            part,
            text: Some(SectionText::Mime)
        })),
        part().prop_map(SectionName::Binary),
        select(vec![
            SectionName::Rfc822,
            SectionName::Rfc822Header,
            SectionName::Rfc822Text
        ]),
    ]
    .boxed()
}

fn fetch_item() -> BoxedStrategy<FetchItem> {
    let partial = (0u64..1 << 40, 1u64..1 << 40)
        .prop_map(|(from, count)| (from, NonZeroU64::new(count).unwrap()));
    prop_oneof![
        select(vec![
            FetchItem::Body,
            FetchItem::BodyStructure,
            FetchItem::Envelope,
            FetchItem::Flags,
            FetchItem::InternalDate,
            FetchItem::Size,
            FetchItem::Uid,
        ]),
        part().prop_map(FetchItem::BinarySize),
        (section_name(), any::<bool>(), prop::option::of(partial)).prop_map(
            |(name, peek, partial)| {
                // RFC822 and its kin have neither.
                let is_old = !matches!(name, SectionName::Body(_) | SectionName::Binary(_));
                let peek = if is_old {
                    name == SectionName::Rfc822Header
                } else {
                    peek
                };
                FetchItem::Section {
                    peek,
                    partial: partial.filter(|_| !is_old),
                    name,
                }
            }
        ),
    ]
    .boxed()
}

fn search_key() -> BoxedStrategy<SearchKey> {
    use SearchKey as Key;
    let leaf = prop_oneof![
        select(vec![
            Key::All,
            Key::Answered,
            Key::Deleted,
            Key::Draft,
            Key::Flagged,
            Key::New,
            Key::Old,
            Key::Recent,
            Key::Seen,
            Key::Unanswered,
            Key::Undeleted,
            Key::Undraft,
            Key::Unflagged,
            Key::Unseen,
        ]),
        (
            octets(),
            select(vec![
                Key::Bcc as fn(Vec<u8>) -> Key,
                Key::Body,
                Key::Cc,
                Key::From,
                Key::Subject,
                Key::Text,
                Key::To
            ])
        )
            .prop_map(|(text, key)| key(text)),
        (
            day(),
            select(vec![
                Key::Before as fn(Date) -> Key,
                Key::On,
                Key::Since,
                Key::SentBefore,
                Key::SentOn,
                Key::SentSince
            ])
        )
            .prop_map(|(day, key)| key(day)),
        ("[a-z-]{1,8}", octets()).prop_map(|(name, text)| Key::Header(name.into_bytes(), text)),
        keyword().prop_map(Key::Keyword),
        keyword().prop_map(Key::Unkeyword),
        (0u64..1 << 62).prop_map(Key::Larger),
        (0u64..1 << 62).prop_map(Key::Smaller),
        set().prop_map(Key::Uid),
        set().prop_map(Key::Sequence),
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| Key::Not(Box::new(key))),
            (inner.clone(), inner.clone())
                .prop_map(|(one, other)| Key::Or(Box::new(one), Box::new(other))),
            prop::collection::vec(inner, 1..4).prop_map(Key::And),
        ]
    })
    .boxed()
}

fn status_item() -> BoxedStrategy<StatusItem> {
    use StatusItem as Item;
    select(vec![
        Item::Messages,
        Item::Recent,
        Item::UidNext,
        Item::UidValidity,
        Item::Unseen,
        Item::Deleted,
        Item::Size,
    ])
    .boxed()
}

fn id() -> BoxedStrategy<IdParameters> {
    prop::option::of(prop::collection::vec((octets(), nstring()), 0..3)).boxed()
}

fn pattern() -> BoxedStrategy<Vec<u8>> {
    prop_oneof!["[a-z%*/ ]{0,6}".prop_map(String::into_bytes), octets()].boxed()
}

fn list() -> BoxedStrategy<List> {
    use ListSelect::{RecursiveMatch, Remote, SpecialUse, Subscribed};
    let returns = prop_oneof![
        select(vec![
            ListReturn::Subscribed,
            ListReturn::Children,
            ListReturn::SpecialUse
        ]),
        prop::collection::vec(status_item(), 1..3).prop_map(ListReturn::Status),
    ];
    (
        prop::collection::vec(
            select(vec![Subscribed, Remote, RecursiveMatch, SpecialUse]),
            0..3,
        ),
        octets(),
        prop::collection::vec(pattern(), 1..3),
        prop::option::of(prop::collection::vec(returns, 0..3)),
        any::<bool>(),
    )
        .prop_map(|(mut select, reference, patterns, returns, parentheses)| {
            // RECURSIVEMATCH is nothing by itself (RFC 9051 §6.3.9.1).
            if select.contains(&RecursiveMatch) {
                select.push(Subscribed);
            }
            List {
                select,
                reference,
                extended_patterns: parentheses || patterns.len() > 1,
                patterns,
                returns,
            }
        })
        .boxed()
}

fn search() -> BoxedStrategy<Search> {
    use SearchReturn::{All, Count, Max, Min, Save};
    (
        prop::option::of(prop::collection::vec(
            select(vec![Min, Max, All, Count, Save]),
            0..3,
        )),
        prop::option::of(Just(b"UTF-8".to_vec())),
        search_key(),
    )
        .prop_map(|(returns, charset, key)| Search {
            returns,
            charset,
            key,
        })
        .boxed()
}

fn store() -> BoxedStrategy<Store> {
    (
        select(vec![StoreMode::Replace, StoreMode::Add, StoreMode::Remove]),
        any::<bool>(),
        flags(),
    )
        .prop_map(|(mode, silent, flags)| Store {
            mode,
            silent,
            flags,
        })
        .boxed()
}

fn body() -> BoxedStrategy<CommandBody> {
    use CommandBody as Body;
    let on_mailbox: Vec<fn(Mailbox) -> Body> = vec![
        Body::Delete,
        Body::Subscribe,
        Body::Unsubscribe,
        Body::Select,
        Body::Examine,
    ];
    let append = (mailbox(), flags(), prop::option::of(date_time()), octets()).prop_map(
        |(mailbox, flags, date, message)| Body::Append {
            append: Append {
                mailbox,
                flags,
                date,
            },
            message,
        },
    );
    prop_oneof![
        (0usize..10).prop_map(|n| [
            || Body::Capability,
            || Body::Noop,
            || Body::Logout,
            || Body::StartTls,
            || Body::Namespace,
            || Body::Check,
            || Body::Close,
            || Body::Unselect,
            || Body::Expunge,
            || Body::Idle,
        ][n]()),
        (octets(), octets()).prop_map(|(user, password)| Body::Login {
            user,
            password: Secret::new(password)
        }),
        ("[A-Z-]{1,9}", prop::option::of("[A-Za-z0-9+/]{1,9}={0,2}")).prop_map(
            |(mechanism, initial)| Body::Authenticate {
                mechanism,
                initial: initial.map(|text| Secret::new(text.into_bytes())),
            }
        ),
        prop::collection::vec("[A-Za-z0-9=]{1,9}", 1..3).prop_map(Body::Enable),
        id().prop_map(Body::Id),
        list().prop_map(Body::List),
        (octets(), pattern()).prop_map(|(reference, pattern)| Body::Lsub { reference, pattern }),
        (mailbox(), prop::collection::vec(keyword(), 0..3)).prop_map(|(mailbox, special_use)| {
            Body::Create {
                mailbox,
                special_use,
            }
        }),
        (mailbox(), select(on_mailbox)).prop_map(|(mailbox, body)| body(mailbox)),
        (mailbox(), mailbox()).prop_map(|(from, to)| Body::Rename(from, to)),
        (mailbox(), prop::collection::vec(status_item(), 1..4))
            .prop_map(|(mailbox, items)| Body::Status(mailbox, items)),
        append,
        set().prop_map(Body::UidExpunge),
        (any::<bool>(), search()).prop_map(|(uid, search)| Body::Search { uid, search }),
        (
            any::<bool>(),
            set(),
            prop::collection::vec(fetch_item(), 1..4)
        )
            .prop_map(|(uid, set, items)| Body::Fetch { uid, set, items }),
        (any::<bool>(), set(), store()).prop_map(|(uid, set, store)| Body::Store {
            uid,
            set,
            store
        }),
        (any::<bool>(), set(), mailbox()).prop_map(|(uid, set, mailbox)| Body::Copy {
            uid,
            set,
            mailbox
        }),
        (any::<bool>(), set(), mailbox()).prop_map(|(uid, set, mailbox)| Body::Move {
            uid,
            set,
            mailbox
        }),
    ]
    .boxed()
}

fn extension_value() -> BoxedStrategy<ExtensionValue> {
    let leaf = prop_oneof![
        "[0-9a-z:,.]{1,6}"
            .prop_filter("an atom", |atom| atom != "nil")
            .prop_map(ExtensionValue::Atom),
        octets().prop_map(ExtensionValue::String),
        Just(ExtensionValue::Nil),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(ExtensionValue::List)
    })
    .boxed()
}

fn addresses() -> BoxedStrategy<Vec<EnvelopeAddress>> {
    let address =
        (nstring(), nstring(), nstring(), nstring()).prop_map(|(name, route, mailbox, host)| {
            EnvelopeAddress {
                name,
                route,
                mailbox,
                host,
            }
        });
    prop::collection::vec(address, 0..3).boxed()
}

fn envelope() -> BoxedStrategy<Envelope> {
    (
        (nstring(), nstring(), nstring(), nstring()),
        (
            addresses(),
            addresses(),
            addresses(),
            addresses(),
            addresses(),
            addresses(),
        ),
    )
        .prop_map(
            |((date, subject, in_reply_to, message_id), (from, sender, reply_to, to, cc, bcc))| {
                Envelope {
                    date,
                    subject,
                    from,
                    sender,
                    reply_to,
                    to,
                    cc,
                    bcc,
                    in_reply_to,
                    message_id,
                }
            },
        )
        .boxed()
}

fn parameters() -> BoxedStrategy<Parameters> {
    prop::collection::vec((octets(), octets()), 0..2).boxed()
}

fn common_extension() -> BoxedStrategy<CommonExtension> {
    (
        prop::option::of((octets(), parameters())),
        prop::collection::vec(octets(), 0..3),
        nstring(),
        prop::collection::vec(extension_value(), 0..2),
    )
        .prop_map(
            |(disposition, language, location, future)| CommonExtension {
                disposition,
                language,
                location,
                future,
            },
        )
        .boxed()
}

fn structure() -> BoxedStrategy<BodyStructure> {
    let leaf = (
        (
            select(vec!["TEXT", "text", "image", "message", "X-y"]),
            "[a-z-]{1,6}",
            parameters(),
        ),
        (nstring(), nstring(), octets(), 0u64..1 << 40, 0u64..1 << 40),
        prop::option::of((nstring(), common_extension())),
    )
        .prop_map(
            |(
                (media_type, subtype, parameters),
                (id, description, encoding, octets, lines),
                extension,
            )| {
                let special = if media_type.eq_ignore_ascii_case("text") {
                    Special::Text { lines }
                } else {
                    Special::None
                };
                let extension = extension.map(|(md5, common)| SinglePartExtension { md5, common });
                BodyStructure::Single(Box::new(SinglePart {
                    media_type: media_type.into(),
                    subtype: subtype.into(),
                    parameters,
                    id,
                    description,
                    encoding,
                    octets,
                    special,
                    extension,
                }))
            },
        );
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            (
                prop::collection::vec(inner.clone(), 1..4),
                octets(),
                prop::option::of((parameters(), common_extension())),
            )
                .prop_map(|(parts, subtype, extension)| BodyStructure::Multipart {
                    parts,
                    subtype,
                    extension: extension
                        .map(|(parameters, common)| MultipartExtension { parameters, common }),
                }),
            (envelope(), inner, 0u64..1 << 40).prop_map(|(envelope, structure, lines)| {
                BodyStructure::Single(Box::new(SinglePart {
                    media_type: b"message".to_vec(),
                    subtype: b"rfc822".to_vec(),
                    encoding: b"7bit".to_vec(),
                    special: Special::Message {
                        envelope: Box::new(envelope),
                        structure: Box::new(structure),
                        lines,
                    },
                    ..SinglePart::default()
                }))
            }),
        ]
    })
    .boxed()
}

fn fetch_value() -> BoxedStrategy<FetchValue> {
    prop_oneof![
        structure().prop_map(|structure| FetchValue::BodyStructure {
            extended: true,
            structure: Box::new(structure)
        }),
        envelope().prop_map(|envelope| FetchValue::Envelope(Box::new(envelope))),
        flags().prop_map(FetchValue::Flags),
        date_time().prop_map(FetchValue::InternalDate),
        (0u64..1 << 62).prop_map(FetchValue::Size),
        nz().prop_map(FetchValue::Uid),
        (section_name(), prop::option::of(0u64..1 << 40), nstring()).prop_map(
            |(name, origin, octets)| {
                let is_old = !matches!(name, SectionName::Body(_) | SectionName::Binary(_));
                FetchValue::Section {
                    origin: origin.filter(|_| !is_old),
                    name,
                    data: SectionData::Here(octets),
                }
            }
        ),
        (part(), any::<u32>()).prop_map(|(part, size)| FetchValue::BinarySize(part, size)),
        ("X-[A-Z]{1,5}", extension_value())
            .prop_map(|(name, value)| FetchValue::Other(name, value)),
    ]
    .boxed()
}

fn capabilities() -> BoxedStrategy<Vec<Capability>> {
    prop::collection::vec(
        "[A-Za-z0-9=+-]{1,9}".prop_map(|name| name.parse().unwrap()),
        1..4,
    )
    .boxed()
}

fn code() -> BoxedStrategy<Code> {
    let uids = || prop::collection::vec((nz(), nz()), 1..3);
    prop_oneof![
        prop::collection::vec(octets(), 0..2).prop_map(Code::BadCharset),
        capabilities().prop_map(Code::Capability),
        flags().prop_map(Code::PermanentFlags),
        nz().prop_map(Code::UidNext),
        nz().prop_map(Code::UidValidity),
        nz().prop_map(Code::Unseen),
        (nz(), prop::collection::vec(1u32..90, 1..4))
            .prop_map(|(validity, uids)| Code::AppendUid(validity, uids.into_iter().collect())),
        (nz(), uids(), uids()).prop_map(|(uid_validity, source, destination)| Code::CopyUid(
            CopyUid {
                uid_validity,
                source,
                destination
            }
        )),
        select(vec![
            Word::Alert,
            Word::ReadOnly,
            Word::UnknownCte,
            Word::TryCreate
        ])
        .prop_map(Code::Word),
        (
            "X[A-Z]{1,5}",
            prop::option::of("[ -Z^-~]{1,8}".prop_map(String::into_bytes))
        )
            .prop_map(|(name, rest)| Code::Other(name, rest)),
    ]
    .boxed()
}

fn status(kinds: &'static [StatusKind]) -> BoxedStrategy<Status> {
    (select(kinds), prop::option::of(code()), "[ -~\u{e4}]{0,12}")
        .prop_map(|(kind, code, text)| Status {
            kind,
            code,
            text: Text::lossy(text.trim()),
        })
        .boxed()
}

fn list_entry() -> BoxedStrategy<ListEntry> {
    (
        prop::collection::vec(keyword(), 0..3),
        prop::option::of(select(vec!['/', '.', '"', '\\'])),
        mailbox(),
        prop::collection::vec((octets(), extension_value()), 0..2),
    )
        .prop_map(|(attributes, delimiter, mailbox, extended)| ListEntry {
            attributes,
            delimiter,
            mailbox,
            extended,
        })
        .boxed()
}

fn data() -> BoxedStrategy<Data> {
    use StatusKind::{Bad, Bye, No, Ok, PreAuth};
    let namespace = || {
        let entry = (
            octets(),
            prop::option::of(Just('/')),
            prop::collection::vec((octets(), prop::collection::vec(octets(), 1..3)), 0..2),
        )
            .prop_map(|(prefix, delimiter, extended)| NamespaceEntry {
                prefix,
                delimiter,
                extended,
            });
        prop::collection::vec(entry, 0..3)
    };
    let value = prop_oneof![
        (status_item(), 0u64..u64::from(u32::MAX))
            .prop_map(|(item, number)| StatusValue::Known(item, number)),
        ("X[A-Z]{1,5}", extension_value())
            .prop_map(|(name, value)| StatusValue::Other(name, value)),
    ];
    let esearch = (
        (
            prop::option::of(octets()),
            any::<bool>(),
            prop::option::of(nz()),
            prop::option::of(nz()),
        ),
        prop::option::of(prop::collection::vec(1u32..90, 1..4)),
        prop::option::of(any::<u32>()),
    )
        .prop_map(|((tag, uid, min, max), all, count)| {
            let all = all.map(|all| all.into_iter().collect());
            Esearch {
                tag,
                uid,
                min,
                max,
                all,
                count,
                other: Vec::new(),
            }
        });
    prop_oneof![
        status(&[Ok, No, Bad, PreAuth, Bye]).prop_map(Data::Status),
        capabilities().prop_map(Data::Capability),
        capabilities().prop_map(Data::Enabled),
        flags().prop_map(Data::Flags),
        list_entry().prop_map(Data::List),
        list_entry().prop_map(Data::Lsub),
        (namespace(), namespace(), namespace()).prop_map(|(a, b, c)| Data::Namespace([a, b, c])),
        (mailbox(), prop::collection::vec(value, 0..3))
            .prop_map(|(mailbox, values)| Data::MailboxStatus(mailbox, values)),
        prop::collection::vec(nz(), 0..4).prop_map(Data::Search),
        esearch.prop_map(Data::Esearch),
        any::<u32>().prop_map(Data::Exists),
        any::<u32>().prop_map(Data::Recent),
        nz().prop_map(Data::Expunge),
        (nz(), prop::collection::vec(fetch_value(), 1..4))
            .prop_map(|(number, values)| Data::Fetch(number, values)),
        id().prop_map(Data::Id),
        (
            "X[A-Z]{1,5}",
            prop::collection::vec(extension_value(), 0..3)
        )
            .prop_map(|(name, values)| Data::Other(name, values)),
    ]
    .boxed()
}

fn response() -> BoxedStrategy<Response> {
    use StatusKind::{Bad, No, Ok};
    prop_oneof![
        1 => "[ -~]{0,12}"
            .prop_filter("a literal is no text", |text| mail_wire::framing::literal_mark(text.as_bytes()).is_none())
            .prop_map(|text| Response::Continue(text.into_bytes())),
        8 => data().prop_map(Response::Data),
        1 => ("[A-Za-z0-9]{1,6}", status(&[Ok, No, Bad])).prop_map(|(tag, status)| Response::Tagged(tag.parse().unwrap(), status)),
    ].boxed()
}

/// RFC 9051 §9: only a quoted string or literal may hold `]` or what the framer would take for a mark, so layer 1 must see the same.
fn is_framed(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        let (line, tail) = (&rest[..at], &rest[at + 2..]);
        let Some(mark) = mail_wire::framing::literal_mark(line) else {
            return tail.is_empty();
        };
        let size = usize::try_from(mark.octets).unwrap();
        let Some(tail) = tail.get(size..) else {
            return false;
        };
        rest = tail;
    }
    false
}

/// RFC 9051 §4.3: a line that ends so announces a literal, whatever it is part of.
#[test]
fn no_text_of_a_response_announces_a_literal() {
    for (text, printed) in [
        ("{0}", "{0)"),
        ("see ~{17+}", "see ~{17+)"),
        ("{x}", "{x}"),
        ("{}", "{}"),
        ("{1} ", "{1} "),
    ] {
        let status = Status {
            kind: StatusKind::No,
            code: None,
            text: Text::lossy(text),
        };
        for (response, expected) in [
            (Response::Continue(text.into()), format!("+ {printed}\r\n")),
            (
                Response::Tagged("a".parse().unwrap(), status.clone()),
                format!("a NO {printed}\r\n"),
            ),
            (
                Response::Data(Data::Status(status)),
                format!("* NO {printed}\r\n"),
            ),
        ] {
            let octets = response.print(false);
            assert_eq!(octets, expected.as_bytes());
            assert!(is_framed(&octets), "{expected}");
            // Read as a line of its own, it is the same text.
            let line = expected.trim_end().replace(printed, text);
            let read = parse_response(line.as_bytes(), false).unwrap();
            assert_eq!(
                read.print(false),
                parse_response(expected.trim_end().as_bytes(), false)
                    .unwrap()
                    .print(false)
            );
        }
        assert_eq!(text.parse::<Text>().is_ok(), text == printed, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commands(tag in "[A-Za-z0-9.]{1,6}", body in body(), literals in 0usize..3, utf8: bool) {
        let literals = [LiteralMode::Synchronising, LiteralMode::Minus, LiteralMode::Plus][literals];
        let options = PrintOptions { literals, utf8 };
        let command = Command { tag: tag.parse().unwrap(), body };
        let printed = command.print(options);
        prop_assert!(is_framed(&printed.octets), "{}", printed.octets.escape_ascii());
        let line = printed.octets.strip_suffix(b"\r\n").unwrap();
        let read = parse_command(line, utf8).map_err(|e| TestCaseError::fail(format!("{e}: {}", line.escape_ascii())))?;
        prop_assert_eq!(format!("{read:?}"), format!("{command:?}"));
        prop_assert_eq!(read.print(options), printed);
    }

    #[test]
    fn responses(response in response(), utf8: bool) {
        let printed = response.print(utf8);
        prop_assert!(is_framed(&printed), "{}", printed.escape_ascii());
        let line = printed.strip_suffix(b"\r\n").unwrap();
        let read = parse_response(line, utf8).map_err(|e| TestCaseError::fail(format!("{e}: {}", line.escape_ascii())))?;
        prop_assert_eq!(read, response);
    }
}
