//! `servers drain`: out of service without hurting anybody.

use std::io::IsTerminal as _;
use std::time::Duration;

use app::admin::drain::{self, RemainingLoad};
use app::admin::servers;
use app::ports::ServerChange;
use domain::AdminState;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use super::admin_failure;
use crate::cmd::{CommandContext, CommandFailure};
use crate::output::{print_line, print_note};

/// How often the server is asked what is left.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// What people read who are still there at the deadline.
const CHAT_WARNING: &str =
    "This server is taken out of service for maintenance. This meeting ends in";

/// How a server is drained.
#[derive(Clone, Copy, Debug)]
pub struct DrainOptions {
    /// Wait until it has no meetings.
    pub wait: bool,
    /// End what is left after this.
    pub deadline: Option<Duration>,
    /// How long before that people are told.
    pub warn_before: Duration,
    /// What becomes of it then.
    pub after_drain: Option<AfterDrain>,
}

/// What becomes of a drained server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AfterDrain {
    /// It is disabled, which also happens by itself.
    Disable,
    /// It is removed from the pool.
    Remove,
}

/// Drains a server.
pub async fn run(
    session: &CommandContext,
    id: &str,
    how: DrainOptions,
) -> Result<(), CommandFailure> {
    let app = &session.app;
    let server = drain::begin_drain(app, id).await.map_err(admin_failure)?;
    if !how.wait {
        print_line("OK");
        return Ok(());
    }
    if server.state == AdminState::Disabled {
        print_note("It is disabled already.");
    }
    let deadline = how.deadline.map(|deadline| Instant::now() + deadline);
    let mut bar = DrainProgress::new();
    let mut warned = false;
    loop {
        match drain::poll_remaining_load(app, id).await.map_err(admin_failure)? {
            Ok(RemainingLoad { meetings: 0, .. }) => break,
            Ok(left) => bar.show(left),
            Err(reason) => {
                bar.print_line(&format!("The server does not tell what is left: {reason}"))
            }
        }
        let now = Instant::now();
        if let Some(deadline) = deadline {
            if now >= deadline {
                let ended = drain::end_remaining_meetings(app, id).await.map_err(admin_failure)?;
                bar.print_line(&format!("Meetings ended at the deadline: {ended}"));
                break;
            }
            if !warned && now + how.warn_before >= deadline {
                warned = true;
                let seconds = deadline.saturating_duration_since(now).as_secs();
                let text = format!("{CHAT_WARNING} {seconds} seconds.");
                let reached = drain::warn_users(app, id, &text).await.map_err(admin_failure)?;
                bar.print_line(&format!("Meetings warned: {reached}"));
            }
        }
        let next = deadline
            .map_or(CHECK_INTERVAL, |deadline| next_check_delay(deadline, how.warn_before, warned));
        sleep(next).await;
    }
    bar.clear();
    finish(session, id, how.after_drain).await
}

/// Not later than the next thing that is due.
fn next_check_delay(deadline: Instant, warn: Duration, warned: bool) -> Duration {
    let due = if warned { deadline } else { deadline.checked_sub(warn).unwrap_or(deadline) };
    let left = due.saturating_duration_since(Instant::now());
    left.clamp(Duration::from_millis(100), CHECK_INTERVAL)
}

async fn finish(
    session: &CommandContext,
    id: &str,
    then: Option<AfterDrain>,
) -> Result<(), CommandFailure> {
    match then {
        Some(AfterDrain::Disable) => {
            let disable = ServerChange::with_state(AdminState::Disabled);
            servers::update(&session.app, id, disable).await.map_err(admin_failure)?;
            print_line("drained and disabled");
        }
        Some(AfterDrain::Remove) => {
            servers::remove(&session.app, id).await.map_err(admin_failure)?;
            print_line("drained and removed");
        }
        None => print_line("drained"),
    }
    Ok(())
}

/// A bar on terminals, lines elsewhere.
struct DrainProgress {
    bar: ProgressBar,
    shown: bool,
    last: Option<RemainingLoad>,
}

impl DrainProgress {
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

    fn show(&mut self, left: RemainingLoad) {
        let total = self.bar.length().unwrap_or(0).max(u64::from(left.meetings));
        self.bar.set_length(total);
        self.bar.set_position(total - u64::from(left.meetings));
        self.bar.set_message(format!("{} users left", left.users));
        if !self.shown && self.last != Some(left) {
            print_note(format!("left: {} meetings, {} users", left.meetings, left.users));
        }
        self.last = Some(left);
    }

    fn print_line(&self, line: &str) {
        self.bar.suspend(|| print_note(line));
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
