//! Writes XML into memory.

use quick_xml::escape::escape;

/// A document that is being written, an element a line.
pub(super) struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    pub(super) fn new() -> Self {
        Self {
            text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            depth: 0,
        }
    }

    /// An element with what `content` writes in it. `tag` is its name, with its attributes.
    pub(super) fn group(&mut self, tag: &str, content: impl FnOnce(&mut Self)) {
        self.begin_line();
        self.push(&["<", tag, ">\n"]);
        self.depth += 1;
        content(self);
        self.depth -= 1;
        self.begin_line();
        self.push(&["</", name(tag), ">\n"]);
    }

    /// An element with a text.
    pub(super) fn leaf(&mut self, tag: &str, text: &str) {
        self.begin_line();
        self.push(&["<", tag, ">", &escape(text), "</", name(tag), ">\n"]);
    }

    /// Elements in elements, of which the last has a text: `Id/Othr/Id`.
    pub(super) fn path(&mut self, tags: &str, text: &str) {
        match tags.split_once('/') {
            Some((tag, rest)) => self.group(tag, |xml| xml.path(rest, text)),
            None => self.leaf(tags, text),
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    fn begin_line(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn push(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
    }
}

fn name(tag: &str) -> &str {
    tag.split_once(' ').map_or(tag, |(name, _)| name)
}
