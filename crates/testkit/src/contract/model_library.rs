//! Random sequences of calls on a library, made on the store under test and on the implementation in memory, which
//! must answer alike and hold the same afterwards.

use std::sync::Arc;

use app::memory::MemoryRecordings;
use app::ports::{Destination, Journey};
use domain::Timestamp;
use domain::recording::library::{Change, Filter, Scope, States, Wanted};
use domain::recording::{Callback, Recording};

use super::RecordsFactory;
use super::library::{Shelf, format, shown, with_metadata};
use super::model::Dice;
use super::store::NOW;

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
pub async fn library_model(factory: RecordsFactory<'_>, sequences: u32, seed: u64) {
    for sequence in 0..sequences {
        let mut dice = Dice::new(seed, sequence);
        let tested = Shelf::new(factory).await;
        let model = Shelf(Arc::new(MemoryRecordings::default()));
        let (mut calls, mut begun) = (Vec::new(), Vec::new());
        for step in 0..STEPS {
            let now = NOW.plus_ms(i64::try_from(step).unwrap() * 10 - dice.ms(15));
            let call = next(&mut dice, &begun, now);
            calls.push(format!("{call:?}"));
            let (found, wanted) = (call.make(&tested).await, call.make(&model).await);
            let told = || format!("seed {seed}, sequence {sequence}:\n{}", calls.join("\n"));
            assert!(found == wanted, "{}\nfound {found:#?}\nwanted {wanted:#?}", told());
            begun.extend(wanted.journey);
            let (found, wanted) = (whole(&tested).await, whole(&model).await);
            assert!(found == wanted, "{}\nfound {found:#?}\nwanted {wanted:#?}", told());
        }
    }
}

#[derive(Debug)]
enum Call {
    Find(Filter, Scope),
    Page(Filter, Scope, u64, u32),
    Change(Vec<String>, Scope, Change),
    Begin(String, Scope, Destination, Timestamp),
    End(Journey),
    Import(Box<Recording>, Timestamp),
    Callback(Callback),
    Forget(Timestamp, u32),
    Restore(String, Timestamp),
    Empty(Timestamp, Timestamp, u32),
}

/// What a call answered, and the journey that began with it.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    text: String,
    journey: Option<Journey>,
}

impl Call {
    async fn make(&self, shelf: &Shelf) -> Answer {
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
            Self::Begin(id, scope, to, now) => {
                let begun = store.begin_journey(id, scope, *to, *now).await;
                (String::new(), begun.expect("begin_journey"))
            }
            Self::End(journey) => (shelf.end(journey).await.to_string(), None),
            Self::Import(recording, now) => {
                let imported = shelf.import(recording, *now).await;
                let journey = imported.as_ref().and_then(|imported| imported.journey.clone());
                (format!("{imported:?}"), journey)
            }
            Self::Callback(callback) => {
                store.put_callback(callback).await.expect("put_callback");
                Default::default()
            }
            Self::Forget(before, limit) => {
                let forgotten = store.forget_deleted(*before, *limit).await;
                (format!("{:?}", forgotten.expect("forget_deleted")), None)
            }
            Self::Restore(id, now) => {
                let restored = store.restore_recording(id, *now).await;
                (String::new(), restored.expect("restore_recording"))
            }
            Self::Empty(before, now, limit) => {
                let ended = store.empty_trash(*before, *now, *limit).await.expect("empty_trash");
                (format!("{ended:?}"), ended.into_iter().next())
            }
        };
        Answer { text, journey }
    }
}

/// Everything that a library holds.
async fn whole(shelf: &Shelf) -> impl std::fmt::Debug + PartialEq {
    let recordings = shelf.0.recordings_after(None, 100).await.expect("recordings");
    let messages = shelf.0.messages(100).await.expect("messages");
    let callbacks = shelf.0.callbacks_after(None, 100).await.expect("callbacks");
    let trash = shelf.0.trash(None, 100).await.expect("trash");
    (recordings, messages, callbacks, trash, shelf.journeys(NOW.plus_ms(1_000_000)).await)
}

