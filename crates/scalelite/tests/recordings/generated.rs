//! Archives as people have them, made from seeds: each is imported as expected or refused with its
//! reason, and nothing is lost from the spool.

use std::collections::BTreeSet;
use std::time::Duration;

use adapters::sqlite::SqliteStore;
use app::ports::Recordings as _;
use domain::recording::Recording;
use testkit::archives::{GeneratedArchive, GeneratedRecording, generate_archive};
use testkit::nightly::rounds;
use testkit::product::{Setup, wait_until_within};

use crate::tools::{file_names, find_import, put_in_spool, setup};

/// Archives in a usual run.
const ARCHIVES: u64 = 20;
/// Archives in a nightly run.
const NIGHTLY_ARCHIVES: u64 = 100;
/// How long all imports may take.
const DEADLINE: Duration = Duration::from_secs(180);

/// Whether the recordings of this seed were deleted before their archive comes.
fn was_deleted(seed: u64) -> bool {
    seed % 5 == 3
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_of_all_kinds_are_imported_or_kept() {
    let setup = setup();
    let store_path = setup.folder().join("data/scalelite.db");
    // The first start makes the store.
    setup.start().await.unwrap().kill().await.unwrap();
    let store = SqliteStore::open(&store_path).unwrap();
    let seeds = 0..rounds(ARCHIVES, NIGHTLY_ARCHIVES);
    let archives: Vec<(u64, GeneratedArchive)> =
        seeds.map(|seed| (seed, generate_archive(seed))).collect();
    for (seed, archive) in &archives {
        for recording in archive.recordings.iter().filter(|_| was_deleted(*seed)) {
            let tombstone = Recording {
                record_id: recording.sample.record_id.clone(),
                state: Some("deleted".to_owned()),
                ..Recording::default()
            };
            store.put_recording(&tombstone).await.unwrap();
        }
        put_in_spool(&setup, &archive.name, &archive.bytes);
    }
    let spool = setup.folder().join("spool");
    assert_eq!(file_names(&spool).len(), archives.len(), "each has a name of its own");
    let product = setup.start().await.unwrap();
    let is_empty = async || file_names(&spool).is_empty();
    let imported = wait_until_within(DEADLINE, "all archives are imported", is_empty).await;
    imported.unwrap_or_else(|error| panic!("{error}: {}", product.log()));

    let quarantined = archive_names(&setup, "work/quarantine");
    let set_aside = archive_names(&setup, "work/quarantine/set-aside");
    let mut expected = (BTreeSet::new(), BTreeSet::new());
    for (seed, archive) in &archives {
        assert_outcome(&setup, *seed, archive).await;
        for recording in &archive.recordings {
            assert_recording(&setup, &store, recording, *seed).await;
        }
        match (archive.refusal, was_deleted(*seed)) {
            (Some(_), _) => drop(expected.0.insert(archive.name.clone())),
            (None, true) => drop(expected.1.insert(archive.name.clone())),
            (None, false) => {}
        }
    }
    assert_eq!((quarantined, set_aside), expected);
    let work = file_names(&setup.folder().join("work"));
    assert_eq!(work, ["quarantine"], "nothing unpacked is left");
}

/// The archives in a directory.
fn archive_names(setup: &Setup, dir: &str) -> BTreeSet<String> {
    let names = file_names(&setup.folder().join(dir)).into_iter();
    names.filter(|name| name != "set-aside" && !name.ends_with(".reason.txt")).collect()
}

async fn assert_outcome(setup: &Setup, seed: u64, archive: &GeneratedArchive) {
    let import = find_import(setup, &archive.name).await.unwrap();
    let reason = import["reason"].as_str().unwrap_or_default();
    let state = match (archive.refusal, was_deleted(seed)) {
        (Some(refusal), _) => {
            assert!(reason.contains(refusal), "seed {seed}: {reason}");
            "quarantined"
        }
        (None, true) => "aside",
        (None, false) => "done",
    };
    assert_eq!(import["state"], state, "seed {seed}: {reason}");
    assert_eq!(reason.contains("deleted before"), was_deleted(seed), "seed {seed}: {reason}");
}

async fn assert_recording(
    setup: &Setup,
    store: &SqliteStore,
    recording: &GeneratedRecording,
    seed: u64,
) {
    let sample = &recording.sample;
    let row = store.find_recording(&sample.record_id).await.unwrap().unwrap();
    let dir = if sample.published { "published" } else { "unpublished" };
    if was_deleted(seed) {
        assert!(row.is_deleted() && row.formats.is_empty(), "seed {seed}");
    } else {
        let names: BTreeSet<&str> =
            row.formats.iter().map(|format| format.format.as_str()).collect();
        let expected: BTreeSet<&str> = recording.formats.iter().map(|format| format.name).collect();
        assert_eq!(names, expected, "seed {seed}");
        assert_eq!(row.name.as_deref(), Some(sample.name.as_str()), "seed {seed}");
        assert_eq!(row.state.as_deref(), Some(recording.state), "seed {seed}");
        assert_eq!(row.published, sample.published, "seed {seed}");
        let started: i64 = sample.record_id.rsplit('-').next().unwrap().parse().unwrap();
        assert_eq!(row.started_at.map(|time| time.0), Some(started), "seed {seed}");
        assert!(row.formats.iter().all(|format| format.length_minutes == Some(59)), "seed {seed}");
    }
    for format in &recording.formats {
        let root = setup.folder().join(dir).join(format.name).join(&sample.record_id);
        assert_eq!(root.exists(), !was_deleted(seed), "seed {seed}: {}", root.display());
        if was_deleted(seed) {
            continue;
        }
        for (path, content) in &format.files {
            let found = std::fs::read(root.join(path));
            assert_eq!(found.ok().as_ref(), Some(content), "seed {seed}: {path}");
        }
        assert_eq!(count_files(&root), format.files.len(), "seed {seed}: {}", root.display());
    }
}

fn count_files(dir: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}
