//! How results are printed: data to the standard output, everything else to the standard error
//! output. A reader that goes away (`| head`) is no error.

pub mod table;
pub mod yaml;

use std::io::Write as _;

/// Prints a line of data.
pub fn say(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", line.as_ref());
}

/// Prints text of data as it is.
pub fn say_text(text: impl AsRef<str>) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_ref().as_bytes()).and_then(|()| stdout.flush());
}

/// Prints a line that is no data.
pub fn note(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", line.as_ref());
}

/// What a person might see of a text: without control characters, which terminals obey.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
