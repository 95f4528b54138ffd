//! WebSocket servers and clients for host applications, behind a plain C ABI.
//!
//! The C ABI (`include/wsplug.h`, made from [`ffi`]) is the product; the rooms below it are described in
//! `ARCHITECTURE.md`. Rust programs may call [`api`], the same commands without pointers.

#![warn(clippy::undocumented_unsafe_blocks)]

pub mod api;
mod callback;
mod client;
mod connection;
pub mod error;
pub mod events;
pub mod ffi;
mod library;
pub mod log;
mod platform;
#[doc(hidden)]
pub mod protocol;
mod refs;
mod registry;
mod server;
mod spare;
mod transport;
