//! The Windows libraries: what they are made of, and how they work under Wine, in both widths. `scripts/windows.sh setup` and
//! `scripts/windows.sh build` come first; nothing of this has run on Windows itself.

#[path = "support/archive.rs"]
mod archive;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/host.rs"]
mod host;

use cc::project;
use certs::Certs;
use host::Host;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

macro_rules! programs {
    ($($name:ident: $program:literal [$($argument:literal),*] $($under:ident)*;)*) => {
        /// Those of tests/c, with their arguments.
        const PROGRAMS: &[(&str, &[&str])] = &[$(($program, &[$($argument),*])),*];
    };
}

include!("support/programs.rs");

/// What is about things that Windows does not have: children made by fork, descriptors to poll.
const NOT_FOR_WINDOWS: &[(&str, &[&str])] = &[
    ("exits", &["exit"]),
    ("exits", &["return"]),
    ("fork", &[]),
    ("wakeup", &["fd"]),
];

/// One width of the library, and where its programs are built and run.
struct Width {
    bits: &'static str,
    folder: PathBuf,
}

/// `target/windows`.
fn libraries() -> PathBuf {
    archive::target().join("windows")
}

fn script() -> Command {
    Command::new(project().join("scripts/windows.sh"))
}

impl Width {
    fn new(bits: &'static str, test: &str) -> Width {
        let folder = libraries().join(format!("{test}-{bits}"));
        fs::create_dir_all(&folder).unwrap();
        fs::copy(
            libraries().join(format!("wsplug{bits}.dll")),
            folder.join(format!("wsplug{bits}.dll")),
        )
        .expect("scripts/windows.sh build comes first");
        Width { bits, folder }
    }

    fn dll(&self) -> String {
        format!("wsplug{}.dll", self.bits)
    }

    /// The command `wsplug`, as the script names it.
    fn command(&self) -> String {
        format!("wsplug{}.exe", self.bits)
    }

    /// A C program, below the project; it finds the library beside itself.
    fn compile(&self, source: &str, more: &[&str]) -> PathBuf {
        let program = self
            .folder
            .join(Path::new(source).with_extension("exe").file_name().unwrap());
        let mut command = script();
        command
            .args([
                "cc",
                self.bits,
                "-std=gnu11",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-O1",
                "-D_WIN32_WINNT=0x0600",
                "-I",
            ])
            .arg(project().join("include"))
            .arg(project().join(source))
            .arg("-o")
            .arg(&program)
            .args(more)
            .arg("-lws2_32");
        cc::run(&mut command, source);
        program
    }

    /// A program of tests/c, linked with the import library, as programs in C are.
    fn compile_portable(&self, name: &str) -> PathBuf {
        let posix = project().join("tests/windows/posix");
        let import = self.import_library();
        // The compiler takes %lld for unknown, which Linux's has checked.
        let more = [
            "-Wno-format",
            "-D__USE_MINGW_ANSI_STDIO=1",
            "-static",
            "-pthread",
        ];
        let own = ["-I", posix.to_str().unwrap(), &import, "-lpsapi"];
        self.compile(&format!("tests/c/{name}.c"), &[&more[..], &own].concat())
    }

    fn import_library(&self) -> String {
        let file = format!("libwsplug{}.dll.a", self.bits);
        libraries().join(file).to_str().unwrap().to_owned()
    }

    /// `scripts/windows.sh run`, in the width's folder and never for long.
    fn wine(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["-k", "10", "120"])
            .arg(script().get_program())
            .arg("run")
            .arg(program)
            .args(arguments);
        // Where Linux keeps its authorities.
        command
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR");
        command.current_dir(&self.folder);
        command
    }

    /// Runs tests/windows/host.c; what it has printed.
    fn host(&self, arguments: &[&str]) -> String {
        let program = self.compile("tests/windows/host.c", &[]);
        let dll = self.dll();
        cc::run(
            &mut self.wine(&program, &[&[dll.as_str()], arguments].concat()),
            &arguments.join(" "),
        )
    }

    /// What objdump tells of a file of `target/windows`.
    fn headers(&self, file: &str) -> String {
        let mut command = script();
        command.args(["objdump", "-p"]).arg(libraries().join(file));
        cc::run(&mut command, "objdump")
    }
}

