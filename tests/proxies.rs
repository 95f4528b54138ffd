//! A server behind nginx. Clients behind proxies: real ones (tinyproxy, microsocks, stunnel before tinyproxy) for ws and wss, and raw ones that
//! show what came over the wire and do what they want.

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

use adversary::{Frame, PROMPTLY, Peer, listener, request_to};
use certs::Certs;
use host::{Host, INVALID_OPTIONS, NETWORK, Reply, WATCHDOG};
use proxies::RealProxy;
use script::{Answer, Script, header, say};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Creates a client and starts it; it does not come back by itself unless the options say so.
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

/// A host with two servers that echo, without TLS and with it, and the authority that the latter is certified by.
struct Scene {
    host: Host,
    ws: u16,
    wss: u16,
    certs: Certs,
}

impl Scene {
    fn new() -> Scene {
        let (host, certs) = (Host::spawn(), Certs::new());
        ask!(host, "callbacks", "em").ok();
        ask!(host, "echo_method", "echo").ok();
        ask!(host, "log", 4).ok();
        let pair = certs.server();
        let tls = json!({"certFile": pair.cert, "keyFile": pair.key});
        let start = |options: Value| {
            let server = ask!(host, "server_create", options).ok().reference;
            let started = ask!(host, "server_start", server, "{}").ok().body;
            started["port"].as_u64().unwrap() as u16
        };
        let ws = start(json!({"port": 0, "method": "echo"}));
        let wss = start(json!({"port": 0, "method": "echo", "tls": tls}));
        Scene {
            host,
            ws,
            wss,
            certs,
        }
    }

    /// Connects by the name and by the address of the server, over both schemes; a message that takes many reads comes back.
    fn passes(&self, proxy: &str) {
        for (scheme, port) in [("ws", self.ws), ("wss", self.wss)] {
            for name in ["localhost", "127.0.0.1"] {
                let mut options =
                    json!({"url": format!("{scheme}://{name}:{port}/"), "proxy": proxy});
                if scheme == "wss" {
                    options["tls"] = json!({"caFile": self.certs.authority.cert});
                }
                let reply = connect(&self.host, options).ok();
                assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
                ask!(self.host, "client_send", reply.reference, 2, "*1000000").ok();
                let event = self.host.event("message", reply.reference);
                assert_eq!(event.number("length"), 1_000_000, "{proxy} {scheme}");
                ask!(self.host, "client_stop", reply.reference, "{}").ok();
                assert_eq!(self.host.event("close", reply.reference).code(), 1000);
            }
        }
    }

    /// Does not connect; the reason has each of `parts`.
    fn fails(&self, proxy: &str, parts: &[&str]) -> Reply {
        let mut last = None;
        for (scheme, port) in [("ws", self.ws), ("wss", self.wss)] {
            let url = format!("{scheme}://127.0.0.1:{port}/");
            let reply = connect(
                &self.host,
                json!({"url": url, "proxy": proxy, "tls": self.trust(scheme)}),
            );
            let reply = reply.fails(NETWORK, parts);
            assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
            last = Some(reply);
        }
        last.unwrap()
    }

    fn trust(&self, scheme: &str) -> Value {
        match scheme {
            "wss" => json!({"caFile": self.certs.authority.cert}),
            _ => Value::Null,
        }
    }

