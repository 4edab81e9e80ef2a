//! Unpacking of valid archives and of hostile ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use testkit::samples::{FORMATS, SampleRecording};
use testkit::tar::TarBuilder;

use super::*;

const RECORD_ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";

/// Unpacks into the subdirectory `target` of a new directory, and checks that nothing was written outside it.
fn unpack_bytes(
    archive: &[u8],
    limits: &ArchiveLimits,
) -> (TempDir, Result<Vec<ExtractedFormat>, ArchiveError>) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.tar");
    fs::write(&path, archive).unwrap();
    fs::create_dir(dir.path().join("target")).unwrap();
    let target = ConfinedDir::open(&dir.path().join("target")).unwrap();
    let result = unpack(File::open(path).unwrap(), &target, limits);
    let names = ConfinedDir::open(dir.path()).unwrap().names().unwrap();
    assert_eq!(names, ["a.tar", "target"]);
    (dir, result)
}

fn unpack_valid(archive: &[u8]) -> (TempDir, Vec<ExtractedFormat>) {
    let (dir, result) = unpack_bytes(archive, &ArchiveLimits::default());
    (dir, result.unwrap())
}

/// Returns why the archive as a whole is refused.
fn unpack_error(archive: &[u8]) -> String {
    match unpack_bytes(archive, &ArchiveLimits::default()).1 {
        Err(ArchiveError::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Adds a valid format `notes` and returns what is wrong with the format `video`.
fn format_fault(tar: TarBuilder) -> String {
    let archive = tar.file(&format!("notes/{RECORD_ID}/notes.html"), "x").into_bytes();
    let (dir, formats) = unpack_valid(&archive);
    let [notes, video] = &formats[..] else { panic!("{formats:?}") };
    assert_eq!((notes.format_id.format.as_str(), &notes.fault), ("notes", &None));
    assert!(dir.path().join("target/notes").join(RECORD_ID).join("notes.html").is_file());
    video.fault.clone().unwrap()
}

fn video_path(path: &str) -> String {
    format!("video/{RECORD_ID}/{path}")
}

#[test]
fn samples_of_every_format_are_unpacked_unchanged() {
    let sample = SampleRecording::new(1);
    let (dir, formats) = unpack_valid(&sample.archive(&FORMATS));
    assert_eq!(formats.len(), FORMATS.len());
    assert!(formats.iter().all(|format| format.fault.is_none()));
    for format in FORMATS {
        for (path, content) in sample.files(format) {
            let file = dir.path().join("target").join(format).join(&sample.record_id).join(path);
            assert_eq!(fs::read(&file).unwrap(), content, "{}", file.display());
            // The permissions in the archive do not count: files are neither executable nor set-uid.
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7133, 0);
        }
    }
}

#[test]
fn compressed_archives_long_names_and_extended_headers_are_read() {
    let sample = SampleRecording::new(2);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&sample.archive(&["video"])).unwrap();
    assert_eq!(unpack_valid(&gzip.finish().unwrap()).1.len(), 1);
    let long = video_path(&"x".repeat(150));
    let tar = TarBuilder::new().dir("./").dir("./video/").file(&format!("./{long}"), "x");
    let archive = tar
        .pax(&[("path", &video_path("ü.txt")), ("mtime", "1.5")])
        .file("short", "y")
        .into_bytes();
    let (dir, formats) = unpack_valid(&archive);
    assert_eq!(formats[0].fault, None);
    assert!(dir.path().join("target").join(long).is_file());
    assert_eq!(fs::read(dir.path().join("target").join(video_path("ü.txt"))).unwrap(), b"y");
}

#[test]
fn a_fault_in_one_format_affects_only_that_format() {
    let video = || TarBuilder::new().file(&video_path("metadata.xml"), "x");
    assert!(
        format_fault(video().link(b'2', &video_path("l"), "/etc/passwd"))
            .ends_with("is a symbolic link")
    );
    assert!(
        format_fault(video().link(b'1', &video_path("l"), "metadata.xml"))
            .ends_with("is a hard link")
    );
    for (kind, description) in
        [(b'3', "device"), (b'4', "device"), (b'6', "pipe"), (b'S', "sparse file")]
    {
        assert!(format_fault(video().link(kind, &video_path("d"), "")).ends_with(description));
    }
    assert!(format_fault(video().link(b'V', &video_path("d"), "")).ends_with("unknown type"));
    let sparse = video().pax(&[("GNU.sparse.major", "1")]).file(&video_path("s"), "x");
    assert!(format_fault(sparse).ends_with("sparse file"));
    assert!(format_fault(video().file(&video_path("metadata.xml"), "y")).ends_with("occurs twice"));
    assert!(
        format_fault(video().file(&video_path("metadata.xml/x"), "y"))
            .ends_with("both a file and a directory")
    );
    assert!(
        format_fault(video().dir(&video_path("d")).file(&video_path("d"), "y"))
            .ends_with("occurs twice")
    );
    assert!(
        format_fault(video().file(&video_path(&"d/".repeat(30)), "y"))
            .ends_with("is nested too deeply")
    );
    // A link in the place of a directory is not followed by later entries.
    let beyond_link = video().link(b'2', &video_path("d"), "/tmp").file(&video_path("d/x"), "y");
    assert!(format_fault(beyond_link).ends_with("is a symbolic link"));
}

/// Unpacks an archive with one format, which is usable, and returns what was left out of it.
fn left_out(tar: TarBuilder) -> (TempDir, Vec<String>) {
    let (dir, formats) = unpack_valid(&tar.into_bytes());
    let [format] = &formats[..] else { panic!("{formats:?}") };
    assert_eq!(format.fault, None);
    (dir, format.left_out.clone())
}

#[test]
fn files_with_odd_names_are_left_out() {
    let names = ["a\nb", "a\\b", &"x".repeat(256)];
    let tar = names.iter().fold(TarBuilder::new(), |tar, name| tar.file(&video_path(name), "x"));
    let (dir, reasons) = left_out(tar.dir(&video_path("d\u{7}")).file(&video_path("good"), "y"));
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason.ends_with("has a name that is not allowed")));
    let format_dir = dir.path().join("target").join(format!("video/{RECORD_ID}"));
    assert_eq!(fs::read_dir(format_dir).unwrap().count(), 1);
    let latin = b"\xdcbung.txt";
    let path = [format!("video/{RECORD_ID}/").as_bytes(), latin].concat();
    let tar = TarBuilder::new().file(&video_path("good"), "y").raw_file(&path, b"x");
    assert_eq!(left_out(tar).1.len(), 1);
}

