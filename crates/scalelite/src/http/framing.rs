//! Checks of a request's head that the HTTP library leaves to its users. What proxies in front could read in another way is refused.

use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::access_log::AccessLogLine;
use super::message::HttpResponse;
use super::respond::{self, ResponseBody};

/// Checks the head of a request, and makes `Host` the host that the target names, if it names one (RFC 9112, 3.2.2).
///
/// # Errors
/// When the head is refused. The text is for the log.
pub(super) fn check_head(parts: &mut Parts) -> Result<(), &'static str> {
    if parts.method == Method::CONNECT {
        return Err("CONNECT");
    }
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !codings.next().is_none_or(is_chunked) || codings.next().is_some() {
        return Err("a transfer coding besides chunked");
    }
    if parts.headers.get_all(header::HOST).iter().count() > 1 {
        return Err("more than one Host");
    }
    if let Some(authority) = parts.uri.authority() {
        let authority = authority.as_str();
        let host = HeaderValue::from_str(authority).map_err(|_| "an invalid host")?;
        if authority.contains('@') {
            return Err("a user in the target");
        }
        parts.headers.insert(header::HOST, host);
    }
    Ok(())
}

/// Returns the refusal of a head. The connection is closed after it, because its body may have another length than it seems.
pub(super) fn refuse(reason: &str, line: AccessLogLine) -> Response<ResponseBody> {
    let mut refusal = HttpResponse::ok("-", respond::text(StatusCode::BAD_REQUEST, ""));
    refusal.result = format!("refused: {reason}");
    line.write("-", &refusal.request_log, &refusal.summary());
    let mut response = refusal.response;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// The `Host` after the check of a head with these headers.
    fn check(target: &str, headers: &[(&str, &str)]) -> Result<String, &'static str> {
        let request = Request::builder().uri(target);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut parts = request.body(()).unwrap().into_parts().0;
        check_head(&mut parts)?;
        Ok(parts
            .headers
            .get(header::HOST)
            .map(|host| host.to_str().unwrap().to_owned())
            .unwrap_or_default())
    }

    #[test]
    fn only_one_way_of_reading_is_accepted() {
        let coding = |value| [("transfer-encoding", value)];
        assert!(check("/", &coding("Chunked")).is_ok() && check("/", &[]).is_ok());
        for value in ["identity, chunked", "gzip, chunked", "chunked, chunked", "identity"] {
            assert!(check("/", &coding(value)).is_err(), "{value}");
        }
        let twice = [("transfer-encoding", "identity"), ("transfer-encoding", "chunked")];
        assert!(check("/", &twice).is_err());
        assert!(check("/", &[("host", "a"), ("host", "b")]).is_err());
    }

    #[test]
    fn a_host_in_the_target_counts() {
        let evil = [("host", "evil.test")];
        assert_eq!(check("http://lb.test:80/a", &evil).as_deref(), Ok("lb.test:80"));
        assert_eq!(check("http://lb.test/a", &[]).as_deref(), Ok("lb.test"));
        assert_eq!(check("/a", &evil).as_deref(), Ok("evil.test"));
        assert!(check("http://lb.test@evil.test/a", &evil).is_err());
    }
}
