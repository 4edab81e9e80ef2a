//! The socket of monitoring systems, and what answers them.

use tokio::sync::watch;

use super::build_connection_limits;
use crate::config::Config;
use crate::config::values::Secret;
use crate::http::listen::{ConnectionLimits, CurrentState, Listener, ServedSocket, serve};
use crate::http::{Audience, ConnectionRules, Connections};
use crate::metrics::{MetricsService, MetricsSource};
use crate::wiring::WiredApp;

/// Requests of monitoring systems that are answered at the same time, of which one address may have all.
const MAX_REQUESTS: usize = 16;

/// Opens the socket of monitoring systems, if they have one. Processes of all roles do.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn open_listener(config: &Config) -> Result<Option<Listener>, String> {
    match &config.metrics_bind {
        Some(bind) => Listener::open(Some(bind), config.port).await.map(Some),
        None => Ok(None),
    }
}

/// Serves monitoring systems until `stop` becomes true, whatever happens on the other sockets.
pub async fn serve_listener(
    config: &Config,
    state: &CurrentState,
    listener: Option<Listener>,
    stop: watch::Receiver<bool>,
) {
    let Some(listener) = listener else { return };
    tracing::info!(url = listener.url(), "metrics listening");
    let limits = build_connection_limits(config);
    let rules = ConnectionRules {
        max_requests: MAX_REQUESTS,
        max_per_address: MAX_REQUESTS,
        ..limits.rules
    };
    let limits = ConnectionLimits { rules, ..limits };
    let connections = Connections::new(rules);
    let socket = ServedSocket { listener, audience: Audience::Metrics, tls: None, connections };
    serve(socket, state.clone(), limits, stop).await;
}

/// Builds what answers them.
pub fn build_service(config: &Config, wired: &WiredApp) -> MetricsService {
    let source = MetricsSource {
        app: wired.app.clone(),
        health: wired.health.clone(),
        certificate: wired.certificate.clone(),
        requests: wired.request_meters.clone(),
    };
    let token = config.metrics_token.as_ref().map(|Secret(token)| token.clone());
    MetricsService::new(source, token.filter(|token| !token.is_empty()))
}
