//! Archives that are kept: in the quarantine, or aside because their recording was deleted.

use std::io::{self, Read as _, Write as _};

use app::ports::{Clock as _, KeptArchive, KeptPlace, SpoolError, SpooledArchive};
use domain::Timestamp;

use super::{SpoolState, growth, locked_archive, make_dir, open_dir, spool_error};
use crate::confined_dir::{ConfinedDir, EntryKind};
use crate::entropy::SystemClock;

/// The directory for archives of deleted recordings, in the quarantine.
const ASIDE_DIR: &str = "set-aside";
/// Bytes of a reason that are read.
const MAX_REASON_BYTES: u64 = 64 * 1024;
/// Maximum number of archives with other contents and the same name.
const MAX_SAME_NAME: u32 = 1000;

impl SpoolState {
    pub(super) fn keep_archive(
        &self,
        name: &str,
        token: &str,
        place: KeptPlace,
        reason: &str,
    ) -> Result<Option<String>, SpoolError> {
        let mut kept_as = None;
        if let Some(archive) = self.release_archive(token) {
            let spool = make_dir(&self.spool).map_err(spool_error)?;
            let dir = self.make_kept_dir(place).map_err(spool_error)?;
            kept_as = archive.keep_if_unchanged(&spool, &dir, name)?;
            if let Some(kept_as) = &kept_as {
                write_reason(&dir, kept_as, reason).map_err(spool_error)?;
            }
        }
        self.remove_work_dir(token)?;
        Ok(kept_as)
    }

    fn make_kept_dir(&self, place: KeptPlace) -> io::Result<ConfinedDir> {
        let quarantine = make_dir(&self.quarantine)?;
        match place {
            KeptPlace::Quarantine => Ok(quarantine),
            KeptPlace::Aside => quarantine.make_dir(ASIDE_DIR),
        }
    }

    /// Opens the directories in which archives are kept, as far as they exist.
    fn open_kept_dirs(&self) -> io::Result<Vec<ConfinedDir>> {
        let Some(quarantine) = open_dir(&self.quarantine)? else { return Ok(Vec::new()) };
        let aside = quarantine.open_dir(ASIDE_DIR)?;
        Ok(std::iter::once(quarantine).chain(aside).collect())
    }

    pub(super) fn list_kept(&self) -> io::Result<Vec<KeptArchive>> {
        let mut kept = Vec::new();
        for dir in self.open_kept_dirs()? {
            for entry in dir.entries()? {
                let name = entry.name.to_str().filter(|name| growth::is_archive(name));
                if let Some(name) = name.filter(|_| entry.kind == EntryKind::File) {
                    let reason = read_reason(&dir, name)?;
                    kept.push(KeptArchive { name: name.to_owned(), reason });
                }
            }
        }
        kept.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(kept)
    }

    pub(super) fn release_kept(&self, name: &str) -> io::Result<Option<SpooledArchive>> {
        let spool = make_dir(&self.spool)?;
        for dir in self.open_kept_dirs()? {
            let Some((file, _)) = dir.open_file(name)? else { continue };
            let size = file.metadata()?.len();
            let Some(name) = locked_archive::move_to_free_name(&dir, &spool, name)? else {
                continue;
            };
            let _ = dir.unlink(&reason_file_name(&name));
            return Ok(Some(SpooledArchive { name, size }));
        }
        Ok(None)
    }

    /// Removes archives that were set aside before a time.
    pub(super) fn remove_set_aside(&self, before: Timestamp) -> io::Result<Vec<String>> {
        let mut removed = Vec::new();
        let Some(quarantine) = open_dir(&self.quarantine)? else { return Ok(removed) };
        let Some(dir) = quarantine.open_dir(ASIDE_DIR)? else { return Ok(removed) };
        for entry in dir.entries()? {
            let name = entry.name.to_str().filter(|name| growth::is_archive(name));
            let Some(name) = name.filter(|_| entry.kind == EntryKind::File) else { continue };
            // The reason is written when the archive is set aside.
            let Some((_, stat)) = dir.open_file(reason_file_name(name))? else { continue };
            let age_ms = SystemClock.now().0.saturating_sub(stat.st_mtime.saturating_mul(1000));
            if age_ms <= SystemClock.now().0.saturating_sub(before.0) {
                continue;
            }
            dir.unlink(name)?;
            let _ = dir.unlink(&reason_file_name(name));
            removed.push(name.to_owned());
        }
        Ok(removed)
    }
}

/// Returns the name under which an archive is moved to a directory: its own, or one with a number if an archive with
/// other contents has it there.
pub(super) fn find_free_name(
    from: &ConfinedDir,
    to: &ConfinedDir,
    name: &str,
) -> io::Result<String> {
    let extension = growth::extension(name);
    let stem = name.strip_suffix(extension).unwrap_or(name);
    for number in 1..=MAX_SAME_NAME {
        let candidate =
            if number == 1 { name.to_owned() } else { format!("{stem}~{number}{extension}") };
        if to.open_file(&candidate)?.is_none() || have_same_content((from, name), (to, &candidate))?
        {
            return Ok(candidate);
        }
    }
    Err(io::Error::other(format!("{MAX_SAME_NAME} archives with this name are kept already")))
}

/// Whether two files have the same content.
fn have_same_content(
    (dir, name): (&ConfinedDir, &str),
    (other_dir, other_name): (&ConfinedDir, &str),
) -> io::Result<bool> {
    let (Some((file, stat)), Some((other, other_stat))) =
        (dir.open_file(name)?, other_dir.open_file(other_name)?)
    else {
        return Ok(false);
    };
    if stat.st_size != other_stat.st_size {
        return Ok(false);
    }
    let mut bytes = io::BufReader::with_capacity(1 << 16, file).bytes();
    let mut others = io::BufReader::with_capacity(1 << 16, other).bytes();
    loop {
        match (bytes.next().transpose()?, others.next().transpose()?) {
            (None, None) => return Ok(true),
            (byte, other) if byte != other => return Ok(false),
            _ => {}
        }
    }
}

fn write_reason(dir: &ConfinedDir, name: &str, reason: &str) -> io::Result<()> {
    let name = reason_file_name(name);
    let unfinished = format!(".{name}");
    let _ = dir.unlink(&unfinished);
    let mut file = dir.create_file(&unfinished)?;
    writeln!(file, "{reason}")?;
    dir.replace(&unfinished, dir, &name)
}

fn read_reason(dir: &ConfinedDir, name: &str) -> io::Result<String> {
    let Some((file, _)) = dir.open_file(reason_file_name(name))? else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    file.take(MAX_REASON_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn reason_file_name(name: &str) -> String {
    format!("{name}.reason.txt")
}
