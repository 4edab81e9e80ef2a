//! Builds the request of a step.

use super::http::ClientRequest;
use super::node::YamlNode;
use super::normalizer::{Normalizer, digest};
use anyhow::Context;

pub(super) const HOST: &str = "lb.example.test";
const METHODS: [&str; 7] = ["get", "post", "put", "delete", "head", "options", "patch"];
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// The request of a step, with variables replaced by their values.
pub(super) fn build_request(
    step: &YamlNode,
    normalizer: &Normalizer,
) -> anyhow::Result<ClientRequest> {
    let method = METHODS.into_iter().find(|method| step.has(method));
    let method = method.context("a step of no known kind")?;
    let path = step.get_text(method).unwrap_or_default();
    let call = path.trim_matches('/').rsplit('/').next().unwrap_or_default();
    let is_absolute = path.starts_with('/');
    let full_path = if is_absolute { path.clone() } else { format!("/bigbluebutton/api/{path}") };

    let mut parts = RequestParts::from_step(step, normalizer)?;
    let is_api = ["/bigbluebutton/api/", "/scalelite/api/"]
        .iter()
        .any(|prefix| full_path.starts_with(prefix));
    match step.get("sign") {
        None if is_api => parts.sign(&YamlNode::Null, call)?,
        Some(options @ YamlNode::Map(_)) => parts.sign(options, call)?,
        _ => {}
    }
    let separator = if parts.query.is_empty() { "" } else { "?" };
    Ok(ClientRequest {
        method: method.to_uppercase(),
        target: format!("{full_path}{separator}{}", parts.query),
        headers: build_headers(step, normalizer, parts.content_type),
        body: parts.body.map(|body| normalizer.fill_variables(&body).into_bytes()),
    })
}

/// The parts of a request that may contain the checksum.
struct RequestParts {
    query: String,
    body: Option<String>,
    content_type: Option<String>,
}

impl RequestParts {
    fn from_step(step: &YamlNode, normalizer: &Normalizer) -> anyhow::Result<RequestParts> {
        let space = if step.get_text("space").as_deref() == Some("%20") { "%20" } else { "+" };
        let encode =
            |key: &str| step.get(key).map(|node| encode_query(&normalizer.fill_node(node), space));
        let query = match step.get_text("query") {
            Some(query) => normalizer.fill_variables(&query),
            None => encode("params").unwrap_or_default(),
        };
        let (mut body, mut content_type) = (step.get_text("body"), step.get_text("type"));
        if let Some(json) = step.get("json") {
            body = Some(serde_json::to_string(&normalizer.fill_node(json).to_json())?);
            content_type = content_type.or(Some("application/json".to_owned()));
        }
        if let Some(form) = encode("form") {
            body = Some(form);
            content_type = content_type.or(Some(FORM_TYPE.to_owned()));
        }
        Ok(RequestParts { query, body, content_type })
    }

    fn sign(&mut self, options: &YamlNode, call: &str) -> anyhow::Result<()> {
        let in_body = options.get_text("in").as_deref() == Some("body");
        let text = if in_body { self.body.clone().unwrap_or_default() } else { self.query.clone() };
        let get_or =
            |key: &str, default: &str| options.get_text(key).unwrap_or_else(|| default.to_owned());
        let mut checksum = match options.get_text("value") {
            Some(value) => value,
            None => {
                let signed =
                    format!("{}{text}{}", get_or("action", call), get_or("secret", "lbsecret"));
                digest(&get_or("alg", "sha256"), signed.as_bytes())?
            }
        };
        if options.is_truthy("upper") {
            checksum = checksum.to_uppercase();
        }
        let mut parts: Vec<&str> = if text.is_empty() { vec![] } else { text.split('&').collect() };
        let checksum = format!("checksum={checksum}");
        let index = match get_or("pos", "last").as_str() {
            "first" => 0,
            "middle" => parts.len() / 2,
            _ => parts.len(),
        };
        parts.insert(index, &checksum);
        let signed = parts.join("&");
        if in_body {
            self.body = Some(signed);
        } else {
            self.query = signed;
        }
        Ok(())
    }
}

