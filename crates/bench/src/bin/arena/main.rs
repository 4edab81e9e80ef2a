//! The placement arena: plays days of a university to policies of placement, and judges them.
//!
//! What is measured is how full the fullest server gets, against how full one had to be. Our own
//! policy is the product's code; those of others are models of it.

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

/// Plays days of a university to policies of placement, and judges them.
#[derive(Debug, Parser)]
#[command(name = "arena")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make days up and write each into a directory of its own.
    Days {
        /// Where to.
        directory: PathBuf,
        /// The first day's seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many.
        #[arg(long, default_value_t = 8)]
        count: usize,
    },
    /// Play a day to the product's policy and write its choices to standard output.
    Place {
        /// The day's directory.
        directory: PathBuf,
        /// Without the history.
        #[arg(long)]
        blank: bool,
    },
    /// Judge somebody's choices.
    Score {
        /// The day's directory.
        directory: PathBuf,
        /// Table of session, at_s, server.
        placements: PathBuf,
    },
    /// Play all policies side by side on fresh days.
    Run {
        /// How many days, each with equal and with unequal servers.
        #[arg(long, default_value_t = 40)]
        days: usize,
        /// The first day's seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Draw the result into this file.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Days { directory, seed, count } => {
            for number in 0..count {
                // Both sorts of servers in turn.
                let wish = day_generator::day_spec(number / 2, number % 2 == 1);
                let day = day_generator::generate_day(wish, seed + number as u64);
                files::write_day(&day, &directory.join(&day.name))?;
                println!("{}", directory.join(&day.name).display());
            }
        }
        Command::Place { directory, blank } => {
            let day = files::read_day(&directory)?;
            let knowledge = if blank { Knowledge::Nothing } else { Knowledge::History };
            let outcome = simulation::simulate_day(&day, &mut ForecastModel::new(&day, knowledge));
            files::write_placements(&day, &outcome.placements, io::stdout().lock())?;
            eprintln!("creates sent to a server known dead: {}", outcome.creates_to_offline);
        }
        Command::Score { directory, placements } => {
            let day = files::read_day(&directory)?;
            let what = || format!("{} cannot be read", placements.display());
            let file = File::open(&placements).with_context(what)?;
            let choices = files::read_placements(&day, file).with_context(what)?;
            let seer = simulation::simulate_day(&day, &mut clairvoyant::Clairvoyant::new(&day));
            let fullness = score::fullness(&day, &choices);
            let relative = fullness / score::fullness(&day, &seer.placements);
            println!("{}: fullness {fullness:.4}, {relative:.4} of the clairvoyant's", day.name);
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
