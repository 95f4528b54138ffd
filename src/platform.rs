//! Knows what differs by operating system: signals, limits, socket options.
//! Does not know what they are used for.

#[cfg(unix)]
mod imp {
    use nix::sys::resource::{Resource, getrlimit};
    use nix::sys::signal::{SigSet, Signal};

    /// Called first on every thread that the library starts: the host's signal handlers keep running on the host's own
    /// threads, and SIGPIPE cannot reach us. Faults stay unblocked, so that a crash handler sees them.
    pub fn prepare_thread() {
        let mut signals = SigSet::all();
        for fault in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
            Signal::SIGTRAP,
            Signal::SIGABRT,
            Signal::SIGSYS,
            Signal::SIGPROF,
        ] {
            signals.remove(fault);
        }
        // Cannot fail: the set is valid, and it changes this thread only.
        let _ = signals.thread_block();
    }

    /// How many connections the process's limit of open files leaves room for.
    pub fn connection_limit() -> usize {
        match getrlimit(Resource::RLIMIT_NOFILE) {
            Ok((soft, _)) => {
                let soft = usize::try_from(soft).unwrap_or(usize::MAX);
                let reserved_for_the_host = 64.min(soft / 2);
                soft - reserved_for_the_host
            }
            Err(_) => usize::MAX,
        }
    }

    /// Whether an accept failed because the process or the system has no file descriptor or memory left.
    pub fn is_out_of_files(error: &std::io::Error) -> bool {
        matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
        )
    }
}

/// How many bytes the peer of a TCP socket has acknowledged so far. None: this system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn acknowledged_bytes(socket: &impl std::os::fd::AsFd) -> Option<u64> {
    use nix::{getsockopt_impl, sockopt_impl};
    /// The beginning of the kernel's struct tcp_info, as far as Linux 4.1 has it.
    #[repr(C)]
    #[derive(Clone, Copy, Debug)]
    pub struct TcpInfo {
        flags: [u8; 8],
        counters: [u32; 24],
        pacing: [u64; 2],
        bytes_acknowledged: u64,
    }
    sockopt_impl!(
        GetTcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        TcpInfo
    );
    nix::sys::socket::getsockopt(socket, GetTcpInfo)
        .ok()
        .map(|info| info.bytes_acknowledged)
}

/// How many bytes the peer of a TCP socket has acknowledged so far. None: this system does not tell.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn acknowledged_bytes<T>(_: &T) -> Option<u64> {
    None
}

#[cfg(windows)]
mod imp {
    /// Windows has no signals.
    pub fn prepare_thread() {}

    /// Windows has no such limit.
    pub fn connection_limit() -> usize {
        usize::MAX
    }

    /// WSAEMFILE and WSAENOBUFS.
    pub fn is_out_of_files(error: &std::io::Error) -> bool {
        matches!(error.raw_os_error(), Some(10024 | 10055))
    }
}

pub use imp::*;
