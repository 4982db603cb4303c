//! From names to files: folders walked, globs expanded, forms told by extension, in a stable order.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The extensions that are read, for messages. Each but `.parquet` may be followed by that of a compression.
pub const KNOWN_EXTENSIONS: &str = ".txt, .jsonl, .parquet, .tar, and all but .parquet with .gz, .zst, .xz, .bz2";

/// The longest list of files that is read.
const MAX_LIST: u64 = 1 << 30;

/// The form of an input file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Plain text.
    Txt,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet, one document a row.
    Parquet,
    /// A tar archive, each of whose members is a file of the form that its name tells.
    Tar,
}

/// How an input file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, any number of members.
    Gzip,
    /// Zstandard, any number of frames.
    Zstd,
    /// xz, any number of streams.
    Xz,
    /// bzip2, any number of streams.
    Bzip2,
}

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Its path, as named; `-` is standard input.
    pub path: PathBuf,
    /// Its form.
    pub form: Form,
    /// The form of all members of an archive; `None`: that which their names tell.
    pub members: Option<Form>,
    /// Its compression.
    pub compression: Compression,
    /// Its length in bytes as it lies on disk; 0 for standard input.
    pub bytes: u64,
    /// Where its bytes lie, if not at its path: standard input that was kept, so that it can be read twice.
    pub spool: Option<PathBuf>,
}

/// The files behind the inputs that were named.
///
/// ```
/// use ciyuan::text::{Compression, Form, Source};
/// # fn main() -> ciyuan::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path().to_owned();
/// for name in ["b.jsonl.gz", "a.txt", "notes.md"] {
///     std::fs::write(folder.join(name), "").unwrap();
/// }
/// let source = Source::find(&[folder], None)?;
/// let [a, b] = &source.files[..] else { panic!("{source:?}") };
/// assert_eq!((a.form, a.compression), (Form::Txt, Compression::None));
/// assert_eq!((b.form, b.compression), (Form::Jsonl, Compression::Gzip));
/// assert!(source.skipped[0].ends_with("notes.md"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Files to read, in order.
    pub files: Vec<InputFile>,
    /// What lies in folders and is of no known form, hidden, a symbolic link, or no file, as a pipe.
    pub skipped: Vec<PathBuf>,
    /// Files that were reached again, and are read once.
    pub repeated: Vec<PathBuf>,
    /// Folders that were walked.
    pub folders: Vec<PathBuf>,
}

impl Source {
    /// Finds the files behind `inputs`: files, folders, globs, `-` for standard input, and `@list` for the inputs that a
    /// file names, one a line, in its order (`@-`: that standard input names). Names in a list are taken as they stand:
    /// relative to the current folder, blank lines left out, and `@` has no meaning in them. A file whose own name
    /// begins with `@` is named as `./@name`.
    ///
    /// A folder means its files of known extensions, in byte order of their paths; other files, hidden ones, symbolic
    /// links, and what is no file, as a pipe, are listed in [`Source::skipped`]. A file that is reached twice is read
    /// once, and listed in [`Source::repeated`].
    /// `form` forces the form of every file that is named itself; of an archive, that of its members.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] for a name that is not there, [`Error::Io`] for a folder that cannot be read, [`Error::Limit`]
    /// and [`Error::NotUtf8`] for a list that is none,
    /// [`Error::NoFiles`] for a folder without a file to read,
    /// [`Error::UnknownForm`] for a file whose extension is not known when `form` is `None`.
    pub fn find(inputs: &[PathBuf], form: Option<Form>) -> Result<Self> {
        let mut source = Self::default();
        for mut found in Self::find_each(inputs, form)? {
            source.files.append(&mut found.files);
            source.skipped.append(&mut found.skipped);
            source.repeated.append(&mut found.repeated);
            source.folders.append(&mut found.folders);
        }
        Ok(source)
    }

    /// As [`Source::find`], by inputs. A file that several inputs reach is one of the first.
    ///
    /// # Errors
    ///
    /// As [`Source::find`].
    pub fn find_each(inputs: &[PathBuf], form: Option<Form>) -> Result<Vec<Self>> {
        let mut sources = Vec::new();
        let mut seen = HashSet::new();
        for input in inputs {
            let mut found = Self::default();
            match input.to_str().and_then(|name| name.strip_prefix('@')) {
                Some(list) => {
                    for name in names_in(Path::new(list))? {
                        found.add(&name, form)?;
                    }
                }
                None => found.add(input, form)?,
            }
            let is_new = |file: &InputFile| seen.insert(file.path.canonicalize().unwrap_or_else(|_| file.path.clone()));
            let (new, repeated): (Vec<_>, Vec<_>) = found.files.into_iter().partition(is_new);
            found.files = new;
            found.repeated = repeated.into_iter().map(|file| file.path).collect();
            sources.push(found);
        }
        Ok(sources)
    }

