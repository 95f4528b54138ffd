//! Builds the programs of examples-c as their Makefile says, against the library of this `cargo test`.
//! Does not know what they do.

use std::path::PathBuf;
use std::process::Command;

use crate::cc;

/// The folder with the programs, one for each test binary; `name` tells them apart.
pub fn build(name: &str) -> PathBuf {
    let library = cc::library();
    let library = library.parent().expect("the library is in a folder");
    let programs = library
        .parent()
        .expect("that is the folder deps")
        .join(name);
    let mut make = Command::new("make");
    make.arg("--silent")
        .arg("--always-make")
        .arg("-C")
        .arg(cc::project().join("examples-c"))
        .arg(format!("LIBRARY={}", library.display()))
        .arg(format!("OUT={}", programs.display()));
    cc::run(&mut make, "make -C examples-c");
    programs
}
