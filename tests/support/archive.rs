//! The archives of `scripts/release.sh`: made, unpacked outside of the tree, built against.
//! Does not know what is in them.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::cc::{self, project};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes an archive, once for each, and returns the folder of all.
pub fn released(what: &'static str) -> PathBuf {
    static MADE: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut made = MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if made.insert(what) {
        let mut release = Command::new(project().join("scripts/release.sh"));
        release.arg(what).env("CARGO_TARGET_DIR", target());
        said(release.env("TZ", "JST-9")); // what is packed there is the same
    }
    target().join("packages")
}

/// An archive of `tar`, in a folder for `test`.
pub fn unpacked(what: &'static str, name: &str, test: &str) -> Scratch {
    let archive = released(what).join(format!("{name}.tar.gz"));
    let folder = scratch(test);
    let mut tar = Command::new("tar");
    said(tar.arg("-C").arg(&*folder).arg("-xzf").arg(archive));
    folder
}

/// A zip, into a folder.
pub fn unzip(zip: &Path, folder: &Path) {
    let mut python = Command::new("python3");
    said(python.args(["-m", "zipfile", "-e"]).arg(zip).arg(folder));
}

/// A program of tests/c, built with what is in the unpacked archive `top` and nothing else.
pub fn compile(folder: &Path, top: &Path, compiler: &str, program: &str) -> PathBuf {
    let built = folder.join(program);
    let line = format!(
        "{compiler} -std=c11 -pthread {} -o {} $(pkg-config --cflags --libs wsplug) -ldl",
        project().join(format!("tests/c/{program}.c")).display(),
        built.display()
    );
    said(shell(folder, &line).env("PKG_CONFIG_PATH", top.join("lib/pkgconfig")));
    built
}

/// Neither where the source was, nor cargo's and rustup's folders.
pub fn holds_no_path_of_this_machine(file: &Path) {
    let bytes = fs::read(file).unwrap();
    let home = std::env::var("HOME").unwrap();
    let project = format!("{}/", project().display());
    for path in [
        &project,
        &format!("{home}/."),
        ".cargo/",
        ".rustup/",
        "registry/src",
    ] {
        let found = bytes
            .windows(path.len())
            .position(|window| window == path.as_bytes());
        let around = found.map(|at| String::from_utf8_lossy(&bytes[at..at + 100]).into_owned());
        assert_eq!(around, None, "{path} in {}", file.display());
    }
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// An empty folder outside of the tree, gone with this value.
pub struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl std::ops::Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

pub fn scratch(name: &str) -> Scratch {
    let folder = std::env::temp_dir().join(format!("wsplug-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    Scratch(folder)
}

pub fn shell(folder: &Path, line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.current_dir(folder).args(["-ec", line]);
    shell
}

pub fn said(command: &mut Command) -> String {
    cc::run(command, &format!("{command:?}"))
}
