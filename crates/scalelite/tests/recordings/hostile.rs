//! Hostile and broken archives: each is refused with a reason, valid formats in the same archive
//! are imported, and nothing outside the directories of recordings is touched.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use testkit::product::wait_until;
use testkit::samples::SampleRecording;
use testkit::tar::TarBuilder;

use crate::tools::{
    file_names, find_import, format_names, put_in_spool, recording_row, setup, visibility_of,
};

/// The reason for a refusal, and what to add to an archive with a valid format `video` to get it.
type HostileArchive = (&'static str, fn(&SampleRecording, TarBuilder) -> Vec<u8>);

fn notes_path(sample: &SampleRecording, path: &str) -> String {
    format!("notes/{}/{path}", sample.record_id)
}

fn with_metadata(
    sample: &SampleRecording,
    tar: TarBuilder,
    change: impl Fn(String) -> String,
) -> Vec<u8> {
    tar.file(&notes_path(sample, "metadata.xml"), change(sample.metadata_xml("notes"))).into_bytes()
}

/// Archives with one invalid format. The format `video` is imported.
const HOSTILE_FORMATS: &[HostileArchive] = &[
    ("a symbolic link", |s, tar| tar.link(b'2', &notes_path(s, "l"), "/etc/passwd").into_bytes()),
    ("a hard link", |s, tar| tar.link(b'1', &notes_path(s, "l"), "/etc/passwd").into_bytes()),
    ("a device", |s, tar| tar.link(b'3', &notes_path(s, "d"), "").into_bytes()),
    ("a pipe", |s, tar| tar.link(b'6', &notes_path(s, "p"), "").into_bytes()),
    ("a sparse file", |s, tar| tar.entry(&notes_path(s, "s"), b'S', "", 0, b"").into_bytes()),
    ("occurs twice", |s, tar| {
        tar.file(&notes_path(s, "a"), "1").file(&notes_path(s, "a"), "2").into_bytes()
    }),
    ("has no metadata.xml", |s, tar| tar.file(&notes_path(s, "a"), "1").into_bytes()),
    ("another id than its directory", |s, tar| {
        with_metadata(s, tar, |xml| xml.replace(&s.record_id, &SampleRecording::new(99).record_id))
    }),
    ("another format than its directory", |s, tar| {
        with_metadata(s, tar, |xml| xml.replace("<format>notes", "<format>../video"))
    }),
    ("has a document type", |s, tar| {
        let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><recording>&b;</recording>";
        with_metadata(s, tar, |_| bomb.to_owned())
    }),
    ("is too long", |s, tar| {
        with_metadata(s, tar, |xml| {
            xml.replace("</recording>", &format!("{}</recording>", " ".repeat(64 << 20)))
        })
    }),
    ("nested too deeply", |s, tar| {
        with_metadata(s, tar, |_| format!("<recording>{}", "<a>".repeat(100_000)))
    }),
    ("not well formed", |s, tar| {
        with_metadata(s, tar, |xml| xml.replace("</recording>", "</other>"))
    }),
    ("is not what the archive's name says", |_, tar| {
        let other = SampleRecording::new(98);
        tar.file(&format!("notes/{}/metadata.xml", other.record_id), other.metadata_xml("notes"))
            .into_bytes()
    }),
];

/// Archives that are refused completely.
const HOSTILE_ARCHIVES: &[HostileArchive] = &[
    ("not a valid path", |_, tar| tar.file("../../../escaped", "x").into_bytes()),
    ("not a valid path", |_, tar| tar.file("/tmp/scalelite-escaped", "x").into_bytes()),
    ("not a valid path", |s, tar| {
        tar.file(&format!("notes/{}/../../../escaped", s.record_id), "x").into_bytes()
    }),
    ("does not begin with a format and a record id", |s, tar| {
        tar.file(&format!("No Tes/{}/x", s.record_id), "x").into_bytes()
    }),
    ("belongs to no recording", |_, tar| tar.link(b'2', "notes", "/tmp").into_bytes()),
    ("truncated", |_, tar| tar.into_unfinished_bytes()),
    ("damaged", |_, tar| {
        let mut bytes = tar.into_bytes();
        bytes[0] ^= 1;
        bytes
    }),
    ("not a tar archive", |_, _| vec![b'x'; 20_480]),
    ("compression ratio", |s, tar| {
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&tar.file(&notes_path(s, "zeros"), vec![0; 110 << 20]).into_bytes())
            .unwrap();
        bomb.finish().unwrap()
    }),
    ("name is too long", |_, tar| tar.entry("x", b'L', "", 1 << 30, b"").into_bytes()),
];

#[tokio::test(flavor = "multi_thread")]
async fn invalid_formats_are_refused_and_valid_ones_are_imported() {
    let setup = setup();
    let product = setup.start().await.unwrap();
    let archives = HOSTILE_FORMATS.iter().chain(HOSTILE_ARCHIVES);
    let mut sent = Vec::new();
    for (n, (reason, make)) in (500..).zip(archives) {
        let sample = SampleRecording::new(n);
        let name = format!("{}.tar", sample.record_id);
        put_in_spool(&setup, &name, &make(&sample, sample.tar(&["video"])));
        sent.push((sample, name, *reason));
    }
    for (index, (sample, name, reason)) in sent.iter().enumerate() {
        let is_refused = async || {
            let import = find_import(&setup, name).await.unwrap_or(Value::Null);
            import["reason"].as_str().is_some_and(|text| text.contains(reason))
        };
        let refused = wait_until("refused", is_refused).await;
        refused.unwrap_or_else(|error| panic!("{reason}: {error}: {}", product.log()));
        if index < HOSTILE_FORMATS.len() {
            assert_eq!(
                format_names(&recording_row(&setup, sample).await.unwrap()),
                ["video"],
                "{reason}"
            );
            assert_eq!(visibility_of(&setup, sample, "video"), Some("published"));
        } else {
            assert!(recording_row(&setup, sample).await.is_none(), "{reason}");
            assert_eq!(visibility_of(&setup, sample, "video"), None);
        }
        assert_eq!(visibility_of(&setup, sample, "notes"), None, "{reason}");
    }
    let folders = file_names(setup.folder());
    for name in &folders {
        let known = ["data", "spool", "work", "published", "unpublished"].contains(&name.as_str());
        assert!(known || name.starts_with("log-"), "{folders:?}");
    }
    assert!(!std::path::Path::new("/tmp/scalelite-escaped").exists());
    let peak_kib = product.memory_kib("VmHWM:").unwrap();
    assert!(peak_kib < 150 * 1024, "{peak_kib} KiB");
}
