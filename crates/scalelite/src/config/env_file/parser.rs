//! Parses environment files as systemd reads them (EnvironmentFile=), which is what `docker run --env-file` reads as well,
//! except that docker takes quotes, backslashes and blanks around a value as parts of it. `export`, which shells need, is
//! accepted too. Nothing is replaced in values: `$`, `&`, `?` and `#` stand for themselves.

/// Longest `NAME=value` that the system passes to a program, in bytes. Neither docker nor systemd could start one with more.
pub const MAX_VARIABLE_BYTES: usize = 128 * 1024;
/// Longest part of a line that a message quotes, in characters.
const MAX_QUOTED_CHARS: usize = 40;

/// A variable of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The name.
    pub name: String,
    /// The value, which may be empty.
    pub value: String,
    /// The line of the name, counted from 1.
    pub line: usize,
}

/// Something in the file that may not be what its author meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line, counted from 1.
    pub line: usize,
    /// The variable, if the line has one.
    pub name: Option<String>,
    /// What is odd. Values are not quoted.
    pub text: String,
}

/// The variables of a file in their order, and what is odd about them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ParsedFile {
    /// All variables; of a name that occurs twice, the last one counts.
    pub assignments: Vec<Assignment>,
    /// What is odd.
    pub notes: Vec<Note>,
}

/// Parses a file.
///
/// # Errors
/// When the file is no environment file, or a value cannot be used. The message has the line, and no value.
pub fn parse(bytes: &[u8]) -> Result<ParsedFile, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("the file is in UTF-16: save it as UTF-8".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = Reader { bytes, at: 0, line: 1 };
    let mut parsed = ParsedFile::default();
    while let Some(byte) = reader.peek() {
        match byte {
            b'\n' | b'\r' | b' ' | b'\t' => drop(reader.next_byte()),
            b'#' | b';' => drop(reader.take_line(&[])),
            _ => parse_assignment(&mut reader, &mut parsed)?,
        }
    }
    Ok(parsed)
}

/// Parses one variable, or a line that has none.
fn parse_assignment(reader: &mut Reader<'_>, parsed: &mut ParsedFile) -> Result<(), String> {
    let line = reader.line;
    let raw = reader.take_line(b"=");
    if raw.contains(&0) {
        return Err(format!("line {line}: there is a NUL byte: this is no environment file"));
    }
    let text = String::from_utf8_lossy(raw);
    let word = text.trim();
    if reader.peek() != Some(b'=') {
        let quoted = quote(word);
        let text = format!("`{quoted}` has no `=` and is ignored");
        parsed.notes.push(Note { line, name: None, text });
        return Ok(());
    }
    reader.next_byte();
    let name = strip_export(word);
    let mut value = ValueReader::default();
    value.read(reader).map_err(|()| {
        format!("line {line}: {}: the quote that begins there is not closed", quote(name))
    })?;
    if !is_name(name) {
        let text = format!("`{}` is no name of a variable: the line is ignored", quote(name));
        parsed.notes.push(Note { line, name: None, text });
        return Ok(());
    }
    let size = name.len() + value.bytes.len();
    if size > MAX_VARIABLE_BYTES {
        return Err(format!(
            "line {line}: {}: the value has {} bytes, a variable can have at most {MAX_VARIABLE_BYTES}",
            quote(name),
            value.bytes.len()
        ));
    }
    if value.bytes.contains(&0) {
        return Err(format!("line {line}: {}: the value has a NUL byte", quote(name)));
    }
    let notes = value.notes;
    let Ok(value) = String::from_utf8(value.bytes) else {
        return Err(format!("line {line}: {}: the value is not UTF-8", quote(name)));
    };
    let notes = notes.into_iter().chain(find_traps(&value));
    parsed.notes.extend(notes.map(|text| Note {
        line,
        name: Some(name.to_owned()),
        text: text.to_owned(),
    }));
    parsed.assignments.push(Assignment { name: name.to_owned(), value, line });
    Ok(())
}

/// What other readers of such files would take out of a value, and this one does not.
fn find_traps(value: &str) -> impl Iterator<Item = &'static str> {
    let traps = [
        (value.contains("${"), "`${…}` is part of the value: nothing is replaced"),
        (value.contains(" #"), "what follows ` #` is part of the value, not a comment"),
    ];
    traps.into_iter().filter_map(|(is_found, text)| is_found.then_some(text))
}

