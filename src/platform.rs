//! Knows what differs by operating system: signals, limits, socket options, how a thread that sleeps elsewhere is woken.
//! Does not know what they are used for.

#[cfg(unix)]
mod imp {
    use std::convert::Infallible;
    use std::io::{self, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use nix::sys::resource::{Resource, getrlimit};
    use nix::sys::signal::{SigSet, Signal};

    /// The linker sees to it: `-z nodelete`. macOS unloads no library that has thread-local variables, as this one has.
    pub fn stay_loaded() {}

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

    /// Something to poll that can be up or down.
    pub struct Flag {
        polled: UnixStream,
        other: UnixStream,
    }

    impl Flag {
        /// A flag that is down.
        pub fn new() -> io::Result<Flag> {
            let (polled, other) = UnixStream::pair()?;
            polled.set_nonblocking(true)?;
            other.set_nonblocking(true)?;
            Ok(Flag { polled, other })
        }

        /// The file descriptor, which is readable while the flag is up.
        pub fn fd(&self) -> i32 {
            self.polled.as_raw_fd()
        }

        /// Puts a flag up that is down.
        pub fn raise(&self) {
            // Takes a byte whenever the flag is down.
            let _ = (&self.other).write(&[1]);
        }

        /// Takes a flag down that is up.
        pub fn lower(&self) {
            // Nothing is there only if the host has read it, which then has done the work.
            let _ = (&self.polled).read(&mut [0; 8]);
        }
    }

    /// A window that takes messages: there is none here.
    pub struct Window(Infallible);

    impl Window {
        /// Always an error.
        pub fn new(_: i64, _: u32) -> Result<Window, String> {
            Err("is for Windows; this system has no window messages".into())
        }

        /// Posts the message.
        pub fn post(&self) -> io::Result<()> {
            match self.0 {}
        }
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
    use std::convert::Infallible;
    use std::io;

    use std::os::windows::io::AsRawSocket;

    use windows_sys::Win32::Foundation::HWND;
    use windows_sys::Win32::Networking::WinSock::{
        SO_EXCLUSIVEADDRUSE, SOCKET, SOCKET_ERROR, SOL_SOCKET, setsockopt,
    };
    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    };
    use windows_sys::Win32::UI::WindowsAndMessaging::{IsWindow, PostMessageW};

    /// Keeps the library in memory until the process ends: threads of it may run when the host unloads it.
    pub fn stay_loaded() {
        let mut module = std::ptr::null_mut();
        let flags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
        // SAFETY: with this flag, any address in the library may stand for its name. It cannot fail with one.
        unsafe { GetModuleHandleExW(flags, stay_loaded as fn() as *const u16, &mut module) };
    }

    /// Windows has no signals.
    pub fn prepare_thread() {}

    /// Nobody else may listen on the socket's port, which otherwise whoever asks for it could.
    pub fn claim_port(socket: &impl AsRawSocket) -> io::Result<()> {
        let on = 1_i32;
        // SAFETY: the option is an int of four bytes, which lives through the call.
        let result = unsafe {
            let socket = socket.as_raw_socket() as SOCKET;
            setsockopt(
                socket,
                SOL_SOCKET,
                SO_EXCLUSIVEADDRUSE,
                (&raw const on).cast(),
                4,
            )
        };
        match result {
            SOCKET_ERROR => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Windows has no such limit.
    pub fn connection_limit() -> usize {
        usize::MAX
    }

    /// WSAEMFILE and WSAENOBUFS.
    pub fn is_out_of_files(error: &std::io::Error) -> bool {
        matches!(error.raw_os_error(), Some(10024 | 10055))
    }

    /// A window that takes messages.
    pub struct Window {
        /// An HWND, which is a number and no pointer.
        handle: isize,
        message: u32,
    }

    impl Window {
        /// A window of this process or another; errors say what is wrong with the handle.
        pub fn new(handle: i64, message: u32) -> Result<Window, String> {
            // Windows extends the 32 bits of a handle to 64 with their sign or with zeros: hosts give either.
            let handle = match isize::try_from(handle) {
                Ok(handle) => handle,
                Err(_) => {
                    u32::try_from(handle).map_err(|_| "has more bits than a handle here")? as isize
                }
            };
            // SAFETY: any number may be asked about.
            match unsafe { IsWindow(handle as HWND) } {
                0 => Err("is not the handle of a window".into()),
                _ => Ok(Window { handle, message }),
            }
        }

        /// Posts the message.
        pub fn post(&self) -> io::Result<()> {
            // SAFETY: a window that is gone is an error.
            match unsafe { PostMessageW(self.handle as HWND, self.message, 0, 0) } {
                0 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        }
    }

    /// Something to poll: there are no file descriptors here.
    pub struct Flag(Infallible);

    impl Flag {
        /// Always an error.
        pub fn new() -> io::Result<Flag> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// The file descriptor.
        pub fn fd(&self) -> i32 {
            match self.0 {}
        }

        /// Puts it up.
        pub fn raise(&self) {
            match self.0 {}
        }

        /// Takes it down.
        pub fn lower(&self) {
            match self.0 {}
        }
    }
}

pub use imp::*;
