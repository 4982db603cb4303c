//! Which fields of a record are its text and its identifier: paths like `meta.text`, and templates of several.
//!
//! A path is a name, or names with dots between where objects lie in objects. A dot that belongs to a name is written
//! `\.`, a backslash `\\`, and in a template a closing brace `\}`. A template is text with paths in braces,
//! `{title}\n\n{text}`; in its text `\n`, `\t`, `\r` and `\\` are what they are elsewhere, `{{` and `}}` are braces.

use std::borrow::Cow;

use super::reader::ReadOptions;
use crate::error::{Error, RecordFault, Result};

/// The fields that are wanted, as a tree by their names; a record is gone through once, whatever their number.
pub(super) struct Fields {
    /// The first is the record itself; children come after their parents.
    nodes: Vec<Node>,
    text: Vec<Part>,
    id: Option<usize>,
}

pub(super) struct Node {
    name: String,
    children: Vec<usize>,
    /// The whole path, as it was written.
    path: String,
    /// Whether its own value is wanted, and not only what lies inside.
    wanted: bool,
}

/// A part of the text: what stands there, or a field by its node.
enum Part {
    Literal(String),
    Field(usize),
}

/// What a field of a record holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found<'r> {
    Missing,
    Text(Cow<'r, str>),
    Whole(i128),
    Other(&'static str),
}

impl Found<'_> {
    fn fault(&self, field: &str) -> RecordFault {
        let field = field.to_owned();
        match self {
            Self::Missing => RecordFault::MissingField { field },
            Self::Whole(_) => RecordFault::NotAString { field, found: "a number" },
            Self::Other(found) => RecordFault::NotAString { field, found },
            Self::Text(_) => RecordFault::NotAString { field, found: "a string" },
        }
    }
}

impl Fields {
    /// The fields that the options name.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a path or a template that is none.
    pub(super) fn of(options: &ReadOptions) -> Result<Self> {
        let root = Node { name: String::new(), children: Vec::new(), path: String::new(), wanted: false };
        let mut fields = Self { nodes: vec![root], text: Vec::new(), id: None };
        match &options.template {
            Some(template) => fields.text = fields.template(template)?,
            None => fields.text = vec![Part::Field(fields.add("field", &options.field)?)],
        }
        if let Some(id) = &options.id_field {
            fields.id = Some(fields.add("id-field", id)?);
        }
        Ok(fields)
    }

    /// The node of a path, made where it is new.
    fn add(&mut self, setting: &'static str, path: &str) -> Result<usize> {
        let mut at = 0;
        for name in names(setting, path)? {
            let known = self.nodes[at].children.iter().copied().find(|child| self.nodes[*child].name == name);
            at = known.unwrap_or_else(|| {
                let new = self.nodes.len();
                self.nodes[at].children.push(new);
                self.nodes.push(Node { name, children: Vec::new(), path: String::new(), wanted: false });
                new
            });
        }
        self.nodes[at].wanted = true;
        path.clone_into(&mut self.nodes[at].path);
        Ok(at)
    }

    fn template(&mut self, template: &str) -> Result<Vec<Part>> {
        let wrong = |expected: &str| Error::Setting {
            name: "template",
            value: format!("`{template}`"),
            expected: expected.to_owned(),
        };
        let (mut parts, mut literal) = (Vec::new(), String::new());
        let mut rest = template.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\\' => literal.push(match rest.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some('\\') => '\\',
                    _ => return Err(wrong(r"text in which a backslash stands as \n, \t, \r or \\")),
                }),
                '{' | '}' if rest.peek() == Some(&c) => literal.extend(rest.next()),
                '{' => {
                    let (mut path, mut closed) = (String::new(), false);
                    while let Some(c) = rest.next() {
                        closed = c == '}';
                        if closed {
                            break;
                        }
                        path.push(c);
                        if c == '\\' {
                            path.extend(rest.next());
                        }
                    }
                    if !closed {
                        return Err(wrong("text with fields in braces, as `{title}`; a brace itself is written twice"));
                    }
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                    parts.push(Part::Field(self.add("template", &path)?));
                }
                '}' => return Err(wrong("text with fields in braces, as `{title}`; a brace itself is written twice")),
                c => literal.push(c),
            }
        }
        if parts.is_empty() {
            return Err(wrong("text with at least one field in braces, as `{text}`"));
        }
        parts.push(Part::Literal(literal));
        Ok(parts)
    }

    /// Room for what a record holds, by node.
    pub(super) fn nothing<'r>(&self) -> Vec<Found<'r>> {
        vec![Found::Missing; self.nodes.len()]
    }

    /// The child of a node with this name.
    pub(super) fn child(&self, node: usize, name: &str) -> Option<usize> {
        self.nodes[node].children.iter().copied().find(|child| self.nodes[*child].name == name)
    }

    /// Whether other fields are looked for inside this one.
    pub(super) fn has_children(&self, node: usize) -> bool {
        !self.nodes[node].children.is_empty()
    }

    /// The wanted nodes with the names that lead to them, and their paths as they were written.
    #[cfg(feature = "parquet")]
    pub(super) fn paths(&self) -> Vec<(usize, Vec<&str>, &str)> {
        let (mut found, mut open) = (Vec::new(), vec![(0, Vec::new())]);
        while let Some((node, names)) = open.pop() {
            for child in &self.nodes[node].children {
                let below = [names.as_slice(), &[self.nodes[*child].name.as_str()]].concat();
                open.push((*child, below));
            }
            if self.nodes[node].wanted {
                found.push((node, names, self.nodes[node].path.as_str()));
            }
        }
        found.sort_by_key(|(node, ..)| *node);
        found
    }

    /// Whether a node is only the identifier, which may be missing.
    #[cfg(feature = "parquet")]
    pub(super) fn is_only_id(&self, node: usize) -> bool {
        self.id == Some(node) && !self.text.iter().any(|part| matches!(part, Part::Field(field) if *field == node))
    }

    /// The text of a record, or why it has none; it may be taken out of what was found.
    pub(super) fn take_text<'r>(&self, found: &mut [Found<'r>]) -> std::result::Result<Cow<'r, str>, RecordFault> {
        if let [Part::Field(node)] = self.text[..] {
            return match &mut found[node] {
                Found::Text(text) => Ok(std::mem::take(text)),
                other => Err(other.fault(&self.nodes[node].path)),
            };
        }
        let mut all = String::new();
        for part in &self.text {
            match part {
                Part::Literal(text) => all.push_str(text),
                Part::Field(node) => match &found[*node] {
                    Found::Text(text) => all.push_str(text),
                    other => return Err(other.fault(&self.nodes[*node].path)),
                },
            }
        }
        Ok(Cow::Owned(all))
    }

    /// The identifier of a record.
    pub(super) fn id(&self, found: &[Found<'_>]) -> Option<String> {
        match &found[self.id?] {
            Found::Text(text) => Some(text.clone().into_owned()),
            Found::Whole(number) => Some(number.to_string()),
            Found::Missing | Found::Other(_) => None,
        }
    }
}

