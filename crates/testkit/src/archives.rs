//! Archives of recordings as people have them, made from a seed: any names, several recordings,
//! prefixes, links, odd names, encodings, numbers and states; and some with a hostile format.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::samples::{FORMATS, SampleRecording};
use crate::seeded_rng::SeededRng;
use crate::tar::TarBuilder;

/// An archive, and what its import must lead to.
#[derive(Clone, Debug)]
pub struct GeneratedArchive {
    /// The file name.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// The recordings in it.
    pub recordings: Vec<GeneratedRecording>,
    /// Part of the reason why it is quarantined; `None` if it is imported as a whole.
    pub refusal: Option<&'static str>,
}

/// A recording in an archive.
#[derive(Clone, Debug)]
pub struct GeneratedRecording {
    /// The recording.
    pub sample: SampleRecording,
    /// The formats that must be imported, with their files.
    pub formats: Vec<GeneratedFormat>,
    /// The state that it must have.
    pub state: &'static str,
}

/// A format of a recording that must be imported.
#[derive(Clone, Debug)]
pub struct GeneratedFormat {
    /// Its name.
    pub name: &'static str,
    /// Paths and contents of all its files.
    pub files: Vec<(String, Vec<u8>)>,
}

/// How metadata is written.
#[derive(Clone, Copy, Debug)]
enum MetadataStyle {
    Usual,
    Latin1,
    Utf16,
    OddNumbers,
}

/// Makes the archive of a seed.
#[must_use]
pub fn generate_archive(seed: u64) -> GeneratedArchive {
    let mut rng = SeededRng::new(seed);
    let count = rng.draw_u64(1, 3);
    let prefixes = ["", "./", "published/", "var/bigbluebutton/published/", "./unpublished/"];
    let prefix = rng.pick(&prefixes).copied().unwrap_or_default();
    let mut tar = TarBuilder::new().dir("./");
    let mut recordings = Vec::new();
    for number in 0..count {
        let (with_recording, recording) = add_recording(tar, prefix, seed * 10 + number, &mut rng);
        tar = with_recording;
        recordings.push(recording);
    }
    let refusal =
        rng.draw_percent(25).then(|| add_hostile_format(&mut tar, prefix, seed, &mut rng));
    // The name of a single recording may be its id; the hostile format belongs to another one.
    let id = recordings.first().map(|recording| recording.sample.record_id.clone());
    let is_bound = count == 1 && refusal.is_none() && rng.draw_bool(0.5);
    let stem = match id.filter(|_| is_bound) {
        Some(id) => id,
        None => format!("Vorlesung {seed} (Kopie)"),
    };
    let (extension, bytes) = compress(tar.into_bytes(), &mut rng);
    GeneratedArchive { name: format!("{stem}{extension}"), bytes, recordings, refusal }
}

fn add_recording(
    mut tar: TarBuilder,
    prefix: &str,
    number: u64,
    rng: &mut SeededRng,
) -> (TarBuilder, GeneratedRecording) {
    let mut sample = SampleRecording::new(20_000 + number);
    sample.name = format!("Übung {number}");
    let styles = [
        MetadataStyle::Usual,
        MetadataStyle::Latin1,
        MetadataStyle::Utf16,
        MetadataStyle::OddNumbers,
    ];
    let has_odd_state = rng.draw_bool(0.3);
    sample.published = rng.draw_bool(0.8);
    let state = if sample.published { "published" } else { "unpublished" };
    let first = rng.draw_index(FORMATS.len());
    let last = first + rng.draw_index(FORMATS.len() - first);
    let mut formats = Vec::new();
    for name in &FORMATS[first..=last] {
        let style = rng.pick(&styles).copied().unwrap_or(MetadataStyle::Usual);
        let mut xml = sample.metadata_xml(name);
        // Video formats say `available` when they are published.
        let states = ["published", "unpublished", "available"];
        for known in states.iter().filter(|_| has_odd_state || !sample.published) {
            xml = xml.replace(&format!("<state>{known}<"), "<state>archived-by-hand<");
        }
        let metadata = write_metadata(xml, style, &sample);
        let root = format!("{prefix}{name}/{}", sample.record_id);
        let mut files = sample.files(name);
        files[0].1 = metadata;
        for (path, content) in &files {
            tar = tar.file(&format!("{root}/{path}"), content);
        }
        tar = add_odd_entries(tar, &root, &mut files, rng);
        formats.push(GeneratedFormat { name, files });
    }
    (tar, GeneratedRecording { sample, formats, state })
}

