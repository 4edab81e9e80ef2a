//! Commands on whole stores: coming from the original, copies from store to store, backups.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// Check what this program takes over of a deployment of the original, and what is to be done for the rest. Changes nothing.
    /// Exit code 1 if anything would be lost.
    Check(crate::cmd::migrate_check::MigrateCheckArgs),
}

/// Source and destination of the copy. A store is redis://…, postgresql://…, or the directory of an
/// embedded store.
#[derive(Debug, Args)]
pub struct MigrateStoreArgs {
    /// The store to copy from; it is only read. `-` reads its URL from the standard input, file:PATH from a file.
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// The store to copy into; records that only this store has are kept.
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// Copy only this part.
    #[arg(long, value_enum)]
    pub only: Option<crate::cmd::migrate_store::StorePart>,
    /// Only report what would be copied.
    #[arg(long)]
    pub dry_run: bool,
}

/// Which backup is restored, and how.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup.
    pub file: PathBuf,
    /// Replace what is there.
    #[arg(long)]
    pub force: bool,
    /// Only check that the backup is whole.
    #[arg(long, conflicts_with = "force")]
    pub check: bool,
}
