//! The elements of a file and their texts, checked for what XML allows and a notification may have.

use std::io::BufRead;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::error::{Camt054Error, Camt054Fault};
use super::limits::{MAX_ATTRIBUTES, MAX_DEPTH, MAX_SHOWN};
use super::source::{Bound, Position, Source};

/// The namespace of every version; two digits follow.
const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.";
/// The path of what is read, without what all of it is in.
const ROOT: &str = "Document/BkToCstmrDbtCdtNtfctn/";
/// The name of an element of another namespace in a path. No name of an element has it.
const FOREIGN: &str = "*";

/// An element that begins, or one that ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It begins; `currency` is its attribute Ccy.
    Begin { currency: Option<String> },
    /// It ends; `text` is what it held, without the white space around it, and nothing where it held elements.
    End { text: String },
}

/// An open element.
struct Open {
    /// Where its tag is.
    position: Position,
    /// The length of the path before it.
    path_length: usize,
    has_elements: bool,
    has_text: bool,
}

/// The elements of a file, in the order in which they begin and end.
pub(super) struct Elements<R> {
    reader: NsReader<Source<R>>,
    buffer: Vec<u8>,
    /// The names of the open elements, parted by '/'.
    path: String,
    open: Vec<Open>,
    text: String,
    namespace: Option<String>,
    /// An element that has ended, and that the path is still to lose.
    ended: bool,
}

impl<R: BufRead> Elements<R> {
    pub(super) fn new(input: R) -> Self {
        let mut reader = NsReader::from_reader(Source::new(input));
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().check_comments = true;
        Self {
            reader,
            buffer: Vec::new(),
            path: String::new(),
            open: Vec::new(),
            text: String::new(),
            namespace: None,
            ended: false,
        }
    }

    /// The element that has begun or ended: its path within the document, such as `Ntfctn/Ntry/Amt`.
    pub(super) fn path(&self) -> &str {
        self.path.strip_prefix(ROOT).unwrap_or("")
    }

    /// What begins or ends next, and where its first tag is; none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(Position, Step)>, Camt054Error> {
        if std::mem::take(&mut self.ended) {
            self.leave();
        }
        loop {
            let position = self.reader.get_mut().begin_event();
            let fault = |fault| Camt054Error { position, fault };
            self.buffer.clear();
            // The buffer is lent to the event, so that the rest of what is here can be changed meanwhile.
            let mut buffer = std::mem::take(&mut self.buffer);
            let event = self.reader.read_event_into(&mut buffer);
            let step = match event {
                Ok(Event::Eof) => return self.finish().map(|()| None).map_err(fault),
                Ok(event) => self.event(event, position).map_err(fault),
                Err(error) => Err(fault(xml_fault(error))),
            };
            self.buffer = buffer;
            if let Some(step) = step? {
                return Ok(Some(step));
            }
        }
    }

    /// The step that an event is, where it is one.
    fn event(
        &mut self,
        event: Event<'_>,
        position: Position,
    ) -> Result<Option<(Position, Step)>, Camt054Fault> {
        match event {
            Event::Start(start) | Event::Empty(start) => {
                let step = self.begin(&start, position)?;
                return Ok(Some((position, step)));
            }
            Event::End(_) => {
                let first = self.open.last().map_or(position, |open| open.position);
                return Ok(Some((first, self.end())));
            }
            Event::Text(text) => self.add_text(&text.xml10_content())?,
            Event::CData(text) => self.add_text(&text.xml10_content())?,
            Event::GeneralRef(reference) => self.add_reference(&reference)?,
            Event::Decl(declaration) => check_encoding(&declaration)?,
            Event::DocType(_) => return Err(Camt054Fault::DocumentType),
            Event::Comment(_) | Event::PI(_) | Event::Eof => {}
        }
        Ok(None)
    }

    fn begin(&mut self, start: &BytesStart<'_>, position: Position) -> Result<Step, Camt054Fault> {
        let (namespace, name) = self.reader.resolver().resolve_element(start.name());
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.into_inner(),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
        };
        let name = name.into_inner();
        let is_own = match self.namespace.as_deref() {
            Some(own) => own == namespace,
            None => {
                check_root(name, namespace)?;
                true
            }
        };
        match self.open.as_slice() {
            [] if self.namespace.is_some() => {
                return Err(document("the end of the file", name));
            }
            [_] if !is_own || name != "BkToCstmrDbtCdtNtfctn" => {
                return Err(document("BkToCstmrDbtCdtNtfctn", name));
            }
            _ => {}
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Camt054Fault::TooDeep);
        }
        if let Some(parent) = self.open.last_mut() {
            parent.has_elements = true;
            if parent.has_text {
                return Err(Camt054Fault::MixedContent);
            }
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if is_own && !name.bytes().all(is_name) {
            return Err(document("the name of an element", name));
        }
        let namespace = namespace.to_owned();
        let path_length = self.path.len();
        if path_length > 0 {
            self.path.push('/');
        }
        self.path.push_str(if is_own { name } else { FOREIGN });
        self.namespace.get_or_insert(namespace);
        self.open.push(Open {
            position,
            path_length,
            has_elements: false,
            has_text: false,
        });
        self.text.clear();
        Ok(Step::Begin {
            currency: currency(start)?,
        })
    }

    fn end(&mut self) -> Step {
        let text = std::mem::take(&mut self.text);
        self.ended = true;
        Step::End {
            text: text.trim_matches(is_space).to_owned(),
        }
    }

    fn leave(&mut self) {
        if let Some(open) = self.open.pop() {
            self.path.truncate(open.path_length);
        }
    }

    fn add_text(&mut self, text: &str) -> Result<(), Camt054Fault> {
        if text.chars().all(is_space) {
            if !self.text.is_empty() {
                self.text.push_str(text);
            }
            return Ok(());
        }
        match self.open.last_mut() {
            Some(open) if !open.has_elements => open.has_text = true,
            _ => return Err(Camt054Fault::MixedContent),
        }
        self.text.push_str(text);
        Ok(())
    }

    fn add_reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Camt054Fault> {
        let unknown = || Camt054Fault::Entity {
            got: reference.chars().take(MAX_SHOWN).collect(),
        };
        let resolved = match reference.resolve_char_ref() {
            Ok(Some(letter)) if !letter.is_control() || is_space(letter) => letter.to_string(),
            Ok(None) => resolve_xml_entity(reference)
                .map(str::to_owned)
                .ok_or_else(unknown)?,
            Ok(Some(_)) | Err(_) => return Err(unknown()),
        };
        self.add_text(&resolved)
    }

    fn finish(&self) -> Result<(), Camt054Fault> {
        if !self.open.is_empty() {
            let element = self.path.clone();
            return Err(Camt054Fault::Unfinished { element });
        }
        match self.namespace {
            Some(_) => Ok(()),
            None => Err(document("Document", "the end of the file")),
        }
    }
}

