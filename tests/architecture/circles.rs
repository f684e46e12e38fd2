//! Finds circles of files: files of one crate that need each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::references::References;

/// How many imports a name is followed through. Rust refuses circular imports, so a chain is short.
const MAX_IMPORTS_FOLLOWED: usize = 16;

/// The module tree below one crate root, and what each of its files names.
pub(crate) struct Tree<'a> {
    crate_name: &'a str,
    sources: &'a BTreeMap<PathBuf, String>,
    /// The file of each module; a `mod name { .. }` block has the file that it stands in.
    modules: BTreeMap<Vec<String>, PathBuf>,
    /// The module that each file is, and what the file names.
    files: BTreeMap<PathBuf, (Vec<String>, References)>,
}

/// The files that each file uses, with the place that says so.
pub(crate) type Arrows = BTreeMap<PathBuf, BTreeMap<PathBuf, String>>;

impl<'a> Tree<'a> {
    /// Follows the `mod` lines from `root`, which is `lib.rs` or `main.rs`. `sources` holds texts by
    /// their path below `src/`.
    pub(crate) fn read(
        crate_name: &'a str,
        root: &str,
        sources: &'a BTreeMap<PathBuf, String>,
    ) -> Self {
        let mut tree = Self {
            crate_name,
            sources,
            modules: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        tree.add(PathBuf::from(root), Vec::new());
        tree
    }

    pub(crate) fn file_count(&self) -> usize {
        self.files.len()
    }

    fn add(&mut self, file: PathBuf, module: Vec<String>) {
        let source = self.sources.get(&file);
        let references = References::of(source.expect("a `mod` line names a file"));
        self.modules.insert(module.clone(), file.clone());
        for block in &references.module_blocks {
            self.modules
                .insert([&module[..], block].concat(), file.clone());
        }
        let children: Vec<(PathBuf, Vec<String>)> = references
            .module_lines
            .iter()
            .map(|line| {
                let child = [&module[..], &line.inside, std::slice::from_ref(&line.name)].concat();
                let folder = file.parent().unwrap_or(Path::new(""));
                let child_file = match &line.file {
                    Some(named) => folder.join(named),
                    None => self.file_of(
                        &folder_of_children(&file).join(line.inside.join("/")),
                        &line.name,
                    ),
                };
                (child_file, child)
            })
            .collect();
        self.files.insert(file, (module, references));
        for (file, module) in children {
            self.add(file, module);
        }
    }

    fn file_of(&self, folder: &Path, name: &str) -> PathBuf {
        let file = folder.join(name).with_extension("rs");
        if self.sources.contains_key(&file) {
            file
        } else {
            folder.join(name).join("mod.rs")
        }
    }

    /// Who uses whom. A name that comes through a re-export means the file that defines it.
    pub(crate) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (file, (module, references)) in &self.files {
            let targets = arrows.entry(file.clone()).or_default();
            let is_import = |path: &[String]| references.imports.iter().any(|i| i.path == path);
            for reference in &references.found {
                // A name alone is a local one, or an import that is looked at by itself.
                if reference.path.len() < 2 && !is_import(&reference.path) {
                    continue;
                }
                let from = [&module[..], &reference.inside].concat();
                for target in self.resolve(&from, &reference.path, 0) {
                    let place = format!("line {}: {}", reference.line, reference.path.join("::"));
                    if target != file {
                        targets.entry(target.clone()).or_insert(place);
                    }
                }
            }
        }
        self.add_methods(&mut arrows);
        arrows
    }

    /// A type's file that calls a method which another file defines for the type needs that file,
    /// although it names nothing of it.
    fn add_methods(&self, arrows: &mut Arrows) {
        for (file, (module, references)) in &self.files {
            for (inside, of, method) in &references.methods {
                let from = [&module[..], inside].concat();
                for home in self.type_home(&from, of) {
                    let (_, of_home) = &self.files[home];
                    if home != file && of_home.calls.contains(method) {
                        let targets = arrows.entry(home.clone()).or_default();
                        let place = format!("calls its own type's `{method}`");
                        targets.entry(file.clone()).or_insert(place);
                    }
                }
            }
        }
    }

    fn type_home(&self, from: &[String], of: &[String]) -> Vec<&PathBuf> {
        match of {
            [_] => self.imported(from, of, 0).unwrap_or_default(),
            _ => self.resolve(from, of, 0),
        }
    }