    /// No secret stands in the log or in an event that was not taken.
    fn finish(self) {
        let told = format!("{:?}", self.host.take(|_| true));
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn tinyproxy_carries_ws_and_wss() {
    let scene = Scene::new();
    for login in [None, Some(("me", "secret"))] {
        let Some(proxy) = RealProxy::tinyproxy(login) else {
            return;
        };
        let user = login.map_or("", |_| "me:secret@");
        scene.passes(&format!("http://{user}127.0.0.1:{}", proxy.port));
        for port in [scene.ws, scene.wss] {
            let asked = format!("CONNECT 127.0.0.1:{port} ");
            assert!(proxy.log().contains(&asked), "{}", proxy.log());
        }
    }
    scene.finish();
}

#[test]
fn an_https_proxy_carries_ws_and_wss_tls_in_tls() {
    let scene = Scene::new();
    let Some(proxy) = RealProxy::tinyproxy(Some(("me", "secret"))) else {
        return;
    };
    let pair = scene.certs.server();
    let Some(front) = RealProxy::stunnel(proxy.port, &pair.cert, &pair.key) else {
        return;
    };
    let at = format!("me:secret@localhost:{}", front.port);
    let url = format!("wss://localhost:{}/", scene.wss);
    let tls = scene.trust("wss");
    let options = json!({"url": url, "proxy": format!("https://{at}"), "tls": tls});
    let reply = connect(&scene.host, options).ok();
    ask!(scene.host, "client_send", reply.reference, 2, "*3000000").ok();
    assert_eq!(
        scene
            .host
            .event("message", reply.reference)
            .number("length"),
        3_000_000
    );
    let asked = format!("CONNECT localhost:{} ", scene.wss);
    assert!(proxy.log().contains(&asked), "{}", proxy.log());
    assert_eq!(
        scene.host.event("open", reply.reference).context("tls")["verified"],
        true
    );
    ask!(scene.host, "client_stop", reply.reference, "{}").ok();

    // A proxy is verified always, also where nothing is verified of the server: by the system's authorities here.
    let nothing = json!({"caFile": "NONE"});
    let reply = connect(
        &scene.host,
        json!({"url": url, "proxy": format!("https://{at}"), "tls": nothing}),
    );
    reply.fails(
        NETWORK,
        &["tls with the proxy https://localhost", "unknown"],
    );
    // Plain HTTP to a port with TLS, and the other way round.
    let reply = connect(
        &scene.host,
        json!({"url": url, "proxy": format!("http://{at}"), "tls": tls}),
    );
    reply.fails(NETWORK, &["the proxy http://localhost"]);
    let plain = format!("https://me:secret@localhost:{}", proxy.port);
    let options = json!({"url": url, "proxy": plain, "tls": tls, "timeout": 1});
    // tinyproxy goes on waiting for a request.
    connect(&scene.host, options).fails(NETWORK, &["the proxy https://localhost", "tls"]);
    scene.finish();
}

#[test]
fn microsocks_carries_ws_and_wss() {
    let scene = Scene::new();
    for login in [None, Some(("me", "secret"))] {
        let Some(proxy) = RealProxy::microsocks(login) else {
            return;
        };
        let user = login.map_or("", |_| "me:secret@");
        for scheme in ["socks5", "socks5h"] {
            scene.passes(&format!("{scheme}://{user}127.0.0.1:{}", proxy.port));
        }
        // Only socks5h leaves the name to the proxy.
        assert!(
            proxy.log().contains(&format!("localhost:{}", scene.ws)),
            "{}",
            proxy.log()
        );
    }
    scene.finish();
}

#[test]
fn real_proxies_refuse_wrong_passwords_and_dead_servers() {
    let scene = Scene::new();
    let login = Some(("me", "secret"));
    let (Some(http), Some(socks)) = (RealProxy::tinyproxy(login), RealProxy::microsocks(login))
    else {
        return;
    };
    let at = |scheme: &str, user: &str, port: u16| format!("{scheme}://{user}127.0.0.1:{port}");
    let reply = scene.fails(&at("http", "", http.port), &["the proxy http://127.0.0.1"]);
    assert!(
        [401, 407].contains(&reply.body["http_status"].as_i64().unwrap()),
        "{}",
        reply.body
    );
    assert_ne!(reply.body["body"], "");
    scene.fails(
        &at("http", "me:secret2@", http.port),
        &["the proxy http://127.0.0.1"],
    );
    scene.fails(
        &at("socks5", "", socks.port),
        &["wants a user and a password"],
    );
    scene.fails(
        &at("socks5h", "me:secret2@", socks.port),
        &["does not accept this user and password"],
    );
    scene.fails(
        &at("socks5h", "you:secret@", socks.port),
        &["does not accept this user and password"],
    );

    let nobody = listener().local_addr().unwrap().port();
    let url = format!("ws://127.0.0.1:{nobody}/");
    let reply = connect(
        &scene.host,
        json!({"url": url, "proxy": at("http", "me:secret@", http.port)}),
    );
    reply.fails(
        NETWORK,
        &["the proxy http://127.0.0.1", &format!("127.0.0.1:{nobody}")],
    );
    let reply = connect(
        &scene.host,
        json!({"url": url, "proxy": at("socks5", "me:secret@", socks.port)}),
    );
    reply.fails(NETWORK, &["connection refused (SOCKS reply 5)"]);
    for scheme in ["http", "https", "socks5", "socks5h"] {
        scene.fails(
            &at(scheme, "me:secret@", nobody),
            &["proxy", "cannot connect", "refused"],
        );
        let reply = connect(
            &scene.host,
            json!({"url": url, "proxy": format!("{scheme}://nosuchproxy.invalid")}),
        );
        reply.fails(NETWORK, &["proxy", "cannot resolve", "nosuchproxy.invalid"]);
    }
    scene.finish();
}

#[test]
fn a_proxy_that_dies_ends_the_connection_and_the_client_comes_back_when_it_does() {
    let scene = Scene::new();
    let Some(mut proxy) = RealProxy::tinyproxy(None) else {
        return;
    };
    let client = connect(&scene.host, json!({
        "url": format!("ws://127.0.0.1:{}/", scene.ws), "proxy": format!("http://127.0.0.1:{}", proxy.port),
        "enableAutomaticReconnection": true, "maxWaitBetweenReconnectionRetries": 100,
    }))
    .ok()
    .reference;
    scene.host.event("open", client);
    proxy.end();
    assert_eq!(scene.host.event("close", client).code(), 1006);
    let error = scene.host.event("error", client);
    assert!(
        error
            .reason()
            .contains(&format!("proxy http://127.0.0.1:{}", proxy.port)),
        "{error:?}"
    );
    // Somebody else takes the port: a proxy of ours, which opens each tunnel by itself.
    let listener = TcpListener::bind(("127.0.0.1", proxy.port)).unwrap();
    let _script = Script::on(listener, vec![tunnel()]);
    scene.host.event("open", client);
    scene.finish();
}

/// Answers CONNECT, and then as the server does.
fn tunnel() -> Answer {
    Box::new(|mut peer| {
        peer.send_bytes(b"HTTP/1.1 200 Connection established\r\n\r\n");
        Some(Peer::asked(peer.stream).answered(""))
    })
}

#[test]
fn a_server_behind_the_nginx_of_the_recipe_knows_its_clients() {
    let recipes = std::fs::read_to_string(cc::project().join("docs/recipes.md")).unwrap();
    let block = |after: &str, language: &str| {
        let text = recipes.split_once(after).unwrap().1;
        let text = text.split_once(&format!("```{language}\n")).unwrap().1;
        text.split_once("```").unwrap().0.to_owned()
    };
    let mut options: Value =
        serde_json::from_str(&block("The server believes nginx", "json server")).unwrap();
    options["port"] = 0.into();
    let host = Host::spawn();
    ask!(host, "callbacks", "em").ok();
    let server = ask!(host, "server_create", options).ok().reference;
    let started = ask!(host, "server_start", server, "{}").ok().body;
    let directives = block("## Behind nginx", "nginx")
        .replace("listen 80;", "listen 127.0.0.1:PORT;")
        .replace(":8080", &format!(":{}", started["port"]));
    let Some(nginx) = RealProxy::nginx(&directives) else {
        return;
    };

    let mut client = Peer::tcp_from(Ipv4Addr::new(127, 0, 0, 9), nginx.port);
    let name = format!("127.0.0.1:{}", nginx.port);
    let origin = format!("Origin: http://{name}\r\n");
    client.send_bytes(request_to(&name, "/chat?room=1", &origin).as_bytes());
    let answer = client.response(PROMPTLY).unwrap();
    assert_eq!(answer.status, 101, "{answer:?} {}", nginx.log());
    let open = host.server_event("open", server);
    assert_eq!(open.context("remoteIp"), "127.0.0.9");
    assert_eq!(open.context("uri"), "/chat?room=1");
    assert_eq!(open.context("tls"), false);
    client.send(&Frame::text("through nginx"));
    let message = host.event("message", open.client());
    assert_eq!(message.bytes(), b"through nginx");
    ask!(host, "client_send", open.client(), 1, "=and back").ok();
    assert_eq!(client.frame().payload, b"and back");

    // Another page's script is refused.
    let mut refused = Peer::tcp(nginx.port);
    let origin = "Origin: http://evil.example\r\n";
    refused.send_bytes(request_to(&name, "/chat", origin).as_bytes());
    assert_eq!(refused.response(PROMPTLY).unwrap().status, 403);
    client.send(&Frame::close(1000, "bye"));
    assert_eq!(host.event("close", open.client()).code(), 1000);
}

#[test]
fn connect_is_asked_for_as_the_rfc_has_it_for_ws_and_wss() {
    let host = Host::spawn();
    for (url, authority) in [
        ("ws://far.example/chat", "far.example:80"),
        ("wss://far.example/chat", "far.example:443"),
        ("ws://u:p@FAR.example:8080/", "far.example:8080"),
        ("ws://[2001:db8::1]:81/", "[2001:db8::1]:81"),
    ] {
        for (user, authorization) in [("", None), ("me:p%40ss%3a@", Some("Basic bWU6cEBzczo="))] {
            let proxy = Script::of(vec![say(
                "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy",
            )]);
            let at = format!("http://{user}127.0.0.1:{}", proxy.port);
            let headers =
                json!({"X-Secret": "for the server only", "Proxy-Authorization": "not ours"});
            let reply = connect(&host, json!({"url": url, "proxy": at, "headers": headers}));
            let reply = reply.fails(
                NETWORK,
                &["503 No", authority, "the proxy http://127.0.0.1"],
            );
            assert_eq!(reply.body["body"], "busy");
            let request = proxy.request();
            let mut lines: Vec<&str> = request.trim_end().lines().collect();
            assert!(
                lines.remove(2).starts_with("User-Agent: wsplug/"),
                "{request}"
            );
            let mut expected = vec![
                format!("CONNECT {authority} HTTP/1.1"),
                format!("Host: {authority}"),
            ];
            expected.extend(authorization.map(|value| format!("Proxy-Authorization: {value}")));
            assert_eq!(lines, expected);
        }
    }
}

#[test]
fn what_comes_behind_the_proxys_answer_is_the_servers() {
    let host = Host::spawn();
    // Bytes of the tunnel in the segment of the answer, an interim answer before it, and any status from 200 to 299.
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 299 Fine\r\nVia: x\r\n\r\n",
    ] {
        let early = "HTTP/1.1 418 Early\r\nX-Early: yes\r\nContent-Length: 0\r\n\r\n";
        let proxy = Script::of(vec![Box::new(move |mut peer| {
            peer.send_bytes(format!("{answer}{early}").as_bytes());
            Some(peer)
        })]);
        let at = format!("http://127.0.0.1:{}", proxy.port);
        let reply = connect(&host, json!({"url": "ws://far.example/", "proxy": at}));
        let reply = reply.fails(NETWORK, &["418"]);
        assert_eq!(reply.body["headers"]["X-Early"], "yes", "{}", reply.body);
    }
    // Byte by byte.
    let proxy = Script::of(vec![Box::new(|mut peer| {
        for byte in b"HTTP/1.1 200 Connection established\r\nProxy-Agent: slow\r\n\r\n" {
            peer.send_bytes(&[*byte]);
            std::thread::sleep(Duration::from_millis(1));
        }
        Some(Peer::asked(peer.stream).answered(""))
    })]);
    let at = format!("http://127.0.0.1:{}", proxy.port);
    connect(
        &host,
        json!({"url": "ws://far.example/", "proxy": at, "headers": {"X-Own": "1"}}),
    )
    .ok();
    assert_eq!(header(&proxy.request(), "X-Own").len(), 0);
    let mut peer = proxy.peer();
    assert_eq!(header(&peer.request, "X-Own"), ["1"]);
    assert_eq!(header(&peer.request, "Host"), ["far.example"]);
    peer.send(&Frame::close(1000, ""));
}

#[test]
fn bad_answers_of_an_http_proxy_fail_with_its_name() {
    let host = Host::spawn();
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
    for (answer, part) in [
        ("", "ended the connection before its answer was complete"),
        (
            "HTTP/1.1 200 OK\r\nVia: x",
            "ended the connection before its answer was complete",
        ),
        ("SSH-2.0-OpenSSH\r\n", "is not HTTP"),
        (
            "\x15\x03\x01\0\x02\x02\x46",
            "speaks TLS on this port; use https://",
        ),
        ("HTTP/2 200 OK\r\n\r\n", "malformed"),
        ("HTTP/1.1 2x0 OK\r\n\r\n", "malformed"),
        (&long, "more than 16384 bytes"),
        (&many, "more than 100 headers"),
        (
            "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n",
            "does not accept this user and password (407 Who)",
        ),
        (
            "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
            "answered 403 No",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: ws://x/\r\nContent-Length: 0\r\n\r\n",
            "answered 302 Found",
        ),
    ] {
        let proxy = Script::of(vec![say(answer)]);
        let at = format!("http://me:secret@127.0.0.1:{}", proxy.port);
        let reply = connect(
            &host,
            json!({"url": "ws://far.example/", "proxy": at, "followRedirects": true}),
        );
        let reply = reply.fails(NETWORK, &["the proxy http://127.0.0.1:", part]);
        assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
    }
    // After 407 nothing is tried again.
    ask!(host, "callbacks", "em").ok();
    let proxy = Script::of(vec![say("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")]);
    let at = format!("http://127.0.0.1:{}", proxy.port);
    let options = json!({"url": "ws://far.example/", "proxy": at, "retryFirst": true});
    let client = ask!(host, "client_create", options).ok().reference;
    ask!(host, "client_start", client, json!({"wait": false})).ok();
    let error = host.event("error", client);
    assert!(
        error
            .reason()
            .contains("wants a user and a password (407 Who)"),
        "{error:?}"
    );
    assert_eq!(
        (error.context("http_status"), error.context("wait_time")),
        (&json!(407), &json!(0))
    );
}

#[test]
fn a_silent_proxy_is_named_when_the_time_is_over() {
    let host = Host::spawn();
    let silent = listener();
    let port = silent.local_addr().unwrap().port();
    let starts = [
        ("http", "does not answer"),
        ("https", "does not answer in tls"),
        ("socks5", "does not answer"),
        ("socks5h", "does not answer"),
    ]
    .map(|(scheme, part)| {
        let at = format!("{scheme}://me:secret@127.0.0.1:{port}");
        let options = json!({"url": "ws://127.0.0.1:9/", "proxy": at, "timeout": 3,
            "enableAutomaticReconnection": false});
        let client = ask!(host, "client_create", options).ok().reference;
        let start = begin!(host, "&client_start", client, "{}");
        let phase = format!("3000 ms: the proxy {scheme}://127.0.0.1:{port} {part}");
        (start, phase)
    });
    for (start, phase) in starts {
        let reply = host.reply(&start, WATCHDOG).fails(NETWORK, &[&phase]);
        assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
    }
    // One byte at a time does not lengthen it.
    let proxy = Script::of(vec![Box::new(|mut peer| {
        let began = Instant::now();
        peer.send_bytes(b"HTTP/1.1 200 OK\r\nX: ");
        while began.elapsed() < WATCHDOG {
            peer.send_bytes(b"x");
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    })]);
    let at = format!("http://127.0.0.1:{}", proxy.port);
    let reply = connect(
        &host,
        json!({"url": "ws://far.example/", "proxy": at, "timeout": 3}),
    );
    reply.fails(NETWORK, &["does not answer"]);
    // The proxy is there, the server behind it is silent.
    let proxy = Script::of(vec![Box::new(|mut peer| {
        peer.send_bytes(b"HTTP/1.1 200 OK\r\n\r\n");
        Some(peer)
    })]);
    let at = format!("http://127.0.0.1:{}", proxy.port);
    let reply = connect(
        &host,
        json!({"url": "ws://far.example/", "proxy": at, "timeout": 3}),
    );
    reply.fails(NETWORK, &["it does not answer the upgrade request"]);
}

/// A SOCKS proxy that plays `turns`: reads exactly the first, then says the second. Then it is the server.
fn socks(turns: Vec<(Vec<u8>, Vec<u8>)>, opens: bool) -> (u16, JoinHandle<()>) {
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let mut peer = Peer::accept_silently(&listener);
        for (expected, answer) in turns {
            assert_eq!(peer.bytes(expected.len()), expected);
            // In pieces, as a network may deliver it.
            for byte in answer {
                peer.send_bytes(&[byte]);
            }
        }
        if opens {
            let mut peer = Peer::asked(peer.stream).answered("");
            peer.send(&Frame::close(1000, ""));
            peer.ends(PROMPTLY);
        }
    });
    (port, thread)
}

