//! The importer of recordings: looks at the spool in intervals, and earlier if the kernel tells of something new.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use app::recordings::import::{Importer, ScanResult};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch};

use crate::config::Config;

/// When to look again at what may still be growing, or was tried in vain.
const SOON: Duration = Duration::from_millis(1_050);
/// When to look again after something failed.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How often what was not told of is found.
const RARELY: Duration = Duration::from_secs(600);

/// When to look at the spool.
#[derive(Clone, Debug)]
pub struct Looks {
    spool: std::path::PathBuf,
    interval: Duration,
}

impl Looks {
    /// As the settings want.
    pub fn of(config: &Config) -> Self {
        let interval = Duration::from_millis(config.recording_import_poll_interval.ms());
        let interval = if config.recording_import_poll { interval } else { RARELY };
        Self { spool: config.recording_spool_dir.clone(), interval }
    }
}

/// Imports until told to stop; what was begun is finished.
pub async fn import_forever(importer: Importer, looks: Looks, mut stop: watch::Receiver<bool>) {
    let news = Arc::new(Notify::new());
    let mut watcher = None;
    let mut trouble = String::new();
    while !*stop.borrow() {
        if watcher.is_none() {
            watcher = watch_spool(&looks.spool, &news);
        }
        let wait = look(&importer, &looks, &stop, &mut trouble).await;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(wait) => {}
            () = news.notified() => {}
        }
    }
}

/// Looks once; returns how long to wait. What is wrong is said once, not in every look.
async fn look(
    importer: &Importer,
    looks: &Looks,
    stop: &watch::Receiver<bool>,
    trouble: &mut String,
) -> Duration {
    let (wait, now_wrong) = match importer.scan(|| *stop.borrow()).await {
        Ok(ScanResult { full_reason: Some(why), .. }) => (TRY_AGAIN, why),
        Ok(looked) if looked.has_incomplete || looked.has_waiting => (SOON, String::new()),
        Ok(_) => (looks.interval, String::new()),
        Err(error) => (TRY_AGAIN, error.to_string()),
    };
    if now_wrong != *trouble {
        match now_wrong.as_str() {
            "" => tracing::info!("imports of recordings go on"),
            why => tracing::error!(why, "recordings cannot be imported"),
        }
        *trouble = now_wrong;
    }
    wait.min(looks.interval)
}

/// Has the kernel tell of what arrives: a hint, which network file systems do not give.
fn watch_spool(spool: &Path, news: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let news = Arc::clone(news);
    let tell = move |event: notify::Result<notify::Event>| {
        let of_interest = |event: &notify::Event| {
            let is_new = matches!(
                event.kind,
                notify::EventKind::Create(_)
                    | notify::EventKind::Modify(notify::event::ModifyKind::Name(_))
            );
            is_new && event.paths.iter().any(|path| is_visible(path))
        };
        if event.is_ok_and(|event| of_interest(&event)) {
            news.notify_one();
        }
    };
    let watcher = notify::recommended_watcher(tell);
    watcher
        .and_then(|mut watcher| watcher.watch(spool, RecursiveMode::NonRecursive).map(|()| watcher))
        .ok()
}

/// Dot-files are unfinished, and our own work.
fn is_visible(path: &Path) -> bool {
    path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
}
