//! `sign`: prints the signed URL of a BBB call, for tests and troubleshooting.

use app::App;
use app::admin::servers;
use bbb::{Query, checksum};

use crate::output::print_line;

use super::secret::no_secret;
use super::{CommandContext, CommandFailure};

/// Prints the signed URL of a call to the balancer, or to one of its servers.
pub async fn run(
    context: &CommandContext,
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
        let server = servers::find(&context.app, &id).await;
        let server =
            server.map_err(|_| CommandFailure(format!("ERROR: No server found with id: {id}")))?;
        print_line(context.app.signed_url(&server, call, &query));
        return Ok(());
    }
    let base = url.unwrap_or_else(|| context.url.clone());
    let base = base.trim_end_matches('/').trim_end_matches("/bigbluebutton/api");
    let base = base.trim_end_matches("/bigbluebutton");
    let signed = signed_url(&context.app, base, call, &query);
    print_line(signed.ok_or_else(|| no_secret(context))?);
    Ok(())
}

/// The signed URL of a call to the balancer at `base`; `None` without a secret.
pub fn signed_url(app: &App, base: &str, call: &str, query: &Query) -> Option<String> {
    let secret = app.policy.secrets.first()?;
    let query = checksum::sign_query(call, &query.to_text(), secret, app.policy.signing_algorithm);
    Some(format!("{base}/bigbluebutton/api/{call}?{query}"))
}
