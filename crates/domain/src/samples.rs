//! Samples of the pool and of each server over time, for plots: users, meetings and load, in every minute of the last day and in every hour of
//! the last year. Samples of an hour (or of a day) are one text, a *block*, to which each sample appends itself.

use crate::Timestamp;

/// The subject of samples of the whole pool. Samples of a server have its id as subject, behind `server/`.
pub const POOL_SUBJECT: &str = "pool";
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How far samples are apart, and how long they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SampleSpan {
    /// One each minute, for two days. A block has those of an hour.
    Minute,
    /// One each hour, with the highest numbers of its minutes, for 400 days. A block has those of a day.
    Hour,
}

impl SampleSpan {
    /// Returns its name in stores.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    /// Returns the time between samples, in ms.
    #[must_use]
    pub fn step_ms(self) -> i64 {
        match self {
            Self::Minute => MINUTE_MS,
            Self::Hour => HOUR_MS,
        }
    }

    /// Returns the time that a block covers, in ms.
    #[must_use]
    pub fn block_ms(self) -> i64 {
        match self {
            Self::Minute => HOUR_MS,
            Self::Hour => DAY_MS,
        }
    }

    /// Returns how long blocks are kept, in ms.
    #[must_use]
    pub fn kept_ms(self) -> i64 {
        match self {
            Self::Minute => 2 * DAY_MS,
            Self::Hour => 400 * DAY_MS,
        }
    }

    /// Returns the start of the block that a time is in.
    #[must_use]
    pub fn block_start(self, time: Timestamp) -> Timestamp {
        Timestamp(time.0.div_euclid(self.block_ms()) * self.block_ms())
    }
}

/// What there was at a time, or at most in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UsageSample {
    /// Users.
    pub users: u32,
    /// Meetings.
    pub meetings: u32,
    /// Load; of the pool, that of all enabled servers that are online.
    pub load: f64,
    /// Whether the server was online; of the pool, whether all enabled servers were.
    pub online: bool,
}

impl UsageSample {
    /// Returns the higher numbers of both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            users: self.users.max(other.users),
            meetings: self.meetings.max(other.meetings),
            load: self.load.max(other.load),
            online: self.online && other.online,
        }
    }

    /// Returns what a block gets of the sample.
    #[must_use]
    pub fn to_entry(self, span: SampleSpan, time: Timestamp) -> String {
        let index = time.0.rem_euclid(span.block_ms()) / span.step_ms();
        let (users, meetings, load) = (self.users, self.meetings, self.load.clamp(0.0, 1e9));
        let online = u8::from(self.online);
        format!("{index},{users},{meetings},{load:.1},{online};")
    }
}

/// Returns the samples of a block by time. What cannot be read is left out; of two samples of one time the last one counts.
#[must_use]
pub fn read_block(
    span: SampleSpan,
    start: Timestamp,
    entries: &str,
) -> Vec<(Timestamp, UsageSample)> {
    let count = span.block_ms() / span.step_ms();
    let mut samples: Vec<(Timestamp, UsageSample)> = Vec::new();
    for entry in entries.split(';') {
        if let Some((index, sample)) = read_entry(entry)
            && (0..count).contains(&index)
        {
            samples.push((Timestamp(start.0 + index * span.step_ms()), sample));
        }
    }
    // Stable: of one time the last one stays last.
    samples.sort_by_key(|(time, _)| *time);
    samples.reverse();
    samples.dedup_by_key(|(time, _)| *time);
    samples.reverse();
    samples
}

fn read_entry(entry: &str) -> Option<(i64, UsageSample)> {
    let mut parts = entry.split(',');
    let index = parts.next()?.parse().ok()?;
    let users = parts.next()?.parse().ok()?;
    let meetings = parts.next()?.parse().ok()?;
    let load = parts.next()?.parse().ok().filter(|load: &f64| load.is_finite())?;
    let online = parts.next()? == "1";
    Some((index, UsageSample { users, meetings, load, online }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_has_what_was_appended_and_nothing_else() {
        let start = SampleSpan::Minute.block_start(Timestamp(1_700_000_123_456));
        let at = |minute: i64| Timestamp(start.0 + minute * 60_000 + 17_000);
        let one = UsageSample { users: 7, meetings: 2, load: 3.5, online: true };
        let two = UsageSample { users: 9, ..one };
        let block = [(0, one), (59, two), (59, one)]
            .map(|(minute, sample)| sample.to_entry(SampleSpan::Minute, at(minute)))
            .concat();
        let garbage = format!("60,1,1,1,1;x;3,4;{block}5,1,1,NaN,1;-1,1,1,1,1;");
        let read = read_block(SampleSpan::Minute, start, &garbage);
        let expected = [(start, one), (Timestamp(start.0 + 59 * 60_000), one)];
        assert_eq!(read, expected);
        assert_eq!(
            one.max(UsageSample { users: 1, meetings: 5, load: 4.0, online: false }),
            UsageSample { users: 7, meetings: 5, load: 4.0, online: false }
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            let read = read_block(SampleSpan::Hour, Timestamp(0), &text);
            prop_assert!(read.len() <= 24);
        }
    }
}
