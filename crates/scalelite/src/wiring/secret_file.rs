//! Secrets that are generated on first start and kept in files of the data directory.

use std::io::{self, Write as _};
use std::path::Path;

use adapters::entropy::OsEntropy;
use app::ports::Entropy as _;

/// Generates a secret of 128 hexadecimal digits, as Rails does.
pub fn generate_rails_secret() -> String {
    let bytes = std::iter::repeat_with(|| OsEntropy.generate_bytes()).take(4).flatten();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the secret that was generated on first start; `None` if there is none.
pub(super) fn load_secret(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => parse_secret(&text?).map(Some),
    }
}

/// Reads the secret that was generated on first start, or generates it. Of two processes that start at
/// the same time, one generates the secret and the other reads it.
pub(super) fn load_or_create_secret(path: &Path) -> io::Result<String> {
    if let Some(secret) = load_secret(path)? {
        return Ok(secret);
    }
    let secret = OsEntropy.secret();
    let directory = path.parent().unwrap_or(Path::new("."));
    // Temporary files are accessible by their owner only.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    writeln!(file, "{secret}")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(secret),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            parse_secret(&std::fs::read_to_string(path)?)
        }
        Err(error) => Err(error.error),
    }
}

/// The secret in a file with that text.
fn parse_secret(text: &str) -> io::Result<String> {
    let secret = text.trim();
    if secret.is_empty() {
        let reason = "is empty: delete it to get a new one";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(secret.to_owned())
}
