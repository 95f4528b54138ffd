//! TLS through the C ABI: what clients and servers of ours do with each option, and with certificates that are wrong.

#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/host.rs"]
mod host;

use certs::{Certs, HERE, Pair};
use host::{Event, Host, INVALID_OPTIONS, NETWORK, Reply, WATCHDOG, soon};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// A host with callbacks, and with a server that sends everything back.
struct Scene {
    host: Host,
    certs: Certs,
}

impl Scene {
    fn new() -> Scene {
        let host = Host::spawn();
        ask!(host, "callbacks", "em").ok();
        ask!(host, "echo_method", "echo").ok();
        ask!(host, "log", 4).ok();
        Scene {
            host,
            certs: Certs::new(),
        }
    }

    /// Starts an echo server with this `tls`; its port.
    fn echo(&self, tls: Value) -> u16 {
        self.server(json!({"port": 0, "method": "echo", "dispatch": "inline", "tls": tls}))
    }

    /// Starts a server whose events are told.
    fn told(&self, tls: Value) -> u16 {
        self.server(json!({"port": 0, "tls": tls}))
    }

    fn server(&self, options: Value) -> u16 {
        let server = ask!(self.host, "server_create", options).ok().reference;
        let started = ask!(self.host, "server_start", server, "{}").ok();
        started.body["port"].as_u64().unwrap() as u16
    }

    /// A client that is not started.
    fn client(&self, port: u16, tls: Value) -> i32 {
        let url = format!("wss://localhost:{port}/");
        let options = json!({"url": url, "tls": tls, "enableAutomaticReconnection": false});
        ask!(self.host, "client_create", options).ok().reference
    }

    /// Starts a client with this `tls`, which fails with a message that has `parts` in it.
    fn refuses(&self, port: u16, tls: Value, parts: &[&str]) {
        let client = self.client(port, tls);
        self.start(client).fails(NETWORK, parts);
        ask!(self.host, "client_clear", client).ok();
    }

    /// Starts a client with this `tls`; its "open".
    fn opens(&self, port: u16, tls: Value) -> (i32, Event) {
        let client = self.client(port, tls);
        self.start(client).ok();
        (client, self.host.event("open", client))
    }

    fn start(&self, client: i32) -> Reply {
        ask!(self.host, "client_start", client, "{}")
    }

    /// Starts a server with this `tls`, which fails with a message that has `parts` in it.
    fn starts_not(&self, tls: Value, parts: &[&str]) {
        let options = json!({"port": 0, "tls": tls});
        let server = ask!(self.host, "server_create", options).ok().reference;
        let reply = ask!(self.host, "server_start", server, "{}").fails(INVALID_OPTIONS, parts);
        assert_eq!(reply.body["error"]["option"], "tls", "{}", reply.body);
        ask!(self.host, "server_clear", server).ok();
    }

    fn trusting(&self) -> Value {
        json!({"caFile": self.certs.authority.cert})
    }

    fn logged(&self, part: &str) -> Event {
        self.host
            .wait_for(&format!("log line with {part:?}"), WATCHDOG, |event| {
                event.is("log") && event.log_line().contains(part)
            })
    }

    fn echoes(&self, client: i32, length: usize) {
        ask!(self.host, "client_send", client, 2, format!("*{length}")).ok();
        let message = self.host.event("message", client);
        assert_eq!(message.number("length") as usize, length, "{message:?}");
    }
}

#[test]
fn messages_of_every_size_come_back() {
    let scene = Scene::new();
    let port = scene.echo(scene.certs.server().tls());
    let client = scene.client(port, json!({"caFile": scene.certs.authority.cert}));
    ask!(scene.host, "client_start", client, "{}").ok();
    for length in [0, 1, 125, 16_383, 16_384, 16_385, 70_000, 1 << 20, 16 << 20] {
        scene.echoes(client, length);
    }
    ask!(scene.host, "client_stop", client, "{}").ok();
    let close = scene.host.event("close", client);
    assert_eq!(close.code(), 1000, "{close:?}");
}

