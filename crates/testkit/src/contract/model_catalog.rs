//! Random sequences of calls on a catalog of recordings, made on the store under test and on the
//! implementation in memory. Both must return the same and hold the same data after each call.

use std::ops::RangeInclusive;
use std::sync::Arc;

use app::memory::MemoryRecordings;
use app::ports::{Destination, FileMove, RecordingStore};
use domain::Timestamp;
use domain::recording::catalog::{
    MetadataMatch, RecordingChange, RecordingFilter, RecordingStates, TenantScope,
};
use domain::recording::{Callback, Recording};

use super::fixtures::NOW;
use super::model::TestRng;
use super::test_catalog::{TestCatalog, format, published_recording, with_metadata};
use super::{ContractCase, RecordingStoreFactory};

/// The number of calls in a sequence.
const STEPS: usize = 40;
const IDS: [&str; 6] = ["a", "aa", "ab", "b", "b%", "c"];
const KEYS: [&str; 4] = ["tenant-id", "one", "two", "Two"];
const VALUES: [&str; 6] = ["x", "xy", "X", "", "%", "yx"];
const FORMATS: [&str; 3] = ["notes", "presentation", "video"];

/// A case for each seed: `sequences` random sequences of calls.
#[must_use]
pub fn catalog_model_cases(
    sequences: u32,
    seeds: RangeInclusive<u32>,
) -> Vec<ContractCase<dyn RecordingStore>> {
    let case = |seed| {
        let name = format!("random_calls_of_seed_{seed}");
        ContractCase::new(module_path!(), &name, move |factory| {
            Box::pin(compare_catalog(factory, sequences, seed))
        })
    };
    seeds.map(case).collect()
}

/// Makes `sequences` random sequences of calls, the same ones for the same seed.
///
/// # Panics
/// When the store differs from the implementation in memory. The message names the seed and the
/// calls of the sequence.
async fn compare_catalog(factory: RecordingStoreFactory<'_>, sequences: u32, seed: u32) {
    for sequence in 0..sequences {
        let mut rng = TestRng::new(seed, sequence);
        let tested = TestCatalog::new(factory).await;
        let model = TestCatalog(Arc::new(MemoryRecordings::default()));
        let (mut calls, mut file_moves) = (Vec::new(), Vec::new());
        for step in 0..STEPS {
            let now = NOW.plus_ms(i64::try_from(step).unwrap() * 10 - rng.ms_below(15));
            let call = next_call(&mut rng, &file_moves, now);
            calls.push(format!("{call:?}"));
            let (found, expected) = (call.run_on(&tested).await, call.run_on(&model).await);
            let log = || format!("seed {seed}, sequence {sequence}:\n{}", calls.join("\n"));
            assert!(found == expected, "{}\nfound {found:#?}\nexpected {expected:#?}", log());
            file_moves.extend(expected.file_move);
            let (found, expected) = (read_all(&tested).await, read_all(&model).await);
            assert!(found == expected, "{}\nfound {found:#?}\nexpected {expected:#?}", log());
        }
    }
}

#[derive(Debug)]
enum CatalogCall {
    Find(RecordingFilter, TenantScope),
    Page(RecordingFilter, TenantScope, u64, u32),
    Change(Vec<String>, TenantScope, RecordingChange),
    BeginMove(String, TenantScope, Destination, Timestamp),
    EndMove(FileMove),
    Import(Box<Recording>, Timestamp),
    Callback(Callback),
    Forget(Timestamp, u32),
    Restore(String, Timestamp),
    EmptyTrash(Timestamp, Timestamp, u32),
}

/// What a call returned, and the file move that began with it.
#[derive(Debug, Default, PartialEq)]
struct CatalogResponse {
    text: String,
    file_move: Option<FileMove>,
}

