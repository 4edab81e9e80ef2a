//! `sign`: a signed URL, as everybody needs it who debugs BBB.

use app::App;
use app::admin::servers;
use bbb::{Query, checksum};

use crate::output::print_line;

use super::{CommandContext, CommandFailure};

/// Prints the signed URL of a call on the balancer, or on one of its servers.
pub async fn run(
    session: &CommandContext,
    call: &str,
    parameters: &[String],
    url: Option<String>,
    server: Option<String>,
) -> Result<(), CommandFailure> {
    let mut query = Query::default();
    for parameter in parameters {
        let (name, value) = parameter
            .split_once('=')
            .ok_or_else(|| CommandFailure(format!("ERROR: `{parameter}` is not name=value")))?;
        query.push(name, value);
    }
    if let Some(id) = server {
        let found = servers::find(&session.app, &id).await;
        let server =
            found.map_err(|_| CommandFailure(format!("ERROR: No server found with id: {id}")))?;
        print_line(session.app.signed_url(&server, call, &query));
        return Ok(());
    }
    let base = url.unwrap_or_else(|| session.url.clone());
    let base = base.trim_end_matches('/').trim_end_matches("/bigbluebutton/api");
    let base = base.trim_end_matches("/bigbluebutton");
    let none = || CommandFailure("ERROR: there is no secret".to_owned());
    print_line(signed_url(&session.app, base, call, &query).ok_or_else(none)?);
    Ok(())
}

/// A signed call on the balancer that listens there; `None` without a secret.
pub fn signed_url(app: &App, base: &str, call: &str, query: &Query) -> Option<String> {
    let secret = app.policy.secrets.first()?;
    let query = checksum::sign_query(call, &query.to_text(), secret, app.policy.signing_algorithm);
    Some(format!("{base}/bigbluebutton/api/{call}?{query}"))
}
