//! What a server asks of a client by its options, and what it tells of those that it refuses.

use crate::adversary::{PROMPTLY, Peer, request, request_to};
use crate::ask;
use crate::host::{INVALID_OPTIONS, Reply};
use crate::scene::{AT_ONCE, Scene, Server};
use crate::{answer, answered, asking, logged, refused, status};
use argon2::password_hash::{PasswordHasher, SaltString};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::time::Instant;

fn basic(user: &str, password: &str) -> String {
    let pair = BASE64.encode(format!("{user}:{password}").as_bytes());
    format!("Authorization: Basic {pair}\r\n")
}

/// Takes a processor some tenths of a second in a program that is not optimised, and 32 MiB.
fn slow_hash(password: &str) -> String {
    let params = argon2::Params::new(32 * 1024, 2, 1, None).unwrap();
    let hasher = argon2::Argon2::new(Default::default(), Default::default(), params);
    let salt = SaltString::encode_b64(b"some salt").unwrap();
    let hash = hasher.hash_password(password.as_bytes(), &salt).unwrap();
    hash.to_string()
}

#[test]
fn passwords_are_compared_with_hashes_that_others_made() {
    let scene = Scene::new();
    // The first is of the reference implementation's own test, the second of the C library's crypt.
    let server = scene.server(json!({"auth": {"bearer": "t", "basic": {
        "ann": "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "ben": "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "cas": "plain",
    }}}));
    for (user, password, expected) in [
        ("ann", "password", 101),
        ("ben", "secret", 101),
        ("cas", "plain", 101),
        ("ann", "secret", 401),
        ("ann", "", 401),
        ("ben", "password", 401),
        ("cas", "secret", 401),
        ("dan", "password", 401),
        ("", "", 401),
        (
            "ann",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            401,
        ),
    ] {
        // Twice, as the second one may be remembered.
        for _ in 0..2 {
            assert_eq!(
                status(server, &basic(user, password)),
                expected,
                "{user}:{password}"
            );
        }
    }
    assert_eq!(status(server, "Authorization: Bearer t\r\n"), 101);
    let wrong = [
        "$argon2id$v=19$m=256",
        "$2b$05$tooshort",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
    ];
    for hash in wrong {
        let options = json!({"auth": {"basic": {"ann": hash}}});
        ask!(scene.host, "server_create", options).fails(INVALID_OPTIONS, &["auth", "ann"]);
    }
    scene.finish();
}