    /// Bytes on disk of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    fn add(&mut self, input: &Path, form: Option<Form>) -> Result<()> {
        if input.as_os_str() == "-" {
            let form = form.unwrap_or(Form::Txt);
            let path = input.to_owned();
            self.files.push(InputFile {
                path,
                form,
                members: None,
                compression: Compression::None,
                bytes: 0,
                spool: None,
            });
        } else if input.is_dir() {
            self.walk(input)?;
        } else if input.exists() {
            self.files.push(named_file(input, form)?);
        } else {
            self.expand(input, form)?;
        }
        Ok(())
    }

    fn walk(&mut self, folder: &Path) -> Result<()> {
        self.folders.push(folder.to_owned());
        let mut paths = Vec::new();
        let visible = |entry: &walkdir::DirEntry| entry.depth() == 0 || !is_hidden(entry.path());
        for entry in walkdir::WalkDir::new(folder)
            .into_iter()
            .filter_entry(|entry| visible(entry) || !entry.file_type().is_dir())
        {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(folder).to_owned();
                Error::io("read", path, error.into())
            })?;
            let kind = entry.file_type();
            if !kind.is_dir() {
                paths.push((entry.into_path(), kind.is_file()));
            }
        }
        paths.sort_by(|(a, _), (b, _)| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
        for (path, is_file) in paths {
            match form_of(&path) {
                Some((form, compression)) if is_file && !is_hidden(&path) => {
                    let bytes = file_length(&path)?;
                    self.files.push(InputFile { path, form, members: None, compression, bytes, spool: None });
                }
                _ => self.skipped.push(path),
            }
        }
        if self.files.is_empty() {
            return Err(Error::NoFiles {
                path: folder.to_owned(),
                known: KNOWN_EXTENSIONS,
                skipped: self.skipped.len(),
            });
        }
        Ok(())
    }

    /// A glob; its matches come in byte order.
    fn expand(&mut self, pattern: &Path, form: Option<Form>) -> Result<()> {
        let missing = || Error::Missing { path: pattern.to_owned() };
        let text = pattern.to_str().ok_or_else(missing)?;
        let paths = glob::glob(text).map_err(|_| missing())?;
        let mut paths: Vec<PathBuf> =
            paths.collect::<std::result::Result<_, _>>().map_err(|error: glob::GlobError| {
                let path = error.path().to_owned();
                Error::io("read", path, error.into())
            })?;
        if paths.is_empty() {
            return Err(missing());
        }
        paths.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
        for path in paths {
            if path.is_dir() {
                self.walk(&path)?;
            } else {
                self.files.push(named_file(&path, form)?);
            }
        }
        Ok(())
    }
}

/// The names in a list.
fn names_in(list: &Path) -> Result<Vec<PathBuf>> {
    let io = |error| Error::io("read", list, error);
    let reader: Box<dyn Read> = if list.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(list).map_err(io)?)
    };
    let mut bytes = Vec::new();
    reader.take(MAX_LIST + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_LIST {
        let what = "the size of a list of files in bytes";
        return Err(Error::Limit { what, value: bytes.len() as u64, max: MAX_LIST });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = memchr::memchr_iter(b'\n', &error.as_bytes()[..offset]).count() as u64 + 1;
        Error::NotUtf8 { path: list.to_owned(), line, offset: offset as u64 }
    })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(PathBuf::from).collect())
}

fn named_file(path: &Path, forced: Option<Form>) -> Result<InputFile> {
    let known = form_of(path);
    let compression = known.map_or_else(|| compression_of(path).0, |(_, compression)| compression);
    let known = known.map(|(form, _)| form);
    let is_archive = known == Some(Form::Tar);
    let Some(form) = known.filter(|_| is_archive).or(forced).or(known) else {
        return Err(Error::UnknownForm { path: path.to_owned(), known: KNOWN_EXTENSIONS });
    };
    let members = forced.filter(|form| is_archive && *form != Form::Tar);
    Ok(InputFile { path: path.to_owned(), form, members, compression, bytes: file_length(path)?, spool: None })
}

fn file_length(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).map_err(|error| Error::io("read", path, error))?.len())
}

pub(super) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The compression that a name tells, and the name without it.
pub(super) fn compression_of(path: &Path) -> (Compression, PathBuf) {
    let compression = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Compression::Gzip,
        Some("zst") => Compression::Zstd,
        Some("xz") => Compression::Xz,
        Some("bz2") => Compression::Bzip2,
        Some("tgz") => return (Compression::Gzip, path.with_extension("tar")),
        _ => return (Compression::None, path.to_owned()),
    };
    (compression, path.with_extension(""))
}