fn strip_export(name: &str) -> &str {
    match name.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => name,
    }
}

/// Whether a text can be the name of a variable. Docker passes on names with dots and hyphens as well.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(is_part)
}

/// The beginning of a text, for messages.
fn quote(text: &str) -> String {
    text.chars().take(MAX_QUOTED_CHARS).collect()
}

/// The bytes of a file, with the number of the current line.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        // Of the two bytes with which Windows ends a line, the second one counts.
        if byte == b'\n' || byte == b'\r' && self.peek() != Some(b'\n') {
            self.line += 1;
        }
        Some(byte)
    }

    /// Takes everything up to the end of the line, or to one of these bytes, which stays.
    fn take_line(&mut self, ends: &[u8]) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r') || ends.contains(byte);
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }
}

/// Where a value is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At its beginning, or behind a closed quote.
    Start,
    /// Outside of quotes.
    Plain,
    /// Between single quotes, where everything stands for itself.
    Single,
    /// Between double quotes, where a backslash may precede `"`, `\`, `` ` ``, `$` and the end of the line.
    Double,
}

/// A value while it is read.
struct ValueReader {
    bytes: Vec<u8>,
    place: Place,
    /// Where the blanks at the end begin, outside of quotes.
    blanks_at: Option<usize>,
    notes: Vec<&'static str>,
}

impl Default for ValueReader {
    fn default() -> Self {
        Self { bytes: Vec::new(), place: Place::Start, blanks_at: None, notes: Vec::new() }
    }
}

impl ValueReader {
    /// Reads to the end of the value. Fails if a quote is not closed.
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), ()> {
        while let Some(byte) = reader.next_byte() {
            let is_over = match self.place {
                Place::Start | Place::Plain => self.read_outside(byte, reader),
                Place::Single | Place::Double => {
                    self.read_quoted(byte, reader);
                    false
                }
            };
            if is_over {
                break;
            }
        }
        match self.place {
            Place::Single | Place::Double => Err(()),
            Place::Start => Ok(()),
            Place::Plain => {
                self.bytes.truncate(self.blanks_at.unwrap_or(self.bytes.len()));
                Ok(())
            }
        }
    }

    /// Takes a byte outside of quotes. Returns whether it ends the value.
    fn read_outside(&mut self, byte: u8, reader: &mut Reader<'_>) -> bool {
        let is_start = self.place == Place::Start;
        match byte {
            b'\n' | b'\r' => return true,
            b'\'' if is_start => self.place = Place::Single,
            b'"' if is_start => self.place = Place::Double,
            b' ' | b'\t' if is_start => {}
            b' ' | b'\t' => {
                self.blanks_at = self.blanks_at.or(Some(self.bytes.len()));
                self.bytes.push(byte);
            }
            b'\\' => {
                (self.place, self.blanks_at) = (Place::Plain, None);
                match reader.next_byte() {
                    Some(b'\r') if reader.peek() == Some(b'\n') => drop(reader.next_byte()),
                    Some(b'\n' | b'\r') | None => {}
                    Some(escaped) => {
                        self.bytes.push(escaped);
                        let note = "a backslash is removed, docker would keep it: put the value into single quotes";
                        if !self.notes.contains(&note) {
                            self.notes.push(note);
                        }
                    }
                }
            }
            _ => {
                (self.place, self.blanks_at) = (Place::Plain, None);
                self.bytes.push(byte);
            }
        }
        false
    }

    /// Takes a byte between quotes.
    fn read_quoted(&mut self, byte: u8, reader: &mut Reader<'_>) {
        match byte {
            b'\'' if self.place == Place::Single => self.place = Place::Start,
            b'"' if self.place == Place::Double => self.place = Place::Start,
            // The end of a line is one byte, as in a file of Unix.
            b'\r' if reader.peek() == Some(b'\n') => {}
            b'\\' if self.place == Place::Double => match reader.next_byte() {
                Some(b'\r') if reader.peek() == Some(b'\n') => drop(reader.next_byte()),
                Some(b'\n' | b'\r') => {}
                Some(escaped @ (b'"' | b'\\' | b'`' | b'$')) => self.bytes.push(escaped),
                Some(other) => self.bytes.extend([b'\\', other]),
                None => self.bytes.push(b'\\'),
            },
            _ => self.bytes.push(byte),
        }
    }
}

#[cfg(test)]
mod tests;
