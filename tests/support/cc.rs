//! Compiles C programs against the library that this `cargo test` has built, runs them, and finds that library.
//! Does not know what the programs do.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    Plain,
    /// AddressSanitizer and UndefinedBehaviorSanitizer.
    Sanitized,
    /// ThreadSanitizer, in the library too: see `thread_sanitized_library`.
    Thread,
}

/// The project's folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared library, beside the running test binary.
pub fn library() -> PathBuf {
    let library = deps().join("libwsplug.so");
    assert!(
        library.exists(),
        "{} is missing: cargo builds it with the tests",
        library.display()
    );
    library
}

/// Compiles `source`, a path below the project, and returns the program, which finds the library by itself.
/// Panics with the compiler's words if it does not compile without a warning.
pub fn compile(source: &str, flavour: Flavour) -> PathBuf {
    // Tests of one binary run in parallel and share programs: each is compiled once per binary.
    static COMPILED: Mutex<Option<HashMap<(String, Flavour), PathBuf>>> = Mutex::new(None);
    let mut compiled = COMPILED
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    compiled
        .get_or_insert_with(HashMap::new)
        .entry((source.to_owned(), flavour))
        .or_insert_with(|| build(source, flavour))
        .clone()
}

fn build(source: &str, flavour: Flavour) -> PathBuf {
    let (folder, library, sanitizers) = match flavour {
        Flavour::Plain => ("c-programs", library(), &[][..]),
        Flavour::Sanitized => (
            "c-programs-sanitized",
            library(),
            &[
                "-fsanitize=address,undefined",
                "-fno-sanitize-recover=all",
                "-fno-omit-frame-pointer",
            ][..],
        ),
        Flavour::Thread => (
            "c-programs-thread",
            thread_sanitized_library(),
            &["-fsanitize=thread"][..],
        ),
    };
    let folder = deps().parent().unwrap().join(folder);
    fs::create_dir_all(&folder).unwrap();
    // Programs look for the library under its soname.
    place(&folder.join(soname()), |link| {
        std::os::unix::fs::symlink(&library, link).unwrap();
    });
    let program = folder.join(source.trim_end_matches(".c").replace('/', "-"));
    place(&program, |program| {
        let object = program.with_extension("o");
        let mut compiler = Command::new("gcc");
        compiler.args(["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror"]);
        compiler.args(["-g", "-O1", "-pthread", "-c", "-I"]);
        compiler.arg(project().join("include")).args(sanitizers);
        compiler.arg(project().join(source)).arg("-o").arg(&object);
        run(&mut compiler, source);

        let mut linker = Command::new("gcc");
        linker.arg(&object).arg("-o").arg(program).arg("-pthread");
        if flavour == Flavour::Thread {
            // The library calls functions of the runtime that gcc's is too old to have.
            linker.args(["-rdynamic", "-Wl,--whole-archive"]);
            linker.arg(thread_sanitizer_runtime());
            linker.args(["-Wl,--no-whole-archive", "-lm", "-lrt", "-lstdc++"]);
        } else {
            linker.args(sanitizers);
        }
        // A program that opens the library itself must not be linked to it. RPATH, unlike RUNPATH, goes before the
        // LD_LIBRARY_PATH that cargo sets, which may name a folder with an older build.
        linker.args(["-Wl,--as-needed", "-Wl,--disable-new-dtags"]);
        linker.arg(format!("-Wl,-rpath,{}", folder.display()));
        linker.arg(&library).arg("-ldl");
        run(&mut linker, source);
        fs::remove_file(object).unwrap();
    });
    program
}

/// The library with ThreadSanitizer in all of it, also in Rust's own: without that, each lock of the library would
/// look like none. Takes a nightly toolchain with rust-src.
fn thread_sanitized_library() -> PathBuf {
    let folder = deps().ancestors().nth(2).unwrap().join("thread-sanitizer");
    let mut cargo = nightly("cargo");
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "--lib",
        "-Zbuild-std",
        "--target",
    ]);
    cargo.arg(nightly_host()).current_dir(project());
    cargo
        .env("RUSTFLAGS", "-Zsanitizer=thread")
        .env("CARGO_TARGET_DIR", &folder);
    run(&mut cargo, "the library with ThreadSanitizer");
    folder.join(nightly_host()).join("debug/libwsplug.so")
}

