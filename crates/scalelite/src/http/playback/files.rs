//! The files of recordings, `/<format>/<id>/…`.

use domain::recording::playback_access::PlaybackPermit;
use domain::recording::{FileType, RecordingFormatId};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use super::delivery::{self, FileHeaders, FileSource};
use super::error::{PlaybackError, PlaybackResult};
use super::paths::{RelativePath, with_query};
use super::service::{PlaybackRequest, PlaybackService};
use super::{cdn, cookies, listing};
use crate::http::message::ApiRequest;
use crate::http::origin::Origin;
use crate::http::respond::{self, ResponseBody};

const X_ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");
/// Internal location of the files in the web server in front, as the original's nginx
/// configuration names it.
const X_ACCEL_PREFIX: &str = "/static-resource";

/// Formats whose files browsers show; files of other formats are downloaded, as in the original.
const INLINE_FORMATS: [&str; 3] = ["presentation", "video", "screenshare"];

/// `Content-Security-Policy` of the pages of recordings. They contain texts that users wrote, so
/// they may send nothing to other hosts.
const SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; \
     style-src 'self' 'unsafe-inline'; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'none'; \
     frame-ancestors *",
);

/// Sends a file of a recording to a client that may watch it.
pub(super) async fn send_file(
    PlaybackRequest { app, service, scope, request }: PlaybackRequest<'_>,
    (record_id, format): (&str, &str),
    path: Option<&RelativePath>,
    query: &str,
) -> PlaybackResult {
    let (Some(format_id), Some(path)) = (RecordingFormatId::parse(record_id, format), path) else {
        return Ok(None);
    };
    let passes = cookies::read_passes(&request.headers, &format_id);
    let passes: Vec<&str> = passes.iter().map(String::as_str).collect();
    let playback = &service.playback;
    let permit = playback.find_permit(app, format_id, scope, &passes).await?;
    let Some(permit) = permit else { return Ok(None) };
    if service.x_accel {
        return x_accel_response(&permit, path, query).map(Some);
    }
    // The cookies of the network are for TLS only.
    let origin = Origin::from_headers(&request.headers, request.client.is_https);
    let cdn = service.cdn.as_ref().filter(|_| cdn::is_page_path(path) && origin.is_secure());
    if let Some(cdn) = cdn {
        let (path, now) = (path.to_encoded(), app.clock.now());
        return cdn.redirect((&path, query), &permit, &origin, now).map(Some);
    }
    let source = FileSource::Recording(playback, &permit);
    if let Some(file) = path.file.as_ref().filter(|_| !path.trailing_slash) {
        let (method, headers) = (&request.method, &request.headers);
        let file_headers = file_headers(service, &permit);
        let response = delivery::send_file(&source, file, method, headers, file_headers).await?;
        if response.is_some() {
            return Ok(response);
        }
    }
    send_directory(&source, service, &permit, path, query, request).await
}

/// Sends the index page of a directory. The root of a recording always has a page: its own, or the
/// listing.
async fn send_directory(
    source: &FileSource<'_>,
    service: &PlaybackService,
    permit: &PlaybackPermit,
    path: &RelativePath,
    query: &str,
    request: &ApiRequest,
) -> PlaybackResult {
    let Some(index) = path.index_file() else { return Ok(None) };
    let is_root = path.file.is_none();
    if path.empty || !path.trailing_slash {
        let exists = is_root || source.info(&index).await?.is_some();
        let location = format!("{}{}/", permit.format_id().subject(), path.to_encoded());
        let location = with_query(&location, query);
        let status = StatusCode::MOVED_PERMANENTLY;
        return Ok(exists.then(|| respond::redirect_with_status(status, &location)).flatten());
    }
    let (method, headers) = (&request.method, &request.headers);
    let file_headers = file_headers(service, permit);
    let response = delivery::send_file(source, &index, method, headers, file_headers).await?;
    if response.is_some() || !is_root {
        return Ok(response);
    }
    listing::send_page(service, permit).await
}

fn file_headers(service: &PlaybackService, permit: &PlaybackPermit) -> FileHeaders {
    // Caches must revalidate: an unpublished recording must not be shown any longer.
    let cache_control = if permit.is_protected() { "private, no-cache" } else { "no-cache" };
    FileHeaders {
        is_attachment: is_attachment(permit),
        cache_control,
        security_policy: service.security_policy.clone().unwrap_or(SECURITY_POLICY),
    }
}

fn is_attachment(permit: &PlaybackPermit) -> bool {
    !INLINE_FORMATS.contains(&permit.format_id().format.as_str())
}

/// Builds the response on which the web server in front sends the file.
fn x_accel_response(
    permit: &PlaybackPermit,
    path: &RelativePath,
    query: &str,
) -> Result<Response<ResponseBody>, PlaybackError> {
    let location = format!("{X_ACCEL_PREFIX}{}{}", permit.format_id().subject(), path.to_encoded());
    let location = HeaderValue::from_str(&with_query(&location, query))
        .map_err(|_| PlaybackError::Internal("a path is not valid in a header"))?;
    let name = path.file.as_ref().filter(|_| !path.trailing_slash).map_or("", |file| file.name());
    let mut response = Response::new(respond::empty_body());
    let headers = response.headers_mut();
    headers.insert(X_ACCEL_REDIRECT, location);
    if is_attachment(permit) {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    let content_type = HeaderValue::from_static(FileType::from_name_or_html(name).content_type);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
