//! Secrets in arguments: everybody on a machine can read the arguments of all processes. Where a
//! command takes a secret, `-` reads it from the standard input, and `file:PATH` from a file.

use std::io::{BufRead as _, Read as _};

use crate::cmd::CommandFailure;

/// Longest secret that is read, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Returns the secret that an argument stands for. Several that are `-` read a line each.
pub(super) fn read_secret(argument: String) -> Result<String, CommandFailure> {
    let failure = |place: &str, error: std::io::Error| {
        CommandFailure(format!("ERROR: secret not read from {place}: {error}"))
    };
    let mut text = String::new();
    if argument == "-" {
        let input = std::io::stdin().lock();
        let read = input.take(MAX_SECRET_BYTES).read_line(&mut text);
        read.map_err(|error| failure("the standard input", error))?;
    } else if let Some(path) = argument.strip_prefix("file:") {
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(MAX_SECRET_BYTES).read_to_string(&mut text));
        read.map_err(|error| failure(path, error))?;
    } else {
        return Ok(argument);
    }
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(CommandFailure("ERROR: the secret is empty".to_owned()));
    }
    Ok(secret.to_owned())
}

/// Like [`read_secret`], for an argument that may be missing.
pub(super) fn read_optional(argument: Option<String>) -> Result<Option<String>, CommandFailure> {
    argument.map(read_secret).transpose()
}
