//! Files and folders: what is found, with which headers, under which conditions, and which part of it.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::adversary::{Peer, request_to};
use crate::scene::Scene;
use crate::{PAGE, Site, ask, get};

#[test]
fn a_folder_is_answered_with_what_is_in_it() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({})));
    for (path, kind, content) in [
        ("/", "text/html; charset=utf-8", PAGE),
        ("/index.html", "text/html; charset=utf-8", PAGE),
        ("/?a=/..", "text/html; charset=utf-8", PAGE),
        ("/app.js", "text/javascript; charset=utf-8", "let a = 1;"),
        ("/a%20b+c.txt", "text/plain; charset=utf-8", "Grüße"),
        ("/%61pp.js", "text/javascript; charset=utf-8", "let a = 1;"),
        ("/empty.css", "text/css; charset=utf-8", ""),
        ("/digits", "application/octet-stream", "0123456789"),
        ("/sub/", "text/html; charset=utf-8", "<p>sub</p>"),
        ("/sub/x.json", "application/json", "{}"),
        ("/inside", "text/html; charset=utf-8", PAGE),
        ("/inside-folder/x.json", "application/json", "{}"),
        ("/.well-known/acme", "application/octet-stream", "token"),
    ] {
        let answer = get(server.port, path, "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.body, content.as_bytes(), "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        let length = content.len().to_string();
        assert_eq!(answer.header("content-length"), Some(&*length), "{path}");
        for (name, value) in [
            ("cache-control", "no-cache"),
            ("accept-ranges", "bytes"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let [etag, date] = ["etag", "last-modified"].map(|name| answer.header(name).is_some());
        assert!(
            etag && date && answer.header("date").is_some(),
            "{path}: {answer:?}"
        );
        let alone = ask("HEAD", server.port, path, "");
        assert_eq!((alone.status, alone.body.len()), (200, 0), "{path}");
        for name in ["content-type", "content-length", "etag", "last-modified"] {
            assert_eq!(alone.header(name), answer.header(name), "{path}: {name}");
        }
    }
    // A WebSocket may begin at any path as before.
    let upgrade = request_to("localhost", "/sub/x.json", "");
    assert_eq!(Peer::http(server.port, upgrade).unwrap().status, 101);
    scene.finish();
}

#[test]
fn a_folder_without_its_last_slash_leads_to_the_one_with_it() {
    let (scene, site) = (Scene::new(), Site::new());
    let files = json!({"/app/": site.path("www"), "/b": site.path("www/sub")});
    let server = scene.server(json!({"files": files}));
    for (path, location) in [
        ("/app", "/app/"),
        ("/app?x=1", "/app/?x=1"),
        ("/app/sub", "/app/sub/"),
        ("/b", "/b/"),
    ] {
        let answer = get(server.port, path, "");
        assert_eq!(answer.status, 308, "{path}: {answer:?}");
        assert_eq!(answer.header("location"), Some(location));
        assert_eq!(get(server.port, location, "").status, 200);
    }
    // Nobody is sent to another host by it.
    for path in ["//app", "//app/sub", "/app//sub"] {
        assert_eq!(get(server.port, path, "").status, 404, "{path}");
    }
    for path in [
        "/",
        "/ap",
        "/apple",
        "/app/nothing",
        "/app/app.js/",
        "/b/index.html/x",
    ] {
        assert_eq!(get(server.port, path, "").status, 404, "{path}");
    }
    scene.finish();
}

#[test]
fn the_most_exact_path_counts() {
    let (scene, site) = (Scene::new(), Site::new());
    let files = json!({
        "/": site.path("www"),
        "/sub/": site.path("www2"),
        "/app.js": site.path("outside/passwd"),
        "/my files/": site.path("www/sub"),
    });
    let options = json!({"files": files, "path": "/digits", "health": "/empty.css"});
    let server = scene.server(options);
    let body = |path: &str| {
        let answer = get(server.port, path, "");
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    assert_eq!(body("/"), (200, PAGE.into()));
    assert_eq!(body("/sub/passwd"), (200, "secret".into()));
    assert_eq!(body("/sub/x.json").0, 404);
    assert_eq!(body("/app.js"), (200, "secret".into()));
    assert_eq!(body("/my%20files/x.json"), (200, "{}".into()));
    // The WebSocket's path and the health check are not looked for in the folder.
    assert_eq!(body("/digits").0, 426);
    assert_eq!(body("/empty.css"), (200, "ok\n".into()));
    scene.finish();
}

#[test]
fn what_a_client_knows_already_is_not_sent_again() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({})));
    let answer = ask("GET", server.port, "/digits", "");
    let header = |name: &str| {
        // The values as they were: `Response` has them in lower case.
        answer.header(name).unwrap().to_owned()
    };
    let etag = header("etag");
    assert!(etag.starts_with('"'), "{etag}");
    let day = |seconds: u64| {
        httpdate(std::time::SystemTime::now() - std::time::Duration::from_secs(seconds))
    };
    let (before, after) = (day(7200), day(60));
    for (headers, expected) in [
        (format!("If-None-Match: {etag}\r\n"), 304),
        (format!("If-None-Match: \"x\", W/{etag}\r\n"), 304),
        ("If-None-Match: *\r\n".into(), 304),
        ("If-None-Match: \"x\"\r\n".into(), 200),
        (format!("If-Modified-Since: {after}\r\n"), 304),
        (format!("If-Modified-Since: {before}\r\n"), 200),
        ("If-Modified-Since: yesterday\r\n".into(), 200),
        // The tag says more than the time.
        (
            format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {after}\r\n"),
            200,
        ),
        (format!("If-Match: {etag}\r\n"), 200),
        ("If-Match: \"x\"\r\n".into(), 412),
        (format!("If-Unmodified-Since: {before}\r\n"), 412),
        (format!("If-Unmodified-Since: {after}\r\n"), 200),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = ask(method, server.port, "/digits", &headers);
            assert_eq!(answer.status, expected, "{method} {headers}");
            assert_eq!(answer.header("etag"), Some(&*etag), "{headers}");
            let is_whole = method == "GET" && expected == 200;
            assert_eq!(
                answer.body.len(),
                if is_whole { 10 } else { 0 },
                "{headers}"
            );
        }
    }
    // An edit shows at once, and what has just been written has a weak tag.
    fs::write(site.path("www/digits"), "9876543210").unwrap();
    let answer = get(
        server.port,
        "/digits",
        &format!("If-None-Match: {etag}\r\n"),
    );
    assert_eq!((answer.status, &answer.body[..]), (200, &b"9876543210"[..]));
    assert!(
        answer.header("etag").unwrap().starts_with("w/\""),
        "{answer:?}"
    );
    scene.finish();
}

