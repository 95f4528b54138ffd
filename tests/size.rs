//! The release library is as large as the README says. Building it takes a minute: `cargo test --test size`.

#[path = "support/cc.rs"]
mod cc;

use std::fs;
use std::process::Command;

#[test]
fn the_library_is_as_large_as_the_readme_says() {
    let readme = fs::read_to_string(cc::project().join("README.md")).unwrap();
    let (before, _) = readme.split_once(" MB (Linux x86-64, stripped)").unwrap();
    let stated: f64 = before.rsplit(' ').next().unwrap().parse().unwrap();
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return;
    }
    let target = cc::library().ancestors().nth(3).unwrap().to_owned();
    let mut make = Command::new("make");
    make.arg("--silent")
        .current_dir(cc::project())
        .env("CARGO_TARGET_DIR", &target);
    cc::run(&mut make, "the release library");
    let size = fs::metadata(target.join("release/libwsplug.so"))
        .unwrap()
        .len() as f64
        / 1e6;
    // Compilers differ a little.
    assert!(
        (size / stated - 1.0).abs() < 0.1,
        "{size:.2} MB, the README says {stated}"
    );
}
