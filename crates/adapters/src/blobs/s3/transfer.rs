//! Objects on their way into a bucket and within it: in one request as long as S3 allows, else in parts.

use std::path::PathBuf;

use app::ports::BlobError;
use bytes::Bytes;
use domain::recording::Kind;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response};
use rusty_s3::actions::{CreateMultipartUpload, CreateMultipartUploadResponse};
use rusty_s3::{Map, S3Action as _};

use super::content::Content;
use super::walk::LocalFile;
use super::wire::{VALID, Wire, strange};

/// What S3 takes in one request, and where parts begin.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest file that is uploaded at once, in bytes, and the shortest part of a longer one.
    pub upload: u64,
    /// Longest object that is copied at once, in bytes, and the length of the parts of a longer one.
    pub copy: u64,
}

/// Source: Amazon S3, "Multipart upload limits". Parts of one upload: 10,000 at most.
const PARTS_MAX: u64 = 10_000;

impl Default for Limits {
    fn default() -> Self {
        Self { upload: 64 << 20, copy: 5 << 30 }
    }
}

/// An object to be.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    content: Content,
}

impl Upload {
    /// A file of a directory.
    pub(super) fn of(prefix: &str, file: LocalFile) -> Self {
        let key = format!("{prefix}{}", file.path);
        Self { key, content: Content::File { at: file.at, from: 0, size: file.size } }
    }

    /// Something small.
    pub(super) fn text(key: String, content: Bytes) -> Self {
        Self { key, content: Content::Bytes(content) }
    }
}

/// The headers with which an object is stored: the original's, so that it can be given out by S3 itself.
fn described(key: &str) -> Vec<(HeaderName, HeaderValue)> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let content_type = HeaderValue::from_static(Kind::of(name).content_type);
    let mut headers = vec![(CONTENT_TYPE, content_type)];
    if name.ends_with(".pdf") || name.ends_with(".ogg") {
        headers.push((CONTENT_DISPOSITION, HeaderValue::from_static("attachment")));
    }
    headers
}

/// A part of something, and where it begins.
fn parts(size: u64, length: u64) -> impl Iterator<Item = (u16, u64, u64)> {
    let count = size.div_ceil(length.max(1));
    (0..count).map(move |index| {
        let from = index * length;
        (u16::try_from(index + 1).unwrap_or(u16::MAX), from, length.min(size - from))
    })
}

impl Wire {
    /// Uploads an object.
    pub(super) async fn upload(&self, upload: Upload) -> Result<(), BlobError> {
        let Upload { key, content } = upload;
        match content {
            Content::File { at, size, .. } if size > self.limits.upload => {
                self.upload_in_parts(&key, at, size).await
            }
            content => {
                let action = self.bucket.put_object(Some(&self.credentials), &key);
                let url = action.sign(VALID);
                self.done("PUT", url.as_str(), &described(&key), &content).await.map(drop)
            }
        }
    }

    async fn upload_in_parts(&self, key: &str, at: PathBuf, size: u64) -> Result<(), BlobError> {
        let length = self.limits.upload.max(size.div_ceil(PARTS_MAX));
        let id = self.begin(key).await?;
        let mut tags = Vec::new();
        for (number, from, size) in parts(size, length) {
            let action = self.bucket.upload_part(Some(&self.credentials), key, number, &id);
            let content = Content::File { at: at.clone(), from, size };
            let sent = self.done("PUT", action.sign(VALID).as_str(), &[], &content).await;
            match sent.and_then(|response| tag(&response)) {
                Ok(tag) => tags.push(tag),
                Err(error) => return self.give_up(key, &id, error).await,
            }
        }
        self.complete(key, &id, &tags).await
    }

    /// Copies an object within the bucket.
    pub(super) async fn copy(&self, from: &str, to: &str, size: u64) -> Result<(), BlobError> {
        if size > self.limits.copy {
            return self.copy_in_parts(from, to, size).await;
        }
        let mut action = self.bucket.put_object(Some(&self.credentials), to);
        let headers = self.source(action.headers_mut(), from, None)?;
        let response =
            self.done("PUT", action.sign(VALID).as_str(), &headers, &Content::none()).await?;
        // It may fail after it has said that all is well.
        let text = response.into_body();
        if contains(&text, "<ETag>") { Ok(()) } else { Err(strange("no copy was made")) }
    }