fn next(dice: &mut Dice, begun: &[Journey], now: Timestamp) -> Call {
    match dice.roll(14) {
        0 | 1 => Call::Find(filter(dice), scope(dice)),
        2 => Call::Page(filter(dice), scope(dice), u64::from(dice.roll(6)), dice.roll(4)),
        3 | 4 => Call::Change(some(dice, &IDS, 3), scope(dice), change(dice)),
        5 | 6 => {
            let (shown, end) = (
                [Destination::Published, Destination::Unpublished],
                [Destination::Trash, Destination::Gone],
            );
            let to = if dice.one_in(2) { dice.of(&shown) } else { dice.of(&end) };
            Call::Begin(dice.of(&IDS).to_owned(), scope(dice), to, now)
        }
        7 if !begun.is_empty() => Call::End(dice.of(begun)),
        8 => Call::Callback(callback(dice, now)),
        12 => Call::Restore(dice.of(&IDS).to_owned(), now),
        13 => Call::Empty(now.plus_ms(-dice.ms(200)), now, dice.roll(3)),
        9 if dice.one_in(3) => Call::Forget(now, dice.roll(3)),
        _ => Call::Import(Box::new(recording(dice)), now),
    }
}

fn some(dice: &mut Dice, of: &[&str], up_to: u32) -> Vec<String> {
    (0..dice.roll(up_to + 1)).map(|_| dice.of(of).to_owned()).collect()
}

fn scope(dice: &mut Dice) -> Scope {
    if dice.one_in(3) { Scope::Tenant(dice.of(&VALUES).to_owned()) } else { Scope::All }
}

fn filter(dice: &mut Dice) -> Filter {
    let states = match dice.roll(4) {
        0 => States::Usual,
        1 => States::These(some(dice, &["published", "deleted", "unpublished", "x"], 3)),
        _ => States::Any,
    };
    let metadata = (0..dice.roll(3)).map(|_| {
        let wanted = (0..=dice.roll(2)).map(|_| {
            let (before, after) = (dice.of(&["", "", "%"]), dice.of(&["", "", "%"]));
            Wanted::parse(&format!("{before}{}{after}", dice.of(&VALUES)))
        });
        let wanted = wanted.collect();
        (dice.of(&KEYS).to_owned(), wanted)
    });
    let metadata = metadata.collect();
    let record_ids = if dice.one_in(3) { some(dice, &IDS, 3) } else { Vec::new() };
    let meetings = ["meeting of a", "meeting of b", "m", ""];
    let meeting_ids = if dice.one_in(3) { some(dice, &meetings, 3) } else { Vec::new() };
    Filter { record_ids, meeting_ids, states, metadata }
}

fn change(dice: &mut Dice) -> Change {
    let metadata = (0..dice.roll(4)).map(|_| {
        let key = dice.of(&KEYS[1..]).to_owned();
        (key, (!dice.one_in(3)).then(|| dice.of(&VALUES).to_owned()))
    });
    let metadata = metadata.collect();
    let tenant = dice.one_in(4).then(|| dice.of(&VALUES).to_owned());
    Change { metadata, protected: dice.one_in(2).then(|| dice.one_in(2)), tenant }
}

fn callback(dice: &mut Dice, now: Timestamp) -> Callback {
    let urls = ["https://app/ready", "https://app/other", " "];
    Callback {
        meeting_id: dice.of(&["meeting of a", "meeting of b", "m"]).to_owned(),
        record_id: None,
        attributes: vec![(
            dice.of(&["recording_ready_url", "analytics_callback_url"]).to_owned(),
            dice.of(&urls).to_owned(),
        )],
        created_at: now,
        updated_at: now,
    }
}

fn recording(dice: &mut Dice) -> Recording {
    let id = dice.of(&IDS);
    let pairs = [
        ("isBreakout", "false"),
        (KEYS[0], VALUES[dice.roll(3) as usize]),
        (KEYS[1], VALUES[dice.roll(6) as usize]),
        (KEYS[2], VALUES[dice.roll(6) as usize]),
    ];
    let left_out = dice.roll(5) as usize;
    let pairs: Vec<_> =
        pairs.into_iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, one)| one).collect();
    let mut recording = with_metadata(shown(id, dice.ms(3)), &pairs);
    recording.published = dice.one_in(2);
    recording.state =
        Some(if recording.published { "published" } else { "unpublished" }.to_owned());
    if dice.one_in(5) {
        recording.started_at = None;
    }
    if dice.one_in(5) {
        recording.meeting_id = None;
    }
    recording.protected = dice.one_in(4);
    recording.participants = dice.one_in(2).then_some(5);
    recording.facts.raw_size = dice.one_in(2).then(|| dice.ms(100));
    recording.facts.is_breakout = dice.one_in(2).then(|| dice.one_in(2));
    recording.formats =
        FORMATS.iter().filter(|_| dice.one_in(2)).map(|name| format(name)).collect();
    recording
}