#[test]
fn open_says_what_was_agreed_and_that_the_certificate_was_verified() {
    let scene = Scene::new();
    let pair = scene.certs.server();
    let port = scene.told(pair.tls());
    let (_, open) = scene.opens(port, scene.trusting());
    let tls = open.context("tls");
    assert_eq!(tls["version"], "1.3", "{tls}");
    assert_eq!(tls["cipher"], "TLS13_AES_256_GCM_SHA384", "{tls}");
    assert_eq!(tls["alpn"], "", "{tls}");
    assert_eq!(tls["verified"], true, "{tls}");
    assert_eq!(tls["peerSubject"], "CN=localhost,O=Example\\, Inc", "{tls}");
    assert_eq!(tls["peerFingerprint"], fingerprint(&pair), "{tls}");
    // Who accepted it knows no more of the client than what was agreed.
    let accepted = scene
        .host
        .wait_for("open of the server", WATCHDOG, |event| {
            event.is("open") && event.server() != 0
        });
    let tls = accepted.context("tls");
    assert_eq!(tls["version"], "1.3", "{tls}");
    assert_eq!(tls["verified"], false, "{tls}");
    assert_eq!(tls["peerFingerprint"], "", "{tls}");
}

#[test]
fn a_second_connection_resumes_the_first_in_both_versions() {
    let scene = Scene::new();
    let pair = scene.certs.server();
    let port = scene.told(pair.tls());
    for version in ["1.2", "1.3"] {
        for is_resumed in [false, true] {
            let mut tls = scene.trusting();
            tls["maxVersion"] = version.into();
            let (client, open) = scene.opens(port, tls);
            let accepted = scene
                .host
                .wait_for("open of the server", WATCHDOG, |event| {
                    event.is("open") && event.server() != 0
                });
            assert_eq!(open.context("tls")["version"], version);
            assert_eq!(open.context("tls")["resumed"], is_resumed, "{version}");
            assert_eq!(accepted.context("tls")["resumed"], is_resumed, "{version}");
            assert_eq!(open.context("tls")["peerFingerprint"], fingerprint(&pair));
            // The tickets of TLS 1.3 come behind the handshake, before this.
            ask!(scene.host, "client_send", accepted.client(), 1, "=x").ok();
            scene.host.event("message", client);
        }
    }
}

#[test]
fn versions_ciphers_and_alpn_are_agreed_as_both_ends_wish() {
    let scene = Scene::new();
    let mut server = scene.certs.server().tls();
    server["alpn"] = json!(["http/1.1"]);
    let port = scene.echo(server.clone());
    let agreed = |more: Value| {
        let mut tls = scene.trusting();
        tls.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        scene.opens(port, tls).1.context("tls").clone()
    };
    let tls = agreed(json!({"maxVersion": "1.2"}));
    assert_eq!(tls["version"], "1.2", "{tls}");
    let tls = agreed(json!({"minVersion": "1.3", "maxVersion": "1.3"}));
    assert_eq!(tls["version"], "1.3", "{tls}");
    let tls = agreed(json!({"ciphers": ["TLS13_CHACHA20_POLY1305_SHA256"]}));
    assert_eq!(tls["cipher"], "TLS13_CHACHA20_POLY1305_SHA256", "{tls}");
    let tls = agreed(json!({"ciphers": "TLS13_AES_128_GCM_SHA256,TLS13_AES_256_GCM_SHA384"}));
    assert_eq!(tls["cipher"], "TLS13_AES_128_GCM_SHA256", "{tls}");
    let tls = agreed(json!({"alpn": ["h2", "http/1.1"]}));
    assert_eq!(tls["alpn"], "http/1.1", "{tls}");

    let mut tls = scene.trusting();
    tls["alpn"] = json!(["mqtt"]);
    scene.refuses(port, tls, &["NoApplicationProtocol", "alpn"]);
    server["minVersion"] = json!("1.3");
    let strict = scene.echo(server);
    let mut tls = scene.trusting();
    tls["maxVersion"] = json!("1.2");
    scene.refuses(strict, tls, &["version of TLS"]);
    scene.logged("version of TLS");
    // None of the suites is of the only version: known at once.
    let mut tls = scene.trusting();
    tls["ciphers"] = json!(["TLS13_AES_128_GCM_SHA256"]);
    tls["maxVersion"] = json!("1.2");
    let client = scene.client(port, tls);
    scene
        .start(client)
        .fails(INVALID_OPTIONS, &["ciphers", "minVersion"]);
}

