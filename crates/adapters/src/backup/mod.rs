//! Backups: one file with a consistent copy of each store, and with the files of the data directory that hold secrets.
//!
//! A backup is a tar archive. Its first entry says what it is, its last one lists all parts with their sizes and SHA-256
//! digests: a file that is cut off has no such list. It is written under another name beside its final one, read back,
//! and renamed when it is whole and on disk.

mod archive;
mod data_files;
mod read;
mod restore;
mod write;

use std::io;
use std::path::PathBuf;

use app::ports::StoreError;
use serde::{Deserialize, Serialize};

pub use self::data_files::DataFiles;
pub use self::read::{BackupReader, read_header, verify};
pub(crate) use self::restore::is_restore_unfinished;
pub use self::restore::{RestoreRequest, finish_restore, restore};
pub use self::write::{BackupSource, write_backup};
use crate::postgres::PgStore;
use crate::redis::RedisStore;

/// The version of the format of backups.
const FORMAT_VERSION: u32 = 1;
/// Name of the first entry.
const HEADER_NAME: &str = "scalelite-backup.json";
/// Name of the last entry.
const MANIFEST_NAME: &str = "manifest.json";
/// Name of the part with the embedded store.
const EMBEDDED_PART: &str = "store/scalelite.db";
/// Name of the part with the keys in Redis.
const REDIS_PART: &str = "store/redis.jsonl";
/// Name of the part with the tables in PostgreSQL.
const POSTGRES_PART: &str = "store/postgresql.jsonl";
/// Prefix of the names of parts that are files of the data directory.
const DATA_PREFIX: &str = "data/";

/// What the first entry of a backup says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHeader {
    /// The version of the format.
    pub format: u32,
    /// The version of the program that has made it.
    pub program: String,
    /// When that was, in milliseconds since 1970.
    pub created_at: i64,
    /// Whether it was made by the schedule, and may be deleted by it.
    pub is_scheduled: bool,
    /// The kinds of the stores: `embedded`, `redis`, `postgresql`.
    pub stores: Vec<String>,
    /// The directory or address of each of them, without secrets.
    pub places: Vec<String>,
}

/// A part of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPart {
    /// Its name in the archive.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 digest, in hexadecimal digits.
    pub sha256: String,
}

/// The last entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    parts: Vec<BackupPart>,
}

/// A shared store.
#[derive(Clone)]
pub enum SharedStore {
    /// Redis.
    Redis(std::sync::Arc<RedisStore>),
    /// PostgreSQL.
    Postgres(std::sync::Arc<PgStore>),
}

impl SharedStore {
    fn kind(&self) -> &'static str {
        match self {
            Self::Redis(_) => "redis",
            Self::Postgres(_) => "postgresql",
        }
    }

    fn part_name(&self) -> &'static str {
        match self {
            Self::Redis(_) => REDIS_PART,
            Self::Postgres(_) => POSTGRES_PART,
        }
    }
}

/// Why a backup was not made or not restored. The texts are for administrators and have no secrets.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or directory cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// A store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is no backup, is damaged, or does not fit.
    #[error("{0}: {1}")]
    Unusable(PathBuf, String),
    /// Something is there that would be overwritten.
    #[error("{0}")]
    Refused(String),
}
