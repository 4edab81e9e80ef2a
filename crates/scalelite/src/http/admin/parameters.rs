//! What the calls of the management API share: how parameters are read, refusals, and fields of JSON objects.

use app::api::{ApiError, authenticate};
use app::tenancy::Caller;
use bbb::Query;
use bbb::call::ContentType;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::http::body;
use crate::http::message::ApiRequest;
use crate::http::state::HttpState;

/// A refused call: HTTP status and text.
pub(super) struct AdminRefusal(pub(super) StatusCode, pub(super) String);

/// Longest body of a call whose query is signed, in bytes.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// Longest body that is read to find a checksum in it, in bytes. Anybody can send such a body.
const MAX_UNSIGNED_BODY_BYTES: u64 = 64 << 10;

/// Verifies a call and returns its parameters: those of a JSON body or a form, whatever the method, and those of the
/// query, which take precedence. `server[url]` is a field of `server`. `None` if a JSON body is not an object.
pub(super) async fn read_parameters(
    state: &HttpState,
    call: &str,
    request: ApiRequest,
) -> Result<Option<Map<String, Value>>, ApiError> {
    let query = Query::parse(&request.query);
    // The balancer's own secret is required on every host, also on the host of a tenant.
    let verify =
        |body| authenticate(&state.app, &Caller::default(), call, &request.query, body).map(drop);
    let signed = query.contains("checksum");
    if signed {
        verify(None)?;
    }
    let max_bytes = if signed { MAX_BODY_BYTES } else { MAX_UNSIGNED_BODY_BYTES };
    let mut parameters = Map::new();
    match read_body(&request, max_bytes).await? {
        AdminBody::None if signed => {}
        AdminBody::None => return Err(ApiError::Checksum),
        AdminBody::Form(form) => {
            if !signed {
                verify(Some(&form))?;
            }
            add_pairs(&mut parameters, &form);
        }
        AdminBody::Json(object) => {
            let object = match serde_json::from_slice(&object) {
                Ok(Value::Object(object)) => Some(object),
                _ => None,
            };
            if !signed {
                let checksum = object.as_ref().and_then(|object| text_field(object, "checksum"));
                let mut form = Query::default();
                form.push("checksum", &checksum.ok_or(ApiError::Checksum)?);
                verify(Some(&form))?;
            }
            let Some(object) = object else { return Ok(None) };
            parameters = object;
        }
    }
    add_pairs(&mut parameters, &query);
    Ok(Some(parameters))
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