#[test]
fn a_part_of_a_file_is_sent_where_one_is_asked_for() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({})));
    let answer = get(server.port, "/digits", "");
    let etag = answer.header("etag").unwrap();
    let at = fs::metadata(site.path("www/digits")).unwrap();
    let at = at.modified().unwrap();
    let modified = httpdate(at);
    let later = httpdate(at + std::time::Duration::from_secs(60));
    for (headers, status, range, content) in [
        ("Range: bytes=2-4\r\n", 206, "bytes 2-4/10", "234"),
        ("Range: bytes=7-\r\n", 206, "bytes 7-9/10", "789"),
        ("Range: bytes=-2\r\n", 206, "bytes 8-9/10", "89"),
        ("Range: bytes=-200\r\n", 206, "bytes 0-9/10", "0123456789"),
        ("Range: bytes=9-99\r\n", 206, "bytes 9-9/10", "9"),
        ("Range: bytes=10-\r\n", 416, "bytes */10", ""),
        ("Range: bytes=-0\r\n", 416, "bytes */10", ""),
        (
            "Range: bytes=99999999999999999999-\r\n",
            416,
            "bytes */10",
            "",
        ),
        ("Range: bytes=0-1,5-6\r\n", 200, "", "0123456789"),
        ("Range: bytes=4-2\r\n", 200, "", "0123456789"),
        ("Range: lines=1-2\r\n", 200, "", "0123456789"),
        (
            "Range: bytes=2-4\r\nIf-Range: ETAG\r\n",
            206,
            "bytes 2-4/10",
            "234",
        ),
        (
            "Range: bytes=2-4\r\nIf-Range: W/ETAG\r\n",
            200,
            "",
            "0123456789",
        ),
        (
            "Range: bytes=2-4\r\nIf-Range: \"x\"\r\n",
            200,
            "",
            "0123456789",
        ),
        ("Range: bytes=2-4\r\nIf-Range: x\r\n", 200, "", "0123456789"),
        (
            "Range: bytes=2-4\r\nIf-Range: MODIFIED\r\n",
            206,
            "bytes 2-4/10",
            "234",
        ),
        // Whoever has a part of what was there before an older file came back.
        (
            "Range: bytes=2-4\r\nIf-Range: LATER\r\n",
            200,
            "",
            "0123456789",
        ),
        ("Range: bytes=2-4\r\nIf-None-Match: ETAG\r\n", 304, "", ""),
    ] {
        let headers = headers
            .replace("ETAG", etag)
            .replace("MODIFIED", &modified)
            .replace("LATER", &later);
        let answer = get(server.port, "/digits", &headers);
        assert_eq!(answer.status, status, "{headers}: {answer:?}");
        assert_eq!(
            answer.header("content-range").unwrap_or(""),
            range,
            "{headers}"
        );
        assert_eq!(answer.body, content.as_bytes(), "{headers}");
    }
    // Ranges are a matter of GET.
    let answer = ask("HEAD", server.port, "/digits", "Range: bytes=2-4\r\n");
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, Some("10"))
    );
    scene.finish();
}

