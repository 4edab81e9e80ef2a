//! Output of the commands: data to the standard output, messages to the standard error output. A
//! reader that closes the pipe early (`| head`) is not an error.

pub mod rake_table;
pub mod table;
pub mod yaml;

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Timestamp;

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

/// A time as RFC 3339, in UTC and whole seconds.
pub fn format_time(time: Timestamp) -> String {
    humantime::format_rfc3339_seconds(to_system_time(time)).to_string()
}

/// The same in milliseconds.
pub fn format_time_ms(time: Timestamp) -> String {
    humantime::format_rfc3339_millis(to_system_time(time)).to_string()
}

fn to_system_time(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(time.0).unwrap_or(0))
}