#[test]
fn messages_are_echoed_with_each_version_and_cipher() {
    let scene = Scene::new();
    let rsa = scene.echo(scene.certs.rsa().tls());
    let curve = scene.echo(scene.certs.server().tls());
    for (port, suites) in [
        (
            curve,
            &[
                "TLS13_AES_256_GCM_SHA384",
                "TLS13_AES_128_GCM_SHA256",
                "TLS13_CHACHA20_POLY1305_SHA256",
            ][..],
        ),
        (
            curve,
            &[
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            ],
        ),
        (
            rsa,
            &[
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            ],
        ),
    ] {
        for suite in suites {
            let mut tls = scene.trusting();
            tls["ciphers"] = json!([suite]);
            let (client, open) = scene.opens(port, tls);
            assert_eq!(open.context("tls")["cipher"], *suite);
            for length in [0, 16_384, 1 << 20] {
                scene.echoes(client, length);
            }
        }
    }
}

#[test]
fn a_certificate_that_is_not_good_ends_the_start_in_words() {
    let scene = Scene::new();
    let stranger = Certs::new();
    let port = scene.echo(scene.certs.server().tls());
    scene.refuses(
        port,
        json!({"caFile": stranger.authority.cert}),
        &["unknown authority", "caFile"],
    );
    scene.refuses(port, json!(true), &["unknown authority"]);
    scene.logged("does not know the authority of our certificate");

    let elsewhere = scene.certs.issue("/CN=x", "DNS:a.example,DNS:*.b.example");
    let port = scene.echo(elsewhere.tls());
    scene.refuses(
        port,
        scene.trusting(),
        &["a.example", "*.b.example", "not for \"localhost\""],
    );
    // A connection is only tried again where that was asked for, and an "error" tells each time.
    let url = format!("wss://localhost:{port}/");
    let options = json!({"url": url, "tls": scene.trusting(), "retryFirst": true, "maxRetries": 1});
    let client = ask!(scene.host, "client_create", options).ok().reference;
    ask!(scene.host, "client_start", client, json!({"wait": false})).ok();
    let error = scene.host.event("error", client);
    assert!(
        error.reason().contains("not for \"localhost\""),
        "{error:?}"
    );

    let addressed = scene.certs.issue("/CN=x", "IP:127.0.0.1");
    let port = scene.echo(addressed.tls());
    scene.refuses(
        port,
        scene.trusting(),
        &["127.0.0.1", "not for \"localhost\""],
    );
    let options = json!({"url": format!("wss://127.0.0.1:{port}/"), "tls": scene.trusting()});
    let client = ask!(scene.host, "client_create", options).ok().reference;
    scene.start(client).ok();
    let elsewhere = scene
        .certs
        .issue("/CN=127.0.0.1", "IP:127.0.0.2,DNS:127.0.0.1.example");
    let port = scene.echo(elsewhere.tls());
    let options = json!({"url": format!("wss://127.0.0.1:{port}/"), "tls": scene.trusting()});
    let client = ask!(scene.host, "client_create", options).ok().reference;
    scene
        .start(client)
        .fails(NETWORK, &["127.0.0.2", "not for \"127.0.0.1\""]);
}

/// Servers of ours refuse to start with such certificates: this one is OpenSSL's.
#[test]
fn a_certificate_out_of_its_time_ends_the_start_with_the_time() {
    let scene = Scene::new();
    for (from, to, parts) in [
        (
            "20000101000000Z",
            "20010203040506Z",
            ["expired", "2001-02-03 04:05:06 UTC"],
        ),
        (
            "20900101000000Z",
            "20910101000000Z",
            ["not valid before", "2090-01-01 00:00:00 UTC"],
        ),
    ] {
        let pair = scene.certs.dated(from, to);
        let (_server, port) = openssl_server(&pair, &[]);
        scene.refuses(port, scene.trusting(), &parts);
    }
}

