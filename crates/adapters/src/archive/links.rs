//! Links in archives. Nothing of a link is created: what it leads to within its own format is copied. A link that leads
//! out of its format makes the format unusable; one that leads to nothing is left out.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use app::ports::RecordingFormatId;

use super::paths::{self, PathPlace};
use super::space::SpaceWatch;
use super::{ArchiveError, ArchiveLimits, invalid_archive};
use crate::confined_dir::{ConfinedDir, EntryKind};

/// Maximum number of symbolic links in a format.
const MAX_LINKS: usize = 500;
/// Maximum number of links that are followed from one link.
const MAX_FOLLOWED: usize = 16;

/// A path within a format, as its components.
type FormatPath = Vec<String>;

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LinkTarget {
    /// A path within the format, without any link in it.
    Inside(FormatPath),
    /// A path out of the format.
    Outside,
    /// A link that leads back to itself.
    Loop,
}

/// The symbolic links of one format: their paths, and where they lead.
#[derive(Debug, Default)]
pub(super) struct SymbolicLinks(BTreeMap<FormatPath, String>);

impl SymbolicLinks {
    /// Adds a link; false if there are too many, or if its path occurs twice.
    pub(super) fn add(&mut self, path: &[&str], target: &str) -> bool {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.0.len() < MAX_LINKS && self.0.insert(path, target.to_owned()).is_none()
    }

    /// Finds out where a link leads, through other links.
    fn resolve(&self, format_id: &RecordingFormatId, link: &FormatPath) -> LinkTarget {
        let mut place = link.clone();
        let mut rest: VecDeque<String> = place.pop().into_iter().collect();
        let mut followed = 0;
        while let Some(part) = rest.pop_front() {
            match part.as_str() {
                "" | "." => continue,
                ".." if place.pop().is_none() => return LinkTarget::Outside,
                ".." => continue,
                _ => place.push(part),
            }
            let Some(target) = self.0.get(&place) else { continue };
            followed += 1;
            if followed > MAX_FOLLOWED {
                return LinkTarget::Loop;
            }
            place.pop();
            let parts: Vec<&str> = match target.strip_prefix('/') {
                None => target.split('/').collect(),
                Some(path) => match path_in_format(path, format_id) {
                    Some(parts) => {
                        place.clear();
                        parts
                    }
                    None => return LinkTarget::Outside,
                },
            };
            for part in parts.into_iter().rev() {
                rest.push_front(part.to_owned());
            }
        }
        LinkTarget::Inside(place)
    }
}

/// Returns the path below a format's directory, if the path in the archive belongs to this format.
fn path_in_format<'a>(path: &'a str, format_id: &RecordingFormatId) -> Option<Vec<&'a str>> {
    match paths::locate(path) {
        Ok(PathPlace::Format(found, parts)) if found == *format_id => Some(parts),
        _ => None,
    }
}

/// Why a format cannot be used, and what was left out of it.
#[derive(Debug, Default)]
pub(super) struct LinkProblems {
    pub(super) fault: Option<String>,
    pub(super) left_out: Vec<String>,
}

/// Copies what links lead to, within limits for the whole archive.
#[derive(Debug)]
pub(super) struct LinkCopier {
    remaining_bytes: u64,
    copied_bytes: u64,
    remaining_entries: u64,
    max_depth: usize,
}

impl LinkCopier {
    pub(super) fn new(max_bytes: u64, limits: &ArchiveLimits, max_depth: usize) -> Self {
        let remaining_entries = limits.max_entries;
        Self { remaining_bytes: max_bytes, copied_bytes: 0, remaining_entries, max_depth }
    }

