//! From names to files: folders walked, globs expanded, forms told by extension, in a stable order.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The extensions that are read, for messages. Each but `.parquet` may be followed by `.gz`, `.zst` or `.xz`.
pub const KNOWN_EXTENSIONS: &str = ".txt, .jsonl, .parquet, and .txt or .jsonl with .gz, .zst, .xz";

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
}

/// How an input file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, any number of members.
    Gzip,
    /// Zstandard, any number of frames.
    Zstd,
    /// xz, any number of streams.
    Xz,
}

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Its path, as named; `-` is standard input.
    pub path: PathBuf,
    /// Its form.
    pub form: Form,
    /// Its compression.
    pub compression: Compression,
    /// Its length in bytes as it lies on disk; 0 for standard input.
    pub bytes: u64,
}

/// The files behind the inputs that were named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Files to read, in order.
    pub files: Vec<InputFile>,
    /// Files in folders that are of no known form, hidden, or symbolic links.
    pub skipped: Vec<PathBuf>,
    /// Folders that were walked.
    pub folders: Vec<PathBuf>,
}

impl Source {
    /// Finds the files behind `inputs`: files, folders, globs, and `-` for standard input.
    ///
    /// A folder means its files of known extensions, in byte order of their paths; other files, hidden files and
    /// symbolic links inside folders are listed in [`Source::skipped`]. A file that is reached twice is read once.
    /// `form` forces the form of every file that is named itself.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] for a name that is not there, [`Error::NoFiles`] for a folder without a file to read,
    /// [`Error::UnknownForm`] for a file whose extension is not known when `form` is `None`.
    pub fn find(inputs: &[PathBuf], form: Option<Form>) -> Result<Self> {
        let mut source = Self::default();
        for mut found in Self::find_each(inputs, form)? {
            source.files.append(&mut found.files);
            source.skipped.append(&mut found.skipped);
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
            if input.as_os_str() == "-" {
                let form = form.unwrap_or(Form::Txt);
                found.files.push(InputFile { path: input.clone(), form, compression: Compression::None, bytes: 0 });
            } else if input.is_dir() {
                found.walk(input)?;
            } else if input.exists() {
                found.files.push(named_file(input, form)?);
            } else {
                found.expand(input, form)?;
            }
            found.files.retain(|file| seen.insert(file.path.canonicalize().unwrap_or_else(|_| file.path.clone())));
            sources.push(found);
        }
        Ok(sources)
    }

    /// Bytes on disk of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
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
            if !entry.file_type().is_dir() {
                paths.push(entry.into_path());
            }
        }
        paths.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
        for path in paths {
            match form_of(&path) {
                Some((form, compression)) if !is_hidden(&path) && !path.is_symlink() => {
                    let bytes = file_length(&path)?;
                    self.files.push(InputFile { path, form, compression, bytes });
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
        let mut paths: Vec<PathBuf> =
            glob::glob(text).map_err(|_| missing())?.filter_map(std::result::Result::ok).collect();
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

impl InputFile {
    /// The decompressed bytes of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] or [`Error::Io`] when it cannot be opened.
    pub(super) fn open(&self) -> Result<Box<dyn BufRead + Send>> {
        if self.path.as_os_str() == "-" {
            return Ok(Box::new(BufReader::new(std::io::stdin())));
        }
        let file = std::fs::File::open(&self.path).map_err(|error| Error::io("open", &self.path, error))?;
        let reader: Box<dyn Read + Send> = match self.compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
            Compression::Zstd => {
                Box::new(zstd::Decoder::new(file).map_err(|error| Error::io("open", &self.path, error))?)
            }
            Compression::Xz => Box::new(liblzma::read::XzDecoder::new_multi_decoder(file)),
        };
        Ok(Box::new(BufReader::with_capacity(1 << 18, reader)))
    }
}

fn named_file(path: &Path, form: Option<Form>) -> Result<InputFile> {
    let known = form_of(path);
    let compression = known.map_or_else(|| compression_of(path).0, |(_, compression)| compression);
    let Some(form) = form.or(known.map(|(form, _)| form)) else {
        return Err(Error::UnknownForm { path: path.to_owned(), known: KNOWN_EXTENSIONS });
    };
    Ok(InputFile { path: path.to_owned(), form, compression, bytes: file_length(path)? })
}

fn file_length(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).map_err(|error| Error::io("read", path, error))?.len())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The compression that a name tells, and the name without it.
fn compression_of(path: &Path) -> (Compression, PathBuf) {
    let compression = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Compression::Gzip,
        Some("zst") => Compression::Zstd,
        Some("xz") => Compression::Xz,
        _ => return (Compression::None, path.to_owned()),
    };
    (compression, path.with_extension(""))
}

/// Form and compression that a name tells.
fn form_of(path: &Path) -> Option<(Form, Compression)> {
    let (compression, name) = compression_of(path);
    let form = match name.extension()?.to_str()? {
        "txt" => Form::Txt,
        "jsonl" => Form::Jsonl,
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
        let each = Source::find_each(&inputs, None).unwrap();
        let each: Vec<Vec<String>> = each.iter().map(|source| names(source, folder.path())).collect();
        assert_eq!(each, [vec!["b.txt"], vec!["a.txt"], vec![]]);
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