#[test]
fn what_is_not_verified_is_said_loudly() {
    let scene = Scene::new();
    let elsewhere = scene.certs.issue("/CN=x", "DNS:a.example");
    let port = scene.echo(elsewhere.tls());
    let (_, open) = scene.opens(port, json!({"caFile": "NONE"}));
    assert_eq!(open.context("tls")["verified"], false, "{open:?}");
    let warning = scene.logged("anybody can pose as the server");
    assert_eq!(warning.number("level"), 2, "a warning: {warning:?}");

    // Without the name, the chain is still verified.
    let mut tls = scene.trusting();
    tls["disableHostnameValidation"] = json!(true);
    let (_, open) = scene.opens(port, tls);
    assert_eq!(open.context("tls")["verified"], false, "{open:?}");
    scene.logged("anybody can pose as the server");
    let stranger = Certs::new();
    let tls = json!({"caFile": stranger.authority.cert, "disableHostnameValidation": true});
    scene.refuses(port, tls, &["unknown authority"]);
    // Or for another name than the url's.
    let mut tls = scene.trusting();
    tls["serverName"] = json!("a.example");
    let (_, open) = scene.opens(port, tls);
    assert_eq!(open.context("tls")["verified"], true, "{open:?}");
}

#[test]
fn a_self_made_certificate_is_believed_where_it_is_given_as_ca_file() {
    let scene = Scene::new();
    let own = scene.certs.self_made();
    let port = scene.echo(own.tls());
    scene.refuses(port, scene.trusting(), &["caFile"]);
    let (client, open) = scene.opens(port, json!({"caFile": own.cert}));
    assert_eq!(open.context("tls")["verified"], true, "{open:?}");
    scene.echoes(client, 1000);
    // As text, in the form that Windows gives it.
    let text = fs::read_to_string(&own.cert).unwrap().replace('\n', "\r\n");
    let (_, open) = scene.opens(port, json!({"caFile": text}));
    assert_eq!(open.context("tls")["verified"], true, "{open:?}");
    let url = format!("wss://127.0.0.2:{port}/");
    let options =
        json!({"url": url, "tls": {"caFile": own.cert}, "enableAutomaticReconnection": false});
    let client = ask!(scene.host, "client_create", options).ok().reference;
    let reply = scene.start(client);
    assert_eq!(reply.status, NETWORK, "{}", reply.body);
}

#[test]
fn the_systems_store_is_the_default_and_follows_ssl_cert_file() {
    let certs = Certs::new();
    let environment = [
        ("SSL_CERT_FILE", &*certs.authority.cert),
        ("SSL_CERT_DIR", "/nonexistent"),
    ];
    let host = Host::spawn_with(cc::Flavour::Plain, &environment);
    ask!(host, "callbacks", "em").ok();
    ask!(host, "echo_method", "echo").ok();
    let scene = Scene { host, certs };
    let port = scene.echo(scene.certs.server().tls());
    for tls in [
        json!(true),
        json!({}),
        json!({"caFile": "SYSTEM"}),
        json!(null),
    ] {
        let (client, open) = scene.opens(port, tls);
        assert_eq!(open.context("tls")["verified"], true, "{open:?}");
        scene.echoes(client, 10);
    }
    let stranger = Certs::new();
    let port = scene.echo(stranger.server().tls());
    scene.refuses(port, json!(true), &["unknown authority"]);
}

#[test]
fn tls_with_a_ws_url_is_wss() {
    let scene = Scene::new();
    let port = scene.echo(scene.certs.server().tls());
    let options = json!({"url": format!("ws://localhost:{port}/"), "tls": scene.trusting()});
    let client = ask!(scene.host, "client_create", options).ok().reference;
    scene.start(client).ok();
    let open = scene.host.event("open", client);
    assert_eq!(open.context("tls")["verified"], true, "{open:?}");
    // Without a port it is 443, where nobody listens here.
    let options = json!({"url": "ws://127.0.0.1/", "tls": true, "timeout": 5});
    let client = ask!(scene.host, "client_create", options).ok().reference;
    scene.start(client).fails(NETWORK, &["127.0.0.1:443"]);
}

