//! Every member of the option and its effect on the wire.

use crate::adversary::Frame;
use crate::ask;
use crate::host::{INVALID_OPTIONS, WATCHDOG};
use crate::link::{
    OPEN_OFFER, SIDES, Side, connect, deflate, host, noisy_text, parameters, records, serve, with,
};
use crate::zlib::Zlib;
use serde_json::json;

#[test]
fn each_member_is_in_a_clients_offer_as_rfc_7692_has_it() {
    let host = host();
    let table = [
        (json!({}), vec!["client_max_window_bits"]),
        (
            json!({"clientNoContextTakeover": true}),
            vec!["client_max_window_bits", "client_no_context_takeover"],
        ),
        (
            json!({"serverNoContextTakeover": true}),
            vec!["client_max_window_bits", "server_no_context_takeover"],
        ),
        (
            json!({"clientMaxWindowBits": 8}),
            vec!["client_max_window_bits=8"],
        ),
        (
            json!({"clientMaxWindowBits": 14}),
            vec!["client_max_window_bits=14"],
        ),
        (
            json!({"serverMaxWindowBits": 8}),
            vec!["client_max_window_bits", "server_max_window_bits=8"],
        ),
        (
            json!({"serverMaxWindowBits": 14}),
            vec!["client_max_window_bits", "server_max_window_bits=14"],
        ),
        (
            json!({"threshold": 5, "level": 9, "memLevel": 1}),
            vec!["client_max_window_bits"],
        ),
    ];
    for (members, expected) in table {
        // An answer that agrees to whatever was asked.
        let mut answer = "permessage-deflate".to_owned();
        for parameter in &expected {
            if parameter.starts_with("server_") {
                answer += &format!("; {parameter}");
            }
        }
        let link = connect(&host, Side::Client, &deflate(members.clone()), &answer);
        assert_eq!(parameters(&link.said), expected, "{members}");
        assert_eq!(link.open["extensions"], answer, "{members}");
        assert_eq!(link.started["extensions"], answer, "{members}");
        let info = ask!(host, "client_info", link.client).ok().body;
        assert_eq!(info["extensions"], answer, "{info}");
    }
    host.leave();
}

#[test]
fn each_member_is_in_a_servers_answer_as_rfc_7692_has_it() {
    let host = host();
    let table = [
        (json!({}), vec![]),
        (
            json!({"clientNoContextTakeover": true}),
            vec!["client_no_context_takeover"],
        ),
        (
            json!({"serverNoContextTakeover": true}),
            vec!["server_no_context_takeover"],
        ),
        (
            json!({"clientMaxWindowBits": 8}),
            vec!["client_max_window_bits=8"],
        ),
        (
            json!({"clientMaxWindowBits": 14}),
            vec!["client_max_window_bits=14"],
        ),
        (
            json!({"serverMaxWindowBits": 8}),
            vec!["server_max_window_bits=8"],
        ),
        (
            json!({"serverMaxWindowBits": 14}),
            vec!["server_max_window_bits=14"],
        ),
        (json!({"threshold": 5, "level": 9, "memLevel": 1}), vec![]),
    ];
    for (members, expected) in table {
        let link = connect(&host, Side::Server, &deflate(members.clone()), OPEN_OFFER);
        assert_eq!(parameters(&link.said), expected, "{members}");
        assert_eq!(link.open["extensions"], link.said, "{members}");
        let info = ask!(host, "client_info", link.client).ok().body;
        assert_eq!(info["extensions"], link.said, "{info}");
    }
    host.leave();
}

