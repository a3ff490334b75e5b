//! The archive. It may come from anybody, so nothing from it is written to a disk, and its claimed sizes are limited.

use std::collections::BTreeMap;
use std::io::{self, Read as _};

use crate::model::time::Timestamp;

/// The maximum size of an archive; no bundle is that large.
pub const MOST_BYTES: u64 = 512 << 20;
const MOST_FILES: usize = 64;

/// Packs files. The same files at the same time give the same bytes.
pub(super) fn write<'f>(
    files: impl Iterator<Item = (&'f str, &'f [u8])>,
    at: Timestamp,
) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(at.millis() / 1000).unwrap_or(0));
        archive.append_data(&mut header, path, bytes)?;
    }
    archive.into_inner()
}

/// The first two files (the manifest and its signature), each with at most this many bytes.
pub(super) fn beginning(file: impl io::Read, most: u64) -> Option<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(file).entries().ok()?.take(2) {
        let entry = entry.ok()?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        entry.take(most).read_to_end(&mut content).ok()?;
        files.insert(path, content);
    }
    Some(files)
}

/// Unpacks into memory.
pub(super) fn read(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    // The error of the library quotes bytes of an untrusted file.
    let not_one = |_: io::Error| {
        "it is not a tar archive, or it is truncated; name a file from drctl evidence export".to_owned()
    };
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("it is larger than {} MiB, the maximum size of a bundle", MOST_BYTES >> 20));
    }
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().map_err(not_one)? {
        let mut entry = entry.map_err(not_one)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(format!("{path} is not a regular file"));
        }
        let size = entry.size();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(not_one)?;
        if content.len() as u64 != size {
            return Err(format!("{path} is truncated"));
        }
        if files.insert(path.clone(), content).is_some() {
            return Err(format!("{path} is in the archive twice"));
        }
        if files.len() > MOST_FILES {
            return Err(format!("it has more than {MOST_FILES} files, the maximum of a bundle"));
        }
    }
    if files.is_empty() { Err("it is empty, so it is not a bundle".to_owned()) } else { Ok(files) }
}
