//! The programs of examples-hosts, one for each language: all print what examples-hosts/expected.txt says, and end well.
//! Where a wrapper does more than declare, a program of tests/hosts checks the rest of it. The first programs of docs/hosts.md
//! are taken from that page, with the commands that build and run them.
//!
//! They need compilers and runtimes that are large: not in `cargo test`, but in scripts/test.sh.

#[path = "support/cc.rs"]
mod cc;
#[path = "support/fences.rs"]
mod fences;
#[path = "support/interop_peers.rs"]
mod interop_peers;

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use interop_peers::{folder, has, program};

#[test]
fn python_by_ctypes() {
    plays(&mut host("python3", "python"), &["python/scenario.py"]);
    checks(&mut host("python3", "python"), &["../tests/hosts/tour.py"]);
    begins("Python", |_| {});
}

#[test]
fn node_by_koffi() {
    let modules = folder().join("node/node_modules");
    if has(&modules.join("koffi"), "node") {
        // Node looks for packages beside and above a module, not where it is told to.
        let place = scratch("node");
        for file in ["scenario.mjs", "wsplug.mjs", "../../tests/hosts/tour.mjs"] {
            let file = examples().join("node").join(file);
            fs::copy(&file, place.join(file.file_name().unwrap())).unwrap();
        }
        link(&modules, &place.join("node_modules"));
        plays(&mut host("node", "node"), &[place.join("scenario.mjs")]);
        checks(&mut host("node", "node"), &[place.join("tour.mjs")]);
        begins("Node", |place| link(&modules, &place.join("node_modules")));
    }
}

#[test]
fn luajit_by_its_ffi() {
    if has(&program("luajit"), "lua") {
        plays(&mut host("luajit", "lua"), &["luajit/scenario.lua"]);
        checks(&mut host("luajit", "lua"), &["../tests/hosts/tour.lua"]);
        begins("LuaJIT", |_| {});
    }
}

#[test]
fn csharp_by_p_invoke() {
    if has(&program("mcs"), "csharp") && has(&program("mono"), "csharp") {
        // By the library's name here, and by the one that it has on Windows.
        link(&cc::library(), &libraries().join("libwsplug64.so"));
        for name in ["WSPLUG", "WSPLUG64"] {
            let built = scratch("csharp").join(format!("{name}.exe"));
            let mut compiler = Command::new("mcs");
            compiler.args(["-langversion:7", "-warnaserror"]);
            compiler.args([
                "-r:System.Runtime.Serialization",
                "-r:System.Xml",
                "-r:System.Xml.Linq",
            ]);
            compiler.arg(format!("-define:{name}"));
            compiler.arg(format!("-out:{}", built.display()));
            build(compiler.args(["csharp/Wsplug.cs", "csharp/Scenario.cs"]));
            plays(&mut host("mono", "csharp"), &[built]);
        }
        begins("C# and .NET", |_| {});
    }
}

#[test]
fn java_by_jna() {
    let jars = ["jna", "gson"].map(|jar| PathBuf::from(format!("/usr/share/java/{jar}.jar")));
    if has(&program("javac"), "java") && jars.iter().all(|jar| has(jar, "java")) {
        let built = scratch("java");
        let [jna, gson] = jars.map(|jar| jar.display().to_string());
        let mut compiler = Command::new("javac");
        compiler.args([
            "-encoding",
            "UTF-8",
            "-Xlint:all",
            "-Werror",
            "-cp",
            &format!("{jna}:{gson}"),
            "-d",
        ]);
        build(
            compiler
                .arg(&built)
                .args(["java/Wsplug.java", "java/Scenario.java"]),
        );
        let path = format!("{jna}:{gson}:{}", built.display());
        let libraries = format!("-Djna.library.path={}", libraries().display());
        plays(
            &mut host("java", "java"),
            &["-cp", &path, &libraries, "Scenario"],
        );
        begins("Java", |_| {});
    }
}

#[test]
fn pascal_by_its_unit() {
    if has(&program("fpc"), "pascal") {
        let built = scratch("pascal");
        let mut compiler = Command::new("fpc");
        compiler.args(["-v0ew", "-O2", "-Fupascal"]);
        compiler.arg(format!("-Fl{}", libraries().display()));
        compiler.arg(format!("-FE{}", built.display()));
        build(compiler.arg("pascal/scenario.pas"));
        plays(&mut Command::new(built.join("scenario")), &[""; 0]);
        begins("Pascal", |_| {});
    }
}

#[test]
fn cpp_by_its_header() {
    let json = Path::new("/usr/include/nlohmann/json.hpp");
    if has(&program("g++"), "c") && has(json, "cpp") {
        let built = ["cpp/scenario.cpp", "../tests/hosts/tour.cpp"].map(|source| {
            let built = scratch("cpp").join(Path::new(source).file_stem().unwrap());
            let mut compiler = Command::new("g++");
            compiler.args([
                "-std=c++17",
                "-O1",
                "-Wall",
                "-Wextra",
                "-pedantic",
                "-Werror",
                "-pthread",
            ]);
            compiler
                .args(["-I../include", "-Icpp", source, "-o"])
                .arg(&built);
            build(compiler.arg("-L").arg(libraries()).arg("-lwsplug"));
            built
        });
        plays(&mut Command::new(&built[0]), &[""; 0]);
        checks(&mut Command::new(&built[1]), &[""; 0]);
        begins("C++17", |_| {});
    }
}