/// The names of a path.
fn names(setting: &'static str, path: &str) -> Result<Vec<String>> {
    let wrong =
        |expected: &str| Error::Setting { name: setting, value: format!("`{path}`"), expected: expected.to_owned() };
    let (mut names, mut name, mut rest) = (Vec::new(), String::new(), path.chars());
    while let Some(c) = rest.next() {
        match c {
            '.' => names.push(std::mem::take(&mut name)),
            '\\' => match rest.next() {
                Some(c @ ('.' | '\\' | '{' | '}')) => name.push(c),
                _ => return Err(wrong(r"a path in which a backslash stands as \. or \\")),
            },
            c => name.push(c),
        }
    }
    names.push(name);
    if names.iter().any(String::is_empty) {
        return Err(wrong("names with dots between, none of them empty"));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_paths() {
        let good = |path: &str| names("field", path).unwrap();
        assert_eq!(good("text"), ["text"]);
        assert_eq!(good("meta.text.zh"), ["meta", "text", "zh"]);
        assert_eq!(good(r"a\.b.c\\"), ["a.b", r"c\"]);
        for bad in ["", ".", "a.", ".a", "a..b", r"a\", r"a\n"] {
            assert!(matches!(names("field", bad), Err(Error::Setting { name: "field", .. })), "{bad}");
        }
    }

    fn filled(template: &str, values: &[(&str, &str)]) -> std::result::Result<String, RecordFault> {
        let fields =
            Fields::of(&ReadOptions { template: Some(template.to_owned()), ..ReadOptions::default() }).unwrap();
        let mut found = fields.nothing();
        for (path, value) in values {
            let names = names("field", path).unwrap();
            let node = names.iter().try_fold(0, |node, name| fields.child(node, name)).unwrap();
            found[node] = Found::Text(Cow::Borrowed(value));
        }
        fields.take_text(&mut found).map(Cow::into_owned)
    }

    #[test]
    fn templates() {
        let values = [("title", "题"), ("text", "文")];
        assert_eq!(filled(r"{title}\n\n{text}", &values).unwrap(), "题\n\n文");
        assert_eq!(filled("{{{text}}} 字{title}{text}", &values).unwrap(), "{文} 字题文");
        assert_eq!(filled(r"\\\t{text}", &[("text", "x")]).unwrap(), "\\\tx");
        assert_eq!(filled(r"{a\}b.c}", &[(r"a\}b.c", "x")]).unwrap(), "x");
        assert_eq!(
            filled("{title}{text}", &[("title", "x")]),
            Err(RecordFault::MissingField { field: "text".to_owned() })
        );
        for bad in ["", "text", "{text", "text}", "{}", r"{text}\x", r"{text}\", "{{text}}", r"{text\}"] {
            let options = ReadOptions { template: Some(bad.to_owned()), ..ReadOptions::default() };
            assert!(matches!(Fields::of(&options), Err(Error::Setting { name: "template", .. })), "{bad}");
        }
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn paths_share_their_way() {
        let options = ReadOptions {
            template: Some("{m.a}{m.b}{m.a}".to_owned()),
            id_field: Some("m".to_owned()),
            ..ReadOptions::default()
        };
        let fields = Fields::of(&options).unwrap();
        let paths: Vec<Vec<&str>> = fields.paths().into_iter().map(|(_, names, _)| names).collect();
        assert_eq!(paths, [vec!["m"], vec!["m", "a"], vec!["m", "b"]]);
    }
}
