//! `servers drain`: out of service without hurting anybody.

use std::io::IsTerminal as _;
use std::time::Duration;

use app::admin::drain::{self, Left};
use app::admin::servers;
use app::ports::ServerChange;
use domain::AdminState;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use super::failure;
use crate::cmd::{Failure, Session};
use crate::output::{note, say};

/// How often the server is asked what is left.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What people read who are still there at the deadline.
const WARNING: &str = "This server is taken out of service for maintenance. This meeting ends in";

/// How a server is drained.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// Wait until it has no meetings.
    pub wait: bool,
    /// End what is left after this.
    pub deadline: Option<Duration>,
    /// How long before that people are told.
    pub warn: Duration,
    /// What becomes of it then.
    pub then: Option<Then>,
}

/// What becomes of a drained server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Then {
    /// It is disabled, which also happens by itself.
    Disable,
    /// It is removed from the pool.
    Remove,
}

/// Drains a server.
pub async fn run(session: &Session, id: &str, how: Drain) -> Result<(), Failure> {
    let app = &session.app;
    let server = drain::begin(app, id).await.map_err(failure)?;
    if !how.wait {
        say("OK");
        return Ok(());
    }
    if server.state == AdminState::Disabled {
        note("It is disabled already.");
    }
    let deadline = how.deadline.map(|deadline| Instant::now() + deadline);
    let mut bar = Bar::new();
    let mut warned = false;
    loop {
        match drain::look(app, id).await.map_err(failure)? {
            Ok(Left { meetings: 0, .. }) => break,
            Ok(left) => bar.show(left),
            Err(reason) => bar.say(&format!("The server does not tell what is left: {reason}")),
        }
        let now = Instant::now();
        if let Some(deadline) = deadline {
            if now >= deadline {
                let ended = drain::end_rest(app, id).await.map_err(failure)?;
                bar.say(&format!("Meetings ended at the deadline: {ended}"));
                break;
            }
            if !warned && now + how.warn >= deadline {
                warned = true;
                let seconds = deadline.saturating_duration_since(now).as_secs();
                let text = format!("{WARNING} {seconds} seconds.");
                let reached = drain::warn(app, id, &text).await.map_err(failure)?;
                bar.say(&format!("Meetings warned: {reached}"));
            }
        }
        let next = deadline.map_or(LOOK_EVERY, |deadline| next_look(deadline, how.warn, warned));
        sleep(next).await;
    }
    bar.clear();
    finish(session, id, how.then).await
}

/// Not later than the next thing that is due.
fn next_look(deadline: Instant, warn: Duration, warned: bool) -> Duration {
    let due = if warned { deadline } else { deadline.checked_sub(warn).unwrap_or(deadline) };
    let left = due.saturating_duration_since(Instant::now());
    left.clamp(Duration::from_millis(100), LOOK_EVERY)
}

async fn finish(session: &Session, id: &str, then: Option<Then>) -> Result<(), Failure> {
    match then {
        Some(Then::Disable) => {
            let disable = ServerChange::state(AdminState::Disabled);
            servers::update(&session.app, id, disable).await.map_err(failure)?;
            say("drained and disabled");
        }
        Some(Then::Remove) => {
            servers::remove(&session.app, id).await.map_err(failure)?;
            say("drained and removed");
        }
        None => say("drained"),
    }
    Ok(())
}

/// A bar on terminals, lines elsewhere.
struct Bar {
    bar: ProgressBar,
    shown: bool,
    last: Option<Left>,
}

impl Bar {
    fn new() -> Self {
        let shown = std::io::stderr().is_terminal();
        let bar = if shown { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {pos}/{len} meetings gone, {msg}")
        {
            bar.set_style(style);
        }
        Self { bar, shown, last: None }
    }

    fn show(&mut self, left: Left) {
        let total = self.bar.length().unwrap_or(0).max(u64::from(left.meetings));
        self.bar.set_length(total);
        self.bar.set_position(total - u64::from(left.meetings));
        self.bar.set_message(format!("{} users left", left.users));
        if !self.shown && self.last != Some(left) {
            note(format!("left: {} meetings, {} users", left.meetings, left.users));
        }
        self.last = Some(left);
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| note(line));
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