#[test]
fn links_within_a_format_are_replaced_by_copies() {
    let tar = TarBuilder::new()
        .dir("published/")
        .file(&format!("published/{}", video_path("d/a.txt")), "a")
        .link(b'1', &video_path("hard.txt"), &format!("./published/{}", video_path("d/a.txt")))
        .link(b'2', &video_path("e/soft.txt"), "../d/a.txt")
        .link(b'2', &video_path("f"), "d")
        .link(b'2', &video_path("g"), "./f/../f")
        .link(
            b'2',
            &video_path("d/deep.txt"),
            &format!("/var/bigbluebutton/published/{}", video_path("late.txt")),
        )
        .file(&video_path("late.txt"), "late");
    let (dir, reasons) = left_out(tar);
    assert_eq!(reasons, [""; 0]);
    let format_dir = dir.path().join("target").join(format!("video/{RECORD_ID}"));
    for (path, content) in [
        ("hard.txt", "a"),
        ("e/soft.txt", "a"),
        ("f/a.txt", "a"),
        ("g/a.txt", "a"),
        ("g/deep.txt", "late"),
        ("d/deep.txt", "late"),
    ] {
        assert_eq!(fs::read(format_dir.join(path)).unwrap(), content.as_bytes(), "{path}");
        assert!(!format_dir.join(path).is_symlink());
    }
}

