//! Uploads objects to a bucket and copies them within it: in one request if S3 allows it, otherwise in parts.

use std::path::PathBuf;
use std::time::Duration;

use app::ports::BlobError;
use bytes::Bytes;
use domain::recording::FileType;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response};
use rusty_s3::actions::{CreateMultipartUpload, CreateMultipartUploadResponse};
use rusty_s3::{Map, S3Action as _};

use super::client::{S3Client, URL_LIFETIME, s3_error};
use super::content::S3Content;
use super::walk::LocalFile;

/// Sizes from which on transfers are split into parts.
#[derive(Clone, Copy, Debug)]
pub struct TransferLimits {
    /// Longest file that is uploaded in one request, in bytes; also the shortest part of a longer file.
    pub upload_bytes: u64,
    /// Longest object that is copied in one request, in bytes; also the length of the parts of a longer object.
    pub copy_bytes: u64,
}

/// Slowest acceptable copy within a bucket. S3 answers when it is done.
const MIN_COPIED_BYTES_PER_S: u64 = 2 << 20;
/// How long S3 may take to join the parts of an upload.
const COMPLETION_TIME: Duration = Duration::from_secs(600);

/// Returns how long S3 may take to copy so many bytes.
fn copy_time(size: u64) -> Duration {
    Duration::from_secs(size.div_ceil(MIN_COPIED_BYTES_PER_S))
}

/// Largest number of parts of one upload. Source: Amazon S3, "Multipart upload limits".
const MAX_PARTS: u64 = 10_000;

impl Default for TransferLimits {
    fn default() -> Self {
        Self { upload_bytes: 64 << 20, copy_bytes: 1 << 30 }
    }
}

/// An object that is to be uploaded.
#[derive(Clone, Debug)]
pub(super) struct ObjectUpload {
    pub(super) key: String,
    content: S3Content,
}

impl ObjectUpload {
    /// Creates an upload of a local file; its key is the prefix and the path of the file.
    pub(super) fn from_file(prefix: &str, file: LocalFile) -> Self {
        let key = format!("{prefix}{}", file.path);
        Self { key, content: S3Content::File { path: file.source, offset: 0, size: file.size } }
    }

    /// Creates an upload of bytes in memory.
    pub(super) fn from_bytes(key: String, content: Bytes) -> Self {
        Self { key, content: S3Content::Bytes(content) }
    }
}

/// Returns the headers with which an object is stored: the same as the original's, so that S3 itself can serve the object.
fn object_headers(key: &str) -> Vec<(HeaderName, HeaderValue)> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let content_type = HeaderValue::from_static(FileType::from_name(name).content_type);
    let mut headers = vec![(CONTENT_TYPE, content_type)];
    if name.ends_with(".pdf") || name.ends_with(".ogg") {
        headers.push((CONTENT_DISPOSITION, HeaderValue::from_static("attachment")));
    }
    headers
}

/// Splits `size` bytes into parts of `length` bytes. Yields the number of each part, its first byte and its size.
fn split_parts(size: u64, length: u64) -> impl Iterator<Item = (u16, u64, u64)> {
    let count = size.div_ceil(length.max(1));
    (0..count).map(move |index| {
        let offset = index * length;
        (u16::try_from(index + 1).unwrap_or(u16::MAX), offset, length.min(size - offset))
    })
}

impl S3Client {
    /// Uploads an object.
    pub(super) async fn upload_object(&self, upload: ObjectUpload) -> Result<(), BlobError> {
        let ObjectUpload { key, content } = upload;
        match content {
            S3Content::File { path, size, .. } if size > self.limits.upload_bytes => {
                self.upload_in_parts(&key, path, size).await
            }
            content => {
                let action = self.bucket.put_object(Some(&self.credentials), &key);
                let url = action.sign(URL_LIFETIME);
                self.send_checked("PUT", url.as_str(), &object_headers(&key), &content)
                    .await
                    .map(drop)
            }
        }
    }

