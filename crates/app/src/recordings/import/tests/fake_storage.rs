//! A spool and a blob store in memory that can fail at any step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use domain::Timestamp;
use domain::recording::{FilePath, RecordingFormatId};

use crate::ports::{
    BlobBytes, BlobError, BlobInfo, Blobs, ByteSpan, KeptArchive, KeptPlace, MoveOutcome, Spool,
    SpoolError, SpoolListing, SpooledArchive, UnpackedFormat, Visibility,
};

pub(super) const ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";

/// Why an archive was set aside, and its formats with their metadata.
type SetAsideFormats = (String, Vec<(&'static str, String)>);

/// A spool and a blob store in maps. After `steps_left` steps everything fails, as if the process
/// had been killed.
#[derive(Default)]
pub(super) struct FakeStorage {
    pub(super) archives: Mutex<BTreeMap<String, Vec<(&'static str, String)>>>,
    pub(super) quarantined: Mutex<BTreeMap<String, String>>,
    pub(super) set_aside: Mutex<BTreeMap<String, SetAsideFormats>>,
    pub(super) formats: Mutex<BTreeSet<(RecordingFormatId, Visibility)>>,
    /// The tokens of imports whose archives are unpacked.
    pub(super) unpacked: Mutex<BTreeSet<String>>,
    pub(super) steps_left: AtomicUsize,
    pub(super) is_full: Mutex<bool>,
    pub(super) free_bytes: Mutex<Option<u64>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl FakeStorage {
    /// Counts down a step; false if the process counts as killed.
    fn take_step(&self) -> bool {
        self.steps_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
    }

    fn take_spool_step(&self) -> Result<(), SpoolError> {
        if self.take_step() { Ok(()) } else { Err(SpoolError::Unavailable("killed".to_owned())) }
    }

    fn take_blob_step(&self) -> Result<(), BlobError> {
        if *lock(&self.is_full) {
            return Err(BlobError::Full("the disk".to_owned()));
        }
        if self.take_step() { Ok(()) } else { Err(BlobError::Unavailable("killed".to_owned())) }
    }
}

#[async_trait]
impl Spool for FakeStorage {
    async fn scan_spool(&self) -> Result<SpoolListing, SpoolError> {
        let archives = lock(&self.archives);
        let complete =
            archives.keys().map(|name| SpooledArchive { name: name.clone(), size: 1 }).collect();
        Ok(SpoolListing { complete, has_incomplete: false })
    }

    async fn count_free_bytes(&self) -> Result<Option<u64>, SpoolError> {
        Ok(*lock(&self.free_bytes))
    }

    async fn copy_into_spool(&self, _: &Path) -> Result<SpooledArchive, SpoolError> {
        unreachable!()
    }

    async fn unpack_archive(
        &self,
        name: &str,
        token: &str,
    ) -> Result<Vec<UnpackedFormat>, SpoolError> {
        self.take_spool_step()?;
        lock(&self.unpacked).insert(token.to_owned());
        let archives = lock(&self.archives);
        let formats = archives.get(name).ok_or(SpoolError::Missing)?;
        if formats.is_empty() {
            return Err(SpoolError::InvalidArchive("no tar archive".to_owned()));
        }
        let unpacked = |(format, xml): &(&str, String)| UnpackedFormat {
            format_id: format_id(format),
            dir: PathBuf::from("/work"),
            metadata: Ok(xml.clone().into_bytes()),
            left_out: Vec::new(),
        };
        Ok(formats.iter().map(unpacked).collect())
    }

    async fn remove_archive(&self, name: &str, token: &str) -> Result<(), SpoolError> {
        self.take_spool_step()?;
        lock(&self.unpacked).remove(token);
        lock(&self.archives).remove(name);
        Ok(())
    }

    async fn discard_unpacked(&self, token: &str) -> Result<(), SpoolError> {
        lock(&self.unpacked).remove(token);
        Ok(())
    }

    async fn keep_archive(
        &self,
        name: &str,
        token: &str,
        place: KeptPlace,
        reason: &str,
    ) -> Result<Option<String>, SpoolError> {
        self.take_spool_step()?;
        lock(&self.unpacked).remove(token);
        let formats = lock(&self.archives).remove(name).unwrap_or_default();
        match place {
            KeptPlace::Quarantine => {
                lock(&self.quarantined).insert(name.to_owned(), reason.to_owned());
            }
            KeptPlace::Aside => {
                lock(&self.set_aside).insert(name.to_owned(), (reason.to_owned(), formats));
            }
        }
        Ok(Some(name.to_owned()))
    }

    async fn list_kept_archives(&self) -> Result<Vec<KeptArchive>, SpoolError> {
        let to_kept = |(name, reason): (&String, &String)| KeptArchive {
            name: name.clone(),
            reason: reason.clone(),
        };
        let aside = lock(&self.set_aside);
        let aside = aside.iter().map(|(name, (reason, _))| to_kept((name, reason)));
        Ok(lock(&self.quarantined).iter().map(to_kept).chain(aside).collect())
    }

    async fn release_kept(&self, name: &str) -> Result<Option<SpooledArchive>, SpoolError> {
        let released = SpooledArchive { name: name.to_owned(), size: 1 };
        if let Some((_, formats)) = lock(&self.set_aside).remove(name) {
            lock(&self.archives).insert(name.to_owned(), formats);
            return Ok(Some(released));
        }
        let found = lock(&self.quarantined).remove(name).is_some();
        if found {
            lock(&self.archives)
                .insert(name.to_owned(), vec![("video", metadata_xml("video", "true"))]);
        }
        Ok(found.then_some(released))
    }

    async fn remove_set_aside(&self, _: Timestamp) -> Result<Vec<String>, SpoolError> {
        Ok(Vec::new())
    }

    async fn clean_up_after_crash(&self) -> Result<Vec<(String, String)>, SpoolError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Blobs for FakeStorage {
    async fn put_format(
        &self,
        _from: &Path,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<(), BlobError> {
        self.take_blob_step()?;
        let mut formats = lock(&self.formats);
        formats.retain(|(stored, _)| stored != format_id);
        formats.insert((format_id.clone(), visibility));
        Ok(())
    }

    async fn move_format(
        &self,
        format_id: &RecordingFormatId,
        visibility: Visibility,
    ) -> Result<MoveOutcome, BlobError> {
        self.put_format(Path::new(""), format_id, visibility).await.map(|()| MoveOutcome::Moved)
    }

    async fn remove_format(
        &self,
        format_id: &RecordingFormatId,
        _: &[Visibility],
    ) -> Result<bool, BlobError> {
        self.take_blob_step()?;
        lock(&self.formats).retain(|(stored, _)| stored != format_id);
        Ok(true)
    }

    async fn locate_format(&self, _: &RecordingFormatId) -> Result<Vec<Visibility>, BlobError> {
        unreachable!()
    }

    async fn list_formats(
        &self,
        _: Visibility,
        _: Option<&RecordingFormatId>,
        _: usize,
    ) -> Result<Vec<RecordingFormatId>, BlobError> {
        unreachable!()
    }

    async fn list_files(
        &self,
        _: &RecordingFormatId,
        _: Visibility,
        _: usize,
    ) -> Result<Vec<(FilePath, u64)>, BlobError> {
        unreachable!()
    }

    async fn read_file_info(
        &self,
        _: &RecordingFormatId,
        _: Visibility,
        _: &FilePath,
    ) -> Result<Option<BlobInfo>, BlobError> {
        unreachable!()
    }

    async fn open_file(
        &self,
        _: &RecordingFormatId,
        _: Visibility,
        _: &FilePath,
        _: Option<ByteSpan>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        unreachable!()
    }

    async fn write_file(
        &self,
        _: &RecordingFormatId,
        _: Visibility,
        _: &FilePath,
        _: Bytes,
    ) -> Result<(), BlobError> {
        unreachable!()
    }

    async fn check_blobs(&self) -> Result<(), BlobError> {
        Ok(())
    }
}

fn format_id(format: &str) -> RecordingFormatId {
    RecordingFormatId::parse(ID, format).unwrap()
}

pub(super) fn metadata_xml(format: &str, published: &str) -> String {
    format!(
        "<recording><id>{ID}</id><published>{published}</published><meta><k>v</k></meta>\
         <playback><format>{format}</format><link>https://n/{format}/{ID}/</link></playback></recording>"
    )
}
