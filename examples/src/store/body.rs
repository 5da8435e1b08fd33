//! The octets of messages: written once, read in pieces.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::StoreError;

/// A message that is still arriving. Dropped uncommitted, it leaves nothing behind.
#[derive(Debug)]
pub struct Spool {
    file: Option<BufWriter<File>>,
    path: PathBuf,
    size: u64,
}

impl Spool {
    pub(super) fn create(path: PathBuf) -> Result<Self, StoreError> {
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(Self {
            file: Some(BufWriter::with_capacity(64 * 1024, file)),
            path,
            size: 0,
        })
    }

    /// Appends a piece of the message.
    ///
    /// # Errors
    ///
    /// A failure of the disk; the spool is of no use then.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        let file = self
            .file
            .as_mut()
            .ok_or(StoreError::Missing("the spool file"))?;
        file.write_all(piece)?;
        self.size += piece.len() as u64;
        Ok(())
    }

    /// The octets written so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What was written first, at most so many octets.
    ///
    /// # Errors
    ///
    /// A failure of the disk.
    pub fn start(&mut self, most: u64) -> Result<Vec<u8>, StoreError> {
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        let mut start = Vec::new();
        File::open(&self.path)?.take(most).read_to_end(&mut start)?;
        Ok(start)
    }

    /// Syncs the file and moves it to its place; its directory is for the caller to sync.
    pub(super) fn persist(mut self, to: &std::path::Path) -> Result<u64, StoreError> {
        let file = self
            .file
            .take()
            .ok_or(StoreError::Missing("the spool file"))?;
        let file = file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&self.path, to)?;
        Ok(self.size)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What cannot be removed now is removed at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A message to be read: the added fields, then the octets as they came.
#[derive(Debug)]
pub struct StoredMessage {
    added: Vec<u8>,
    file: File,
    size: u64,
    at: u64,
}

impl StoredMessage {
    pub(super) fn open(
        added: Vec<u8>,
        path: &std::path::Path,
        body_size: u64,
    ) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StoreError::Missing("the message"),
            _ => error.into(),
        })?;
        Ok(Self {
            size: added.len() as u64 + body_size,
            added,
            file,
            at: 0,
        })
    }

    /// All its octets.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The next octets, at most `most` of them; empty at the end.
    ///
    /// # Errors
    ///
    /// A failure of the disk, or a file that is shorter than it was.
    pub fn read(&mut self, most: usize) -> Result<Vec<u8>, StoreError> {
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
        let most = most.min(left);
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        let mut piece: Vec<u8> = self
            .added
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take(most)
            .copied()
            .collect();
        let from_file = most - piece.len();
        if from_file > 0 {
            let held = piece.len();
            piece.resize(most, 0);
            self.file
                .read_exact(piece.get_mut(held..).unwrap_or_default())?;
        }
        self.at += most as u64;
        Ok(piece)
    }

    /// Passes over octets that are not wanted, up to its end.
    ///
    /// # Errors
    ///
    /// A failure of the disk.
    pub fn skip(&mut self, octets: u64) -> Result<(), StoreError> {
        self.at = self.at.saturating_add(octets).min(self.size);
        let in_file = self.at.saturating_sub(self.added.len() as u64);
        self.file.seek(SeekFrom::Start(in_file))?;
        Ok(())
    }

    /// Goes back to its beginning.
    ///
    /// # Errors
    ///
    /// A failure of the disk.
    pub fn rewind(&mut self) -> Result<(), StoreError> {
        self.file.seek(SeekFrom::Start(0))?;
        self.at = 0;
        Ok(())
    }

    /// Reads it whole: for looking into its structure.
    ///
    /// # Errors
    ///
    /// A failure of the disk.
    pub fn read_all(mut self) -> Result<Vec<u8>, StoreError> {
        self.rewind()?;
        self.read(usize::MAX)
    }
}
