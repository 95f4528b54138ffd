//! Knows which headers let pages of another origin read an answer (the fetch standard's CORS).
//! Does not know what is in it.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, VARY,
};

use crate::protocol::head::Request;
use crate::protocol::upgrade::{Origins, origin_is_allowed};
use crate::server::networks::Caller;

/// Adds what the page may do, where it may.
pub fn apply(allowed: &Origins, caller: &Caller, request: &Request, headers: &mut HeaderMap) {
    let origin = match allowed {
        Origins::List(list) if list.is_empty() => return,
        Origins::Any => Some("*"),
        _ => {
            // The answer for one origin is not that for another: caches must not mix them up.
            headers.append(VARY, HeaderValue::from_static("Origin"));
            let origin = request.headers.get("Origin");
            origin.filter(|origin| {
                origin_is_allowed(Some(origin), request.host(), caller.is_secure, allowed)
            })
        }
    };
    let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) else {
        return;
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let seen = HeaderValue::from_static("Accept-Ranges, Content-Range, ETag");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, seen);
    let is_question = request.method == "OPTIONS"
        && request
            .headers
            .get("Access-Control-Request-Method")
            .is_some();
    if !is_question {
        return;
    }
    let methods = HeaderValue::from_static("GET, HEAD");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    // None of them does anything here that could be forbidden.
    let wanted = request.headers.get("Access-Control-Request-Headers");
    if let Some(wanted) = wanted.and_then(|wanted| HeaderValue::from_str(wanted).ok()) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    }
}