#[test]
fn every_kind_of_argon2_and_bcrypt_is_known() {
    let scene = Scene::new();
    // Those of argon2 are of the reference implementation ("password"), those of bcrypt of the C library's crypt ("secret").
    let kinds = [
        (
            "i",
            "password",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
        ),
        (
            "i16",
            "password",
            "$argon2i$v=16$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
        ),
        (
            "d",
            "password",
            "$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHQ$JcTui6RIBUtJ78gE5Hi52CO+H5vS6Z9R1uxAB6OhUB8",
        ),
        (
            "id",
            "password",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        ),
        (
            "2a",
            "secret",
            "$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        ),
        (
            "2b",
            "secret",
            "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        ),
        (
            "2y",
            "secret",
            "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        ),
    ];
    let users: Value = kinds
        .iter()
        .map(|(user, _, hash)| ((*user).to_owned(), json!(hash)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let server = scene.server(json!({"auth": {"basic": users}}));
    for (user, password, hash) in kinds {
        assert_eq!(status(server, &basic(user, password)), 101, "{user}");
        for wrong in ["passwore", "secrets", "", hash] {
            assert_eq!(status(server, &basic(user, wrong)), 401, "{user}: {wrong}");
        }
    }
    scene.finish();
}

#[test]
fn slow_hashes_hold_up_neither_the_network_nor_those_who_are_known() {
    let scene = Scene::new();
    scene.may_grow(100 * crate::scene::MIB);
    let hash = slow_hash("right");
    let server = scene.server(json!({"auth": {"bearer": "t", "basic": {"ann": hash}}}));
    let began = Instant::now();
    assert_eq!(status(server, &basic("ann", "right")), 101);
    let first = began.elapsed();
    let is_at_once = |flood: usize| {
        // Guesses from one address: few of them are looked at, the others are told at once.
        let mut guesses: Vec<Peer> = (0..40)
            .map(|at| asking(server, &basic("ann", &format!("wrong {flood} {at}"))))
            .collect();
        // The scene's heart goes on beating meanwhile, and who was here before is not asked to wait for a hash.
        let known = [basic("ann", "right"), "Authorization: Bearer t\r\n".into()];
        let waits = known.map(|headers| {
            let began = Instant::now();
            assert_eq!(status(server, &headers), 101);
            began.elapsed()
        });
        let answers: Vec<u16> = guesses.iter_mut().map(answered).collect();
        let count = |status: u16| answers.iter().filter(|one| **one == status).count();
        assert!(count(401) >= 4 && count(503) >= 20, "{answers:?}");
        assert_eq!(count(401) + count(503), 40, "{answers:?}");
        waits.iter().all(|wait| *wait < first.max(AT_ONCE))
    };
    // A busy machine makes them wait too, but not in each of ten floods.
    assert!((0..10).any(is_at_once));
    // Guesses that are not waited for are not counted for ever.
    drop(
        (0..4)
            .map(|_| asking(server, &basic("ann", "wrong")))
            .collect::<Vec<_>>(),
    );
    let patience = Instant::now() + PROMPTLY;
    while status(server, &basic("ann", "still wrong")) != 401 {
        assert!(Instant::now() < patience);
    }
    scene.finish();
}

#[test]
fn advisory_13_origins_are_compared_whole() {
    let scene = Scene::new();
    let listed = scene.server(json!({"origins": ["https://good.com", "http://local:8080"]}));
    let same = scene.server(json!({}));
    for (origin, in_list, is_same) in [
        ("https://good.com", true, false),
        ("HTTPS://GOOD.COM", true, false),
        ("https://good.com:443", true, false),
        ("https://good.com:444", false, false),
        ("http://good.com", false, false),
        ("https://evil", false, false),
        ("https://good.com.evil", false, false),
        ("https://evilgood.com", false, false),
        ("https://good.com/", false, false),
        ("https://good.com@evil", false, false),
        ("null", false, false),
        ("", false, false),
        ("http://local:8080", true, false),
        ("http://localhost", false, true),
        ("http://localhost:80", false, true),
        ("https://localhost", false, true),
        ("http://localhost:81", false, false),
        ("http://localhost.evil", false, false),
    ] {
        let header = format!("Origin: {origin}\r\n");
        let expected = |is_allowed| if is_allowed { 101 } else { 403 };
        assert_eq!(
            status(listed, &header),
            expected(in_list),
            "listed: {origin}"
        );
        assert_eq!(status(same, &header), expected(is_same), "same: {origin}");
    }
    assert_eq!(
        status(
            listed,
            "Origin: https://good.com\r\nOrigin: https://good.com\r\n"
        ),
        400
    );
    assert_eq!(status(listed, ""), 101);
    scene.finish();
}

#[test]
fn a_client_that_offers_no_known_protocol_can_be_refused() {
    let scene = Scene::new();
    let server = scene.server(json!({"protocols": ["soap", "mqtt"], "requireProtocol": true}));
    let offer = |names: &str| format!("Sec-WebSocket-Protocol: {names}\r\n");
    assert_eq!(status(server, &offer("x, mqtt")), 101);
    assert_eq!(status(server, &offer("SOAP")), 400);
    assert_eq!(status(server, ""), 400);
    let options = json!({"port": 0, "requireProtocol": true});
    let none = ask!(scene.host, "server_create", options).ok().reference;
    ask!(scene.host, "server_start", none, "{}").fails(INVALID_OPTIONS, &["protocols"]);
    ask!(scene.host, "server_clear", none).ok();
    scene.finish();
}

#[test]
fn each_refusal_is_told_with_its_rule_to_the_log_and_to_a_host_that_wants_it() {
    let scene = Scene::new();
    ask!(scene.host, "log", 4).ok();
    let refusing = |options: Value| {
        let mut all = json!({"refused": true, "path": "/"});
        let options = options.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(options);
        scene.server(all)
    };
    let told = |server: Server, request: &str, rule: &str, status: u16| {
        let response = Peer::http(server.port, request).unwrap();
        assert_eq!(response.status, status, "{rule}");
        let event = refused(&scene, server);
        assert_eq!((event.client(), event.server()), (0, server.reference));
        assert_eq!(*event.context("rule"), rule);
        assert_eq!(*event.context("status"), status);
        assert_eq!(*event.context("remoteIp"), "127.0.0.1");
        let reason = event.reason();
        assert!(response.body.starts_with(reason.as_bytes()), "{reason}");
        logged(&scene, rule);
        event
    };
    let strict = refusing(
        json!({"origins": [], "auth": {"bearer": "t"}, "maxConnections": 1,
        "protocols": "a", "requireProtocol": true}),
    );
    let event = told(strict, &request("Origin: https://evil\r\n"), "origin", 403);
    assert_eq!(*event.context("origin"), "https://evil");
    told(
        strict,
        &request("Authorization: Bearer x\r\n"),
        "protocol",
        400,
    );
    let offer = "Sec-WebSocket-Protocol: a\r\n";
    told(strict, &request(offer), "auth", 401);
    let event = told(strict, &request_to("localhost", "/no?a=b", ""), "path", 404);
    assert_eq!(
        (event.context("uri"), event.context("method")),
        (&json!("/no?a=b"), &json!("GET"))
    );
    told(strict, "GET / HTTP/1.1\r\n\r\n", "request", 400);
    let good = request(&format!("{offer}Authorization: Bearer t\r\n"));
    let mut first = Peer::tcp(strict.port);
    first.send_bytes(good.as_bytes());
    assert_eq!(answered(&mut first), 101);
    told(strict, &good, "maxConnections", 503);
    let single = refusing(json!({"maxPerIp": 1, "allow": ["127.0.0.1"]}));
    let _first = Peer::client(single.port);
    told(single, &request(""), "maxPerIp", 503);
    let strangers = refusing(json!({"allow": ["10.0.0.0/8"]}));
    told(strangers, &request(""), "allow", 403);
    let denying = refusing(json!({"deny": ["127.0.0.1"]}));
    told(denying, &request(""), "deny", 403);
    // Who has not asked hears nothing.
    let silent = scene.server(json!({"deny": ["127.0.0.1"]}));
    assert_eq!(answer(silent, "").status, 403);
    assert_eq!(
        scene.host.take(|event| event.server() == silent.reference),
        []
    );
    scene.finish();
}

#[test]
fn secrets_are_never_shown_nor_logged() {
    let scene = Scene::new();
    ask!(scene.host, "log", 4).ok();
    let options = json!({"port": 0, "auth": {"bearer": "tOkEn", "basic": {"ann": "pAsS"}}});
    let shown = |reply: Reply| {
        let text = reply.ok().body.to_string();
        assert!(!text.contains("tOkEn") && !text.contains("pAsS"), "{text}");
    };
    let created = ask!(scene.host, "server_create", options);
    let reference = created.reference;
    shown(created);
    let started = ask!(scene.host, "server_start", reference, "{}").ok();
    let server = Server {
        reference,
        port: started.body["port"].as_u64().unwrap() as u16,
        headers: "",
    };
    assert_eq!(status(server, "Authorization: Bearer tOkEm\r\n"), 401);
    assert_eq!(status(server, &basic("ann", "pAsT")), 401);
    shown(ask!(scene.host, "server_stop", reference, "{}"));
    ask!(scene.host, "server_clear", reference).ok();
    let said = scene.host.take(|event| event.is("log"));
    let leaked = |line: &str| {
        ["tOk", "pAsT", "ann"]
            .iter()
            .any(|secret| line.contains(secret))
    };
    assert!(
        !said.is_empty() && !said.iter().any(|event| leaked(event.log_line())),
        "{said:?}"
    );
    scene.finish();
}
