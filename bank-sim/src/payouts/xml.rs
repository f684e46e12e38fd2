//! An XML document as a tree, within limits.

use std::fmt;

use quick_xml::{
    NsReader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesStart, Event},
    name::ResolveResult,
};

/// How deep elements may lie in each other.
const MAX_DEPTH: usize = 32;
/// How many elements a document may have.
const MAX_ELEMENTS: usize = 1_000_000;

/// An element, its text and what lies in it.
#[derive(Debug)]
pub(super) struct Element {
    /// Its name without a prefix.
    pub(super) name: String,
    /// Where it begins, in bytes.
    at: usize,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

/// What is wrong in a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    at: usize,
    problem: String,
}

impl Fault {
    /// The fault with its line and column, both from 1.
    pub(super) fn located(&self, document: &[u8]) -> String {
        let before = document.get(..self.at).unwrap_or(document);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let begin = before.iter().rposition(|byte| *byte == b'\n');
        let column = before.len() - begin.map_or(0, |place| place + 1) + 1;
        format!("line {line}, column {column}: {}", self.problem)
    }
}

impl Element {
    fn open(start: &BytesStart<'_>, at: usize) -> Result<Self, Fault> {
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| fault(at, &error))?;
            let value = attribute
                .normalized_value(XmlVersion::default())
                .map_err(|error| fault(at, &error))?;
            attributes.push((attribute.key.0.to_owned(), value.into_owned()));
        }
        Ok(Self {
            name: start.local_name().as_ref().to_owned(),
            at,
            attributes,
            text: String::new(),
            children: Vec::new(),
        })
    }

    /// A fault at this element.
    pub(super) fn fault(&self, problem: impl fmt::Display) -> Fault {
        Fault {
            at: self.at,
            problem: format!("{}: {problem}", self.name),
        }
    }

    /// Its text without blanks around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The elements of a name that lie in it.
    pub(super) fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a Self> + use<'a, 'n> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element at a path such as `DbtrAcct/Id`, if there is one.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        path.split('/')
            .try_fold(self, |element, name| element.all(name).next())
    }

    /// The element at a path.
    pub(super) fn get(&self, path: &str) -> Result<&Self, Fault> {
        self.find(path)
            .ok_or_else(|| self.fault(format!("expected {path} in it, got none")))
    }

    /// The text at a path, of 1 to so many characters.
    pub(super) fn get_text(&self, path: &str, most: usize) -> Result<&str, Fault> {
        let element = self.get(path)?;
        let length = element.text().chars().count();
        if (1..=most).contains(&length) {
            return Ok(element.text());
        }
        Err(element.fault(format!("expected 1 to {most} characters, got {length}")))
    }
}

fn fault(at: usize, problem: &dyn fmt::Display) -> Fault {
    Fault {
        at,
        problem: problem.to_string(),
    }
}

/// Reads a document whose root is in this namespace. There is no document type, and no entity but those of XML.
pub(super) fn read(document: &[u8], namespace: &str) -> Result<Element, Fault> {
    let text = str::from_utf8(document)
        .map_err(|error| fault(error.valid_up_to(), &"expected text in UTF-8"))?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0;
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let (bound, event) = reader
            .read_resolved_event()
            .map_err(|error| fault(at, &error))?;
        match event {
            Event::Start(start) => {
                elements += 1;
                if open.len() >= MAX_DEPTH || elements > MAX_ELEMENTS {
                    let limits =
                        format!("expected at most {MAX_ELEMENTS} elements, {MAX_DEPTH} deep");
                    return Err(fault(at, &limits));
                }
                let is_bound = matches!(bound, ResolveResult::Bound(it) if it.0 == namespace);
                if open.is_empty() && (root.is_some() || !is_bound) {
                    return Err(fault(at, &format!("expected one root in {namespace}")));
                }
                open.push(Element::open(&start, at)?);
            }
            Event::End(_) => {
                let closed = open.pop();
                match open.last_mut() {
                    Some(parent) => parent.children.extend(closed),
                    None => root = closed,
                }
            }
            Event::Text(text) => add(&mut open, &text.xml10_content(), at)?,
            Event::CData(text) => add(&mut open, &text.xml10_content(), at)?,
            Event::GeneralRef(reference) => {
                let resolved = reference
                    .resolve_char_ref()
                    .map_err(|error| fault(at, &error))?;
                let resolved = match resolved {
                    Some(character) => character.to_string(),
                    None => resolve_xml_entity(&reference)
                        .ok_or_else(|| fault(at, &"expected an entity of XML"))?
                        .to_owned(),
                };
                add(&mut open, &resolved, at)?;
            }
            Event::DocType(_) => return Err(fault(at, &"expected no document type")),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Empty(_) => {}
        }
    }
    match (root, open.last()) {
        (Some(root), None) => Ok(root),
        (_, Some(unclosed)) => Err(unclosed.fault("expected its end, the document is cut")),
        (None, None) => Err(fault(0, &"expected a document, got none")),
    }
}

/// Adds text to the innermost element; outside of the root there are only blanks.
fn add(open: &mut [Element], text: &str, at: usize) -> Result<(), Fault> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim_start_matches('\u{FEFF}').trim().is_empty() => {}
        None => return Err(fault(at, &"expected no text outside of the root")),
    }
    Ok(())
}