/// The first program of a section of docs/hosts.md: saved in an empty folder under the name that stands there, built and run by
/// the commands below it, it prints what is shown. What it installs is what scripts/install.sh does.
fn begins(section: &str, prepare: impl FnOnce(&Path)) {
    let page = fs::read_to_string(cc::project().join("docs/hosts.md")).unwrap();
    let (_, text) = page.split_once(&format!("\n## {section}\n")).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let (before, after) = text.split_once("Save this as `").unwrap();
    let name = after.split('`').next().unwrap();
    let blocks = fences::of(after);
    let [program, commands, shown] = [0, 1, 2].map(|block| &blocks[block]);
    assert_eq!(
        (&*commands.language, &*shown.language),
        ("sh", "text"),
        "{section}"
    );

    let installed = fs::read_to_string(cc::project().join("scripts/install.sh")).unwrap();
    for command in before.split("`apt install ").skip(1) {
        for package in command.split('`').next().unwrap().split(' ') {
            let is_known = installed
                .split(|letter: char| letter.is_whitespace() || letter == ';')
                .any(|word| word == package);
            assert!(
                is_known,
                "{section}: scripts/install.sh does not install {package}"
            );
        }
    }

    let place = scratch(&format!("first-{name}"));
    fs::remove_dir_all(&place).unwrap();
    fs::create_dir_all(place.join("project/target/release")).unwrap();
    let project = place.join("project");
    for folder in ["include", "examples-hosts"] {
        link(&cc::project().join(folder), &project.join(folder));
    }
    link(&cc::library(), &project.join("target/release/libwsplug.so"));
    prepare(&place);
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    fs::write(
        place.join(name),
        program.code.replace("8080", &port.to_string()),
    )
    .unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-e", "-c", &commands.code]).current_dir(&place);
    shell.env("WSPLUG", project).stdin(Stdio::null());
    shell.env("LC_ALL", "C").env("PYTHONDONTWRITEBYTECODE", "1");
    // Not that of cargo, which may name a folder with an older build.
    shell.env_remove("LD_LIBRARY_PATH");
    assert_eq!(cc::run(&mut shell, section), shown.code, "{section}");
}

/// Runs a scenario, which prints what all print.
fn plays<A: AsRef<OsStr>>(host: &mut Command, arguments: &[A]) {
    let expected = fs::read_to_string(examples().join("expected.txt")).unwrap();
    assert_eq!(run(host, arguments), expected, "{host:?}");
}

/// Runs a program that checks the rest of a wrapper itself, and prints nothing.
fn checks<A: AsRef<OsStr>>(host: &mut Command, arguments: &[A]) {
    assert_eq!(run(host, arguments), "", "{host:?}");
}

/// What a host prints; nothing on stderr, and it ends with 0.
fn run<A: AsRef<OsStr>>(host: &mut Command, arguments: &[A]) -> String {
    host.args(arguments)
        .current_dir(examples())
        .stdin(Stdio::null());
    // The way to the library, as each language has it. No language of the system's: text is UTF-8 whatever that is.
    host.env("WSPLUG_LIBRARY", cc::library())
        .env("LD_LIBRARY_PATH", libraries());
    host.env("LC_ALL", "C").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = host
        .output()
        .unwrap_or_else(|error| panic!("cannot run {host:?}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    let is_well = output.status.success() && complaints.is_empty();
    assert!(
        is_well,
        "{host:?}: {}: {printed}{complaints}",
        output.status
    );
    printed
}

/// A runtime that is there, or the test says which part of scripts/install.sh brings it.
fn host(name: &str, part: &str) -> Command {
    assert!(has(&program(name), part), "{name} is missing");
    Command::new(program(name))
}

fn build(compiler: &mut Command) {
    cc::run(
        compiler.current_dir(examples()),
        "a wrapper and its scenario",
    );
}

fn examples() -> PathBuf {
    cc::project().join("examples-hosts")
}

/// A folder with nothing but the library, under the name that programs look for.
fn libraries() -> PathBuf {
    let place = scratch("libraries");
    link(&cc::library(), &place.join(cc::soname()));
    place
}

fn scratch(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("hosts")
        .join(name);
    fs::create_dir_all(&place).unwrap();
    place
}

/// Makes a link, or keeps the one that is there: tests run in parallel.
fn link(target: &Path, place: &Path) {
    if fs::read_link(place).is_ok_and(|there| there == target) {
        return;
    }
    let unfinished = place.with_extension(format!("{:?}", std::thread::current().id()));
    symlink(target, &unfinished).unwrap();
    fs::rename(unfinished, place).unwrap();
}
