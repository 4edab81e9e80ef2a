//! The part of the command line that is about recordings that are there.

use clap::{Args, Subcommand};

use crate::cmd::{CommandContext, CommandFailure, recordings};

/// Which recordings are meant.
#[derive(Clone, Debug, Default, Args)]
pub struct RecordingSelection {
    /// Only of these meetings.
    #[arg(long = "meeting", value_name = "ID")]
    pub meetings: Vec<String>,
    /// Only of this tenant, by its id.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Only with this metadata; `%` at either end of a value stands for anything.
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = recordings::parse_pair)]
    pub metadata: Vec<(String, String)>,
}

/// What can be done with recordings that are there.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// List recordings, the newest first.
    List {
        /// Which ones.
        #[command(flatten)]
        selection: RecordingSelection,
        /// Only in these states: published, unpublished, deleted, any.
        #[arg(long, value_name = "STATE")]
        state: Vec<String>,
        /// As JSON, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Show all that is known of a recording, as JSON.
    Show {
        /// Its id.
        id: String,
    },
    /// Publish recordings.
    Publish {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Hide recordings.
    Unpublish {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Let only holders of a token watch recordings.
    Protect {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Let everybody watch them again.
        #[arg(long)]
        off: bool,
    },
    /// Delete recordings; with RECORDING_TRASH_DAYS their files are kept for a while. Asks first.
    Delete {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Remove their files at once, also from the trash.
        #[arg(long)]
        erase: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Bring deleted recordings back from the trash, as they were.
    Restore {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// List deleted recordings that can be brought back.
    Trash {
        /// As JSON, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Set metadata of a recording, or remove it: KEY=.
    Update {
        /// Its id.
        id: String,
        /// What to set.
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = recordings::parse_pair)]
        metadata: Vec<(String, String)>,
    },
    /// Give recordings to a tenant: those named, or all that belong to none.
    AddToTenant {
        /// The tenant's id or name.
        tenant: String,
        /// Ids of recordings.
        ids: Vec<String>,
    },
    /// Compare what is known of recordings with their files. Exit code 1 if something does not fit.
    Check {
        /// Move files to where they belong, and remove those of deleted recordings.
        #[arg(long)]
        repair: bool,
        /// As JSON, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Delete recordings whose meetings ended long ago.
    Retention {
        /// How many days they are kept.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
        /// Which ones.
        #[command(flatten)]
        selection: RecordingSelection,
        /// Only tell which ones.
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) async fn run(
    session: &CommandContext,
    what: CatalogCommand,
) -> Result<(), CommandFailure> {
    match what {
        CatalogCommand::List { selection: which, state, json } => {
            recordings::list(session, &which, state, json).await
        }
        CatalogCommand::Show { id } => recordings::show(session, &id).await,
        CatalogCommand::Publish { ids } => recordings::set_published(session, &ids, true).await,
        CatalogCommand::Unpublish { ids } => recordings::set_published(session, &ids, false).await,
        CatalogCommand::Protect { ids, off } => {
            recordings::set_protected(session, &ids, !off).await
        }
        CatalogCommand::Delete { ids, erase, yes } => {
            recordings::delete(session, &ids, yes, erase).await
        }
        CatalogCommand::Restore { ids } => recordings::restore(session, &ids).await,
        CatalogCommand::Trash { json } => recordings::list_trash(session, json).await,
        CatalogCommand::Update { id, metadata } => {
            recordings::update_metadata(session, id, metadata).await
        }
        CatalogCommand::AddToTenant { tenant, ids } => {
            recordings::add_to_tenant(session, &tenant, &ids).await
        }
        CatalogCommand::Check { repair, json } => {
            recordings::check_files(session, repair, json).await
        }
        CatalogCommand::Retention { days, selection: which, dry_run } => {
            recordings::apply_retention(session, days, &which, dry_run).await
        }
    }
}
