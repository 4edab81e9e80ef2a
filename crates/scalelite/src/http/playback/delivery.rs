//! A file on its way to a browser: whole, in part, compressed or not at all, with the headers that go with it.

use std::time::Duration;

use app::playback::Playback;
use app::ports::{BlobBytes, BlobError, BlobInfo, Span};
use domain::recording::watching::Permit;
use domain::recording::{FilePath, Kind};
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use super::conditions::{self, Share, Version};
use super::player::PlayerFiles;
use super::{Answered, Trouble, gzip};
use crate::http::respond::{self, Body};

/// The shortest text that is worth compressing, in bytes.
const GZIP_BYTES_MIN: u64 = 1024;
/// How long the next piece of a file may take to come.
const PIECE_TIME_MAX: Duration = Duration::from_secs(30);
/// So often a file is looked at again that changes while we look.
const LOOKS_MAX: u32 = 3;

/// Where files come from.
pub(super) enum Source<'a> {
    /// A recording that may be watched.
    Recording(&'a Playback, &'a Permit),
    /// BBB's player.
    Player(PlayerFiles<'a>),
}

impl Source<'_> {
    /// What is known of a file.
    pub(super) async fn info(&self, path: &FilePath) -> Result<Option<BlobInfo>, BlobError> {
        match self {
            Self::Recording(playback, permit) => playback.info(permit, path).await,
            Self::Player(files) => files.info(path).await,
        }
    }

    async fn open(
        &self,
        path: &FilePath,
        span: Option<Span>,
    ) -> Result<Option<(BlobInfo, BlobBytes)>, BlobError> {
        match self {
            Self::Recording(playback, permit) => playback.open(permit, path, span).await,
            Self::Player(files) => files.open(path, span).await,
        }
    }
}

/// How files of a source are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether they are to be kept, not shown.
    pub(super) attachment: bool,
    /// What caches may do.
    pub(super) cache: &'static str,
    /// What pages may load and do.
    pub(super) policy: &'static str,
}

/// How the bytes are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// As they are.
    Plain,
    /// Compressed already, in a file beside the one that is meant.
    Packed,
    /// Compressed on their way.
    Packing,
}

/// Sends a file, or finds that there is none.
pub(super) async fn send(
    source: &Source<'_>,
    path: &FilePath,
    method: &Method,
    headers: &HeaderMap,
    manner: Manner,
) -> Answered {
    let kind = Kind::of(path.name());
    let gzip = kind.text && gzip::is_accepted(headers) && !headers.contains_key(header::RANGE);
    let request = Request { source, method, headers, kind, manner };
    if gzip
        && let Some(neighbour) = FilePath::parse(&format!("{}.gz", path.as_str()))
        && let Some(info) = source.info(&neighbour).await?
    {
        return request.answer(&neighbour, info, Spelling::Packed).await;
    }
    let Some(info) = source.info(path).await? else { return Ok(None) };
    let spelling =
        if gzip && info.size > GZIP_BYTES_MIN { Spelling::Packing } else { Spelling::Plain };
    request.answer(path, info, spelling).await
}

/// A request for a file that is there.
struct Request<'a> {
    source: &'a Source<'a>,
    method: &'a Method,
    headers: &'a HeaderMap,
    kind: Kind,
    manner: Manner,
}

