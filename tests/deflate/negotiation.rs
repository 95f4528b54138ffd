//! Offers and answers that are wrong, odd or many.

use crate::adversary::{Frame, PROMPTLY, Peer, request};
use crate::ask;
use crate::host::{NETWORK, WATCHDOG};
use crate::link::{Side, ask_for, connect, deflate, host, join, serve, with};
use serde_json::json;

#[test]
fn a_server_declines_a_malformed_offer_and_goes_on_without() {
    let host = host();
    let (server, port) = serve(&host, &deflate(json!({"threshold": 0})));
    let mut offers: Vec<String> = vec![
        "permessage-deflate; server_max_window_bits".into(),
        "permessage-deflate; unknown".into(),
        "permessage-deflate; unknown=1".into(),
        "permessage-deflate; __proto__".into(),
        "permessage-deflate; client_max_window_bits; client_max_window_bits".into(),
        "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9".into(),
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9".into(),
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=10".into(),
        "x-webkit-deflate-frame".into(),
        "permessage-deflate-2".into(),
        "permessage".into(),
        "permessage-bzip2; client_max_window_bits".into(),
    ];
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        for value in [
            "0",
            "1",
            "7",
            "16",
            "99",
            "08",
            "010",
            "1e1",
            "0x9",
            "256",
            "18446744073709551624",
            "x",
            "\"16\"",
        ] {
            offers.push(format!("permessage-deflate; {name}={value}"));
        }
        offers.push(format!("permessage-deflate; {name}=-1"));
    }
    for name in ["server_no_context_takeover", "client_no_context_takeover"] {
        for value in ["1", "true", "\"\\a\""] {
            offers.push(format!("permessage-deflate; {name}={value}"));
        }
        offers.push(format!("permessage-deflate; {name}; {name}"));
    }
    for offer in offers {
        let mut link = join(
            &host,
            server,
            port,
            &format!("Sec-WebSocket-Extensions: {offer}\r\n"),
        );
        assert_eq!(link.said, "", "{offer}");
        assert_eq!(link.open["extensions"], "", "{offer}");
        let (_, frame) = link.text_from_host(&host, &"a".repeat(2000));
        assert_eq!((frame.rsv, frame.payload.len()), (0, 2000), "{offer}");
        link.send(&Frame::text("plain"));
        assert_eq!(
            host.event("message", link.client).context("data"),
            "plain",
            "{offer}"
        );
    }
    host.leave();
}

// RFC 6455 § 9.1: what does not conform to the grammar fails the connection.
#[test]
fn a_server_refuses_a_header_that_is_no_list_of_extensions() {
    let host = host();
    let (_, port) = serve(&host, &deflate(json!({})));
    for header in [
        "permessage-deflate; =9",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate;",
        "; x",
        "permessage-deflate; a=\"",
        "permessage-deflate; a=\"9",
        "permessage deflate",
        "permessage-deflate; a b",
        "=",
        "\"permessage-deflate\"",
        "permessage-deflate; server_max_window_bits=\"\"",
        // What is in the quotes must be a token too.
        "x-other; a=\"1, 2; 3\"",
        "permessage-deflate; server_max_window_bits=\"\\\"\"",
    ] {
        let response = Peer::http(
            port,
            request(&format!("Sec-WebSocket-Extensions: {header}\r\n")),
        );
        assert_eq!(response.expect("an answer").status, 400, "{header}");
    }
    host.leave();
}

#[test]
fn a_server_takes_the_first_offer_that_it_can_of_one_header_or_several() {
    let host = host();
    let (server, port) = serve(&host, &deflate(json!({})));
    for (lists, expected) in [
        (
            vec!["permessage-deflate; server_max_window_bits=10, permessage-deflate"],
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            vec![
                "permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=9",
            ],
            "permessage-deflate; server_max_window_bits=9",
        ),
        (
            vec!["x-other; a=\"1\"; b, permessage-deflate"],
            "permessage-deflate",
        ),
        (
            vec!["x-other", "permessage-deflate; server_no_context_takeover"],
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            vec![
                "permessage-deflate; unknown",
                "permessage-deflate; client_max_window_bits=16",
                "permessage-deflate",
            ],
            "permessage-deflate",
        ),
        (
            vec![
                "permessage-deflate; unknown",
                "permessage-deflate; client_max_window_bits=16",
            ],
            "",
        ),
        (vec!["PerMessage-Deflate"], "permessage-deflate"),
        (
            vec!["permessage-deflate; server_max_window_bits=\"12\""],
            "permessage-deflate; server_max_window_bits=12",
        ),
        (
            vec!["permessage-deflate ;server_max_window_bits = 12 ; client_no_context_takeover"],
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=12",
        ),
        (
            vec!["permessage-deflate; client_max_window_bits=15; server_max_window_bits=15"],
            "permessage-deflate; server_max_window_bits=15",
        ),
    ] {
        let lines: String = lists
            .iter()
            .map(|list| format!("Sec-WebSocket-Extensions: {list}\r\n"))
            .collect();
        let link = join(&host, server, port, &lines);
        assert_eq!(link.said, expected, "{lists:?}");
        assert_eq!(link.open["extensions"], expected, "{lists:?}");
    }
    host.leave();
}

