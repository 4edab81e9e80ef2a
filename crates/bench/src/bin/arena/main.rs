//! The placement arena: simulates days of a university with different placement policies, and scores
//! their choices.
//!
//! The score is how full the fullest server gets, relative to how full it had to be. The product's
//! policy is the product's code; those of other balancers are models.

mod attendance;
mod clairvoyant;
mod day;
mod day_generator;
mod files;
mod forecast_policy;
mod peers;
mod plot;
mod report;
mod run;
mod score;
mod simple_policies;
mod simulation;
#[cfg(test)]
mod tests;
mod tie_break;

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use forecast_policy::{ForecastModel, Knowledge};

/// Simulates days of a university with different placement policies, and scores their choices.
#[derive(Debug, Parser)]
#[command(name = "arena")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate days and write each into a directory of its own.
    Days {
        /// The directory in which the directories of the days are created.
        directory: PathBuf,
        /// Seed of the first day.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Number of days.
        #[arg(long, default_value_t = 8)]
        count: usize,
    },
    /// Simulate a day with the product's policy and write the placements to standard output.
    Place {
        /// The directory of the day.
        directory: PathBuf,
        /// Ignore the history of the day.
        #[arg(long)]
        without_history: bool,
    },
    /// Score the placements of any program.
    Score {
        /// The directory of the day.
        directory: PathBuf,
        /// A CSV table with the columns session, at_s, server.
        placements: PathBuf,
    },
    /// Compare all policies on generated days.
    Run {
        /// Number of days, each with equal and with unequal servers.
        #[arg(long, default_value_t = 40)]
        days: usize,
        /// Seed of the first day.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Draw the results into this file.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Days { directory, seed, count } => {
            for number in 0..count {
                // Days with equal and with unequal servers in turn.
                let spec = day_generator::day_spec(number / 2, number % 2 == 1);
                let day = day_generator::generate_day(spec, seed + number as u64);
                files::write_day(&day, &directory.join(&day.name))?;
                println!("{}", directory.join(&day.name).display());
            }
        }
        Command::Place { directory, without_history } => {
            let day = files::read_day(&directory)?;
            let knowledge = if without_history { Knowledge::Nothing } else { Knowledge::History };
            let outcome = simulation::simulate_day(&day, &mut ForecastModel::new(&day, knowledge));
            files::write_placements(&day, &outcome.placements, io::stdout().lock())?;
            eprintln!("creates sent to servers known to be down: {}", outcome.creates_to_offline);
        }
        Command::Score { directory, placements } => {
            let day = files::read_day(&directory)?;
            let what = || format!("{} cannot be read", placements.display());
            let file = File::open(&placements).with_context(what)?;
            let scored = files::read_placements(&day, file).with_context(what)?;
            let clairvoyant =
                simulation::simulate_day(&day, &mut clairvoyant::Clairvoyant::new(&day));
            let fullness = score::fullness(&day, &scored);
            let relative = fullness / score::fullness(&day, &clairvoyant.placements);
            println!("{}: fullness {fullness:.4}, {relative:.4} times the clairvoyant's", day.name);
        }
        Command::Run { days, seed, svg } => {
            let rows = run::compare_days(days, seed)?;
            print!("{}", report::to_markdown(&rows));
            if let Some(path) = svg {
                fs::write(&path, plot::draw_svg(&rows))
                    .with_context(|| format!("{} cannot be written", path.display()))?;
            }
        }
    }
    Ok(())
}
