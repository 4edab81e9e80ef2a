//! Recordings, the archives in which they arrive, and callbacks.

use app::App;
use app::ports::{ImportStage, MessageState, MessageTopic, RecordingWork, StoreError};

use crate::metrics::definitions::MetricId;
use crate::metrics::values::MetricValues;

/// Reads what the recording store knows; nothing without one.
pub(super) async fn collect(app: &App) -> Result<MetricValues, StoreError> {
    let mut values = MetricValues::default();
    let Some(store) = &app.recording_store else { return Ok(values) };
    let work = store.count_recording_work().await?;
    for (state, count) in [
        ("published", work.published),
        ("unpublished", work.unpublished),
        ("deleted", work.deleted),
    ] {
        values.set(MetricId::RecordingsByState, &[state], count as f64);
    }
    values.set(MetricId::Trashed, &[], work.trashed as f64);
    values.set(MetricId::EndCallbacksOpen, &[], work.end_callbacks as f64);
    describe_archives(app, &work, &mut values);
    describe_callbacks(&work, &mut values);
    Ok(values)
}

fn describe_archives(app: &App, work: &RecordingWork, values: &mut MetricValues) {
    let mut oldest_s: f64 = 0.0;
    for stage in ImportStage::ALL {
        let found = work.archives.iter().find(|known| known.stage == stage);
        let (archives, bytes) = found.map_or((0, 0), |found| (found.archives, found.bytes));
        values.set(MetricId::ArchivesByStage, &[stage.name()], archives as f64);
        values.set(MetricId::ArchiveBytes, &[stage.name()], bytes as f64);
        if let (ImportStage::Received | ImportStage::Importing, Some(found)) = (stage, found) {
            oldest_s = oldest_s.max(app.clock.now().ms_since(found.oldest) as f64 / 1e3);
        }
    }
    values.set(MetricId::OldestArchive, &[], oldest_s);
}

fn describe_callbacks(work: &RecordingWork, values: &mut MetricValues) {
    for topic in MessageTopic::ALL {
        for state in MessageState::ALL {
            let found = work.messages.iter().find(|known| (known.0, known.1) == (topic, state));
            let count = found.map_or(0, |(_, _, count)| *count);
            let labels = [topic.name(), state.name()];
            values.set(MetricId::CallbacksByState, &labels, count as f64);
        }
    }
}
