//! Large files: what they cost, and what becomes of them where a client, the file or the server goes away.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::adversary::{PROMPTLY, Peer};
use crate::host::{WATCHDOG, soon};
use crate::scene::{MIB, Scene, Server, scaled};
use crate::{Site, head, next};

/// A file with nothing in it that takes no room on the disk.
fn sparse(site: &Site, bytes: u64) {
    site.write("www/large", b"");
    let file = File::options().write(true).open(site.path("www/large"));
    file.unwrap().set_len(bytes).unwrap();
    site.age("www/large", 3600);
}

/// A client that has the head of the answer and takes no more than its socket does by itself.
fn waiting(server: Server) -> Peer {
    let mut peer = Peer::tcp_with_little_room(server.port);
    peer.send_bytes(head("GET", "/large", "").as_bytes());
    assert_eq!(peer.response_head(PROMPTLY).unwrap().status, 200);
    peer
}

/// How much comes until the end.
fn rest(peer: &mut Peer) -> u64 {
    peer.stream.set_read_timeout(Some(PROMPTLY)).unwrap();
    let (mut bytes, mut total) = (vec![0; 1 << 20], 0);
    while let Ok(count @ 1..) = peer.stream.read(&mut bytes) {
        total += count as u64;
    }
    total
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let (scene, site) = (Scene::new(), Site::new());
    let size = scaled(256, 2048) * MIB;
    sparse(&site, size);
    let server = scene.server(site.at_root(json!({})));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut peer = Peer::tcp(server.port);
                peer.send_bytes(head("GET", "/large", "Connection: close\r\n").as_bytes());
                let answer = peer.response_head(PROMPTLY).unwrap();
                assert_eq!(answer.header("content-length"), Some(&*size.to_string()));
                // What has come with the head counts too.
                let before = peer.swallow(0) as u64;
                before + rest(&mut peer)
            })
        })
        .collect();
    for client in clients {
        let came = client.join().unwrap();
        assert!(size - came < 65536, "{came} of {size}");
    }
    // Many that take nothing cost their sockets and a piece each.
    let mut many: Vec<Peer> = (0..50).map(|_| waiting(server)).collect();
    scene.still_beats();
    assert!(scene.growth() < 16 * MIB, "{}", scene.growth());
    many.clear();
    scene.finish();
}

#[test]
fn who_takes_something_is_waited_for_and_who_takes_nothing_is_not() {
    let (scene, site) = (Scene::new(), Site::new());
    sparse(&site, 64 * MIB);
    let stall = Duration::from_secs(3);
    let options = json!({"handshakeTimeoutMs": 2000, "sendStallMs": stall.as_millis() as u64});
    let server = scene.server(site.at_root(options));
    crate::ask!(scene.host, "log", 4).ok();
    let began = Instant::now();
    let mut silent = waiting(server);
    let mut slow = waiting(server);
    // Longer than any deadline but its own; what is taken makes room for more. What the system still takes for the silent
    // one at first gives it a second stall.
    while began.elapsed() < 3 * stall {
        assert!(slow.swallow(65536) > 0);
        std::thread::sleep(Duration::from_millis(20));
    }
    let came = rest(&mut silent);
    assert!(came < MIB, "{came} came to who took nothing");
    assert!(slow.swallow(65536) > 0);
    scene.host.wait_for("a line of the log", WATCHDOG, |event| {
        event.is("log") && event.log_line().contains("not sent whole")
    });
    scene.finish();
}

#[test]
fn a_file_that_becomes_shorter_is_never_taken_for_whole() {
    let (scene, site) = (Scene::new(), Site::new());
    sparse(&site, 64 * MIB);
    let server = scene.server(site.at_root(json!({})));
    let mut peer = waiting(server);
    File::create(site.path("www/large")).unwrap();
    let came = rest(&mut peer);
    assert!(came < 32 * MIB, "{came}");
    // The next one gets it as it is.
    let mut after = Peer::tcp(server.port);
    assert_eq!(
        next(&mut after, "/large").header("content-length"),
        Some("0")
    );
    scene.finish();
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    let (scene, site) = (Scene::new(), Site::new());
    sparse(&site, 64 * MIB);
    let server = scene.server(site.at_root(json!({})));
    for at in 0..200 {
        let peer = waiting(server);
        match at % 2 {
            0 => peer.reset(),
            _ => drop(peer),
        }
    }
    let info = || {
        crate::ask!(scene.host, "server_info", server.reference)
            .ok()
            .body
    };
    assert!(soon(PROMPTLY, || info()["httpConnections"] == 0));
    // The listener is all that there is more.
    assert!(soon(PROMPTLY, || scene.host.fds() <= scene.ready().fds + 1));
    scene.finish();
}

#[test]
fn a_stop_ends_what_is_being_sent_and_what_waits() {
    for command in ["server_stop", "server_clear"] {
        let (scene, site) = (Scene::new(), Site::new());
        sparse(&site, 64 * MIB);
        let options = json!({"httpIdleTimeoutMs": 60_000, "closeTimeoutMs": 60_000});
        let server = scene.server(site.at_root(options));
        let mut busy: Vec<Peer> = (0..5).map(|_| waiting(server)).collect();
        let mut idle = Peer::tcp(server.port);
        assert_eq!(next(&mut idle, "/digits").status, 200);
        let began = Instant::now();
        match command {
            "server_stop" => crate::ask!(scene.host, command, server.reference, "{}").ok(),
            _ => crate::ask!(scene.host, command, server.reference).ok(),
        };
        assert!(
            began.elapsed() < WATCHDOG,
            "{command}: {:?}",
            began.elapsed()
        );
        assert!(idle.ends(PROMPTLY));
        for peer in &mut busy {
            assert!(rest(peer) < 32 * MIB, "{command}");
        }
        scene.finish();
    }
}

#[test]
fn a_shutdown_ends_what_is_being_sent() {
    let (scene, site) = (Scene::new(), Site::new());
    sparse(&site, 64 * MIB);
    let server = scene.server(site.at_root(json!({})));
    let _busy: Vec<Peer> = (0..5).map(|_| waiting(server)).collect();
    // Ends with a shutdown, which must not time out.
    scene.finish();
}

#[test]
fn without_free_files_the_answer_is_503_and_then_the_file() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({})));
    let mut peer = Peer::tcp(server.port);
    assert_eq!(next(&mut peer, "/digits").status, 200);
    crate::ask!(scene.host, "limit_files", 3).ok();
    let answer = next(&mut peer, "/digits");
    assert_eq!(answer.status, 503, "{answer:?}");
    crate::ask!(scene.host, "limit_files", 1024).ok();
    assert_eq!(next(&mut peer, "/digits").status, 200);
    scene.finish();
}
