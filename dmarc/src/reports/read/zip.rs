//! ZIP archives (APPNOTE 6.3): where the first file lies in one. RFC 9990 wants gzip; old reporters send these.

use std::ops::Range;

use memchr::memmem;

/// The file that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where its content lies, compressed or not.
    pub(super) content: Range<usize>,
    /// Whether it is compressed by DEFLATE, else stored.
    pub(super) is_deflated: bool,
    /// Whether there are more files.
    pub(super) has_others: bool,
}

const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
const CENTRAL_HEADER: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// The fixed part of the three.
const LOCAL_LENGTH: usize = 30;
const CENTRAL_LENGTH: usize = 46;
const END_LENGTH: usize = 22;
/// Files that are looked at.
const MAX_ENTRIES: usize = 64;

/// The first file that can be read: no folder, not encrypted, stored or deflated.
///
/// Archives whose directory is missing or wrong are read by the header of their first file.
pub(super) fn first_entry(archive: &[u8]) -> Option<Entry> {
    let (files, found) = by_directory(archive).unwrap_or_default();
    let mut entry = match found {
        Some(entry) => entry,
        None => by_local_header(archive, 0, None)?,
    };
    entry.has_others = files > 1;
    Some(entry)
}

/// How many files the directory has, and the first that can be read.
fn by_directory(archive: &[u8]) -> Option<(usize, Option<Entry>)> {
    // A comment of up to 65,535 octets may stand behind the end.
    let tail = archive.len().saturating_sub(END_LENGTH + 65_535);
    let end = tail + memmem::rfind(archive.get(tail..)?, END)?;
    let mut at = usize::try_from(long(archive, end + 16)?).ok()?;
    let (mut files, mut found) = (0, None);
    for _ in 0..MAX_ENTRIES {
        if !archive.get(at..)?.starts_with(CENTRAL_HEADER) {
            break;
        }
        let name_length = usize::from(short(archive, at + 28)?);
        let name = archive.get(at + CENTRAL_LENGTH..)?.get(..name_length)?;
        if !name.ends_with(b"/") {
            files += 1;
            if found.is_none() {
                let compressed = usize::try_from(long(archive, at + 20)?).ok()?;
                let local = usize::try_from(long(archive, at + 42)?).ok()?;
                found = by_local_header(archive, local, Some(compressed));
            }
        }
        let behind = usize::from(short(archive, at + 30)?) + usize::from(short(archive, at + 32)?);
        at += CENTRAL_LENGTH + name_length + behind;
    }
    Some((files, found))
}

/// The file whose header lies here. Without a length, DEFLATE says itself where it ends.
fn by_local_header(archive: &[u8], at: usize, compressed: Option<usize>) -> Option<Entry> {
    if !archive.get(at..)?.starts_with(LOCAL_HEADER) {
        return None;
    }
    let is_encrypted = short(archive, at + 6)? & 1 != 0;
    let is_deflated = match short(archive, at + 8)? {
        _ if is_encrypted => return None,
        0 => false,
        8 => true,
        _ => return None,
    };
    let names = usize::from(short(archive, at + 26)?) + usize::from(short(archive, at + 28)?);
    let start = at + LOCAL_LENGTH + names;
    let end = compressed.map_or(archive.len(), |length| start.saturating_add(length));
    let content = start..end.min(archive.len());
    (content.start <= content.end).then_some(Entry {
        content,
        is_deflated,
        has_others: false,
    })
}

fn short(archive: &[u8], at: usize) -> Option<u16> {
    let octets = archive.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*octets))
}

fn long(archive: &[u8], at: usize) -> Option<u32> {
    let octets = archive.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*octets))
}
