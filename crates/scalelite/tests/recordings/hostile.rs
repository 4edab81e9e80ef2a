//! Archives that nobody should send: each is refused with its reason, what is good beside it is imported, and
//! nothing outside the directories is touched.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use testkit::product::until;
use testkit::samples::Sample;
use testkit::tar::Tar;

use crate::tools::{formats, import_of, names, row, send, setup, shelf_of};

/// A trap: what is added to a recording with a good `video`, and why it is refused.
type Trap = (&'static str, fn(&Sample, Tar) -> Vec<u8>);

fn notes(sample: &Sample, path: &str) -> String {
    format!("notes/{}/{path}", sample.record_id)
}

fn with_metadata(sample: &Sample, tar: Tar, change: impl Fn(String) -> String) -> Vec<u8> {
    tar.file(&notes(sample, "metadata.xml"), change(sample.metadata("notes"))).whole()
}

/// Traps in one format; the other one is imported.
const IN_A_FORMAT: &[Trap] = &[
    ("a symbolic link", |s, tar| tar.link(b'2', &notes(s, "l"), "/etc/passwd").whole()),
    ("a hard link", |s, tar| tar.link(b'1', &notes(s, "l"), "/etc/passwd").whole()),
    ("a device", |s, tar| tar.link(b'3', &notes(s, "d"), "").whole()),
    ("a pipe", |s, tar| tar.link(b'6', &notes(s, "p"), "").whole()),
    ("a sparse file", |s, tar| tar.entry(&notes(s, "s"), b'S', "", 0, b"").whole()),
    ("occurs twice", |s, tar| tar.file(&notes(s, "a"), "1").file(&notes(s, "a"), "2").whole()),
    ("has no metadata.xml", |s, tar| tar.file(&notes(s, "a"), "1").whole()),
    ("another id than its directory", |s, tar| {
        with_metadata(s, tar, |xml| xml.replace(&s.record_id, &Sample::new(99).record_id))
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
        let other = Sample::new(98);
        tar.file(&format!("notes/{}/metadata.xml", other.record_id), other.metadata("notes"))
            .whole()
    }),
];

/// Traps that spoil the whole archive.
const WHOLE: &[Trap] = &[
    ("no path", |_, tar| tar.file("../../../escaped", "x").whole()),
    ("no path", |_, tar| tar.file("/tmp/scalelite-escaped", "x").whole()),
    ("no path", |s, tar| tar.file(&format!("notes/{}/../../../escaped", s.record_id), "x").whole()),
    ("no format and recording", |s, tar| {
        tar.file(&format!("No Tes/{}/x", s.record_id), "x").whole()
    }),
    ("belongs to no recording", |_, tar| tar.link(b'2', "notes", "/tmp").whole()),
    ("cut off", |_, tar| tar.cut()),
    ("damaged", |_, tar| {
        let mut bytes = tar.whole();
        bytes[0] ^= 1;
        bytes
    }),
    ("no tar archive", |_, _| vec![b'x'; 20_480]),
    ("too well compressed", |s, tar| {
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&tar.file(&notes(s, "zeros"), vec![0; 64 << 20]).whole()).unwrap();
        bomb.finish().unwrap()
    }),
    ("name is too long", |_, tar| tar.entry("x", b'L', "", 1 << 30, b"").whole()),
];

#[tokio::test(flavor = "multi_thread")]
async fn traps_are_refused_and_the_rest_is_imported() {
    let setup = setup();
    let product = setup.start().await.unwrap();
    let traps = IN_A_FORMAT.iter().chain(WHOLE);
    let mut sent = Vec::new();
    for (n, (reason, make)) in (500..).zip(traps) {
        let sample = Sample::new(n);
        let name = format!("{}.tar", sample.record_id);
        send(&setup, &name, &make(&sample, sample.tar(&["video"])));
        sent.push((sample, name, *reason));
    }
    for (at, (sample, name, reason)) in sent.iter().enumerate() {
        let refused = async || {
            let import = import_of(&setup, name).await.unwrap_or(Value::Null);
            import["reason"].as_str().is_some_and(|text| text.contains(reason))
        };
        let refused = until("refused", refused).await;
        refused.unwrap_or_else(|error| panic!("{reason}: {error}: {}", product.log()));
        if at < IN_A_FORMAT.len() {
            assert_eq!(formats(&row(&setup, sample).await.unwrap()), ["video"], "{reason}");
            assert_eq!(shelf_of(&setup, sample, "video"), Some("published"));
        } else {
            assert!(row(&setup, sample).await.is_none(), "{reason}");
            assert_eq!(shelf_of(&setup, sample, "video"), None);
        }
        assert_eq!(shelf_of(&setup, sample, "notes"), None, "{reason}");
    }
    let folders = names(setup.folder());
    for name in &folders {
        let known = ["data", "spool", "work", "published", "unpublished"].contains(&name.as_str());
        assert!(known || name.starts_with("log-"), "{folders:?}");
    }
    assert!(!std::path::Path::new("/tmp/scalelite-escaped").exists());
    let peak_kib = product.memory_kib("VmHWM:").unwrap();
    assert!(peak_kib < 150 * 1024, "{peak_kib} KiB");
}