    async fn copy_in_parts(&self, from: &str, to: &str, size: u64) -> Result<(), BlobError> {
        let id = self.begin(to).await?;
        let mut tags = Vec::new();
        for (number, first, size) in parts(size, self.limits.copy) {
            let mut action = self.bucket.upload_part(Some(&self.credentials), to, number, &id);
            let headers = self.source(action.headers_mut(), from, Some((first, size)))?;
            let copied =
                self.done("PUT", action.sign(VALID).as_str(), &headers, &Content::none()).await;
            match copied.and_then(|response| tag_in(response.body())) {
                Ok(tag) => tags.push(tag),
                Err(error) => return self.give_up(to, &id, error).await,
            }
        }
        self.complete(to, &id, &tags).await
    }

    /// The headers that name what is copied; they are signed.
    fn source(
        &self,
        signed: &mut Map<'_>,
        from: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, BlobError> {
        let key = percent_encoding::utf8_percent_encode(from, super::wire::KEY);
        let mut headers = vec![("x-amz-copy-source", format!("/{}/{key}", self.bucket.name()))];
        if let Some((first, size)) = range {
            let range = format!("bytes={first}-{}", first + size - 1);
            headers.push(("x-amz-copy-source-range", range));
        }
        let mut sent = Vec::new();
        for (name, value) in headers {
            let header = HeaderValue::from_str(&value).map_err(|_| strange("a name"))?;
            sent.push((HeaderName::from_static(name), header));
            signed.insert(name, value);
        }
        Ok(sent)
    }

    async fn begin(&self, key: &str) -> Result<String, BlobError> {
        let action = self.bucket.create_multipart_upload(Some(&self.credentials), key);
        let url = action.sign(VALID);
        let response = self.done("POST", url.as_str(), &described(key), &Content::none()).await?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let begun: CreateMultipartUploadResponse = CreateMultipartUpload::parse_response(&text)
            .map_err(|_| strange("no upload was begun"))?;
        Ok(begun.upload_id().to_owned())
    }

    async fn complete(&self, key: &str, id: &str, tags: &[String]) -> Result<(), BlobError> {
        let tags = tags.iter().map(String::as_str);
        let action = self.bucket.complete_multipart_upload(Some(&self.credentials), key, id, tags);
        let url = action.sign(VALID);
        let content = Content::Bytes(action.body().into());
        let response = self.done("POST", url.as_str(), &[], &content).await?;
        // It may fail after it has said that all is well.
        let is_done = contains(response.body(), "<ETag>");
        if is_done { Ok(()) } else { Err(strange("an upload was not completed")) }
    }

    /// Parts of what was not completed cost room until somebody removes them.
    async fn give_up(&self, key: &str, id: &str, error: BlobError) -> Result<(), BlobError> {
        let action = self.bucket.abort_multipart_upload(Some(&self.credentials), key, id);
        if let Err(error) =
            self.done("DELETE", action.sign(VALID).as_str(), &[], &Content::none()).await
        {
            tracing::warn!(%error, "parts of an upload are left in the bucket");
        }
        Err(error)
    }
}

fn contains(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

/// The tag of a part that was uploaded.
fn tag(response: &Response<Bytes>) -> Result<String, BlobError> {
    let tag = response.headers().get(http::header::ETAG).and_then(|tag| tag.to_str().ok());
    tag.map(|tag| tag.trim_matches('"').to_owned()).ok_or_else(|| strange("a part without a tag"))
}

/// The tag of a part that was copied.
fn tag_in(body: &[u8]) -> Result<String, BlobError> {
    let text = String::from_utf8_lossy(body);
    let tag = text.split_once("<ETag>").and_then(|(_, rest)| rest.split_once("</ETag>"));
    let tag = tag.map(|(tag, _)| tag.replace("&quot;", "").replace("&#34;", ""));
    let tag = tag.map(|tag| tag.trim_matches('"').to_owned());
    tag.ok_or_else(|| strange("no part was copied"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_the_whole() {
        for (size, length) in [(1, 1), (10, 3), (9, 3), (5, 9)] {
            let parts: Vec<_> = parts(size, length).collect();
            assert_eq!(parts.iter().map(|(.., size)| size).sum::<u64>(), size);
            assert!(parts.windows(2).all(|two| two[0].1 + two[0].2 == two[1].1));
            assert!(parts.iter().all(|(_, _, size)| *size <= length && *size > 0));
        }
        let most = parts(5 << 40, Limits::default().upload.max((5_u64 << 40).div_ceil(PARTS_MAX)));
        assert!(most.count() <= 10_000);
    }

    #[test]
    fn tags_of_copies() {
        let body = b"<CopyPartResult><ETag>&quot;abc&quot;</ETag></CopyPartResult>";
        assert_eq!(tag_in(body).unwrap(), "abc");
        assert!(tag_in(b"<Error/>").is_err());
    }
}