fn build_headers(
    step: &YamlNode,
    normalizer: &Normalizer,
    content_type: Option<String>,
) -> Vec<(String, String)> {
    let host = step.get_text("host").unwrap_or_else(|| HOST.to_owned());
    let mut headers = vec![("Host".to_owned(), host)];
    let mut set = |name: &str, value: String| match headers.iter_mut().find(|(k, _)| k == name) {
        Some((_, old)) => *old = value,
        None => headers.push((name.to_owned(), value)),
    };
    let headers_of_step =
        step.get("headers").map(|node| normalizer.fill_node(node)).unwrap_or(YamlNode::Null);
    for (name, value) in headers_of_step.pairs() {
        set(name, value.text().unwrap_or_default());
    }
    if let Some(content_type) = content_type.filter(|kind| !kind.is_empty()) {
        set("Content-Type", content_type);
    }
    if let Some(basic) = step.get_text("basic").filter(|basic| !basic.is_empty()) {
        set("Authorization", format!("Basic {}", encode_base64(basic.as_bytes())));
    }
    headers
}

/// Encodes parameters, which are a mapping or a list of pairs, as a query.
fn encode_query(params: &YamlNode, space: &str) -> String {
    let text = |node: &YamlNode| percent_encode(&node.text().unwrap_or_default(), space);
    let pair = |(name, value): &(String, YamlNode)| {
        format!("{}={}", percent_encode(name, space), text(value))
    };
    let listed = |item: &YamlNode| item.items().iter().map(text).collect::<Vec<_>>().join("=");
    let mapped = params.pairs().iter().map(pair);
    mapped.chain(params.items().iter().map(listed)).collect::<Vec<_>>().join("&")
}

fn percent_encode(text: &str, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push_str(space),
            b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn encode_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n)) as usize & 63];
            out.push(if n <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build_text(step: &str) -> ClientRequest {
        let mut normalizer = Normalizer::default();
        normalizer.set_variable("token", "abc".to_owned());
        build_request(&YamlNode::parse(step).unwrap(), &normalizer).unwrap()
    }

    #[test]
    fn parameters_keep_their_order_and_the_checksum_goes_last() {
        let request = build_text("{get: create, params: {name: a b~, meetingID: 'ü&'}}");
        let query = "name=a+b~&meetingID=%C3%BC%26";
        let right = digest("sha256", format!("create{query}lbsecret").as_bytes()).unwrap();
        assert_eq!(request.target, format!("/bigbluebutton/api/create?{query}&checksum={right}"));
        assert_eq!(request.headers, [("Host".to_owned(), HOST.to_owned())]);
        assert_eq!(request.body, None);
    }

    #[test]
    fn the_checksum_goes_where_the_case_says() {
        let middle = build_text("{get: x, query: a=1&b=2, sign: {pos: middle, value: V}}");
        assert_eq!(middle.target, "/bigbluebutton/api/x?a=1&checksum=V&b=2");
        let first = build_text("{get: x, query: a=1, sign: {pos: first, value: ''}}");
        assert_eq!(first.target, "/bigbluebutton/api/x?checksum=&a=1");
        let body = build_text("{post: x, form: {a: '1'}, sign: {in: body, value: V}}");
        assert_eq!(body.body.unwrap(), b"a=1&checksum=V");
        assert_eq!(body.target, "/bigbluebutton/api/x");
        assert_eq!(body.headers[1].1, FORM_TYPE);
    }

    #[test]
    fn other_paths_are_not_signed_and_variables_are_replaced() {
        let request = build_text("{get: /r/x, query: 'token=<<token>>&<<no>>', basic: 'u:pw'}");
        assert_eq!(request.target, "/r/x?token=abc&<<no>>");
        assert_eq!(request.headers[1].1, "Basic dTpwdw==");
    }
}
