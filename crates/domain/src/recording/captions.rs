//! Captions that are uploaded: WebVTT, or SubRip, which becomes WebVTT. What browsers would not understand is refused.
//! Source: W3C, "WebVTT: The Web Video Text Tracks Format", sections 4 and 6.

/// Why a text is no captions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptionError {
    /// There is nothing in it.
    Empty,
    /// It is not UTF-8.
    NotUtf8,
    /// A line with an arrow has no times, or they do not follow each other; counted from 1.
    BadTiming(usize),
    /// There is no cue.
    NoCues,
}

/// The captions as WebVTT.
///
/// # Errors
/// When they are none.
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

/// All times in the blocks after the header are times.
fn check_cues(text: &str) -> Result<(), CaptionError> {
    let mut cues = 0;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains("-->")) {
        CueTiming::read(line, '.').ok_or(CaptionError::BadTiming(number + 1))?;
        cues += 1;
    }
    if cues == 0 { Err(CaptionError::NoCues) } else { Ok(()) }
}

/// SubRip as WebVTT: another header, other times, and no numbers.
fn convert_srt(text: &str) -> Result<String, CaptionError> {
    let mut vtt = String::from("WEBVTT\n");
    let mut lines = text.lines().enumerate().peekable();
    let mut cues = 0;
    while let Some((number, line)) = lines.next() {
        if !line.contains("-->") {
            // Blank, or the number of a cue.
            continue;
        }
        let times = CueTiming::read(line, ',').ok_or(CaptionError::BadTiming(number + 1))?;
        cues += 1;
        vtt.push_str(&format!(
            "\n{} --> {}\n",
            format_time(times.start_ms),
            format_time(times.end_ms)
        ));
        while let Some((_, text)) = lines.next_if(|(_, line)| !line.trim().is_empty()) {
            vtt.push_str(&text.replace("-->", "->"));
            vtt.push('\n');
        }
    }
    if cues == 0 { Err(CaptionError::NoCues) } else { Ok(vtt) }
}

/// When a cue is shown, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CueTiming {
    start_ms: u64,
    end_ms: u64,
}

impl CueTiming {
    /// Reads `00:01.000 --> 00:02.500 line:90%`; what follows the times says where.
    fn read(line: &str, point: char) -> Option<Self> {
        let (from, rest) = line.split_once("-->")?;
        let (from, to) =
            (parse_time(from.trim(), point)?, parse_time(rest.split_whitespace().next()?, point)?);
        (from < to).then_some(Self { start_ms: from, end_ms: to })
    }
}

/// `[h…:]mm:ss.ttt`. Some programs write a point in SubRip.
fn parse_time(text: &str, point: char) -> Option<u64> {
    let (clock, fraction) = text.split_once(point).or_else(|| text.split_once('.'))?;
    let parts: Vec<u64> =
        clock.split(':').map(|part| parse_digits(part, 1..=6)).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match parts[..] {
        [minutes, seconds] => (0, minutes, seconds),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let sound = minutes < 60 && seconds < 60;
    sound.then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + parse_digits(fraction, 3..=3)?)
}

fn parse_digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && length.contains(&text.len())).then(|| text.parse().ok()).flatten()
}

fn format_time(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A language as captions name it: a BCP 47 tag such as `de` or `pt-BR`, also with underscores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language(String);

impl Language {
    /// Takes a text that looks like one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace('_', "-");
        let mut parts = text.split('-');
        let primary = parts.next().unwrap_or_default();
        let letters = primary.bytes().all(|byte| byte.is_ascii_alphabetic());
        let sound = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let good = letters && (2..=8).contains(&primary.len()) && parts.all(sound);
        (good && text.len() <= 35).then_some(Self(text))
    }

    /// As text.
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
    fn vtt_stays_as_it_is() {
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
        for (text, why) in [
            ("", CaptionError::Empty),
            (" \r\n\u{feff}", CaptionError::NoCues),
            ("WEBVTT", CaptionError::NoCues),
            ("WEBVTTX\n\n00:01.000 --> 00:02.000\nx", CaptionError::NoCues),
            ("WEBVTT\n\n00:01 --> 00:02.000\nx", CaptionError::BadTiming(3)),
            ("WEBVTT\n\n00:02.000 --> 00:02.000\nx", CaptionError::BadTiming(3)),
            ("WEBVTT\n\n00:61.000 --> 02:02.000\nx", CaptionError::BadTiming(3)),
            ("<html>", CaptionError::NoCues),
            ("1\nsoon --> later\n", CaptionError::BadTiming(2)),
        ] {
            let found = to_vtt(text.as_bytes());
            // A header that is none makes it SubRip, whose times it then has.
            if text.starts_with("WEBVTTX") {
                assert!(found.is_ok());
            } else {
                assert_eq!(found, Err(why), "{text:?}");
            }
        }
        assert_eq!(to_vtt(b"WEBVTT\n\xff"), Err(CaptionError::NotUtf8));
    }

    #[test]
    fn languages() {
        for good in ["de", "pt-BR", "pt_BR", "zh-Hant-TW", "gsw"] {
            assert!(Language::parse(good).is_some(), "{good}");
        }
        for bad in [
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
            assert_eq!(Language::parse(bad), None, "{bad}");
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
