//! What a connection costs that is open and idle: 5,000 of them, held by one server.

use std::ffi::{CStr, c_char};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ptr;
use std::time::Duration;

use serde_json::Value;
use wsplug::ffi::*;

const CONNECTIONS: usize = 5000;
/// Resident bytes of one, read buffers and tables included.
const MOST_BYTES: usize = 8192;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn five_thousand_idle_connections_cost_little_memory_each() {
    let files = raise_limit_of_files();
    assert!(
        files > 2 * CONNECTIONS + 200,
        "the limit of open files, {files}, is too low for both ends of {CONNECTIONS}"
    );
    let mut server = 0;
    let status =
        unsafe { wsplug_server_create(c"{\"port\":0}".as_ptr(), &mut server, ptr::null_mut()) };
    assert_eq!(status, WSPLUG_OK);
    let started = reply(|reply| unsafe { wsplug_server_start(server, ptr::null(), reply) });
    let port = started["port"].as_u64().unwrap() as u16;

    // What is there once, threads and tables, is there after the first hundred.
    let mut clients: Vec<TcpStream> = (0..100).map(|_| connect(port)).collect();
    let before = resident_bytes();
    clients.extend((100..CONNECTIONS).map(|_| connect(port)));
    let idle = (resident_bytes() - before) / (CONNECTIONS - 100);

    // Each of them is alive, and is as cheap again after it has worked.
    for client in &mut clients {
        client.write_all(b"\x82\x81\0\0\0\0x").unwrap();
    }
    take_events("message", CONNECTIONS);
    let sent = unsafe {
        wsplug_server_send(
            server,
            WSPLUG_TEXT,
            c"all".as_ptr().cast(),
            3,
            ptr::null(),
            ptr::null_mut(),
        )
    };
    assert_eq!(sent, WSPLUG_OK);
    for client in &mut clients {
        let mut frame = [0; 5];
        client.read_exact(&mut frame).unwrap();
        assert_eq!(&frame, b"\x81\x03all");
    }
    let after_work = (resident_bytes().saturating_sub(before)) / (CONNECTIONS - 100);
    println!("resident bytes per idle connection: {idle}, after a message each way: {after_work}");
    assert!(idle <= MOST_BYTES, "an idle connection costs {idle} bytes");
    assert!(
        after_work <= MOST_BYTES,
        "an idle connection that has worked costs {after_work} bytes"
    );

    drop(clients);
    take_events("close", CONNECTIONS);
    assert_eq!(
        reply(|reply| unsafe { wsplug_server_clients(server, reply) }),
        Value::Array(vec![])
    );
    assert_eq!(wsplug_shutdown(10_000), WSPLUG_OK);
}

fn connect(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(REQUEST).unwrap();
    // The answer ends with an empty line, and nothing follows it.
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&head));
        head.extend_from_slice(&part[..count]);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101 "),
        "{}",
        String::from_utf8_lossy(&head)
    );
    take_events("open", 1);
    stream
}

fn take_events(kind: &str, count: usize) {
    for _ in 0..count {
        let mut event = ptr::null_mut();
        assert_eq!(
            unsafe { wsplug_event_next(10_000, &mut event) },
            WSPLUG_OK,
            "no more {kind}"
        );
        // SAFETY: the event is ours until it is freed, and its type ends with NUL.
        unsafe {
            assert_eq!(
                CStr::from_ptr(wsplug_event_type(event)).to_str().unwrap(),
                kind
            );
            wsplug_event_free(event);
        }
    }
}

fn reply(call: impl FnOnce(*mut *mut c_char) -> i32) -> Value {
    let mut reply = ptr::null_mut();
    assert_eq!(call(&mut reply), WSPLUG_OK);
    // SAFETY: a reply is a text that ends with NUL, and ours to free.
    unsafe {
        let value = serde_json::from_slice(CStr::from_ptr(reply).to_bytes()).unwrap();
        wsplug_free(reply);
        value
    }
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}

/// Raises the soft limit to the hard one and returns it.
fn raise_limit_of_files() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: one valid rlimit.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    limit.rlim_cur as usize
}