    /// Number of bytes that were copied for links.
    pub(super) fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }

    /// Copies the file that a hard link names, which comes earlier in the archive. Returns what is wrong with the link,
    /// if anything is.
    pub(super) fn copy_hard_link(
        &mut self,
        format_dir: &ConfinedDir,
        format_id: &RecordingFormatId,
        path: &[&str],
        target: &str,
        space: &mut SpaceWatch<'_>,
    ) -> Result<Option<String>, ArchiveError> {
        let outside = || Ok(Some("leads out of its format: it is a hard link".to_owned()));
        let Some(target) = path_in_format(target, format_id) else { return outside() };
        let target: FormatPath = target.into_iter().map(str::to_owned).collect();
        let path: FormatPath = path.iter().map(|part| (*part).to_owned()).collect();
        match find_entry(format_dir, &target)? {
            Some(EntryKind::File) => self.copy(format_dir, &target, &path, space),
            _ => Ok(Some("leads to no earlier file: it is a hard link".to_owned())),
        }
    }

    /// Copies what the symbolic links of a format lead to.
    pub(super) fn copy_symbolic_links(
        &mut self,
        format_dir: &ConfinedDir,
        format_id: &RecordingFormatId,
        links: &SymbolicLinks,
        space: &mut SpaceWatch<'_>,
    ) -> Result<LinkProblems, ArchiveError> {
        let mut problems = LinkProblems::default();
        let mut waiting: Vec<(&FormatPath, FormatPath)> = Vec::new();
        for link in links.0.keys() {
            match links.resolve(format_id, link) {
                LinkTarget::Inside(target) if !link.starts_with(&target) => {
                    waiting.push((link, target));
                }
                LinkTarget::Outside => {
                    let text = "leads out of its format: it is a symbolic link";
                    problems.fault = Some(format!("{} {text}", describe(link)));
                    return Ok(problems);
                }
                LinkTarget::Inside(_) | LinkTarget::Loop => {
                    problems.left_out.push(format!("{} leads to itself", describe(link)));
                }
            }
        }
        // A directory is copied once no link in it is left.
        while !waiting.is_empty() {
            let is_ready = |target: &FormatPath| {
                !waiting
                    .iter()
                    .any(|(other, _)| other.len() > target.len() && other.starts_with(target))
            };
            let (ready, rest): (Vec<_>, Vec<_>) =
                waiting.iter().cloned().partition(|(_, target)| is_ready(target));
            if ready.is_empty() {
                let text =
                    |(link, _): &(&FormatPath, _)| format!("{} leads to itself", describe(link));
                problems.left_out.extend(rest.iter().map(text));
                return Ok(problems);
            }
            for (link, target) in ready {
                if find_entry(format_dir, &target)?.is_none() {
                    problems.left_out.push(format!("{} leads to nothing", describe(link)));
                } else if let Some(fault) = self.copy(format_dir, &target, link, space)? {
                    problems.fault = Some(format!("{} {fault}", describe(link)));
                    return Ok(problems);
                }
            }
            waiting = rest;
        }
        Ok(problems)
    }

    /// Copies a file or directory. Returns what is wrong with the path of the copy, if anything is.
    fn copy(
        &mut self,
        format_dir: &ConfinedDir,
        from: &FormatPath,
        to: &FormatPath,
        space: &mut SpaceWatch<'_>,
    ) -> Result<Option<String>, ArchiveError> {
        if to.len() > self.max_depth {
            return Ok(Some("is nested too deeply".to_owned()));
        }
        self.remaining_entries = self.remaining_entries.checked_sub(1).ok_or_else(too_much)?;
        let (Some((name, parents)), Some((from_name, from_parents))) =
            (to.split_last(), from.split_last())
        else {
            return Ok(None);
        };
        let Some(source) = open_dir(format_dir, from_parents)? else { return Ok(None) };
        let made = make_dir(format_dir, parents);
        let target = match made {
            Ok(target) => target,
            Err(error) => return super::unpack::describe_path_error(error).map(Some),
        };
        let target = target.as_ref().unwrap_or(format_dir);
        let source = source.as_ref().unwrap_or(format_dir);
        if let Some(dir) = source.open_dir(from_name)? {
            if target.open_dir(name)?.is_some() || target.open_file(name)?.is_some() {
                return Ok(Some("occurs twice".to_owned()));
            }
            target.make_dir(name)?;
            for entry in dir.names()? {
                let Some(entry) = entry.to_str() else { continue };
                let child = |path: &FormatPath| [path.as_slice(), &[entry.to_owned()]].concat();
                if let Some(fault) = self.copy(format_dir, &child(from), &child(to), space)? {
                    return Ok(Some(fault));
                }
            }
            return Ok(None);
        }
        let Some((mut file, stat)) = source.open_file(from_name)? else { return Ok(None) };
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        self.remaining_bytes = self.remaining_bytes.checked_sub(size).ok_or_else(too_much)?;
        self.copied_bytes = self.copied_bytes.saturating_add(size);
        space.count(size)?;
        match target.create_file(name) {
            Ok(mut copy) => io::copy(&mut file, &mut copy).map(|_| None).map_err(ArchiveError::Io),
            Err(error) => super::unpack::describe_path_error(error).map(Some),
        }
    }
}

fn too_much() -> ArchiveError {
    invalid_archive("the archive expands too much by its links")
}

fn describe(path: &FormatPath) -> String {
    paths::escape_path(&path.join("/"))
}

/// Opens a directory below `root`; the outer `None` if it does not exist, the inner one if it is `root`.
fn open_dir(root: &ConfinedDir, parts: &[String]) -> io::Result<Option<Option<ConfinedDir>>> {
    let mut dir: Option<ConfinedDir> = None;
    for part in parts {
        match dir.as_ref().unwrap_or(root).open_dir(part)? {
            Some(found) => dir = Some(found),
            None => return Ok(None),
        }
    }
    Ok(Some(dir))
}

/// Opens a directory below `root`, and creates it if it is missing; `None` if it is `root`.
fn make_dir(root: &ConfinedDir, parts: &[String]) -> io::Result<Option<ConfinedDir>> {
    let mut dir: Option<ConfinedDir> = None;
    for part in parts {
        dir = Some(dir.as_ref().unwrap_or(root).make_dir(part)?);
    }
    Ok(dir)
}

/// Whether a path is a file or a directory; `None` if it does not exist.
fn find_entry(root: &ConfinedDir, path: &FormatPath) -> io::Result<Option<EntryKind>> {
    let Some((name, parents)) = path.split_last() else { return Ok(Some(EntryKind::Dir)) };
    let Some(dir) = open_dir(root, parents)? else { return Ok(None) };
    let dir = dir.as_ref().unwrap_or(root);
    if dir.open_dir(name)?.is_some() {
        return Ok(Some(EntryKind::Dir));
    }
    Ok(dir.open_file(name)?.map(|_| EntryKind::File))
}
