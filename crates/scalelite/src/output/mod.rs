//! How results are printed: data to the standard output, everything else to the standard error
//! output. A reader that goes away (`| head`) is no error.

pub mod table;
pub mod yaml;

use std::io::Write as _;

/// Prints a line of data.
pub fn print_line(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", line.as_ref());
}

/// Prints text of data as it is. False if nobody can read it any more: commands that would go on
/// printing end then.
pub fn print_text(text: impl AsRef<str>) -> bool {
    let mut stdout = std::io::stdout();
    stdout.write_all(text.as_ref().as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

/// Prints a line that is no data; it stays one line, whatever texts of others are in it.
pub fn print_note(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", printable(line.as_ref()));
}

/// What a person might see of a text: without control characters, which terminals obey.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
