//! The elements of a file and their texts, checked for what XML allows and a message may have.

use std::io::BufRead;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::error::{Iso20022Error, Iso20022Fault};
use super::limits::{MAX_ATTRIBUTES, MAX_DEPTH, MAX_SHOWN};
use super::message::Message;
use super::source::{Bound, Source};
use crate::settlement::position::Position;

/// The outermost element of every message.
const DOCUMENT: &str = "Document";
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
    /// The messages that it may be.
    allowed: &'static [Message],
    /// The one that it is, and its namespace, once that has begun.
    found: Option<(Message, String)>,
    /// An element that has ended, and that the path is still to lose.
    ended: bool,
}

impl<R: BufRead> Elements<R> {
    pub(super) fn new(input: R, allowed: &'static [Message], most_bytes: u64) -> Self {
        let mut reader = NsReader::from_reader(Source::new(input, most_bytes));
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().check_comments = true;
        Self {
            reader,
            buffer: Vec::new(),
            path: String::new(),
            open: Vec::new(),
            text: String::new(),
            allowed,
            found: None,
            ended: false,
        }
    }

    /// The message that it is; none before its first element.
    pub(super) fn message(&self) -> Option<Message> {
        self.found.as_ref().map(|(message, _)| *message)
    }

    /// The element that has begun or ended: its path within the message, such as `Ntfctn/Ntry/Amt`.
    pub(super) fn path(&self) -> &str {
        let within = self.path.strip_prefix(DOCUMENT);
        let within = within.and_then(|path| path.strip_prefix('/'));
        within
            .and_then(|path| path.split_once('/'))
            .map_or("", |(_, path)| path)
    }

    /// What begins or ends next, and where its first tag is; none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(Position, Step)>, Iso20022Error> {
        if std::mem::take(&mut self.ended) {
            self.leave();
        }
        loop {
            let position = self.reader.get_mut().begin_event();
            let fault = |fault| Iso20022Error { position, fault };
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
    ) -> Result<Option<(Position, Step)>, Iso20022Fault> {
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
            Event::DocType(_) => return Err(Iso20022Fault::DocumentType),
            Event::Comment(_) | Event::PI(_) | Event::Eof => {}
        }
        Ok(None)
    }

    fn begin(&mut self, start: &BytesStart<'_>, position: Position) -> Result<Step, Iso20022Fault> {
        let (namespace, name) = self.reader.resolver().resolve_element(start.name());
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.into_inner(),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
        };
        let name = name.into_inner();
        let is_first = self.found.is_none();
        let is_own = match &self.found {
            Some((_, own)) => own == namespace,
            None => {
                let message = root(self.allowed, name, namespace)?;
                self.found = Some((message, namespace.to_owned()));
                true
            }
        };
        match (self.open.as_slice(), self.message()) {
            ([], _) if !is_first => {
                return Err(document("the end of the file", name));
            }
            ([_], Some(message)) if !is_own || name != message.root() => {
                return Err(document(message.root(), name));
            }
            _ => {}
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Iso20022Fault::TooDeep);
        }
        if let Some(parent) = self.open.last_mut() {
            parent.has_elements = true;
            if parent.has_text {
                return Err(Iso20022Fault::MixedContent);
            }
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if is_own && !name.bytes().all(is_name) {
            return Err(document("the name of an element", name));
        }
        let path_length = self.path.len();
        if path_length > 0 {
            self.path.push('/');
        }
        self.path.push_str(if is_own { name } else { FOREIGN });
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

    fn add_text(&mut self, text: &str) -> Result<(), Iso20022Fault> {
        if text.chars().all(is_space) {
            if !self.text.is_empty() {
                self.text.push_str(text);
            }
            return Ok(());
        }
        match self.open.last_mut() {
            Some(open) if !open.has_elements => open.has_text = true,
            _ => return Err(Iso20022Fault::MixedContent),
        }
        self.text.push_str(text);
        Ok(())
    }

    fn add_reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Iso20022Fault> {
        let unknown = || Iso20022Fault::Entity {
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

    fn finish(&self) -> Result<(), Iso20022Fault> {
        if !self.open.is_empty() {
            let element = self.path.clone();
            return Err(Iso20022Fault::Unfinished { element });
        }
        match self.found {
            Some(_) => Ok(()),
            None => Err(document("Document", "the end of the file")),
        }
    }
}

fn xml_fault(error: quick_xml::Error) -> Iso20022Fault {
    let bound = match &error {
        quick_xml::Error::Io(error) => error.get_ref().and_then(|error| error.downcast_ref()),
        _ => None,
    };
    match bound {
        Some(Bound::File(most_bytes)) => Iso20022Fault::FileTooLarge {
            most_bytes: *most_bytes,
        },
        Some(Bound::Event) => Iso20022Fault::EventTooLong,
        None => error.into(),
    }
}

/// The message that the outermost element begins.
fn root(allowed: &[Message], name: &str, namespace: &str) -> Result<Message, Iso20022Fault> {
    let is_version =
        |version: &str| version.len() == 2 && version.bytes().all(|byte| byte.is_ascii_digit());
    let message = allowed.iter().find(|message| {
        let version = namespace.strip_prefix(message.namespace());
        version.is_some_and(is_version)
    });
    let Some(message) = message else {
        let namespaces: Vec<_> = allowed.iter().map(|message| message.namespace()).collect();
        let expected = format!("the namespace {} and two digits", namespaces.join(" or "));
        return Err(document(&expected, namespace));
    };
    match name {
        DOCUMENT => Ok(*message),
        _ => Err(document(DOCUMENT, name)),
    }
}

fn document(expected: &str, got: &str) -> Iso20022Fault {
    let got = match got {
        "" => "none".to_owned(),
        _ => got.chars().take(2 * MAX_SHOWN).collect(),
    };
    let expected = expected.to_owned();
    Iso20022Fault::Document { expected, got }
}

/// Bytes are read as UTF-8, whatever is declared; so nothing else may be.
fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), Iso20022Fault> {
    let got = match declaration.encoding() {
        None => return Ok(()),
        Some(encoding) => encoding.map_err(quick_xml::Error::from)?,
    };
    match got.eq_ignore_ascii_case("utf-8") {
        true => Ok(()),
        false => Err(Iso20022Fault::Encoding {
            got: got.chars().take(MAX_SHOWN).collect(),
        }),
    }
}

fn currency(start: &BytesStart<'_>) -> Result<Option<String>, Iso20022Fault> {
    let mut currency = None;
    for (number, attribute) in start.attributes().enumerate() {
        if number >= MAX_ATTRIBUTES {
            return Err(Iso20022Fault::TooMany {
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
