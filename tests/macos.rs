//! The archives for macOS: read, not run. `scripts/macos.sh build` comes first. Nothing of them has ever run.

#[path = "support/archive.rs"]
mod archive;
#[path = "support/cc.rs"]
mod cc;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use archive::{Scratch, VERSION};
use cc::project;
use object::macho::{LC_CODE_SIGNATURE, MH_DYLIB, MH_HAS_TLV_DESCRIPTORS};
use object::read::macho::{LoadCommandVariant, MachHeader, MachOFile64};
use object::{Architecture, Endianness, Object};

const ARCHITECTURES: [(&str, Architecture); 2] = [
    ("arm64", Architecture::Aarch64),
    ("x86_64", Architecture::X86_64),
];

/// The archive's folder, inside of one that is gone with the value.
fn unpacked(architecture: &str, test: &str) -> (Scratch, PathBuf) {
    let name = format!("wsplug-{VERSION}-macos-{architecture}");
    let folder = archive::unpacked("macos", &name, &format!("{test}-{architecture}"));
    let top = folder.join(name);
    (folder, top)
}

fn library(architecture: &str, test: &str) -> Vec<u8> {
    let (_folder, top) = unpacked(architecture, test);
    fs::read(top.join("lib/libwsplug.dylib")).unwrap()
}

fn parse(library: &[u8]) -> MachOFile64<'_, Endianness> {
    MachOFile64::parse(library).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn exported_symbols_are_the_functions_of_the_header() {
    let header = fs::read_to_string(project().join("include/wsplug.h")).unwrap();
    let declared: BTreeSet<String> = header
        .lines()
        .filter(|line| !line.starts_with("typedef"))
        .filter_map(|line| line.split("WSPLUG_API ").nth(1)?.split_once('('))
        .map(|(name, _)| format!("_{name}"))
        .collect();
    assert!(declared.len() > 30, "{declared:?}");
    for (name, _) in ARCHITECTURES {
        let library = library(name, "exports");
        let exported: BTreeSet<String> = parse(&library)
            .exports()
            .unwrap()
            .map(|export| text(export.unwrap().name().name().unwrap()).to_owned())
            .collect();
        assert_eq!(exported, declared, "{name}");
    }
}

#[test]
fn the_libraries_are_what_they_are_said_to_be() {
    for (name, architecture) in ARCHITECTURES {
        let library = library(name, "kind");
        let file = parse(&library);
        let header = file.macho_header();
        assert_eq!(file.architecture(), architecture);
        assert_eq!(header.filetype(file.endian()), MH_DYLIB);
        // What keeps macOS from unloading the library while its threads run.
        assert!(header.flags(file.endian()).contains(MH_HAS_TLV_DESCRIPTORS));

        let (mut installed_as, mut signed) = (None, false);
        let mut commands = file.macho_load_commands().unwrap();
        while let Some(command) = commands.next().unwrap() {
            if let LoadCommandVariant::IdDylib(id) = command.variant().unwrap() {
                installed_as = Some(text(command.string(file.endian(), id.dylib.name).unwrap()));
            }
            signed |= command.cmd() == LC_CODE_SIGNATURE;
        }
        assert_eq!(installed_as, Some("@rpath/libwsplug.dylib"), "{name}");
        // macOS runs nothing for arm64 that has no signature, be it one of nobody.
        assert!(signed || architecture != Architecture::Aarch64);
    }
}

#[test]
fn the_libraries_need_nothing_but_the_system() {
    for (name, _) in ARCHITECTURES {
        let library = library(name, "needs");
        let needed: BTreeSet<String> = parse(&library)
            .import_libraries()
            .unwrap()
            .map(|needed| text(needed.unwrap().name()).to_owned())
            .collect();
        let system = [
            "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation",
            "/System/Library/Frameworks/Security.framework/Versions/A/Security",
            "/usr/lib/libSystem.B.dylib",
        ];
        assert!(needed.iter().eq(system), "{name}: {needed:?}");
    }
}

#[test]
fn the_archives_hold_what_programs_are_built_with() {
    for (name, _) in ARCHITECTURES {
        let (_folder, top) = unpacked(name, "content");
        archive::holds_no_path_of_this_machine(&top.join("lib/libwsplug.dylib"));
        for (packed, source) in [
            ("include/wsplug.h", "include/wsplug.h"),
            ("share/doc/wsplug/LICENSE-MIT", "LICENSE-MIT"),
        ] {
            let source = fs::read(project().join(source)).unwrap();
            assert!(fs::read(top.join(packed)).unwrap() == source, "{packed}");
        }
        // What they name is there, and nothing is left to be filled in.
        let config = fs::read_to_string(top.join("lib/cmake/wsplug/wsplug-config.cmake")).unwrap();
        for path in ["../../libwsplug.dylib", "../../../include"] {
            assert!(config.contains(&format!("_DIR}}/{path}\"")), "{config}");
            assert!(top.join("lib/cmake/wsplug").join(path).exists(), "{path}");
        }
        assert!(
            config.contains("IMPORTED_SONAME \"@rpath/libwsplug.dylib\""),
            "{config}"
        );
        let pc = fs::read_to_string(top.join("lib/pkgconfig/wsplug.pc")).unwrap();
        assert!(pc.contains(&format!("Version: {VERSION}\n")), "{pc}");
        assert!(
            pc.contains("includedir=${pcfiledir}/../../include\n"),
            "{pc}"
        );
    }
}