#[test]
fn members_that_are_not_known_are_named() {
    let scene = Scene::new();
    let options = json!({"url": "wss://localhost/", "tls": {"cafile": "x", "caFile": "NONE"}});
    let reply = ask!(scene.host, "client_create", options).ok();
    let expected = json!([{"option": "tls.cafile", "didYouMean": "caFile"}]);
    assert_eq!(reply.body["ignoredOptions"], expected, "{}", reply.body);
    let pair = scene.certs.server();
    let tls = json!({"certFile": pair.cert, "keyFile": pair.key, "caFile": "x"});
    let reply = ask!(scene.host, "server_create", json!({"tls": tls})).ok();
    assert_eq!(
        reply.body["ignoredOptions"][0]["option"], "tls.caFile",
        "{}",
        reply.body
    );
    assert_eq!(reply.body["tls"]["certFile"], pair.cert, "{}", reply.body);
    // What replies show can be passed back; a key that came as text is not shown.
    let key = fs::read_to_string(&pair.key).unwrap();
    let tls = json!({"certFile": pair.cert, "keyFile": key});
    let reply = ask!(scene.host, "server_create", json!({"tls": tls})).ok();
    assert!(
        !reply.body.to_string().contains("PRIVATE KEY"),
        "{}",
        reply.body
    );
    assert_eq!(reply.body["tls"], Value::Null, "{}", reply.body);
}

#[test]
fn row_04_a_server_starts_with_keys_of_every_form() {
    let scene = Scene::new();
    let certs = &scene.certs;
    let (curve, rsa) = (certs.server(), certs.rsa());
    let read = |path: &str| fs::read_to_string(path).unwrap();
    let write = |name: &str, text: String| {
        let path = certs.path(name);
        fs::write(&path, text).unwrap();
        path
    };
    let windows = write("crlf.pem", read(&curve.cert).replace('\n', "\r\n"));
    let windows_key = write("crlf.key", read(&curve.key).replace('\n', "\r\n"));
    let both = write("both.pem", read(&curve.key) + &read(&curve.cert));
    let chain = write(
        "chain.pem",
        read(&curve.cert) + &read(&certs.authority.cert),
    );
    let sec1 = certs.converted(&["ec"], &curve.key);
    let pkcs1 = certs.converted(&["rsa", "-traditional"], &rsa.key);
    assert!(read(&sec1).contains("BEGIN EC PRIVATE KEY"));
    assert!(read(&pkcs1).contains("BEGIN RSA PRIVATE KEY"));
    for (cert, key) in [
        (&curve.cert, &curve.key),
        (&rsa.cert, &rsa.key),
        (&curve.cert, &sec1),
        (&rsa.cert, &pkcs1),
        (&windows, &windows_key),
        (&both, &both),
        (&chain, &curve.key),
        (&read(&curve.cert), &read(&curve.key)),
    ] {
        let port = scene.echo(json!({"certFile": cert, "keyFile": key}));
        let (client, _) = scene.opens(port, scene.trusting());
        scene.echoes(client, 100);
    }
    let port = scene.echo(json!({"certFile": both}));
    scene.opens(port, scene.trusting());
}

