//! What playback handlers need: the playback service, and a request with its context.

use std::path::PathBuf;

use app::App;
use app::playback::Playback;
use domain::recording::catalog::TenantScope;
use http::HeaderValue;

use super::cdn::Cdn;
use super::not_found::NotFoundPage;
use crate::http::message::ApiRequest;

/// Playback of recordings, and its settings.
pub struct PlaybackService {
    /// Use cases: permits, tokens and files.
    pub playback: Playback,
    /// Names of formats whose files are served, the first segment of their paths
    /// (`RECORDING_PLAYBACK_FORMATS`).
    pub formats: Vec<String>,
    /// Whether a web server in front sends files on `X-Accel-Redirect`; it also serves the player.
    pub x_accel: bool,
    /// Directory of BBB's player, if it is installed.
    pub player_dir: Option<PathBuf>,
    /// `PLAYBACK_CSP`: the policy of the player and of the pages of recordings, instead of ours.
    pub security_policy: Option<HeaderValue>,
    /// The page for recordings that do not exist or may not be watched.
    pub not_found_page: NotFoundPage,
    /// Content delivery network to which requests for pages are redirected.
    pub cdn: Option<Cdn>,
}

/// A playback request and its context.
#[derive(Clone, Copy)]
pub(super) struct PlaybackRequest<'a> {
    pub(super) app: &'a App,
    pub(super) service: &'a PlaybackService,
    /// Tenant whose recordings may be watched.
    pub(super) scope: &'a TenantScope,
    pub(super) request: &'a ApiRequest,
}
