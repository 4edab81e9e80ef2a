//! Output of the commands: data to the standard output, messages to the standard error output. A
//! reader that closes the pipe early (`| head`) is not an error.

pub mod rake_table;
pub mod table;
pub mod time;
pub mod yaml;

use std::io::Write as _;

/// Prints a line of data.
pub fn print_line(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", line.as_ref());
}

/// Prints data as it is. Returns false if the output is closed: commands that would print more end
/// then.
pub fn print_text(text: impl AsRef<str>) -> bool {
    let mut stdout = std::io::stdout();
    stdout.write_all(text.as_ref().as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

/// Prints a message as one line: control characters, line feeds included, are replaced.
pub fn print_note(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", printable(line.as_ref()));
}

/// The text with its control characters, which terminals would obey, replaced.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