/// Adds links and files with odd names to a format, and to its files what they must lead to.
fn add_odd_entries(
    mut tar: TarBuilder,
    root: &str,
    files: &mut Vec<(String, Vec<u8>)>,
    rng: &mut SeededRng,
) -> TarBuilder {
    let target = files.len() - 1;
    let (path, content) = files[target].clone();
    if rng.draw_bool(0.3) {
        tar = tar.link(b'1', &format!("{root}/hard copy"), &format!("{root}/{path}"));
        files.push(("hard copy".to_owned(), content.clone()));
    }
    if rng.draw_bool(0.3) {
        tar = tar.link(b'2', &format!("{root}/links/latest"), &format!("../{path}"));
        files.push(("links/latest".to_owned(), content));
    }
    if rng.draw_bool(0.3) {
        tar = tar.file(&format!("{root}/old/deep/file"), "deep");
        tar = tar.link(b'2', &format!("{root}/new"), "old");
        files.push(("old/deep/file".to_owned(), b"deep".to_vec()));
        files.push(("new/deep/file".to_owned(), b"deep".to_vec()));
    }
    if rng.draw_bool(0.3) {
        tar = tar.link(b'2', &format!("{root}/broken"), "nowhere");
    }
    if rng.draw_bool(0.4) {
        tar = tar.file(&format!("{root}/odd\u{7}name"), "left out");
    }
    if rng.draw_bool(0.3) {
        tar = tar.file(&format!("{root}/back\\slash"), "left out");
    }
    tar
}

fn write_metadata(xml: String, style: MetadataStyle, sample: &SampleRecording) -> Vec<u8> {
    let without_declaration = xml.trim_start_matches("<?xml version=\"1.0\"?>\n");
    let declare = |encoding: &str| {
        format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n{without_declaration}")
    };
    match style {
        MetadataStyle::Usual => xml.into_bytes(),
        MetadataStyle::Latin1 => declare("ISO-8859-1")
            .chars()
            .map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?'))
            .collect(),
        MetadataStyle::Utf16 => {
            let marked = format!("\u{feff}{}", declare("UTF-16"));
            marked.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
        MetadataStyle::OddNumbers => {
            let start = sample.record_id.rsplit('-').next().unwrap_or_default();
            xml.replace(&format!("<start_time>{start}<"), &format!("<start_time>{start}.25<"))
                .replace("<duration>3541000<", "<duration>3,541,000.75<")
                .into_bytes()
        }
    }
}

/// Adds a format that must be refused; returns part of the reason.
fn add_hostile_format(
    tar: &mut TarBuilder,
    prefix: &str,
    seed: u64,
    rng: &mut SeededRng,
) -> &'static str {
    let sample = SampleRecording::new(900_000 + seed);
    let root = format!("{prefix}notes/{}", sample.record_id);
    let metadata = sample.metadata_xml("notes");
    let begun = std::mem::take(tar).file(&format!("{root}/metadata.xml"), &metadata);
    let (built, reason) = match rng.draw_u64(0, 5) {
        0 => (begun.link(b'2', &format!("{root}/l"), "/etc/passwd"), "a symbolic link"),
        1 => (begun.link(b'2', &format!("{root}/l"), "../../../../x"), "a symbolic link"),
        2 => (begun.link(b'1', &format!("{root}/l"), "/etc/passwd"), "a hard link"),
        3 => (begun.link(b'3', &format!("{root}/d"), ""), "a device"),
        4 => (begun.file(&format!("{root}/metadata.xml"), &metadata), "occurs twice"),
        _ => (begun.link(b'6', &format!("{root}/p"), ""), "a pipe"),
    };
    *tar = built;
    reason
}

/// Compresses an archive, or not; returns the ending of its name.
#[expect(clippy::expect_used, reason = "writing into memory does not fail")]
fn compress(bytes: Vec<u8>, rng: &mut SeededRng) -> (&'static str, Vec<u8>) {
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("written into memory");
        encoder.finish().expect("written into memory")
    };
    let zstd = |bytes: &[u8]| {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    };
    match rng.draw_u64(0, 4) {
        0 => (".tar.gz", gzip(&bytes)),
        1 => (".tgz", gzip(&bytes)),
        2 => (".tar.zst", zstd(&bytes)),
        _ => (".tar", bytes),
    }
}