#[test]
fn row_04_a_server_does_not_start_with_what_it_cannot_use_and_says_why() {
    let scene = Scene::new();
    let certs = &scene.certs;
    let (one, other) = (certs.server(), certs.server());
    let old = certs.dated("20000101000000Z", "20010203040506Z");
    let early = certs.dated("20900101000000Z", "20910101000000Z");
    let encrypted = certs.converted(&["pkcs8", "-topk8", "-passout", "pass:secret"], &one.key);
    let rsa = certs.rsa();
    let traditional = ["rsa", "-traditional", "-aes128", "-passout", "pass:secret"];
    let traditional = certs.converted(&traditional, &rsa.key);
    let nothing = certs.path("nothing.pem");
    fs::write(&nothing, "hello\n").unwrap();
    let damaged = certs.path("damaged.pem");
    let half = fs::read_to_string(&one.cert).unwrap();
    fs::write(&damaged, &half[..half.len() / 2]).unwrap();
    let missing = certs.path("missing.pem");
    let tls = |cert: &str, key: &str| json!({"certFile": cert, "keyFile": key});

    scene.starts_not(
        tls(&missing, &one.key),
        &["certFile", &missing, "No such file"],
    );
    scene.starts_not(
        tls(&one.cert, &missing),
        &["keyFile", &missing, "No such file"],
    );
    scene.starts_not(
        tls(&one.cert, &other.key),
        &["keyFile", &other.key, "does not belong"],
    );
    scene.starts_not(
        tls(&old.cert, &old.key),
        &["certFile", &old.cert, "expired at 2001-02-03 04:05:06"],
    );
    scene.starts_not(
        tls(&early.cert, &early.key),
        &[&early.cert, "not valid before 2090"],
    );
    scene.starts_not(
        tls(&one.cert, &encrypted),
        &["keyFile", &encrypted, "encrypted", "openssl"],
    );
    scene.starts_not(tls(&rsa.cert, &traditional), &[&traditional, "encrypted"]);
    scene.starts_not(tls(&nothing, &one.key), &[&nothing, "no certificate"]);
    scene.starts_not(tls(&one.cert, &nothing), &[&nothing, "no key"]);
    scene.starts_not(tls(&damaged, &one.key), &[&damaged]);
    let mut with = tls(&one.cert, &one.key);
    with["certificates"] = json!([tls(&missing, &one.key)]);
    scene.starts_not(with, &["tls.certificates[0].certFile", &missing]);
    let mut with = tls(&one.cert, &one.key);
    with["clientCaFile"] = json!(nothing);
    scene.starts_not(with, &["clientCaFile", &nothing, "no certificate"]);
    // The same for clients.
    let client = scene.client(1, json!({"caFile": missing}));
    scene
        .start(client)
        .fails(INVALID_OPTIONS, &["tls.caFile", &missing, "No such file"]);
    let damaged = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let client = scene.client(1, json!({"caFile": damaged}));
    scene.start(client).fails(
        INVALID_OPTIONS,
        &["tls.caFile: the text given: a certificate in it"],
    );
    let client = scene.client(1, tls(&one.cert, &other.key));
    scene
        .start(client)
        .fails(INVALID_OPTIONS, &["tls.keyFile", "does not belong"]);
}

#[test]
fn a_server_with_client_ca_file_lets_in_who_has_a_certificate_and_knows_who() {
    let scene = Scene::new();
    let stranger = Certs::new();
    let mut tls = scene.certs.server().tls();
    tls["clientCaFile"] = json!(scene.certs.authority.cert);
    let port = scene.told(tls);
    let own = scene.certs.issue("/O=Shop/CN=till 7", "DNS:till");
    let with = |pair: &Pair, version: &str| {
        let authority = &scene.certs.authority.cert;
        json!({"caFile": authority, "certFile": pair.cert, "keyFile": pair.key, "maxVersion": version})
    };
    for version in ["1.2", "1.3"] {
        let (client, _) = scene.opens(port, with(&own, version));
        let accepted = scene
            .host
            .wait_for("open of the server", WATCHDOG, |event| {
                event.is("open") && event.server() != 0
            });
        let tls = accepted.context("tls");
        assert_eq!(tls["verified"], true, "{tls}");
        assert_eq!(tls["peerSubject"], "CN=till 7,O=Shop", "{tls}");
        assert_eq!(tls["peerFingerprint"], fingerprint(&own), "{tls}");
        ask!(scene.host, "client_clear", client).ok();
        let mut without = scene.trusting();
        without["maxVersion"] = json!(version);
        scene.refuses(
            port,
            without,
            &["CertificateRequired", "client certificate"],
        );
        scene.logged("the client gave no certificate");
        scene.refuses(
            port,
            with(&stranger.server(), version),
            &["authority of our certificate"],
        );
        scene.logged("unknown authority");
    }
    assert_eq!(
        scene
            .host
            .take(|event| event.is("open") && event.server() != 0),
        []
    );
}