impl CatalogCall {
    async fn run_on(&self, catalog: &TestCatalog) -> CatalogResponse {
        let store = &catalog.0;
        let (text, file_move) = match self {
            Self::Find(filter, scope) => (format!("{:?}", catalog.find(filter, scope).await), None),
            Self::Page(filter, scope, offset, limit) => {
                (format!("{:?}", catalog.page(filter, scope, *offset, *limit).await), None)
            }
            Self::Change(ids, scope, change) => {
                let changed = store.change_recordings(ids, scope, change).await;
                (format!("{:?}", changed.expect("a change")), None)
            }
            Self::BeginMove(id, scope, to, now) => {
                let begun = store.begin_file_move(id, scope, *to, *now).await;
                (String::new(), begun.expect("begin_file_move"))
            }
            Self::EndMove(file_move) => (catalog.end_move(file_move).await.to_string(), None),
            Self::Import(recording, now) => {
                let imported = catalog.import_recording(recording, *now).await;
                let file_move = imported.as_ref().and_then(|imported| imported.file_move.clone());
                (format!("{imported:?}"), file_move)
            }
            Self::Callback(callback) => {
                store.put_callback(callback).await.expect("put_callback");
                Default::default()
            }
            Self::Forget(before, limit) => {
                let forgotten = store.forget_deleted_recordings(*before, *limit).await;
                (format!("{:?}", forgotten.expect("forget_deleted")), None)
            }
            Self::Restore(id, now) => {
                let restored = store.restore_recording(id, *now).await;
                (String::new(), restored.expect("restore_recording"))
            }
            Self::EmptyTrash(before, now, limit) => {
                let removals = store.empty_trash(*before, *now, *limit).await.expect("empty_trash");
                (format!("{removals:?}"), removals.into_iter().next())
            }
        };
        CatalogResponse { text, file_move }
    }
}

/// Everything that a catalog holds.
async fn read_all(catalog: &TestCatalog) -> impl std::fmt::Debug + PartialEq {
    let recordings = catalog.0.list_recordings_after(None, 100).await.expect("recordings");
    let messages = catalog.0.list_messages(100).await.expect("messages");
    let callbacks = catalog.0.list_callbacks_after(None, 100).await.expect("callbacks");
    let trash = catalog.0.list_trash(None, 100).await.expect("trash");
    (recordings, messages, callbacks, trash, catalog.list_moves(NOW.plus_ms(1_000_000)).await)
}

fn next_call(rng: &mut TestRng, file_moves: &[FileMove], now: Timestamp) -> CatalogCall {
    match rng.number_below(14) {
        0 | 1 => CatalogCall::Find(random_filter(rng), random_scope(rng)),
        2 => CatalogCall::Page(
            random_filter(rng),
            random_scope(rng),
            u64::from(rng.number_below(6)),
            rng.number_below(4),
        ),
        3 | 4 => {
            CatalogCall::Change(pick_some(rng, &IDS, 3), random_scope(rng), random_change(rng))
        }
        5 | 6 => {
            let to = rng.pick(&[
                Destination::Published,
                Destination::Unpublished,
                Destination::Trash,
                Destination::Removed,
            ]);
            CatalogCall::BeginMove(rng.pick(&IDS).to_owned(), random_scope(rng), to, now)
        }
        7 if !file_moves.is_empty() => CatalogCall::EndMove(rng.pick(file_moves)),
        8 => CatalogCall::Callback(random_callback(rng, now)),
        12 => CatalogCall::Restore(rng.pick(&IDS).to_owned(), now),
        13 => CatalogCall::EmptyTrash(now.plus_ms(-rng.ms_below(200)), now, rng.number_below(3)),
        9 if rng.is_one_in(3) => CatalogCall::Forget(now, rng.number_below(3)),
        _ => CatalogCall::Import(Box::new(random_recording(rng)), now),
    }
}

/// Draws up to `max_count` of these texts, some of them perhaps more than once.
fn pick_some(rng: &mut TestRng, texts: &[&str], max_count: u32) -> Vec<String> {
    (0..rng.number_below(max_count + 1)).map(|_| rng.pick(texts).to_owned()).collect()
}

