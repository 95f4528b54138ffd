//! Every option of a server and of a client has its effect on the wire, in the reply or in the events.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/certs.rs"]
mod certs;

use std::ffi::{CStr, CString, c_char};
use std::net::TcpListener;
use std::ptr;
use std::time::{Duration, Instant};

use adversary::{Frame, Heard, PING, PONG, PROMPTLY, Peer};
use serde_json::{Value, json};
use wsplug::ffi::*;

#[test]
fn every_option_has_its_test_here() {
    let (servers, clients) = include_str!("options.rs")
        .split_once("\nmod client {")
        .unwrap();
    let client = json!({"url": "ws://127.0.0.1:9/"});
    for (tests, created) in [
        (servers, create(wsplug_server_create, json!({})).1),
        (clients, create(wsplug_client_create, client).1),
    ] {
        for option in created
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "ref")
        {
            let name: String = option
                .chars()
                .map(|c| {
                    if c.is_uppercase() {
                        format!("_{}", c.to_lowercase())
                    } else {
                        c.to_string()
                    }
                })
                .collect();
            let has_test = tests.contains(&format!("    fn {name}()"))
                || tests.contains(&format!("    fn {name}_"));
            assert!(has_test, "no test of {option}");
        }
    }
}

mod server {
    use super::*;

