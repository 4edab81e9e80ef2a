//! Recordings in the browser: the link to one, its files, and the player's.
//!
//! Every byte of a recording goes out through `files.rs`, against a permit of `domain::recording::playback_access`. The
//! paths are those of BBB's and the original's web servers, which stored links name.

mod cdn;
mod conditions;
mod cookies;
mod delivery;
mod files;
mod gzip;
mod link;
mod listing;
pub mod locale;
mod paths;
mod player;

use std::path::PathBuf;
use std::sync::Arc;

use app::App;
use app::api::ApiError;
use app::playback::caller_scope;
use app::ports::{BlobError, StoreError};
use domain::recording::catalog::TenantScope;
use http::{HeaderValue, Method, Response, StatusCode, header};

use self::paths::PlaybackTarget;
use super::respond::{self, ResponseBody};
use super::route::{ApiRequest, HttpResponse};

pub use cdn::Cdn;
pub use locale::NotFoundPage;

/// Recordings that can be watched, and how.
pub struct PlaybackService {
    /// Who may watch what.
    pub playback: app::playback::Playback,
    /// Names of formats that begin paths of files (`RECORDING_PLAYBACK_FORMATS`).
    pub formats: Vec<String>,
    /// Whether a web server in front sends the files when it is told to, and the player's too.
    pub x_accel: bool,
    /// Where BBB's player lies, if there is one.
    pub player_dir: Option<PathBuf>,
    /// What those see who may not watch.
    pub not_found_page: NotFoundPage,
    /// Where pages are to be loaded from instead.
    pub cdn: Option<Cdn>,
}

/// What keeps an answer about recordings from being given.
#[derive(Debug)]
enum PlaybackError {
    Store(StoreError),
    Files(BlobError),
    /// A fault of ours.
    Internal(&'static str),
}

impl From<StoreError> for PlaybackError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BlobError> for PlaybackError {
    fn from(error: BlobError) -> Self {
        Self::Files(error)
    }
}

/// A request, and what it takes to answer it.
#[derive(Clone, Copy)]
struct PlaybackRequest<'a> {
    app: &'a App,
    service: &'a PlaybackService,
    /// Whose recordings may be watched.
    scope: &'a TenantScope,
    request: &'a ApiRequest,
}

/// An answer, or nothing for what may not be watched.
type PlaybackResult = Result<Option<Response<ResponseBody>>, PlaybackError>;

/// Answers a request if it is one about recordings.
pub(super) async fn handle_target(
    app: &App,
    theatre: &Arc<PlaybackService>,
    target: &str,
    incomer: &ApiRequest,
) -> Option<HttpResponse> {
    let place = PlaybackTarget::parse(target, &theatre.formats, !theatre.x_accel)?;
    let name = place.name();
    if ![Method::GET, Method::HEAD].contains(&incomer.method) {
        return Some(HttpResponse::failed(name, &ApiError::Unsupported));
    }
    let answered = match place {
        PlaybackTarget::Redirect { status, to } => Ok(respond::redirect_with_status(status, &to)),
        PlaybackTarget::Player(path) => player::send_file(theatre, path, incomer).await,
        PlaybackTarget::Link { .. } | PlaybackTarget::File { .. } => {
            // A host of nobody's gets what every call gets there.
            let scope = match app::api::identify_caller(app, incomer.tenant.as_deref()).await {
                Ok(caller) => caller_scope(&caller),
                Err(error) => return Some(HttpResponse::failed(name, &error)),
            };
            serve_recording(
                place,
                PlaybackRequest { app, service: theatre, scope: &scope, request: incomer },
            )
            .await
        }
    };
    Some(to_http_response(name, theatre, answered))
}

async fn serve_recording(place: PlaybackTarget<'_>, stage: PlaybackRequest<'_>) -> PlaybackResult {
    match place {
        PlaybackTarget::Link { record_id, format, query } => {
            link::follow_link(stage, (record_id, format), query).await
        }
        PlaybackTarget::File { record_id, format, path, query } => {
            files::send_file(stage, (record_id, format), path.as_ref(), query).await
        }
        PlaybackTarget::Redirect { .. } | PlaybackTarget::Player(_) => Ok(None),
    }
}

fn to_http_response(
    name: &'static str,
    theatre: &PlaybackService,
    answered: PlaybackResult,
) -> HttpResponse {
    match answered {
        Ok(Some(response)) => HttpResponse::ok(name, response),
        Ok(None) => {
            let mut outcome = HttpResponse::ok(name, theatre.not_found_page.to_response());
            outcome.result = "not found".to_owned();
            outcome
        }
        Err(trouble) => {
            let detail = match trouble {
                PlaybackError::Store(error) => error.to_string(),
                PlaybackError::Files(error) => error.to_string(),
                PlaybackError::Internal(what) => what.to_owned(),
            };
            let mut outcome = HttpResponse::ok(name, try_again_response());
            outcome.result = "internalError".to_owned();
            outcome.detail = Some(detail);
            outcome
        }
    }
}

/// For those who come at a bad moment.
fn try_again_response() -> Response<ResponseBody> {
    let text = "This recording cannot be shown now. Please try again later.\n";
    let mut response = respond::text(StatusCode::SERVICE_UNAVAILABLE, text);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
