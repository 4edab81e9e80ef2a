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
use super::paths::RelativePath;
use crate::http::origin::Origin;
use crate::http::respond::{self, ResponseBody};

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
    /// Redirects a browser with a permit to `target`, a path with its query, on the network.
    pub(super) fn redirect(
        &self,
        target: &str,
        permit: &PlaybackPermit,
        origin: &Origin<'_>,
        now: Timestamp,
    ) -> Result<Response<ResponseBody>, PlaybackError> {
        let internal = || PlaybackError::Internal("building signed cookies failed");
        let url = self.url.trim_end_matches('/');
        let response = respond::redirect_with_status(
            StatusCode::TEMPORARY_REDIRECT,
            &format!("{url}{target}"),
        );
        let mut response = response.ok_or_else(internal)?;
        let subject = permit.format_id().subject();
        let signed_cookies = self.sign_cookies(&subject, now).ok_or_else(internal)?;
        let host = url.split_once("://").map_or(url, |(_, host)| host);
        let domain = shared_domain(origin.host(), host);
        let headers = response.headers_mut();
        for (name, value) in signed_cookies {
            let mut cookie = Cookie::new(format!("CloudFront-{name}"), value);
            cookie.set_path(subject.as_str());
            if let Some(domain) = domain {
                cookie.set_domain(domain);
            }
            let cookie = cookies::to_header(cookie).ok_or_else(internal)?;
            headers.append(header::SET_COOKIE, cookie);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    fn sign_cookies(&self, subject: &str, now: Timestamp) -> Option<[(&'static str, String); 4]> {
        let resource = format!("{}{subject}/*", self.url.trim_end_matches('/'));
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
    use super::*;

    #[test]
    fn the_policy_names_resource_and_expiry() {
        let signer: Signer =
            Arc::new(|message| Some(vec![255, u8::try_from(message.len()).unwrap()]));
        let url = "https://cdn.example.org/".to_owned();
        let cdn = Cdn { url, key_pair_id: "K1".to_owned(), signer };
        let [policy, signature, key, hash] =
            cdn.sign_cookies("/video/r1", Timestamp(1_000_500)).unwrap();
        let text = policy.1.replace('-', "+").replace('_', "=").replace('~', "/");
        let text = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"Statement\":[{\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1300}},\"Resource\":\
             \"https://cdn.example.org/video/r1/*\"}]}"
        );
        assert_eq!(signature.1.chars().next(), Some('~'));
        assert_eq!((key.1.as_str(), hash), ("K1", ("Hash-Algorithm", "SHA256".to_owned())));
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
