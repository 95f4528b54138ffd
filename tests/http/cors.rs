//! What pages of another origin may read, as the headers say it: answers, and the question that browsers ask before.

use serde_json::json;

use crate::adversary::Response;
use crate::scene::Scene;
use crate::{Site, ask, get};

const ALLOWED: &str = "https://a.example";

/// The question of a browser that wants to GET with headers of its own.
fn preflight(port: u16, path: &str, origin: &str) -> Response {
    let headers = format!(
        "Origin: {origin}\r\nAccess-Control-Request-Method: GET\r\n\
         Access-Control-Request-Headers: range, x-own\r\n"
    );
    ask("OPTIONS", port, path, &headers)
}

fn from(port: u16, path: &str, origin: &str) -> Response {
    get(port, path, &format!("Origin: {origin}\r\n"))
}

/// What lets a page read or ask.
fn permissions(answer: &Response) -> Vec<&str> {
    let names = answer.head.lines().filter_map(|line| line.split_once(':'));
    names
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

fn varies(answer: &Response) -> bool {
    answer.header("vary") == Some("origin")
}

#[test]
fn a_preflight_from_an_allowed_origin_is_told_what_it_may_and_for_how_long() {
    let (scene, site) = (Scene::new(), Site::new());
    // A browser sends no password with its question, so none is asked for.
    let more = json!({"cors": [ALLOWED, "http://b.example:8080"], "health": "/health", "metrics": "/metrics",
        "auth": {"bearer": "token"}});
    let server = scene.server(site.at_root(more));
    for path in ["/digits", "/health", "/metrics"] {
        for origin in [ALLOWED, "http://b.example:8080"] {
            let answer = preflight(server.port, path, origin);
            assert_eq!(answer.status, 204, "{path}: {answer:?}");
            for (name, value) in [
                ("access-control-allow-origin", origin),
                ("access-control-allow-methods", "get, head"),
                ("access-control-allow-headers", "range, x-own"),
                ("access-control-max-age", "600"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{path}: {answer:?}");
            }
            assert!(varies(&answer), "{path}: {answer:?}");
            // No cookies are asked for.
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
    // The answer itself says only who may read it.
    let answer = from(server.port, "/digits", ALLOWED);
    assert_eq!((answer.status, &answer.body[..]), (200, &b"0123456789"[..]));
    let allowed = answer.header("access-control-allow-origin");
    assert!(allowed == Some(ALLOWED) && varies(&answer), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-methods"), None);
    // So that the page learns of it: a refusal, too.
    let answer = from(server.port, "/metrics", ALLOWED);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ALLOWED));
    scene.finish();
}

#[test]
fn a_refused_origin_gets_no_permission_and_caches_are_told_why() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({"cors": [ALLOWED], "health": "/health"})));
    for path in ["/digits", "/health"] {
        for origin in [
            "https://b.example",
            "http://a.example",
            "https://a.example:444",
            "https://a.example.evil",
            "null",
        ] {
            for answer in [
                preflight(server.port, path, origin),
                from(server.port, path, origin),
            ] {
                let nothing: [&str; 0] = [];
                assert_eq!(permissions(&answer), nothing, "{origin}: {answer:?}");
                assert!(varies(&answer), "{origin}: {answer:?}");
            }
        }
        // Who names no origin may get another answer than who does.
        assert!(varies(&get(server.port, path, "")));
    }
    // Without the option nothing is said at all.
    let silent = scene.server(site.at_root(json!({})));
    let answer = preflight(silent.port, "/digits", ALLOWED);
    assert!(permissions(&answer).is_empty() && !varies(&answer));
    scene.finish();
}

#[test]
fn cors_may_be_for_everybody_or_for_pages_of_the_same_host() {
    let (scene, site) = (Scene::new(), Site::new());
    let all = scene.server(site.at_root(json!({"cors": "*"})));
    let answer = preflight(all.port, "/digits", ALLOWED);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
    // It is the same for everybody.
    assert!(!varies(&answer), "{answer:?}");
    let same = scene.server(site.at_root(json!({"cors": "same"})));
    for (origin, is_allowed) in [
        ("http://localhost", true),
        // A proxy in front may end TLS.
        ("https://localhost", true),
        ("http://localhost:81", false),
        ("http://localhost.evil", false),
        (ALLOWED, false),
    ] {
        let answer = preflight(same.port, "/digits", origin);
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, is_allowed.then_some(origin), "{answer:?}");
        assert_eq!(permissions(&answer).is_empty(), !is_allowed, "{answer:?}");
        assert!(varies(&answer), "{answer:?}");
    }
    scene.finish();
}