/// Each test, once for 64 and once for 32 bits.
macro_rules! both {
    ($($(#[$meta:meta])* fn $name:ident($width:ident) $body:block)*) => {
        $(mod $name {
            use super::*;

            fn check($width: Width) $body

            $(#[$meta])*
            #[test]
            fn of_64_bits() {
                check(Width::new("64", stringify!($name)));
            }

            $(#[$meta])*
            #[test]
            fn of_32_bits() {
                check(Width::new("32", stringify!($name)));
            }
        })*
    };
}

/// What is in the archive of a width.
fn unzipped(folder: &Path, bits: &str) -> PathBuf {
    let name = format!("wsplug-{}-windows-{bits}", archive::VERSION);
    archive::unzip(
        &archive::released("windows").join(format!("{name}.zip")),
        folder,
    );
    folder.join(name)
}

/// A path as a JSON text has it.
fn windows_path(path: &str) -> String {
    format!("Z:{}", path.replace('/', "\\\\"))
}

both! {
    fn exports_are_the_functions_of_the_header_by_their_plain_names(width) {
        let headers = width.headers(&width.dll());
        let table = headers.split("[Ordinal/Name Pointer] Table").nth(1).expect("there are exports");
        let exported: BTreeSet<&str> = table
            .lines()
            .skip(1)
            .map_while(|line| line.trim().strip_prefix('[')?.split_whitespace().last())
            .collect();
        let definition = fs::read_to_string(libraries().join(format!("wsplug{}.def", width.bits))).unwrap();
        let defined: BTreeSet<&str> = definition
            .lines()
            .skip(2)
            .map(|line| line.trim().split('@').next().unwrap())
            .collect();
        let header = fs::read_to_string(project().join("include/wsplug.h")).unwrap();
        let declared: BTreeSet<&str> = header
            .lines()
            .filter(|line| !line.starts_with("typedef"))
            .filter_map(|line| line.split("WSPLUG_API ").nth(1)?.split_once('('))
            .map(|(name, _)| name)
            .collect();
        assert!(declared.len() > 30, "{declared:?}");
        assert_eq!(exported, declared);
        assert_eq!(defined, declared);
        assert!(headers.contains(&format!("{}\n", width.dll())), "the library does not know its name");
    }

    fn only_libraries_of_the_system_are_needed(width) {
        const SYSTEM: &[&str] = &[
            "advapi32.dll", "bcrypt.dll", "bcryptprimitives.dll", "crypt32.dll", "kernel32.dll", "msvcrt.dll", "ncrypt.dll",
            "ntdll.dll", "secur32.dll", "user32.dll", "userenv.dll", "ws2_32.dll",
        ];
        for file in [width.dll(), width.command()] {
            let headers = width.headers(&file);
            let needed: Vec<String> = headers
                .lines()
                .filter_map(|line| line.trim().strip_prefix("DLL Name: "))
                .map(str::to_lowercase)
                .collect();
            assert!(needed.len() > 3, "{needed:?}");
            for name in &needed {
                let is_of_the_system = SYSTEM.contains(&name.as_str()) || name.starts_with("api-ms-win-core-");
                assert!(is_of_the_system, "{file} needs {name}");
            }
        }
    }

    fn no_path_of_the_machine_that_built_them_is_in_the_library_and_the_command(width) {
        archive::holds_no_path_of_this_machine(&libraries().join(width.dll()));
        archive::holds_no_path_of_this_machine(&libraries().join(width.command()));
    }

    fn callbacks_come_on_a_thread_of_the_library(width) {
        width.host(&["called"]);
    }

    fn a_pump_calls_back_on_the_hosts_own_thread(width) {
        width.host(&["pumped"]);
    }

    fn events_are_pulled_and_messages_are_compressed(width) {
        width.host(&["pulled"]);
    }

    fn connections_call_back_in_parallel(width) {
        width.host(&["perConnection"]);
    }

    fn a_hundred_connections_are_served(width) {
        width.host(&["many"]);
    }

    fn tls_works_with_an_authority_of_ones_own(width) {
        let certs = Certs::new();
        let server = certs.server();
        let paths = [&server.cert, &server.key, &certs.authority.cert].map(|path| windows_path(path));
        width.host(&["tls", &paths[0], &paths[1], &paths[2]]);
    }

    fn what_this_system_does_not_have_is_said(width) {
        width.host(&["options"]);
    }

    fn ports_belong_to_one_and_names_and_ipv6_are_reached(width) {
        width.host(&["ports"]);
    }

    fn files_are_served_from_paths_with_backslashes(width) {
        fs::write(width.folder.join("page.html"), "a page from a file").unwrap();
        width.host(&["files", &windows_path(width.folder.to_str().unwrap())]);
    }

    fn the_library_stays_when_it_is_unloaded_with_open_connections(width) {
        width.host(&["unload"]);
    }

    fn a_process_ends_at_once_with_open_connections(width) {
        let program = width.compile("tests/windows/host.c", &[]);
        for how in ["return", "exit", "ExitProcess", "free", "callback"] {
            let mut host = width.wine(&program, &[&width.dll(), "end", how]);
            let mut host = host.stdout(Stdio::piped()).spawn().unwrap();
            let mut said = String::new();
            BufReader::new(host.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
            let ending = Instant::now();
            assert_eq!(said.trim(), "ending", "{how}");
            assert!(host.wait().unwrap().success(), "{how}");
            let took = ending.elapsed();
            assert!(took < Duration::from_secs(10), "{how}: {took:?}");
        }
    }

    fn a_window_is_woken_once_for_many_events(width) {
        width.host(&["wakeup"]);
    }

    /// Linked with the import library, as programs in C are.
    fn a_program_with_a_message_loop_pumps_on_its_own_thread(width) {
        let program = width.compile("examples-c/windows_message_loop.c", &[&width.import_library()]);
        let printed = cc::run(&mut width.wine(&program, &[]), "the example");
        let mut lines: Vec<&str> = printed.lines().collect();
        lines.sort();
        let expected = ["client got: hello", "client: close", "client: open", "server got: hello", "server: close", "server: open"];
        let is_last = |line: &&str| *line == "server: close"; // the window may be gone before
        lines.retain(|line| !is_last(line));
        assert_eq!(lines, expected.into_iter().filter(|line| !is_last(line)).collect::<Vec<_>>());
    }

    /// As examples-hosts/windev: what is at one side is in order; which side is first is not told.
    fn a_window_serves_asks_and_connects_to_itself_without_waiting(width) {
        let program = width.compile("tests/windows/chat.c", &[]);
        let printed = cc::run(&mut width.wine(&program, &[&width.dll()]), "chat.c");
        let side = |name: &str| -> Vec<String> {
            let lines = printed.lines().filter_map(|line| line.strip_prefix(name));
            lines.map(|line| line.trim_start_matches(": ").to_owned()).collect()
        };
        let at_the_server = [
            "request name=", "request name=ann", "open ann", "message hello", "message /leave", "execute count", "close 1000 bye",
            "stopped",
        ];
        let at_the_clients = [
            "error 401", "open", "message Welcome!", "message ann: hello", "message 1 are here", "execute leave",
            "close 1000 bye",
        ];
        assert_eq!(side("server"), at_the_server, "{printed}");
        assert_eq!(side("client"), at_the_clients, "{printed}");
    }

    /// Each ends with 0 and prints nothing where all is well, as on Linux.
    fn the_programs_of_tests_c_find_nothing_wrong(width) {
        let mut built = BTreeMap::new();
        let mut wrong = Vec::new();
        for (name, arguments) in PROGRAMS.iter().filter(|one| !NOT_FOR_WINDOWS.contains(one)) {
            let program = built.entry(name).or_insert_with(|| width.compile_portable(name));
            let mut wine = width.wine(program, arguments);
            let output = wine.env("WSPLUG_TEST_SLOWNESS", "3").stdin(Stdio::null()).output().unwrap();
            // Wine's own words come first: that it has no fonts.
            let errors = String::from_utf8_lossy(&output.stderr);
            let errors = errors.split_once("http://www.freetype.org\n").map_or(&*errors, |(_, rest)| rest);
            let printed = String::from_utf8_lossy(&output.stdout) + errors;
            if !output.status.success() || !printed.is_empty() {
                wrong.push(format!("{name} {arguments:?}: {}\n{printed}", output.status));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn the_command_runs_and_pings_a_server(width) {
        let command = libraries().join(width.command());
        let told = cc::run(&mut width.wine(&command, &["--version"]), "wsplug --version");
        assert_eq!(told.trim_end(), format!("wsplug {}", archive::VERSION));
        let host = Host::spawn();
        let server = ask!(host, "server_create", json!({"port": 0})).ok().reference;
        let started = ask!(host, "server_start", server, "{}").ok();
        let url = format!("ws://127.0.0.1:{}/", started.body["port"]);
        let told = cc::run(&mut width.wine(&command, &["ping", &url, "-c", "2", "-i", "0.1"]), "wsplug ping");
        assert!(told.contains("2 sent, 2 received"), "{told}");
        ask!(host, "shutdown", 5000).ok();
        host.leave();
    }

    /// A program of somebody else's, against what is in the archive and nothing else.
    fn programs_are_built_against_the_archive_with_cmake_and_with_pkg_config(width) {
        let arch = if width.bits == "64" { "x86_64" } else { "i686" };
        let folder = archive::scratch(&format!("windows-{}", width.bits));
        let top = unzipped(&folder, width.bits);
        for file in ["main.c", "CMakeLists.txt"] {
            fs::copy(project().join("tests/packages").join(file), folder.join(file)).unwrap();
        }
        let script = script().get_program().to_str().unwrap().to_owned();
        let configure = |build: &str, top: &Path| {
            let mut line = archive::shell(&folder, &format!(
                "{script} with cmake -S . -B {build} -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Windows \
                 -DCMAKE_C_COMPILER={arch}-w64-mingw32-gcc -Dwsplug_DIR='{}'",
                top.join("lib/cmake/wsplug").display()
            ));
            line.output().unwrap()
        };
        let configured = configure("build", &top);
        assert!(configured.status.success(), "{}", String::from_utf8_lossy(&configured.stderr));
        archive::said(&mut archive::shell(&folder, &format!("{script} with cmake --build build")));
        let by_hand = format!(
            "{script} cc {} -Wall -Werror main.c -o by-hand.exe $(pkg-config --cflags --libs wsplug)", width.bits
        );
        archive::said(archive::shell(&folder, &by_hand).env("PKG_CONFIG_PATH", top.join("lib/pkgconfig")));
        for program in ["build/other.exe", "by-hand.exe"] {
            let program = folder.join(program);
            fs::copy(top.join("bin").join(width.dll()), program.with_file_name(width.dll())).unwrap();
            let printed = cc::run(&mut width.wine(&program, &[]), "main.c");
            assert_eq!(printed.trim_end(), format!("{} says hello", archive::VERSION));
        }

        // The one of the other width is not taken for this one.
        let other = unzipped(&folder, if width.bits == "64" { "32" } else { "64" });
        let refused = String::from_utf8_lossy(&configure("other", &other).stderr).into_owned();
        assert!(refused.contains("not accepted"), "{refused}");
    }

    /// The bytes on the wire are the same: with TLS, and a message of many frames' size.
    fn a_client_on_linux_and_a_server_on_windows_understand_each_other(width) {
        let certs = Certs::new();
        let server = certs.server();
        let paths = [&server.cert, &server.key].map(|path| windows_path(path));
        let program = width.compile("tests/windows/host.c", &[]);
        let dll = width.dll();
        let mut wine = width.wine(&program, &[&dll, "echoes", &paths[0], &paths[1]]);
        let mut wine = wine.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(wine.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        let host = Host::spawn();
        ask!(host, "callbacks", "em").ok();
        let options = json!({
            "url": format!("wss://127.0.0.1:{}/", port.trim()),
            "tls": {"caFile": certs.authority.cert},
            "enableAutomaticReconnection": false,
        });
        let client = ask!(host, "client_create", options).ok().reference;
        ask!(host, "client_start", client, "~").ok();
        ask!(host, "client_send", client, 1, "=to Windows and back").ok();
        assert_eq!(host.event("message", client).bytes(), b"to Windows and back");
        ask!(host, "client_send", client, 2, "*1000000").ok();
        assert_eq!(host.event("message", client).number("length"), 1_000_000);
        drop(wine.stdin.take());
        let closed = host.event("close", client);
        assert_eq!(closed.code(), 1001);
        ask!(host, "shutdown", 5000).ok();
        host.leave();
        assert!(wine.wait().unwrap().success());
    }
}

/// Each function is called with real values in both widths, and is found by its name.
#[test]
fn every_function_is_called() {
    let header = fs::read_to_string(project().join("include/wsplug.h")).unwrap();
    let functions: BTreeSet<&str> = header
        .lines()
        .filter(|line| !line.starts_with("typedef"))
        .filter_map(|line| line.split("WSPLUG_API wsplug_").nth(1)?.split_once('('))
        .map(|(name, _)| name)
        .collect();
    let read = |file: &str| fs::read_to_string(project().join(file)).unwrap();
    let listed = read("tests/windows/library.h");
    let listed: BTreeSet<&str> = listed
        .split("each(")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
        .filter(|name| !matches!(*name, "DECLARE" | "FIND"))
        .collect();
    assert_eq!(listed, functions);
    let mut sources: String = [
        "tests/windows/host.c",
        "tests/windows/chat.c",
        "tests/windows/library.h",
    ]
    .map(|file| read(file).replace("ws_", "wsplug_"))
    .concat();
    for (name, _) in PROGRAMS.iter().filter(|one| !NOT_FOR_WINDOWS.contains(one)) {
        sources += &read(&format!("tests/c/{name}.c"));
    }
    for name in functions {
        assert!(
            sources.contains(&format!("wsplug_{name}(")),
            "wsplug_{name} is not called"
        );
    }
}

/// A host with another convention, or another number of arguments, loses its stack: so each must be as the header says.
#[test]
fn each_function_of_32_bits_takes_its_own_arguments_off_the_stack() {
    let width = Width::new("32", "stack");
    let definition = fs::read_to_string(libraries().join("wsplug32.def")).unwrap();
    let functions: Vec<&str> = definition.lines().skip(2).map(str::trim).collect();
    let program = width.compile("tests/windows/stack.c", &[]);
    let dll = width.dll();
    cc::run(
        &mut width.wine(&program, &[&[dll.as_str()], &functions[..]].concat()),
        "stack.c",
    );
}
