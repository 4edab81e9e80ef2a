//! Odd content of answers: what BigBlueButton passes on from users unescaped, and numbers as a server's language writes
//! them.

use std::fmt;

use crate::server::BbbServer;

/// What one meeting shows oddly in `getMeetings` and `getMeetingInfo`. All of it is put in raw, well-formed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OddContent {
    /// Texts of elements of the meeting by name, as `("participantCount", "1,024")`; markup in names, empty numbers.
    pub meeting_texts: Vec<(String, String)>,
    /// Texts of elements of the first attendee by name, as `("fullName", "A <b>")`.
    pub attendee_texts: Vec<(String, String)>,
    /// XML at the end of the meeting, as elements that nobody knows.
    pub meeting_xml: String,
    /// XML at the end of the first attendee, as `<customdata><my key>x</my key></customdata>`.
    pub attendee_xml: String,
}

/// How a server writes numbers of users and minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberFormat {
    /// As digits.
    #[default]
    Plain,
    /// With this character before every three digits: 1024 is `1,024`.
    Separated(char),
    /// Not at all.
    Empty,
}

impl NumberFormat {
    /// Returns what writes a number in this format.
    pub(crate) fn format(self, number: impl Into<u64>) -> FormattedNumber {
        FormattedNumber { number: number.into(), format: self }
    }
}

/// A number that is written in a format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FormattedNumber {
    number: u64,
    format: NumberFormat,
}

impl fmt::Display for FormattedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match self.format {
            NumberFormat::Plain => return self.number.fmt(f),
            NumberFormat::Empty => return Ok(()),
            NumberFormat::Separated(separator) => separator,
        };
        let digits = self.number.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                write!(f, "{separator}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Replaces the texts of the first elements of these names in `xml`, from `start` on.
pub(crate) fn replace_texts(xml: &mut String, start: usize, texts: &[(String, String)]) {
    for (name, text) in texts {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let rest = xml.get(start..).unwrap_or_default();
        if let Some(from) = rest.find(&open).map(|at| start + at + open.len())
            && let Some(length) = xml.get(from..).and_then(|rest| rest.find(&close))
        {
            xml.replace_range(from..from + length, text);
        }
    }
}

impl BbbServer {
    /// Sets what a meeting shows oddly. Returns whether the meeting exists.
    pub fn set_odd_content(&self, meeting: &str, content: OddContent) -> bool {
        self.change_meeting(meeting, |meeting| meeting.odd_content = content)
    }

    /// Sets how the server writes numbers of users and minutes in `getMeetings` and `getMeetingInfo`.
    pub fn set_number_format(&self, format: NumberFormat) {
        self.lock_state().meetings.set_number_format(format);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_every_format() {
        let written = |number: u64| NumberFormat::Separated('.').format(number).to_string();
        let numbers = [0, 999, 1_000, 12_345, 123_456, 1_234_567].map(written);
        assert_eq!(numbers, ["0", "999", "1.000", "12.345", "123.456", "1.234.567"]);
        assert_eq!(NumberFormat::Plain.format(1_024_u32).to_string(), "1024");
        assert_eq!(NumberFormat::Empty.format(1_024_u32).to_string(), "");
    }

    #[test]
    fn the_first_text_after_the_start_is_replaced() {
        let mut xml = "<a>1</a><a>2</a><b>é</b><a>3</a>".to_owned();
        let texts = [("a", "<x"), ("b", ""), ("c", "y")];
        let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned()));
        replace_texts(&mut xml, 8, &texts);
        assert_eq!(xml, "<a>1</a><a><x</a><b></b><a>3</a>");
    }
}
