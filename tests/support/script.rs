//! A server that gives one scripted answer to each connection and keeps what it was asked.
//! Does not know what any test wants to see.
#![allow(dead_code)] // Each test binary uses a part of it.

use crate::adversary::Peer;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What is done with a connection whose request has been read.
pub type Answer = Box<dyn FnOnce(Peer) -> Option<Peer> + Send>;

pub struct Script {
    pub port: u16,
    asked: Receiver<String>,
    open: Receiver<Peer>,
}

impl Script {
    /// One answer for each connection that will come, in that order.
    pub fn of(answers: Vec<Answer>) -> Script {
        Script::on(
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
            answers,
        )
    }

    pub fn on(listener: TcpListener, answers: Vec<Answer>) -> Script {
        let port = listener.local_addr().unwrap().port();
        let connections = move || listener.accept().map(|(stream, _)| stream).ok();
        Script::over(port, connections, answers)
    }

    /// On connections from anywhere.
    pub fn over(
        port: u16,
        mut next: impl FnMut() -> Option<TcpStream> + Send + 'static,
        answers: Vec<Answer>,
    ) -> Script {
        let (tell, asked) = channel();
        let (keep, open) = channel();
        std::thread::spawn(move || {
            for answer in answers {
                let Some(stream) = next() else { return };
                let peer = Peer::asked(stream);
                let _ = tell.send(peer.request.clone());
                if let Some(peer) = answer(peer) {
                    let _ = keep.send(peer);
                }
            }
        });
        Script { port, asked, open }
    }

    pub fn url(&self, rest: &str) -> String {
        format!("ws://127.0.0.1:{}{rest}", self.port)
    }

    /// The head of the next request.
    pub fn request(&self) -> String {
        self.asked
            .recv_timeout(Duration::from_secs(5))
            .expect("a request comes")
    }

    /// The next connection that was opened.
    pub fn peer(&self) -> Peer {
        self.open
            .recv_timeout(Duration::from_secs(5))
            .expect("a connection is opened")
    }
}

/// Opens a WebSocket.
pub fn open() -> Answer {
    Box::new(|peer| Some(peer.answered("")))
}

/// Says this and ends the connection.
pub fn say(bytes: impl Into<Vec<u8>>) -> Answer {
    let bytes = bytes.into();
    Box::new(move |mut peer| {
        peer.send_bytes(&bytes);
        None
    })
}

/// Sends the client elsewhere.
pub fn redirect(status: u16, location: &str) -> Answer {
    say(format!(
        "HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// The values of a header, in order.
pub fn header<'a>(request: &'a str, name: &str) -> Vec<&'a str> {
    request
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}
