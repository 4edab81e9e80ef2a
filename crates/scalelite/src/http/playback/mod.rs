//! Playback of recordings in browsers: links to recordings, their files, and BBB's player.
//!
//! Every byte of a recording is sent by `files.rs`, and only with a permit of
//! `domain::recording::playback_access`. The paths are those of the web servers of BBB and of the
//! original, because stored links name them.

mod cdn;
mod conditions;
mod cookies;
mod delivery;
mod error;
mod files;
mod gzip;
mod link;
mod listing;
mod not_found;
mod paths;
mod player;
mod player_files;
mod service;

use std::sync::Arc;

use app::App;
use app::api::ApiError;
use app::playback::caller_scope;
use http::{Method, StatusCode};

use self::error::{PlaybackError, PlaybackResult};
use self::paths::PlaybackTarget;
use self::service::PlaybackRequest;
use super::message::{ApiRequest, HttpResponse};
use super::respond;

pub use cdn::Cdn;
pub use not_found::NotFoundPage;
pub use service::PlaybackService;

/// Answers a request whose target is a playback path; returns `None` for any other target.
pub(super) async fn handle_target(
    app: &App,
    service: &Arc<PlaybackService>,
    target: &str,
    request: &ApiRequest,
) -> Option<HttpResponse> {
    let target = PlaybackTarget::parse(target, &service.formats, !service.x_accel)?;
    let name = target.name();
    if ![Method::GET, Method::HEAD].contains(&request.method) {
        return Some(HttpResponse::failed(name, &ApiError::Unsupported));
    }
    let result = match target {
        PlaybackTarget::Redirect { status, to } => Ok(respond::redirect_with_status(status, &to)),
        PlaybackTarget::Player(path) => player::send_file(service, path, request).await,
        PlaybackTarget::Link { .. } | PlaybackTarget::File { .. } => {
            // An unknown tenant gets the error that every call gets.
            let scope = match app::api::identify_caller(app, request.tenant.as_deref()).await {
                Ok(caller) => caller_scope(&caller),
                Err(error) => return Some(HttpResponse::failed(name, &error)),
            };
            let playback_request = PlaybackRequest { app, service, scope: &scope, request };
            serve_recording(target, playback_request).await
        }
    };
    Some(to_http_response(name, service, result))
}

/// Redirects a playback path to the host of recordings (`PLAYBACK_HOST`); returns `None` for any other target.
pub(super) fn redirect_to_host(
    service: &PlaybackService,
    target: &str,
    method: &Method,
    origin: &str,
) -> Option<HttpResponse> {
    let found = PlaybackTarget::parse(target, &service.formats, !service.x_accel)?;
    if ![Method::GET, Method::HEAD].contains(method) {
        return None;
    }
    // A target with two slashes at its beginning would name another host.
    let target = format!("{origin}/{}", target.trim_start_matches('/'));
    let response = respond::redirect_with_status(StatusCode::TEMPORARY_REDIRECT, &target)?;
    Some(HttpResponse::ok(found.name(), response))
}

async fn serve_recording(
    target: PlaybackTarget<'_>,
    request: PlaybackRequest<'_>,
) -> PlaybackResult {
    match target {
        PlaybackTarget::Link { record_id, format, query } => {
            link::follow_link(request, (record_id, format), query).await
        }
        PlaybackTarget::File { record_id, format, path, query } => {
            files::send_file(request, (record_id, format), path.as_ref(), query).await
        }
        PlaybackTarget::Redirect { .. } | PlaybackTarget::Player(_) => Ok(None),
    }
}

fn to_http_response(
    name: &'static str,
    service: &PlaybackService,
    result: PlaybackResult,
) -> HttpResponse {
    match result {
        Ok(Some(response)) => HttpResponse::ok(name, response),
        Ok(None) => {
            let mut response = HttpResponse::ok(name, service.not_found_page.to_response());
            response.result = "not found".to_owned();
            response
        }
        Err(error) => {
            let detail = match error {
                PlaybackError::Store(error) => error.to_string(),
                PlaybackError::Files(error) => error.to_string(),
                PlaybackError::Internal(error) => error.to_owned(),
            };
            let mut response = HttpResponse::ok(name, error::retry_later_response());
            response.result = "internalError".to_owned();
            response.detail = Some(detail);
            response
        }
    }
}
