//! The shared library as the linker sees it: what it exports, what it needs, and which version it says it is.

#[path = "support/cc.rs"]
mod cc;

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs;
use std::process::Command;

#[test]
fn exported_symbols_are_the_functions_of_the_header() {
    let symbols = cc::run(
        Command::new("nm")
            .args(["--dynamic", "--defined-only"])
            .arg(cc::library()),
        "nm",
    );
    let exported: BTreeSet<&str> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    let header = read("include/wsplug.h");
    let declared: BTreeSet<&str> = header.lines().filter_map(function).collect();
    assert!(!declared.is_empty());
    assert_eq!(exported, declared);
}

/// The function that a line of the header declares.
fn function(line: &str) -> Option<&str> {
    if line.starts_with("typedef") || line.starts_with(['/', ' ', '#']) {
        return None;
    }
    let name = line.split("WSPLUG_API ").nth(1)?;
    name.split_once('(').map(|(name, _)| name)
}

#[test]
fn the_soname_is_the_librarys_name() {
    assert!(cc::soname().starts_with("libwsplug.so"), "{}", cc::soname());
}

/// Threads of the library may still run its code when a host calls dlclose.
#[test]
fn the_library_stays_in_memory_once_it_was_loaded() {
    assert!(
        dynamic()
            .iter()
            .any(|line| line.contains("(FLAGS_1)") && line.contains("NODELETE")),
        "{:#?}",
        dynamic()
    );
}

#[test]
fn the_library_needs_nothing_but_the_system() {
    for line in dynamic().iter().filter(|line| line.contains("(NEEDED)")) {
        let name = line.split(['[', ']']).nth(1).unwrap();
        let is_system = ["libc.so", "libgcc_s.so", "libm.so", "ld-linux"]
            .iter()
            .any(|known| name.starts_with(known));
        assert!(is_system, "needs {name}");
    }
}

#[test]
fn all_versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    // SAFETY: the text is static and ends with NUL, says the header.
    let told = unsafe { CStr::from_ptr(wsplug::ffi::wsplug_version()) };
    assert_eq!(told.to_str().unwrap(), version);

    let header = read("include/wsplug.h");
    let abi = format!(
        "#define WSPLUG_ABI_VERSION {}",
        wsplug::ffi::wsplug_abi_version()
    );
    assert!(
        header.lines().any(|line| line == abi),
        "the header has no line {abi}"
    );

    let changelog = read("CHANGELOG.md");
    let newest = changelog
        .lines()
        .find(|line| line.starts_with("## "))
        .expect("CHANGELOG.md has a version");
    assert!(
        newest[3..].trim_start_matches('[').starts_with(version),
        "CHANGELOG.md begins with {newest}"
    );
}

fn dynamic() -> Vec<String> {
    let section = cc::run(
        Command::new("readelf")
            .args(["--dynamic", "--wide"])
            .arg(cc::library()),
        "readelf",
    );
    section.lines().map(str::to_owned).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(cc::project().join(file)).unwrap()
}
