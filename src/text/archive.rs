//! Archives of texts: tar files, each of whose members is a file of the form that its name tells.
//!
//! Headers are those of the crate `tar`, but not its walk through the members: it lends them for less than the life of
//! the archive, and not to other threads. The walk is compared to that of the crate in the tests.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{BufRead, Error as IoError, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tar::{Header, PaxExtensions};

use super::document::{Document, Origin, Record, Reject};
use super::lines::LineReader;
use super::open::{BytesRead, decompressed};
use super::reader::{ReadOptions, RecordReader, Records, text_records};
use super::source::{Compression, Form, InputFile, compression_of, form_of, is_hidden};
use crate::error::{Error, RecordFault, Result};

const BLOCK: usize = 512;
/// The longest name or list of extensions that is read.
const MAX_EXTENSION: u64 = 1 << 20;

pub(super) fn records<'o>(file: &InputFile, options: &'o ReadOptions) -> Result<Records<'o>> {
    let read = BytesRead::default();
    let stream = Stream { reader: file.open(&read)?, left: 0, padding: 0 };
    let path = file.path.clone();
    Ok(Records::new(Members {
        stream: Arc::new(Mutex::new(stream)),
        path,
        form: file.members,
        options,
        current: None,
        records: 0,
        done: false,
    })
    .counting(read))
}

/// The records of the members, one member after the other.
struct Members<'o> {
    stream: Arc<Mutex<Stream>>,
    path: PathBuf,
    form: Option<Form>,
    options: &'o ReadOptions,
    current: Option<Records<'o>>,
    /// Records that were given.
    records: u64,
    done: bool,
}

/// The archive, and how much of the member under way is left.
struct Stream {
    reader: Box<dyn BufRead + Send>,
    left: u64,
    padding: u64,
}

/// A file in the archive.
#[derive(Debug, PartialEq)]
struct Member {
    name: Vec<u8>,
    bytes: u64,
    /// Its holes are left out.
    sparse: bool,
}

impl Stream {
    /// Goes to the next member that is a file; folders and links are passed over.
    fn next_member(&mut self) -> std::io::Result<Option<Member>> {
        let (mut long_name, mut name, mut bytes, mut sparse) = (None, None, None, false);
        loop {
            self.pass_over()?;
            let Some(block) = self.block()? else {
                return Ok(None);
            };
            let header = checked(&block)?;
            let kind = header.entry_type();
            let size = header.entry_size()?;
            self.left = size;
            self.padding = size.wrapping_neg() % BLOCK as u64;
            if kind.is_gnu_longname() {
                let mut text = self.extension()?;
                text.truncate(text.iter().position(|&byte| byte == 0).unwrap_or(text.len()));
                long_name = Some(text);
            } else if kind.is_pax_local_extensions() {
                let text = self.extension()?;
                for extension in PaxExtensions::new(&text).flatten() {
                    let number = || extension.value().ok().and_then(|value| value.parse::<u64>().ok());
                    match extension.key_bytes() {
                        b"path" => name = Some(extension.value_bytes().to_vec()),
                        b"size" => bytes = number(),
                        key => sparse |= key.starts_with(b"GNU.sparse."),
                    }
                }
            } else if !kind.is_gnu_longlink() && !kind.is_pax_global_extensions() {
                self.left = bytes.take().unwrap_or(size);
                self.padding = self.left.wrapping_neg() % BLOCK as u64;
                let name = long_name.take().or(name.take()).unwrap_or_else(|| header.path_bytes().into_owned());
                let sparse = std::mem::take(&mut sparse) || kind.is_gnu_sparse();
                if let Some(gnu) = header.as_gnu().filter(|_| kind.is_gnu_sparse()) {
                    // The list of its parts may go on in blocks of its own.
                    let mut more = gnu.is_extended();
                    while more {
                        more = self.block()?.is_some_and(|block| block[504] != 0);
                    }
                }
                // Old archives mark a folder by the end of its name.
                if (kind.is_file() || kind.is_contiguous() || sparse) && !name.ends_with(b"/") {
                    return Ok(Some(Member { name, bytes: self.left, sparse }));
                }
            }
        }
    }