fn xml_fault(error: quick_xml::Error) -> Camt054Fault {
    let bound = match &error {
        quick_xml::Error::Io(error) => error.get_ref().and_then(|error| error.downcast_ref()),
        _ => None,
    };
    match bound {
        Some(Bound::File) => Camt054Fault::FileTooLarge,
        Some(Bound::Event) => Camt054Fault::EventTooLong,
        None => error.into(),
    }
}

fn check_root(name: &str, namespace: &str) -> Result<(), Camt054Fault> {
    let version = namespace.strip_prefix(NAMESPACE).unwrap_or("");
    if version.len() != 2 || !version.bytes().all(|byte| byte.is_ascii_digit()) {
        let expected = "the namespace urn:iso:std:iso:20022:tech:xsd:camt.054.001. and two digits";
        return Err(document(expected, namespace));
    }
    match name {
        "Document" => Ok(()),
        _ => Err(document("Document", name)),
    }
}

fn document(expected: &'static str, got: &str) -> Camt054Fault {
    let got = match got {
        "" => "none".to_owned(),
        _ => got.chars().take(2 * MAX_SHOWN).collect(),
    };
    Camt054Fault::Document { expected, got }
}

/// Bytes are read as UTF-8, whatever is declared; so nothing else may be.
fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), Camt054Fault> {
    let got = match declaration.encoding() {
        None => return Ok(()),
        Some(encoding) => encoding.map_err(quick_xml::Error::from)?,
    };
    match got.eq_ignore_ascii_case("utf-8") {
        true => Ok(()),
        false => Err(Camt054Fault::Encoding {
            got: got.chars().take(MAX_SHOWN).collect(),
        }),
    }
}

fn currency(start: &BytesStart<'_>) -> Result<Option<String>, Camt054Fault> {
    let mut currency = None;
    for (number, attribute) in start.attributes().enumerate() {
        if number >= MAX_ATTRIBUTES {
            return Err(Camt054Fault::TooMany {
                element: "attributes".to_owned(),
                most: MAX_ATTRIBUTES,
            });
        }
        let attribute = attribute.map_err(quick_xml::Error::from)?;
        if attribute.key.as_ref() == "Ccy" {
            currency = Some(attribute.value.to_string());
        }
    }
    Ok(currency)
}

/// What XML takes for white space.
fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}
