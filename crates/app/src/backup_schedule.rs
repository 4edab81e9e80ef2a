//! Which backups of the schedule are deleted: a pure rule on their names.

use domain::Timestamp;

/// Prefix of the names of scheduled backups.
const PREFIX: &str = "scalelite-backup-";
/// Ending of their names.
const ENDING: &str = ".tar";
/// Characters of the time in a name, as in `20261201-042300`.
const TIME_CHARS: usize = 15;

/// Returns the name of a backup that is made now. Names sort by their times.
#[must_use]
pub fn name_backup(now: Timestamp) -> String {
    let seconds = now.0.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = to_date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{PREFIX}{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}{ENDING}")
}

/// Whether a name is that of a scheduled backup.
#[must_use]
pub fn is_backup_name(name: &str) -> bool {
    let time = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(ENDING));
    time.is_some_and(|time| {
        let is_right = |(at, byte): (usize, u8)| match at {
            8 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        time.len() == TIME_CHARS && time.bytes().enumerate().all(is_right)
    })
}

/// Chooses the names to delete: all but the last `keep`, and never the one that was just made, whatever the clock
/// said then.
#[must_use]
pub fn choose_expired(mut names: Vec<String>, newest: &str, keep: usize) -> Vec<String> {
    names.retain(|name| is_backup_name(name) && name != newest);
    names.sort_unstable();
    names.dedup();
    let kept = keep.max(1) - 1;
    names.truncate(names.len().saturating_sub(kept));
    names
}

/// The date of a day since 1970, in the Gregorian calendar.
fn to_date(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that leap days are at their ends.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_time_in_utc() {
        assert_eq!(name_backup(Timestamp(0)), "scalelite-backup-19700101-000000.tar");
        assert_eq!(
            name_backup(Timestamp(1_709_251_199_999)),
            "scalelite-backup-20240229-235959.tar"
        );
        assert_eq!(
            name_backup(Timestamp(1_796_099_000_000)),
            "scalelite-backup-20261201-042320.tar"
        );
        assert!(is_backup_name(&name_backup(Timestamp(1_796_099_000_000))));
        for other in [
            "scalelite-backup-2026.tar",
            "scalelite-backup-20261201-042320.tar.gz",
            "x.tar",
            "scalelite-backup-20261201_042320.tar",
            ".scalelite-backup-20261201-042320.tar",
        ] {
            assert!(!is_backup_name(other), "{other}");
        }
    }

    #[test]
    fn the_last_ones_stay_and_the_newest_in_any_case() {
        let name = |day: i64| name_backup(Timestamp(day * 86_400_000));
        let names: Vec<String> = (1..=5).map(name).chain(["notes.txt".to_owned()]).collect();
        assert_eq!(choose_expired(names.clone(), &name(5), 3), [name(1), name(2)]);
        assert_eq!(choose_expired(names.clone(), &name(5), 9), [""; 0]);
        // The clock was set back: what was just made sorts first, and stays.
        assert_eq!(
            choose_expired(names.clone(), &name(1), 1),
            (2..=5).map(name).collect::<Vec<_>>()
        );
        assert_eq!(choose_expired(names, &name(1), 0).len(), 4);
    }
}
