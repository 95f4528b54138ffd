//! permessage-deflate (RFC 7692) on real sockets: a C host on one side; on the other a raw peer that compresses with C
//! zlib, or a WebSocket implementation of somebody else.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "deflate/link.rs"]
mod link;
#[path = "deflate/zlib.rs"]
mod zlib;

#[path = "deflate/corrupt.rs"]
mod corrupt;
#[path = "deflate/interop.rs"]
mod interop;
#[path = "deflate/limits.rs"]
mod limits;
#[path = "deflate/memory.rs"]
mod memory;
#[path = "deflate/messages.rs"]
mod messages;
#[path = "deflate/negotiation.rs"]
mod negotiation;
#[path = "deflate/options.rs"]
mod options;
#[path = "deflate/sizes.rs"]
mod sizes;
