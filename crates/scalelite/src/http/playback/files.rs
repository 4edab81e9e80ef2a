//! The files of a recording, `/<format>/<id>/…`.

use domain::recording::Kind;
use domain::recording::watching::{Permit, Wish};
use http::{HeaderName, HeaderValue, Response, header};

use super::delivery::{self, Manner, Source};
use super::paths::{Path, with_query};
use super::{Answered, Stage, Theatre, Trouble, cdn, cookies, listing};
use crate::http::origin::Origin;
use crate::http::respond::{self, Body};
use crate::http::route::Incomer;

const X_ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");
/// Where the web server in front keeps the files, as the original's configuration of nginx calls it.
const STATIC: &str = "/static-resource";

/// Formats that are shown in the browser; files of the others are downloaded, as with the original.
const SHOWN: [&str; 3] = ["presentation", "video", "screenshare"];

/// What pages of recordings may do. They are made of what people wrote, so nothing is sent anywhere but to us.
const POLICY: &str = "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; \
    style-src 'self' 'unsafe-inline'; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'none'; \
    frame-ancestors *";

/// Sends a file to somebody who may watch it.
pub(super) async fn send(
    Stage { app, theatre, scope, incomer }: Stage<'_>,
    (record_id, format): (&str, &str),
    path: Option<&Path>,
    query: &str,
) -> Answered {
    let (Some(wish), Some(path)) = (Wish::parse(record_id, format), path) else {
        return Ok(None);
    };
    let passes = cookies::passes(&incomer.headers, &wish);
    let playback = &theatre.playback;
    let permit = playback.permit(app, wish, scope, &passes).await?;
    let Some(permit) = permit else { return Ok(None) };
    if theatre.x_accel {
        return in_front(&permit, path, query).map(Some);
    }
    // The cookies for the network are for TLS only.
    let origin = Origin::of(&incomer.headers);
    if let Some(cdn) = theatre.cdn.as_ref().filter(|_| cdn::concerns(path) && origin.is_secure()) {
        let at = format!("{}{}", permit.wish().subject(), path.encoded());
        let now = app.clock.now();
        return cdn.redirect(&with_query(&at, query), &permit, &origin, now).map(Some);
    }
    let source = Source::Recording(playback, &permit);
    if let Some(file) = path.file.as_ref().filter(|_| !path.slash) {
        let sent =
            delivery::send(&source, file, &incomer.method, &incomer.headers, manner(&permit))
                .await?;
        if sent.is_some() {
            return Ok(sent);
        }
    }
    directory(&source, theatre, &permit, path, query, incomer).await
}

/// A directory: its page, which the root of a recording always has.
async fn directory(
    source: &Source<'_>,
    theatre: &Theatre,
    permit: &Permit,
    path: &Path,
    query: &str,
    incomer: &Incomer,
) -> Answered {
    let Some(index) = path.index() else { return Ok(None) };
    let is_root = path.file.is_none();
    if path.bare || !path.slash {
        let is_there = is_root || source.info(&index).await?.is_some();
        let to = format!("{}{}/", permit.wish().subject(), path.encoded());
        let moved = || respond::moved(http::StatusCode::MOVED_PERMANENTLY, &with_query(&to, query));
        return Ok(is_there.then(moved).flatten());
    }
    let sent =
        delivery::send(source, &index, &incomer.method, &incomer.headers, manner(permit)).await?;
    if sent.is_some() || !is_root {
        return Ok(sent);
    }
    listing::page(theatre, permit).await
}

fn manner(permit: &Permit) -> Manner {
    // Always asked for again: what was unpublished is not to be seen any more.
    let cache = if permit.is_protected() { "private, no-cache" } else { "no-cache" };
    let attachment = !SHOWN.contains(&permit.wish().format.as_str());
    Manner { attachment, cache, policy: POLICY }
}

/// Has the web server in front send the file.
fn in_front(permit: &Permit, path: &Path, query: &str) -> Result<Response<Body>, Trouble> {
    let at = format!("{STATIC}{}{}", permit.wish().subject(), path.encoded());
    let at = HeaderValue::from_str(&with_query(&at, query));
    let at = at.map_err(|_| Trouble::Internal("a path that cannot stand in a header"))?;
    let name = path.file.as_ref().filter(|_| !path.slash).map_or("", |file| file.name());
    let mut response = Response::new(respond::nothing());
    let headers = response.headers_mut();
    headers.insert(X_ACCEL_REDIRECT, at);
    if manner(permit).attachment {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    let content_type = HeaderValue::from_static(Kind::or_page(name).content_type);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
