//! Pages from a content delivery network (`CLOUDFRONT_URL`): browsers are redirected there with
//! signed cookies, for which the network serves the page and everything that it loads. Source:
//! Amazon CloudFront, "Use signed cookies", custom policy.
//!
//! The signature uses SHA-256, which one of the cookies announces, because maintained libraries no
//! longer sign with SHA-1.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cookie::Cookie;
use domain::Timestamp;
use domain::recording::FileType;
use domain::recording::playback_access::PlaybackPermit;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::cookies;
use super::error::PlaybackError;
use super::paths::{RelativePath, with_query};
use crate::http::origin::Origin;
use crate::http::respond::{self, ResponseBody};

/// The prefix of published recordings in the bucket that the network serves.
const PUBLISHED_PREFIX: &str = "/published";
/// The page of a directory. The network knows no other name for it.
const INDEX_PAGE: &str = "index.html";
/// Lifetime of the cookies, in ms; each page sets new ones.
const COOKIE_LIFETIME_MS: i64 = 5 * 60 * 1000;

/// Signs a message with an RSA key (SHA-256, PKCS #1 v1.5).
pub type Signer = Arc<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// A content delivery network, and a key that it trusts.
#[derive(Clone)]
pub struct Cdn {
    /// `CLOUDFRONT_URL`: scheme and host.
    pub url: String,
    /// `CF_KEY_PAIR_ID`.
    pub key_pair_id: String,
    /// Signs with the private key (`CF_PRIVATE_KEY_B64`).
    pub signer: Signer,
}

/// Returns whether a path names a page. Only pages are redirected; everything that they load, they
/// load from the host that serves them.
pub(super) fn is_page_path(path: &RelativePath) -> bool {
    path.trailing_slash
        || path.file.as_ref().is_some_and(|file| FileType::from_name(file.name()).is_html())
}