/// Form and compression that a name tells.
pub(super) fn form_of(path: &Path) -> Option<(Form, Compression)> {
    let (compression, name) = compression_of(path);
    let form = match name.extension()?.to_str()? {
        "txt" => Form::Txt,
        "jsonl" => Form::Jsonl,
        "tar" => Form::Tar,
        "parquet" if compression == Compression::None => Form::Parquet,
        _ => return None,
    };
    Some((form, compression))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
    }

    fn names(source: &Source, folder: &Path) -> Vec<String> {
        let name = |file: &InputFile| file.path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        source.files.iter().map(name).collect()
    }

    #[test]
    fn folder_in_byte_order() {
        let folder = tempfile::tempdir().unwrap();
        touch(
            folder.path(),
            &[
                "b.txt",
                "a/z.jsonl",
                "a.txt",
                "B.txt",
                "notes.md",
                ".hidden.txt",
                ".git/x.txt",
                "c.txt.gz",
                "d.parquet.gz",
            ],
        );
        let source = Source::find(&[folder.path().to_owned()], None).unwrap();
        assert_eq!(names(&source, folder.path()), ["B.txt", "a.txt", "a/z.jsonl", "b.txt", "c.txt.gz"]);
        assert_eq!(source.skipped.len(), 3, "{:?}", source.skipped);
    }

    #[test]
    fn a_file_reached_twice_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), &["a.txt", "b.txt"]);
        let inputs = [folder.path().join("b.txt"), folder.path().to_owned(), folder.path().join("*.txt")];
        let source = Source::find(&inputs, None).unwrap();
        assert_eq!(names(&source, folder.path()), ["b.txt", "a.txt"]);
        assert_eq!(source.repeated, ["b.txt", "a.txt", "b.txt"].map(|name| folder.path().join(name)));
        let each = Source::find_each(&inputs, None).unwrap();
        let each: Vec<Vec<String>> = each.iter().map(|source| names(source, folder.path())).collect();
        assert_eq!(each, [vec!["b.txt"], vec!["a.txt"], vec![]]);
    }

    #[test]
    fn lists_of_files() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), &["a.txt", "b.txt", "c/d.txt"]);
        let list = folder.path().join("list");
        let path = folder.path().display();
        std::fs::write(&list, format!("\u{FEFF}{path}/c\r\n\n{path}/a.txt\n{path}/[ab].txt")).unwrap();
        let input = PathBuf::from(format!("@{}", list.display()));
        let source = Source::find(std::slice::from_ref(&input), None).unwrap();
        assert_eq!(names(&source, folder.path()), ["c/d.txt", "a.txt", "b.txt"]);
        std::fs::write(&list, b"a\nb\xFF").unwrap();
        assert!(matches!(
            Source::find(std::slice::from_ref(&input), None),
            Err(Error::NotUtf8 { line: 2, offset: 3, .. })
        ));
        std::fs::write(&list, "@list\n").unwrap();
        assert!(matches!(Source::find(&[input], None), Err(Error::Missing { path }) if path == Path::new("@list")));
        assert!(matches!(Source::find(&["@none".into()], None), Err(Error::Missing { .. })));
    }

    #[test]
    fn forms_by_name() {
        let form = |name: &str| form_of(Path::new(name));
        assert_eq!(form("a.txt.bz2"), Some((Form::Txt, Compression::Bzip2)));
        assert_eq!(form("a.tar.xz"), Some((Form::Tar, Compression::Xz)));
        assert_eq!(form("a.tgz"), Some((Form::Tar, Compression::Gzip)));
        assert_eq!((form("a.parquet.bz2"), form("a.bz2"), form("a.gz.txt.md")), (None, None, None));
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), &["a.tar", "b.tar.md"]);
        let find = |name: &str, form| Source::find(&[folder.path().join(name)], form).unwrap().files.remove(0);
        let forms = |file: InputFile| (file.form, file.members);
        assert_eq!(forms(find("a.tar", None)), (Form::Tar, None));
        assert_eq!(forms(find("a.tar", Some(Form::Jsonl))), (Form::Tar, Some(Form::Jsonl)));
        assert_eq!(forms(find("b.tar.md", Some(Form::Tar))), (Form::Tar, None));
    }

    #[test]
    fn what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), &["notes.md"]);
        let find = |path: PathBuf, form| Source::find(&[path], form);
        assert!(matches!(find(folder.path().join("none.txt"), None), Err(Error::Missing { .. })));
        assert!(matches!(find(folder.path().join("*.txt"), None), Err(Error::Missing { .. })));
        assert!(matches!(find(folder.path().to_owned(), None), Err(Error::NoFiles { skipped: 1, .. })));
        assert!(matches!(find(folder.path().join("notes.md"), None), Err(Error::UnknownForm { .. })));
        assert_eq!(find(folder.path().join("notes.md"), Some(Form::Txt)).unwrap().files[0].form, Form::Txt);
    }
}
