//! What is given to others: the archives are unpacked, and programs outside of this tree are built against what is in them.
//!
//! `scripts/release.sh` makes them; in `cargo test --test packages` they are made as they are for a release.

#[path = "support/archive.rs"]
mod archive;
#[path = "support/cc.rs"]
mod cc;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use archive::{
    VERSION, holds_no_path_of_this_machine, released, said, scratch, shell, target, unpacked,
};
use cc::project;

#[test]
fn programs_are_built_against_the_archive_with_pkg_config_and_with_cmake() {
    let folder = unpacked("linux", &name(), "archive");
    let top = folder.join(name());
    use_it(&folder, &top.join("lib"));

    // The tests' own programs, with nothing but what is in the archive.
    for (program, arguments) in [
        ("lifecycle", &[][..]),
        ("texts", &[]),
        ("delivery", &["thread"]),
        ("threads", &["inline"]),
    ] {
        let program = archive::compile(&folder, &top, "gcc", program);
        let lib = top.join("lib");
        said(
            Command::new(program)
                .args(arguments)
                .env("LD_LIBRARY_PATH", lib),
        );
    }
    for file in ["bin/wsplug", "lib/libwsplug.so"] {
        holds_no_path_of_this_machine(&top.join(file));
    }
    // The command needs no library; its pages are there.
    let told = said(Command::new(top.join("bin/wsplug")).arg("--version"));
    assert_eq!(told.trim(), format!("wsplug {VERSION}"));
    for page in ["wsplug", "wsplug-serve", "wsplug-connect", "wsplug-doctor"] {
        assert!(
            top.join(format!("share/man/man1/{page}.1")).exists(),
            "{page}"
        );
    }
    let documents = top.join("share/doc/wsplug");
    for document in ["LICENSE-MIT", "docs/options.md", "docs/threads.svg"] {
        let installed = fs::read(documents.join(document)).unwrap();
        assert!(installed == fs::read(project().join(document)).unwrap());
    }
    links_lead_somewhere(&documents);
}

/// From page to page, and to the examples; only what is about the source lies there alone.
fn links_lead_somewhere(documents: &Path) {
    let mut links = 0;
    let pages = files(documents);
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|end| end == "md"))
    {
        let text = fs::read_to_string(page).unwrap();
        let prose: String = text.split("\n```").step_by(2).collect();
        for link in prose.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            let is_of_the_source = ["ARCHITECTURE.md", "benches/", "tests/", "include/"]
                .iter()
                .any(|folder| link.trim_start_matches("../").starts_with(folder));
            if link.is_empty() || link.contains("://") || is_of_the_source {
                continue;
            }
            let target = page.parent().unwrap().join(link);
            assert!(target.exists(), "{}: {link}", page.display());
            links += 1;
        }
    }
    assert!(links > 50, "only {links} links");
}

/// Versions that begin with 0 are compatible where their second numbers are the same.
#[test]
fn find_package_takes_the_versions_that_are_compatible() {
    let folder = scratch("versions");
    let template = project().join("packaging/wsplug-config-version.cmake.in");
    let template = fs::read_to_string(template).unwrap();
    let takes = |own: &str, asked: &str| {
        let file = template.replace("@VERSION@", own).replace("@POINTER@", "8");
        let ask = "if(NOT PACKAGE_VERSION_COMPATIBLE)\n  message(FATAL_ERROR no)\nendif()\n";
        fs::write(folder.join("ask.cmake"), file + ask).unwrap();
        let mut cmake = Command::new("cmake");
        cmake.current_dir(&*folder);
        cmake.arg(format!("-DPACKAGE_FIND_VERSION={asked}"));
        let output = cmake.args(["-P", "ask.cmake"]).output().unwrap();
        output.status.success()
    };
    for (own, asked) in [
        ("0.1.2", "0"),
        ("0.1.2", "0.1"),
        ("0.1.2", "0.1.2"),
        ("1.4.0", "1"),
        ("1.4.0", "1.3.9"),
        ("10.0.0", "10"),
    ] {
        assert!(takes(own, asked), "{own} for {asked}");
    }
    for (own, asked) in [
        ("0.1.2", "0.1.3"),
        ("0.1.2", "0.0"),
        ("0.1.2", "0.2"),
        ("0.10.2", "0.1"),
        ("0.1.2", "1"),
        ("1.4.0", "0"),
        ("1.4.0", "0.1"),
        ("1.4.0", "1.5"),
        ("10.0.0", "1"),
    ] {
        assert!(!takes(own, asked), "{own} for {asked}");
    }
}

#[test]
fn every_archive_has_its_checksum() {
    let out = released("linux");
    let listed = fs::read_to_string(out.join("SHA256SUMS")).unwrap();
    assert!(listed.contains(&format!("{}.tar.gz", name())), "{listed}");
    said(&mut shell(&out, "sha256sum --check --strict SHA256SUMS"));
}

