//! What must not be seen, however it is spelt, and requests that two readers could take differently.

use std::time::Duration;

use serde_json::json;

use crate::adversary::{PROMPTLY, Peer};
use crate::scene::Scene;
use crate::{PAGE, Site, get, head, next};

#[test]
fn nothing_outside_of_the_folder_is_seen() {
    let (scene, site) = (Scene::new(), Site::new());
    let files = json!({"/": site.path("www"), "/app/": site.path("www/sub")});
    let server = scene.server(json!({"files": files}));
    let up = [
        "..",
        "%2e%2e",
        "%2E%2e",
        ".%2e",
        "%2e.",
        "..%00",
        "...",
        "..;",
        "..%20",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "%uff0e%uff0e",
    ];
    let between = [
        "/", "%2f", "%2F", "\\", "%5c", "%5C", "//", "/./", "%252f", "%c0%af",
    ];
    let mut paths = Vec::new();
    for up in up {
        for between in between {
            paths.push(format!("/{up}{between}outside{between}passwd"));
            paths.push(format!(
                "/sub{between}{up}{between}{up}{between}outside{between}passwd"
            ));
            paths.push(format!("/app{between}{up}{between}index.html"));
            paths.push(format!("/app/{up}{between}.secret"));
        }
        paths.push(format!("/{}etc/passwd", format!("{up}/").repeat(20)));
    }
    for path in [
        "//etc/passwd",
        "/etc/passwd",
        "/%2fetc/passwd",
        "/C:/windows/win.ini",
        "/c:%5cwindows",
        "/file:///etc/passwd",
        "/out",
        "/out-folder/passwd",
        "/out-folder/",
        "/beside",
        "/far",
        "/dangling",
        "/round",
        "/bare/",
        "/bare/index.html",
        "/bare",
        "/.secret",
        "/%2esecret",
        "/.git/config",
        "/.git/",
        "/sub/../.secret",
        "/index.html%00.txt",
        "/index.html%00",
        "/index.html/",
        "/./index.html",
        "/sub/./x.json",
        "/index.html::$DATA",
        "/index.html:x",
        "/app.js%0a",
        "/%ff%fe",
        "/%",
        "/%2",
        "/%zz",
        "/sub//x.json",
        "/sub%2fx.json",
        "/sub%5cx.json",
    ] {
        paths.push(path.to_owned());
    }
    paths.push(format!("/{}", "x".repeat(300)));
    paths.push(format!("/{}", "x/".repeat(3000)));
    let mut peer = Peer::tcp(server.port);
    for path in &paths {
        peer.send_bytes(head("GET", path, "").as_bytes());
        let Some(answer) = peer.response(PROMPTLY) else {
            panic!("no answer to {path}")
        };
        // "/bare" is a folder, and says no more than that.
        let expected: &[u16] = if path == "/bare" { &[308] } else { &[400, 404] };
        assert!(expected.contains(&answer.status), "{path}: {answer:?}");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(
            !text.contains("secret") && !text.contains("root:"),
            "{path}: {text}"
        );
        if answer.status == 400 {
            peer = Peer::tcp(server.port);
        }
    }
    // Neither is a listing.
    std::fs::remove_file(site.path("www/index.html")).unwrap();
    assert_eq!(get(server.port, "/", "").status, 404);
    scene.finish();
}

#[test]
fn a_pipe_or_a_device_in_the_folder_holds_nobody_up() {
    let (scene, site) = (Scene::new(), Site::new());
    let pipe = std::ffi::CString::new(site.path("www/pipe")).unwrap();
    // SAFETY: the path ends with NUL and lives through the call.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    let server = scene.server(site.at_root(json!({})));
    for _ in 0..40 {
        assert_eq!(get(server.port, "/pipe", "").status, 404);
    }
    let options = json!({"files": {"/zero": "/dev/zero", "/pipe": site.path("www/pipe")}});
    let devices = scene.server(options);
    assert_eq!(get(devices.port, "/zero", "").status, 404);
    assert_eq!(get(devices.port, "/pipe", "").status, 404);
    scene.finish();
}