#[test]
fn a_client_and_a_server_of_the_library_agree_and_all_say_the_same() {
    let host = host();
    for (servers, clients, expected) in [
        (json!({}), json!({}), vec![]),
        (
            json!({"serverMaxWindowBits": 10}),
            json!({"serverMaxWindowBits": 12}),
            vec!["server_max_window_bits=10"],
        ),
        (
            json!({"serverMaxWindowBits": 12}),
            json!({"serverMaxWindowBits": 10}),
            vec!["server_max_window_bits=10"],
        ),
        (
            json!({"clientMaxWindowBits": 9}),
            json!({"clientMaxWindowBits": 11}),
            vec!["client_max_window_bits=9"],
        ),
        (
            json!({"clientMaxWindowBits": 11}),
            json!({"clientMaxWindowBits": 9}),
            vec!["client_max_window_bits=9"],
        ),
        (
            json!({"serverNoContextTakeover": true, "serverMaxWindowBits": 8}),
            json!({"clientNoContextTakeover": true, "clientMaxWindowBits": 8}),
            vec![
                "client_max_window_bits=8",
                "client_no_context_takeover",
                "server_max_window_bits=8",
                "server_no_context_takeover",
            ],
        ),
    ] {
        let (server, port) = serve(&host, &with(deflate(servers), &json!({"method": "echo"})));
        let url = format!("ws://127.0.0.1:{port}/");
        let options = with(
            deflate(clients),
            &json!({"url": url, "enableAutomaticReconnection": false}),
        );
        let client = ask!(host, "client_create", options).ok().reference;
        let started = ask!(host, "client_start", client, "{}").ok().body;
        let own = host.event("open", client);
        let agreed = started["extensions"].as_str().unwrap();
        assert_eq!(parameters(agreed), expected);
        assert_eq!(own.context("extensions"), agreed);
        // Each side can read what the other compresses, more than once.
        for round in 0..3 {
            let text = records(5000 + round);
            let sent = ask!(host, "client_send", client, 1, format!("={text}"))
                .ok()
                .body;
            assert!(
                sent["wireSize"].as_u64() < sent["payloadSize"].as_u64(),
                "{sent}"
            );
            let echo = host.event("message", client);
            assert_eq!(echo.context("data"), &text[..], "{agreed}");
            assert!(echo.context("wireSize").as_u64() < Some(5000), "{agreed}");
        }
        ask!(host, "client_clear", client).ok();
        ask!(host, "server_clear", server).ok();
    }
    // Where the host's own events are asked for, the server's "open" says the same.
    let (server, port) = serve(&host, &deflate(json!({"serverMaxWindowBits": 9})));
    let options = with(
        deflate(json!({})),
        &json!({"url": format!("ws://127.0.0.1:{port}/")}),
    );
    let client = ask!(host, "client_create", options).ok().reference;
    let started = ask!(host, "client_start", client, "{}").ok().body;
    let theirs = host.server_event("open", server);
    assert_eq!(theirs.context("extensions"), &started["extensions"]);
    assert_eq!(
        started["extensions"],
        "permessage-deflate; server_max_window_bits=9"
    );
    host.leave();
}

/// The options under which what the library sends has a window of so many bits, and the peer's word to it.
fn own_window(side: Side, bits: u8) -> (serde_json::Value, &'static str) {
    match side {
        Side::Server => (
            json!({"serverMaxWindowBits": bits, "threshold": 0}),
            OPEN_OFFER,
        ),
        Side::Client => (
            json!({"clientMaxWindowBits": bits, "threshold": 0}),
            "permessage-deflate",
        ),
    }
}

/// Repeats itself at many distances from 3 to `most`.
fn repetitive(most: usize) -> String {
    let mut text = noisy_text(most, 5);
    for (turn, distance) in (3..=most).step_by(most / 40 + 1).enumerate() {
        let start = text.len() - distance;
        text.extend_from_within_of(start, distance.min(40));
        text += &noisy_text(2, turn as u64);
    }
    text
}

trait ExtendFromWithin {
    fn extend_from_within_of(&mut self, start: usize, length: usize);
}

impl ExtendFromWithin for String {
    fn extend_from_within_of(&mut self, start: usize, length: usize) {
        let part = self[start..start + length].to_owned();
        self.push_str(&part);
    }
}