    #[test]
    fn port() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Server::start(json!({"port": free}));
        assert_eq!(server.port, free);
        Peer::client(free);
        assert_ne!(Server::start(json!({})).port, 0);
    }

    #[test]
    fn host() {
        let server = Server::start(json!({"host": "127.0.0.2"}));
        assert_eq!(server.started["host"], "127.0.0.2");
        assert!(std::net::TcpStream::connect(("127.0.0.2", server.port)).is_ok());
        assert!(std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err());
        let anywhere = Server::start(json!({"host": "0.0.0.0"}));
        assert!(std::net::TcpStream::connect(("127.0.0.2", anywhere.port)).is_ok());
    }

    #[test]
    fn tls() {
        let certs = certs::Certs::new();
        let pair = certs.server();
        let server = Server::start(json!({"tls": {"certFile": pair.cert, "keyFile": pair.key}}));
        let url = format!("wss://localhost:{}/", server.port);
        let trust = json!({"caFile": certs.authority.cert});
        let client = Client::start(json!({"url": url, "tls": trust}));
        assert_eq!(client.event("open")["context"]["tls"]["verified"], true);
        assert_ne!(server.event("open")["context"]["tls"], false);
    }

    #[test]
    fn backlog() {
        for asked in [1, 77] {
            let server = Server::start(json!({"backlog": asked}));
            assert_eq!(listen_queue(server.port), asked);
        }
    }

    #[test]
    fn max_connections() {
        let server = Server::start(json!({"maxConnections": 2}));
        let first = Peer::client(server.port);
        let _second = Peer::client(server.port);
        server.event("open");
        server.event("open");
        assert_eq!(answer(server.port, "/", "").status, 503);
        drop(first);
        server.event("close");
        Peer::client(server.port);
    }

    #[test]
    fn method_worker_window_and_process() {
        let server = Server::start(json!({"worker": "w", "window": -3, "process": 7}));
        let peer = Peer::client(server.port);
        let open = server.event("open");
        assert_eq!(
            (&open["worker"], &open["window"], &open["process"]),
            (&json!("w"), &json!(-3), &json!(7))
        );
        command(|reply| unsafe {
            wsplug_server_stop(server.reference, text(json!({"window": 8})).as_ptr(), reply)
        })
        .unwrap();
        drop(peer);
        let close = server.event("close");
        assert_eq!(
            (&close["worker"], &close["process"]),
            (&json!("w"), &json!(7))
        );
        let again = command(|reply| unsafe {
            wsplug_server_start(
                server.reference,
                text(json!({"worker": "x"})).as_ptr(),
                reply,
            )
        });
        let _peer = Peer::client(again.unwrap()["port"].as_u64().unwrap() as u16);
        let open = server.event("open");
        assert_eq!(
            (&open["worker"], &open["window"], &open["process"]),
            (&json!("x"), &json!(8), &json!(7))
        );
    }

    #[test]
    fn worker_can_be_any_text() {
        let created = create(wsplug_server_create, json!({"worker": "名前 \"\\\n"})).1;
        assert_eq!(created["worker"], "名前 \"\\\n");
    }

    #[test]
    fn window_and_process_are_32_bits() {
        let created = create(
            wsplug_server_create,
            json!({"window": i32::MIN, "process": i32::MAX}),
        )
        .1;
        assert_eq!(
            (&created["window"], &created["process"]),
            (&json!(i32::MIN), &json!(i32::MAX))
        );
    }

    #[test]
    fn process_out_of_range_is_refused() {
        assert_eq!(
            refused(wsplug_server_create, json!({"process": 2147483648_i64}))["option"],
            "process"
        );
    }

    #[test]
    fn dispatch() {
        let server = Server::start(json!({"dispatch": "pump", "method": "only pumped"}));
        let name = CString::new("only pumped").unwrap();
        assert_eq!(
            unsafe { wsplug_set_method(name.as_ptr(), Some(ignore), None, ptr::null_mut()) },
            WSPLUG_OK
        );
        let _peer = Peer::client(server.port);
        // Others of this process may be pumped too; this one's "open" is among them.
        assert!(wsplug_pump(PROMPTLY.as_millis() as i32, 100) >= 1);
    }

    #[test]
    fn path() {
        let server = Server::start(json!({"path": "/chat"}));
        assert_eq!(answer(server.port, "/chat?room=1", "").status, 101);
        assert_eq!(answer(server.port, "/other", "").status, 404);
        assert_eq!(answer(server.port, "/", "").status, 404);
    }

    #[test]
    fn paths() {
        let server = Server::start(json!({"paths": ["/one", "/two"]}));
        assert_eq!(answer(server.port, "/one", "").status, 101);
        assert_eq!(answer(server.port, "/two", "").status, 101);
        assert_eq!(answer(server.port, "/three", "").status, 404);
        let any = Server::start(json!({}));
        assert_eq!(answer(any.port, "/whatever", "").status, 101);
    }

    #[test]
    fn hosts() {
        let server = Server::start(json!({"hosts": ["chat.example", "127.0.0.1"]}));

        assert_eq!(answer(server.port, "/", "").status, 101);
        let asks = |host: &str| {
            let request = adversary::request_to(host, "/", "");
            Peer::http(server.port, request).unwrap().status
        };
        assert_eq!(asks("CHAT.example:80"), 101);
        assert_eq!(asks("other.example"), 404);
        let error = refused(wsplug_server_create, json!({"hosts": "chat.example:80"}));
        assert_eq!(error["option"], "hosts");
    }

    #[test]
    fn origins() {
        let from = |server: &Server, origin: &str| {
            answer(server.port, "/", &format!("Origin: {origin}\r\n")).status
        };
        let by_default = Server::start(json!({}));
        assert_eq!(from(&by_default, "https://other.example"), 403);
        assert_eq!(from(&by_default, "null"), 403);
        assert_eq!(from(&by_default, "http://127.0.0.1"), 101);
        let listed = ["https://a.example", "http://b.example:8080"];
        let listed = Server::start(json!({"origins": listed}));
        assert_eq!(from(&listed, "https://a.example"), 101);
        assert_eq!(from(&listed, "HTTPS://A.example"), 101);
        assert_eq!(from(&listed, "http://b.example:8080"), 101);
        assert_eq!(from(&listed, "http://b.example"), 403);
        assert_eq!(from(&listed, "https://a.example.evil"), 403);
        let any = Server::start(json!({"origins": "*"}));
        assert_eq!(from(&any, "https://anything.example"), 101);
    }

    #[test]
    fn protocols() {
        let server = Server::start(json!({"protocols": ["soap", "mqtt"]}));
        let agreed = |offer: &str| {
            let response = answer(
                server.port,
                "/",
                &format!("Sec-WebSocket-Protocol: {offer}\r\n"),
            );
            assert_eq!(response.status, 101);
            response.header("sec-websocket-protocol").map(str::to_owned)
        };
        assert_eq!(agreed("mqtt").as_deref(), Some("mqtt"));
        assert_eq!(agreed("amqp"), None);
        assert!(agreed("amqp, mqtt, soap").is_some());
        let as_text = Server::start(json!({"protocols": "soap,mqtt"}));
        let response = answer(as_text.port, "/", "Sec-WebSocket-Protocol: mqtt\r\n");
        assert_eq!(response.header("sec-websocket-protocol"), Some("mqtt"));
    }

    #[test]
    fn auth() {
        let server =
            Server::start(json!({"auth": {"bearer": ["token"], "basic": {"user": "password"}}}));
        let status = |header: &str| answer(server.port, "/", header).status;
        let without = answer(server.port, "/", "");
        assert_eq!(without.status, 401);
        assert!(without.header("www-authenticate").is_some());
        assert_eq!(status("Authorization: Bearer token\r\n"), 101);
        assert_eq!(status("authorization: bearer token\r\n"), 101);
        assert_eq!(status("Authorization: Bearer toke\r\n"), 401);
        assert_eq!(status("Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n"), 101);
        assert_eq!(status("Authorization: Basic dXNlcjp3cm9uZw==\r\n"), 401);
        // A table that was not filled lets nobody in: it is an error.
        for empty in [
            json!({"bearer": []}),
            json!({"bearer": ""}),
            json!({"basic": {}}),
            json!({"bearer": "token", "basic": {}}),
        ] {
            let error = refused(wsplug_server_create, json!({"port": 0, "auth": empty}));
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("leave it out"), "{empty}: {message}");
        }
        let open = Server::start(json!({"auth": {}}));
        assert_eq!(answer(open.port, "/", "").status, 101);
    }

    #[test]
    fn interval() {
        let server = Server::start(json!({"interval": "10 ms"}));
        for _ in 0..2 {
            assert_eq!(server.event("service")["context"], json!({}));
        }
    }

    #[test]
    fn blocked() {
        let server = Server::start(json!({"blocked": true}));
        assert_eq!(answer(server.port, "/", "").status, 503);
    }

    #[test]
    fn files() {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("page.html");
        std::fs::write(&file, "<p>page</p>").unwrap();
        let server = Server::start(json!({"files": {"/": file.to_str().unwrap()}}));
        let page = Peer::http(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(
            (page.status, page.body.as_slice()),
            (200, &b"<p>page</p>"[..])
        );
        assert!(
            page.header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        assert_eq!(
            Peer::http(server.port, "GET /page.html HTTP/1.1\r\nHost: x\r\n\r\n")
                .unwrap()
                .status,
            404
        );
        assert_eq!(answer(server.port, "/", "").status, 101);
    }

    #[test]
    fn drain() {
        let server = Server::start(json!({"drain": true, "sendQueueBytes": 65536}));
        drains(&server, Peer::client(server.port));
    }

    #[test]
    fn fragments() {
        for (asked, expected) in [(json!({}), 1), (json!({"fragments": false}), 0)] {
            let server = Server::start(asked);
            let mut peer = Peer::client(server.port);
            send_in_two(&mut peer);
            assert_eq!(
                server
                    .events_until("message")
                    .iter()
                    .filter(|event| event["type"] == "fragment")
                    .count(),
                expected
            );
        }
    }

    #[test]
    fn handshake_timeout_ms() {
        let server = Server::start(json!({"handshakeTimeoutMs": 300}));
        let before = Instant::now();
        let mut silent = Peer::tcp(server.port);
        assert!(silent.ends(PROMPTLY));
        assert!(before.elapsed() >= Duration::from_millis(290));
    }

    #[test]
    fn close_timeout_ms() {
        let server = Server::start(json!({"closeTimeoutMs": 300}));
        let mut deaf = Peer::client(server.port);
        let client = server.event("open")["client"].as_i64().unwrap() as i32;
        let before = Instant::now();
        command(|reply| unsafe { wsplug_client_stop(client, ptr::null(), reply) }).unwrap();
        assert!(deaf.ends(PROMPTLY));
        assert!(before.elapsed() >= Duration::from_millis(290));
    }

    #[test]
    fn per_message_deflate() {
        let agreed = |options: Value, offer: &str| {
            let server = Server::start(options);
            let offer = format!("Sec-WebSocket-Extensions: permessage-deflate{offer}\r\n");
            let response = answer(server.port, "/", &offer);
            assert_eq!(response.status, 101);
            response
                .header("sec-websocket-extensions")
                .map(str::to_owned)
        };
        let deflate = |members: Value, offer: &str| {
            let agreed = agreed(json!({"perMessageDeflate": members}), offer);
            agreed.unwrap().replace("permessage-deflate", "")
        };
        assert_eq!(agreed(json!({}), "").as_deref(), Some("permessage-deflate"));
        assert_eq!(
            agreed(json!({"perMessageDeflate": {"enabled": false}}), ""),
            None
        );
        assert_eq!(
            deflate(json!({"serverNoContextTakeover": true}), ""),
            "; server_no_context_takeover"
        );
        assert_eq!(
            deflate(json!({"clientNoContextTakeover": true}), ""),
            "; client_no_context_takeover"
        );
        assert_eq!(
            deflate(json!({"serverMaxWindowBits": 10}), ""),
            "; server_max_window_bits=10"
        );
        let offer = "; client_max_window_bits";
        assert_eq!(
            deflate(json!({"clientMaxWindowBits": 11}), offer),
            "; client_max_window_bits=11"
        );
    }

    #[test]
    fn per_message_deflate_has_a_threshold_and_a_level() {
        let wire_size = |members: Value| {
            let server = Server::start(json!({"perMessageDeflate": members}));
            let _peer =
                Peer::tcp(server.port).upgraded("Sec-WebSocket-Extensions: permessage-deflate\r\n");
            let client = server.event("open")["client"].as_i64().unwrap() as i32;
            let text: String = (0..400).map(|number| format!("{number},")).collect();
            let sent = command(|reply| unsafe {
                wsplug_client_send(
                    client,
                    WSPLUG_TEXT,
                    text.as_ptr().cast(),
                    text.len() as i32,
                    reply,
                )
            });
            let sent = sent.unwrap();
            assert_eq!(sent["payloadSize"], text.len());
            sent["wireSize"].as_u64().unwrap() as f64 / text.len() as f64
        };
        assert_eq!(wire_size(json!({"threshold": 5000})), 1.0);
        let (best, fastest) = (
            wire_size(json!({"level": 9})),
            wire_size(json!({"level": 1})),
        );
        assert!(
            best < 0.6 && best < fastest && fastest < 1.0,
            "{best} {fastest}"
        );
        assert!(wire_size(json!({"memLevel": 1})) < 1.0);
    }

    #[test]
    fn disable_per_message_deflate() {
        let server = Server::start(json!({"disablePerMessageDeflate": true}));
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        assert_eq!(
            answer(server.port, "/", offer).header("sec-websocket-extensions"),
            None
        );
    }

    #[test]
    fn max_message() {
        let server = Server::start(json!({"maxMessage": 1000}));
        let mut peer = Peer::client(server.port);
        peer.send(&Frame::text(vec![b'x'; 1000]));
        server.event("message");
        peer.send(&Frame::text("").declared(1001));
        assert_eq!(peer.close_frame(PROMPTLY).0, 1009);
    }

    #[test]
    fn max_fragments() {
        let server = Server::start(json!({"maxFragments": 3}));
        let mut peer = Peer::client(server.port);
        peer.send(&Frame::text("1").not_final());
        peer.send(&Frame::new(0, "2").not_final());
        peer.send(&Frame::new(0, "3"));
        server.event("message");
        peer.send(&Frame::text("1").not_final());
        for _ in 0..3 {
            peer.send(&Frame::new(0, "more").not_final());
        }
        assert!([1008, 1009].contains(&peer.close_frame(PROMPTLY).0));
    }

    #[test]
    fn max_head_bytes() {
        let server = Server::start(json!({"maxHeadBytes": 1000}));
        assert_eq!(
            answer(server.port, "/", &format!("X: {}\r\n", "x".repeat(500))).status,
            101
        );
        assert_eq!(
            answer(server.port, "/", &format!("X: {}\r\n", "x".repeat(1000))).status,
            431
        );
    }

    #[test]
    fn max_headers() {
        let server = Server::start(json!({"maxHeaders": 10}));
        assert_eq!(answer(server.port, "/", &"X: y\r\n".repeat(4)).status, 101);
        assert_eq!(answer(server.port, "/", &"X: y\r\n".repeat(6)).status, 431);
    }

    #[test]
    fn ping_interval_and_ping_timeout() {
        let server = Server::start(json!({"pingInterval": 1, "pingTimeout": 3}));
        pings(&server, Peer::client(server.port));
    }

    #[test]
    fn ping_timeout_is_as_long_as_it_is_told_to_be() {
        let server = Server::start(json!({"pingInterval": 1, "pingTimeout": 3}));
        let before = Instant::now();
        let mut peer = Peer::client(server.port);
        assert!(matches!(peer.hear(PROMPTLY), Heard::Frame(frame) if frame.opcode == PING));
        server.event("close");
        assert!(before.elapsed() >= Duration::from_millis(3900));
    }

    #[test]
    fn enable_pong() {
        for (asked, answers) in [(true, true), (false, false)] {
            let server = Server::start(json!({"enablePong": asked}));
            pongs(Peer::client(server.port), answers);
        }
    }

    #[test]
    fn name() {
        let server = Server::start(json!({"name": "chat"}));
        let info = command(|reply| unsafe { wsplug_server_info(server.reference, reply) });
        assert_eq!(info.unwrap()["name"], "chat");
        // Unlike a client's, it is for people only.
        let other = Server::start(json!({"name": "chat"}));
        assert!(other.started["success"].as_bool().unwrap());
    }

    #[test]
    fn send_budget_bytes() {
        let options = json!({"sendBudgetBytes": 262_144, "sendQueueBytes": 1 << 30});
        let server = Server::start(options);
        let _peers = [Peer::client(server.port), Peer::client(server.port)];
        let clients = [(); 2].map(|()| server.event("open")["client"].as_i64().unwrap() as i32);
        fill(clients[0]);
        // One message is taken in any case; the next one finds what the other has left of the budget.
        fill(clients[1]);
    }

    #[test]
    fn send_queue_bytes() {
        let server = Server::start(json!({"sendQueueBytes": 65536}));
        let _peer = Peer::client(server.port);
        let client = server.event("open")["client"].as_i64().unwrap() as i32;
        fill(client);
    }

    #[test]
    fn send_stall_ms() {
        let server = Server::start(json!({"sendStallMs": 400, "sendQueueBytes": 65536}));
        let _peer = Peer::tcp_with_little_room(server.port).upgraded("");
        let client = server.event("open")["client"].as_i64().unwrap() as i32;
        stalls(&server, client);
    }

    #[test]
    fn event_queue_bytes() {
        let server = Server::start(json!({"eventQueueBytes": 65536}));
        let mut peer = Peer::client(server.port);
        stops_reading(&mut peer);
        for _ in 0..10 {
            server.event("message");
        }
    }

    #[test]
    fn event_queue_events() {
        let server = Server::start(json!({"eventQueueEvents": 10}));
        let mut peer = Peer::client(server.port);
        stops_reading(&mut peer);
        for _ in 0..30 {
            server.event("message");
        }
    }

    #[test]
    fn max_pending_handshakes() {
        let server = Server::start(json!({"maxPendingHandshakes": 2}));
        let mut oldest = Peer::tcp(server.port);
        let second = Peer::tcp(server.port);
        let _third = Peer::tcp(server.port);
        assert!(oldest.ends(PROMPTLY));
        // A good client does not wait behind the silent ones, and the younger of them stays.
        second.upgraded("");
    }

    #[test]
    fn reuse_port() {
        let first = Server::start(json!({"reusePort": true}));
        assert_eq!(answer(first.port, "/", "").status, 101);
    }

    #[test]
    fn health() {
        let server = Server::start(json!({"health": "/health", "path": "/chat"}));
        let ask = |method: &str, path: &str| {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            Peer::http(server.port, head).unwrap()
        };
        let response = ask("GET", "/health?verbose");
        assert_eq!((response.status, &response.body[..]), (200, &b"ok\n"[..]));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        let response = ask("HEAD", "/health");
        assert_eq!((response.status, response.body.len()), (200, 0));
        assert_eq!(ask("POST", "/health").status, 405);
        assert_eq!(ask("GET", "/chat").status, 426);
        assert_eq!(answer(server.port, "/chat", "").status, 101);
        let several = Server::start(json!({"health": ["/up", "/état"], "metrics": ["/m", "/n"]}));
        for (path, status) in [
            ("/up", 200),
            ("/%c3%a9tat", 200),
            ("/m", 200),
            ("/n", 200),
            ("/o", 426),
        ] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(
                Peer::http(several.port, head).unwrap().status,
                status,
                "{path}"
            );
        }
        let denied = Server::start(json!({"health": "/", "deny": ["127.0.0.1"]}));
        let head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(Peer::http(denied.port, head).unwrap().status, 403);
    }

    fn get(port: u16, path: &str, headers: &str) -> adversary::Response {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        Peer::http(port, head).unwrap()
    }

    #[test]
    fn metrics() {
        let server = Server::start(json!({"metrics": "/metrics"}));
        let _peer = Peer::client(server.port);
        server.event("open");
        let response = get(server.port, "/metrics", "");
        assert_eq!(
            response.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        let line = format!("wsplug_clients{{server=\"{}\"}} 1\n", server.reference);
        assert!(String::from_utf8(response.body).unwrap().contains(&line));
    }

    #[test]
    fn file_headers() {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("headed.html");
        std::fs::write(&file, "").unwrap();
        let headers = json!({"cache-control": "max-age=60", "Link": ["</a>", "</b>"]});
        let files = json!({"/": file.to_str().unwrap()});
        let server = Server::start(json!({"files": files, "fileHeaders": headers}));
        let response = get(server.port, "/", "");
        assert_eq!(response.header("cache-control"), Some("max-age=60"));
        assert_eq!(response.head.matches("cache-control:").count(), 1);
        assert_eq!(response.head.matches("link: </").count(), 2);
    }

    #[test]
    fn cors() {
        let from = "Origin: https://a.example\r\n";
        let allowed = |options: Value| {
            let server = Server::start(options);
            let response = get(server.port, "/health", from);
            assert_eq!(response.status, 200);
            let header = response.header("access-control-allow-origin");
            header.map(str::to_owned)
        };
        let health = "/health";
        assert_eq!(allowed(json!({"health": health})), None);
        let listed = json!({"health": health, "cors": ["https://a.example"]});
        assert_eq!(allowed(listed).as_deref(), Some("https://a.example"));
        let others = json!({"health": health, "cors": ["https://b.example"]});
        assert_eq!(allowed(others), None);
        let all = json!({"health": health, "cors": "*"});
        assert_eq!(allowed(all).as_deref(), Some("*"));
    }

    #[test]
    fn max_http_connections() {
        let server = Server::start(json!({"health": "/health", "maxHttpConnections": 1}));
        let mut first = Peer::tcp(server.port);
        first.send_bytes(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(first.response(PROMPTLY).unwrap().status, 200);
        assert_eq!(get(server.port, "/health", "").status, 200);
        assert!(first.ends(PROMPTLY));
    }

    #[test]
    fn http_idle_timeout_ms() {
        let server = Server::start(json!({"health": "/health", "httpIdleTimeoutMs": 100}));
        let mut peer = Peer::tcp(server.port);
        let began = Instant::now();
        peer.send_bytes(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(peer.response(PROMPTLY).unwrap().status, 200);
        assert!(peer.ends(PROMPTLY));
        assert!(began.elapsed() >= Duration::from_millis(100));
    }

    #[test]
    fn require_protocol() {
        let server = Server::start(json!({"protocols": ["soap"], "requireProtocol": true}));
        assert_eq!(answer(server.port, "/", "").status, 400);
        let offer = "Sec-WebSocket-Protocol: x, soap\r\n";
        assert_eq!(answer(server.port, "/", offer).status, 101);
    }

    #[test]
    fn allow() {
        let server = Server::start(json!({"allow": ["10.0.0.0/8"]}));
        assert_eq!(answer(server.port, "/", "").status, 403);
        let server = Server::start(json!({"allow": "127.0.0.0/8"}));
        assert_eq!(answer(server.port, "/", "").status, 101);
    }

    #[test]
    fn deny() {
        let server = Server::start(json!({"deny": ["127.0.0.1"]}));
        assert_eq!(answer(server.port, "/", "").status, 403);
    }

    #[test]
    fn trusted_proxies() {
        let forwarded = "X-Forwarded-For: 1.2.3.4\r\n";
        for (options, ip) in [
            (json!({"trustedProxies": ["127.0.0.1"]}), "1.2.3.4"),
            (json!({}), "127.0.0.1"),
        ] {
            let server = Server::start(options);
            assert_eq!(answer(server.port, "/", forwarded).status, 101);
            assert_eq!(server.event("open")["context"]["remoteIp"], ip);
        }
    }

    #[test]
    fn proxy_protocol() {
        let server = Server::start(json!({"proxyProtocol": true, "trustedProxies": ["127.0.0.1"]}));
        let line = "PROXY TCP4 1.2.3.4 127.0.0.1 77 80\r\n";
        let request = format!("{line}{}", adversary::request(""));
        assert_eq!(Peer::http(server.port, request).unwrap().status, 101);
        let open = server.event("open");
        assert_eq!(open["context"]["remoteIp"], "1.2.3.4");
        assert_eq!(open["context"]["remotePort"], 77);
    }

    #[test]
    fn admission() {
        let server = Server::start(json!({"admission": "ask"}));
        let mut peer = Peer::tcp(server.port);
        peer.send_bytes(adversary::request("").as_bytes());
        let client = server.event("request")["client"].as_i64().unwrap() as i32;
        command(|reply| unsafe { wsplug_client_accept(client, ptr::null(), reply) }).unwrap();
        assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
        let error = refused(wsplug_server_create, json!({"admission": "maybe"}));
        assert_eq!(error["option"], "admission");
    }

    #[test]
    fn admission_timeout_ms() {
        let server = Server::start(json!({"admission": "ask", "admissionTimeoutMs": 200}));
        assert_eq!(answer(server.port, "/", "").status, 503);
        assert_eq!(server.event("refused")["context"]["status"], 503);
    }

    #[test]
    fn max_pending_requests() {
        let server = Server::start(json!({"admission": "ask", "maxPendingRequests": 1}));
        let mut first = Peer::tcp(server.port);
        first.send_bytes(adversary::request("").as_bytes());
        let client = server.event("request")["client"].as_i64().unwrap() as i32;
        assert_eq!(answer(server.port, "/", "").status, 503);
        command(|reply| unsafe { wsplug_client_accept(client, ptr::null(), reply) }).unwrap();
        assert_eq!(first.response(PROMPTLY).unwrap().status, 101);
    }

    #[test]
    fn topics() {
        let server = Server::start(json!({"topics": ["news"]}));
        let mut peer = Peer::client(server.port);
        server.event("open");
        let topic = CString::new("news").unwrap();
        let told = command(|reply| unsafe {
            let data = c"hello".as_ptr().cast();
            wsplug_server_publish(
                server.reference,
                topic.as_ptr(),
                1,
                data,
                5,
                ptr::null(),
                reply,
            )
        });
        assert_eq!(told.unwrap()["subscribers"], 1);
        assert_eq!(peer.frame().payload, b"hello");
    }

    #[test]
    fn max_topics() {
        let server = Server::start(json!({"maxTopics": 1, "topics": ["news"]}));
        let _peer = Peer::client(server.port);
        let client = server.event("open")["client"].as_i64().unwrap() as i32;
        let one_more = |topic: &std::ffi::CStr| {
            command(|reply| unsafe { wsplug_client_subscribe(client, topic.as_ptr(), reply) })
        };
        assert_eq!(one_more(c"news").unwrap()["changed"], false);
        assert!(one_more(c"weather").is_err());
    }

    #[test]
    fn refused_requests() {
        let server = Server::start(json!({"refused": true, "path": "/a"}));
        assert_eq!(answer(server.port, "/b", "").status, 404);
        assert_eq!(server.event("refused")["context"]["rule"], "path");
    }

    #[test]
    fn max_per_ip() {
        let server = Server::start(json!({"maxPerIp": 1}));
        let first = Peer::client(server.port);
        server.event("open");
        assert!(matches!(answer(server.port, "/", "").status, 429 | 503));
        drop(first);
        server.event("close");
        Peer::client(server.port);
    }
}

mod client {
    use super::*;

    #[test]
    fn url() {
        let listener = Listener::new();
        let _client =
            Client::start(json!({"url": format!("ws://127.0.0.1:{}/a%20b/c?d=e", listener.port)}));
        let peer = Peer::accept(&listener.socket);
        assert!(
            peer.request.starts_with("GET /a%20b/c?d=e HTTP/1.1\r\n"),
            "{}",
            peer.request
        );
        assert!(
            peer.request
                .contains(&format!("Host: 127.0.0.1:{}\r\n", listener.port)),
            "{}",
            peer.request
        );
    }

    #[test]
    fn name() {
        let client = Client::new(json!({"name": "of the options' test"}));
        assert_eq!(client.created["name"], "of the options' test");
        let error = refused(
            wsplug_client_create,
            json!({"name": "of the options' test"}),
        );
        assert_eq!(error["option"], "name");
    }

    #[test]
    fn address_port_and_path() {
        let listener = Listener::new();
        let _client = Client::start(
            json!({"address": "127.0.0.1", "port": listener.port, "path": "chat?who=ann"}),
        );
        let peer = Peer::accept(&listener.socket);
        assert!(
            peer.request.starts_with("GET /chat?who=ann HTTP/1.1\r\n"),
            "{}",
            peer.request
        );
    }

    #[test]
    fn port_without_an_address_is_refused() {
        let error = refused(wsplug_client_create, json!({"port": 8080}));
        assert_eq!(error["option"], "port");
    }

    #[test]
    fn path_that_cannot_be_one_is_refused() {
        let error = refused(
            wsplug_client_create,
            json!({"address": "localhost", "path": "a b"}),
        );
        assert_eq!(error["option"], "path");
    }

    #[test]
    fn url_can_be_changed_at_start() {
        let listener = Listener::new();
        let client = Client::new(json!({"url": "ws://127.0.0.1:9/"}));
        let options = text(json!({"url": listener.url(), "wait": false}));
        command(|reply| unsafe { wsplug_client_start(client.reference, options.as_ptr(), reply) })
            .unwrap();
        Peer::accept(&listener.socket);
        client.event("open");
    }

    #[test]
    fn method_worker_window_and_process() {
        let listener = Listener::new();
        let client =
            Client::start(json!({"url": listener.url(), "worker": "w", "window": 3, "process": 4}));
        let _peer = Peer::accept(&listener.socket);
        let open = client.event("open");
        assert_eq!(
            (&open["worker"], &open["window"], &open["process"]),
            (&json!("w"), &json!(3), &json!(4))
        );
        assert_eq!(open["server"], 0);
    }

    #[test]
    fn worker_can_be_any_text() {
        let created = create(
            wsplug_client_create,
            json!({"url": "ws://127.0.0.1:9/", "worker": "名前 \"\\\n"}),
        )
        .1;
        assert_eq!(created["worker"], "名前 \"\\\n");
    }

    #[test]
    fn window_out_of_range_is_refused() {
        let options = json!({"url": "ws://127.0.0.1:9/", "window": -2147483649_i64});
        assert_eq!(refused(wsplug_client_create, options)["option"], "window");
    }

    #[test]
    fn process_is_32_bits() {
        let created = create(
            wsplug_client_create,
            json!({"url": "ws://127.0.0.1:9/", "process": i32::MIN}),
        )
        .1;
        assert_eq!(created["process"], i32::MIN);
    }

    #[test]
    fn dispatch() {
        let listener = Listener::new();
        let name = CString::new("a client's, pumped").unwrap();
        assert_eq!(
            unsafe { wsplug_set_method(name.as_ptr(), Some(ignore), None, ptr::null_mut()) },
            WSPLUG_OK
        );
        let _client = Client::start(
            json!({"url": listener.url(), "dispatch": "pump", "method": "a client's, pumped"}),
        );
        let _peer = Peer::accept(&listener.socket);
        assert!(wsplug_pump(PROMPTLY.as_millis() as i32, 100) >= 1);
    }

    #[test]
    fn ping_interval_and_ping_timeout() {
        let (client, peer) = Client::connected(
            json!({"pingInterval": 1, "pingTimeout": 3, "enableAutomaticReconnection": false}),
        );
        pings(&client, peer);
    }

    #[test]
    fn ping_timeout_is_the_interval_if_left_out() {
        let created = create(
            wsplug_client_create,
            json!({"url": "ws://127.0.0.1:9/", "pingInterval": 5}),
        )
        .1;
        assert_eq!(created["pingInterval"], 5);
        let (client, peer) = Client::connected(json!({"pingInterval": 1}));
        assert_eq!(client.created["pingInterval"], 1);
        let mut peer = peer;
        assert!(matches!(peer.hear(PROMPTLY), Heard::Frame(frame) if frame.opcode == PING));
    }

    #[test]
    fn enable_automatic_reconnection() {
        let listener = Listener::new();
        let client = Client::start(json!({"url": listener.url()}));
        drop(Peer::accept(&listener.socket));
        let _again = Peer::accept(&listener.socket);
        client.event("open");
        client.event("close");
        client.event("open");

        let off =
            Client::start(json!({"url": listener.url(), "enableAutomaticReconnection": false}));
        drop(Peer::accept(&listener.socket));
        off.event("close");
        // Longer than the first two waits of a reconnection.
        assert!(!listener.is_called_within(Duration::from_millis(500)));
    }

    #[test]
    fn enable_pong() {
        for (asked, answers) in [(true, true), (false, false)] {
            pongs(Client::connected(json!({"enablePong": asked})).1, answers);
        }
    }

    #[test]
    fn per_message_deflate() {
        let offered = |members: Value| {
            let (_client, peer) = Client::connected(json!({"perMessageDeflate": members}));
            let offer = peer
                .request
                .lines()
                .find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
            offer.map(|offer| offer.split("; ").map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(offered(json!({})), None);
        let offer = |mut members: Value| {
            members["enabled"] = json!(true);
            offered(members).unwrap()
        };
        let all_defaults = ["permessage-deflate", "client_max_window_bits"];
        assert_eq!(offer(json!({})), all_defaults);
        for (members, expected) in [
            (
                json!({"serverMaxWindowBits": 10}),
                "server_max_window_bits=10",
            ),
            (
                json!({"clientMaxWindowBits": 12}),
                "client_max_window_bits=12",
            ),
            (
                json!({"serverNoContextTakeover": true}),
                "server_no_context_takeover",
            ),
            (
                json!({"clientNoContextTakeover": true}),
                "client_no_context_takeover",
            ),
        ] {
            let offer = offer(members);
            assert!(offer.iter().any(|part| part == expected), "{offer:?}");
            let is_new = |part: &&String| !all_defaults.contains(&part.as_str());
            assert_eq!(offer.iter().filter(is_new).count(), 1, "{offer:?}");
        }
    }

    #[test]
    fn per_message_deflate_is_shown_whole_and_checked() {
        let given =
            |members: Value| json!({"url": "ws://127.0.0.1:9/", "perMessageDeflate": members});
        let members = json!({"serverMaxWindowBits": 9, "clientNoContextTakeover": true});
        let shown = create(wsplug_client_create, given(members)).1["perMessageDeflate"].clone();
        for (member, value) in [
            ("enabled", json!(false)),
            ("clientNoContextTakeover", json!(true)),
            ("serverNoContextTakeover", json!(false)),
            ("serverMaxWindowBits", json!(9)),
            ("clientMaxWindowBits", json!(15)),
        ] {
            assert_eq!(shown[member], value, "{member}");
        }
        for bits in [json!(0), json!(7), json!(16), json!("9")] {
            let error = refused(
                wsplug_client_create,
                given(json!({"clientMaxWindowBits": bits})),
            );
            assert!(
                error["message"]
                    .as_str()
                    .unwrap()
                    .contains("clientMaxWindowBits"),
                "{error}"
            );
        }
    }

    #[test]
    fn disable_per_message_deflate() {
        let url = "ws://127.0.0.1:9/";
        let both = json!({"url": url, "disablePerMessageDeflate": true, "perMessageDeflate": {"enabled": false}});
        assert!(
            refused(wsplug_client_create, both)["message"]
                .as_str()
                .unwrap()
                .contains("perMessageDeflate")
        );
        let (client, peer) = Client::connected(json!({"disablePerMessageDeflate": true}));
        assert_eq!(client.created["disablePerMessageDeflate"], true);
        assert!(
            !peer
                .request
                .to_lowercase()
                .contains("sec-websocket-extensions"),
            "{}",
            peer.request
        );
    }

    #[test]
    fn headers() {
        let (_client, peer) = Client::connected(
            json!({"headers": {"X-One": "1", "Cookie": "a=b", "Origin": "http://me.example"}}),
        );
        for line in ["X-One: 1", "Cookie: a=b", "Origin: http://me.example"] {
            assert!(
                peer.request.contains(&format!("\r\n{line}\r\n")),
                "{}",
                peer.request
            );
        }
        let fixed = json!({"url": "ws://127.0.0.1:9/", "headers": {"Sec-WebSocket-Key": "mine"}});
        assert_eq!(refused(wsplug_client_create, fixed)["option"], "headers");
    }

    #[test]
    fn auth() {
        let basic = json!({"auth": {"basic": {"user": "u", "password": "p"}}});
        let (client, peer) = Client::connected(basic);
        assert!(
            peer.request.contains("\r\nAuthorization: Basic dTpw\r\n"),
            "{}",
            peer.request
        );
        assert!(client.created.get("auth").is_none());
    }

    #[test]
    fn tls() {
        let listener = Listener::new();
        let _client = Client::start(json!({"url": listener.url(), "tls": true}));
        // The beginning of a handshake's record (RFC 8446 § 5.1).
        let mut peer = Peer::accept_silently(&listener.socket);
        assert_eq!(peer.bytes(2), [22, 3]);
    }

    #[test]
    fn follow_redirects() {
        let (first, second) = (Listener::new(), Listener::new());
        let client = Client::start(json!({"url": first.url(), "followRedirects": 1}));
        assert_eq!(client.created["followRedirects"], 1);
        let mut peer = Peer::accept_tcp(&first.socket);
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\n\r\n", second.url());
        peer.send_bytes(answer.as_bytes());
        let _peer = Peer::accept(&second.socket);
        assert_eq!(client.event("open")["context"]["url"], second.url());
    }

    #[test]
    fn proxy() {
        let listener = Listener::new();
        let proxy = format!("http://127.0.0.1:{}", listener.port);
        let client = Client::start(json!({"url": "ws://far.example/", "proxy": proxy}));
        assert_eq!(client.created["proxy"], proxy);
        let mut peer = Peer::accept_tcp(&listener.socket);
        assert!(
            peer.request
                .starts_with("CONNECT far.example:80 HTTP/1.1\r\n"),
            "{}",
            peer.request
        );
        peer.send_bytes(b"HTTP/1.1 200 OK\r\n\r\n");
        let _peer = Peer::asked(peer.stream).answered("");
        client.event("open");
    }

    #[test]
    fn protocols() {
        let listener = Listener::new();
        let client = Client::start(json!({"url": listener.url(), "protocols": ["soap", "mqtt"]}));
        let peer = Peer::accept_with(&listener.socket, "Sec-WebSocket-Protocol: mqtt\r\n");
        assert!(
            peer.request
                .contains("\r\nSec-WebSocket-Protocol: soap, mqtt\r\n"),
            "{}",
            peer.request
        );
        assert_eq!(client.event("open")["context"]["protocol"], "mqtt");
    }

    #[test]
    fn timeout() {
        let listener = Listener::new();
        let options = json!({"url": listener.url(), "enableAutomaticReconnection": false});
        let client = Client::new(options);
        let before = Instant::now();
        let options = text(json!({"timeout": 1}));
        let failed = command(|reply| unsafe {
            wsplug_client_start(client.reference, options.as_ptr(), reply)
        })
        .unwrap_err();
        assert!(before.elapsed() >= Duration::from_millis(990) && before.elapsed() < PROMPTLY);
        assert_eq!(failed["error"]["code"], WSPLUG_NETWORK);
        assert!(
            failed["errorStr"].as_str().unwrap().contains("1000 ms"),
            "{failed}"
        );
    }

    #[test]
    fn drain() {
        let (client, peer) = Client::connected(json!({"drain": true, "sendQueueBytes": 65536}));
        drains(&client, peer);
    }

    #[test]
    fn fragments() {
        for (asked, expected) in [(json!({}), 1), (json!({"fragments": false}), 0)] {
            let (client, mut peer) = Client::connected(asked);
            send_in_two(&mut peer);
            assert_eq!(
                client
                    .events_until("message")
                    .iter()
                    .filter(|event| event["type"] == "fragment")
                    .count(),
                expected
            );
        }
    }

    #[test]
    fn close_timeout_ms() {
        let (client, _deaf) = Client::connected(json!({"closeTimeoutMs": 300}));
        client.event("open");
        let before = Instant::now();
        command(|reply| unsafe { wsplug_client_stop(client.reference, ptr::null(), reply) })
            .unwrap();
        assert!(
            before.elapsed() >= Duration::from_millis(290)
                && before.elapsed() < Duration::from_secs(4)
        );
    }

    #[test]
    fn max_message() {
        let (client, mut peer) = Client::connected(json!({"maxMessage": 1000}));
        peer.send(&Frame::text(vec![b'x'; 1000]));
        client.event("message");
        peer.send(&Frame::text("").declared(1001));
        assert_eq!(peer.close_frame(PROMPTLY).0, 1009);
    }

    #[test]
    fn max_fragments() {
        let (_client, mut peer) = Client::connected(json!({"maxFragments": 2}));
        peer.send(&Frame::text("1").not_final());
        for _ in 0..2 {
            peer.send(&Frame::new(0, "more").not_final());
        }
        assert!([1008, 1009].contains(&peer.close_frame(PROMPTLY).0));
    }

    #[test]
    fn max_head_bytes() {
        let listener = Listener::new();
        let options = json!({"url": listener.url(), "maxHeadBytes": 1000, "enableAutomaticReconnection": false});
        let client = Client::start(options);
        Peer::accept_with(&listener.socket, &format!("X: {}\r\n", "x".repeat(1000)));
        assert!(
            client.event("error")["context"]["reason"]
                .as_str()
                .unwrap()
                .contains("1000")
        );
    }

    #[test]
    fn max_headers() {
        let listener = Listener::new();
        let client = Client::start(
            json!({"url": listener.url(), "maxHeaders": 5, "enableAutomaticReconnection": false}),
        );
        Peer::accept_with(&listener.socket, &"X: y\r\n".repeat(6));
        assert!(
            client.event("error")["context"]["reason"]
                .as_str()
                .unwrap()
                .contains('5')
        );
    }

    #[test]
    fn send_queue_bytes() {
        let (client, _peer) = Client::connected(json!({"sendQueueBytes": 65536}));
        client.event("open");
        fill(client.reference);
    }

    #[test]
    fn send_stall_ms() {
        let options = json!({"sendStallMs": 400, "sendQueueBytes": 65536, "enableAutomaticReconnection": false});
        let (client, _peer) = Client::connected(options);
        client.event("open");
        stalls(&client, client.reference);
    }

    #[test]
    fn event_queue_bytes() {
        let (client, mut peer) = Client::connected(json!({"eventQueueBytes": 65536}));
        stops_reading(&mut peer);
        for _ in 0..10 {
            client.event("message");
        }
    }

    #[test]
    fn event_queue_events() {
        let (client, mut peer) = Client::connected(json!({"eventQueueEvents": 10}));
        stops_reading(&mut peer);
        for _ in 0..30 {
            client.event("message");
        }
    }

    #[test]
    fn max_wait_between_reconnection_retries() {
        let client = Client::refused(json!({"maxWaitBetweenReconnectionRetries": 20}));
        for _ in 0..8 {
            assert!(client.wait_time() <= 20);
        }
    }

    #[test]
    fn min_wait_between_reconnection_retries() {
        // A wait is anything up to the limit: one of three is far above the default of 100 ms.
        let slow = || Client::refused(json!({"minWaitBetweenReconnectionRetries": 60_000}));
        let waits: Vec<u64> = (0..3).map(|_| slow().wait_time()).collect();
        assert!(waits.iter().any(|wait| *wait > 100), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 10_000), "{waits:?}");
        let quick = Client::refused(json!({"minWaitBetweenReconnectionRetries": 1}));
        assert!(quick.wait_time() <= 1 && quick.wait_time() <= 2);
    }

    #[test]
    fn max_retries() {
        let limits = json!({"maxRetries": 2, "maxWaitBetweenReconnectionRetries": 5});
        let client = Client::refused(limits);
        assert!(client.wait_time() > 0 && client.wait_time() > 0);
        assert_eq!(client.wait_time(), 0);
    }

    #[test]
    fn on_open() {
        let (_client, mut peer) = Client::connected(json!({"onOpen": ["first", "second"]}));
        assert_eq!(peer.frame().payload, b"first");
        assert_eq!(peer.frame().payload, b"second");
    }

    #[test]
    fn queue_while_disconnected() {
        let send = |client: &Client| unsafe {
            let reference = client.reference;
            wsplug_client_send(
                reference,
                WSPLUG_TEXT,
                c"x".as_ptr().cast(),
                1,
                ptr::null_mut(),
            )
        };
        assert_eq!(send(&Client::refused(json!({}))), WSPLUG_WRONG_STATE);
        let client = Client::refused(json!({"queueWhileDisconnected": 2 * 65}));
        assert_eq!([(); 3].map(|()| send(&client)), [0, 0, WSPLUG_QUEUE_FULL]);
    }

    #[test]
    fn retry_first() {
        assert!(Client::refused(json!({"retryFirst": true})).wait_time() > 0);
        assert_eq!(Client::refused(json!({"retryFirst": false})).wait_time(), 0);
    }
}

/// What a server and a client have in common here: a ref whose events can be listed.
trait Events {
    fn list(&self) -> Vec<Value>;

    /// The next event of this type; what comes before it is passed over.
    fn event(&self, kind: &str) -> Value {
        self.events_until(kind).pop().unwrap()
    }

    fn events_until(&self, kind: &str) -> Vec<Value> {
        let deadline = Instant::now() + 2 * PROMPTLY;
        let mut events = Vec::new();
        while Instant::now() < deadline {
            events.extend(self.list());
            if events
                .last()
                .is_some_and(|event: &Value| event["type"] == kind)
            {
                return events;
            }
        }
        panic!("no {kind} after {events:#?}");
    }
}

struct Server {
    reference: i32,
    port: u16,
    started: Value,
}

impl Server {
    /// A server on a port of the system's choice, unless the options name one.
    fn start(mut options: Value) -> Server {
        options
            .as_object_mut()
            .unwrap()
            .entry("port")
            .or_insert(json!(0));
        let (reference, created) = create(wsplug_server_create, options);
        assert!(created.get("ignoredOptions").is_none(), "{created}");
        let started =
            command(|reply| unsafe { wsplug_server_start(reference, ptr::null(), reply) }).unwrap();
        Server {
            reference,
            port: started["port"].as_u64().unwrap() as u16,
            started,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        unsafe { wsplug_server_clear(self.reference, ptr::null_mut()) };
    }
}

impl Events for Server {
    fn list(&self) -> Vec<Value> {
        let options = text(json!({"max": 1, "timeout": 1}));
        let listed = command(|reply| unsafe {
            wsplug_server_messages(self.reference, options.as_ptr(), reply)
        })
        .unwrap();
        listed.as_array().unwrap().clone()
    }
}

struct Client {
    reference: i32,
    created: Value,
}

impl Client {
    fn new(options: Value) -> Client {
        let (reference, created) = create(wsplug_client_create, options);
        assert!(created.get("ignoredOptions").is_none(), "{created}");
        Client { reference, created }
    }

    fn start(options: Value) -> Client {
        let client = Client::new(options);
        let options = text(json!({"wait": false}));
        command(|reply| unsafe { wsplug_client_start(client.reference, options.as_ptr(), reply) })
            .unwrap();
        client
    }

    /// A client that tries in vain, again and again unless the options say otherwise.
    fn refused(mut options: Value) -> Client {
        let port = Listener::new().port; // Nobody listens there any more.
        let options = options.as_object_mut().unwrap();
        options.insert("url".into(), json!(format!("ws://127.0.0.1:{port}/")));
        options.entry("retryFirst").or_insert(json!(true));
        Client::start(json!(options))
    }

    /// Of its next "error": milliseconds until the next try, 0 if there is none.
    fn wait_time(&self) -> u64 {
        self.event("error")["context"]["wait_time"]
            .as_u64()
            .unwrap()
    }

    /// A client and the raw server that it is connected to.
    fn connected(mut options: Value) -> (Client, Peer) {
        let listener = Listener::new();
        options["url"] = json!(listener.url());
        let client = Client::start(options);
        let peer = Peer::accept(&listener.socket);
        (client, peer)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        unsafe { wsplug_client_clear(self.reference, ptr::null_mut()) };
    }
}

impl Events for Client {
    fn list(&self) -> Vec<Value> {
        let options = text(json!({"max": 1, "timeout": 1}));
        let listed = command(|reply| unsafe {
            wsplug_client_messages(self.reference, options.as_ptr(), reply)
        })
        .unwrap();
        listed.as_array().unwrap().clone()
    }
}

struct Listener {
    socket: TcpListener,
    port: u16,
}

impl Listener {
    fn new() -> Listener {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        Listener { socket, port }
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }

    fn is_called_within(&self, time: Duration) -> bool {
        let mut poll = libc::pollfd {
            fd: std::os::fd::AsRawFd::as_raw_fd(&self.socket),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid pollfd.
        unsafe { libc::poll(&mut poll, 1, time.as_millis() as i32) == 1 }
    }
}

type Create = unsafe extern "system" fn(*const c_char, *mut i32, *mut *mut c_char) -> i32;

/// The new object's ref and the reply.
fn create(function: Create, options: Value) -> (i32, Value) {
    let mut reference = 0;
    let reply = command(|reply| unsafe { function(text(options).as_ptr(), &mut reference, reply) });
    (reference, reply.unwrap_or_else(|reply| panic!("{reply}")))
}

/// The error of a create that must fail with "invalid_options".
fn refused(function: Create, options: Value) -> Value {
    let mut reference = 0;
    let reply = command(|reply| unsafe { function(text(options).as_ptr(), &mut reference, reply) })
        .unwrap_err();
    assert_eq!(reply["error"]["code"], WSPLUG_INVALID_OPTIONS, "{reply}");
    assert_eq!(reference, 0);
    reply["error"].clone()
}

/// Calls a command and returns its reply, as an error if its status is one.
fn command(call: impl FnOnce(*mut *mut c_char) -> i32) -> Result<Value, Value> {
    let mut reply = ptr::null_mut();
    let status = call(&mut reply);
    assert!(!reply.is_null());
    // SAFETY: a reply is a text that ends with NUL, and ours to free.
    let value = unsafe { serde_json::from_slice(CStr::from_ptr(reply).to_bytes()).unwrap() };
    unsafe { wsplug_free(reply) };
    if status >= 0 { Ok(value) } else { Err(value) }
}

fn text(value: Value) -> CString {
    CString::new(value.to_string()).unwrap()
}

unsafe extern "system" fn ignore(
    _server: i32,
    _client: i32,
    _type: *const c_char,
    _context: *const c_char,
    _worker: *const c_char,
    _window: i32,
    _process: i32,
    _user_data: *mut std::ffi::c_void,
) {
}

/// The answer to an upgrade request with these further headers.
fn answer(port: u16, path: &str, headers: &str) -> adversary::Response {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    Peer::http(port, request).expect("an answer")
}

fn send_in_two(peer: &mut Peer) {
    peer.send(&Frame::text("one ").not_final());
    peer.send(&Frame::new(0, "two"));
}

/// Two pings are answered; the third is not, and that ends the connection.
fn pings(host: &impl Events, mut peer: Peer) {
    for turn in 0..3 {
        let Heard::Frame(ping) = peer.hear(PROMPTLY) else {
            panic!("no ping")
        };
        assert_eq!(ping.opcode, PING);
        if turn < 2 {
            peer.send(&Frame::new(PONG, ping.payload));
        }
    }
    let closed = host.event("close");
    assert_eq!(closed["context"]["code"], 1006);
    assert!(
        closed["context"]["reason"]
            .as_str()
            .unwrap()
            .contains("pong"),
        "{closed}"
    );
}

/// Whether pings are answered. A ping that is not shows in the answer to what follows it.
fn pongs(mut peer: Peer, answers: bool) {
    peer.send(&Frame::new(PING, "?"));
    peer.send(&Frame::close(1000, ""));
    let frame = peer.frame();
    assert_eq!(
        frame.opcode == PONG && frame.payload == b"?",
        answers,
        "{frame:?}"
    );
}

/// Sends until the queue is full and stays so because the system takes no more either.
fn fill(client: i32) {
    let data = [0_u8; 16384];
    let deadline = Instant::now() + 2 * PROMPTLY;
    let mut full_since = None;
    while Instant::now() < deadline {
        let (data, length) = (data.as_ptr().cast(), data.len() as i32);
        let sent = command(|reply| unsafe {
            wsplug_client_send(client, WSPLUG_BINARY, data, length, reply)
        });
        match (sent, full_since) {
            (Ok(_), _) => full_since = None,
            (Err(error), None) => {
                assert_eq!(error["error"]["name"], "queue_full", "{error}");
                full_since = Some(Instant::now());
            }
            (Err(_), Some(since)) if since.elapsed() >= Duration::from_millis(200) => return,
            (Err(_), Some(_)) => std::thread::yield_now(),
        }
    }
    panic!("the queue was never full");
}

/// Sends more than the system takes to a peer that does not read, which ends the connection.
fn stalls(host: &impl Events, client: i32) {
    let data = vec![0_u8; 32 << 20];
    let (start, length) = (data.as_ptr().cast(), data.len() as i32);
    command(|reply| unsafe { wsplug_client_send(client, WSPLUG_BINARY, start, length, reply) })
        .unwrap();
    let close = host.event("close");
    assert_eq!(close["context"]["code"], 1006);
}

fn drains(host: &impl Events, mut peer: Peer) {
    let client = host.event("open")["client"].as_i64().unwrap() as i32;
    fill(client);
    std::thread::spawn(move || while matches!(peer.hear(PROMPTLY), Heard::Frame(_)) {});
    assert!(
        host.event("drain")["context"]["bufferedAmount"]
            .as_u64()
            .unwrap()
            < 65536
    );
}

/// Writes messages until the library reads no more.
fn stops_reading(peer: &mut Peer) {
    peer.stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let message = peer.encode(&Frame::new(2, vec![0; 10000]));
    let mut written = 0_usize;
    while std::io::Write::write_all(&mut peer.stream, &message).is_ok() {
        written += message.len();
        assert!(written < 64 << 20, "the library takes everything");
    }
}

/// How many connections the kernel lets wait for the listener on this port of this process.
fn listen_queue(port: u16) -> u32 {
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let fd: i32 = entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        // SAFETY: plain data, written by the kernel, with its size.
        unsafe {
            let mut address: libc::sockaddr_in = std::mem::zeroed();
            let mut size = size_of_val(&address) as libc::socklen_t;
            let found = libc::getsockname(fd, (&raw mut address).cast(), &mut size);
            if found != 0
                || i32::from(address.sin_family) != libc::AF_INET
                || u16::from_be(address.sin_port) != port
            {
                continue;
            }
            // Of a listener, tcpi_sacked is the size of its queue; it is the tenth number after eight single bytes.
            let mut info = [0_u32; 32];
            let mut size = size_of_val(&info) as libc::socklen_t;
            let read = libc::getsockopt(
                fd,
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &mut size,
            );
            const LISTENS: u8 = 10;
            if read == 0 && info[0].to_ne_bytes()[0] == LISTENS {
                return info[2 + 5];
            }
        }
    }
    panic!("nobody listens on {port}");
}
