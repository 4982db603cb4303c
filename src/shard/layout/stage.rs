//! Files of an export come to their names together.
//!
//! They are written into a folder beside their places, `.NAME.export`, each as a whole, and moved when all are there: an
//! export that is stopped or killed leaves nothing under a final name, and the next one begins anew. The moves of a layout
//! of several files are not one step. Before the first of them their names are written down, so that the next export knows
//! what one that was killed between them had moved, and takes it away.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::atomic::{sync_folder, write_atomic};
use crate::error::{Error, Result};

/// The names of the files that are being moved, a line each: its length, its name.
const MOVES: &str = "moves";

pub(super) struct Stage {
    /// Where files will be: the beginning of their names, or their folder.
    target: PathBuf,
    /// The folder that the files or the folder will be in.
    parent: PathBuf,
    /// Where they are written.
    folder: PathBuf,
    /// The target, there.
    pub(super) prefix: PathBuf,
}

impl Stage {
    /// A stage beside `target`. Nothing is made yet.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] for a path without a last name.
    pub(super) fn new(target: &Path) -> Result<Self> {
        let Some(stem) = target.file_name() else {
            let why = "is no name that files can begin with; write one behind the folder";
            return Err(Error::Output { path: target.to_owned(), why });
        };
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = parent.join(format!(".{}.export", stem.to_string_lossy()));
        let prefix = folder.join(stem);
        Ok(Self { target: target.to_owned(), parent: parent.to_owned(), folder, prefix })
    }

    /// Makes the stage for files whose names are the target and one of these endings, or begin so, when none is there.
    pub(super) fn begin(&self, endings: &[&str]) -> Result<()> {
        self.clear()?;
        let stem = self.target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let begins = |name: &str| {
            name.strip_prefix(&stem).is_some_and(|rest| endings.iter().any(|ending| rest.starts_with(ending)))
        };
        if names(&self.parent)?.iter().any(|name| begins(name)) {
            return Err(self
                .taken("begins the name of a file that is there already; choose another name, or remove those files"));
        }
        create(&self.folder)
    }

    /// Makes the stage for a folder, which must not be there or be empty.
    pub(super) fn begin_folder(&self) -> Result<()> {
        self.clear()?;
        if self.target.exists() && !self.target.is_dir() {
            return Err(self.taken("is a file, but this layout is a folder; choose another name"));
        }
        if self.target.exists() && !names(&self.target)?.is_empty() {
            return Err(self.taken("holds files already; choose another folder, or remove it"));
        }
        create(&self.prefix)
    }

    fn taken(&self, why: &'static str) -> Error {
        Error::Output { path: self.target.clone(), why }
    }

    /// Makes the folder that leads to the target, and takes away what a killed export has left.
    fn clear(&self) -> Result<()> {
        create(&self.parent)?;
        if !self.folder.exists() {
            return Ok(());
        }
        let moves = fs::read_to_string(self.folder.join(MOVES)).unwrap_or_default();
        for (length, name) in moves.lines().filter_map(|line| line.split_once(' ')) {
            let path = self.parent.join(name);
            // A file of another length is somebody else's.
            let is_ours = path.metadata().is_ok_and(|metadata| metadata.len().to_string() == length);
            if is_ours && !self.folder.join(name).exists() {
                fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
            }
        }
        fs::remove_dir_all(&self.folder).map_err(|error| Error::io("remove", &self.folder, error))
    }

    /// Moves what was written to its place; gives the files there.
    pub(super) fn publish(&self, files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
        if self.prefix.is_dir() {
            fs::rename(&self.prefix, &self.target).map_err(|error| Error::io("rename", &self.prefix, error))?;
            let moved = |file: &PathBuf| self.target.join(file.file_name().unwrap_or_default());
            self.end()?;
            return Ok(files.iter().map(moved).collect());
        }
        let mut moves = String::new();
        for file in &files {
            let length = file.metadata().map_err(|error| Error::io("read", file, error))?.len();
            moves.push_str(&format!("{length} {}\n", file.file_name().unwrap_or_default().to_string_lossy()));
        }
        write_atomic(&self.folder.join(MOVES), moves.as_bytes())?;
        let mut places = Vec::new();
        for file in files {
            let place = self.target.with_file_name(file.file_name().unwrap_or_default());
            fs::rename(&file, &place).map_err(|error| Error::io("rename", &file, error))?;
            // The file by which readers find the others is the last, and must not be there before them.
            sync_folder(&self.parent)?;
            places.push(place);
        }
        self.end()?;
        Ok(places)
    }

    fn end(&self) -> Result<()> {
        fs::remove_dir_all(&self.folder).map_err(|error| Error::io("remove", &self.folder, error))?;
        sync_folder(&self.parent)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Between the moves of a layout of several files an error leaves the stage for the next export to see.
        if self.folder.exists() && !self.folder.join(MOVES).exists() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))
}

/// The names in a folder but for those of files that a killed run left half written.
fn names(folder: &Path) -> Result<Vec<String>> {
    let error = |error| Error::io("read", folder, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let name = entry.map_err(error)?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".tmp") {
            names.push(name);
        }
    }
    Ok(names)
}