#[test]
fn links_that_lead_nowhere_are_left_out() {
    let tar = TarBuilder::new()
        .file(&video_path("d/a.txt"), "a")
        .link(b'2', &video_path("none"), "missing")
        .link(b'2', &video_path("x"), "y")
        .link(b'2', &video_path("y"), "x")
        .link(b'2', &video_path("d/up"), "..")
        .link(b'2', &video_path("p/q"), "../r")
        .link(b'2', &video_path("r/s"), "../p");
    let (dir, reasons) = left_out(tar);
    assert_eq!(reasons.len(), 6, "{reasons:?}");
    let format_dir = dir.path().join("target").join(format!("video/{RECORD_ID}"));
    assert!(format_dir.join("d/a.txt").is_file() && !format_dir.join("d/up").exists());
}

#[test]
fn links_out_of_a_format_make_it_unusable() {
    let video = || TarBuilder::new().file(&video_path("metadata.xml"), "x");
    for target in [
        "/etc/passwd",
        "../../../etc/passwd",
        "../other/x",
        "d/../../x",
        &format!("/var/bigbluebutton/published/notes/{RECORD_ID}/notes.html"),
        &format!("../../notes/{RECORD_ID}/notes.html"),
    ] {
        let fault = format_fault(video().link(b'2', &video_path("l"), target));
        assert!(fault.ends_with("leads out of its format: it is a symbolic link"), "{fault}");
    }
    for target in ["/etc/passwd", "metadata.xml", "", &format!("notes/{RECORD_ID}/notes.html")] {
        let fault = format_fault(video().link(b'1', &video_path("l"), target));
        assert!(fault.ends_with("leads out of its format: it is a hard link"), "{fault}");
    }
    let later = video().link(b'1', &video_path("l"), &video_path("later"));
    assert!(format_fault(later).contains("leads to no earlier file"));
    let second = video().link(b'2', &video_path("metadata.xml"), "d");
    assert!(left_out(second).1[0].contains("leads to nothing"));
    let taken = video().file(&video_path("d"), "x").link(b'2', &video_path("metadata.xml"), "d");
    assert!(format_fault(taken).ends_with("occurs twice"));
}

#[test]
fn links_cannot_expand_an_archive_without_limit() {
    // Each level holds the one before twice.
    let mut tar = TarBuilder::new().file(&video_path("0/a"), vec![0; 1 << 16]);
    for level in 1..22 {
        for name in ["x", "y"] {
            let target = format!("../{}", level - 1);
            tar = tar.link(b'2', &video_path(&format!("{level}/{name}")), &target);
        }
    }
    let reason = unpack_error(&tar.into_bytes());
    assert!(reason.contains("expands too much by its links"), "{reason}");
}

#[test]
fn zstandard_archives_are_read_and_bounded() {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let sample = SampleRecording::new(4);
    let compress = |bytes: &[u8]| compress_to_vec(bytes, CompressionLevel::Fastest);
    let archive = sample.archive(&["video"]);
    let whole = compress(&archive);
    assert_eq!(unpack_valid(&whole).1.len(), 1);
    // Several frames, and one that is to be skipped.
    let skipped =
        [b"\x50\x2a\x4d\x18\x03\0\0\0xyz".as_slice(), &compress(&archive[..512])].concat();
    let frames = [skipped, compress(&archive[512..])].concat();
    assert_eq!(unpack_valid(&frames).1.len(), 1);
    assert!(!unpack_error(&whole[..whole.len() / 2]).is_empty());
    assert!(!unpack_error(&[b"\x28\xb5\x2f\xfd".as_slice(), &[0xff; 64]].concat()).is_empty());
    let bomb = TarBuilder::new().file(&video_path("x"), vec![0; 110 << 20]).into_bytes();
    let reason = unpack_error(&compress(&bomb));
    assert!(reason.contains("compression ratio"), "{reason}");
}

