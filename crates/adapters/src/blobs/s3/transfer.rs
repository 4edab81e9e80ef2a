//! Objects on their way into a bucket and within it: in one request as long as S3 allows, else in parts.

use std::path::PathBuf;

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

/// What S3 takes in one request, and where parts begin.
#[derive(Clone, Copy, Debug)]
pub struct TransferLimits {
    /// Longest file that is uploaded at once, in bytes, and the shortest part of a longer one.
    pub upload_bytes: u64,
    /// Longest object that is copied at once, in bytes, and the length of the parts of a longer one.
    pub copy_bytes: u64,
}

/// Source: Amazon S3, "Multipart upload limits". Parts of one upload: 10,000 at most.
const MAX_PARTS: u64 = 10_000;

impl Default for TransferLimits {
    fn default() -> Self {
        Self { upload_bytes: 64 << 20, copy_bytes: 5 << 30 }
    }
}

/// An object to be.
#[derive(Clone, Debug)]
pub(super) struct ObjectUpload {
    pub(super) key: String,
    content: S3Content,
}

impl ObjectUpload {
    /// A file of a directory.
    pub(super) fn from_file(prefix: &str, file: LocalFile) -> Self {
        let key = format!("{prefix}{}", file.path);
        Self { key, content: S3Content::File { path: file.source, offset: 0, size: file.size } }
    }

    /// Something small.
    pub(super) fn from_bytes(key: String, content: Bytes) -> Self {
        Self { key, content: S3Content::Bytes(content) }
    }
}

/// The headers with which an object is stored: the original's, so that it can be given out by S3 itself.
fn object_headers(key: &str) -> Vec<(HeaderName, HeaderValue)> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let content_type = HeaderValue::from_static(FileType::from_name(name).content_type);
    let mut headers = vec![(CONTENT_TYPE, content_type)];
    if name.ends_with(".pdf") || name.ends_with(".ogg") {
        headers.push((CONTENT_DISPOSITION, HeaderValue::from_static("attachment")));
    }
    headers
}

/// A part of something, and where it begins.
fn split_parts(size: u64, length: u64) -> impl Iterator<Item = (u16, u64, u64)> {
    let count = size.div_ceil(length.max(1));
    (0..count).map(move |index| {
        let from = index * length;
        (u16::try_from(index + 1).unwrap_or(u16::MAX), from, length.min(size - from))
    })
}