    /// Passes over what is left of a member.
    fn pass_over(&mut self) -> std::io::Result<()> {
        let mut left = std::mem::take(&mut self.left).saturating_add(std::mem::take(&mut self.padding));
        while left > 0 {
            let buffer = match self.reader.fill_buf() {
                Ok([]) => return Err(cut_off()),
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let used = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.reader.consume(used);
            left -= used as u64;
        }
        Ok(())
    }

    /// The next header; `None` at the end, which a block of zeros marks.
    fn block(&mut self) -> std::io::Result<Option<[u8; BLOCK]>> {
        let mut block = Vec::with_capacity(BLOCK);
        (&mut self.reader).take(BLOCK as u64).read_to_end(&mut block)?;
        if block.is_empty() || (block.len() == BLOCK && block.iter().all(|&byte| byte == 0)) {
            return Ok(None);
        }
        block.try_into().map(Some).map_err(|_| cut_off())
    }

    /// What a member holds that belongs to the next one.
    fn extension(&mut self) -> std::io::Result<Vec<u8>> {
        let size = std::mem::take(&mut self.left);
        if size > MAX_EXTENSION {
            return Err(IoError::new(ErrorKind::InvalidData, "a name in the archive is above 1 MiB"));
        }
        let mut text = Vec::new();
        (&mut self.reader).take(size).read_to_end(&mut text)?;
        if text.len() as u64 == size { Ok(text) } else { Err(cut_off()) }
    }
}

fn cut_off() -> IoError {
    IoError::new(ErrorKind::UnexpectedEof, "the archive is cut off")
}

/// The header in a block, if its checksum says that it is one.
fn checked(block: &[u8; BLOCK]) -> std::io::Result<&Header> {
    let header = Header::from_byte_slice(block);
    // The checksum counts as spaces.
    let field = 148..156;
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, &byte)| if field.contains(&at) { u32::from(b' ') } else { u32::from(byte) })
        .sum();
    if header.cksum().is_ok_and(|stated| stated == sum) {
        return Ok(header);
    }
    Err(IoError::new(ErrorKind::InvalidData, "a header of the archive is damaged, or it is no tar file"))
}

/// The bytes of the member under way.
struct MemberReader(Arc<Mutex<Stream>>);

impl Read for MemberReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut stream = lock(&self.0);
        let most = buffer.len().min(usize::try_from(stream.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let length = stream.reader.read(&mut buffer[..most])?;
        stream.left -= length as u64;
        if length == 0 { Err(cut_off()) } else { Ok(length) }
    }
}

fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'o> Members<'o> {
    /// The records of a member, or the reject that it is.
    fn begin(&self, member: &Member) -> Result<std::result::Result<Records<'o>, Record>> {
        let name = path_of(&member.name);
        let mut label = OsString::from(&self.path);
        label.push("/");
        label.push(&name);
        let path: Arc<Path> = PathBuf::from(label).into();
        let known = form_of(&name);
        let compression = known.map_or_else(|| compression_of(&name).0, |(_, compression)| compression);
        let form = self.form.or(known.map(|(form, _)| form));
        let why = match form {
            _ if member.sparse => "it is stored as a sparse file; pack the archive without --sparse",
            _ if is_hidden(&name) => "it is hidden",
            None => "its name does not tell its form; force one with --format",
            Some(Form::Parquet) => "a Parquet file cannot be read from within an archive; unpack it",
            Some(Form::Tar) => "it is an archive itself; unpack it",
            Some(form) => return self.read(form, compression, path).map(Ok),
        };
        let fault = RecordFault::Member { why };
        let origin = Origin { file: path, line: 0, offset: 0, record: 0 };
        Ok(Err(Record::Reject(Reject { origin, id: None, fault, bytes: member.bytes, raw: Vec::new() })))
    }

    fn read(&self, form: Form, compression: Compression, path: Arc<Path>) -> Result<Records<'o>> {
        let reader = decompressed(MemberReader(self.stream.clone()), compression, &BytesRead::default())
            .map_err(|error| Error::io("read", &*path, error))?;
        text_records(form, LineReader::new(reader, path, self.options)?, self.options)
    }

    fn step(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(current) = &mut self.current {
                match current.next().transpose()? {
                    Some(record) => return Ok(Some(record)),
                    None => self.current = None,
                }
            }
            let member = lock(&self.stream).next_member().map_err(|error| Error::io("read", &self.path, error))?;
            let Some(member) = member else {
                return Ok(None);
            };
            match self.begin(&member)? {
                Ok(records) => self.current = Some(records),
                Err(reject) => return Ok(Some(reject)),
            }
        }
    }
}