fn thread_sanitizer_runtime() -> PathBuf {
    let root = run(nightly("rustc").args(["--print", "sysroot"]), "rustc");
    let libraries = format!("lib/rustlib/{}/lib", nightly_host());
    Path::new(root.trim())
        .join(libraries)
        .join("librustc-nightly_rt.tsan.a")
}

fn nightly_host() -> String {
    run(nightly("rustc").args(["--print", "host-tuple"]), "rustc")
        .trim()
        .to_owned()
}

fn nightly(tool: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", tool]);
    command
}

/// Has a file made under a name that nobody else uses, then gives it its own: other test binaries may use it already.
fn place(path: &Path, make: impl FnOnce(&Path)) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap().to_string_lossy();
    let unfinished = path.with_file_name(format!("{name}-{}-{count}", std::process::id()));
    make(&unfinished);
    fs::rename(unfinished, path).unwrap();
}

/// The name under which programs linked against the library look for it.
pub fn soname() -> String {
    let dynamic = run(
        Command::new("readelf")
            .args(["--dynamic", "--wide"])
            .arg(library()),
        "readelf",
    );
    let soname = dynamic
        .lines()
        .find_map(|line| line.split_once("Library soname: ["))
        .map(|(_, rest)| rest);
    soname
        .and_then(|rest| rest.split_once(']'))
        .expect("the library has a soname")
        .0
        .to_owned()
}

/// What a self-checking program runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    Nothing,
    Sanitizers,
    ThreadSanitizer,
    /// Errors and lost blocks.
    Valgrind,
    /// Errors only: for programs that end, or whose children do, while threads of the library hold memory.
    ValgrindWithoutLeaks,
}

/// Runs a self-checking program of tests/c. It must end with 0 and print nothing: neither does it itself when all is
/// well, nor may the library, ever.
pub fn check(name: &str, arguments: &[&str], under: Under) {
    let flavour = match under {
        Under::Sanitizers => Flavour::Sanitized,
        Under::ThreadSanitizer => Flavour::Thread,
        _ => Flavour::Plain,
    };
    let program = compile(&format!("tests/c/{name}.c"), flavour);
    let mut command = match under {
        Under::Valgrind | Under::ValgrindWithoutLeaks => {
            let mut valgrind = Command::new("valgrind");
            valgrind.args([
                "--quiet",
                "--error-exitcode=99",
                "--fair-sched=yes",
                "--child-silent-after-fork=no",
            ]);
            if under == Under::Valgrind {
                valgrind.args([
                    "--leak-check=full",
                    "--errors-for-leak-kinds=definite,indirect,possible",
                ]);
            }
            let suppressions = project().join("tests/c/valgrind.supp");
            valgrind.arg(format!("--suppressions={}", suppressions.display()));
            valgrind.arg(program);
            valgrind
        }
        _ => Command::new(program),
    };
    let slowness = match under {
        Under::Nothing => "1",
        Under::Sanitizers => "3",
        _ => "10",
    };
    command
        .args(arguments)
        .env("WSPLUG_TEST_SLOWNESS", slowness)
        .stdin(Stdio::null());
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert!(
        status.success() && printed.is_empty(),
        "{name} {arguments:?}, {under:?}: {status}\n{printed}"
    );
}

/// Runs a tool and returns what it printed; panics with its words if it failed.
pub fn run(command: &mut Command, what: &str) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{what}: cannot run {command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{what}: {command:?} failed:\n{errors}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `target/<profile>/deps`, where cargo puts the test binaries and the library that belongs to them.
fn deps() -> PathBuf {
    std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned()
}