#[test]
fn socks_says_names_and_addresses_as_the_rfc_has_it() {
    let host = Host::spawn();
    let name = b"\x05\x01\0\x03\x0bfar.example\0\x50".to_vec();
    let address = b"\x05\x01\0\x01\x7f\0\0\x01\0\x09".to_vec();
    let six = b"\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50".to_vec();
    let login = b"\x01\x02me\x06secret".to_vec();
    let bound = |kind: &[u8]| [b"\x05\0\0", kind].concat();
    for (proxy, url, turns) in [
        (
            "socks5h://",
            "ws://far.example/",
            vec![
                (vec![5, 1, 0], vec![5, 0]),
                (name.clone(), bound(b"\x01\0\0\0\0\0\0")),
            ],
        ),
        (
            "socks5h://me:secret@",
            "ws://far.example/",
            vec![
                (vec![5, 2, 0, 2], vec![5, 2]),
                (login, vec![1, 0]),
                (name.clone(), bound(b"\x03\x02ab\0\x50")),
            ],
        ),
        (
            "socks5h://me:secret@",
            "ws://far.example/",
            vec![
                (vec![5, 2, 0, 2], vec![5, 0]),
                (name, bound(&[&[4][..], &[0; 18]].concat())),
            ],
        ),
        (
            "socks5://",
            "ws://127.0.0.1:9/",
            vec![
                (vec![5, 1, 0], vec![5, 0]),
                (address, bound(b"\x01\0\0\0\0\0\0")),
            ],
        ),
        (
            "socks5://",
            "ws://[2001:db8::1]/",
            vec![
                (vec![5, 1, 0], vec![5, 0]),
                (six.clone(), bound(b"\x01\0\0\0\0\0\0")),
            ],
        ),
        (
            "socks5h://",
            "ws://[2001:db8::1]/",
            vec![
                (vec![5, 1, 0], vec![5, 0]),
                (six, bound(b"\x01\0\0\0\0\0\0")),
            ],
        ),
    ] {
        let (port, thread) = socks(turns, true);
        let reply = connect(
            &host,
            json!({"url": url, "proxy": format!("{proxy}127.0.0.1:{port}")}),
        );
        assert_eq!(reply.status, host::OK, "{proxy} {url}: {}", reply.body);
        thread.join().unwrap();
    }
}

