//! Random sequences of calls on a library, made on the store under test and on the implementation in memory, which
//! must answer alike and hold the same afterwards.

use std::sync::Arc;

use app::memory::MemoryRecordings;
use app::ports::{Destination, FileMove};
use domain::Timestamp;
use domain::recording::catalog::{
    MetadataMatch, RecordingChange, RecordingFilter, RecordingStates, TenantScope,
};
use domain::recording::{Callback, Recording};

use super::RecordingStoreFactory;
use super::catalog::{TestCatalog, format, published_recording, with_metadata};
use super::model::TestRng;
use super::pool_store::NOW;

/// Calls in a sequence.
const STEPS: usize = 40;
const IDS: [&str; 6] = ["a", "aa", "ab", "b", "b%", "c"];
const KEYS: [&str; 4] = ["tenant-id", "one", "two", "Two"];
const VALUES: [&str; 6] = ["x", "xy", "X", "", "%", "yx"];
const FORMATS: [&str; 3] = ["notes", "presentation", "video"];

/// Runs that many random sequences; the same seed gives the same ones.
///
/// # Panics
/// When the store differs from the implementation in memory. Names the seed, and the calls that led there.
pub async fn compare_catalog(factory: RecordingStoreFactory<'_>, sequences: u32, seed: u64) {
    for sequence in 0..sequences {
        let mut dice = TestRng::new(seed, sequence);
        let tested = TestCatalog::new(factory).await;
        let model = TestCatalog(Arc::new(MemoryRecordings::default()));
        let (mut calls, mut begun) = (Vec::new(), Vec::new());
        for step in 0..STEPS {
            let now = NOW.plus_ms(i64::try_from(step).unwrap() * 10 - dice.ms_below(15));
            let call = next_call(&mut dice, &begun, now);
            calls.push(format!("{call:?}"));
            let (found, wanted) = (call.run_on(&tested).await, call.run_on(&model).await);
            let told = || format!("seed {seed}, sequence {sequence}:\n{}", calls.join("\n"));
            assert!(found == wanted, "{}\nfound {found:#?}\nwanted {wanted:#?}", told());
            begun.extend(wanted.file_move);
            let (found, wanted) = (read_all(&tested).await, read_all(&model).await);
            assert!(found == wanted, "{}\nfound {found:#?}\nwanted {wanted:#?}", told());
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

/// What a call answered, and the journey that began with it.
#[derive(Debug, Default, PartialEq)]
struct CatalogResponse {
    text: String,
    file_move: Option<FileMove>,
}

impl CatalogCall {
    async fn run_on(&self, shelf: &TestCatalog) -> CatalogResponse {
        let store = &shelf.0;
        let (text, journey) = match self {
            Self::Find(filter, scope) => (format!("{:?}", shelf.find(filter, scope).await), None),
            Self::Page(filter, scope, offset, limit) => {
                (format!("{:?}", shelf.page(filter, scope, *offset, *limit).await), None)
            }
            Self::Change(ids, scope, change) => {
                let changed = store.change_recordings(ids, scope, change).await;
                (format!("{:?}", changed.expect("a change")), None)
            }
            Self::BeginMove(id, scope, to, now) => {
                let begun = store.begin_file_move(id, scope, *to, *now).await;
                (String::new(), begun.expect("begin_journey"))
            }
            Self::EndMove(journey) => (shelf.end_move(journey).await.to_string(), None),
            Self::Import(recording, now) => {
                let imported = shelf.import_recording(recording, *now).await;
                let journey = imported.as_ref().and_then(|imported| imported.file_move.clone());
                (format!("{imported:?}"), journey)
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
                let ended = store.empty_trash(*before, *now, *limit).await.expect("empty_trash");
                (format!("{ended:?}"), ended.into_iter().next())
            }
        };
        CatalogResponse { text, file_move: journey }
    }
}

/// Everything that a library holds.
async fn read_all(shelf: &TestCatalog) -> impl std::fmt::Debug + PartialEq {
    let recordings = shelf.0.list_recordings_after(None, 100).await.expect("recordings");
    let messages = shelf.0.list_messages(100).await.expect("messages");
    let callbacks = shelf.0.list_callbacks_after(None, 100).await.expect("callbacks");
    let trash = shelf.0.list_trash(None, 100).await.expect("trash");
    (recordings, messages, callbacks, trash, shelf.list_moves(NOW.plus_ms(1_000_000)).await)
}

fn next_call(dice: &mut TestRng, begun: &[FileMove], now: Timestamp) -> CatalogCall {
    match dice.number_below(14) {
        0 | 1 => CatalogCall::Find(random_filter(dice), random_scope(dice)),
        2 => CatalogCall::Page(
            random_filter(dice),
            random_scope(dice),
            u64::from(dice.number_below(6)),
            dice.number_below(4),
        ),
        3 | 4 => {
            CatalogCall::Change(pick_some(dice, &IDS, 3), random_scope(dice), random_change(dice))
        }
        5 | 6 => {
            let (shown, end) = (
                [Destination::Published, Destination::Unpublished],
                [Destination::Trash, Destination::Removed],
            );
            let to = if dice.is_one_in(2) { dice.pick(&shown) } else { dice.pick(&end) };
            CatalogCall::BeginMove(dice.pick(&IDS).to_owned(), random_scope(dice), to, now)
        }
        7 if !begun.is_empty() => CatalogCall::EndMove(dice.pick(begun)),
        8 => CatalogCall::Callback(random_callback(dice, now)),
        12 => CatalogCall::Restore(dice.pick(&IDS).to_owned(), now),
        13 => CatalogCall::EmptyTrash(now.plus_ms(-dice.ms_below(200)), now, dice.number_below(3)),
        9 if dice.is_one_in(3) => CatalogCall::Forget(now, dice.number_below(3)),
        _ => CatalogCall::Import(Box::new(random_recording(dice)), now),
    }
}

fn pick_some(dice: &mut TestRng, of: &[&str], up_to: u32) -> Vec<String> {
    (0..dice.number_below(up_to + 1)).map(|_| dice.pick(of).to_owned()).collect()
}

fn random_scope(dice: &mut TestRng) -> TenantScope {
    if dice.is_one_in(3) {
        TenantScope::Tenant(dice.pick(&VALUES).to_owned())
    } else {
        TenantScope::All
    }
}

fn random_filter(dice: &mut TestRng) -> RecordingFilter {
    let states = match dice.number_below(4) {
        0 => RecordingStates::Usual,
        1 => RecordingStates::Listed(pick_some(
            dice,
            &["published", "deleted", "unpublished", "x"],
            3,
        )),
        _ => RecordingStates::Any,
    };
    let metadata = (0..dice.number_below(3)).map(|_| {
        let wanted = (0..=dice.number_below(2)).map(|_| {
            let (before, after) = (dice.pick(&["", "", "%"]), dice.pick(&["", "", "%"]));
            MetadataMatch::parse(&format!("{before}{}{after}", dice.pick(&VALUES)))
        });
        let wanted = wanted.collect();
        (dice.pick(&KEYS).to_owned(), wanted)
    });
    let metadata = metadata.collect();
    let record_ids = if dice.is_one_in(3) { pick_some(dice, &IDS, 3) } else { Vec::new() };
    let meetings = ["meeting of a", "meeting of b", "m", ""];
    let meeting_ids = if dice.is_one_in(3) { pick_some(dice, &meetings, 3) } else { Vec::new() };
    RecordingFilter { record_ids, meeting_ids, states, metadata }
}

fn random_change(dice: &mut TestRng) -> RecordingChange {
    let metadata = (0..dice.number_below(4)).map(|_| {
        let key = dice.pick(&KEYS[1..]).to_owned();
        (key, (!dice.is_one_in(3)).then(|| dice.pick(&VALUES).to_owned()))
    });
    let metadata = metadata.collect();
    let tenant = dice.is_one_in(4).then(|| dice.pick(&VALUES).to_owned());
    RecordingChange { metadata, protected: dice.is_one_in(2).then(|| dice.is_one_in(2)), tenant }
}

fn random_callback(dice: &mut TestRng, now: Timestamp) -> Callback {
    let urls = ["https://app/ready", "https://app/other", " "];
    Callback {
        meeting_id: dice.pick(&["meeting of a", "meeting of b", "m"]).to_owned(),
        record_id: None,
        attributes: vec![(
            dice.pick(&["recording_ready_url", "analytics_callback_url"]).to_owned(),
            dice.pick(&urls).to_owned(),
        )],
        created_at: now,
        updated_at: now,
    }
}

fn random_recording(dice: &mut TestRng) -> Recording {
    let id = dice.pick(&IDS);
    let pairs = [
        ("isBreakout", "false"),
        (KEYS[0], VALUES[dice.number_below(3) as usize]),
        (KEYS[1], VALUES[dice.number_below(6) as usize]),
        (KEYS[2], VALUES[dice.number_below(6) as usize]),
    ];
    let left_out = dice.number_below(5) as usize;
    let pairs: Vec<_> =
        pairs.into_iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, one)| one).collect();
    let mut recording = with_metadata(published_recording(id, dice.ms_below(3)), &pairs);
    recording.published = dice.is_one_in(2);
    recording.state =
        Some(if recording.published { "published" } else { "unpublished" }.to_owned());
    if dice.is_one_in(5) {
        recording.started_at = None;
    }
    if dice.is_one_in(5) {
        recording.meeting_id = None;
    }
    recording.protected = dice.is_one_in(4);
    recording.participants = dice.is_one_in(2).then_some(5);
    recording.details.raw_size = dice.is_one_in(2).then(|| dice.ms_below(100));
    recording.details.is_breakout = dice.is_one_in(2).then(|| dice.is_one_in(2));
    recording.formats =
        FORMATS.iter().filter(|_| dice.is_one_in(2)).map(|name| format(name)).collect();
    recording
}
