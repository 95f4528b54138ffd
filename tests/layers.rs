//! The rooms of ARCHITECTURE.md: who may use whom, and what belongs in one room only.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms below it that it may use, from the top down.
#[rustfmt::skip]
const MAY_USE: &[(&str, &[&str])] = &[
    ("ffi",        &["api", "events", "protocol", "platform", "error", "log"]),
    ("api",        &["library", "server", "client", "connection", "events", "transport", "protocol", "registry", "callback", "error", "log"]),
    ("library",    &["server", "client", "connection", "events", "transport", "protocol", "registry", "platform", "callback", "error", "log"]),
    ("server",     &["connection", "events", "transport", "protocol", "registry", "platform", "error", "log"]),
    ("client",     &["connection", "events", "transport", "protocol", "platform", "error", "log"]),
    ("connection", &["events", "transport", "protocol", "platform", "spare", "error", "log"]),
    ("events",     &["protocol", "platform", "callback", "spare", "error", "log"]),
    ("transport",  &["platform", "error", "log"]),
    ("log",        &["callback"]),
    ("protocol",   &["spare"]),
    ("registry",   &["refs"]),
    ("refs",       &[]),
    ("platform",   &[]),
    ("callback",   &[]),
    ("spare",      &[]),
    ("error",      &[]),
];

/// Words that the code of some rooms only may contain, and why.
#[rustfmt::skip]
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("unsafe", &["ffi", "platform"], "pointers end at the C boundary, and some system calls have no other form"),
    ("TcpStream", &["transport"], "everything else works on any byte stream"),
    ("TcpListener", &["transport"], "everything else works on any byte stream"),
    ("serde_json", &["api", "events"], "JSON is the host's language, not the network's"),
    ("tokio", &["library", "server", "client", "connection", "transport"], "the rest does not wait for the network"),
    ("print", &[], "a guest prints nothing"),
    ("println", &[], "a guest prints nothing"),
    ("eprint", &[], "a guest prints nothing"),
    ("eprintln", &[], "a guest prints nothing"),
    ("dbg", &[], "a guest prints nothing"),
    ("todo", &[], "there is nothing half done"),
    ("unimplemented", &[], "there is nothing half done"),
];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let mut wrong = BTreeSet::new();
    for (room, file, code) in sources() {
        let (_, allowed) = MAY_USE
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| {
                panic!("src/{room} is not in the table of rooms");
            });
        for used in rooms_used(&code).filter(|used| *used != room) {
            if !allowed.contains(&used) {
                wrong.insert(format!("src/{room} uses {used} ({})", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_points_down() {
    for (index, (room, allowed)) in MAY_USE.iter().enumerate() {
        for used in *allowed {
            let below = MAY_USE.iter().position(|(name, _)| name == used);
            assert!(
                below.is_some_and(|below| below > index),
                "{room} may use {used}, which is not below it"
            );
        }
    }
}

#[test]
fn what_belongs_in_one_room_stays_there() {
    let mut wrong = BTreeSet::new();
    for (room, file, code) in sources() {
        for word in words(&code) {
            if let Some((word, _, why)) = ONLY_IN
                .iter()
                .find(|(w, rooms, _)| *w == word && !rooms.contains(&&*room))
            {
                wrong.insert(format!("src/{room} has {word} ({}): {why}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The command is a host like others: one file speaks C.
#[test]
fn the_command_has_its_unsafe_in_one_file() {
    let mut files = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/src"),
        &mut files,
    );
    let is_unsafe = |file: &&PathBuf| {
        words(&code_of(&fs::read_to_string(file).unwrap())).any(|word| word == "unsafe")
    };
    let found: Vec<&PathBuf> = files.iter().filter(is_unsafe).collect();
    assert!(
        matches!(&found[..], [only] if only.ends_with("library.rs")),
        "{found:?}"
    );
}

#[test]
fn each_module_opens_with_what_it_knows_and_what_it_does_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = sources()
        .into_iter()
        .map(|(_, file, _)| root.join(file))
        .collect();
    collect(&root.join("cli/src"), &mut files);
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let mut lines = source.lines();
        let knows = lines.next().unwrap_or_default();
        let knows_not = lines.next().unwrap_or_default();
        assert!(
            knows.starts_with("//! "),
            "{} opens with {knows}",
            file.display()
        );
        assert!(
            knows_not.starts_with("//! Does not know")
                || knows_not.starts_with("//! Knows nothing of"),
            "{} goes on with {knows_not}",
            file.display()
        );
    }
}

/// The table would be worth little if this test could not see.
#[test]
fn uses_are_seen_through_groups_and_not_in_comments_and_texts() {
    let code = code_of(
        r##"use crate::{api, server::{Server, client}}; // crate::ffi
            /* crate::log */ let text = "crate::refs \" crate::refs"; let quote = '"'; crate::error::x(r#"crate::refs""#);
            crate :: registry :: y(); use super::super::platform; fn f<'a>(a: &'a str) { crate::events::z() }"##,
    );
    let used: Vec<&str> = rooms_used(&code).collect();
    assert_eq!(
        used,
        ["api", "server", "error", "registry", "platform", "events"]
    );
}

/// The rooms that follow `crate::`, also inside the braces of a `use`.
fn rooms_used(code: &str) -> impl Iterator<Item = &'static str> {
    let compact: String = code
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(" :: ", "::")
        .replace(":: ", "::");
    let mut used = Vec::new();
    for prefix in ["crate::", "super::super::"] {
        for (at, _) in compact.match_indices(prefix) {
            let rest = &compact[at + prefix.len()..];
            let names = if rest.starts_with('{') {
                top_of_group(rest)
            } else {
                vec![first_word(rest)]
            };
            used.extend(names.into_iter().filter_map(|name| {
                let place = MAY_USE.iter().position(|(room, _)| *room == name)?;
                Some((at, MAY_USE[place].0))
            }));
        }
    }
    used.sort_by_key(|(at, _)| *at);
    used.into_iter().map(|(_, room)| room)
}

/// The first word of each member of `{a, b::{c, d}}`.
fn top_of_group(group: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut names = Vec::new();
    for (at, letter) in group.char_indices() {
        if depth == 1
            && matches!(group[..at].trim_end().chars().last(), Some('{' | ','))
            && letter != ' '
        {
            names.push(first_word(&group[at..]));
        }
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn first_word(text: &str) -> &str {
    let end = text
        .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(text.len());
    &text[..end]
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

/// Each source file: its room, its path and its code. `lib.rs` only lists the rooms.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    let mut sources = Vec::new();
    for file in files {
        let relative = file.strip_prefix(root).unwrap().to_owned();
        let room = relative
            .components()
            .nth(1)
            .unwrap()
            .as_os_str()
            .to_string_lossy();
        let room = room.trim_end_matches(".rs").to_owned();
        if room != "lib" {
            sources.push((room, relative, code_of(&fs::read_to_string(file).unwrap())));
        }
    }
    assert!(sources.len() > MAY_USE.len());
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Rust code without its comments and without what stands in its texts.
fn code_of(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            raw_text_end(rest)
        } else if letter == '"' {
            text_end(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\") {
            2 + rest[3..].find('\'').unwrap() + 2
        } else {
            0
        };
        if skipped > 0 {
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    code
}

fn text_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// 0 where it is a raw name such as `r#type`.
fn raw_text_end(text: &str) -> usize {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    text[2 + hashes..]
        .find(&end)
        .map_or(text.len(), |at| 2 + hashes + at + end.len())
}
