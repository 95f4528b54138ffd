//! Who answers where servers share a port, where proxies pass on, and where TLS is spoken.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::adversary::{PROMPTLY, Peer};
use crate::certs::Certs;
use crate::host::INVALID_OPTIONS;
use crate::scene::{Scene, Server};
use crate::{PAGE, Site, get, head, next, secure};

/// Another server on the port of `first`.
fn beside(scene: &Scene, first: Server, options: Value) -> Server {
    let mut all = json!({"port": first.port});
    let options = options.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(options);
    scene.server(all)
}

fn at(port: u16, host: &str, path: &str) -> (u16, Vec<u8>) {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: https://a.example\r\n\r\n");
    let answer = Peer::http(port, request).expect("an answer");
    let is_open = answer.header("access-control-allow-origin").is_some();
    let mark = if is_open { &b" (open)"[..] } else { b"" };
    (answer.status, [&answer.body, mark].concat())
}

#[test]
fn servers_of_one_port_have_files_health_and_cors_of_their_own() {
    let (scene, site) = (Scene::new(), Site::new());
    let named = json!({
        "hosts": "named", "files": {"/": site.path("www/sub")}, "health": "/health", "cors": "*"
    });
    let first = scene.server(named);
    let any = json!({"path": "/any", "files": {"/": site.path("www"), "/x.json": site.path("outside/passwd")}});
    let any = beside(&scene, first, any);
    let port = first.port;
    // The host's own files come first, those of every host after them.
    assert_eq!(at(port, "named", "/"), (200, b"<p>sub</p> (open)".to_vec()));
    assert_eq!(at(port, "other", "/"), (200, PAGE.into()));
    // An exact path counts more than the folder of the named host.
    assert_eq!(at(port, "named", "/x.json"), (200, b"secret".to_vec()));
    assert_eq!(at(port, "named", "/health"), (200, b"ok\n (open)".to_vec()));
    assert_eq!(at(port, "other", "/health").0, 404);
    assert_eq!(at(port, "other", "/any").0, 426);
    crate::ask!(scene.host, "server_stop", any.reference, "{}").ok();
    assert_eq!(at(port, "other", "/").0, 426);
    assert_eq!(at(port, "named", "/x.json"), (200, b"{} (open)".to_vec()));
    for (option, value) in [("maxHttpConnections", 7), ("httpIdleTimeoutMs", 7)] {
        let other = json!({"port": port, "path": "/x", option: value});
        let other = crate::ask!(scene.host, "server_create", other)
            .ok()
            .reference;
        crate::ask!(scene.host, "server_start", other, "{}")
            .fails(INVALID_OPTIONS, &[option, "same"]);
        crate::ask!(scene.host, "server_clear", other).ok();
    }
    scene.finish();
}

#[test]
fn a_server_that_stops_breaks_off_what_is_its_own_and_nothing_else() {
    let (scene, site) = (Scene::new(), Site::new());
    site.write("www/large", &vec![7; 32 << 20]);
    site.write("www/sub/large", &vec![8; 32 << 20]);
    let one = scene.server(json!({"path": "/1", "files": {"/one/": site.path("www")}}));
    let two = beside(
        &scene,
        one,
        json!({"path": "/2", "files": {"/two/": site.path("www/sub")}}),
    );
    let waiting = |path: &str| {
        let mut peer = Peer::tcp_with_little_room(one.port);
        peer.send_bytes(head("GET", path, "").as_bytes());
        assert_eq!(peer.response_head(PROMPTLY).unwrap().status, 200);
        peer
    };
    let (mut first, mut second) = (waiting("/one/large"), waiting("/two/large"));
    let mut idle = Peer::tcp(one.port);
    assert_eq!(next(&mut idle, "/one/digits").status, 200);
    // The next answer says that the one before is over for the server too.
    assert_eq!(next(&mut idle, "/two/x.json").status, 200);
    crate::ask!(scene.host, "server_stop", one.reference, "{}").ok();
    assert!(first.ends(PROMPTLY));
    assert_eq!(second.bytes(32 << 20).len(), 32 << 20);
    for peer in [&mut idle, &mut second] {
        assert_eq!(next(peer, "/two/x.json").body, b"{}");
        assert_eq!(next(peer, "/one/digits").status, 404);
    }
    crate::ask!(scene.host, "server_clear", two.reference).ok();
    assert!(idle.ends(PROMPTLY) && second.ends(PROMPTLY));
    scene.finish();
}

