//! Knows C: strings, pointers, panics, forks. All `unsafe` of the library is here.
//! Does not know what commands do: each function reads its arguments, calls, and writes the outputs.

#![allow(non_camel_case_types)]
// The preamble of the header is the safety contract of every function; it is not repeated at each.
#![allow(clippy::missing_safety_doc)]

mod glue;
mod status;

// The header has its functions in the order of these; what stands together rustfmt would sort.
mod library;

mod server;

mod client;

mod admission;

mod topics;

mod events;

pub use admission::*;
pub use client::*;
pub use events::*;
pub use library::*;
pub use server::*;
pub use status::*;
pub use topics::*;
