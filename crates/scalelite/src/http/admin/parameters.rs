//! What the calls of the management API share: how calls are verified and parameters read, refusals, and fields of JSON objects.

use app::api::{ApiError, authenticate_with};
use bbb::Query;
use bbb::call::ContentType;
use bbb::token::Claims;
use bytes::Bytes;
use headers::authorization::Bearer;
use headers::{Authorization, HeaderMapExt as _};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::http::management::{ManagementRight, SignedRequest};
use crate::http::message::ApiRequest;
use crate::http::state::HttpState;
use crate::http::{body, json_cost};

/// A refused call: HTTP status and text.
pub(super) struct AdminRefusal(pub(super) StatusCode, pub(super) String);

/// Longest body of a call whose query is signed, in bytes.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// Longest body that is read to find a checksum in it, in bytes. Anybody can send such a body.
const MAX_UNSIGNED_BODY_BYTES: u64 = 64 << 10;

/// A call that was verified.
pub(super) struct ManagementCall {
    /// Its parameters: those of a JSON body or a form, whatever the method, and those of the query, which take precedence. `server[url]` is
    /// a field of `server`. `None` if a JSON body is not an object.
    pub(super) parameters: Option<Map<String, Value>>,
    pub(super) right: ManagementRight,
}

/// Verifies a call and reads its parameters.
pub(super) async fn read_call(
    state: &HttpState,
    call: &str,
    request: ApiRequest,
) -> Result<ManagementCall, ApiError> {
    let (rules, now_ms) = (&state.management, state.app.clock.now().0);
    let token = request.headers.typed_get::<Authorization<Bearer>>();
    let proof = token.and_then(|token| rules.verify_token(token.token(), now_ms));
    let (parameters, right) = match proof {
        Some((claims, right)) => (read_signed_body(state, call, &claims, &request).await?, right),
        None if rules.requires_tokens => return Err(ApiError::Checksum),
        // Another token may be for a proxy in front.
        None => read_body_with_checksum(state, call, &request).await?,
    };
    let parameters = parameters.map(|mut parameters| {
        add_pairs(&mut parameters, &Query::parse(&request.query));
        parameters
    });
    Ok(ManagementCall { parameters, right })
}

/// Reads the body of a call whose token signs the whole request.
async fn read_signed_body(
    state: &HttpState,
    call: &str,
    claims: &Claims,
    request: &ApiRequest,
) -> Result<Option<Map<String, Value>>, ApiError> {
    request.body.prove_sender().await;
    let headers = &request.headers;
    let bytes = body::read_whole(headers, request.body.clone(), MAX_BODY_BYTES).await?;
    let signed = SignedRequest { call, query: &request.query, body: &bytes };
    if !state.management.use_token(claims, signed, state.app.clock.now().0) {
        return Err(ApiError::Checksum);
    }
    let parameters = match ContentType::parse(body::content_type(headers)) {
        _ if bytes.is_empty() => Some(Map::new()),
        ContentType::Json => parse_object(request, &bytes)?,
        ContentType::UrlEncoded => {
            let mut parameters = Map::new();
            add_pairs(&mut parameters, &Query::parse(&String::from_utf8_lossy(&bytes)));
            Some(parameters)
        }
        _ => return Err(ApiError::UnsupportedContentType),
    };
    Ok(parameters)
}

/// Reads the body of a call with a checksum, which may stand in the body.
async fn read_body_with_checksum(
    state: &HttpState,
    call: &str,
    request: &ApiRequest,
) -> Result<(Option<Map<String, Value>>, ManagementRight), ApiError> {
    let secrets = state.management.all_secrets();
    let verify = |body: Option<&Query>| {
        let secret = authenticate_with(&secrets, &state.app, call, &request.query, body)?;
        Ok::<_, ApiError>(state.management.right_of(secret))
    };
    let signed = match Query::parse(&request.query).contains("checksum") {
        true => Some(verify(None)?),
        false => None,
    };
    if signed.is_some() {
        request.body.prove_sender().await;
    }
    let max_bytes = if signed.is_some() { MAX_BODY_BYTES } else { MAX_UNSIGNED_BODY_BYTES };
    let mut parameters = Map::new();
    let right = match read_body(request, max_bytes).await? {
        AdminBody::None => signed.ok_or(ApiError::Checksum)?,
        AdminBody::Form(form) => {
            let right = signed.map_or_else(|| verify(Some(&form)), Ok)?;
            add_pairs(&mut parameters, &form);
            right
        }
        AdminBody::Json(object) => {
            let object = parse_object(request, &object)?;
            let right = match signed {
                Some(right) => right,
                None => {
                    let checksum =
                        object.as_ref().and_then(|object| text_field(object, "checksum"));
                    let mut form = Query::default();
                    form.push("checksum", &checksum.ok_or(ApiError::Checksum)?);
                    verify(Some(&form))?
                }
            };
            let Some(object) = object else { return Ok((None, right)) };
            parameters = object;
            right
        }
    };
    request.body.prove_sender().await;
    Ok((Some(parameters), right))
}

