//! Small XML documents, whole: manifests, tables of contents, property lists.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::text;
use crate::{Budget, Refusal};

/// An element and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The name as it stands there, with its prefix.
    pub name: String,
    /// The attributes by their names, with their prefixes, in their order.
    pub attributes: Vec<(String, String)>,
    /// The elements in it, in their order.
    pub children: Vec<Element>,
    /// All text in it, but not in its children; white space included.
    pub text: String,
}

impl Element {
    /// The name without its prefix.
    pub fn local_name(&self) -> &str {
        local(&self.name)
    }

    /// The attribute of this name, whatever its prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(attribute, _)| local(attribute) == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The children of this name, whatever their prefixes.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.local_name() == name)
    }

    /// The first child of this name, whatever its prefix.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.local_name() == name)
    }

    /// What the names lead to, one below the other.
    pub fn path(&self, names: &[&str]) -> Option<&Element> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The text of the first child of this name, without white space around it.
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// Reads a document and answers its root.
///
/// # Errors
/// [`Refusal::Entities`] where it declares some; [`Refusal::Nesting`], [`Refusal::TooManyNodes`]
/// and [`Refusal::Time`]; [`Refusal::Malformed`] where it is not well-formed.
pub fn parse(bytes: &[u8], budget: &Budget) -> Result<Element, Refusal> {
    let document = text(bytes);
    let mut reader = Reader::from_str(&document);
    let mut builder = Builder::new(budget);
    loop {
        budget.step()?;
        match reader.read_event().map_err(malformed)? {
            Event::Start(tag) => builder.open(element(&tag)?)?,
            Event::Empty(tag) => {
                builder.open(element(&tag)?)?;
                builder.close();
            }
            Event::End(_) => builder.close(),
            Event::Text(part) => builder.add(&part.xml10_content()),
            Event::CData(part) => builder.add(&part.xml10_content()),
            Event::GeneralRef(reference) => builder.add(&resolve(&reference)?),
            // A document may name its type, as plists do, but not define any part of it.
            Event::DocType(declaration) if declaration.contains('[') => return Err(Refusal::Entities),
            Event::DocType(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => return builder.finish(),
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::malformed("XML", error)
}

fn element(tag: &BytesStart<'_>) -> Result<Element, Refusal> {
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(malformed)?;
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(malformed)?;
        attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
    }
    Ok(Element {
        name: tag.name().as_ref().to_owned(),
        attributes,
        ..Element::default()
    })
}

/// The text of `&amp;` or `&#38;`; only XML's own five entities are known.
fn resolve(reference: &BytesRef<'_>) -> Result<String, Refusal> {
    if let Some(character) = reference.resolve_char_ref().map_err(malformed)? {
        return Ok(character.to_string());
    }
    let known = resolve_predefined_entity(reference);
    known
        .map(str::to_owned)
        .ok_or_else(|| malformed(format!("the entity {} is not known", reference.as_ref())))
}

/// The elements that are open, each inside of the one before.
struct Builder<'b> {
    budget: &'b Budget,
    open: Vec<Element>,
    root: Option<Element>,
    count: u32,
}

impl<'b> Builder<'b> {
    fn new(budget: &'b Budget) -> Self {
        Self {
            budget,
            open: Vec::new(),
            root: None,
            count: 0,
        }
    }

    fn open(&mut self, element: Element) -> Result<(), Refusal> {
        let limit = self.budget.limits().nodes;
        // Attributes take memory as elements do.
        let size = element.attributes.len().saturating_add(1);
        self.count = self.count.saturating_add(u32::try_from(size).unwrap_or(u32::MAX));
        if self.count > limit {
            return Err(Refusal::TooManyNodes { limit });
        }
        self.open.push(element);
        self.budget.nest(u32::try_from(self.open.len()).unwrap_or(u32::MAX))
    }

    fn close(&mut self) {
        let closed = self.open.pop();
        match (self.open.last_mut(), closed) {
            (Some(parent), Some(element)) => parent.children.push(element),
            (None, Some(element)) if self.root.is_none() => self.root = Some(element),
            _ => {}
        }
    }

    fn add(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn finish(self) -> Result<Element, Refusal> {
        if !self.open.is_empty() {
            return Err(malformed("it ends inside of an element"));
        }
        self.root.ok_or_else(|| malformed("it has no element"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn read(document: &str) -> Result<Element, Refusal> {
        parse(document.as_bytes(), &Budget::new(&Limits::default()))
    }

    #[test]
    fn elements_are_found_by_name_whatever_their_prefix() {
        let root = read(
            r#"<?xml version="1.0"?><!-- x --><Package xmlns:uap="u"><Identity Name="a&amp;b" uap:Version='1'/>
            <uap:App><Name> A &lt;b&gt; &#x41;<![CDATA[&c]]></Name></uap:App><uap:App/></Package>"#,
        )
        .unwrap();
        assert_eq!(root.child("Identity").unwrap().attribute("Name"), Some("a&b"));
        assert_eq!(root.child("Identity").unwrap().attribute("Version"), Some("1"));
        assert_eq!(root.child("App").unwrap().child_text("Name"), Some("A <b> A&c"));
        assert_eq!(root.all("App").count(), 2);
        assert!(root.path(&["App", "None"]).is_none());
    }

    #[test]
    fn a_document_may_name_its_type_and_not_define_it() {
        let doctype = r#"<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/x.dtd">"#;
        assert!(read(&format!("{doctype}<plist/>")).is_ok());
        let laughs = r#"<!DOCTYPE a [<!ENTITY b "&c;&c;"><!ENTITY c "lol">]><a>&b;</a>"#;
        assert!(matches!(read(laughs), Err(Refusal::Entities)));
        let outside = r#"<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>"#;
        assert!(matches!(read(outside), Err(Refusal::Entities)));
        assert!(matches!(read("<a>&b;</a>"), Err(Refusal::Malformed { .. })));
    }

    #[test]
    fn depth_and_number_are_bounded() {
        assert!(matches!(
            read(&"<a>".repeat(100_000)),
            Err(Refusal::Nesting { limit: 64 })
        ));
        let many = format!("<a>{}</a>", "<b/>".repeat(200_000));
        assert!(matches!(read(&many), Err(Refusal::TooManyNodes { .. })));
        for cut in ["", "<a>", "<a", "</a>", "<a></b>", "text"] {
            assert!(matches!(read(cut), Err(Refusal::Malformed { .. })), "{cut}");
        }
    }
}