impl Request<'_> {
    async fn answer(&self, path: &FilePath, mut info: BlobInfo, spelling: Spelling) -> Answered {
        for _ in 0..LOOKS_MAX {
            let share = self.share(&info, spelling);
            let span = match share {
                Share::Whole => None,
                Share::Part(span) => Some(span),
                Share::Unchanged | Share::Beyond => {
                    return self.response(&info, share, spelling, None).map(Some);
                }
            };
            if self.method == Method::HEAD {
                return self.response(&info, share, spelling, None).map(Some);
            }
            let Some((opened, bytes)) = self.source.open(path, span).await? else {
                return Ok(None);
            };
            // What was decided is about the file that was looked at.
            if opened.tag == info.tag {
                return self.response(&info, share, spelling, Some(bytes)).map(Some);
            }
            info = opened;
        }
        Err(Trouble::Internal("a file changes all the time"))
    }

    fn share(&self, info: &BlobInfo, spelling: Spelling) -> Share {
        let tag = tag(info, spelling);
        let version = Version { tag: &tag, modified: info.modified, size: info.size };
        conditions::share(self.method, self.headers, version, spelling == Spelling::Plain)
    }

    fn response(
        &self,
        info: &BlobInfo,
        share: Share,
        spelling: Spelling,
        bytes: Option<BlobBytes>,
    ) -> Result<Response<Body>, Trouble> {
        let mut response = Response::new(respond::nothing());
        *response.status_mut() = match share {
            Share::Whole => StatusCode::OK,
            Share::Part(_) => StatusCode::PARTIAL_CONTENT,
            Share::Unchanged => StatusCode::NOT_MODIFIED,
            Share::Beyond => StatusCode::RANGE_NOT_SATISFIABLE,
        };
        let headers = response.headers_mut();
        self.describe(headers, info, spelling)?;
        let length = match share {
            Share::Whole => Some(info.size),
            Share::Part(Span { from, to }) => {
                let range = format!("bytes {from}-{}/{}", to - 1, info.size);
                put(headers, header::CONTENT_RANGE, &range)?;
                Some(to - from)
            }
            Share::Unchanged => None,
            Share::Beyond => {
                let range = format!("bytes */{}", info.size);
                put(headers, header::CONTENT_RANGE, &range)?;
                Some(0)
            }
        };
        if let Some(length) = length.filter(|_| spelling != Spelling::Packing) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Some(bytes) = bytes {
            let bytes = punctual(bytes);
            let packed = spelling == Spelling::Packing;
            let bytes = if packed { gzip::compressed(bytes) } else { bytes };
            *response.body_mut() = respond::streamed(bytes);
        }
        Ok(response)
    }

    fn describe(
        &self,
        headers: &mut HeaderMap,
        info: &BlobInfo,
        spelling: Spelling,
    ) -> Result<(), Trouble> {
        put(headers, header::CONTENT_TYPE, &self.kind.header())?;
        put(headers, header::ETAG, &format!("\"{}\"", tag(info, spelling)))?;
        if let Some(modified) = info.modified {
            put(headers, header::LAST_MODIFIED, &httpdate::fmt_http_date(modified))?;
        }
        if spelling == Spelling::Plain {
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        } else {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if self.kind.text {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if self.manner.attachment {
            let attachment = HeaderValue::from_static("attachment");
            headers.insert(header::CONTENT_DISPOSITION, attachment);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.manner.cache));
        secure(headers, self.manner.policy);
        Ok(())
    }
}

/// Changes with the spelling: to a cache, these are different things.
fn tag(info: &BlobInfo, spelling: Spelling) -> String {
    match spelling {
        Spelling::Packing => format!("{}-gz", info.tag),
        Spelling::Plain | Spelling::Packed => info.tag.clone(),
    }
}

/// What keeps browsers from making more of what is sent than it is.
pub(super) fn secure(headers: &mut HeaderMap, policy: &'static str) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), Trouble> {
    let value = HeaderValue::from_str(value)
        .map_err(|_| Trouble::Internal("a value that cannot stand in a header"))?;
    headers.insert(name, value);
    Ok(())
}

/// The same bytes, as long as they keep coming.
fn punctual(bytes: BlobBytes) -> BlobBytes {
    let pieces = stream::unfold(Some(bytes), |bytes| async {
        let mut bytes = bytes?;
        match tokio::time::timeout(PIECE_TIME_MAX, bytes.next()).await {
            Ok(piece) => piece.map(|piece| (piece, Some(bytes))),
            Err(_) => {
                let error = BlobError::Unavailable("no more bytes come".to_owned());
                Some((Err(error), None))
            }
        }
    });
    pieces.boxed()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_that_do_not_come_are_not_waited_for() {
        let first = stream::iter([Ok(Bytes::from_static(b"a"))]);
        let mut bytes = punctual(first.chain(stream::pending()).boxed());
        assert_eq!(bytes.next().await.unwrap().unwrap(), "a");
        assert!(bytes.next().await.unwrap().is_err());
        assert!(bytes.next().await.is_none());
    }
}