/// Parses a JSON body; `None` if it is not an object.
fn parse_object(request: &ApiRequest, text: &[u8]) -> Result<Option<Map<String, Value>>, ApiError> {
    let Some(cost) = json_cost::estimate(text) else { return Ok(None) };
    request.body.hold(cost)?;
    Ok(match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    })
}

/// The body of a call.
enum AdminBody {
    None,
    Form(Query),
    Json(Bytes),
}

async fn read_body(request: &ApiRequest, max_bytes: u64) -> Result<AdminBody, ApiError> {
    let headers = &request.headers;
    let content_type = ContentType::parse(body::content_type(headers));
    let is_form = matches!(content_type, ContentType::UrlEncoded | ContentType::Multipart);
    if is_form {
        return Ok(match body::read_form(headers, request.body.clone(), max_bytes).await? {
            Some(form) => AdminBody::Form(form),
            None => AdminBody::None,
        });
    }
    if content_type != ContentType::Json && request.method != Method::POST {
        // What a GET carries beside its parameters does not matter.
        return Ok(AdminBody::None);
    }
    let bytes = body::read_whole(headers, request.body.clone(), max_bytes).await?;
    match content_type {
        _ if bytes.is_empty() => Ok(AdminBody::None),
        ContentType::Json => Ok(AdminBody::Json(bytes)),
        _ => Err(ApiError::UnsupportedContentType),
    }
}

/// Adds pairs of a query or form. They replace fields of the same name.
fn add_pairs(parameters: &mut Map<String, Value>, pairs: &Query) {
    for (name, value) in pairs.iter() {
        let name = name.as_ref();
        let value = Value::String(value.into_owned());
        match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((object, field)) => {
                let object = parameters.entry(object).or_insert_with(|| json!({}));
                if let Value::Object(object) = object {
                    object.insert(field.to_owned(), value);
                }
            }
            None => {
                parameters.insert(name.to_owned(), value);
            }
        }
    }
}

/// Returns the fields of an object, which stand below its name or beside the id.
pub(super) fn object_fields<'a>(
    parameters: &'a Map<String, Value>,
    name: &str,
    fields: &[&str],
) -> Result<&'a Map<String, Value>, AdminRefusal> {
    match parameters.get(name) {
        Some(Value::Object(object)) if !object.is_empty() => Ok(object),
        _ if fields.iter().any(|field| parameters.contains_key(*field)) => Ok(parameters),
        _ => {
            let text = format!("param is missing or the value is empty: {name}");
            Err(AdminRefusal(StatusCode::BAD_REQUEST, text))
        }
    }
}

/// Returns the id, which stands beside the object of this name or in it; empty if there is none.
pub(super) fn id_field(parameters: &Map<String, Value>, name: &str) -> String {
    let nested = parameters.get(name).and_then(Value::as_object);
    let objects = [Some(parameters), nested].into_iter().flatten();
    let mut ids = objects.filter_map(|object| text_field(object, "id"));
    ids.find(|id| !id.is_empty()).unwrap_or_default()
}

/// Returns a field that is a string or a number as text.
pub(super) fn text_field(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The text that stands for a secret which a call may not see. In a change it means the secret that is there.
pub(super) const MASK: &str = "***";

/// Returns a secret, or the mask if the call may not see it.
pub(super) fn show_secret(secret: &str, right: ManagementRight) -> &str {
    match right {
        ManagementRight::SeeSecrets => secret,
        ManagementRight::Manage => MASK,
    }
}
