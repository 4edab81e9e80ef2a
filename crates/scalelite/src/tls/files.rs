//! A certificate in two files, which something else renews.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use app::blocking::CERTIFICATE_FILES;

use super::certificate::{Certificate, CertificateError};

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// TLS_CERT and TLS_KEY.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What the two files contain.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// When one cannot be read. The text names setting and file.
    pub async fn read(&self) -> Result<FileContents, String> {
        let files = self.clone();
        let reading = CERTIFICATE_FILES.run_within(move || files.read_now()).await;
        reading.map_err(|error| error.to_string())?
    }

    /// Reads both files in this thread.
    ///
    /// # Errors
    /// When one cannot be read. The text names setting and file.
    pub fn read_now(&self) -> Result<FileContents, String> {
        let certificate = read_file("TLS_CERT", &self.certificate)?;
        Ok(FileContents { certificate, key: read_file("TLS_KEY", &self.key)? })
    }

    /// Returns the certificate that the files contain.
    ///
    /// # Errors
    /// When it cannot be used. The text names setting and file.
    pub fn parse(&self, contents: &FileContents) -> Result<Certificate, String> {
        Certificate::read(&contents.certificate, &contents.key)
            .map_err(|error| self.describe(&error))
    }

    fn describe(&self, error: &CertificateError) -> String {
        let (setting, path) = match error.is_about_key() {
            true => ("TLS_KEY", &self.key),
            false => ("TLS_CERT", &self.certificate),
        };
        format!("{setting}: {}: {error}", path.display())
    }
}

fn read_file(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    let mut contents = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut contents));
    match read {
        Ok(_) if contents.len() as u64 > MAX_FILE_BYTES => Err(format!(
            "{setting}: {}: the file is longer than a certificate can be",
            path.display()
        )),
        Ok(_) => Ok(contents),
        Err(error) => Err(format!("{setting}: {}: {error}", path.display())),
    }
}