#[test]
fn a_server_shows_the_certificate_for_the_name_that_is_asked_for() {
    let scene = Scene::new();
    let first = scene
        .certs
        .issue("/CN=first", "DNS:first.example,DNS:localhost");
    let second = scene
        .certs
        .issue("/CN=second", "DNS:second.example,DNS:*.second.example");
    let third = scene.certs.issue("/CN=third", "DNS:third.example");
    let pairs = [first, second, third].map(|pair| pair.tls());
    let port = scene.echo(json!({"certificates": pairs}));
    for (name, subject) in [
        ("first.example", "CN=first"),
        ("second.example", "CN=second"),
        ("a.second.example", "CN=second"),
        ("third.example", "CN=third"),
    ] {
        let mut tls = scene.trusting();
        tls["serverName"] = json!(name);
        let (_, open) = scene.opens(port, tls);
        assert_eq!(open.context("tls")["peerSubject"], subject, "{name}");
    }
    // Who asks for another name gets the first one.
    let mut tls = scene.trusting();
    tls["serverName"] = json!("fourth.example");
    scene.refuses(port, tls, &["first.example", "not for \"fourth.example\""]);
}

#[test]
fn certificates_that_change_are_used_without_losing_a_connection() {
    let scene = Scene::new();
    let file = scene.certs.issue("/CN=old", HERE);
    let port = scene.echo(file.tls());
    let (client, open) = scene.opens(port, scene.trusting());
    assert_eq!(open.context("tls")["peerSubject"], "CN=old");
    let subject_soon = |expected: &str| {
        soon(WATCHDOG, || {
            let (client, open) = scene.opens(port, scene.trusting());
            ask!(scene.host, "client_clear", client).ok();
            open.context("tls")["peerSubject"] == expected
        })
    };

    // Half of the change: the old pair stays, and the log tells.
    let new = scene.certs.issue("/CN=new", HERE);
    fs::copy(&new.cert, &file.cert).unwrap();
    assert!(subject_soon("CN=old"));
    let line = soon(WATCHDOG, || {
        subject_soon("CN=old");
        let found = |event: &Event| event.is("log") && event.log_line().contains("does not belong");
        scene
            .host
            .take(found)
            .iter()
            .any(|line| line.number("level") == 1)
    });
    assert!(
        line,
        "an error tells that the key does not belong to the new certificate"
    );
    fs::copy(&new.key, &file.key).unwrap();
    assert!(subject_soon("CN=new"), "the new pair is in use");
    scene.echoes(client, 1000);
}

#[test]
fn plain_http_on_a_port_with_tls_is_told_so() {
    use std::io::{Read, Write};
    let scene = Scene::new();
    let port = scene.echo(scene.certs.server().tls());
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{answer}"
    );
    assert!(body.contains("this port speaks TLS"), "{answer}");
    drop(stream);
    scene.logged("plain HTTP was spoken to a port that speaks TLS");
    // A client of ours learns the same.
    let options =
        json!({"url": format!("ws://localhost:{port}/"), "enableAutomaticReconnection": false});
    let client = ask!(scene.host, "client_create", options).ok().reference;
    scene.start(client).fails(NETWORK, &["400"]);
    // And the other way round.
    let plain = json!({"port": 0, "method": "echo"});
    let server = ask!(scene.host, "server_create", plain).ok().reference;
    let started = ask!(scene.host, "server_start", server, "{}").ok();
    let port = started.body["port"].as_u64().unwrap() as u16;
    scene.refuses(port, scene.trusting(), &["not TLS"]);
    scene.logged("TLS was spoken to a port that has none");
}

fn fingerprint(pair: &Pair) -> String {
    let arguments = [
        "x509",
        "-in",
        &pair.cert,
        "-noout",
        "-fingerprint",
        "-sha256",
    ];
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .unwrap()
        .stdout;
    let line = String::from_utf8(output).unwrap();
    let hex = line.split_once('=').unwrap().1;
    hex.trim().replace(':', "").to_lowercase()
}

/// `openssl s_server`, ended with the value.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn openssl_server(pair: &Pair, more: &[&str]) -> (Running, u16) {
    use std::io::{BufRead, BufReader};
    let arguments = [
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        &pair.cert,
        "-key",
        &pair.key,
    ];
    let mut child = Command::new("openssl")
        .args(arguments)
        .args(more)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines
        .find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(str::to_owned))
        .expect("it says where it listens");
    let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    (Running(child), port)
}