#[test]
fn only_what_reads_is_done_and_all_else_is_refused_with_a_reason() {
    let (scene, site) = (Scene::new(), Site::new());
    let more = json!({"health": "/health", "metrics": "/metrics", "refused": true});
    let server = scene.server(site.at_root(more));
    for path in ["/", "/app.js", "/health", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "PROPFIND"] {
            let answer = ask(method, server.port, path, "");
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(
                answer.header("allow"),
                Some("get, head, options"),
                "{method} {path}"
            );
        }
        let answer = ask("OPTIONS", server.port, path, "");
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert_eq!(answer.header("allow"), Some("get, head, options"), "{path}");
    }
    let refused = scene.host.server_event("refused", server.reference);
    assert_eq!(*refused.context("status"), 405, "{refused:?}");
    let bare = scene.server(json!({}));
    let answer = get(bare.port, "/", "");
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection"), Some("upgrade"));
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    scene.finish();
}

/// As RFC 9110 § 5.6.7 has it.
fn httpdate(time: std::time::SystemTime) -> String {
    let mut date = std::process::Command::new("date");
    let seconds = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    date.env("LC_ALL", "C").args([
        "-u",
        "-d",
        &format!("@{seconds}"),
        "+%a, %d %b %Y %H:%M:%S GMT",
    ]);
    crate::cc::run(&mut date, "date").trim().to_owned()
}

#[test]
fn a_file_whose_date_http_cannot_write_comes_without_it() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({})));
    // Systems do not take every date that is too late.
    let dates = [
        SystemTime::UNIX_EPOCH - Duration::from_secs(86_400 * 4000),
        SystemTime::UNIX_EPOCH + Duration::from_secs(300_000_000_000),
    ];
    for date in dates {
        site.write("www/dated", b"x");
        let file = fs::File::options().write(true).open(site.path("www/dated"));
        file.unwrap().set_modified(date).unwrap();
        if fs::metadata(site.path("www/dated"))
            .unwrap()
            .modified()
            .unwrap()
            != date
        {
            continue;
        }
        for condition in [
            "",
            "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n",
            "If-Range: Mon, 01 Jan 2024 00:00:00 GMT\r\nRange: bytes=0-0\r\n",
            "If-Unmodified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n",
        ] {
            let answer = get(server.port, "/dated", condition);
            assert_eq!(answer.status, 200, "{date:?} {condition}: {answer:?}");
            assert_eq!(answer.header("last-modified"), None, "{date:?}");
        }
    }
    scene.finish();
}