#[test]
fn an_entry_outside_all_formats_makes_the_archive_invalid() {
    let paths = [
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
    for path in paths {
        let valid = TarBuilder::new().file(&video_path("metadata.xml"), "x");
        let reason = unpack_error(&valid.file(path, "y").into_bytes());
        assert!(reason.contains(": "), "{path:?}: {reason}");
    }
    let link =
        TarBuilder::new().link(b'2', "video", "/tmp").file(&video_path("x"), "y").into_bytes();
    assert!(unpack_error(&link).contains("belongs to no recording"));
    let hidden =
        TarBuilder::new().pax(&[("path", "/etc/passwd")]).file(&video_path("x"), "y").into_bytes();
    assert!(unpack_error(&hidden).contains("not a valid path"));
}

#[test]
fn damaged_archives_are_refused() {
    let archive = SampleRecording::new(3).archive(&["video"]);
    for length in [0, 1, 511, 700, 3000, archive.len() / 2] {
        assert!(!unpack_error(&archive[..length]).is_empty());
    }
    let without_end = SampleRecording::new(3).tar(&["video"]).into_unfinished_bytes();
    assert!(unpack_error(&without_end).contains("truncated"));
    assert!(unpack_error(&[b'x'; 4096]).contains("not a tar archive"));
    let mut damaged = archive;
    damaged[5] ^= 1;
    assert!(unpack_error(&damaged).contains("damaged"));
    let false_size =
        TarBuilder::new().entry(&video_path("x"), b'0', "", 1 << 60, b"x").into_bytes();
    assert!(unpack_error(&false_size).contains("more than"));
    let max_size = TarBuilder::new().entry(&video_path("x"), b'0', "", u64::MAX, b"x").into_bytes();
    assert!(!unpack_error(&max_size).is_empty());
    let name = TarBuilder::new().entry("x", b'L', "", 1 << 40, b"x").into_bytes();
    assert!(unpack_error(&name).contains("name is too long"));
    assert!(unpack_error(&[0x1f, 0x8b, 8, 0, 1, 2, 3]).contains("truncated"));
    let pax = TarBuilder::new().entry("x", b'x', "", 4, b"99 a").into_bytes();
    assert!(unpack_error(&pax).contains("extended header"));
}

#[test]
fn limits_are_enforced() {
    let archive = (0..20)
        .fold(TarBuilder::new(), |tar, n| tar.file(&video_path(&format!("{n}")), "x"))
        .into_bytes();
    let tight = ArchiveLimits { max_entries: 19, ..ArchiveLimits::default() };
    assert!(
        matches!(unpack_bytes(&archive, &tight).1, Err(ArchiveError::Invalid(why)) if why.contains("19 entries"))
    );
    let tight = ArchiveLimits { max_bytes: 19, ..ArchiveLimits::default() };
    assert!(
        matches!(unpack_bytes(&archive, &tight).1, Err(ArchiveError::Invalid(why)) if why.contains("19 bytes"))
    );
    let tight = ArchiveLimits { min_free: u64::MAX, ..ArchiveLimits::default() };
    assert!(matches!(unpack_bytes(&archive, &tight).1, Err(ArchiveError::Io(error))
        if error.kind() == io::ErrorKind::StorageFull));
    // A hundred and ten megabytes of zeros in a hundred kilobytes.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&TarBuilder::new().file(&video_path("x"), vec![0; 110 << 20]).into_bytes())
        .unwrap();
    let bomb = bomb.finish().unwrap();
    let reason = unpack_error(&bomb);
    assert!(reason.contains("compression ratio"), "{reason}");
    let loose = ArchiveLimits { max_ratio: 2_000, ..ArchiveLimits::default() };
    assert!(unpack_bytes(&bomb, &loose).1.is_ok());
}

proptest::proptest! {
    /// An archive with one changed byte is unpacked or refused, and nothing is written outside the target.
    #[test]
    fn mutated_archives_stay_inside(index in 0usize..4096, byte in proptest::prelude::any::<u8>()) {
        let mut archive = TarBuilder::new()
            .dir("video/")
            .file(&video_path("metadata.xml"), "x")
            .pax(&[("path", &video_path("y"))])
            .file(&video_path(&"z".repeat(120)), "y")
            .into_bytes();
        archive[index] = byte;
        let _ = unpack_bytes(&archive, &ArchiveLimits::default());
    }
}
