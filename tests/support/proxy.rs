//! A TCP proxy that can delay, swallow, cut and reset what goes through it.
//! Does not look into what it carries.
#![allow(dead_code)] // Each test binary uses a part of it.

use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Pass,
    /// Each piece comes later.
    Delay(Duration),
    /// Bytes are taken and never arrive, in both directions; nobody is told.
    Blackhole,
}

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    way: Mutex<Way>,
    target: AtomicU16,
    over: AtomicBool,
    connections: Mutex<Vec<Connection>>,
}

struct Connection {
    ends: [TcpStream; 2],
    /// To be ended without a FIN.
    is_reset: Arc<AtomicBool>,
}

impl Proxy {
    pub fn to(target: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            way: Mutex::new(Way::Pass),
            target: AtomicU16::new(target),
            over: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let accepting = state.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if accepting.over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(far) = TcpStream::connect((
                    Ipv4Addr::LOCALHOST,
                    accepting.target.load(Ordering::Relaxed),
                )) else {
                    SockRef::from(&near)
                        .set_linger(Some(Duration::ZERO))
                        .unwrap();
                    continue;
                };
                let is_reset = Arc::new(AtomicBool::new(false));
                let ends = [near.try_clone().unwrap(), far.try_clone().unwrap()];
                carry(
                    accepting.clone(),
                    is_reset.clone(),
                    near.try_clone().unwrap(),
                    far.try_clone().unwrap(),
                );
                carry(accepting.clone(), is_reset.clone(), far, near);
                accepting
                    .connections
                    .lock()
                    .unwrap()
                    .push(Connection { ends, is_reset });
            }
        });
        Proxy { port, state }
    }

    pub fn set(&self, way: Way) {
        *self.state.way.lock().unwrap() = way;
    }

    /// Where new connections go.
    pub fn aim(&self, target: u16) {
        self.state.target.store(target, Ordering::Relaxed);
    }

    /// Ends every connection with a FIN to both sides.
    pub fn cut(&self) {
        for connection in self.state.connections.lock().unwrap().drain(..) {
            for end in &connection.ends {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }

    /// Ends every connection with a RST to both sides.
    pub fn reset(&self) {
        for connection in self.state.connections.lock().unwrap().drain(..) {
            connection.is_reset.store(true, Ordering::Relaxed);
            for end in &connection.ends {
                let _ = SockRef::from(end).set_linger(Some(Duration::ZERO));
                // Says nothing to the other side, but wakes the threads that read: the last close sends the RST.
                let _ = end.shutdown(Shutdown::Read);
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        self.cut();
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn carry(state: Arc<State>, is_reset: Arc<AtomicBool>, mut from: TcpStream, mut to: TcpStream) {
    let _ = to.set_nodelay(true);
    std::thread::spawn(move || {
        let mut bytes = [0; 65536];
        loop {
            let count = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let way = *state.way.lock().unwrap();
            if let Way::Delay(time) = way {
                std::thread::sleep(time);
            }
            if way != Way::Blackhole && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        // In a black hole the end of a connection does not arrive either.
        if !is_reset.load(Ordering::Relaxed) && *state.way.lock().unwrap() != Way::Blackhole {
            let _ = to.shutdown(Shutdown::Write);
        }
    });
}
