//! `servers drain`: takes a server out of service while its meetings continue, at most until a deadline.

use std::io::IsTerminal as _;
use std::time::Duration;

use app::admin::drain::{RemainingLoad, warning_text};
use app::ports::ServerChange;
use domain::AdminState;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use crate::cmd::CommandFailure;
use crate::cmd::balancer::Balancer;
use crate::output::{print_line, print_note};

/// Time between two polls of the server for its remaining meetings.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Options of a drain.
#[derive(Clone, Copy, Debug)]
pub struct DrainOptions {
    /// Wait until the server has no meetings.
    pub wait: bool,
    /// End the remaining meetings after this time.
    pub deadline: Option<Duration>,
    /// How long before the deadline users are warned in the chat.
    pub warn_before: Duration,
    /// What to do with the server after it is drained.
    pub after_drain: Option<ThenOption>,
}

/// What to do with a drained server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ThenOption {
    /// Disable it now; the next poll would disable it otherwise.
    Disable,
    /// Disable it, and enable it again when it was gone and is back; only without --wait.
    EnableWhenHealthy,
    /// Remove it from the pool.
    Remove,
}

/// Drains a server.
pub async fn run(
    balancer: &Balancer,
    id: &str,
    options: DrainOptions,
) -> Result<(), CommandFailure> {
    let server = balancer.begin_drain(id).await?;
    if !options.wait {
        print_line("OK");
        return Ok(());
    }
    if server.state == AdminState::Disabled {
        print_note("The server is already disabled.");
    }
    let progress = DrainProgress::new();
    wait_until_empty(balancer, id, options, progress).await?;
    finish(balancer, id, options.after_drain).await
}

/// Waits until the server has no meetings. Warns users before the deadline, and ends the remaining
/// meetings at the deadline.
async fn wait_until_empty(
    balancer: &Balancer,
    id: &str,
    options: DrainOptions,
    mut progress: DrainProgress,
) -> Result<(), CommandFailure> {
    let deadline = options.deadline.map(|deadline| Instant::now() + deadline);
    let mut warned = false;
    loop {
        match balancer.poll_remaining_load(id).await? {
            Ok(RemainingLoad { meetings: 0, .. }) => break,
            Ok(remaining) => progress.show(remaining),
            Err(reason) => progress.print_line(&format!("Remaining meetings unknown: {reason}")),
        }
        let now = Instant::now();
        if let Some(deadline) = deadline {
            if now >= deadline {
                let ended = balancer.end_remaining_meetings(id).await?;
                progress.print_line(&format!("Meetings ended at the deadline: {ended}"));
                break;
            }
            if !warned && now + options.warn_before >= deadline {
                warned = true;
                let seconds = deadline.saturating_duration_since(now).as_secs();
                let text = warning_text(seconds);
                let count = balancer.warn_users(id, &text).await?;
                progress.print_line(&format!("Meetings warned: {count}"));
            }
        }
        let delay = deadline.map_or(CHECK_INTERVAL, |deadline| {
            next_check_delay(deadline, options.warn_before, warned)
        });
        sleep(delay).await;
    }
    progress.clear();
    Ok(())
}

/// The time until the next poll: [`CHECK_INTERVAL`], or less if the warning or the deadline is due
/// before.
fn next_check_delay(deadline: Instant, warn_before: Duration, warned: bool) -> Duration {
    let due = if warned { deadline } else { deadline.checked_sub(warn_before).unwrap_or(deadline) };
    let delay = due.saturating_duration_since(Instant::now());
    delay.clamp(Duration::from_millis(100), CHECK_INTERVAL)
}

async fn finish(
    balancer: &Balancer,
    id: &str,
    after_drain: Option<ThenOption>,
) -> Result<(), CommandFailure> {
    match after_drain {
        Some(ThenOption::Disable) => {
            let disable = ServerChange::with_state(AdminState::Disabled);
            balancer.update_server(id, disable).await?;
            print_line("drained and disabled");
        }
        // Refused before it begins.
        Some(ThenOption::EnableWhenHealthy) => {}
        Some(ThenOption::Remove) => {
            balancer.remove_server(id).await?;
            print_line("drained and removed");
        }
        None => print_line("drained"),
    }
    Ok(())
}

/// Shows the remaining meetings: a progress bar on a terminal, lines otherwise.
struct DrainProgress {
    bar: ProgressBar,
    is_terminal: bool,
    last_shown: Option<RemainingLoad>,
}

impl DrainProgress {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {pos}/{len} meetings ended, {msg}")
        {
            bar.set_style(style);
        }
        Self { bar, is_terminal, last_shown: None }
    }

    fn show(&mut self, remaining: RemainingLoad) {
        let RemainingLoad { meetings, users } = remaining;
        let total = self.bar.length().unwrap_or(0).max(u64::from(meetings));
        self.bar.set_length(total);
        self.bar.set_position(total - u64::from(meetings));
        self.bar.set_message(format!("{users} users remaining"));
        if !self.is_terminal && self.last_shown != Some(remaining) {
            print_note(format!("remaining: {meetings} meetings, {users} users"));
        }
        self.last_shown = Some(remaining);
    }

    fn print_line(&self, line: &str) {
        self.bar.suspend(|| print_note(line));
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
