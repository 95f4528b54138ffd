//! The C programs that use several threads, with ThreadSanitizer in them, in the library and in Rust's own library.
//! They need `rustup toolchain install nightly --component rust-src`, and to be asked for: `cargo test --test thread_sanitizer`.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/race.rs"]
mod race;
#[path = "support/scene.rs"]
mod scene;

use std::time::Duration;

macro_rules! programs {
    ($($test:ident: $name:literal $arguments:tt;)*) => {
        $(#[test]
        fn $test() {
            cc::check($name, &$arguments, cc::Under::ThreadSanitizer);
        })*
    };
}

programs! {
    backpressure: "backpressure" [];
    delivery_inline: "delivery" ["inline"];
    delivery_messages: "delivery" ["messages"];
    delivery_pull: "delivery" ["pull"];
    delivery_affinity: "delivery" ["affinity"];
    delivery_per_connection: "delivery" ["perConnection"];
    delivery_pump: "delivery" ["pump"];
    delivery_thread: "delivery" ["thread"];
    lifecycle: "lifecycle" [];
    log: "log" [];
    queue_inline: "queue" ["inline"];
    parallel_affinity: "parallel" ["affinity"];
    parallel_per_connection: "parallel" ["perConnection"];
    queue_affinity: "queue" ["affinity"];
    queue_per_connection: "queue" ["perConnection"];
    queue_pump: "queue" ["pump"];
    queue_thread: "queue" ["thread"];
    receive: "receive" [];
    reentrant_inline: "reentrant" ["inline"];
    reentrant_affinity: "reentrant" ["affinity"];
    reentrant_per_connection: "reentrant" ["perConnection"];
    reentrant_pump: "reentrant" ["pump"];
    reentrant_thread: "reentrant" ["thread"];
    shutdown: "shutdown" [];
    sigpipe_inline: "sigpipe" ["inline"];
    threads_deflate: "threads" ["deflate"];
    threads_inline: "threads" ["inline"];
    threads_pull: "threads" ["pull"];
    threads_affinity: "threads" ["affinity"];
    threads_per_connection: "threads" ["perConnection"];
    threads_pump: "threads" ["pump"];
    threads_thread: "threads" ["thread"];
    wakeup_fd: "wakeup" ["fd"];
    wakeup_pull: "wakeup" ["pull"];
    wakeup_pump: "wakeup" ["pump"];
    a_slow_callback: "faults" ["2"];
    stops_while_reconnecting: "faults" ["3"];
    many_clients_at_once: "faults" ["15"];
    events_at_the_end: "faults" ["16"];
}

#[test]
fn row_19_poll_send_stop_and_clear_race_without_harm() {
    let time = Duration::from_secs(scene::scaled(6, 600));
    race::race(cc::Flavour::Thread, time, &["server_stop", "server_clear"]);
}
