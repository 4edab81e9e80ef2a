//! Looks at each part of what the process needs, again and again, and writes the result on the board that `/readyz` shows. Each
//! part has a task of its own: one that hangs delays no other, and is looked at only once at a time.

use std::sync::Arc;
use std::time::Duration;

use app::health::HealthBoard;
use app::ports::{HealthProbe, PartHealth};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Time between two looks at a part.
const INTERVAL: Duration = Duration::from_secs(2);
/// A part that takes longer counts as failed until it answers.
const MAX_TIME: Duration = Duration::from_secs(4);

/// Starts to look at these parts. Each task ends soon after `stop` becomes true.
pub fn start(
    probes: Vec<Arc<dyn HealthProbe>>,
    board: &Arc<HealthBoard>,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    // All parts are known before the first one is looked at: until then nothing is ready.
    board.set_parts(&probes.iter().map(|probe| probe.name()).collect::<Vec<_>>());
    let start = |probe| {
        let (board, mut stop) = (board.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = look_for_ever(probe, &board) => {}
            }
        })
    };
    probes.into_iter().map(start).collect()
}

async fn look_for_ever(probe: Arc<dyn HealthProbe>, board: &HealthBoard) {
    let name = probe.name();
    loop {
        let mut look = probe.probe();
        let health = match timeout(MAX_TIME, &mut look).await {
            Ok(health) => health,
            Err(_) => {
                let reason = format!("no answer within {} s", MAX_TIME.as_secs());
                board.record(name, PartHealth::Failed(reason));
                look.await
            }
        };
        board.record(name, health);
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use app::health::PartReport;
    use async_trait::async_trait;

    use super::*;

    /// A part that hangs for a minute each time.
    struct HangingPart;

    #[async_trait]
    impl HealthProbe for HangingPart {
        fn name(&self) -> &'static str {
            "hanging"
        }

        async fn probe(&self) -> PartHealth {
            sleep(Duration::from_secs(60)).await;
            PartHealth::Ok
        }
    }

    struct SoundPart;

    #[async_trait]
    impl HealthProbe for SoundPart {
        fn name(&self) -> &'static str {
            "sound"
        }

        async fn probe(&self) -> PartHealth {
            PartHealth::Ok
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_hangs_fails_until_it_answers_and_delays_no_other() {
        let (stopper, stop) = watch::channel(false);
        let board = Arc::new(HealthBoard::default());
        let tasks = start(vec![Arc::new(HangingPart), Arc::new(SoundPart)], &board, &stop);
        let states = async |seconds| {
            sleep(Duration::from_secs(seconds)).await;
            board.report().iter().map(PartReport::status).collect::<Vec<_>>()
        };
        assert_eq!(states(1).await, ["unknown", "ok"]);
        assert_eq!(states(4).await, ["failed", "ok"]);
        assert_eq!(states(56).await, ["ok", "ok"]);
        stopper.send_replace(true);
        for task in tasks {
            task.await.unwrap();
        }
    }
}
