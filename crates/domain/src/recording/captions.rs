//! Uploaded captions: checks WebVTT and converts SubRip to WebVTT. Captions that browsers would not
//! understand are refused. Source: W3C, "WebVTT: The Web Video Text Tracks Format", sections 4 and
//! 6.

/// Why a file is not valid captions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptionError {
    /// The file is empty or blank.
    Empty,
    /// The file is not UTF-8.
    NotUtf8,
    /// A line with an arrow has no valid times, or its end is not after its start. Holds the number
    /// of the line, from 1.
    BadTiming(usize),
    /// The file has no cues.
    NoCues,
}

/// Converts captions to WebVTT.
///
/// # Errors
/// When the file is not valid captions.
pub fn to_vtt(bytes: &[u8]) -> Result<String, CaptionError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CaptionError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(CaptionError::Empty);
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    if is_vtt(&text) { check_cues(&text).map(|()| text) } else { convert_srt(&text) }
}

fn is_vtt(text: &str) -> bool {
    let rest = text.strip_prefix("WEBVTT");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n']))
}

/// Checks that there are cues and that all their timings are valid.
fn check_cues(text: &str) -> Result<(), CaptionError> {
    let mut cues = 0;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains("-->")) {
        CueTiming::parse(line, '.').ok_or(CaptionError::BadTiming(number + 1))?;
        cues += 1;
    }
    if cues == 0 { Err(CaptionError::NoCues) } else { Ok(()) }
}

/// Converts SubRip to WebVTT: adds the header, rewrites the times, and drops the numbers of the
/// cues.
fn convert_srt(text: &str) -> Result<String, CaptionError> {
    let mut vtt = String::from("WEBVTT\n");
    let mut lines = text.lines().enumerate().peekable();
    let mut cues = 0;
    while let Some((number, line)) = lines.next() {
        if !line.contains("-->") {
            // A blank line, or the number of a cue.
            continue;
        }
        let timing = CueTiming::parse(line, ',').ok_or(CaptionError::BadTiming(number + 1))?;
        cues += 1;
        vtt.push_str(&format!(
            "\n{} --> {}\n",
            format_time(timing.start_ms),
            format_time(timing.end_ms)
        ));
        while let Some((_, text)) = lines.next_if(|(_, line)| !line.trim().is_empty()) {
            vtt.push_str(&text.replace("-->", "->"));
            vtt.push('\n');
        }
    }
    if cues == 0 { Err(CaptionError::NoCues) } else { Ok(vtt) }
}

/// The start and end of a cue, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CueTiming {
    start_ms: u64,
    end_ms: u64,
}

impl CueTiming {
    /// Parses `00:01.000 --> 00:02.500 line:90%`. Position settings after the times are ignored.
    fn parse(line: &str, separator: char) -> Option<Self> {
        let (start, rest) = line.split_once("-->")?;
        let start_ms = parse_time(start.trim(), separator)?;
        let end_ms = parse_time(rest.split_whitespace().next()?, separator)?;
        (start_ms < end_ms).then_some(Self { start_ms, end_ms })
    }
}

/// Parses `[h…:]mm:ss.ttt` into ms. `separator` precedes the fraction; a point is accepted as well,
/// because some programs write it in SubRip.
fn parse_time(text: &str, separator: char) -> Option<u64> {
    let (seconds_part, fraction) = text.split_once(separator).or_else(|| text.split_once('.'))?;
    let parts: Vec<u64> =
        seconds_part.split(':').map(|part| parse_digits(part, 1..=6)).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match parts[..] {
        [minutes, seconds] => (0, minutes, seconds),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let is_valid = minutes < 60 && seconds < 60;
    let ms = parse_digits(fraction, 3..=3)?;
    is_valid.then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + ms)
}

fn parse_digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && length.contains(&text.len())).then(|| text.parse().ok()).flatten()
}

fn format_time(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The language of captions: a BCP 47 tag such as `de` or `pt-BR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language(String);

impl Language {
    /// Parses a language tag. Underscores are accepted instead of hyphens. Only the form of the tag
    /// is checked, not whether the language exists.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace('_', "-");
        let mut parts = text.split('-');
        let primary = parts.next().unwrap_or_default();
        let is_primary = (2..=8).contains(&primary.len())
            && primary.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_subtag = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let is_valid = is_primary && parts.all(is_subtag) && text.len() <= 35;
        is_valid.then_some(Self(text))
    }

    /// Returns the tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vtt_stays_unchanged() {
        let text =
            "WEBVTT - title\n\nNOTE x\n\n1\n00:01.000 --> 01:00:02.500 line:90%\n<b>Hello</b>\n";
        assert_eq!(to_vtt(text.as_bytes()).unwrap(), text);
        let marked = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        assert_eq!(to_vtt(marked.as_bytes()).unwrap(), text);
    }

    #[test]
    fn srt_becomes_vtt() {
        let srt = "1\r\n00:00:01,000 --> 00:00:02,500\r\nHello -->\r\nyou\r\n\r\n2\r\n0:00:03,000 --> 100:00:04,000\r\nWEBVTT\r\n";
        let vtt = "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello ->\nyou\n\n00:00:03.000 --> 100:00:04.000\nWEBVTT\n";
        assert_eq!(to_vtt(srt.as_bytes()).unwrap(), vtt);
    }

    #[test]
    fn invalid_captions_are_refused() {
        for (text, error) in [
            ("", CaptionError::Empty),
            (" \r\n\u{feff}", CaptionError::NoCues),
            ("WEBVTT", CaptionError::NoCues),
            ("WEBVTT\n\n00:01 --> 00:02.000\nx", CaptionError::BadTiming(3)),
            ("WEBVTT\n\n00:02.000 --> 00:02.000\nx", CaptionError::BadTiming(3)),
            ("WEBVTT\n\n00:61.000 --> 02:02.000\nx", CaptionError::BadTiming(3)),
            ("<html>", CaptionError::NoCues),
            ("1\nsoon --> later\n", CaptionError::BadTiming(2)),
        ] {
            assert_eq!(to_vtt(text.as_bytes()), Err(error), "{text:?}");
        }
        // Without a valid header the file is SubRip, and its timing is valid in SubRip as well.
        assert!(to_vtt(b"WEBVTTX\n\n00:01.000 --> 00:02.000\nx").is_ok());
        assert_eq!(to_vtt(b"WEBVTT\n\xff"), Err(CaptionError::NotUtf8));
    }

    #[test]
    fn languages_are_checked_by_form() {
        for text in ["de", "pt-BR", "pt_BR", "zh-Hant-TW", "gsw"] {
            assert!(Language::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "d",
            "../x",
            "de-",
            "de--x",
            "e n",
            "de/AT",
            "123",
            "deutsch-und-mehr-als-das-ist-viel-zuviel",
        ] {
            assert_eq!(Language::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn converted_captions_are_accepted_unchanged(text in "(WEBVTT|\n|\r\n|1|0:01:02,345|00:01.000| --> |00:02.000|x|-->){0,20}") {
            if let Ok(vtt) = to_vtt(text.as_bytes()) {
                prop_assert_eq!(to_vtt(vtt.as_bytes()), Ok(vtt));
            }
        }
    }
}