#[test]
fn bad_answers_of_a_socks_proxy_fail_in_words() {
    let host = Host::spawn();
    let request = b"\x05\x01\0\x03\x0bfar.example\0\x50".to_vec();
    let hello = || (vec![5, 2, 0, 2], vec![5, 0]);
    for (turns, part) in [
        (
            vec![(vec![5, 2, 0, 2], b"HTTP/1.1 400 Bad\r\n\r\n".to_vec())],
            "does not speak SOCKS 5",
        ),
        (
            vec![(vec![5, 2, 0, 2], vec![4, 0])],
            "does not speak SOCKS 5",
        ),
        (vec![(vec![5, 2, 0, 2], vec![5, 255])], "takes neither"),
        (
            vec![(vec![5, 2, 0, 2], vec![5])],
            "ended the connection before its answer was complete",
        ),
        (
            vec![(vec![5, 2, 0, 2], vec![])],
            "ended the connection before its answer was complete",
        ),
        (
            vec![hello(), (request.clone(), vec![5, 1, 0, 1])],
            "general failure (SOCKS reply 1)",
        ),
        (
            vec![hello(), (request.clone(), vec![5, 2, 0, 1])],
            "not allowed by its rules",
        ),
        (
            vec![hello(), (request.clone(), vec![5, 3, 0, 1])],
            "network unreachable",
        ),
        (
            vec![hello(), (request.clone(), vec![5, 4, 0, 1])],
            "host unreachable",
        ),
        (
            vec![hello(), (request.clone(), vec![5, 6, 0, 1])],
            "TTL expired",
        ),
        (
            vec![hello(), (request.clone(), vec![5, 7, 0, 1])],
            "command not supported",
        ),
        (
            vec![hello(), (request.clone(), vec![5, 8, 0, 1])],
            "address type not supported",
        ),
        (
            vec![hello(), (request.clone(), vec![5, 200, 0, 1])],
            "unknown failure (SOCKS reply 200)",
        ),
        (
            vec![hello(), (request.clone(), vec![5, 0, 0, 9])],
            "address of an unknown kind",
        ),
        (
            vec![hello(), (request, vec![5, 0, 0, 1, 127])],
            "ended the connection before its answer was complete",
        ),
    ] {
        let (port, thread) = socks(turns, false);
        let at = format!("socks5h://me:secret@127.0.0.1:{port}");
        let reply = connect(&host, json!({"url": "ws://far.example/", "proxy": at}));
        let name = format!("the proxy socks5h://127.0.0.1:{port} ");
        let reply = reply.fails(NETWORK, &[&name, part]);
        assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
        thread.join().unwrap();
    }
}