#[test]
fn what_is_installed_is_uninstalled() {
    released("linux");
    let folder = scratch("install");
    let make = |what: &str| {
        let mut make = Command::new("make");
        make.current_dir(project())
            .args(["--silent", what, "PREFIX=/opt/w"])
            .arg(format!("DESTDIR={}", folder.display()));
        make.arg("LIBDIR=/opt/w/lib/deep/er")
            .env("CARGO_TARGET_DIR", target());
        said(&mut make);
    };
    make("install");
    // The header is found from a deeper folder too.
    use_it(&folder, &folder.join("opt/w/lib/deep/er"));
    make("uninstall");
    let left = files(&folder.join("opt"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_debian_package_has_the_same_and_works() {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        eprintln!("not tested: there is no dpkg-deb");
        return;
    }
    let out = released("deb");
    let architecture = said(Command::new("dpkg").arg("--print-architecture"));
    let package = out.join(format!("wsplug_{VERSION}_{}.deb", architecture.trim()));
    let control = said(Command::new("dpkg-deb").arg("--info").arg(&package));
    assert!(control.contains("Depends: libc6 (>= 2."), "{control}");
    let listed = said(Command::new("dpkg-deb").arg("--contents").arg(&package));
    assert!(
        listed.lines().all(|line| line.contains(" root/root ")),
        "{listed}"
    );

    let root = scratch("deb");
    said(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(&package)
            .arg(&*root),
    );
    let library = files(&root)
        .into_iter()
        .find(|file| file.ends_with(format!("libwsplug.so.{VERSION}")));
    let library = library.expect("the library is in it");
    use_it(&root, library.parent().unwrap());
    assert!(
        root.join("usr/share/man/man1/wsplug.1.gz").exists()
            && root.join("usr/share/doc/wsplug/copyright").exists()
    );
    said(Command::new(root.join("usr/bin/wsplug")).arg("--help"));
}

/// Where `scripts/windows.sh build` has run; its own tests run what is in them.
#[test]
fn the_windows_archives_have_the_libraries_that_were_tested() {
    let built = target().join("windows");
    if !built.join("wsplug64.dll").exists() {
        eprintln!(
            "not tested: there are no Windows libraries; scripts/windows.sh build makes them"
        );
        return;
    }
    let out = released("windows");
    for bits in [64, 32] {
        let folder = scratch(&format!("windows-{bits}"));
        let zip = out.join(format!("wsplug-{VERSION}-windows-{bits}.zip"));
        archive::unzip(&zip, &folder);
        let top = folder.join(format!("wsplug-{VERSION}-windows-{bits}"));
        for (packed, tested) in [
            (format!("bin/wsplug{bits}.dll"), format!("wsplug{bits}.dll")),
            ("bin/wsplug.exe".to_owned(), format!("wsplug{bits}.exe")),
            (
                format!("lib/libwsplug{bits}.dll.a"),
                format!("libwsplug{bits}.dll.a"),
            ),
            (format!("lib/wsplug{bits}.def"), format!("wsplug{bits}.def")),
        ] {
            let (packed, tested) = (top.join(packed), built.join(tested));
            assert!(
                fs::read(&packed).unwrap() == fs::read(tested).unwrap(),
                "{packed:?}"
            );
        }
        assert!(
            fs::read(top.join("include/wsplug.h")).unwrap()
                == fs::read(project().join("include/wsplug.h")).unwrap()
        );

        // What the readme leads to is beside it.
        let readme = fs::read_to_string(top.join("doc/README.md")).unwrap();
        let links = readme.split("](").skip(1);
        for link in links.map(|rest| rest.split([')', '#']).next().unwrap()) {
            let is_here = link.is_empty() || link.contains("://");
            assert!(is_here || top.join("doc").join(link).exists(), "{link}");
        }
        assert!(top.join("doc/docs/windows.md").exists());

        // Its times are those of the source, in UTC, wherever it was packed.
        let listed = said(
            Command::new("python3")
                .args(["-m", "zipfile", "-l"])
                .arg(&zip),
        );
        let time = said(&mut shell(
            project(),
            "TZ=UTC date -d @$(git log -1 --format=%ct || stat -c %Y CHANGELOG.md) '+%Y-%m-%d %H:%M'",
        ));
        for line in listed.lines().skip(1) {
            assert!(line.contains(time.trim()), "{line} is not of {time}");
        }
    }
}

/// Builds and runs a program of somebody else's in two ways; `lib` is where the library was put.
fn use_it(folder: &Path, lib: &Path) {
    let other = folder.join("other");
    fs::create_dir_all(&other).unwrap();
    for file in ["main.c", "CMakeLists.txt"] {
        fs::copy(
            project().join("tests/packages").join(file),
            other.join(file),
        )
        .unwrap();
    }
    let greeting = format!("{VERSION} says hello\n");
    let mut by_hand = shell(
        &other,
        "gcc -Wall -Werror main.c -o by-hand $(pkg-config --cflags --libs wsplug)",
    );
    said(by_hand.env("PKG_CONFIG_PATH", lib.join("pkgconfig")));
    let run = |program: &Path| said(Command::new(program).env("LD_LIBRARY_PATH", lib));
    assert_eq!(run(&other.join("by-hand")), greeting);
    let needed = said(
        Command::new("readelf")
            .arg("--dynamic")
            .arg(other.join("by-hand")),
    );
    assert!(needed.contains("[libwsplug.so.1]"), "{needed}");

    let configure = format!(
        "cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -Dwsplug_DIR='{}' && cmake --build build",
        lib.join("cmake/wsplug").display()
    );
    said(&mut shell(&other, &configure));
    // CMake has written down where the library is.
    assert_eq!(said(&mut Command::new(other.join("build/other"))), greeting);
}

fn name() -> String {
    format!("wsplug-{VERSION}-linux-{}", std::env::consts::ARCH)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() && !path.is_symlink() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}