impl S3Client {
    /// Uploads an object.
    pub(super) async fn upload_object(&self, upload: ObjectUpload) -> Result<(), BlobError> {
        let ObjectUpload { key, content } = upload;
        match content {
            S3Content::File { path: at, size, .. } if size > self.limits.upload_bytes => {
                self.upload_in_parts(&key, at, size).await
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

    async fn upload_in_parts(&self, key: &str, at: PathBuf, size: u64) -> Result<(), BlobError> {
        let length = self.limits.upload_bytes.max(size.div_ceil(MAX_PARTS));
        let id = self.begin_upload(key).await?;
        let mut tags = Vec::new();
        for (number, from, size) in split_parts(size, length) {
            let action = self.bucket.upload_part(Some(&self.credentials), key, number, &id);
            let content = S3Content::File { path: at.clone(), offset: from, size };
            let sent =
                self.send_checked("PUT", action.sign(URL_LIFETIME).as_str(), &[], &content).await;
            match sent.and_then(|response| uploaded_part_tag(&response)) {
                Ok(tag) => tags.push(tag),
                Err(error) => return self.abort_upload(key, &id, error).await,
            }
        }
        self.complete_upload(key, &id, &tags).await
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
        let response = self
            .send_checked("PUT", action.sign(URL_LIFETIME).as_str(), &headers, &S3Content::empty())
            .await?;
        // It may fail after it has said that all is well.
        let text = response.into_body();
        if body_contains(&text, "<ETag>") { Ok(()) } else { Err(s3_error("no copy was made")) }
    }

    async fn copy_in_parts(&self, from: &str, to: &str, size: u64) -> Result<(), BlobError> {
        let id = self.begin_upload(to).await?;
        let mut tags = Vec::new();
        for (number, first, size) in split_parts(size, self.limits.copy_bytes) {
            let mut action = self.bucket.upload_part(Some(&self.credentials), to, number, &id);
            let headers = self.copy_headers(action.headers_mut(), from, Some((first, size)))?;
            let copied = self
                .send_checked(
                    "PUT",
                    action.sign(URL_LIFETIME).as_str(),
                    &headers,
                    &S3Content::empty(),
                )
                .await;
            match copied.and_then(|response| copied_part_tag(response.body())) {
                Ok(tag) => tags.push(tag),
                Err(error) => return self.abort_upload(to, &id, error).await,
            }
        }
        self.complete_upload(to, &id, &tags).await
    }

    /// The headers that name what is copied; they are signed.
    fn copy_headers(
        &self,
        signed: &mut Map<'_>,
        from: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, BlobError> {
        let key = percent_encoding::utf8_percent_encode(from, super::client::KEY_ENCODE_SET);
        let mut headers = vec![("x-amz-copy-source", format!("/{}/{key}", self.bucket.name()))];
        if let Some((first, size)) = range {
            let range = format!("bytes={first}-{}", first + size - 1);
            headers.push(("x-amz-copy-source-range", range));
        }
        let mut sent = Vec::new();
        for (name, value) in headers {
            let header = HeaderValue::from_str(&value).map_err(|_| s3_error("a name"))?;
            sent.push((HeaderName::from_static(name), header));
            signed.insert(name, value);
        }
        Ok(sent)
    }

    async fn begin_upload(&self, key: &str) -> Result<String, BlobError> {
        let action = self.bucket.create_multipart_upload(Some(&self.credentials), key);
        let url = action.sign(URL_LIFETIME);
        let response = self
            .send_checked("POST", url.as_str(), &object_headers(key), &S3Content::empty())
            .await?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let begun: CreateMultipartUploadResponse = CreateMultipartUpload::parse_response(&text)
            .map_err(|_| s3_error("no upload was begun"))?;
        Ok(begun.upload_id().to_owned())
    }

    async fn complete_upload(&self, key: &str, id: &str, tags: &[String]) -> Result<(), BlobError> {
        let tags = tags.iter().map(String::as_str);
        let action = self.bucket.complete_multipart_upload(Some(&self.credentials), key, id, tags);
        let url = action.sign(URL_LIFETIME);
        let content = S3Content::Bytes(action.body().into());
        let response = self.send_checked("POST", url.as_str(), &[], &content).await?;
        // It may fail after it has said that all is well.
        let is_done = body_contains(response.body(), "<ETag>");
        if is_done { Ok(()) } else { Err(s3_error("an upload was not completed")) }
    }

    /// Parts of what was not completed cost room until somebody removes them.
    async fn abort_upload(&self, key: &str, id: &str, error: BlobError) -> Result<(), BlobError> {
        let action = self.bucket.abort_multipart_upload(Some(&self.credentials), key, id);
        if let Err(error) = self
            .send_checked("DELETE", action.sign(URL_LIFETIME).as_str(), &[], &S3Content::empty())
            .await
        {
            tracing::warn!(%error, "parts of an upload are left in the bucket");
        }
        Err(error)
    }
}

fn body_contains(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

/// The tag of a part that was uploaded.
fn uploaded_part_tag(response: &Response<Bytes>) -> Result<String, BlobError> {
    let tag = response.headers().get(http::header::ETAG).and_then(|tag| tag.to_str().ok());
    tag.map(|tag| tag.trim_matches('"').to_owned()).ok_or_else(|| s3_error("a part without a tag"))
}

/// The tag of a part that was copied.
fn copied_part_tag(body: &[u8]) -> Result<String, BlobError> {
    let text = String::from_utf8_lossy(body);
    let tag = text.split_once("<ETag>").and_then(|(_, rest)| rest.split_once("</ETag>"));
    let tag = tag.map(|(tag, _)| tag.replace("&quot;", "").replace("&#34;", ""));
    let tag = tag.map(|tag| tag.trim_matches('"').to_owned());
    tag.ok_or_else(|| s3_error("no part was copied"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_the_whole() {
        for (size, length) in [(1, 1), (10, 3), (9, 3), (5, 9)] {
            let parts: Vec<_> = split_parts(size, length).collect();
            assert_eq!(parts.iter().map(|(.., size)| size).sum::<u64>(), size);
            assert!(parts.windows(2).all(|two| two[0].1 + two[0].2 == two[1].1));
            assert!(parts.iter().all(|(_, _, size)| *size <= length && *size > 0));
        }
        let most = split_parts(
            5 << 40,
            TransferLimits::default().upload_bytes.max((5_u64 << 40).div_ceil(MAX_PARTS)),
        );
        assert!(most.count() <= 10_000);
    }

    #[test]
    fn tags_of_copies() {
        let body = b"<CopyPartResult><ETag>&quot;abc&quot;</ETag></CopyPartResult>";
        assert_eq!(copied_part_tag(body).unwrap(), "abc");
        assert!(copied_part_tag(b"<Error/>").is_err());
    }
}