fn random_scope(rng: &mut TestRng) -> TenantScope {
    if rng.is_one_in(3) {
        TenantScope::Tenant(rng.pick(&VALUES).to_owned())
    } else {
        TenantScope::All
    }
}

fn random_filter(rng: &mut TestRng) -> RecordingFilter {
    let states = match rng.number_below(4) {
        0 => RecordingStates::Usual,
        1 => RecordingStates::Listed(pick_some(
            rng,
            &["published", "deleted", "unpublished", "x"],
            3,
        )),
        _ => RecordingStates::Any,
    };
    let metadata = (0..rng.number_below(3)).map(|_| {
        let matches = (0..=rng.number_below(2)).map(|_| {
            let (before, after) = (rng.pick(&["", "", "%"]), rng.pick(&["", "", "%"]));
            MetadataMatch::parse(&format!("{before}{}{after}", rng.pick(&VALUES)))
        });
        let matches = matches.collect();
        (rng.pick(&KEYS).to_owned(), matches)
    });
    let metadata = metadata.collect();
    let record_ids = if rng.is_one_in(3) { pick_some(rng, &IDS, 3) } else { Vec::new() };
    let meetings = ["meeting of a", "meeting of b", "m", ""];
    let meeting_ids = if rng.is_one_in(3) { pick_some(rng, &meetings, 3) } else { Vec::new() };
    RecordingFilter { record_ids, meeting_ids, states, metadata }
}

fn random_change(rng: &mut TestRng) -> RecordingChange {
    let metadata = (0..rng.number_below(4)).map(|_| {
        let key = rng.pick(&KEYS[1..]).to_owned();
        (key, (!rng.is_one_in(3)).then(|| rng.pick(&VALUES).to_owned()))
    });
    let metadata = metadata.collect();
    let tenant = rng.is_one_in(4).then(|| rng.pick(&VALUES).to_owned());
    RecordingChange { metadata, protected: rng.is_one_in(2).then(|| rng.is_one_in(2)), tenant }
}

fn random_callback(rng: &mut TestRng, now: Timestamp) -> Callback {
    let urls = ["https://app/ready", "https://app/other", " "];
    Callback {
        meeting_id: rng.pick(&["meeting of a", "meeting of b", "m"]).to_owned(),
        record_id: None,
        attributes: vec![(
            rng.pick(&["recording_ready_url", "analytics_callback_url"]).to_owned(),
            rng.pick(&urls).to_owned(),
        )],
        created_at: now,
        updated_at: now,
    }
}

fn random_recording(rng: &mut TestRng) -> Recording {
    let id = rng.pick(&IDS);
    let pairs = [
        ("isBreakout", "false"),
        (KEYS[0], VALUES[rng.number_below(3) as usize]),
        (KEYS[1], VALUES[rng.number_below(6) as usize]),
        (KEYS[2], VALUES[rng.number_below(6) as usize]),
    ];
    let left_out = rng.number_below(5) as usize;
    let pairs: Vec<_> = pairs
        .into_iter()
        .enumerate()
        .filter(|(n, _)| *n != left_out)
        .map(|(_, pair)| pair)
        .collect();
    let mut recording = with_metadata(published_recording(id, rng.ms_below(3)), &pairs);
    recording.published = rng.is_one_in(2);
    recording.state =
        Some(if recording.published { "published" } else { "unpublished" }.to_owned());
    if rng.is_one_in(5) {
        recording.started_at = None;
    }
    if rng.is_one_in(5) {
        recording.meeting_id = None;
    }
    recording.protected = rng.is_one_in(4);
    recording.participants = rng.is_one_in(2).then_some(5);
    recording.details.raw_size = rng.is_one_in(2).then(|| rng.ms_below(100));
    recording.details.is_breakout = rng.is_one_in(2).then(|| rng.is_one_in(2));
    recording.formats =
        FORMATS.iter().filter(|_| rng.is_one_in(2)).map(|name| format(name)).collect();
    recording
}
