//! Archives that a case puts into the spool directory, and the directories of imported recordings.

use super::node::YamlNode;
use super::normalizer::Normalizer;
use super::target::Target;
use crate::product::DEADLINE;
use crate::tar::TarBuilder;
use anyhow::Context;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The interval between two checks of the spool.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Puts an archive into the spool, and returns whether it was imported or left there.
///
/// An imported archive disappears from the spool after the recording is stored. An archive is left
/// if an import has failed, or if the program does not import at all.
pub(super) async fn import_archive(
    archive: &YamlNode,
    normalizer: &Normalizer,
    target: &Target,
) -> anyhow::Result<YamlNode> {
    let id = archive.get_text("id").unwrap_or_default();
    let spool = target.folder("spool");
    let unfinished = spool.join(format!(".{id}.tmp"));
    let path = spool.join(format!("{id}.tar"));
    std::fs::write(&unfinished, build_archive(archive, &id, normalizer))?;
    std::fs::rename(&unfinished, &path)?;
    let is_to_stay = archive.is_truthy("stays");
    let is_left = timeout(DEADLINE, async {
        while path.exists() {
            if is_to_stay && has_given_up(target, &path).await? {
                return Ok(true);
            }
            sleep(CHECK_INTERVAL).await;
        }
        anyhow::Ok(false)
    });
    let is_left = is_left.await.context("the archive is neither imported nor refused")??;
    if is_left {
        std::fs::remove_file(&path)?;
    }
    let outcome = if is_left { "left in spool" } else { "imported" };
    Ok(YamlNode::Map(vec![("import".to_owned(), YamlNode::from_text(outcome))]))
}

/// Whether the program has failed to import an archive, or imports nothing at all.
async fn has_given_up(target: &Target, path: &Path) -> anyhow::Result<bool> {
    let Some(imports) = target.list_imports().await? else { return Ok(true) };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let import = imports.iter().find(|import| import["name"] == *name);
    Ok(import.is_some_and(|import| import["reason"].is_string()))
}

/// Lists the files of all published and unpublished recordings.
pub(super) fn list_files(target: &Target) -> anyhow::Result<YamlNode> {
    let mut found = Vec::new();
    for folder in ["published", "unpublished"] {
        collect_files(&target.folder(folder), folder, &mut found)?;
    }
    found.sort();
    let files = found.into_iter().map(YamlNode::Str).collect();
    Ok(YamlNode::Map(vec![("files".to_owned(), YamlNode::List(files))]))
}

fn collect_files(folder: &Path, prefix: &str, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        // Hidden files belong to no recording.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = format!("{prefix}/{}", name.to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect_files(&entry.path(), &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn build_archive(archive: &YamlNode, id: &str, normalizer: &Normalizer) -> Vec<u8> {
    let formats = match archive.get("formats") {
        Some(formats) => formats.items().iter().filter_map(YamlNode::text).collect(),
        None => vec!["presentation".to_owned()],
    };
    let mut tar = TarBuilder::new();
    for format in formats {
        let metadata = match archive.get_text("xml") {
            Some(xml) => normalizer.fill_variables(&xml),
            None => metadata_xml(archive, id, &format, normalizer),
        };
        tar = tar
            .file(&format!("{format}/{id}/metadata.xml"), metadata)
            .file(&format!("{format}/{id}/index.html"), "<html>playback</html>");
    }
    tar.into_bytes()
}

fn metadata_xml(archive: &YamlNode, id: &str, format: &str, normalizer: &Normalizer) -> String {
    let escape =
        |text: &str| normalizer.fill_variables(text).replace('&', "&amp;").replace('<', "&lt;");
    let get_or =
        |key: &str, default: &str| archive.get_text(key).unwrap_or_else(|| default.to_owned());
    let start = archive.get_int("start").unwrap_or(1_600_000_000_000);
    let end = archive.get_int("end").unwrap_or(start + 1_800_000);
    let meeting = get_or("meeting", &format!("m-{id}"));
    let name = get_or("name", "Recorded");
    let host = get_or("host", "bbb1.example.test");
    let link = match format {
        "presentation" => format!("/playback/presentation/2.3/{id}"),
        other => format!("/{}/{id}/", if other == "video" { "playback/video" } else { other }),
    };
    let meta = meta_xml(archive, &name, &meeting, &escape);
    let thumbs = if format == "presentation" { archive.get_int("thumbs").unwrap_or(0) } else { 0 };
    let extensions = extensions_xml(thumbs, &host, id);
    format!(
        r#"<?xml version="1.0"?>
<recording>
  <id>{id}</id>
  <state>{state}</state>
  <published>{published}</published>
  <start_time>{start}</start_time>
  <end_time>{end}</end_time>
  <participants>{participants}</participants>
  <meeting id="{id}" externalId="{meeting}" name="{name}" breakout="false"/>
  <meta>{meta}</meta>
  <playback>
    <format>{format}</format>
    <link>https://{host}{link}</link>
    <processing_time>5429</processing_time>
    <duration>{duration}</duration>
    <size>123456</size>
    <extensions>{extensions}</extensions>
  </playback>
  <raw_size>7654321</raw_size>
</recording>
"#,
        state = get_or("state", "published"),
        published = get_or("published", "true"),
        participants = get_or("participants", "3"),
        meeting = escape(&meeting),
        name = escape(&name),
        duration = get_or("duration", "1790000"),
    )
}

/// The metadata of the meeting: that of every recording, and that of the case.
fn meta_xml(
    archive: &YamlNode,
    name: &str,
    meeting: &str,
    escape: &dyn Fn(&str) -> String,
) -> String {
    let defaults = [("meetingName", name), ("meetingId", meeting), ("isBreakout", "false")];
    let mut meta = defaults.map(|(key, value)| (key, value.to_owned())).to_vec();
    for (key, value) in archive.get("meta").map(YamlNode::pairs).unwrap_or_default() {
        let value = value.text().unwrap_or_default();
        match meta.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => meta.push((key, value)),
        }
    }
    meta.iter().map(|(key, value)| format!("<{key}>{}</{key}>", escape(value))).collect()
}

fn extensions_xml(thumbs: i64, host: &str, id: &str) -> String {
    let image = |n: i64| {
        format!(
            r#"<image width="176" height="136" alt="Slide {n}">https://{host}/presentation/{id}/presentation/p1/thumbnails/thumb-{n}.png</image>"#
        )
    };
    match thumbs {
        0 => String::new(),
        _ => {
            let images: String = (1..=thumbs).map(image).collect();
            format!("<preview><images>{images}</images></preview>")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_well_formed_and_has_the_values_of_the_case() {
        let archive = YamlNode::parse("{thumbs: 2, name: 'A & <B>', meta: {a: b}}").unwrap();
        let metadata = metadata_xml(&archive, "r1", "presentation", &Normalizer::default());
        assert!(metadata.contains("name=\"A &amp; &lt;B>\""), "{metadata}");
        assert!(metadata.contains("<isBreakout>false</isBreakout><a>b</a></meta>"));
        super::super::xml::XmlElement::parse(&metadata).unwrap();
    }
}