    async fn upload_in_parts(&self, key: &str, path: PathBuf, size: u64) -> Result<(), BlobError> {
        let length = self.limits.upload_bytes.max(size.div_ceil(MAX_PARTS));
        let upload_id = self.begin_upload(key).await?;
        let mut etags = Vec::new();
        for (number, offset, size) in split_parts(size, length) {
            let action = self.bucket.upload_part(Some(&self.credentials), key, number, &upload_id);
            let content = S3Content::File { path: path.clone(), offset, size };
            let result =
                self.send_checked("PUT", action.sign(URL_LIFETIME).as_str(), &[], &content).await;
            match result.and_then(|response| uploaded_part_etag(&response)) {
                Ok(etag) => etags.push(etag),
                Err(error) => return self.abort_upload(key, &upload_id, error).await,
            }
        }
        self.complete_upload(key, &upload_id, &etags).await
    }

    /// Copies an object within the bucket.
    pub(super) async fn copy_object(
        &self,
        from: &str,
        to: &str,
        size: u64,
    ) -> Result<(), BlobError> {
        if size > self.limits.copy_bytes {
            return self.copy_in_parts(from, to, size).await;
        }
        let mut action = self.bucket.put_object(Some(&self.credentials), to);
        let headers = self.copy_headers(action.headers_mut(), from, None)?;
        let nothing = S3Content::empty();
        let response = self
            .send_work(
                "PUT",
                action.sign(URL_LIFETIME).as_str(),
                &headers,
                &nothing,
                copy_time(size),
            )
            .await?;
        // S3 may report an error in the body after the status 200.
        let is_done = body_contains(response.body(), "<ETag>");
        if is_done { Ok(()) } else { Err(s3_error("an object was not copied")) }
    }

    async fn copy_in_parts(&self, from: &str, to: &str, size: u64) -> Result<(), BlobError> {
        let upload_id = self.begin_upload(to).await?;
        let mut etags = Vec::new();
        for (number, offset, size) in split_parts(size, self.limits.copy_bytes) {
            let mut action =
                self.bucket.upload_part(Some(&self.credentials), to, number, &upload_id);
            let headers = self.copy_headers(action.headers_mut(), from, Some((offset, size)))?;
            let result = self
                .send_work(
                    "PUT",
                    action.sign(URL_LIFETIME).as_str(),
                    &headers,
                    &S3Content::empty(),
                    copy_time(size),
                )
                .await;
            match result.and_then(|response| copied_part_etag(response.body())) {
                Ok(etag) => etags.push(etag),
                Err(error) => return self.abort_upload(to, &upload_id, error).await,
            }
        }
        self.complete_upload(to, &upload_id, &etags).await
    }