#[test]
fn a_strict_inflater_of_the_agreed_window_can_read_what_is_sent() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        for bits in 8..=15 {
            for level in 0..=9_usize {
                let memory = [8, 1, 2, 3, 4, 5, 6, 7, 9, 1][level];
                let (members, header) = own_window(side, bits);
                let members = with(members, &json!({"level": level, "memLevel": memory}));
                let mut link = connect(&host, side, &deflate(members), header);
                let inflater = zlib.strict_inflater(bits);
                // The later ones refer to the earlier ones.
                for text in [
                    repetitive(300),
                    repetitive(1 << bits),
                    repetitive(300),
                    records(3000),
                    repetitive(700),
                ] {
                    let (reply, frame) = link.text_from_host(&host, &text);
                    assert_eq!(frame.rsv, 4);
                    assert_eq!(reply["wireSize"], frame.payload.len());
                    let inflated = zlib.inflate(inflater, &frame.payload);
                    let inflated = inflated.unwrap_or_else(|error| {
                        panic!(
                            "{side:?}, {bits} bits, level {level}, {} bytes: {error}",
                            text.len()
                        )
                    });
                    assert!(
                        inflated == text.as_bytes(),
                        "{side:?}, {bits} bits, level {level}"
                    );
                }
                ask!(host, "client_stop", link.client, json!({"wait": false})).ok();
            }
        }
    }
    host.leave();
}

/// Where zlib's windows end, and where a peer's would.
#[test]
fn no_match_reaches_over_the_edge_of_the_window() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        for bits in 8..=15 {
            let window = 1_usize << bits;
            let mut edges: Vec<_> = [263, 262, 261, 259, 258, 257, 2, 1, 0]
                .iter()
                .filter_map(|below| window.checked_sub(*below))
                .chain([1, 3, 250, 255, 256, 257, 511, 512, 513, window + 1])
                .filter(|distance| *distance > 0)
                .collect();
            edges.sort_unstable();
            edges.dedup();
            // The same twelve characters again at exactly each distance; nothing else comes twice.
            let mut text = String::new();
            for (turn, distance) in edges.iter().enumerate() {
                let once = noisy_text(12.min(*distance), turn as u64 + 100);
                let between = distance - once.len();
                text += &format!("{once}{}{once}", noisy_text(between, turn as u64 + 1000));
            }
            for level in [1, 4, 9] {
                let (members, header) = own_window(side, bits);
                let members = with(members, &json!({"level": level}));
                let mut link = connect(&host, side, &deflate(members), header);
                let inflater = zlib.strict_inflater(bits);
                for turn in 0..2 {
                    let (_, frame) = link.text_from_host(&host, &text);
                    let inflated = zlib.inflate(inflater, &frame.payload);
                    assert!(
                        inflated.as_deref() == Ok(text.as_bytes()),
                        "{side:?}, {bits} bits, level {level}, turn {turn}: {:?}",
                        inflated.err()
                    );
                }
                ask!(host, "client_stop", link.client, json!({"wait": false})).ok();
            }
        }
    }
    host.leave();
}

#[test]
fn the_agreed_window_is_used_to_its_full_extent() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        for bits in 10..=15_u8 {
            let (members, header) = own_window(side, bits);
            let mut link = connect(&host, side, &deflate(members), header);
            // Comes again at a distance that only this window has.
            let once = noisy_text((1 << (bits - 1)) + 100, u64::from(bits));
            let (_, frame) = link.text_from_host(&host, &format!("{once}{once}"));
            assert!(
                frame.payload.len() < once.len() * 9 / 10,
                "{side:?}, {bits} bits: {} bytes",
                frame.payload.len()
            );
            let narrower = zlib.strict_inflater(bits - 1);
            assert!(
                zlib.inflate(narrower, &frame.payload).is_err(),
                "{side:?}, {bits} bits"
            );
        }
    }
    host.leave();
}

