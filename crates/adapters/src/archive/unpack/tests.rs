//! Archives that are as they should be, and traps.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use testkit::samples::{FORMATS, Sample};
use testkit::tar::Tar;

use super::*;

const ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";

/// Unpacks into `into` of a directory, and checks that nothing else came to be in it.
fn unpack_bytes(archive: &[u8], limits: &Limits) -> (TempDir, Result<Vec<Format>, ArchiveError>) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.tar");
    fs::write(&path, archive).unwrap();
    fs::create_dir(dir.path().join("into")).unwrap();
    let into = Dir::open(&dir.path().join("into")).unwrap();
    let result = unpack(File::open(path).unwrap(), &into, limits);
    let names = Dir::open(dir.path()).unwrap().names().unwrap();
    assert_eq!(names, ["a.tar", "into"]);
    (dir, result)
}

fn good(archive: &[u8]) -> (TempDir, Vec<Format>) {
    let (dir, result) = unpack_bytes(archive, &Limits::default());
    (dir, result.unwrap())
}

/// Why the archive as a whole is refused.
fn refused(archive: &[u8]) -> String {
    match unpack_bytes(archive, &Limits::default()).1 {
        Err(ArchiveError::Bad(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// What is wrong with the format `video`, while `notes` beside it is fine.
fn fault(tar: Tar) -> String {
    let archive = tar.file(&format!("notes/{ID}/notes.html"), "x").whole();
    let (dir, formats) = good(&archive);
    let [notes, video] = &formats[..] else { panic!("{formats:?}") };
    assert_eq!((notes.book.format.as_str(), &notes.fault), ("notes", &None));
    assert!(dir.path().join("into/notes").join(ID).join("notes.html").is_file());
    video.fault.clone().unwrap()
}

fn within(path: &str) -> String {
    format!("video/{ID}/{path}")
}

#[test]
fn samples_of_every_format_come_out_as_they_went_in() {
    let sample = Sample::new(1);
    let (dir, formats) = good(&sample.archive(&FORMATS));
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
    let sample = Sample::new(2);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&sample.archive(&["video"])).unwrap();
    assert_eq!(good(&gzip.finish().unwrap()).1.len(), 1);
    let long = within(&"x".repeat(150));
    let dots = Tar::new().dir("./").dir("./video/").file(&format!("./{long}"), "x");
    let pax = dots.pax(&[("path", &within("ü.txt")), ("mtime", "1.5")]).file("short", "y").whole();
    let (dir, formats) = good(&pax);
    assert_eq!(formats[0].fault, None);
    assert!(dir.path().join("into").join(long).is_file());
    assert_eq!(fs::read(dir.path().join("into").join(within("ü.txt"))).unwrap(), b"y");
}

#[test]
fn what_spoils_a_format_spoils_only_that_one() {
    let video = || Tar::new().file(&within("metadata.xml"), "x");
    assert!(fault(video().link(b'2', &within("l"), "/etc/passwd")).ends_with("is a symbolic link"));
    assert!(fault(video().link(b'1', &within("l"), "metadata.xml")).ends_with("is a hard link"));
    for (kind, what) in [(b'3', "device"), (b'4', "device"), (b'6', "pipe"), (b'S', "sparse file")]
    {
        assert!(fault(video().link(kind, &within("d"), "")).ends_with(what));
    }
    assert!(fault(video().link(b'V', &within("d"), "")).ends_with("unknown kind"));
    let sparse = video().pax(&[("GNU.sparse.major", "1")]).file(&within("s"), "x");
    assert!(fault(sparse).ends_with("sparse file"));
    assert!(fault(video().file(&within("metadata.xml"), "y")).ends_with("occurs twice"));
    assert!(
        fault(video().file(&within("metadata.xml/x"), "y")).ends_with("both file and directory")
    );
    assert!(fault(video().dir(&within("d")).file(&within("d"), "y")).ends_with("occurs twice"));
    assert!(fault(video().file(&within("a\nb"), "y")).ends_with("is no path"));
    assert!(fault(video().file(&within(&"d/".repeat(30)), "y")).ends_with("lies too deep"));
    // A link in place of a directory is not walked through, whatever comes after it.
    let through = video().link(b'2', &within("d"), "/tmp").file(&within("d/x"), "y");
    assert!(fault(through).ends_with("is a symbolic link"));
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
        let good = Tar::new().file(&within("metadata.xml"), "x");
        let reason = refused(&good.file(path, "y").whole());
        assert!(reason.contains(": "), "{path:?}: {reason}");
    }
    let link = Tar::new().link(b'2', "video", "/tmp").file(&within("x"), "y").whole();
    assert!(refused(&link).contains("belongs to no recording"));
    let hidden = Tar::new().pax(&[("path", "/etc/passwd")]).file(&within("x"), "y").whole();
    assert!(refused(&hidden).contains("no path"));
}

#[test]
fn what_is_broken_is_refused() {
    let whole = Sample::new(3).archive(&["video"]);
    for length in [0, 1, 511, 700, 3000, whole.len() / 2] {
        assert!(!refused(&whole[..length]).is_empty());
    }
    let without_end = Sample::new(3).tar(&["video"]).cut();
    assert!(refused(&without_end).contains("cut off"));
    assert!(refused(&[b'x'; 4096]).contains("no tar archive"));
    let mut damaged = whole;
    damaged[5] ^= 1;
    assert!(refused(&damaged).contains("damaged"));
    let lying = Tar::new().entry(&within("x"), b'0', "", 1 << 60, b"x").whole();
    assert!(refused(&lying).contains("more than"));
    let endless = Tar::new().entry(&within("x"), b'0', "", u64::MAX, b"x").whole();
    assert!(!refused(&endless).is_empty());
    let name = Tar::new().entry("x", b'L', "", 1 << 40, b"x").whole();
    assert!(refused(&name).contains("name is too long"));
    assert!(refused(&[0x1f, 0x8b, 8, 0, 1, 2, 3]).contains("cut off"));
    let pax = Tar::new().entry("x", b'x', "", 4, b"99 a").whole();
    assert!(refused(&pax).contains("extended header"));
}

#[test]
fn there_are_limits() {
    let many = (0..20).fold(Tar::new(), |tar, n| tar.file(&within(&format!("{n}")), "x")).whole();
    let tight = Limits { entries: 19, ..Limits::default() };
    assert!(
        matches!(unpack_bytes(&many, &tight).1, Err(ArchiveError::Bad(why)) if why.contains("19 entries"))
    );
    let tight = Limits { bytes: 19, ..Limits::default() };
    assert!(
        matches!(unpack_bytes(&many, &tight).1, Err(ArchiveError::Bad(why)) if why.contains("19 bytes"))
    );
    // Sixty megabytes of nothing in sixty kilobytes.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&Tar::new().file(&within("x"), vec![0; 60 << 20]).whole()).unwrap();
    let reason = refused(&bomb.finish().unwrap());
    assert!(reason.contains("too well compressed"), "{reason}");
}

proptest::proptest! {
    /// Whatever is changed in an archive, it is unpacked or refused, and nothing lies elsewhere.
    #[test]
    fn mutated_archives_stay_inside(at in 0usize..4096, byte in proptest::prelude::any::<u8>()) {
        let mut archive = Tar::new()
            .dir("video/")
            .file(&within("metadata.xml"), "x")
            .pax(&[("path", &within("y"))])
            .file(&within(&"z".repeat(120)), "y")
            .whole();
        archive[at] = byte;
        let _ = unpack_bytes(&archive, &Limits::default());
    }
}