#[test]
fn the_environment_counts_for_system_only() {
    // Which variables, which url, and whether the proxy is asked.
    for (variables, choice, url, is_asked) in [
        (&["http_proxy"][..], "system", "ws://far.invalid/", true),
        (&["all_proxy"], "system", "ws://far.invalid/", true),
        (&["ALL_PROXY"], "system", "wss://far.invalid/", true),
        (&["https_proxy"], "system", "wss://far.invalid/", true),
        (&["HTTPS_PROXY"], "system", "wss://far.invalid/", true),
        (&["https_proxy"], "system", "ws://far.invalid/", false),
        (&["http_proxy"], "system", "wss://far.invalid/", false),
        (&["HTTP_PROXY"], "system", "ws://far.invalid/", false),
        (
            &["http_proxy", "all_proxy"],
            "none",
            "ws://far.invalid/",
            false,
        ),
        (&["http_proxy", "all_proxy"], "", "ws://far.invalid/", false),
        (
            &["http_proxy", "no_proxy=invalid"],
            "system",
            "ws://far.invalid/",
            false,
        ),
        (
            &["http_proxy", "NO_PROXY=.far.invalid:80"],
            "system",
            "ws://far.invalid/",
            false,
        ),
        (
            &["http_proxy", "no_proxy=far.invalid:81"],
            "system",
            "ws://far.invalid/",
            true,
        ),
        (
            &["http_proxy", "no_proxy=10.0.0.0/8, 127.0.0.0/8"],
            "system",
            "ws://127.0.0.1:9/",
            false,
        ),
        (
            &["http_proxy", "no_proxy=*"],
            "system",
            "ws://127.0.0.1:9/",
            false,
        ),
    ] {
        let proxy = Script::of(vec![say("HTTP/1.1 444 Here\r\nContent-Length: 0\r\n\r\n")]);
        let at = format!("http://me:secret@127.0.0.1:{}", proxy.port);
        let environment: Vec<(&str, &str)> = variables
            .iter()
            .map(|variable| variable.split_once('=').unwrap_or((variable, &at)))
            .collect();
        let host = Host::spawn_with(cc::Flavour::Plain, &environment);
        let mut options = json!({"url": url});
        if !choice.is_empty() {
            options["proxy"] = json!(choice);
        }
        let reply = connect(&host, options).fails(NETWORK, &[]);
        assert_eq!(
            reply.body["http_status"] == 444,
            is_asked,
            "{variables:?}: {}",
            reply.body
        );
        assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
        if is_asked {
            assert_eq!(
                header(&proxy.request(), "Proxy-Authorization"),
                ["Basic bWU6c2VjcmV0"]
            );
        }
    }
    let bad = [("http_proxy", "me:secret@host:port")];
    let host = Host::spawn_with(cc::Flavour::Plain, &bad);
    let reply = connect(
        &host,
        json!({"url": "ws://far.invalid/", "proxy": "system"}),
    );
    let reply = reply.fails(NETWORK, &["the environment's http_proxy", "port must be"]);
    assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
}