#[test]
fn a_peer_may_use_the_whole_window_that_was_agreed_for_it() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        // C zlib itself has no raw window of 8 bits to compress with.
        for bits in 9..=15_u8 {
            let (members, header) = match side {
                Side::Server => (json!({"clientMaxWindowBits": bits}), OPEN_OFFER.to_owned()),
                Side::Client => (
                    json!({"serverMaxWindowBits": bits}),
                    match bits {
                        15 => "permessage-deflate".to_owned(),
                        _ => format!("permessage-deflate; server_max_window_bits={bits}"),
                    },
                ),
            };
            let mut link = connect(&host, side, &deflate(members), &header);
            let deflater = zlib.deflater_with(bits, 9, 9);
            for text in [
                repetitive((1 << bits) - 262),
                records(40_000),
                repetitive(200),
            ] {
                let payload = zlib.deflate(deflater, text.as_bytes());
                link.send(&Frame::text(&payload).rsv(4));
                let message = host.event("message", link.client);
                assert_eq!(message.context("data"), &text[..], "{side:?}, {bits} bits");
                assert_eq!(*message.context("wireSize"), payload.len());
            }
        }
    }
    host.leave();
}

/// Connects with takeover or without, by either side's word; in the direction of what the library sends.
fn takeover_links(side: Side) -> [(bool, serde_json::Value, &'static str); 4] {
    let (own, peers) = match side {
        Side::Server => ("serverNoContextTakeover", "clientNoContextTakeover"),
        Side::Client => ("clientNoContextTakeover", "serverNoContextTakeover"),
    };
    let asked = match side {
        Side::Server => "permessage-deflate; server_no_context_takeover",
        Side::Client => "permessage-deflate; client_no_context_takeover",
    };
    let plain = "permessage-deflate";
    let granted = match side {
        Side::Server => plain,
        Side::Client => "permessage-deflate; server_no_context_takeover",
    };
    [
        (true, json!({}), plain),
        // The other direction's takeover does not matter.
        (true, json!({peers: true}), granted),
        (false, json!({own: true}), plain),
        (false, json!({}), asked),
    ]
}

#[test]
fn with_takeover_a_message_refers_to_the_one_before_and_without_it_stands_alone() {
    let (host, mut zlib) = (host(), Zlib::new());
    let text = noisy_text(6000, 1);
    for side in SIDES {
        for (takes_over, members, header) in takeover_links(side) {
            let what = format!("{side:?}, {members}, {header}");
            let mut link = connect(&host, side, &deflate(members), header);
            let (_, first) = link.text_from_host(&host, &text);
            let (_, second) = link.text_from_host(&host, &text);
            assert_eq!((first.rsv, second.rsv), (4, 4), "{what}");
            let fresh = zlib.inflater();
            if takes_over {
                assert!(
                    second.payload.len() * 20 < first.payload.len(),
                    "{what}: {}",
                    second.payload.len()
                );
                assert!(zlib.inflate(fresh, &second.payload).is_err(), "{what}");
                let kept = zlib.inflater();
                for frame in [first, second] {
                    assert_eq!(
                        zlib.inflate(kept, &frame.payload).as_deref(),
                        Ok(text.as_bytes()),
                        "{what}"
                    );
                }
            } else {
                assert_eq!(second.payload.len(), first.payload.len(), "{what}");
                assert_eq!(
                    zlib.inflate(fresh, &second.payload).as_deref(),
                    Ok(text.as_bytes()),
                    "{what}"
                );
            }
        }
    }
    host.leave();
}

#[test]
fn messages_below_the_threshold_are_sent_as_they_are() {
    let host = host();
    for side in SIDES {
        for (members, threshold) in [
            (json!({}), 1024),
            (json!({"threshold": 100}), 100),
            (json!({"threshold": 0}), 0),
        ] {
            let mut link = connect(&host, side, &deflate(members), "permessage-deflate");
            if threshold > 0 {
                let below = "a".repeat(threshold - 1);
                let (reply, frame) = link.text_from_host(&host, &below);
                assert_eq!((frame.rsv, &frame.payload[..]), (0, below.as_bytes()));
                assert_eq!(
                    (&reply["wireSize"], &reply["payloadSize"]),
                    (&json!(below.len()), &json!(below.len()))
                );
            }
            let (reply, frame) = link.text_from_host(&host, &"a".repeat(threshold));
            assert_eq!(frame.rsv, 4, "{side:?}, threshold {threshold}");
            assert_eq!(reply["payloadSize"], threshold);
            assert_eq!(reply["wireSize"], frame.payload.len());
        }
    }
    host.leave();
}

#[test]
fn level_and_mem_level_have_their_effect_on_what_is_sent() {
    let (host, mut zlib) = (host(), Zlib::new());
    let text = records(60_000);
    for side in SIDES {
        let mut length_of = |members: serde_json::Value| {
            let mut link = connect(&host, side, &deflate(members.clone()), "permessage-deflate");
            let (_, frame) = link.text_from_host(&host, &text);
            assert_eq!(frame.rsv, 4, "{members}");
            let inflater = zlib.inflater();
            assert_eq!(
                zlib.inflate(inflater, &frame.payload).as_deref(),
                Ok(text.as_bytes()),
                "{members}"
            );
            frame.payload.len()
        };
        let levels: Vec<_> = (0..=9)
            .map(|level| length_of(json!({"level": level})))
            .collect();
        assert!(
            (60_000..60_100).contains(&levels[0]),
            "level 0 stores: {levels:?}"
        );
        assert!(
            levels[1] < 30_000 && levels[9] < levels[1] && levels[6] < levels[1],
            "{levels:?}"
        );
        assert_eq!(
            length_of(json!({})),
            length_of(json!({"level": 4, "memLevel": 5})),
            "the defaults"
        );
        let memory: Vec<_> = (1..=9)
            .map(|memory| length_of(json!({"memLevel": memory})))
            .collect();
        assert!(memory[0] > memory[7], "{memory:?}");
        assert_eq!(memory[4], levels[4], "5 is the default");
    }
    host.leave();
}

#[test]
fn compression_that_is_off_is_neither_offered_nor_accepted() {
    let host = host();
    for off in [
        json!({"disablePerMessageDeflate": true}),
        json!({"perMessageDeflate": {"enabled": false}}),
    ] {
        let mut server = connect(&host, Side::Server, &off, OPEN_OFFER);
        let mut client = connect(&host, Side::Client, &off, "");
        for link in [&mut server, &mut client] {
            assert_eq!(link.said, "", "{off}");
            assert_eq!(link.open["extensions"], "", "{off}");
            let (reply, frame) = link.text_from_host(&host, &"a".repeat(5000));
            assert_eq!((frame.rsv, frame.payload.len()), (0, 5000), "{off}");
            assert_eq!(
                (&reply["wireSize"], &reply["payloadSize"]),
                (&json!(5000), &json!(5000))
            );
        }
    }
    // By default a server accepts, and a client does not offer.
    assert_eq!(
        connect(&host, Side::Server, &json!({}), OPEN_OFFER).said,
        "permessage-deflate"
    );
    assert_eq!(connect(&host, Side::Client, &json!({}), "").said, "");
    let again = json!({"disablePerMessageDeflate": false});
    assert_eq!(
        connect(&host, Side::Server, &again, OPEN_OFFER).said,
        "permessage-deflate"
    );
    host.leave();
}

#[test]
fn what_a_member_may_not_be_is_an_error_that_names_it_and_its_range() {
    let host = host();
    let table = [
        (
            json!({"clientMaxWindowBits": 7}),
            vec!["clientMaxWindowBits", "8", "15", "7"],
        ),
        (
            json!({"clientMaxWindowBits": 16}),
            vec!["clientMaxWindowBits", "8", "15", "16"],
        ),
        (
            json!({"serverMaxWindowBits": 0}),
            vec!["serverMaxWindowBits", "8", "15", "0"],
        ),
        (
            json!({"serverMaxWindowBits": -1}),
            vec!["serverMaxWindowBits", "8", "15", "-1"],
        ),
        (
            json!({"serverMaxWindowBits": 9.5}),
            vec!["serverMaxWindowBits", "9.5"],
        ),
        (
            json!({"serverMaxWindowBits": "9"}),
            vec!["serverMaxWindowBits"],
        ),
        (json!({"level": 10}), vec!["level", "0", "9", "10"]),
        (json!({"level": -1}), vec!["level", "0", "9", "-1"]),
        (json!({"memLevel": 0}), vec!["memLevel", "1", "9", "0"]),
        (json!({"memLevel": 10}), vec!["memLevel", "1", "9", "10"]),
        (json!({"threshold": -1}), vec!["threshold", "0", "-1"]),
        (
            json!({"threshold": 2_147_483_648_u64}),
            vec!["threshold", "2147483648"],
        ),
        (json!({"enabled": 1}), vec!["enabled", "true"]),
        (
            json!({"clientNoContextTakeover": "yes"}),
            vec!["clientNoContextTakeover", "true"],
        ),
        (
            json!({"serverNoContextTakeover": []}),
            vec!["serverNoContextTakeover", "true"],
        ),
        (json!(true), vec!["perMessageDeflate", "object"]),
        (json!("on"), vec!["perMessageDeflate", "object"]),
        (json!([]), vec!["perMessageDeflate", "object"]),
    ];
    let (server, _) = serve(&host, &json!({}));
    for (value, parts) in &table {
        let options = json!({"perMessageDeflate": value});
        let fails = |reply: crate::host::Reply| {
            let reply = reply.fails(INVALID_OPTIONS, parts);
            assert_eq!(
                reply.body["error"]["option"], "perMessageDeflate",
                "{options}"
            );
        };
        fails(ask!(host, "server_create", options));
        fails(ask!(host, "client_create", options));
        fails(ask!(host, "server_stop", server, options));
    }
    for options in [
        json!({"perMessageDeflate": {}, "disablePerMessageDeflate": true}),
        json!({"perMessageDeflate": {"enabled": true}, "disablePerMessageDeflate": false}),
        json!({"perMessageDeflate": {"enabled": false}, "disablePerMessageDeflate": true}),
    ] {
        for create in ["server_create", "client_create"] {
            ask!(host, create, options).fails(
                INVALID_OPTIONS,
                &["perMessageDeflate", "disablePerMessageDeflate"],
            );
        }
    }
    host.leave();
}

#[test]
fn an_unknown_member_is_named_in_ignored_options_and_the_rest_is_shown() {
    let host = host();
    for create in ["server_create", "client_create"] {
        let options = deflate(json!({"serverMaxWindowBit": 9, "level": 3, "compressionLevel": 1}));
        let reply = ask!(host, create, options).ok().body;
        let ignored = reply["ignoredOptions"].as_array().unwrap();
        let names: Vec<_> = ignored
            .iter()
            .map(|one| one["option"].as_str().unwrap())
            .collect();
        assert_eq!(names.len(), 2, "{reply}");
        assert!(
            names.contains(&"perMessageDeflate.serverMaxWindowBit"),
            "{reply}"
        );
        assert!(
            names.contains(&"perMessageDeflate.compressionLevel"),
            "{reply}"
        );
        let near = ignored
            .iter()
            .find(|one| one["option"] == "perMessageDeflate.serverMaxWindowBit")
            .unwrap();
        assert_eq!(near["didYouMean"], "serverMaxWindowBits");
        assert_eq!(
            reply["perMessageDeflate"],
            json!({"enabled": true, "clientNoContextTakeover": false, "serverNoContextTakeover": false,
                "serverMaxWindowBits": 15, "clientMaxWindowBits": 15, "threshold": 1024, "level": 3, "memLevel": 5})
        );
    }
    host.leave();
}

#[test]
fn options_given_at_start_hold_from_then_on() {
    let host = host();
    let (server, port) = serve(&host, &json!({"disablePerMessageDeflate": true}));
    let join = |port| {
        crate::link::join(
            &host,
            server,
            port,
            &format!("Sec-WebSocket-Extensions: {OPEN_OFFER}\r\n"),
        )
    };
    assert_eq!(join(port).said, "");
    ask!(host, "server_stop", server, "{}").ok();
    let options = with(
        deflate(json!({"serverMaxWindowBits": 10})),
        &json!({"port": 0}),
    );
    let port = ask!(host, "server_start", server, options).ok().body["port"]
        .as_u64()
        .unwrap();
    assert_eq!(
        join(port as u16).said,
        "permessage-deflate; server_max_window_bits=10"
    );
    host.wait_for("close", WATCHDOG, |event| event.is("close"));
    host.leave();
}