// RFC 7692 § 7.1.2.2: the server may use this parameter only if the client has offered it.
#[test]
fn a_server_does_not_tell_a_client_its_window_if_that_was_not_offered() {
    let host = host();
    let link = connect(
        &host,
        Side::Server,
        &deflate(json!({"clientMaxWindowBits": 9})),
        "permessage-deflate",
    );
    assert_eq!(link.said, "permessage-deflate");
    let link = connect(
        &host,
        Side::Server,
        &deflate(json!({"clientMaxWindowBits": 9})),
        "permessage-deflate; client_max_window_bits=8",
    );
    assert_eq!(link.said, "permessage-deflate; client_max_window_bits=8");
    host.leave();
}

#[test]
fn a_client_fails_on_an_answer_that_breaks_its_offer() {
    let host = host();
    let all = json!({"serverNoContextTakeover": true, "serverMaxWindowBits": 10, "clientMaxWindowBits": 11});
    let good = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10";
    let mut table = vec![
        // Members, answer, and what the error names.
        (json!({}), "x-other".to_owned(), "x-other"),
        (
            json!({}),
            "permessage-deflate-2".to_owned(),
            "permessage-deflate-2",
        ),
        (
            json!({}),
            "permessage-deflate, permessage-deflate".to_owned(),
            "permessage-deflate",
        ),
        (
            json!({}),
            "permessage-deflate, x-other".to_owned(),
            "x-other",
        ),
        (
            json!({}),
            "permessage-deflate; unknown".to_owned(),
            "unknown",
        ),
        (
            json!({}),
            "permessage-deflate; server_max_window_bits".to_owned(),
            "server_max_window_bits",
        ),
        (
            json!({}),
            "permessage-deflate; client_max_window_bits".to_owned(),
            "client_max_window_bits",
        ),
        (json!({}), "permessage-deflate;".to_owned(), "extensions"),
        (
            json!({}),
            "permessage-deflate; a=\"".to_owned(),
            "extensions",
        ),
        (json!({}), "permessage-deflate; =".to_owned(), "extensions"),
        (
            all.clone(),
            "permessage-deflate".to_owned(),
            "server_no_context_takeover",
        ),
        (
            all.clone(),
            "permessage-deflate; server_max_window_bits=10".to_owned(),
            "server_no_context_takeover",
        ),
        (
            all.clone(),
            "permessage-deflate; server_no_context_takeover".to_owned(),
            "server_max_window_bits",
        ),
        (
            all.clone(),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11".to_owned(),
            "server_max_window_bits",
        ),
        (
            all.clone(),
            format!("{good}; client_max_window_bits=12"),
            "client_max_window_bits",
        ),
        (
            all.clone(),
            format!("{good}; server_no_context_takeover"),
            "server_no_context_takeover",
        ),
        (
            all.clone(),
            format!("{good}; server_max_window_bits=10"),
            "server_max_window_bits",
        ),
    ];
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        for value in [
            "0",
            "1",
            "7",
            "16",
            "08",
            "010",
            "-1",
            "+9",
            "9.0",
            "0x9",
            "x",
            "256",
            "\"16\"",
            "\"08\"",
            "99999999999999999999",
        ] {
            table.push((
                json!({}),
                format!("permessage-deflate; {name}={value}"),
                name,
            ));
        }
        table.push((
            json!({}),
            format!("permessage-deflate; {name}=9; {name}=9"),
            name,
        ));
    }
    for name in ["server_no_context_takeover", "client_no_context_takeover"] {
        for value in ["1", "true", "\"x\""] {
            let answer = format!("permessage-deflate; {name}={value}");
            table.push((json!({}), answer, name));
        }
        table.push((
            json!({}),
            format!("permessage-deflate; {name}; {name}"),
            name,
        ));
    }
    let mut cases: Vec<_> = table
        .into_iter()
        .map(|(members, answer, named)| (deflate(members), answer, named))
        .collect();
    cases.push((json!({}), "permessage-deflate".into(), "permessage-deflate"));
    cases.push((
        json!({"disablePerMessageDeflate": true}),
        "permessage-deflate".into(),
        "permessage-deflate",
    ));
    for (options, answer, named) in cases {
        let (peer, client, offer, starting) = ask_for(&host, &options);
        let mut peer = peer.answered(&format!("Sec-WebSocket-Extensions: {answer}\r\n"));
        let what = format!("{offer:?} answered with {answer:?}");
        let reply = host.reply(&starting, WATCHDOG);
        assert_eq!(reply.status, NETWORK, "{what}: {}", reply.body);
        assert_eq!(
            (&reply.body["success"], &reply.body["http_status"]),
            (&json!(false), &json!(101)),
            "{what}: {}",
            reply.body
        );
        let text = reply.body["errorStr"].as_str().unwrap();
        assert!(
            text.to_lowercase().contains(named),
            "{what}: no {named} in {text:?}"
        );
        assert!(peer.ends(PROMPTLY), "{what}: the connection goes on");
        assert_eq!(host.take(|event| event.is("open")), [], "{what}");
        ask!(host, "client_clear", client).ok();
    }
    host.leave();
}

