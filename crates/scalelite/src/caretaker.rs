//! What recordings and those who wait for them need beside the requests: files that are moved late, the trash, the
//! age of recordings, and messages.

use std::time::Duration;

use app::ports::{JobClaim, StoreError};
use app::recordings::{file_moves, retention};
use app::{App, callbacks};
use tokio::sync::watch;

use crate::lifecycle::{MAX_JITTER, to_ms};

/// How often callbacks that are due are looked for.
const DELIVER_EVERY: Duration = Duration::from_secs(1);
/// When to ask again after the store failed.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How often recordings are looked for whose files were left on their way or in the trash.
const JOURNEYS_EVERY: Duration = Duration::from_secs(5);
/// How often recordings are looked for that are too old.
const RETAIN_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often it is asked whose turn that is, and when to go on if it could not be done.
const RETAIN_LOOK: Duration = Duration::from_secs(600);

/// Looks after recordings and messages, until told to stop.
pub async fn look_after(app: App, stop: watch::Receiver<bool>) {
    tokio::join!(
        travel_forever(app.clone(), stop.clone()),
        retain_forever(app.clone(), stop.clone()),
        deliver_forever(app, stop)
    );
}

/// Waits, or is told to stop: then true.
async fn stopped(stop: &mut watch::Receiver<bool>, wait: Duration) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => true,
        () = tokio::time::sleep(wait) => false,
    }
}

/// Tells front-ends what they asked for, until told to stop. All replicas do: each message is one's.
async fn deliver_forever(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = match callbacks::deliver_due(&app).await {
            // Whatever was due, more may be.
            Ok(sent) if sent > 0 => Duration::ZERO,
            Ok(_) => DELIVER_EVERY,
            Err(error) => {
                tracing::warn!(%error, "callbacks not delivered");
                TRY_AGAIN
            }
        };
        if stopped(&mut stop, pause + MAX_JITTER.mul_f64(app.entropy.generate_fraction())).await {
            return;
        }
    }
}

/// A work of which replicas take turns.
struct Work {
    /// The name by which they do.
    name: &'static str,
    /// How often one of them does it.
    every: Duration,
    /// How often it is asked at least whose turn it is, and when to go on if it could not be done.
    look: Duration,
    /// What the log says then.
    complaint: &'static str,
}

const TRAVELS: Work = Work {
    name: "journeys",
    every: JOURNEYS_EVERY,
    look: JOURNEYS_EVERY,
    complaint: "files of recordings were not looked after",
};
const RETENTION: Work = Work {
    name: "retention",
    every: RETAIN_EVERY,
    look: RETAIN_LOOK,
    complaint: "recordings were not looked at for their age",
};

impl Work {
    /// How long to wait for a turn; nothing if it is this process's now.
    async fn not_before(&self, app: &App) -> Option<Duration> {
        match app.periodic_jobs.claim_run(self.name, app.clock.now(), to_ms(self.every)).await {
            Ok(JobClaim::Claimed(_)) => None,
            Ok(JobClaim::NotBefore(due)) => Some(until(app, due).min(self.look)),
            Err(error) => {
                tracing::warn!(%error, "{}", self.complaint);
                Some(self.look)
            }
        }
    }

    /// Waits, a little longer at times, or is told to stop: then true.
    async fn rest(
        &self,
        app: &App,
        stop: &mut watch::Receiver<bool>,
        wait: Option<Duration>,
    ) -> bool {
        let jitter = MAX_JITTER.mul_f64(app.entropy.generate_fraction());
        stopped(stop, wait.unwrap_or(self.look) + jitter).await
    }
}

/// Moves the files of recordings that a crash left on their way, and empties the trash, in turns, until told to stop.
async fn travel_forever(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = TRAVELS.not_before(&app).await;
        if wait.is_none()
            && let Err(error) = look_after_recordings(&app).await
        {
            tracing::warn!(%error, "{}", TRAVELS.complaint);
        }
        if TRAVELS.rest(&app, &mut stop, wait).await {
            return;
        }
    }
}

async fn look_after_recordings(app: &App) -> Result<(), StoreError> {
    let finished = file_moves::finish_abandoned_moves(app).await?;
    if finished > 0 {
        tracing::info!(finished, "files of recordings moved late");
    }
    let removed = file_moves::empty_trash(app).await?;
    if removed > 0 {
        tracing::info!(removed, "recordings removed from the trash");
    }
    file_moves::forget_deleted_recordings(app).await?;
    Ok(())
}

/// Deletes recordings that are too old, once a day, in turns, until told to stop; at once never if nobody wants that.
async fn retain_forever(app: App, mut stop: watch::Receiver<bool>) {
    if app.policy.recordings.retention.is_none() {
        return;
    }
    loop {
        let wait = RETENTION.not_before(&app).await;
        if wait.is_none() && retain(&app, &mut stop).await
            || RETENTION.rest(&app, &mut stop, wait).await
        {
            return;
        }
    }
}

/// Deletes all that are too old today, a few at a time; true if told to stop.
async fn retain(app: &App, stop: &mut watch::Receiver<bool>) -> bool {
    loop {
        let wait = match retention::delete_expired_by_settings(app).await {
            Ok(retention::MAX_DELETIONS_PER_RUN) => Duration::ZERO,
            Ok(_) => return false,
            Err(error) => {
                tracing::warn!(%error, "recordings that are too old are not deleted yet");
                RETAIN_LOOK
            }
        };
        if stopped(stop, wait).await {
            return true;
        }
    }
}

fn until(app: &App, due: domain::Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(due.ms_since(app.clock.now())).unwrap_or(0))
}
