//! Servers that answer every request as a test says, over plain TCP.
//! Does not use the library, so that the two cannot be wrong in the same way.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Says to each who has asked for something what `answer` makes of the request's head, then waits for it to go.
pub fn server(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    listening(move |mut tcp, head| {
        let _ = tcp.write_all(&answer(&head));
        let _ = tcp.read_to_end(&mut Vec::new());
    })
}

/// Says the same to everybody.
pub fn saying(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> u16 {
    server(move |_| bytes.as_ref().to_vec())
}

/// A WebSocket server that sends these frames to everybody, and hears nothing.
pub fn sending(frames: Vec<Vec<u8>>) -> u16 {
    server(move |head| [upgraded(head, ""), frames.concat()].concat())
}

/// A WebSocket server that sends these pieces to everybody, with a pause after each.
pub fn sending_slowly(pieces: Vec<Vec<u8>>) -> u16 {
    listening(move |mut tcp, head| {
        let _ = tcp.write_all(&upgraded(&head, ""));
        for piece in &pieces {
            let _ = tcp.write_all(piece);
            thread::sleep(Duration::from_millis(400));
        }
        let _ = tcp.read_to_end(&mut Vec::new());
    })
}

/// Ends each connection as soon as it has been upgraded.
pub fn leaving() -> u16 {
    listening(|mut tcp, head| {
        let _ = tcp.write_all(&upgraded(&head, ""));
    })
}

/// The answer 101 that fits a request.
pub fn upgraded(head: &str, headers: &str) -> Vec<u8> {
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = derive_accept_key(key.unwrap_or_default().trim().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
    )
    .into()
}

/// A frame that is final, without a mask, of at most 125 bytes.
pub fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    assert!(payload.len() < 126);
    [&[0x80 | opcode, payload.len() as u8], payload].concat()
}

pub fn closing(code: u16, reason: &str) -> Vec<u8> {
    frame(8, [&code.to_be_bytes(), reason.as_bytes()].concat())
}

fn listening(talk: impl Fn(TcpStream, String) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = Arc::new(talk);
    thread::spawn(move || {
        for mut tcp in listener.incoming().map_while(Result::ok) {
            let talk = talk.clone();
            // Some only look whether the port accepts.
            thread::spawn(move || head(&mut tcp).map(|head| talk(tcp, head)));
        }
    });
    port
}

/// Up to the empty line; or, of what is no HTTP, what came first.
fn head(tcp: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        match tcp.read(&mut piece) {
            Ok(length @ 1..) => head.extend_from_slice(&piece[..length]),
            _ => return None,
        }
        if !head.starts_with(b"GET ") && !head.starts_with(b"CONNECT ") {
            break;
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}
