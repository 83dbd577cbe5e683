//! Files in the state directory, readable by their owner only.

use crate::CertError;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// A certificate and its key are about 1 KiB, long chains some tens.
const MAX_BYTES: u64 = 256 * 1024;

/// A file as it was found.
pub(crate) struct Stored {
    /// Cut at 256 KiB.
    pub(crate) bytes: Vec<u8>,
    /// Others than its owner had access to it.
    pub(crate) exposed: bool,
}

/// What the file in the state directory holds, or nothing if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Stored>, CertError> {
    open(path).map_err(|source| CertError::Read { path: path.to_owned(), source })
}

/// What a file holds, or nothing if there is none.
pub(crate) fn open(path: &Path) -> std::io::Result<Option<Stored>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let exposed = is_exposed(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(Stored { bytes, exposed }))
}

/// Whether others than the owner of a file may read, write or run it.
#[cfg(unix)]
pub(crate) fn is_exposed(metadata: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0
}

#[cfg(not(unix))]
pub(crate) fn is_exposed(_metadata: &Metadata) -> bool {
    false
}

/// Makes the directory, and those above it, with mode 0700; leaves it as it is if it exists.
pub(crate) fn create_directory(path: &Path) -> Result<(), CertError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| CertError::Directory { path: path.to_owned(), source })
}

/// Replaces the file in one step: readers see the old content or the new, never a mixture, and never another mode than
/// 0600. `unique` is random: it keeps two processes from writing the same temporary file.
pub(crate) fn replace(path: &Path, content: &[u8], unique: u64) -> Result<(), CertError> {
    let temporary = path.with_extension(format!("{unique:016x}.new"));
    let written = write_new(&temporary, content).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|source| {
        // The first error is the one to tell; the remains hold a key that nobody will use.
        let _ = std::fs::remove_file(&temporary);
        CertError::Write { path: path.to_owned(), source }
    })
}

fn write_new(path: &PathBuf, content: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
