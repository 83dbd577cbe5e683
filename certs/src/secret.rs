//! Random bytes that stay the same between starts.

use crate::development::{CertError, random};
use crate::store;
use std::path::Path;

/// Takes the `N` bytes stored as `name` in `state_dir`; makes and stores new ones when there are none, when the file has
/// another length, or when others than its owner had access to it. The file has mode 0600.
///
/// Blocks on the file system.
///
/// # Errors
/// [`CertError`]: the directory or the file, or no random numbers.
pub fn stored_secret<const N: usize>(state_dir: &Path, name: &str) -> Result<[u8; N], CertError> {
    store::create_directory(state_dir)?;
    let path = state_dir.join(name);
    let stored = store::read(&path)?.filter(|stored| !stored.exposed);
    if let Some(secret) = stored.and_then(|stored| stored.bytes.try_into().ok()) {
        return Ok(secret);
    }
    let mut secret = [0; N];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| CertError::Random)?;
    store::replace(&path, &secret, random()?)?;
    Ok(secret)
}