/// As long as a head may be; a parser that looks back at what it has read would take seconds.
#[test]
fn a_list_as_long_as_the_head_may_be_is_read_at_once() {
    let host = host();
    let (server, port) = serve(&host, &deflate(json!({})));
    let room = 15 * 1024;
    let repeated =
        |part: &str, behind: &str| part.repeat((room - behind.len()) / part.len()) + behind;
    let before = host.cpu();
    for (offer, expected) in [
        (
            repeated("permessage-deflate; unknown, ", "permessage-deflate"),
            "permessage-deflate",
        ),
        (repeated("x, ", "permessage-deflate"), "permessage-deflate"),
        (
            repeated("permessage-deflate; server_max_window_bits=7, ", "x"),
            "",
        ),
        (
            format!("permessage-deflate{}", repeated("; unknown=1", "")),
            "",
        ),
        (
            format!(
                "permessage-deflate{}",
                repeated("; client_no_context_takeover", "")
            ),
            "",
        ),
        (
            format!("permessage-deflate; a=\"{}\"", "a".repeat(room)),
            "",
        ),
        (repeated(", ", "permessage-deflate"), "permessage-deflate"),
    ] {
        let lines = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let link = join(&host, server, port, &lines);
        assert_eq!(link.said, expected, "{}", &offer[..60]);
    }
    for answer in [
        repeated("permessage-deflate; unknown, ", "permessage-deflate"),
        format!(
            "permessage-deflate{}",
            repeated("; client_no_context_takeover", "")
        ),
        format!("permessage-deflate; a=\"{}\"", "a".repeat(room)),
    ] {
        let (peer, client, _, starting) = ask_for(&host, &deflate(json!({})));
        let mut peer = peer.answered(&format!("Sec-WebSocket-Extensions: {answer}\r\n"));
        let reply = host.reply(&starting, WATCHDOG);
        assert_eq!(reply.status, NETWORK, "{}", &answer[..60]);
        assert!(peer.ends(PROMPTLY));
        ask!(host, "client_clear", client).ok();
    }
    let cost = host.cpu() - before;
    assert!(cost < std::time::Duration::from_millis(500), "{cost:?}");
    host.leave();
}

#[test]
fn the_error_event_of_a_start_that_nobody_waits_for_says_the_same() {
    let host = host();
    let listener = crate::adversary::listener();
    let options = with(
        deflate(json!({})),
        &json!({"url": crate::adversary::url(&listener), "enableAutomaticReconnection": false}),
    );
    let client = ask!(host, "client_create", options).ok().reference;
    ask!(host, "client_start", client, json!({"wait": false})).ok();
    let mut peer = Peer::accept_with(
        &listener,
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7\r\n",
    );
    let event = host.event("error", client);
    assert_eq!(*event.context("http_status"), 101, "{event:?}");
    assert!(
        event.reason().contains("server_max_window_bits=7"),
        "{event:?}"
    );
    assert_eq!(*event.context("decompressionError"), false, "{event:?}");
    assert!(peer.ends(PROMPTLY));
    host.leave();
}

#[test]
fn a_client_takes_every_answer_that_keeps_its_offer() {
    let host = host();
    for (members, answer) in [
        (json!({}), ""),
        (json!({}), "permessage-deflate"),
        (json!({}), "permessage-deflate; server_max_window_bits=8"),
        (
            json!({}),
            "permessage-deflate; server_max_window_bits=\"9\"; client_max_window_bits=8",
        ),
        (
            json!({}),
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        ),
        (
            json!({"clientMaxWindowBits": 9}),
            "permessage-deflate; client_max_window_bits=9",
        ),
        (
            json!({"serverMaxWindowBits": 9, "serverNoContextTakeover": true}),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8",
        ),
    ] {
        let mut link = connect(&host, Side::Client, &deflate(members.clone()), answer);
        assert_eq!(link.open["extensions"], answer, "{members}");
        assert_eq!(link.started["extensions"], answer, "{members}");
        let (_, frame) = link.text_from_host(&host, &"a".repeat(3000));
        assert_eq!(
            frame.rsv,
            if answer.is_empty() { 0 } else { 4 },
            "{members}"
        );
        ask!(host, "client_stop", link.client, json!({"wait": false})).ok();
    }
    host.leave();
}