    /// Returns the headers that name the source of a copy, and adds them to the signed headers.
    fn copy_headers(
        &self,
        signed: &mut Map<'_>,
        from: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, BlobError> {
        let key = percent_encoding::utf8_percent_encode(from, super::client::KEY_ENCODE_SET);
        let mut headers = vec![("x-amz-copy-source", format!("/{}/{key}", self.bucket.name()))];
        if let Some((offset, size)) = range {
            let range = format!("bytes={offset}-{}", offset + size - 1);
            headers.push(("x-amz-copy-source-range", range));
        }
        let mut request_headers = Vec::new();
        for (name, value) in headers {
            let header =
                HeaderValue::from_str(&value).map_err(|_| s3_error("invalid name of an object"))?;
            request_headers.push((HeaderName::from_static(name), header));
            signed.insert(name, value);
        }
        Ok(request_headers)
    }

    async fn begin_upload(&self, key: &str) -> Result<String, BlobError> {
        let action = self.bucket.create_multipart_upload(Some(&self.credentials), key);
        let url = action.sign(URL_LIFETIME);
        let response = self
            .send_checked("POST", url.as_str(), &object_headers(key), &S3Content::empty())
            .await?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let upload: CreateMultipartUploadResponse = CreateMultipartUpload::parse_response(&text)
            .map_err(|_| s3_error("an upload was not started"))?;
        Ok(upload.upload_id().to_owned())
    }

    async fn complete_upload(
        &self,
        key: &str,
        upload_id: &str,
        etags: &[String],
    ) -> Result<(), BlobError> {
        let etags = etags.iter().map(String::as_str);
        let action =
            self.bucket.complete_multipart_upload(Some(&self.credentials), key, upload_id, etags);
        let url = action.sign(URL_LIFETIME);
        let content = S3Content::Bytes(action.body().into());
        let response = self.send_work("POST", url.as_str(), &[], &content, COMPLETION_TIME).await?;
        // S3 may report an error in the body after the status 200.
        let is_done = body_contains(response.body(), "<ETag>");
        if is_done { Ok(()) } else { Err(s3_error("an upload was not completed")) }
    }

    /// Aborts an upload that failed with `error`, and returns that error. The parts would use space until they are deleted.
    async fn abort_upload(
        &self,
        key: &str,
        upload_id: &str,
        error: BlobError,
    ) -> Result<(), BlobError> {
        let action = self.bucket.abort_multipart_upload(Some(&self.credentials), key, upload_id);
        if let Err(error) = self
            .send_checked("DELETE", action.sign(URL_LIFETIME).as_str(), &[], &S3Content::empty())
            .await
        {
            tracing::warn!(%error, "upload to S3 not aborted, its parts remain in the bucket");
        }
        Err(error)
    }
}

fn body_contains(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

/// Returns the entity tag of an uploaded part.
fn uploaded_part_etag(response: &Response<Bytes>) -> Result<String, BlobError> {
    let etag = response.headers().get(http::header::ETAG).and_then(|etag| etag.to_str().ok());
    etag.map(|etag| etag.trim_matches('"').to_owned())
        .ok_or_else(|| s3_error("a part without an entity tag"))
}

/// Returns the entity tag of a copied part.
fn copied_part_etag(body: &[u8]) -> Result<String, BlobError> {
    let text = String::from_utf8_lossy(body);
    let element = text.split_once("<ETag>").and_then(|(_, rest)| rest.split_once("</ETag>"));
    let etag = element.map(|(etag, _)| etag.replace("&quot;", "").replace("&#34;", ""));
    let etag = etag.map(|etag| etag.trim_matches('"').to_owned());
    etag.ok_or_else(|| s3_error("a part was not copied"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_whole_without_gaps() {
        for (size, length) in [(1, 1), (10, 3), (9, 3), (5, 9)] {
            let parts: Vec<_> = split_parts(size, length).collect();
            assert_eq!(parts.iter().map(|(.., size)| size).sum::<u64>(), size);
            assert!(parts.windows(2).all(|pair| pair[0].1 + pair[0].2 == pair[1].1));
            assert!(parts.iter().all(|(_, _, size)| *size <= length && *size > 0));
        }
        let parts_of_largest = split_parts(
            5 << 40,
            TransferLimits::default().upload_bytes.max((5_u64 << 40).div_ceil(MAX_PARTS)),
        );
        assert!(parts_of_largest.count() <= 10_000);
    }

    #[test]
    fn a_copy_has_time_by_its_size() {
        assert_eq!(copy_time(0), Duration::ZERO);
        assert!(copy_time(TransferLimits::default().copy_bytes) > Duration::from_secs(500));
    }

    #[test]
    fn the_entity_tag_of_a_copied_part_is_read() {
        let body = b"<CopyPartResult><ETag>&quot;abc&quot;</ETag></CopyPartResult>";
        assert_eq!(copied_part_etag(body).unwrap(), "abc");
        assert!(copied_part_etag(b"<Error/>").is_err());
    }
}