#[test]
fn each_request_is_its_own_client_behind_a_trusted_proxy() {
    let (scene, site) = (Scene::new(), Site::new());
    let options =
        site.at_root(json!({"trustedProxies": "127.0.0.1", "deny": "6.6.6.6", "refused": true}));
    let server = scene.server(options);
    let mut proxy = Peer::tcp(server.port);
    let mut through = |client: &str| {
        let headers = format!("X-Forwarded-For: {client}\r\n");
        proxy.send_bytes(head("GET", "/digits", &headers).as_bytes());
        proxy.response(PROMPTLY).expect("an answer").status
    };
    let answers: Vec<u16> = ["1.2.3.4", "6.6.6.6", "1.2.3.4", "6.6.6.6"]
        .map(&mut through)
        .into();
    assert_eq!(answers, [200, 403, 200, 403]);
    let refused = scene.host.server_event("refused", server.reference);
    assert_eq!(*refused.context("remoteIp"), "6.6.6.6");
    assert_eq!(*refused.context("rule"), "deny");
    scene.finish();
}

#[test]
fn files_come_over_tls_and_behind_the_proxy_protocol() {
    let (scene, site, certs) = (Scene::new(), Site::new(), Certs::new());
    let large: Vec<u8> = (0..5_000_000_u32).map(|at| (at / 7) as u8).collect();
    site.write("www/large", &large);
    let pair = certs.server();
    let tls = json!({"certFile": pair.cert, "keyFile": pair.key});
    let proxied = json!({"tls": tls, "trustedProxies": "127.0.0.1", "proxyProtocol": true, "deny": "6.6.6.6"});
    let config = secure::client_config(&certs);
    for (options, line, status) in [
        (json!({"tls": tls}), "", 200),
        (
            proxied.clone(),
            "PROXY TCP4 1.2.3.4 127.0.0.1 56324 443\r\n",
            200,
        ),
        (proxied, "PROXY TCP4 6.6.6.6 127.0.0.1 56324 443\r\n", 403),
    ] {
        let server = scene.server(site.at_root(options));
        let mut client = secure::connect(server.port, &config);
        // Before the first byte of TLS.
        client.sock.write_all(line.as_bytes()).unwrap();
        for path in ["/digits", "/large", "/digits"] {
            client.write_all(head("GET", path, "").as_bytes()).unwrap();
            let answer = secure::head(&mut client).to_lowercase();
            assert!(
                answer.starts_with(&format!("http/1.1 {status} ")),
                "{answer}"
            );
            let (_, length) = answer.split_once("content-length: ").unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            client.read_exact(&mut body).unwrap();
            match (status, path) {
                (200, "/large") => assert!(body == large),
                (200, _) => assert_eq!(body, b"0123456789"),
                _ => {}
            }
        }
        if status == 200 {
            client
                .write_all(crate::adversary::request("").as_bytes())
                .unwrap();
            let answer = secure::head(&mut client);
            assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
            let open = scene.host.server_event("open", server.reference);
            assert_ne!(*open.context("tls"), false);
            let expected = if line.is_empty() {
                "127.0.0.1"
            } else {
                "1.2.3.4"
            };
            assert_eq!(*open.context("remoteIp"), expected);
        }
    }
    scene.finish();
}

#[test]
fn health_tells_that_the_process_answers_also_where_nobody_is_let_in() {
    let scene = Scene::new();
    let server = scene.server(json!({"health": "/health", "blocked": true, "maxConnections": 1}));
    assert_eq!(get(server.port, "/health", "").status, 200);
    assert_eq!(get(server.port, "/health/", "").status, 426);
    scene.finish();
}
