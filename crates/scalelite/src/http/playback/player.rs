//! BBB's player, a program that runs in the browser. It makes the paths below its own itself, so
//! every path that is not a file leads to its first page.

use std::sync::Arc;

use domain::recording::{FilePath, RecordingFormatId};
use http::{HeaderValue, Response, StatusCode};

use super::delivery::{self, FileHeaders, FileSource};
use super::error::PlaybackResult;
use super::paths::RelativePath;
use super::player_files::PlayerFiles;
use super::service::PlaybackService;
use crate::http::message::ApiRequest;
use crate::http::respond::{self, ResponseBody};

/// `Content-Security-Policy` of the player. It shows videos of other sites that were shown in the
/// meeting, and the one of BBB 3.0 loads the fonts, translations and icons of its whiteboard from
/// unpkg.com.
const SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: https:; \
     style-src 'self' 'unsafe-inline' https:; font-src 'self' data: https:; img-src 'self' data: blob: https:; \
     media-src 'self' data: blob: https:; connect-src 'self' data: blob: https:; worker-src 'self' blob:; \
     frame-src 'self' https:; object-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors *",
);

/// Sends a file of the player, or its first page.
pub(super) async fn send_file(
    service: &Arc<PlaybackService>,
    path: Option<RelativePath>,
    request: &ApiRequest,
) -> PlaybackResult {
    let Some(path) = path else { return Ok(None) };
    let Some(dir) = &service.player_dir else {
        return Ok(redirect_to_listing(&path));
    };
    let source = FileSource::Player(PlayerFiles { dir });
    let file_headers = FileHeaders {
        is_attachment: false,
        cache_control: "no-cache",
        security_policy: service.security_policy.clone().unwrap_or(SECURITY_POLICY),
    };
    let (method, headers) = (&request.method, &request.headers);
    if let Some(file) = path.file.as_ref().filter(|_| !path.trailing_slash) {
        let response =
            delivery::send_file(&source, file, method, headers, file_headers.clone()).await?;
        // A missing script must not be answered with a page.
        if response.is_some() || file.as_str().starts_with("static/") {
            return Ok(response);
        }
    }
    let Some(first_page) = FilePath::parse("index.html") else { return Ok(None) };
    delivery::send_file(&source, &first_page, method, headers, file_headers).await
}

/// Without a player, redirects to the listing page that every recording has.
fn redirect_to_listing(path: &RelativePath) -> Option<Response<ResponseBody>> {
    let format_id = RecordingFormatId::parse(path.file.as_ref()?.as_str(), "presentation")?;
    let location = format!("{}/", format_id.subject());
    respond::redirect_with_status(StatusCode::TEMPORARY_REDIRECT, &location)
}
