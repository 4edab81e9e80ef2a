//! `recordings`: what there is to type.

use std::path::PathBuf;

use clap::Subcommand;

use super::library::{self, CatalogCommand};
use crate::cmd::{self, CommandContext, CommandFailure};

/// What can be done with recordings.
#[derive(Debug, Subcommand)]
pub(super) enum RecordingsCommand {
    /// Those that are there.
    #[command(flatten)]
    Catalog(CatalogCommand),
    /// Import archives of recordings; the files stay. No server need be running.
    Import {
        /// Archives: `<record_id>.tar`, or `<record_id>-<format>.tar`; also .tar.gz and .tgz.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List archives that came, and how far they are.
    Imports {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take an archive out of quarantine and import it again.
    Retry {
        /// The archive's name, as `recordings imports` shows it.
        name: String,
    },
}

pub(super) async fn run(
    session: &CommandContext,
    what: RecordingsCommand,
) -> Result<(), CommandFailure> {
    match what {
        RecordingsCommand::Catalog(what) => library::run(session, what).await,
        RecordingsCommand::Import { files } => cmd::imports::import(session, &files).await,
        RecordingsCommand::Imports { json } => cmd::imports::list(session, json).await,
        RecordingsCommand::Retry { name } => cmd::imports::retry(session, &name).await,
    }
}
