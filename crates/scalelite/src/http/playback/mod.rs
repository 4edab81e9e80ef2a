//! Recordings in the browser: the link to one, its files, and the player's.
//!
//! Every byte of a recording goes out through `files.rs`, against a permit of `domain::recording::watching`. The
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
use app::playback::scope_of;
use app::ports::{BlobError, StoreError};
use domain::recording::library::Scope;
use http::{HeaderValue, Method, Response, StatusCode, header};

use self::paths::Place;
use super::respond::{self, Body};
use super::route::{Incomer, Outcome};

pub use cdn::Cdn;
pub use locale::NotFoundPage;

/// Recordings that can be watched, and how.
pub struct Theatre {
    /// Who may watch what.
    pub playback: app::playback::Playback,
    /// Names of formats that begin paths of files (`RECORDING_PLAYBACK_FORMATS`).
    pub formats: Vec<String>,
    /// Whether a web server in front sends the files when it is told to, and the player's too.
    pub x_accel: bool,
    /// Where BBB's player lies, if there is one.
    pub player_dir: Option<PathBuf>,
    /// What those see who may not watch.
    pub not_found: NotFoundPage,
    /// Where pages are to be loaded from instead.
    pub cdn: Option<Cdn>,
}

/// What keeps an answer about recordings from being given.
#[derive(Debug)]
enum Trouble {
    Store(StoreError),
    Files(BlobError),
    /// A fault of ours.
    Internal(&'static str),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BlobError> for Trouble {
    fn from(error: BlobError) -> Self {
        Self::Files(error)
    }
}

/// A request, and what it takes to answer it.
#[derive(Clone, Copy)]
struct Stage<'a> {
    app: &'a App,
    theatre: &'a Theatre,
    /// Whose recordings may be watched.
    scope: &'a Scope,
    incomer: &'a Incomer,
}

/// An answer, or nothing for what may not be watched.
type Answered = Result<Option<Response<Body>>, Trouble>;

/// Answers a request if it is one about recordings.
pub(super) async fn answer(
    app: &App,
    theatre: &Arc<Theatre>,
    target: &str,
    incomer: &Incomer,
) -> Option<Outcome> {
    let place = Place::of(target, &theatre.formats, !theatre.x_accel)?;
    let name = place.name();
    if ![Method::GET, Method::HEAD].contains(&incomer.method) {
        return Some(Outcome::failed(name, &ApiError::Unsupported));
    }
    let answered = match place {
        Place::Moved { status, to } => Ok(respond::moved(status, &to)),
        Place::Player(path) => player::send(theatre, path, incomer).await,
        Place::Link { .. } | Place::File { .. } => {
            // A host of nobody's gets what every call gets there.
            let scope = match app::api::caller(app, incomer.tenant.as_deref()).await {
                Ok(caller) => scope_of(&caller),
                Err(error) => return Some(Outcome::failed(name, &error)),
            };
            watched(place, Stage { app, theatre, scope: &scope, incomer }).await
        }
    };
    Some(outcome(name, theatre, answered))
}

async fn watched(place: Place<'_>, stage: Stage<'_>) -> Answered {
    match place {
        Place::Link { record_id, format, query } => {
            link::follow(stage, (record_id, format), query).await
        }
        Place::File { record_id, format, path, query } => {
            files::send(stage, (record_id, format), path.as_ref(), query).await
        }
        Place::Moved { .. } | Place::Player(_) => Ok(None),
    }
}

fn outcome(name: &'static str, theatre: &Theatre, answered: Answered) -> Outcome {
    match answered {
        Ok(Some(response)) => Outcome::ok(name, response),
        Ok(None) => {
            let mut outcome = Outcome::ok(name, theatre.not_found.response());
            outcome.result = "not found".to_owned();
            outcome
        }
        Err(trouble) => {
            let detail = match trouble {
                Trouble::Store(error) => error.to_string(),
                Trouble::Files(error) => error.to_string(),
                Trouble::Internal(what) => what.to_owned(),
            };
            let mut outcome = Outcome::ok(name, try_again());
            outcome.result = "internalError".to_owned();
            outcome.detail = Some(detail);
            outcome
        }
    }
}

/// For those who come at a bad moment.
fn try_again() -> Response<Body> {
    let text = "This recording cannot be shown now. Please try again later.\n";
    let mut response = respond::text(StatusCode::SERVICE_UNAVAILABLE, text);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