impl Cdn {
    /// Redirects a browser with a permit to a page of the recording on the network. `path` is that of
    /// the page below the directory of its format.
    pub(super) fn redirect(
        &self,
        (path, query): (&str, &str),
        permit: &PlaybackPermit,
        origin: &Origin<'_>,
        now: Timestamp,
    ) -> Result<Response<ResponseBody>, PlaybackError> {
        let internal = || PlaybackError::Internal("building signed cookies failed");
        let url = self.url.trim_end_matches('/');
        let prefix = format!("{PUBLISHED_PREFIX}{}", permit.format_id().subject());
        let page = if path.ends_with('/') { INDEX_PAGE } else { "" };
        let target = with_query(&format!("{url}{prefix}{path}{page}"), query);
        let response = respond::redirect_with_status(StatusCode::TEMPORARY_REDIRECT, &target);
        let mut response = response.ok_or_else(internal)?;
        let signed_cookies = self.sign_cookies(&prefix, now).ok_or_else(internal)?;
        let host = url.split_once("://").map_or(url, |(_, host)| host);
        let domain = shared_domain(origin.host(), host);
        let headers = response.headers_mut();
        for (name, value) in signed_cookies {
            let mut cookie = Cookie::new(format!("CloudFront-{name}"), value);
            cookie.set_path("/");
            if let Some(domain) = domain {
                cookie.set_domain(domain);
            }
            let cookie = cookies::to_header(cookie).ok_or_else(internal)?;
            headers.append(header::SET_COOKIE, cookie);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    fn sign_cookies(&self, prefix: &str, now: Timestamp) -> Option<[(&'static str, String); 4]> {
        let resource = format!("{}{prefix}/*", self.url.trim_end_matches('/'));
        let until_s = now.0.saturating_add(COOKIE_LIFETIME_MS).div_euclid(1000);
        let until = json!({ "DateLessThan": { "AWS:EpochTime": until_s } });
        let policy = json!({ "Statement": [{ "Condition": until, "Resource": resource }] });
        let policy = policy.to_string();
        let signature = (self.signer)(policy.as_bytes())?;
        Some([
            ("Policy", encode_cookie_value(policy.as_bytes())),
            ("Signature", encode_cookie_value(&signature)),
            ("Key-Pair-Id", self.key_pair_id.clone()),
            ("Hash-Algorithm", "SHA256".to_owned()),
        ])
    }
}

/// Encodes bytes in CloudFront's variant of base64.
fn encode_cookie_value(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('+', "-").replace('=', "_").replace('/', "~")
}

/// Returns the longest domain that both hosts belong to, so that a cookie set by one is sent to the
/// other. A domain of a single label cannot be shared.
fn shared_domain<'a>(own_host: &str, cdn_host: &'a str) -> Option<&'a str> {
    let contains_own_host = |domain: &str| {
        own_host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let mut domain = cdn_host.split([':', '/']).next()?;
    loop {
        if !domain.contains('.') {
            return None;
        }
        if contains_own_host(domain) {
            return Some(domain);
        }
        domain = domain.split_once('.')?.1;
    }
}

#[cfg(test)]
mod tests {
    use domain::recording::catalog::TenantScope;
    use domain::recording::playback_access::PlaybackAccess;
    use domain::recording::{PlaybackFormat, Recording, RecordingFormatId};
    use http::HeaderMap;

    use super::*;

    #[test]
    fn the_policy_names_resource_and_expiry() {
        let signer: Signer =
            Arc::new(|message| Some(vec![255, u8::try_from(message.len()).unwrap()]));
        let url = "https://cdn.example.org/".to_owned();
        let cdn = Cdn { url, key_pair_id: "K1".to_owned(), signer };
        let [policy, signature, key, hash] =
            cdn.sign_cookies("/published/video/r1", Timestamp(1_000_500)).unwrap();
        let text = policy.1.replace('-', "+").replace('_', "=").replace('~', "/");
        let text = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"Statement\":[{\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1300}},\"Resource\":\
             \"https://cdn.example.org/published/video/r1/*\"}]}"
        );
        assert_eq!(signature.1.chars().next(), Some('~'));
        assert_eq!((key.1.as_str(), hash), ("K1", ("Hash-Algorithm", "SHA256".to_owned())));
    }

    fn permit() -> PlaybackPermit {
        let recording = Recording {
            record_id: "r1".to_owned(),
            published: true,
            formats: vec![PlaybackFormat {
                format: "video".to_owned(),
                ..PlaybackFormat::default()
            }],
            ..Recording::default()
        };
        let format_id = RecordingFormatId::parse("r1", "video").unwrap();
        let scope = TenantScope::All;
        let access = PlaybackAccess::evaluate(format_id, Some(&recording), &scope, false);
        access.authorize(None).unwrap()
    }

    #[test]
    fn pages_are_redirected_below_the_prefix_of_published_recordings() {
        let cdn = Cdn {
            url: "https://cdn.example.org/".to_owned(),
            key_pair_id: "K1".to_owned(),
            signer: Arc::new(|_| Some(vec![1])),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("lb.example.org"));
        let origin = Origin::from_headers(&headers, true);
        for (path, query, expected) in [
            ("/", "", "/published/video/r1/index.html"),
            ("/", "t=5", "/published/video/r1/index.html?t=5"),
            ("/a%20b/", "", "/published/video/r1/a%20b/index.html"),
            ("/page.html", "", "/published/video/r1/page.html"),
        ] {
            let response = cdn.redirect((path, query), &permit(), &origin, Timestamp(0)).unwrap();
            let location = response.headers()[header::LOCATION].to_str().unwrap();
            assert_eq!(location, format!("https://cdn.example.org{expected}"));
            let cookies = response.headers().get_all(header::SET_COOKIE).iter();
            let cookies: Vec<&str> = cookies.map(|cookie| cookie.to_str().unwrap()).collect();
            assert_eq!(cookies.len(), 4);
            for cookie in cookies {
                let attributes: Vec<&str> = cookie.split("; ").collect();
                for expected in ["Path=/", "Domain=example.org", "Secure", "HttpOnly"] {
                    assert!(attributes.contains(&expected), "{cookie}");
                }
            }
        }
    }

    #[test]
    fn the_longest_shared_domain_is_found() {
        for (own_host, cdn_host, expected) in [
            ("lb.example.org", "cdn.example.org", Some("example.org")),
            ("example.org", "cdn.example.org", Some("example.org")),
            ("lb.example.org", "d1.cloudfront.net", None),
            ("lb.org", "cdn.org", None),
            ("xexample.org", "cdn.example.org", None),
            ("cdn.example.org", "cdn.example.org:443", Some("cdn.example.org")),
        ] {
            assert_eq!(shared_domain(own_host, cdn_host), expected, "{own_host} {cdn_host}");
        }
    }
}
