//! Reads what a source file names, from its syntax.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// One path that a source file names, with the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) line: usize,
    /// The `mod name { .. }` blocks around it, outermost first.
    pub(crate) inside: Vec<String>,
    pub(crate) path: Vec<String>,
}

/// One name that a `use` brings into a module.
pub(crate) struct Import {
    pub(crate) inside: Vec<String>,
    /// `None` for a glob.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
}

/// One `mod name;`, which stands for another file.
pub(crate) struct ModuleLine {
    pub(crate) inside: Vec<String>,
    pub(crate) name: String,
    /// From `#[path = ".."]`.
    pub(crate) file: Option<String>,
}

/// What one source file names. Test-only items are left out.
#[derive(Default)]
pub(crate) struct References {
    pub(crate) found: BTreeSet<Reference>,
    pub(crate) imports: Vec<Import>,
    pub(crate) module_lines: Vec<ModuleLine>,
    /// The `mod name { .. }` blocks, each with those around it.
    pub(crate) module_blocks: Vec<Vec<String>>,
    /// What `impl Type { .. }` blocks define: the block's modules, the path of the type, a function.
    pub(crate) methods: Vec<(Vec<String>, Vec<String>, String)>,
    /// The names of the functions that are called on a value or a type.
    pub(crate) calls: BTreeSet<String>,
    /// Lines of `pub use`.
    pub(crate) re_exports: Vec<usize>,
    /// Lines of `async`.
    pub(crate) async_lines: Vec<usize>,
    inside: Vec<String>,
}

impl References {
    pub(crate) fn of(source: &str) -> Self {
        let file = syn::parse_file(source).expect("the source parses");
        let mut references = Self::default();
        references.visit_file(&file);
        references
    }

    fn add(&mut self, line: usize, path: Vec<String>) {
        let inside = self.inside.clone();
        self.found.insert(Reference { line, inside, path });
    }

    fn import(&mut self, line: usize, name: Option<String>, path: Vec<String>) {
        self.add(line, path.clone());
        let inside = self.inside.clone();
        self.imports.push(Import { inside, name, path });
    }

    fn add_use(&mut self, line: usize, before: &[String], tree: &syn::UseTree) {
        let extended = |ident: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(ident.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.add_use(line, &extended(&path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.import(line, before.last().cloned(), before.to_vec());
            }
            syn::UseTree::Name(name) => {
                self.import(line, Some(name.ident.to_string()), extended(&name.ident));
            }
            syn::UseTree::Rename(rename) => {
                self.import(
                    line,
                    Some(rename.rename.to_string()),
                    extended(&rename.ident),
                );
            }
            syn::UseTree::Glob(_) => self.import(line, None, before.to_vec()),
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

/// Whether the item is compiled for tests only: `#[cfg(test)]` or `#[cfg(all(test, ..))]`.
fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    let is_test = |meta: &syn::Meta| match meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) => {
            list.path.is_ident("all")
                && list
                    .tokens
                    .to_string()
                    .split(", ")
                    .any(|word| word == "test")
        }
        syn::Meta::NameValue(_) => false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Meta>()
                .is_ok_and(|meta| is_test(&meta))
    })
}

fn names_of(path: &syn::Path) -> Vec<String> {
    let name = |segment: &syn::PathSegment| segment.ident.to_string();
    path.segments.iter().map(name).collect()
}

/// The text of `#[path = ".."]`.
fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
}

impl<'ast> Visit<'ast> for References {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Const(item) => &item.attrs,
            syn::Item::Enum(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Macro(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Static(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Trait(item) => &item.attrs,
            syn::Item::Type(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => &[],
        };
        if !is_test_only(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let (None, syn::Type::Path(of)) = (&item.trait_, &*item.self_ty) {
            for item in &item.items {
                if let syn::ImplItem::Fn(function) = item
                    && !is_test_only(&function.attrs)
                {
                    let inside = self.inside.clone();
                    let name = function.sig.ident.to_string();
                    self.methods.push((inside, names_of(&of.path), name));
                }
            }
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.calls.insert(call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test_only(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let name = item.ident.to_string();
        if item.content.is_none() {
            self.module_lines.push(ModuleLine {
                inside: self.inside.clone(),
                name,
                file: path_attribute(&item.attrs),
            });
            return;
        }
        self.inside.push(name);
        self.module_blocks.push(self.inside.clone());
        visit::visit_item_mod(self, item);
        self.inside.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let line = item.use_token.span.start().line;
        if matches!(item.vis, syn::Visibility::Public(_)) {
            self.re_exports.push(line);
        }
        self.add_use(line, &[], &item.tree);
    }

    /// `pub(in crate::hosts)` says who may use an item; the item uses nothing of `hosts`.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            let line = first.ident.span().start().line;
            let names = names_of(path);
            if let [_, .., called] = &names[..] {
                self.calls.insert(called.clone());
            }
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
