//! Reads what a source file names, from its syntax.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// One path that a source file names, with the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
}

/// What one source file names.
#[derive(Default)]
pub(crate) struct References {
    pub(crate) found: BTreeSet<Reference>,
    /// Lines of `pub use`.
    pub(crate) re_exports: Vec<usize>,
    /// Lines of `async`.
    pub(crate) async_lines: Vec<usize>,
}

impl References {
    pub(crate) fn of(source: &str) -> Self {
        let file = syn::parse_file(source).expect("the source parses");
        let mut references = Self::default();
        references.visit_file(&file);
        references
    }

    fn add(&mut self, line: usize, path: Vec<String>) {
        self.found.insert(Reference { line, path });
    }

    fn add_use(&mut self, line: usize, before: &[String], tree: &syn::UseTree) {
        let extended = |ident: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(ident.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.add_use(line, &extended(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add(line, extended(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(line, extended(&rename.ident)),
            syn::UseTree::Glob(_) => self.add(line, before.to_vec()),
            syn::UseTree::Group(group) => {
                for item in &group.items {
                    self.add_use(line, before, item);
                }
            }
        }
    }

    /// Macro bodies are tokens, not syntax: paths are picked out by their shape.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.flush(line, &mut path);
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.flush(line, &mut path);
                    colons = 0;
                    self.add_tokens(group.stream());
                }
                _ => {
                    self.flush(line, &mut path);
                    colons = 0;
                }
            }
        }
        self.flush(line, &mut path);
    }

    fn flush(&mut self, line: usize, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.add(line, path.clone());
        }
        path.clear();
    }
}

/// Test code may meet anybody, so it is not looked at.
fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|ident| ident == "test")
    })
}

impl<'ast> Visit<'ast> for References {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            _ => &[],
        };
        if !is_test_only(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let line = item.use_token.span.start().line;
        if matches!(item.vis, syn::Visibility::Public(_)) {
            self.re_exports.push(line);
        }
        self.add_use(line, &[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            let line = first.ident.span().start().line;
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect();
            self.add(line, names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.add_tokens(item.tokens.clone());
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(token) = signature.asyncness {
            self.async_lines.push(token.span.start().line);
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, expr: &'ast syn::ExprAsync) {
        self.async_lines.push(expr.async_token.span.start().line);
        visit::visit_expr_async(self, expr);
    }
}
