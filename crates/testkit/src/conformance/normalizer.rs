//! The normal form in which responses and received requests are compared: sorted where the order
//! has no meaning, and masked where a value is generated anew each time.

use super::http::ClientResponse;
use super::node::YamlNode;
use super::xml::XmlElement;
use crate::clock;
use bbb_sim::RecordedRequest;
use regex::{Captures, Regex};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::sync::LazyLock;

/// The address of the simulated servers when the expectations were recorded.
const RECORDED_POOL: &str = "127.0.0.1:9700";

/// Times that differ less than this from the current time are taken for times of the case, in
/// seconds.
const MAX_AGE_S: f64 = 90_000.0;

/// The headers that are compared.
const KEPT_HEADERS: [&str; 6] = [
    "content-type",
    "x-accel-redirect",
    "content-disposition",
    "set-cookie",
    "www-authenticate",
    "allow",
];

#[expect(clippy::expect_used, reason = "the patterns are constants, and all are used in tests")]
fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

static DIGITS: LazyLock<Regex> = LazyLock::new(|| compile(r"\d+"));
static UUID: LazyLock<Regex> =
    LazyLock::new(|| compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
static PASSWORD: LazyLock<Regex> = LazyLock::new(|| compile(r"\b(?:ap|mp)\d{6}\b"));
static DATE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d [\d:]{8} UTC \d{4}"));
static JWT: LazyLock<Regex> = LazyLock::new(|| compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"));
static TOKEN: LazyLock<Regex> = LazyLock::new(|| compile(r"\btoken=[0-9a-f]{64}"));
static INTERNAL_ID: LazyLock<Regex> = LazyLock::new(|| compile(r"\b[0-9a-f]{40}-\{ms\}"));
static VOICE_BRIDGE: LazyLock<Regex> = LazyLock::new(|| compile(r"^[1-9]\d*$"));
static RANDOM8: LazyLock<Regex> = LazyLock::new(|| compile(r"^[A-Za-z0-9]{8}$"));
static CHECKSUM: LazyLock<Regex> = LazyLock::new(|| compile("(?:^|&)checksum=([^&]*)"));
static CHECKSUM_PARAMETER: LazyLock<Regex> =
    LazyLock::new(|| compile("&checksum=[^&]*|checksum=[^&]*&|checksum=[^&]*"));
static BACKEND_PATH: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^/s(\d+)/bigbluebutton/api/(\w+)$"));
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| compile(r"<<(\w+)>>"));

/// Normalizes responses and requests of one case.
#[derive(Debug, Default)]
pub(super) struct Normalizer {
    /// All keys and values in the case. They are never masked as generated values.
    pub(super) case_words: String,
    /// Host and port of the simulated servers.
    pub(super) pool: String,
    /// Names and values of variables, in the order in which they were set.
    pub(super) variables: Vec<(String, String)>,
}

impl Normalizer {
    pub(super) fn set_variable(&mut self, name: &str, value: String) {
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The text with `<<name>>` replaced by the variable of this name.
    pub(super) fn fill_variables(&self, text: &str) -> String {
        let value = |found: &Captures<'_>| self.variable(&found[1]).unwrap_or(&found[0]).to_owned();
        VARIABLE.replace_all(text, value).into_owned()
    }

    pub(super) fn fill_node(&self, node: &YamlNode) -> YamlNode {
        node.map_text(&|text| self.fill_variables(text))
    }

    pub(super) fn mask(&self, text: &str) -> String {
        let mut text = text.replace(&self.pool, RECORDED_POOL);
        for (name, value) in self.variables.iter().filter(|(_, value)| value.chars().count() > 7) {
            text = text.replace(value, &format!("<<{name}>>"));
        }
        let text = DIGITS.replace_all(&text, |found: &Captures<'_>| mask_time(&found[0]));
        let text = UUID.replace_all(&text, "{uuid}");
        let text = PASSWORD.replace_all(&text, "{pw}");
        let text = DATE.replace_all(&text, "{date}");
        let text = JWT.replace_all(&text, "{jwt}");
        let text = TOKEN.replace_all(&text, "token={token}");
        INTERNAL_ID.replace_all(&text, "{internal}").into_owned()
    }

    /// Masks a named value. Values that the balancer or a server has generated are masked by their
    /// form.
    fn mask_field(&self, name: &str, value: &str) -> String {
        if !value.is_empty() && !self.case_words.contains(value) {
            if name.eq_ignore_ascii_case("voicebridge") && VOICE_BRIDGE.is_match(value) {
                return format!("{{voice{}}}", value.chars().count());
            }
            if name == "moderatorPW" && RANDOM8.is_match(value) {
                return "{random8}".to_owned();
            }
            if name == "meta_secret-lrs-payload" {
                return "{payload}".to_owned();
            }
        }
        self.mask(value)
    }

    fn normalize_xml(&self, text: &str) -> anyhow::Result<String> {
        let mut root = XmlElement::parse(text)?;
        root.visit(&mut |element| match element.tag.as_str() {
            "meetings" => {
                element
                    .children
                    .sort_by_cached_key(|meeting| meeting.child_text("meetingID").to_owned());
            }
            "metadata" => element.children.sort_by_cached_key(|child| child.tag.clone()),
            _ => {}
        });
        root.visit(&mut |element| {
            if !element.text.trim().is_empty() {
                let is_leaf = element.children.is_empty();
                let text =
                    if is_leaf { element.text.trim_matches('\n') } else { element.text.trim() };
                element.text = self.mask_field(&element.tag, text);
            }
            for (_, value) in &mut element.attributes {
                *value = self.mask(value);
            }
        });
        Ok(root.lines().join("\n"))
    }

    fn normalize_json(&self, text: &str) -> anyhow::Result<String> {
        let mut value: serde_json::Value = serde_json::from_str(text)?;
        value.sort_all_objects();
        let mut out = Vec::new();
        let layout = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut writer = serde_json::Serializer::with_formatter(&mut out, layout);
        serde::Serialize::serialize(&value, &mut writer)?;
        Ok(self.mask(&String::from_utf8(out)?))
    }

    /// The parameters of a query as `name=value`, sorted.
    pub(super) fn sorted_params(&self, query: &str) -> Vec<String> {
        let decoded = form_urlencoded::parse(query.as_bytes());
        let mut params: Vec<String> = decoded
            .map(|(name, value)| format!("{name}={}", self.mask_field(&name, &value)))
            .collect();
        params.sort();
        params
    }

    /// The parameters without the checksum, and whether the checksum is right.
    fn check_signature(&self, call: &str, query: &str, secret: &str) -> [(String, YamlNode); 2] {
        let Some(found) = CHECKSUM.captures(query) else {
            return [
                self.params_entry(query),
                ("checksum".to_owned(), YamlNode::from_text("none")),
            ];
        };
        let rest = CHECKSUM_PARAMETER.replace_all(query, "");
        let text = format!("{call}{rest}{secret}");
        let name = match found[1].len() {
            40 => "sha1",
            64 => "sha256",
            96 => "sha384",
            128 => "sha512",
            _ => "None",
        };
        let is_right = digest(name, text.as_bytes()).is_ok_and(|expected| expected == found[1]);
        let validity = if is_right { "ok" } else { "WRONG" };
        [
            self.params_entry(&rest),
            ("checksum".to_owned(), YamlNode::Str(format!("{name} {validity}"))),
        ]
    }

    fn params_entry(&self, query: &str) -> (String, YamlNode) {
        let params = self.sorted_params(query).into_iter().map(YamlNode::Str).collect();
        ("params".to_owned(), YamlNode::List(params))
    }

    /// The target of a redirect. One to a simulated server is split into server, action and
    /// parameters.
    fn normalize_location(&self, url: &str) -> YamlNode {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path_and_query = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
        let without_fragment = path_and_query.split('#').next().unwrap_or_default();
        let (path, query) = without_fragment.split_once('?').unwrap_or((without_fragment, ""));
        let Some(found) = BACKEND_PATH.captures(path) else {
            return YamlNode::Str(self.mask(url));
        };
        let number = found[1].parse().unwrap_or_default();
        let mut entries = vec![
            ("server".to_owned(), YamlNode::Int(number)),
            ("action".to_owned(), YamlNode::from_text(&found[2])),
        ];
        entries.extend(self.check_signature(&found[2], query, &format!("secret{number}")));
        YamlNode::Map(entries)
    }

    /// The status, the compared headers in the order of the response, and the body.
    pub(super) fn normalize_response(
        &self,
        response: &ClientResponse,
        with_body: bool,
    ) -> Vec<(String, YamlNode)> {
        let mut out = vec![("status".to_owned(), YamlNode::Int(i64::from(response.status)))];
        for (name, value) in &response.headers {
            let normal = match name.as_str() {
                "location" => self.normalize_location(value),
                kept if KEPT_HEADERS.contains(&kept) => YamlNode::Str(self.mask(value)),
                _ => continue,
            };
            match out.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = normal,
                None => out.push((name.clone(), normal)),
            }
        }
        if with_body {
            out.push(("body".to_owned(), YamlNode::Str(self.normalize_body(response))));
        }
        out
    }

    fn normalize_body(&self, response: &ClientResponse) -> String {
        let text = String::from_utf8_lossy(&response.body);
        let kind = response.header("content-type").unwrap_or_default();
        let normal = match kind {
            _ if text.trim().is_empty() => Ok(String::new()),
            kind if kind.contains("xml") => self.normalize_xml(&text),
            kind if kind.contains("json") => self.normalize_json(&text),
            _ => Ok(self.mask(&text)),
        };
        normal.unwrap_or_else(|_| format!("UNPARSABLE {}", self.mask(&text)))
    }

    /// The requests that simulated servers have received, sorted.
    pub(super) fn normalize_requests(&self, log: &[RecordedRequest]) -> Vec<YamlNode> {
        type SortKey = (usize, String, Vec<String>);
        let mut entries: Vec<(SortKey, YamlNode)> =
            log.iter().map(|request| self.normalize_request(request)).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.into_iter().map(|(_, node)| node).collect()
    }

    fn normalize_request(
        &self,
        request: &RecordedRequest,
    ) -> ((usize, String, Vec<String>), YamlNode) {
        let call = if request.call == "index" { "" } else { request.call.as_str() };
        let call_text =
            format!("{} {}", request.method, if call.is_empty() { "index" } else { call });
        let [params, checksum] =
            self.check_signature(call, &request.query, &format!("secret{}", request.server));
        let sort_params = params.1.items().iter().filter_map(YamlNode::text).collect();
        let mut entries = vec![
            ("server".to_owned(), YamlNode::Int(request.server as i64)),
            ("call".to_owned(), YamlNode::from_text(call_text.as_str())),
            params,
            checksum,
        ];
        if !request.body.is_empty() {
            let kind = request
                .headers
                .iter()
                .rev()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            let kind = kind.map(|(_, value)| value.as_str()).unwrap_or_default();
            let body = self.mask(&String::from_utf8_lossy(&request.body));
            entries.push(("type".to_owned(), YamlNode::from_text(kind)));
            entries.push(("body".to_owned(), YamlNode::Str(body)));
        }
        ((request.server, call_text, sort_params), YamlNode::Map(entries))
    }
}

/// `{ms}` or `{s}` for milliseconds or seconds since 1970 near the current time; other digits
/// unchanged.
fn mask_time(digits: &str) -> String {
    let is_near = |unit: f64| {
        let time_s = digits.parse::<f64>().map(|time| time / unit);
        time_s.is_ok_and(|time_s| (time_s - clock::unix_now_s()).abs() < MAX_AGE_S)
    };
    match digits.len() {
        13 if is_near(1000.0) => "{ms}".to_owned(),
        10 if is_near(1.0) => "{s}".to_owned(),
        _ => digits.to_owned(),
    }
}

/// A digest in lower-case hexadecimal.
pub(super) fn digest(algorithm: &str, text: &[u8]) -> anyhow::Result<String> {
    Ok(match algorithm {
        "sha1" => hex::encode(Sha1::digest(text)),
        "sha256" => hex::encode(Sha256::digest(text)),
        "sha384" => hex::encode(Sha384::digest(text)),
        "sha512" => hex::encode(Sha512::digest(text)),
        // Any 16 bytes will do: no server ever accepted MD5.
        "md5" => hex::encode(&Sha256::digest(text)[..16]),
        other => anyhow::bail!("unknown algorithm {other}"),
    })
}