#[test]
fn what_two_readers_could_take_differently_is_refused_also_on_a_kept_connection() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({})));
    let hidden = "GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = format!("Content-Length: {}\r\n", hidden.len());
    let chunked = "Transfer-Encoding: chunked\r\n";
    let get = |headers: &str| head("GET", "/", headers);
    let cases: Vec<(&str, String, u16)> = vec![
        ("a body", get(&length) + hidden, 413),
        ("chunks", get(chunked) + "0\r\n\r\n" + hidden, 413),
        (
            "both",
            get(&format!("{length}{chunked}")) + "0\r\n\r\n" + hidden,
            400,
        ),
        (
            "both, turned",
            get(&format!("{chunked}{length}")) + "0\r\n\r\n" + hidden,
            400,
        ),
        (
            "two lengths",
            get(&format!("{length}Content-Length: 0\r\n")) + hidden,
            400,
        ),
        (
            "a list of lengths",
            get("Content-Length: 0, 45\r\n") + hidden,
            400,
        ),
        (
            "a length with a sign",
            get("Content-Length: +45\r\n") + hidden,
            400,
        ),
        (
            "a length in hex",
            get("Content-Length: 0x2d\r\n") + hidden,
            400,
        ),
        (
            "a huge length",
            get("Content-Length: 99999999999999999999999\r\n") + hidden,
            400,
        ),
        (
            "an unknown coding",
            get("Transfer-Encoding: xchunked\r\n") + hidden,
            501,
        ),
        (
            "two codings",
            get("Transfer-Encoding: gzip, chunked\r\n") + hidden,
            501,
        ),
        (
            "a coding in the dark",
            get("Transfer-Encoding: \x0bchunked\r\n") + hidden,
            400,
        ),
        (
            "a coding, folded",
            get("Transfer-Encoding:\r\n chunked\r\n") + hidden,
            400,
        ),
        (
            "a blank before the colon",
            get("Transfer-Encoding : chunked\r\n") + hidden,
            400,
        ),
        ("a folded header", get("X: a\r\n b\r\n"), 400),
        ("bare LF", get("X: a\nY: b\r\n"), 400),
        (
            "a head in bare LF",
            "GET / HTTP/1.1\nHost: x\n\n".into(),
            400,
        ),
        (
            "a head within a header",
            get(&format!("X: a\n\n{hidden}")),
            400,
        ),
        ("a bare CR", get("X: a\rY: b\r\n"), 400),
        ("NUL", get("X: a\0b\r\n"), 400),
        ("two hosts", get("Host: evil\r\n"), 400),
        ("no host", "GET / HTTP/1.1\r\n\r\n".into(), 400),
        (
            "HTTP/1.0 with chunks",
            format!("GET / HTTP/1.0\r\n{chunked}\r\n0\r\n\r\n{hidden}"),
            400,
        ),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ("HTTP/1.2", get("").replace("HTTP/1.1", "HTTP/1.2"), 505),
        ("a POST", head("POST", "/", &length) + hidden, 405),
        (
            "a large head",
            get(&format!("X: {}\r\n", "x".repeat(17 * 1024))),
            431,
        ),
        ("many headers", get(&"X: y\r\n".repeat(101)), 431),
        ("noise", "\u{1}\u{2}\u{3}\r\n\r\n".into(), 400),
        (
            "a body that is awaited",
            get(&format!("{length}Expect: 100-continue\r\n")),
            413,
        ),
    ];
    for kept in [false, true] {
        for (what, request, expected) in &cases {
            let mut peer = Peer::tcp(server.port);
            if kept {
                assert_eq!(next(&mut peer, "/").body, PAGE.as_bytes());
            }
            peer.send_bytes(request.as_bytes());
            let answer = peer
                .response(PROMPTLY)
                .unwrap_or_else(|| panic!("no answer to {what}"));
            assert_eq!(answer.status, *expected, "{what}, kept {kept}: {answer:?}");
            assert_eq!(
                answer.header("connection"),
                Some("close"),
                "{what}: {answer:?}"
            );
            // Nothing that stands in a body is taken for a request.
            peer.fin();
            assert!(peer.response(PROMPTLY).is_none(), "{what}, kept {kept}");
        }
    }
    scene.finish();
}

