//! Arguments of `recordings`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cmd::balancer::Balancer;
use crate::cmd::{CommandFailure, imports, recordings, storage, trash};

/// Selects recordings. Conditions that are given must all hold.
#[derive(Clone, Debug, Default, Args)]
pub struct RecordingSelection {
    /// Only recordings of these meetings.
    #[arg(long = "meeting", value_name = "ID")]
    pub meetings: Vec<String>,
    /// Only recordings of this tenant, given by its id.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Only recordings with this metadata; `%` at the start or end of a value matches any text.
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = recordings::parse_pair)]
    pub metadata: Vec<(String, String)>,
}

/// The subcommands of `recordings`.
#[derive(Debug, Subcommand)]
pub(super) enum RecordingsCommand {
    /// List recordings, the newest first.
    List {
        /// Which recordings.
        #[command(flatten)]
        selection: RecordingSelection,
        /// Only recordings in these states: published, unpublished, deleted, any.
        #[arg(long, value_name = "STATE")]
        state: Vec<String>,
        /// Print JSON, one recording on each line.
        #[arg(long)]
        json: bool,
    },
    /// Show all details of a recording, as JSON.
    Show {
        /// Id of the recording.
        id: String,
    },
    /// Publish recordings.
    Publish {
        /// Ids of the recordings.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Hide recordings.
    Unpublish {
        /// Ids of the recordings.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Protect recordings: they can be watched only with a one-time link.
    Protect {
        /// Ids of the recordings.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Remove the protection instead.
        #[arg(long)]
        off: bool,
    },
    /// Delete recordings; with RECORDING_TRASH_DAYS their files are kept for a while. Asks first.
    Delete {
        /// Ids of the recordings.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Remove their files immediately, also from the trash.
        #[arg(long)]
        erase: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Bring deleted recordings back, from the trash or from archives that came after the deletion.
    Undelete {
        /// Ids of the recordings.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Restore deleted recordings from the trash, as they were.
    Restore {
        /// Ids of the recordings.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// List deleted recordings that can be restored.
    Trash {
        /// Print JSON, one recording on each line.
        #[arg(long)]
        json: bool,
    },
    /// Set metadata of a recording; KEY= removes it.
    Update {
        /// Id of the recording.
        id: String,
        /// Metadata to set.
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = recordings::parse_pair)]
        metadata: Vec<(String, String)>,
    },
    /// Assign recordings to a tenant: those named, or all without a tenant.
    AddToTenant {
        /// Id or name of the tenant.
        tenant: String,
        /// Ids of the recordings.
        ids: Vec<String>,
    },
    /// Compare recordings in the database with their files. Exit code 1 if they differ.
    Check {
        /// Move files to the right directory, and remove those of deleted recordings.
        #[arg(long)]
        repair: bool,
        /// Print JSON, one difference on each line.
        #[arg(long)]
        json: bool,
    },
    /// Write rows for recordings that have files and no row, as after the loss of the database. May be
    /// interrupted and repeated.
    Index {
        /// Only list what would be written.
        #[arg(long)]
        dry_run: bool,
        /// Only this directory, RECORDING_PUBLISH_DIR or RECORDING_UNPUBLISH_DIR.
        dir: Option<PathBuf>,
    },
    /// Copy the files of all recordings to another storage while they are served. May be interrupted
    /// and repeated.
    MoveStorage {
        /// `s3` for the bucket of the settings, or a directory, which gets the subdirectories
        /// published, unpublished and deleted.
        #[arg(long, value_name = "s3|DIR")]
        to: String,
        /// Remove files at the source once their copies are verified. The server must use the target.
        #[arg(long)]
        remove_source: bool,
    },
    /// Delete recordings whose meetings ended long ago.
    Retention {
        /// How many days after the end of the meeting a recording is kept.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
        /// Which recordings.
        #[command(flatten)]
        selection: RecordingSelection,
        /// Only list the recordings.
        #[arg(long)]
        dry_run: bool,
    },
    /// Import archives of recordings; the archives are kept. No server needs to run.
    Import {
        /// Archives of one or several recordings: .tar, .tar.gz, .tgz or .tar.zst.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Bring recordings back that were deleted before.
        #[arg(long)]
        undelete: bool,
    },
    /// List received archives and the state of their imports.
    Imports {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Import an archive again that is kept in quarantine or aside.
    Retry {
        /// Name of the archive, as `recordings imports` shows it.
        name: String,
    },
}

impl RecordingsCommand {
    /// Whether the command adds recordings, and so may make a store.
    pub(super) fn adds_recordings(&self) -> bool {
        matches!(self, Self::Import { .. } | Self::Index { .. })
    }
}

pub(super) async fn run(
    balancer: &Balancer,
    command: RecordingsCommand,
) -> Result<(), CommandFailure> {
    match command {
        RecordingsCommand::List { selection, state, json } => {
            recordings::list(balancer, &selection, state, json).await
        }
        RecordingsCommand::Show { id } => recordings::show(balancer, &id).await,
        RecordingsCommand::Publish { ids } => recordings::set_published(balancer, &ids, true).await,
        RecordingsCommand::Unpublish { ids } => {
            recordings::set_published(balancer, &ids, false).await
        }
        RecordingsCommand::Protect { ids, off } => {
            recordings::set_protected(balancer, &ids, !off).await
        }
        RecordingsCommand::Delete { ids, erase, yes } => {
            recordings::delete(balancer, &ids, yes, erase).await
        }
        RecordingsCommand::Undelete { ids } => imports::undelete(balancer, &ids).await,
        RecordingsCommand::Restore { ids } => trash::restore(balancer, &ids).await,
        RecordingsCommand::Trash { json } => trash::list(balancer, json).await,
        RecordingsCommand::Update { id, metadata } => {
            recordings::update_metadata(balancer, id, metadata).await
        }
        RecordingsCommand::AddToTenant { tenant, ids } => {
            recordings::add_to_tenant(balancer, &tenant, &ids).await
        }
        RecordingsCommand::Check { repair, json } => {
            recordings::check_files(balancer.here("recordings check")?, repair, json).await
        }
        RecordingsCommand::Index { dry_run, dir } => {
            storage::index(balancer.here("recordings index")?, dir.as_deref(), dry_run).await
        }
        RecordingsCommand::MoveStorage { to, remove_source } => {
            storage::move_storage(balancer.here("recordings move-storage")?, &to, remove_source)
                .await
        }
        RecordingsCommand::Retention { days, selection, dry_run } => {
            recordings::apply_retention(
                balancer.here("recordings retention")?,
                days,
                &selection,
                dry_run,
            )
            .await
        }
        RecordingsCommand::Import { files, undelete } => {
            imports::import(balancer.here("recordings import")?, &files, undelete).await
        }
        RecordingsCommand::Imports { json } => imports::list(balancer, json).await,
        RecordingsCommand::Retry { name } => imports::retry(balancer, &name).await,
    }
}
