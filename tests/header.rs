//! The C header says what the source says, and any C or C++ compiler takes it without a word; and what other languages
//! declare of it in examples-hosts is the same.

#[path = "support/cc.rs"]
mod cc;
#[path = "header/interface.rs"]
mod interface;
#[path = "header/texts.rs"]
mod texts;
#[path = "header/wrappers.rs"]
mod wrappers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const COLUMNS: usize = 110;

#[test]
fn the_committed_header_is_the_one_the_source_gives() {
    let path = cc::project().join("include/wsplug.h");
    let generated = generate();
    if std::env::var_os("WSPLUG_BLESS").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    let differing = committed
        .lines()
        .zip(generated.lines())
        .position(|(a, b)| a != b);
    assert!(
        committed == generated,
        "include/wsplug.h is not what src/ffi gives, from line {} on; WSPLUG_BLESS=1 cargo test --test header rewrites it",
        differing.unwrap_or(committed.lines().count().min(generated.lines().count())) + 1,
    );
}

#[test]
fn every_function_of_the_source_is_in_the_header() {
    let header = generate();
    let mut functions = 0;
    for file in sources() {
        let source = fs::read_to_string(&file).unwrap();
        for (_, rest) in source
            .match_indices("fn wsplug_")
            .map(|(at, _)| source.split_at(at + 3))
        {
            let name = &rest[..rest.find(['(', '<']).unwrap()];
            assert!(
                header.contains(&format!(" {name}(")),
                "{name} of {} is not in the header",
                file.display()
            );
            functions += 1;
        }
    }
    assert!(functions > 0, "no function found in src/ffi");
}

#[test]
fn the_header_compiles_as_c99() {
    compiles("gcc", "c", "c99");
}

#[test]
fn the_header_compiles_as_c11() {
    compiles("gcc", "c", "c11");
}

#[test]
fn the_header_compiles_as_c17() {
    compiles("gcc", "c", "c17");
}

#[test]
fn the_header_compiles_as_cpp11() {
    compiles("g++", "c++", "c++11");
}

/// On 32-bit Windows a callback without the convention would corrupt the stack, so no declaration may lack it.
#[test]
fn every_function_and_every_callback_type_has_the_calling_convention() {
    for line in generate().lines() {
        if line.starts_with("typedef void (") {
            assert!(
                line.starts_with("typedef void (WSPLUG_API *wsplug_"),
                "{line}"
            );
        } else if !line.starts_with(['/', '#', ' ', '}'])
            && !line.starts_with("typedef struct ")
            && line.contains('(')
        {
            assert!(line.contains("WSPLUG_API wsplug_"), "{line}");
        }
    }
}

/// The header: cbindgen's, with WSPLUG_API at each function and each callback type.
fn generate() -> String {
    // cbindgen knows no ABI but "C" and passes over functions of another, so it reads a copy.
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("ffi-{:?}", std::thread::current().id()));
    fs::create_dir_all(&copy).unwrap();
    for file in sources() {
        let source = fs::read_to_string(&file)
            .unwrap()
            .replace("extern \"system\"", "extern \"C\"");
        fs::write(copy.join(file.file_name().unwrap()), source).unwrap();
    }
    let config = cbindgen::Config::from_file(cc::project().join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(copy.join("mod.rs"))
        .generate()
        .unwrap();
    fs::remove_dir_all(&copy).unwrap();
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header)
        .unwrap()
        .lines()
        .map(with_calling_convention)
        .collect()
}

fn with_calling_convention(line: &str) -> String {
    let declares = line.ends_with(");") && !line.starts_with(['/', '#', ' ']);
    let line = match line.find("wsplug_") {
        Some(_) if declares && line.starts_with("typedef ") => {
            line.replacen("(*wsplug_", "(WSPLUG_API *wsplug_", 1)
        }
        Some(name) if declares => format!("{}WSPLUG_API {}", &line[..name], &line[name..]),
        _ => line.to_owned(),
    };
    if declares { broken(&line) } else { line + "\n" }
}

/// Breaks a declaration that is too long after a comma.
fn broken(line: &str) -> String {
    let mut lines = vec![String::new()];
    for argument in line.split_inclusive(", ") {
        if lines.last().unwrap().len() + argument.trim_end().len() > COLUMNS {
            lines.push(" ".repeat(8));
        }
        lines.last_mut().unwrap().push_str(argument);
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

fn sources() -> Vec<PathBuf> {
    let files = fs::read_dir(cc::project().join("src/ffi"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn compiles(compiler: &str, language: &str, standard: &str) {
    let header = cc::project().join("include/wsplug.h");
    let mut command = Command::new(compiler);
    command.args([
        "-Wall",
        "-Wextra",
        "-pedantic",
        "-Werror",
        "-fsyntax-only",
        "-x",
        language,
    ]);
    // Compiled by itself, so that it needs nothing before it.
    command.arg(format!("-std={standard}")).arg(header);
    cc::run(&mut command, standard);
}