#[test]
fn empty_lines_and_single_bytes_are_no_harm() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({})));
    let mut peer = Peer::tcp(server.port);
    for _ in 0..2 {
        let request = format!("\r\n{}", head("GET", "/", ""));
        for byte in request.bytes() {
            peer.send_bytes(&[byte]);
        }
        assert_eq!(peer.response(PROMPTLY).unwrap().body, PAGE.as_bytes());
    }
    let whole = head("GET", "http://localhost/app.js", "Content-Length: 0\r\n");
    assert_eq!(Peer::http(server.port, whole).unwrap().body, b"let a = 1;");
    scene.finish();
}

#[test]
fn huge_headers_of_conditions_and_ranges_cost_nothing() {
    let (scene, site) = (Scene::new(), Site::new());
    let options = json!({"maxHeadBytes": 1_000_000, "cors": ["https://a.example"]});
    let server = scene.server(site.at_root(options));
    for (name, part) in [
        ("Range: bytes=", "0-0,"),
        ("Range: bytes=", "-"),
        ("Range: bytes=", "9"),
        ("Range: bytes=0-,", "1-,"),
        ("If-None-Match: ", "\"x\", "),
        ("If-None-Match: ", "\""),
        ("If-None-Match: W/", ","),
        ("If-Match: ", "W/\"\","),
        ("If-Modified-Since: ", "Mon, "),
        ("If-Range: ", "\"x\\"),
        ("Origin: https://", "a."),
        ("Access-Control-Request-Headers: ", "x,"),
        ("Cookie: ", "a=b; "),
    ] {
        let before = scene.host.cpu();
        let value = part.repeat(900_000 / part.len());
        let answer = get(server.port, "/digits", &format!("{name}{value}\r\n"));
        assert!(
            [200, 304, 400, 412, 416].contains(&answer.status),
            "{name}{part}: {answer:?}"
        );
        let cost = scene.host.cpu() - before;
        assert!(cost < Duration::from_millis(300), "{name}{part}: {cost:?}");
    }
    scene.finish();
}

#[test]
fn a_flood_of_requests_on_one_connection_holds_nobody_up() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({"sendStallMs": 1000})));
    // The answers are not read: what is sent waits for that, and then nobody waits any longer.
    let mut flood = Peer::tcp_with_little_room(server.port);
    let timeout = Some(Duration::from_millis(200));
    flood.stream.set_write_timeout(timeout).unwrap();
    site.write("www/large", &vec![7; 256 << 10]);
    let many = head("GET", "/large", "").repeat(1000);
    for _ in 0..10 {
        flood.send_bytes(many.as_bytes());
    }
    Peer::client(server.port);
    assert_eq!(get(server.port, "/", "").status, 200);
    scene.still_beats();
    let info = || {
        crate::ask!(scene.host, "server_info", server.reference)
            .ok()
            .body
    };
    assert!(crate::host::soon(
        2 * PROMPTLY,
        || info()["httpConnections"] == 0
    ));
    assert!(flood.ends(PROMPTLY));
    scene.finish();
}

#[test]
fn a_host_that_does_not_look_is_told_of_no_more_refusals_than_it_has_credit_for() {
    let (scene, site) = (Scene::pulling(), Site::new());
    let options = json!({"refused": true, "eventQueueEvents": 50});
    let server = scene.server(site.at_root(options));
    let mut flood = Peer::tcp(server.port);
    let many = head("GET", "/nothing", "").repeat(300);
    flood.send_bytes(many.as_bytes());
    let events = || {
        let info = crate::ask!(scene.host, "server_info", server.reference).ok();
        info.body["eventQueueEvents"].as_u64().unwrap()
    };
    assert!(crate::host::soon(PROMPTLY, || events() >= 50));
    // Whoever asks more waits: nobody has taken an event yet.
    assert!(!crate::host::soon(
        std::time::Duration::from_millis(300),
        || events() > 51
    ));
    let mut told = 0;
    while told < 300 {
        let options = json!({"max": 1000, "timeout": 1000});
        let messages = crate::ask!(scene.host, "server_messages", server.reference, options).ok();
        let messages = messages.body.as_array().unwrap().clone();
        assert!(!messages.is_empty(), "{told}");
        assert!(messages.iter().all(|event| event["type"] == "refused"));
        told += messages.len();
    }
    assert_eq!(told, 300);
    scene.finish();
}
