//! Recording archives put into the spool folder, and the folders that recordings end up in.

use super::node::YamlNode;
use super::normalizer::Normalizer;
use super::target::Target;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const BLOCK: usize = 512;

/// Puts an archive into the spool, and says whether it was taken from there.
pub(super) async fn import_archive(
    what: &YamlNode,
    normal: &Normalizer,
    target: &Target,
) -> anyhow::Result<YamlNode> {
    let id = what.get_text("id").unwrap_or_default();
    let archive = if what.is_truthy("corrupt") {
        b"this is not a tar file".to_vec()
    } else {
        build_archive(what, &id, normal)
    };
    let spool = target.folder("spool");
    let unfinished = spool.join(format!(".{id}.tmp"));
    let path = spool.join(format!("{id}.tar"));
    std::fs::write(&unfinished, archive)?;
    std::fs::rename(&unfinished, &path)?;
    let is_to_stay = what.is_truthy("corrupt") || what.is_truthy("stays");
    let patience = Duration::from_secs(if is_to_stay { 2 } else { 8 });
    let is_left = timeout(patience, wait_until_gone(&path)).await.is_err();
    if is_left {
        std::fs::remove_file(&path)?;
    }
    sleep(Duration::from_millis(150)).await;
    let outcome = if is_left { "left in spool" } else { "imported" };
    Ok(YamlNode::Map(vec![("import".to_owned(), YamlNode::from_text(outcome))]))
}

async fn wait_until_gone(path: &Path) {
    while path.exists() {
        sleep(Duration::from_millis(50)).await;
    }
}

/// The files of all published and unpublished recordings.
pub(super) fn list_files(target: &Target) -> anyhow::Result<YamlNode> {
    let mut found = Vec::new();
    for folder in ["published", "unpublished"] {
        collect_files(&target.folder(folder), folder, &mut found)?;
    }
    found.sort();
    let files = found.into_iter().map(YamlNode::Str).collect();
    Ok(YamlNode::Map(vec![("files".to_owned(), YamlNode::List(files))]))
}

fn collect_files(folder: &Path, shown: &str, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        // What is hidden belongs to no recording.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let shown = format!("{shown}/{}", name.to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect_files(&entry.path(), &shown, found)?;
        } else {
            found.push(shown);
        }
    }
    Ok(())
}

fn build_archive(what: &YamlNode, id: &str, normal: &Normalizer) -> Vec<u8> {
    let formats = match what.get("formats") {
        Some(formats) => formats.items().iter().filter_map(YamlNode::text).collect(),
        None => vec!["presentation".to_owned()],
    };
    let mut tar = Vec::new();
    for format in formats {
        let metadata = match what.get_text("xml") {
            Some(xml) => normal.fill_variables(&xml),
            None => metadata_xml(what, id, &format, normal),
        };
        append_file(&mut tar, &format!("{format}/{id}/metadata.xml"), metadata.as_bytes());
        append_file(&mut tar, &format!("{format}/{id}/index.html"), b"<html>playback</html>");
    }
    // Two blocks of zeros end an archive, which is then filled up to a record of 20 blocks.
    tar.resize((tar.len() + 2 * BLOCK).next_multiple_of(20 * BLOCK), 0);
    tar
}

/// Appends a file in the ustar format.
fn append_file(tar: &mut Vec<u8>, path: &str, content: &[u8]) {
    let mut header = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend(header);
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

fn metadata_xml(what: &YamlNode, id: &str, format: &str, normal: &Normalizer) -> String {
    let escape =
        |text: &str| normal.fill_variables(text).replace('&', "&amp;").replace('<', "&lt;");
    let or = |key: &str, usual: &str| what.get_text(key).unwrap_or_else(|| usual.to_owned());
    let start = what.get_int("start").unwrap_or(1_600_000_000_000);
    let end = what.get_int("end").unwrap_or(start + 1_800_000);
    let meeting = or("meeting", &format!("m-{id}"));
    let name = or("name", "Recorded");
    let host = or("host", "bbb1.example.test");
    let link = match format {
        "presentation" => format!("/playback/presentation/2.3/{id}"),
        other => format!("/{}/{id}/", if other == "video" { "playback/video" } else { other }),
    };
    let meta = meta_xml(what, &name, &meeting, &escape);
    let thumbs = if format == "presentation" { what.get_int("thumbs").unwrap_or(0) } else { 0 };
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
        state = or("state", "published"),
        published = or("published", "true"),
        participants = or("participants", "3"),
        meeting = escape(&meeting),
        name = escape(&name),
        duration = or("duration", "1790000"),
    )
}

/// The metadata of the meeting: what every recording has, and what the case says.
fn meta_xml(what: &YamlNode, name: &str, meeting: &str, escape: &dyn Fn(&str) -> String) -> String {
    let usual = [("meetingName", name), ("meetingId", meeting), ("isBreakout", "false")];
    let mut meta = usual.map(|(key, value)| (key, value.to_owned())).to_vec();
    for (key, value) in what.get("meta").map(YamlNode::pairs).unwrap_or_default() {
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
    fn an_archive_is_one_that_tar_reads() {
        let what = YamlNode::parse("{thumbs: 2, name: 'A & <B>', meta: {a: b}}").unwrap();
        let archive = build_archive(&what, "r1", &Normalizer::default());
        assert_eq!(archive.len() % 10240, 0);
        assert_eq!(&archive[..28], b"presentation/r1/metadata.xml");
        let size = usize::from_str_radix(std::str::from_utf8(&archive[124..135]).unwrap(), 8);
        let metadata = std::str::from_utf8(&archive[BLOCK..BLOCK + size.unwrap()]).unwrap();
        assert!(metadata.contains("name=\"A &amp; &lt;B>\""), "{metadata}");
        assert!(metadata.contains("<isBreakout>false</isBreakout><a>b</a></meta>"));
        assert!(metadata.ends_with("</recording>\n"));
        super::super::xml::XmlElement::parse(metadata).unwrap();
    }
}
