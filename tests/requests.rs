//! What a client asks for: headers, sub-protocols, who it is, redirects, Unix sockets, zones, and what it is told where
//! the server refuses. A raw server shows what came over the wire.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/host.rs"]
mod host;
#[path = "support/proxies.rs"]
mod proxies;
#[path = "support/script.rs"]
mod script;

use adversary::{Frame, url};
use host::{Host, INVALID_OPTIONS, NETWORK, Reply, WATCHDOG};
use script::{Script, header, open, redirect, say};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Instant;

/// A host without callbacks.
fn host() -> Host {
    Host::spawn()
}

/// Creates a client and starts it; it does not come back by itself.
fn connect(host: &Host, options: Value) -> Reply {
    let mut all = json!({"enableAutomaticReconnection": false, "timeout": 5});
    all.as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    let client = ask!(host, "client_create", all).ok().reference;
    let mut reply = ask!(host, "client_start", client, "{}");
    reply.reference = client;
    reply
}

/// Creates a client with an option that is refused: an error that names it and has each of `parts`.
fn refused(host: &Host, option: &str, value: Value, parts: &[&str]) {
    let reply = ask!(
        host,
        "client_create",
        json!({"url": "ws://127.0.0.1:9/", option: value})
    );
    let reply = reply.fails(INVALID_OPTIONS, parts);
    assert_eq!(reply.body["error"]["option"], option, "{}", reply.body);
}

#[test]
fn headers_go_as_they_are_given() {
    let host = host();
    let server = Script::of(vec![open(), open()]);
    let headers = json!({
        "X-Many": ["one", "two", "one"], "X-None": [], "X-Empty": "", "X-Utf8": "grün\tblau",
        "host": "other.example:8080", "user-agent": "mine/1", "Origin": "https://me.example", "Cookie": "a=b; c=d",
    });
    connect(&host, json!({"url": server.url("/"), "headers": headers})).ok();
    let request = server.request();
    for (name, values) in [
        ("X-Many", &["one", "two", "one"][..]),
        ("X-None", &[]),
        ("X-Empty", &[""]),
        ("X-Utf8", &["grün\tblau"]),
        ("Host", &["other.example:8080"]),
        ("User-Agent", &["mine/1"]),
        ("Origin", &["https://me.example"]),
        ("Cookie", &["a=b; c=d"]),
        ("Upgrade", &["websocket"]),
    ] {
        assert_eq!(header(&request, name), values, "{request}");
    }
    connect(&host, json!({"url": server.url("/")})).ok();
    let request = server.request();
    assert_eq!(
        header(&request, "Host"),
        [format!("127.0.0.1:{}", server.port)]
    );
    assert_eq!(header(&request, "User-Agent").len(), 1);
    for absent in [
        "Origin",
        "Cookie",
        "Authorization",
        "Sec-WebSocket-Protocol",
    ] {
        assert!(header(&request, absent).is_empty(), "{request}");
    }
}

