//! As much of XML Schema as RFC 9990 Appendix A uses: sequence, all, any, enumerations, how often.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

const SCHEMA: &str = include_str!("../reports/rfc9990_appendix_a.xsd");

/// An element with its children and text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) children: Vec<Node>,
    pub(crate) text: String,
}

impl Node {
    /// Parses a document by quick-xml, strictly.
    pub(crate) fn parse(xml: &str) -> Self {
        let mut reader = Reader::from_str(xml);
        reader.config_mut().enable_all_checks(true);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => open.push(Self::of(&start)),
                Event::Empty(start) => open.last_mut().unwrap().children.push(Self::of(&start)),
                Event::End(_) => {
                    let node = open.pop().unwrap();
                    open.last_mut().unwrap().children.push(node);
                }
                Event::Text(text) => open
                    .last_mut()
                    .unwrap()
                    .text
                    .push_str(&text.xml10_content()),
                Event::GeneralRef(_) => open.last_mut().unwrap().text.push('&'),
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(open.len(), 1, "an element is not closed");
        open.remove(0).children.remove(0)
    }

    fn of(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.unwrap();
            let name = attribute.key.as_ref().to_owned();
            (name, attribute.value.to_string())
        });
        Self {
            attributes: attributes.collect(),
            name: start.name().as_ref().to_owned(),
            ..Self::default()
        }
    }

    fn is(&self, name: &str) -> bool {
        self.name.strip_prefix("xs:") == Some(name)
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// The first element below this one with this name.
    pub(crate) fn at(&self, path: &str) -> &Self {
        path.split('/').fold(self, |node, name| {
            let found = node.children.iter().find(|child| child.name == name);
            found.unwrap_or_else(|| panic!("no {name} in {}", node.name))
        })
    }
}

/// Panics unless the document is valid.
pub(crate) fn validate(xml: &str) -> Node {
    let schema = Node::parse(SCHEMA);
    let document = Node::parse(xml);
    let namespace = schema.attribute("targetNamespace");
    assert_eq!(document.attribute("xmlns"), namespace);
    let root = schema
        .children
        .iter()
        .find(|node| node.is("element"))
        .unwrap();
    assert_eq!(root.attribute("name"), Some(document.name.as_str()));
    complex(&schema, &root.children[0], &document);
    document
}

fn element(schema: &Node, declared: &Node, node: &Node) {
    let kind = declared.attribute("type").unwrap();
    match kind.strip_prefix("xs:") {
        Some("string") => assert!(node.children.is_empty(), "{node:?}"),
        Some("integer") => assert!(node.text.parse::<u64>().is_ok(), "{node:?}"),
        Some("decimal") => assert!(node.text.parse::<f64>().is_ok(), "{node:?}"),
        Some(other) => panic!("{other}"),
        None => {
            let defined = schema
                .children
                .iter()
                .find(|node| node.attribute("name") == Some(kind));
            let defined = defined.unwrap();
            if defined.is("complexType") {
                complex(schema, defined, node);
            } else {
                let words = defined.children[0].children.iter();
                let mut words = words.map(|word| word.attribute("value").unwrap());
                assert!(words.any(|word| word == node.text), "{kind}: {node:?}");
            }
        }
    }
}

fn complex(schema: &Node, defined: &Node, node: &Node) {
    let content = &defined.children[0];
    if content.is("simpleContent") {
        assert!(node.children.is_empty(), "{node:?}");
        return;
    }
    assert!(node.text.trim().is_empty(), "{node:?}");
    let often = |declared: &Node, name: &str| match declared.attribute(name) {
        Some("unbounded") => usize::MAX,
        Some(number) => number.parse().unwrap(),
        None => 1,
    };
    let mut rest = node.children.as_slice();
    for declared in &content.children {
        if declared.is("any") {
            continue;
        }
        let name = declared.attribute("name").unwrap();
        // Of a sequence those that come next; of all those wherever they stand.
        let found: Vec<&Node> = if content.is("sequence") {
            let count = rest.iter().take_while(|child| child.name == name).count();
            let (found, behind) = rest.split_at(count);
            rest = behind;
            found.iter().collect()
        } else {
            node.children
                .iter()
                .filter(|child| child.name == name)
                .collect()
        };
        assert!(
            found.len() >= often(declared, "minOccurs"),
            "{name} in {node:?}"
        );
        assert!(
            found.len() <= often(declared, "maxOccurs"),
            "{name} in {node:?}"
        );
        for child in found {
            element(schema, declared, child);
        }
    }
    let is_declared = |child: &Node| {
        let mut names = content.children.iter();
        names.any(|declared| declared.attribute("name") == Some(&child.name))
    };
    if content.is("sequence") {
        assert!(rest.is_empty(), "{:?} is out of place", rest[0].name);
    } else {
        assert!(node.children.iter().all(is_declared), "{node:?}");
    }
}
