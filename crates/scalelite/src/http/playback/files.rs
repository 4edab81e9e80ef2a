//! The files of a recording, `/<format>/<id>/…`.

use domain::recording::FileType;
use domain::recording::RecordingFormatId;
use domain::recording::playback_access::PlaybackPermit;
use http::{HeaderName, HeaderValue, Response, header};

use super::delivery::{self, FileHeaders, FileSource};
use super::paths::{RelativePath, with_query};
use super::{
    PlaybackError, PlaybackRequest, PlaybackResult, PlaybackService, cdn, cookies, listing,
};
use crate::http::origin::Origin;
use crate::http::respond::{self, ResponseBody};
use crate::http::route::ApiRequest;

const X_ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");
/// Where the web server in front keeps the files, as the original's configuration of nginx calls it.
const X_ACCEL_PREFIX: &str = "/static-resource";

/// Formats that are shown in the browser; files of the others are downloaded, as with the original.
const INLINE_FORMATS: [&str; 3] = ["presentation", "video", "screenshare"];

/// What pages of recordings may do. They are made of what people wrote, so nothing is sent anywhere but to us.
const SECURITY_POLICY: &str = "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; \
    style-src 'self' 'unsafe-inline'; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'none'; \
    frame-ancestors *";

/// Sends a file to somebody who may watch it.
pub(super) async fn send_file(
    PlaybackRequest { app, service: theatre, scope, request: incomer }: PlaybackRequest<'_>,
    (record_id, format): (&str, &str),
    path: Option<&RelativePath>,
    query: &str,
) -> PlaybackResult {
    let (Some(wish), Some(path)) = (RecordingFormatId::parse(record_id, format), path) else {
        return Ok(None);
    };
    let passes = cookies::read_passes(&incomer.headers, &wish);
    let playback = &theatre.playback;
    let permit = playback.find_permit(app, wish, scope, &passes).await?;
    let Some(permit) = permit else { return Ok(None) };
    if theatre.x_accel {
        return x_accel_response(&permit, path, query).map(Some);
    }
    // The cookies for the network are for TLS only.
    let origin = Origin::from_headers(&incomer.headers);
    if let Some(cdn) =
        theatre.cdn.as_ref().filter(|_| cdn::is_page_path(path) && origin.is_secure())
    {
        let at = format!("{}{}", permit.format_id().subject(), path.to_encoded());
        let now = app.clock.now();
        return cdn.redirect(&with_query(&at, query), &permit, &origin, now).map(Some);
    }
    let source = FileSource::Recording(playback, &permit);
    if let Some(file) = path.file.as_ref().filter(|_| !path.trailing_slash) {
        let sent = delivery::send_file(
            &source,
            file,
            &incomer.method,
            &incomer.headers,
            file_headers(&permit),
        )
        .await?;
        if sent.is_some() {
            return Ok(sent);
        }
    }
    send_directory(&source, theatre, &permit, path, query, incomer).await
}

/// A directory: its page, which the root of a recording always has.
async fn send_directory(
    source: &FileSource<'_>,
    theatre: &PlaybackService,
    permit: &PlaybackPermit,
    path: &RelativePath,
    query: &str,
    incomer: &ApiRequest,
) -> PlaybackResult {
    let Some(index) = path.index_file() else { return Ok(None) };
    let is_root = path.file.is_none();
    if path.empty || !path.trailing_slash {
        let is_there = is_root || source.info(&index).await?.is_some();
        let to = format!("{}{}/", permit.format_id().subject(), path.to_encoded());
        let moved = || {
            respond::redirect_with_status(
                http::StatusCode::MOVED_PERMANENTLY,
                &with_query(&to, query),
            )
        };
        return Ok(is_there.then(moved).flatten());
    }
    let sent = delivery::send_file(
        source,
        &index,
        &incomer.method,
        &incomer.headers,
        file_headers(permit),
    )
    .await?;
    if sent.is_some() || !is_root {
        return Ok(sent);
    }
    listing::send_page(theatre, permit).await
}

fn file_headers(permit: &PlaybackPermit) -> FileHeaders {
    // Always asked for again: what was unpublished is not to be seen any more.
    let cache = if permit.is_protected() { "private, no-cache" } else { "no-cache" };
    let attachment = !INLINE_FORMATS.contains(&permit.format_id().format.as_str());
    FileHeaders {
        is_attachment: attachment,
        cache_control: cache,
        security_policy: SECURITY_POLICY,
    }
}

/// Has the web server in front send the file.
fn x_accel_response(
    permit: &PlaybackPermit,
    path: &RelativePath,
    query: &str,
) -> Result<Response<ResponseBody>, PlaybackError> {
    let at = format!("{X_ACCEL_PREFIX}{}{}", permit.format_id().subject(), path.to_encoded());
    let at = HeaderValue::from_str(&with_query(&at, query));
    let at = at.map_err(|_| PlaybackError::Internal("a path that cannot stand in a header"))?;
    let name = path.file.as_ref().filter(|_| !path.trailing_slash).map_or("", |file| file.name());
    let mut response = Response::new(respond::empty_body());
    let headers = response.headers_mut();
    headers.insert(X_ACCEL_REDIRECT, at);
    if file_headers(permit).is_attachment {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    let content_type = HeaderValue::from_static(FileType::from_name_or_html(name).content_type);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
