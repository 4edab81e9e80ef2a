//! Archives that are as they should be, and traps.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use testkit::samples::{FORMATS, SampleRecording};
use testkit::tar::TarBuilder;

use super::*;

const RECORD_ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";

/// Unpacks into `into` of a directory, and checks that nothing else came to be in it.
fn unpack_bytes(
    archive: &[u8],
    limits: &ArchiveLimits,
) -> (TempDir, Result<Vec<ExtractedFormat>, ArchiveError>) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.tar");
    fs::write(&path, archive).unwrap();
    fs::create_dir(dir.path().join("into")).unwrap();
    let into = ConfinedDir::open(&dir.path().join("into")).unwrap();
    let result = unpack(File::open(path).unwrap(), &into, limits);
    let names = ConfinedDir::open(dir.path()).unwrap().names().unwrap();
    assert_eq!(names, ["a.tar", "into"]);
    (dir, result)
}

fn unpack_valid(archive: &[u8]) -> (TempDir, Vec<ExtractedFormat>) {
    let (dir, result) = unpack_bytes(archive, &ArchiveLimits::default());
    (dir, result.unwrap())
}

/// Why the archive as a whole is refused.
fn unpack_error(archive: &[u8]) -> String {
    match unpack_bytes(archive, &ArchiveLimits::default()).1 {
        Err(ArchiveError::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// What is wrong with the format `video`, while `notes` beside it is fine.
fn format_fault(tar: TarBuilder) -> String {
    let archive = tar.file(&format!("notes/{RECORD_ID}/notes.html"), "x").into_bytes();
    let (dir, formats) = unpack_valid(&archive);
    let [notes, video] = &formats[..] else { panic!("{formats:?}") };
    assert_eq!((notes.format_id.format.as_str(), &notes.fault), ("notes", &None));
    assert!(dir.path().join("into/notes").join(RECORD_ID).join("notes.html").is_file());
    video.fault.clone().unwrap()
}

fn video_path(path: &str) -> String {
    format!("video/{RECORD_ID}/{path}")
}

#[test]
fn samples_of_every_format_come_out_as_they_went_in() {
    let sample = SampleRecording::new(1);
    let (dir, formats) = unpack_valid(&sample.archive(&FORMATS));
    assert_eq!(formats.len(), FORMATS.len());
    assert!(formats.iter().all(|format| format.fault.is_none()));
    for format in FORMATS {
        for (path, content) in sample.files(format) {
            let file = dir.path().join("into").join(format).join(&sample.record_id).join(path);
            assert_eq!(fs::read(&file).unwrap(), content, "{}", file.display());
            // Whatever the archive says: not executable, no set-uid.
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7133, 0);
        }
    }
}

#[test]
fn compressed_ones_and_those_of_other_programs_are_read() {
    let sample = SampleRecording::new(2);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&sample.archive(&["video"])).unwrap();
    assert_eq!(unpack_valid(&gzip.finish().unwrap()).1.len(), 1);
    let long = video_path(&"x".repeat(150));
    let dots = TarBuilder::new().dir("./").dir("./video/").file(&format!("./{long}"), "x");
    let pax = dots
        .pax(&[("path", &video_path("ü.txt")), ("mtime", "1.5")])
        .file("short", "y")
        .into_bytes();
    let (dir, formats) = unpack_valid(&pax);
    assert_eq!(formats[0].fault, None);
    assert!(dir.path().join("into").join(long).is_file());
    assert_eq!(fs::read(dir.path().join("into").join(video_path("ü.txt"))).unwrap(), b"y");
}

#[test]
fn what_spoils_a_format_spoils_only_that_one() {
    let video = || TarBuilder::new().file(&video_path("metadata.xml"), "x");
    assert!(
        format_fault(video().link(b'2', &video_path("l"), "/etc/passwd"))
            .ends_with("is a symbolic link")
    );
    assert!(
        format_fault(video().link(b'1', &video_path("l"), "metadata.xml"))
            .ends_with("is a hard link")
    );
    for (kind, what) in [(b'3', "device"), (b'4', "device"), (b'6', "pipe"), (b'S', "sparse file")]
    {
        assert!(format_fault(video().link(kind, &video_path("d"), "")).ends_with(what));
    }
    assert!(format_fault(video().link(b'V', &video_path("d"), "")).ends_with("unknown kind"));
    let sparse = video().pax(&[("GNU.sparse.major", "1")]).file(&video_path("s"), "x");
    assert!(format_fault(sparse).ends_with("sparse file"));
    assert!(format_fault(video().file(&video_path("metadata.xml"), "y")).ends_with("occurs twice"));
    assert!(
        format_fault(video().file(&video_path("metadata.xml/x"), "y"))
            .ends_with("both file and directory")
    );
    assert!(
        format_fault(video().dir(&video_path("d")).file(&video_path("d"), "y"))
            .ends_with("occurs twice")
    );
    assert!(format_fault(video().file(&video_path("a\nb"), "y")).ends_with("is no path"));
    assert!(
        format_fault(video().file(&video_path(&"d/".repeat(30)), "y")).ends_with("lies too deep")
    );
    // A link in place of a directory is not walked through, whatever comes after it.
    let through = video().link(b'2', &video_path("d"), "/tmp").file(&video_path("d/x"), "y");
    assert!(format_fault(through).ends_with("is a symbolic link"));
}

#[test]
fn what_belongs_to_no_format_spoils_all() {
    let traps = [
        "../../etc/passwd",
        "/etc/passwd",
        "video/../../x",
        "video//x",
        "",
        "readme.txt",
        "video/readme.txt",
        "Video/a/b",
        "video/.a/b",
        "video/a b/c",
        "video/./x",
    ];
    for path in traps {
        let good = TarBuilder::new().file(&video_path("metadata.xml"), "x");
        let reason = unpack_error(&good.file(path, "y").into_bytes());
        assert!(reason.contains(": "), "{path:?}: {reason}");
    }
    let link =
        TarBuilder::new().link(b'2', "video", "/tmp").file(&video_path("x"), "y").into_bytes();
    assert!(unpack_error(&link).contains("belongs to no recording"));
    let hidden =
        TarBuilder::new().pax(&[("path", "/etc/passwd")]).file(&video_path("x"), "y").into_bytes();
    assert!(unpack_error(&hidden).contains("no path"));
}

#[test]
fn what_is_broken_is_refused() {
    let whole = SampleRecording::new(3).archive(&["video"]);
    for length in [0, 1, 511, 700, 3000, whole.len() / 2] {
        assert!(!unpack_error(&whole[..length]).is_empty());
    }
    let without_end = SampleRecording::new(3).tar(&["video"]).into_unfinished_bytes();
    assert!(unpack_error(&without_end).contains("cut off"));
    assert!(unpack_error(&[b'x'; 4096]).contains("no tar archive"));
    let mut damaged = whole;
    damaged[5] ^= 1;
    assert!(unpack_error(&damaged).contains("damaged"));
    let lying = TarBuilder::new().entry(&video_path("x"), b'0', "", 1 << 60, b"x").into_bytes();
    assert!(unpack_error(&lying).contains("more than"));
    let endless = TarBuilder::new().entry(&video_path("x"), b'0', "", u64::MAX, b"x").into_bytes();
    assert!(!unpack_error(&endless).is_empty());
    let name = TarBuilder::new().entry("x", b'L', "", 1 << 40, b"x").into_bytes();
    assert!(unpack_error(&name).contains("name is too long"));
    assert!(unpack_error(&[0x1f, 0x8b, 8, 0, 1, 2, 3]).contains("cut off"));
    let pax = TarBuilder::new().entry("x", b'x', "", 4, b"99 a").into_bytes();
    assert!(unpack_error(&pax).contains("extended header"));
}

#[test]
fn limits_are_enforced() {
    let many = (0..20)
        .fold(TarBuilder::new(), |tar, n| tar.file(&video_path(&format!("{n}")), "x"))
        .into_bytes();
    let tight = ArchiveLimits { max_entries: 19, ..ArchiveLimits::default() };
    assert!(
        matches!(unpack_bytes(&many, &tight).1, Err(ArchiveError::Invalid(why)) if why.contains("19 entries"))
    );
    let tight = ArchiveLimits { max_bytes: 19, ..ArchiveLimits::default() };
    assert!(
        matches!(unpack_bytes(&many, &tight).1, Err(ArchiveError::Invalid(why)) if why.contains("19 bytes"))
    );
    // Sixty megabytes of nothing in sixty kilobytes.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&TarBuilder::new().file(&video_path("x"), vec![0; 60 << 20]).into_bytes())
        .unwrap();
    let reason = unpack_error(&bomb.finish().unwrap());
    assert!(reason.contains("too well compressed"), "{reason}");
}

proptest::proptest! {
    /// Whatever is changed in an archive, it is unpacked or refused, and nothing lies elsewhere.
    #[test]
    fn mutated_archives_stay_inside(at in 0usize..4096, byte in proptest::prelude::any::<u8>()) {
        let mut archive = TarBuilder::new()
            .dir("video/")
            .file(&video_path("metadata.xml"), "x")
            .pax(&[("path", &video_path("y"))])
            .file(&video_path(&"z".repeat(120)), "y")
            .into_bytes();
        archive[at] = byte;
        let _ = unpack_bytes(&archive, &ArchiveLimits::default());
    }
}