#[test]
fn headers_that_would_break_the_request_are_refused_by_name() {
    let host = host();
    for (name, value) in [
        ("X-Cr", json!("a\rb")),
        ("X-Lf", json!("a\nX-Evil: 1")),
        ("X-Nul", json!("a\0b")),
        ("X-Esc", json!("\u{1b}")),
        ("X-Del", json!("\u{7f}")),
        ("X-Second", json!(["fine", "a\r\nb"])),
        ("X-Number", json!(1)),
        ("X-Nested", json!([["a"]])),
        ("X-Object", json!({"a": "b"})),
        ("X Space", json!("a")),
        ("X:Colon", json!("a")),
        ("Upgrade", json!("h2c")),
        ("connection", json!("close")),
        ("Content-Length", json!("5")),
        ("Transfer-Encoding", json!("chunked")),
        ("Sec-WebSocket-Key", json!("a")),
        ("sec-websocket-version", json!("8")),
        ("SEC-WEBSOCKET-PROTOCOL", json!("a")),
        ("Sec-WebSocket-Extensions", json!("a")),
        ("Sec-WebSocket-Anything", json!("a")),
    ] {
        refused(&host, "headers", json!({name: value}), &["headers", name]);
    }
    refused(&host, "headers", json!({"": "a"}), &["token"]);
    refused(&host, "headers", json!({"X\r\nY": "a"}), &["token"]);
    refused(&host, "headers", json!(["a"]), &["must be an object"]);
    // These are seen when the whole request is put together: nothing has been sent.
    for (headers, part) in [
        (json!({"Host": ["a", "b"]}), "twice"),
        (json!({"Host": "a b"}), "\"host\""),
        (json!({"Host": "http://a"}), "\"host\""),
    ] {
        let reply = connect(
            &host,
            json!({"url": "ws://127.0.0.1:9/", "headers": headers}),
        );
        reply.fails(NETWORK, &[part]);
    }
}

#[test]
fn protocols_are_a_text_or_an_array() {
    let host = host();
    for (given, line) in [
        (json!("mqtt"), "mqtt"),
        (json!("mqtt, soap"), "mqtt, soap"),
        (json!(["mqtt", "soap"]), "mqtt, soap"),
    ] {
        let answer: script::Answer =
            Box::new(|peer| Some(peer.answered("Sec-WebSocket-Protocol: mqtt\r\n")));
        let server = Script::of(vec![answer]);
        let reply = connect(&host, json!({"url": server.url("/"), "protocols": given})).ok();
        assert_eq!(reply.body["protocol"], "mqtt");
        assert_eq!(header(&server.request(), "Sec-WebSocket-Protocol"), [line]);
    }
    for wrong in [
        json!(1),
        json!([1]),
        json!("a b"),
        json!("a,,b"),
        json!(["a", "a"]),
        json!({}),
    ] {
        refused(&host, "protocols", wrong, &["protocol"]);
    }
}