impl Iterator for Members<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let mut next = self.step().transpose();
        match &mut next {
            Some(Ok(Record::Document(Document { origin, .. }) | Record::Reject(Reject { origin, .. }))) => {
                self.records += 1;
                origin.record = self.records;
            }
            _ => self.done = true,
        }
        next
    }
}

impl RecordReader for Members<'_> {}

/// The name of a member as a path; what is no UTF-8 in it is replaced.
fn path_of(name: &[u8]) -> PathBuf {
    match String::from_utf8_lossy(name) {
        Cow::Borrowed(name) => name.into(),
        Cow::Owned(name) => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(archive: &[u8]) -> std::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let reader = Box::new(std::io::Cursor::new(archive.to_vec()));
        let stream = Arc::new(Mutex::new(Stream { reader, left: 0, padding: 0 }));
        let mut found = Vec::new();
        loop {
            let Some(member) = lock(&stream).next_member()? else { return Ok(found) };
            let mut bytes = Vec::new();
            // Every third member is left unread.
            if found.len() % 3 < 2 {
                MemberReader(stream.clone()).read_to_end(&mut bytes)?;
            }
            found.push((member.name, bytes));
        }
    }

    fn packed(members: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (number, (name, bytes)) in members.iter().enumerate() {
            let mut header = if number % 2 == 0 { Header::new_gnu() } else { Header::new_ustar() };
            header.set_size(bytes.len() as u64);
            if name.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                archive.append_data(&mut header, name, &[][..]).unwrap();
            } else {
                if number % 5 == 4 {
                    archive.append_pax_extensions([("comment", &b"a comment"[..])]).unwrap();
                }
                archive.append_data(&mut header, name, &bytes[..]).unwrap();
            }
        }
        archive.into_inner().unwrap()
    }

    /// As the crate walks.
    fn wanted(archive: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.header().entry_type().is_file() {
                let mut bytes = Vec::new();
                if found.len() % 3 < 2 {
                    entry.read_to_end(&mut bytes).unwrap();
                }
                found.push((entry.path_bytes().into_owned(), bytes));
            }
        }
        found
    }

    proptest! {
        #[test]
        fn walks_as_the_crate_does(
            members in prop::collection::vec(
                ("[a-c词]{1,40}(/[a-z]{1,150}){0,3}(\\.txt|/)?", prop::collection::vec(any::<u8>(), 0..1500)),
                0..9,
            ),
        ) {
            let archive = packed(&members);
            prop_assert_eq!(walk(&archive).unwrap(), wanted(&archive));
        }

        /// Any bytes are answered: by members or an error.
        #[test]
        fn hostile_bytes(
            members in prop::collection::vec(("[a-c]{1,120}", prop::collection::vec(any::<u8>(), 0..600)), 1..4),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            length in any::<prop::sample::Index>(),
        ) {
            let mut archive = packed(&members);
            for (at, byte) in damage {
                let at = at.index(archive.len());
                archive[at] = byte;
            }
            archive.truncate(length.index(archive.len() + 1));
            if let Ok(found) = walk(&archive) {
                prop_assert!(found.len() <= members.len());
            }
        }
    }

    #[test]
    fn names_of_extensions() {
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_pax_extensions([("path", "长".repeat(90).as_bytes()), ("size", b"3")]).unwrap();
        let mut header = Header::new_ustar();
        header.set_size(3);
        archive.append_data(&mut header, "short", &b"abc"[..]).unwrap();
        assert_eq!(walk(&archive.into_inner().unwrap()).unwrap(), [("长".repeat(90).into_bytes(), b"abc".to_vec())]);
        assert!(walk(&[1; 512]).is_err() && walk(&[0; 100]).is_err());
        assert_eq!(walk(&[0; 1024]).unwrap(), []);
    }
}
