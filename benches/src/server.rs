//! Knows how to start a server, or a client, on its own core and what it has used so far.
//! Does not know what it is loaded with.

use std::io::{self, BufRead, BufReader, Error};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct Server {
    child: Child,
}

impl Server {
    /// Starts the command pinned to these cores.
    pub fn start(command: &[String], task: Vec<(&str, String)>, cores: &[usize]) -> io::Result<Server> {
        let cores = cores.to_vec();
        let mut start = Command::new(&command[0]);
        start.args(&command[1..]).envs(task).stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe {
            start.pre_exec(move || {
                // Ended with us, however we end.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                pin(&cores)
            });
        }
        Ok(Server { child: start.spawn()? })
    }

    /// The port, which is the server's first line of output.
    pub fn port(&mut self) -> io::Result<u16> {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().expect("it is piped, and asked once")).read_line(&mut line)?;
        line.trim().parse().map_err(|_| Error::other(format!("no port on its first line: {line:?}")))
    }

    /// User and system time of all its threads, those that have ended too.
    pub fn cpu(&self) -> Duration {
        // What clock_getcpuclockid(3) answers, to the nanosecond (/proc/PID/stat counts in 10 ms).
        let clock = (!(self.child.id() as libc::clockid_t) << 3) | 2;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` outlives the call.
        let result = unsafe { libc::clock_gettime(clock, &mut time) };
        assert_eq!(result, 0, "the CPU clock of a child that was not waited for exists");
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// Resident bytes.
    pub fn memory(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("Rss:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| Error::other("the server has ended"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pins the calling thread, and what it starts, to these cores.
pub fn pin(cores: &[usize]) -> io::Result<()> {
    // SAFETY: the set is plain data and outlives the call.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cores.iter().for_each(|&core| libc::CPU_SET(core, &mut set));
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Thousands of connections need descriptors; servers inherit the limit.
pub fn raise_descriptor_limit() {
    // SAFETY: the struct outlives both calls.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
