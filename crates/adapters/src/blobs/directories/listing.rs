//! Lists what is in the directories of recordings: formats, and links that are not followed.

use std::io;

use app::ports::{RecordingFormatId, Visibility};
use domain::recording::{FormatName, RecordId};

use super::places::LinkRoots;
use super::visibility_dirs::VisibilityDirs;

/// Maximum number of links that are listed.
const MAX_LISTED_LINKS: usize = 100;

impl VisibilityDirs {
    pub(super) fn list_formats(
        &self,
        visibility: Visibility,
        after: Option<&RecordingFormatId>,
        limit: usize,
    ) -> io::Result<Vec<RecordingFormatId>> {
        let mut format_ids = Vec::new();
        let Some(root) = self.open_dir(visibility)? else { return Ok(format_ids) };
        let root_path = self.dir_path(visibility);
        for name in root.names()? {
            let Some(format) = name.to_str().and_then(FormatName::parse) else { continue };
            if after.is_some_and(|after| format < after.format) {
                continue;
            }
            let opened = self.link_roots.open_format_dir(&root, root_path, format.as_str());
            let opened = LinkRoots::readable(opened, &root_path.join(&name))?;
            let Some(format_dir) = opened else { continue };
            for name in format_dir.dir.names()? {
                let Some(record_id) = name.to_str().and_then(RecordId::parse) else { continue };
                let format_id = RecordingFormatId { format: format.clone(), record_id };
                if after.is_some_and(|after| format_id <= *after)
                    || self.open_format(&format_id, visibility)?.is_none()
                {
                    continue;
                }
                if format_ids.len() >= limit {
                    return Ok(format_ids);
                }
                format_ids.push(format_id);
            }
        }
        Ok(format_ids)
    }

    /// Lists links to formats and recordings that are not followed, some at most, with the reasons.
    pub(super) fn list_refused_links(&self) -> io::Result<Vec<String>> {
        let mut refused = Vec::new();
        for visibility in Visibility::ALL {
            let Some(root) = self.open_dir(visibility)? else { continue };
            let root_path = self.dir_path(visibility);
            for format in root.entries()? {
                let Some(name) = format.name.to_str() else { continue };
                let format_dir = match self.link_roots.open_format_dir(&root, root_path, name) {
                    Ok(opened) => opened,
                    Err(error) if error.kind() == io::ErrorKind::Other => {
                        refused.push(error.to_string());
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let Some(format_dir) = format_dir.filter(|_| !name.starts_with('.')) else {
                    continue;
                };
                for entry in format_dir.dir.links()? {
                    match self.link_roots.follow(&format_dir.path.join(entry)) {
                        Err(error) if refused.len() < MAX_LISTED_LINKS => {
                            refused.push(error.to_string());
                        }
                        _ => {}
                    }
                }
            }
        }
        refused.truncate(MAX_LISTED_LINKS);
        Ok(refused)
    }
}