#[test]
fn who_we_are_comes_from_the_header_else_from_auth_else_from_the_url() {
    let host = host();
    let basic = json!({"basic": {"user": "Aladdin", "password": "open sesame"}});
    let umlaut = json!({"basic": {"user": "jürgen", "password": ""}});
    let token = json!({"bearer": "a.b-c~d+e/f=="});
    let header_of_ours = json!({"authorization": "Custom x"});
    for (userinfo, auth, headers, expected) in [
        (
            "",
            basic.clone(),
            json!({}),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        ("", umlaut, json!({}), "Basic asO8cmdlbjo="),
        ("", token.clone(), json!({}), "Bearer a.b-c~d+e/f=="),
        (
            "Aladdin:open%20sesame@",
            json!({}),
            json!({}),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        ("u@", json!({}), json!({}), "Basic dTo="),
        (
            "u:p%3A%40%25%C3%BC@",
            json!({}),
            json!({}),
            "Basic dTpwOkAlw7w=",
        ),
        ("u:p@", token, json!({}), "Bearer a.b-c~d+e/f=="),
        ("u:p@", basic, header_of_ours, "Custom x"),
    ] {
        let server = Script::of(vec![open()]);
        let url = format!("ws://{userinfo}127.0.0.1:{}/", server.port);
        let options = json!({"url": url, "auth": auth, "headers": headers});
        connect(&host, options).ok();
        let request = server.request();
        assert_eq!(header(&request, "Authorization"), [expected], "{request}");
        assert!(!request.lines().next().unwrap().contains('@'), "{request}");
    }
}

#[test]
fn auth_that_cannot_be_sent_is_refused_without_repeating_it() {
    let host = host();
    for (auth, part) in [
        (json!("secret"), "object"),
        (json!(["secret"]), "object"),
        (json!({"basic": "secret"}), "\"user\" and \"password\""),
        (json!({"basic": {"user": "u"}}), "\"user\" and \"password\""),
        (
            json!({"basic": {"user": "u", "password": 1}}),
            "\"user\" and \"password\"",
        ),
        (
            json!({"basic": {"u": "secret"}}),
            "\"user\" and \"password\"",
        ),
        (
            json!({"basic": {"user": "u", "password": "secret", "x": 1}}),
            "\"user\" and \"password\"",
        ),
        (
            json!({"basic": {"user": "a:b", "password": "secret"}}),
            "colon",
        ),
        (
            json!({"basic": {"user": "u", "password": "secret\r\n"}}),
            "control",
        ),
        (json!({"bearer": ""}), "at least one"),
        (json!({"bearer": "secret secret"}), "visible"),
        (json!({"bearer": "secret\r\nX: y"}), "visible"),
        (json!({"bearer": ["secret"]}), "a text"),
        (json!({"digest": {}}), "\"digest\" is neither"),
        (
            json!({"basic": {"user": "u", "password": "p"}, "bearer": "t"}),
            "not both",
        ),
    ] {
        let reply = ask!(
            host,
            "client_create",
            json!({"url": "ws://a/", "auth": auth})
        );
        let reply = reply.fails(INVALID_OPTIONS, &["auth", part]);
        let message = reply.body["error"]["message"].as_str().unwrap();
        assert!(part == "object" || !message.contains("secret"), "{message}");
    }
}

#[test]
fn what_replies_show_can_be_passed_back_and_keeps_its_secrets() {
    let host = host();
    let server = Script::of(vec![open(), open()]);
    let url = format!("ws://me:secret@127.0.0.1:{}/", server.port);
    let created = ask!(
        host,
        "client_create",
        json!({"url": url, "enableAutomaticReconnection": false, "closeTimeoutMs": 100})
    )
    .ok();
    let client = created.reference;
    assert!(
        !created.body.to_string().contains("secret"),
        "{}",
        created.body
    );
    let started = ask!(host, "client_start", client, created.body).ok();
    assert!(
        !started.body.to_string().contains("secret"),
        "{}",
        started.body
    );
    assert_eq!(
        header(&server.request(), "Authorization"),
        ["Basic bWU6c2VjcmV0"]
    );
    ask!(host, "client_stop", client, "{}").ok();
    let auth = json!({"auth": {"bearer": "secret"}});
    ask!(host, "client_start", client, auth).ok();
    assert_eq!(
        header(&server.request(), "Authorization"),
        ["Bearer secret"]
    );
    let stopped = ask!(host, "client_stop", client, "{}").ok();
    assert!(
        !stopped.body.to_string().contains("secret"),
        "{}",
        stopped.body
    );
}

#[test]
fn redirects_are_told_and_not_followed_by_default() {
    let host = host();
    let server = Script::of(vec![redirect(302, "/there")]);
    let reply = connect(&host, json!({"url": server.url("/")}));
    let reply = reply.fails(NETWORK, &["302", "followRedirects", "/there"]);
    assert_eq!(reply.body["http_status"], 302);
    assert_eq!(reply.body["headers"]["Location"], "/there");
    for wrong in [json!("yes"), json!(-1), json!(51), json!(1.5), json!([])] {
        refused(&host, "followRedirects", wrong, &["followRedirects", "50"]);
    }
}

#[test]
fn every_kind_of_redirect_is_followed_with_all_that_was_sent() {
    let host = host();
    for status in [301, 302, 303, 307, 308] {
        let server = Script::of(vec![redirect(status, "../b?x=y"), open()]);
        let url = format!("ws://me:pw@127.0.0.1:{}/a/c", server.port);
        let options = json!({
            "url": url, "followRedirects": true, "headers": {"Cookie": "a=b", "X-Own": "1", "Host": "virtual.example"},
        });
        let reply = connect(&host, options).ok();
        assert_eq!(reply.body["uri"], "/b?x=y");
        assert_eq!(reply.body["url"], server.url("/b?x=y"));
        let (first, second) = (server.request(), server.request());
        assert!(first.starts_with("GET /a/c HTTP/1.1\r\n"), "{first}");
        assert!(second.starts_with("GET /b?x=y HTTP/1.1\r\n"), "{second}");
        for name in ["Cookie", "X-Own", "Host", "Authorization"] {
            assert_eq!(header(&first, name).len(), 1, "{first}");
            assert_eq!(header(&first, name), header(&second, name), "{second}");
        }
        assert_ne!(
            header(&first, "Sec-WebSocket-Key"),
            header(&second, "Sec-WebSocket-Key")
        );
        let mut peer = server.peer();
        peer.send(&Frame::text("arrived"));
        let open = ask!(
            host,
            "client_messages",
            reply.reference,
            json!({"timeout": 5, "max": 1})
        )
        .ok();
        assert_eq!(
            open.body[0]["context"]["url"],
            server.url("/b?x=y"),
            "{}",
            open.body
        );
    }
    // Other statuses with a Location are no redirects.
    for status in [300, 304, 305, 400] {
        let server = Script::of(vec![redirect(status, "/there")]);
        let reply = connect(
            &host,
            json!({"url": server.url("/"), "followRedirects": true}),
        );
        reply.fails(NETWORK, &[&status.to_string()]);
    }
    let server = Script::of(vec![say("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")]);
    let reply = connect(
        &host,
        json!({"url": server.url("/"), "followRedirects": true}),
    );
    reply.fails(NETWORK, &["302"]);
}

#[test]
fn another_origin_is_told_no_secrets_and_neither_is_the_first_on_the_way_back() {
    let host = host();
    for (userinfo, auth, authorization) in [
        ("me:secret@", json!({}), json!([])),
        ("", json!({"bearer": "secret"}), json!([])),
        ("", json!({}), json!("secret")),
    ] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let back = format!(
            "http://127.0.0.1:{}/back",
            listener.local_addr().unwrap().port()
        );
        let away = Script::of(vec![redirect(307, &back)]);
        let there = format!("http://u:p@127.0.0.1:{}/away", away.port);
        let home = Script::on(listener, vec![redirect(307, &there), open()]);
        let headers = json!({
            "Cookie": "secret", "Proxy-Authorization": "secret", "X-Api-Key": "secret", "Host": "secret.example",
            "Authorization": authorization, "Origin": "http://me.example", "User-Agent": "mine/1",
        });
        let url = format!("ws://{userinfo}127.0.0.1:{}/", home.port);
        let options = json!({"url": url, "auth": auth, "headers": headers, "followRedirects": 2});
        connect(&host, options).ok();
        let first = home.request();
        assert!(first.contains("secret"), "{first}");
        assert_eq!(header(&first, "Authorization").len(), 1, "{first}");
        for (request, port) in [(away.request(), away.port), (home.request(), home.port)] {
            assert!(!request.contains("secret"), "{request}");
            assert!(header(&request, "Authorization").is_empty(), "{request}");
            assert_eq!(header(&request, "Host"), [format!("127.0.0.1:{port}")]);
            assert_eq!(header(&request, "Origin"), ["http://me.example"]);
            assert_eq!(header(&request, "User-Agent"), ["mine/1"]);
        }
    }
}

#[test]
fn redirects_without_an_end_or_to_nowhere_fail_with_a_reason() {
    let host = host();
    let follow = |server: &Script, max: Value| {
        connect(
            &host,
            json!({"url": server.url("/a"), "followRedirects": max}),
        )
    };
    let server = Script::of(vec![redirect(302, "/b"), redirect(302, "/a")]);
    let reply = follow(&server, json!(true)).fails(NETWORK, &["circle", "/a"]);
    assert_eq!(reply.body["http_status"], 302);
    let server = Script::of(
        (0..3)
            .map(|turn| redirect(302, &format!("/{turn}")))
            .collect(),
    );
    follow(&server, json!(2)).fails(NETWORK, &["more often", "(2)", "/2"]);
    let server = Script::of(
        (0..11)
            .map(|turn| redirect(302, &format!("/{turn}")))
            .collect(),
    );
    follow(&server, json!(true)).fails(NETWORK, &["(10)"]);
    for (location, part) in [
        ("ftp://127.0.0.1/", "only http"),
        ("ws+unix:/run/secret.sock:/", "only http"),
        ("http://127.0.0.1:99999/", "port must be"),
        ("/%", "hexadecimal"),
        ("#here", "no address"),
    ] {
        let server = Script::of(vec![redirect(302, location)]);
        follow(&server, json!(true)).fails(NETWORK, &["redirects to", part]);
    }
    // The place may be dead, and all steps share one deadline.
    let nobody = url(&adversary::listener());
    let server = Script::of(vec![redirect(302, &nobody)]);
    follow(&server, json!(true)).fails(NETWORK, &["refused"]);
    let silent = adversary::listener();
    let server = Script::of(vec![redirect(302, &url(&silent))]);
    let began = Instant::now();
    let options = json!({"url": server.url("/"), "followRedirects": true, "timeout": 3});
    connect(&host, options).fails(NETWORK, &["3000 ms", "upgrade request"]);
    assert!(began.elapsed() < WATCHDOG);
}

#[test]
fn redirects_lead_into_tls_but_not_out_of_it_and_take_no_certificate_along() {
    let (host, certs) = (host(), certs::Certs::new());
    let (pair, own) = (certs.server(), certs.issue("/CN=me", "DNS:me"));
    let authority = &certs.authority.cert;
    let server = |client_authority: Option<&str>| {
        let mut tls = json!({"certFile": pair.cert, "keyFile": pair.key});
        if let Some(authority) = client_authority {
            tls["clientCaFile"] = json!(authority);
        }
        let server = ask!(host, "server_create", json!({"port": 0, "tls": tls}))
            .ok()
            .reference;
        ask!(host, "server_start", server, "{}").ok().body["port"].clone()
    };
    let tls = json!({
        "caFile": authority, "certFile": own.cert, "keyFile": own.key, "serverName": "localhost",
    });
    let (open, strict) = (server(None), server(Some(authority)));
    let strict = format!("wss://127.0.0.1:{strict}/");
    let options = |url: &str| json!({"url": url, "tls": tls, "followRedirects": true});
    connect(&host, options(&strict)).ok();
    // The way into TLS; without `tls`, the system's authorities are asked, which do not know ours.
    let there = format!("https://localhost:{open}/there");
    let first = Script::of(vec![redirect(302, &there)]);
    let reply = connect(
        &host,
        json!({"url": first.url("/"), "followRedirects": true}),
    );
    reply.fails(NETWORK, &["tls with \"localhost\"", "unknown"]);

    let front = |script: &Script| proxies::RealProxy::stunnel(script.port, &pair.cert, &pair.key);
    let scripts = [
        (there.clone(), None),
        (strict, Some("certificate")),
        ("http://localhost/".to_owned(), Some("not encrypted")),
    ];
    for (location, failure) in scripts {
        let script = Script::of(vec![redirect(307, &location)]);
        let Some(front) = front(&script) else { return };
        // stunnel was asked whether it listens: that was no request.
        let url = format!("wss://127.0.0.1:{}/", front.port);
        let reply = connect(&host, options(&url));
        match failure {
            None => assert_eq!(reply.ok().body["url"], there.replace("https", "wss")),
            Some(part) => drop(reply.fails(NETWORK, &[part])),
        }
    }
}

#[test]
fn a_refusal_is_shown_with_its_headers_and_the_beginning_of_its_body() {
    let host = host();
    let long = "x".repeat(100_000);
    let answer = |head: &str, body: &[u8]| {
        say([format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat())
    };
    for (answer, status, body) in [
        (
            answer("403 No\r\nX-Why: because\r\nContent-Length: 5", b"go!\r\n"),
            403,
            "go!\r\n",
        ),
        (
            answer(
                "500 No\r\nX-Why: because",
                "until the end \u{e4}".as_bytes(),
            ),
            500,
            "until the end \u{e4}",
        ),
        (
            answer(
                "404 No\r\nX-Why: because\r\nContent-Length: 2",
                b"only two of these",
            ),
            404,
            "on",
        ),
        (
            answer(
                "404 No\r\nX-Why: because\r\nTransfer-Encoding: chunked",
                b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            ),
            404,
            "abcde",
        ),
        (
            answer(
                "200 OK\r\nX-Why: because\r\nContent-Length: 100000",
                long.as_bytes(),
            ),
            200,
            &long[..4096],
        ),
        (
            answer("400 No\r\nX-Why: because", b"\0\x1b[2J\xff<b>"),
            400,
            "\u{fffd}\u{fffd}[2J\u{fffd}<b>",
        ),
        (answer("204 No\r\nX-Why: because", b"not a body"), 204, ""),
    ] {
        let server = Script::of(vec![answer]);
        let reply = connect(&host, json!({"url": server.url("/")})).fails(NETWORK, &[]);
        assert_eq!(reply.body["http_status"], status, "{}", reply.body);
        assert_eq!(reply.body["headers"]["X-Why"], "because", "{}", reply.body);
        assert_eq!(reply.body["body"], body, "{}", reply.body);
        assert_eq!(reply.body["errorStr"], reply.body["error"]["message"]);
    }
    // A body that does not come keeps nobody waiting.
    let server = Script::of(vec![Box::new(|mut peer| {
        peer.send_bytes(b"HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nhalf");
        Some(peer)
    })]);
    let began = Instant::now();
    let reply =
        connect(&host, json!({"url": server.url("/"), "timeout": 20})).fails(NETWORK, &["403"]);
    assert_eq!(reply.body["body"], "half");
    assert!(began.elapsed() < WATCHDOG, "{:?}", began.elapsed());
}

#[test]
fn an_error_event_has_the_answer_and_retry_after_is_waited_for() {
    let host = host();
    ask!(host, "callbacks", "em").ok();
    let server = Script::of(vec![say(
        "HTTP/1.1 503 Later\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy",
    )]);
    let options = json!({"url": server.url("/"), "retryFirst": true, "maxWaitBetweenReconnectionRetries": 100});
    let client = ask!(host, "client_create", options).ok().reference;
    ask!(host, "client_start", client, json!({"wait": false})).ok();
    let event = host.event("error", client);
    assert_eq!(*event.context("http_status"), 503);
    assert_eq!(
        *event.context("headers"),
        json!({"Retry-After": "7", "Content-Length": "4"})
    );
    assert_eq!(*event.context("body"), "busy");
    let wait = event.context("wait_time").as_u64().unwrap();
    assert!((7000..=7100).contains(&wait), "{event:?}");
}

/// A listening Unix socket in a folder that is removed with it.
struct Socket {
    path: std::path::PathBuf,
    listener: UnixListener,
}

impl Socket {
    fn new(name: &str) -> Socket {
        let folder = std::env::temp_dir().join(format!("wsplug {} {name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a:b%.sock");
        let listener = UnixListener::bind(&path).unwrap();
        Socket { path, listener }
    }

    fn url(&self, rest: &str) -> String {
        let path = self.path.to_str().unwrap();
        let path = path
            .replace('%', "%25")
            .replace(':', "%3A")
            .replace(' ', "%20");
        format!("ws+unix:{path}{rest}")
    }

    fn script(&self, answers: Vec<script::Answer>) -> Script {
        let listener = self.listener.try_clone().unwrap();
        let next = move || Some(OwnedFd::from(listener.accept().ok()?.0).into());
        Script::over(0, next, answers)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.path.parent().unwrap());
    }
}

#[test]
fn a_unix_socket_is_a_server_like_any_other() {
    let host = host();
    ask!(host, "callbacks", "em").ok();
    let socket = Socket::new("talk");
    let server = socket.script(vec![open(), open(), redirect(302, "/elsewhere"), open()]);
    let reply = connect(&host, json!({"url": socket.url(":/chat?room=1")})).ok();
    let client = reply.reference;
    assert_eq!(reply.body["uri"], "/chat?room=1");
    assert_eq!(reply.body["url"], socket.url(":/chat?room=1"));
    let request = server.request();
    assert!(
        request.starts_with("GET /chat?room=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert_eq!(header(&request, "Host"), ["localhost"]);
    let opened = host.event("open", client);
    assert_eq!(
        (opened.context("remoteIp"), opened.context("remotePort")),
        (&json!(""), &json!(0))
    );
    // More than the socket holds, both ways, and a proper end.
    let mut peer = server.peer();
    ask!(host, "client_send", client, 2, "*3000000").ok();
    assert_eq!(peer.frame().payload.len(), 3_000_000);
    peer.send(&Frame::text(vec![b'y'; 3_000_000]));
    assert_eq!(host.event("message", client).number("length"), 3_000_000);
    peer.send(&Frame::close(4000, "bye"));
    assert_eq!(host.event("close", client).code(), 4000);

    // Without a path it is "/". No proxy stands before a Unix socket.
    let options = json!({"url": socket.url(""), "proxy": "http://127.0.0.1:1"});
    assert_eq!(connect(&host, options).ok().body["uri"], "/");
    assert!(server.request().starts_with("GET / "));
    let options = json!({"url": socket.url(":/"), "followRedirects": true});
    assert_eq!(
        connect(&host, options).ok().body["url"],
        socket.url(":/elsewhere")
    );

    let gone = "ws+unix:/nonexistent/socket:/";
    connect(&host, json!({"url": gone})).fails(NETWORK, &["/nonexistent/socket", "No such file"]);
    refused(
        &host,
        "url",
        json!("ws+unix:relative.sock:/"),
        &["absolute path"],
    );
}

#[test]
fn an_address_with_a_zone_is_reached_and_the_zone_not_sent() {
    let host = host();
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Script::on(listener, vec![open()]);
    // The loopback interface has the number 1 on every Linux.
    connect(&host, json!({"url": format!("ws://[::1%251]:{port}/")})).ok();
    assert_eq!(header(&server.request(), "Host"), [format!("[::1]:{port}")]);
    let reply = connect(&host, json!({"url": "ws://[fe80::1%25nosuchcard]:9/"}));
    reply.fails(NETWORK, &["cannot resolve", "fe80::1%nosuchcard"]);
    refused(&host, "url", json!("ws://[fe80::1%eth0]/"), &["%25"]);
    refused(
        &host,
        "url",
        json!("ws://b\u{fc}cher.example/"),
        &["punycode"],
    );
}

#[test]
fn nothing_that_is_secret_gets_into_log_or_events() {
    let host = host();
    ask!(host, "callbacks", "em").ok();
    ask!(host, "log", 4).ok();
    let server = Script::of(vec![
        say("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
        redirect(302, "http://"),
        say("not HTTP"),
    ]);
    for _ in 0..3 {
        let url = format!("ws://me:secret@127.0.0.1:{}/", server.port);
        let options = json!({
            "url": url, "followRedirects": true, "auth": {"bearer": "secret"}, "headers": {"Cookie": "secret"},
        });
        let reply = connect(&host, options).fails(NETWORK, &[]);
        assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
        server.request();
    }
    let told = host.take(|_| true);
    assert!(
        !told.is_empty() && !format!("{told:?}").contains("secret"),
        "{told:?}"
    );
}
