//! Secrets that a file names instead of holding them.

use std::io::Read as _;
use std::path::Path;

use app::apply::FileProblem;

use crate::config::Sources;

/// Longest file with a secret, in bytes.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Why a request names no place of a secret.
const NOT_HERE: &str = "a request holds its secrets itself";

/// Where a secret comes from: one of the three at most.
#[derive(Default)]
pub struct SecretSource {
    /// The secret itself.
    pub inline: Option<String>,
    /// The file that holds it.
    pub file: Option<String>,
    /// The environment variable that holds it.
    pub env: Option<String>,
}

/// Reads secrets from files and variables.
#[derive(Clone, Copy)]
pub struct SecretReader<'a> {
    /// The environment with the environment file, and the directory that file names are relative to.
    places: Option<(&'a Sources, &'a Path)>,
}

impl<'a> SecretReader<'a> {
    /// Reads from these sources, and files relative to this directory.
    pub fn new(sources: &'a Sources, dir: &'a Path) -> Self {
        Self { places: Some((sources, dir)) }
    }

    /// Reads no files and no variables: what a request says must not be looked up on this machine.
    pub fn nowhere() -> Self {
        Self { places: None }
    }

    /// Returns a secret; `None` if the file names none, or if it cannot be read, which is added to the problems.
    pub fn read(
        &self,
        problems: &mut Vec<FileProblem>,
        path: &str,
        source: SecretSource,
    ) -> Option<String> {
        let (suffix, secret) = match (source.inline, source.file, source.env) {
            (None, None, None) => return None,
            (Some(secret), None, None) => ("", Ok(secret)),
            (None, Some(file), None) => ("_file", self.read_file(&file)),
            (None, None, Some(name)) => ("_env", self.read_variable(&name)),
            _ => {
                let text = "it is given in several ways: only one of it, _file and _env may be";
                ("", Err(text.to_owned()))
            }
        };
        let text = match secret {
            Ok(secret) if !secret.trim().is_empty() => return Some(secret),
            Ok(_) if path.ends_with("secrets") => {
                "it is empty, or one of them contains a colon".to_owned()
            }
            Ok(_) => "it is empty".to_owned(),
            Err(text) => text,
        };
        problems.push(FileProblem { path: format!("{path}{suffix}"), text });
        None
    }

    fn read_file(&self, name: &str) -> Result<String, String> {
        let (_, dir) = self.places.ok_or(NOT_HERE)?;
        let path = dir.join(name);
        let mut text = String::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text));
        match read {
            Err(error) => Err(format!("{}: {error}", path.display())),
            Ok(length) if length as u64 > MAX_SECRET_BYTES => {
                Err(format!("{}: longer than {MAX_SECRET_BYTES} bytes", path.display()))
            }
            Ok(_) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }

    fn read_variable(&self, name: &str) -> Result<String, String> {
        let (sources, _) = self.places.ok_or(NOT_HERE)?;
        let value = sources.raw_variable(name).map(str::to_owned);
        value.ok_or_else(|| format!("the environment variable {name} is not set"))
    }
}