#[test]
fn the_option_is_checked_and_shown_without_its_password_and_kept_when_passed_back() {
    let host = Host::spawn();
    for (proxy, part) in [
        (json!(1), "\"system\""),
        (json!(true), "\"system\""),
        (json!(["http://me:secret@a"]), "\"system\""),
        (json!("me:secret@127.0.0.1:3128"), "begins with http://"),
        (json!("socks4://me:secret@a"), "not \"socks4\""),
        (json!("http://me:secret@a/path"), "no path"),
        (json!("http://me:secret@a:0"), "port must be"),
        (json!("http://me:sec\nret@a"), "control"),
        (json!("http://me:secret@b\u{fc}cher"), "punycode"),
    ] {
        let reply = ask!(
            host,
            "client_create",
            json!({"url": "ws://a/", "proxy": proxy})
        );
        let reply = reply.fails(INVALID_OPTIONS, &["proxy", part]);
        assert_eq!(reply.body["error"]["option"], "proxy");
        assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
    }
    for (given, shown) in [
        (json!(null), "none"),
        (json!(""), "none"),
        (json!(false), "none"),
        (json!("none"), "none"),
        (json!("system"), "system"),
        (json!("SOCKS5://[::1]"), "socks5://[::1]:1080"),
    ] {
        let created = ask!(
            host,
            "client_create",
            json!({"url": "ws://a/", "proxy": given})
        )
        .ok();
        assert_eq!(created.body["proxy"], shown);
    }
    let refuses = || say("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    let proxy = Script::of(vec![refuses(), refuses(), refuses()]);
    let at = |user: &str| format!("http://{user}127.0.0.1:{}", proxy.port);
    let options = json!({"url": "ws://far.example/", "proxy": at("me:secret@"), "enableAutomaticReconnection": false});
    let created = ask!(host, "client_create", options).ok();
    assert_eq!(created.body["proxy"], at(""));
    let client = created.reference;
    for (options, login) in [
        (created.body, Some("Basic bWU6c2VjcmV0")),
        (json!({"proxy": at("you:p@")}), Some("Basic eW91OnA=")),
        (json!({}), Some("Basic eW91OnA=")),
    ] {
        ask!(host, "client_start", client, options).fails(NETWORK, &["503"]);
        let request = proxy.request();
        assert_eq!(
            header(&request, "Proxy-Authorization"),
            Vec::from_iter(login)
        );
    }
    ask!(host, "client_start", client, json!({"proxy": "none"}))
        .fails(NETWORK, &["cannot resolve"]);
}