    /// The files that a path means, read within the module `from`; none when it is foreign.
    fn resolve(&self, from: &[String], path: &[String], followed: usize) -> Vec<&PathBuf> {
        let Some(first) = path.first().filter(|_| followed < MAX_IMPORTS_FOLLOWED) else {
            return Vec::new();
        };
        if first == "crate" || first == self.crate_name {
            return self.find(&[], &path[1..], followed);
        }
        if first == "self" {
            return self.find(from, &path[1..], followed);
        }
        let ups = path.iter().take_while(|name| *name == "super").count();
        if ups > 0 {
            let base = &from[..from.len().saturating_sub(ups)];
            return self.find(base, &path[ups..], followed);
        }
        if self.modules.contains_key(&[from, &path[..1]].concat()) {
            return self.find(from, path, followed);
        }
        self.imported(from, path, followed).unwrap_or_default()
    }

    /// The files that `rest` means, below the module `base`.
    fn find(&self, base: &[String], rest: &[String], followed: usize) -> Vec<&PathBuf> {
        let file = self.modules.get(base);
        let Some(name) = rest.first() else {
            return file.into_iter().collect();
        };
        let below = [base, std::slice::from_ref(name)].concat();
        if self.modules.contains_key(&below) {
            return self.find(&below, &rest[1..], followed);
        }
        if let Some(found) = self.imported(base, rest, followed) {
            return found;
        }
        // It is defined here, or comes through a glob; which of them, only the compiler knows.
        let globs = self.imports_of(base).filter(|(name, _)| name.is_none());
        globs
            .flat_map(|(_, path)| self.resolve(base, path, followed + 1))
            .chain(file)
            .collect()
    }

    /// The files that `path` means if its first name is one that the module imports.
    fn imported(
        &self,
        module: &[String],
        path: &[String],
        followed: usize,
    ) -> Option<Vec<&PathBuf>> {
        let (first, rest) = path.split_first()?;
        let is_meant = |name: &Option<String>, import: &[String]| {
            // `use name;` of a foreign crate imports nothing that could be followed.
            name.as_ref() == Some(first) && import != std::slice::from_ref(first)
        };
        let (_, import) = self
            .imports_of(module)
            .find(|(name, import)| is_meant(name, import))?;
        Some(self.resolve(module, &[import, rest].concat(), followed + 1))
    }

    fn imports_of(&self, module: &[String]) -> impl Iterator<Item = (&Option<String>, &[String])> {
        let file = self
            .modules
            .get(module)
            .and_then(|file| self.files.get(file));
        let (file_module, references) = file.expect("every module has a file");
        let inside = module[file_module.len()..].to_vec();
        references
            .imports
            .iter()
            .filter(move |import| import.inside == inside)
            .map(|import| (&import.name, import.path.as_slice()))
    }
}

/// `hosts/mod.rs` has its children beside it, `hosts.rs` in the folder `hosts`.
fn folder_of_children(file: &Path) -> PathBuf {
    let is_face = ["mod.rs", "lib.rs", "main.rs"]
        .iter()
        .any(|face| file.ends_with(face));
    if is_face {
        file.parent().unwrap_or(Path::new("")).to_path_buf()
    } else {
        file.with_extension("")
    }
}

/// The largest sets of files that all reach each other.
pub(crate) fn circles(arrows: &Arrows) -> Vec<BTreeSet<PathBuf>> {
    let reached = |start: &PathBuf| {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(file) = open.pop() {
            for target in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(target.clone()) {
                    open.push(target);
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&PathBuf, BTreeSet<PathBuf>> =
        arrows.keys().map(|file| (file, reached(file))).collect();
    let circle_of = |file: &PathBuf| -> BTreeSet<PathBuf> {
        let mutual = |other: &&PathBuf| reach[file].contains(*other) && reach[other].contains(file);
        arrows.keys().filter(mutual).cloned().collect()
    };
    let circles: BTreeSet<BTreeSet<PathBuf>> = arrows.keys().map(circle_of).collect();
    circles
        .into_iter()
        .filter(|circle| circle.len() > 1)
        .collect()
}

/// The arrows within one circle, a line each.
pub(crate) fn described(circle: &BTreeSet<PathBuf>, arrows: &Arrows) -> String {
    let mut lines = Vec::new();
    for file in circle {
        for (target, place) in arrows[file].iter().filter(|(to, _)| circle.contains(*to)) {
            lines.push(format!(
                "{} uses {} ({place})",
                file.display(),
                target.display()
            ));
        }
    }
    lines.join("\n")
}
