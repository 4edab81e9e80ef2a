//! Gives archives usable names whose own names are too long, or not text: other names are made of
//! theirs, and are shown and printed.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use app::ports::{Clock as _, Entropy as _};

use super::growth;
use crate::confined_dir::{ConfinedDir, EntryKind};
use crate::entropy::{OsEntropy, SystemClock};
use crate::leftovers;

/// Longest name of an archive, in bytes.
const MAX_NAME_BYTES: usize = 160;
/// A file that was modified so long ago is complete.
const SETTLED_AGE: Duration = Duration::from_secs(60);

/// Returns the name under which an archive is kept in the spool.
pub(super) fn usable_name(name: &OsStr) -> String {
    let text = name.to_string_lossy();
    if text.len() <= MAX_NAME_BYTES && name.to_str().is_some() {
        return text.into_owned();
    }
    let extension = growth::extension(&text);
    let stem = &text[..text.len() - extension.len()];
    let stem = &stem[..stem.floor_char_boundary(MAX_NAME_BYTES - 40)];
    // Two names that differ only at their ends must not become one.
    let number = OsEntropy.generate_uuid();
    let number = &number[..8];
    format!("{}~{number}{extension}", stem.replace('\u{fffd}', "_"))
}

/// Renames complete archives in the spool that have no usable name.
pub(super) fn rename_unusable(spool: &ConfinedDir, path: &Path) -> io::Result<()> {
    for entry in spool.entries()? {
        let lossy = entry.name.to_string_lossy();
        let is_usable = entry.name.to_str().is_some_and(|name| name.len() <= MAX_NAME_BYTES);
        if is_usable
            || entry.kind != EntryKind::File
            || entry.name.as_bytes().starts_with(b".")
            || growth::extension(&lossy).is_empty()
        {
            continue;
        }
        let Some((_, stat)) = spool.open_file(&entry.name)? else { continue };
        let age_s = (SystemClock.now().0 / 1000).saturating_sub(stat.st_mtime);
        if !u64::try_from(age_s).is_ok_and(|age_s| age_s > SETTLED_AGE.as_secs()) {
            continue;
        }
        match spool.rename_os(&entry.name, &usable_name(&entry.name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => leftovers::warn_once(&path.join(&entry.name), &error),
            Ok(()) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_with_odd_names_get_usable_ones() {
        assert_eq!(usable_name(OsStr::new("Vorlesung 1.TAR.gz")), "Vorlesung 1.TAR.gz");
        let long = format!("{}.tar.zst", "ü".repeat(120));
        let short = usable_name(OsStr::new(&long));
        assert!(short.len() <= MAX_NAME_BYTES && short.ends_with(".tar.zst"), "{short}");
        assert_ne!(short, usable_name(OsStr::new(&long)));
        let latin = usable_name(OsStr::from_bytes(b"\xdcbung.tar"));
        assert!(latin.starts_with("_bung~") && latin.ends_with(".tar"), "{latin}");
    }
}
