//! What the pages say is so: their code runs, their samples are real, their tables are complete, their links lead somewhere.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/fences.rs"]
mod fences;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use adversary::{Frame, Peer, listener, request_to, url};
use serde_json::{Map, Value, json};
use wsplug::api::{self, Reply};
use wsplug::error::Status;
use wsplug::protocol::Kind;

/// Every page, by its path below the project.
fn pages() -> Vec<(String, String)> {
    let mut names: Vec<String> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
        .map(String::from)
        .into();
    for entry in fs::read_dir(cc::project().join("docs")).unwrap() {
        names.push(format!(
            "docs/{}",
            entry.unwrap().file_name().to_string_lossy()
        ));
    }
    names.sort();
    names
        .into_iter()
        .filter(|name| name.ends_with(".md"))
        .map(|name| {
            let text = read(&name);
            (name, text)
        })
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(cc::project().join(path))
        .unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// A fenced block: its language, its text, and what a page shows behind it as the program's output.
struct Block {
    place: String,
    language: String,
    code: String,
    output: Option<String>,
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (page, text) in pages() {
        // Output stands under its program, in the same section.
        let mut program = None;
        for fence in fences::of(&text) {
            let above = program.filter(|(section, _)| *section == fence.section);
            if let (Some((_, program)), "text") = (above, &*fence.language) {
                let program: &mut Block = &mut blocks[program];
                program.output = Some(fence.code);
                continue;
            }
            if fence.language == "c" {
                program = Some((fence.section, blocks.len()));
            }
            blocks.push(Block {
                place: format!("{page}:{}", fence.line),
                language: fence.language,
                code: fence.code,
                output: None,
            });
        }
    }
    blocks
}

#[test]
fn every_block_is_of_a_language_that_is_checked_or_said_not_to_be() {
    for block in blocks() {
        let is_known = [
            "c",
            "cmake",
            "cpp",
            "csharp",
            "java",
            "js",
            "json",
            "json client",
            "json server",
            "json stop",
            "lua",
            "nginx",
            "pascal",
            "python",
            "sh",
            "text",
            "4d",
            "wlanguage",
        ]
        .contains(&block.language.as_str());
        assert!(is_known, "{}: {:?}", block.place, block.language);
    }
    let hosts = read("docs/hosts.md");
    assert!(
        hosts.contains("4D methods are not run")
            && hosts.contains("| WINDEV, WEBDEV | [WINDEV](#windev) | no; ")
    );
    let windows = read("docs/windows.md").replace('\n', " ");
    assert!(
        windows
            .contains("Nothing of this has run on Windows itself, in WINDEV, 4D, Excel or Delphi.")
    );
}

#[test]
fn c_blocks_compile_and_the_programs_print_what_is_shown() {
    let mut programs = 0;
    for block in blocks().into_iter().filter(|block| block.language == "c") {
        // The examples listen on 8080; the test takes a port that is free here.
        let port = free_port().to_string();
        let source = scratch(&block.place, ".c");
        let has_main = block.code.contains("int main(");
        let code = block.code.replace("8080", &port);
        let rest = if has_main {
            ""
        } else {
            "int main(void) { return 0; }\n"
        };
        fs::write(&source, code + rest).unwrap();
        let program = cc::compile(source.to_str().unwrap(), cc::Flavour::Plain);
        let printed = cc::run(&mut Command::new(program), &block.place);
        if has_main {
            let shown = block
                .output
                .unwrap_or_else(|| panic!("{}: what the program prints is not shown", block.place));
            check_output(&block.place, &printed, &shown.replace("8080", &port));
            programs += 1;
        }
    }
    assert!(programs >= 3, "only {programs} C programs found");
}

/// What was printed is what a page shows, line by line, where "…" stands for any part of a line.
fn check_output(place: &str, printed: &str, shown: &str) {
    let mut lines = printed.lines();
    for expected in shown.lines() {
        let line = lines.next();
        assert!(
            line.is_some_and(|line| fits(line, expected)),
            "{place} prints {line:?}, not {expected:?}"
        );
    }
    assert_eq!(lines.next(), None, "{place} prints more than is shown");
}

fn fits(line: &str, expected: &str) -> bool {
    let Some((first, expected)) = expected.split_once('…') else {
        return line == expected;
    };
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = expected.rsplit_once('…').unwrap_or(("", expected));
    for part in middle.split('…') {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

/// Those that use the wrapper are run by tests/hosts.rs.
#[test]
fn python_blocks_run() {
    let mut programs = 0;
    for block in blocks()
        .into_iter()
        .filter(|block| block.language == "python" && !block.code.contains("import wsplug\n"))
    {
        let source = scratch(&block.place, ".py");
        fs::write(&source, &block.code).unwrap();
        let mut python = Command::new("python3");
        python.arg(&source).env("WSPLUG_LIBRARY", cc::library());
        let printed = cc::run(&mut python, &block.place);
        let expected = "server open \nclient open \nserver message hello\nclient message HELLO\n";
        let sorted = |text: &str| text.lines().map(String::from).collect::<BTreeSet<_>>();
        assert_eq!(sorted(&printed), sorted(expected), "{}", block.place);
        programs += 1;
    }
    assert_eq!(programs, 1);
}

#[test]
fn json_blocks_are_json_and_shell_blocks_are_shell() {
    for block in blocks() {
        match block.language.as_str() {
            "json" => {
                let value: Result<Value, _> = serde_json::from_str(&block.code);
                assert!(value.is_ok(), "{}: {value:?}", block.place);
            }
            "cmake" => {
                // tests/packages.rs builds with it.
                let project = read("tests/packages/CMakeLists.txt");
                for line in block.code.lines() {
                    let line = line.replace("program", "other");
                    assert!(project.contains(&line), "{}: {line}", block.place);
                }
            }
            "sh" => {
                let mut bash = Command::new("bash");
                bash.args(["-n", "-c", &block.code]);
                cc::run(&mut bash, &block.place);
                let commands = block.code.lines().filter_map(|line| line.split(' ').next());
                for script in commands.filter(|command| command.ends_with(".sh")) {
                    assert!(
                        cc::project().join(script).exists(),
                        "{}: there is no {script}",
                        block.place
                    );
                }
            }
            _ => {}
        }
    }
}

/// Options that a page shows are options that the library takes and knows.
#[test]
fn json_blocks_of_options_are_taken_by_the_library() {
    let mut taken = 0;
    for block in blocks() {
        let reply = match block.language.as_str() {
            "json server" => {
                let (reply, reference) = created(api::server_create(&block.code));
                done(api::server_clear(reference));
                reply
            }
            "json client" => {
                let (reply, reference) = created(api::client_create(&block.code));
                done(api::client_clear(reference));
                reply
            }
            "json stop" => {
                let (_, reference) = created(api::server_create("{}"));
                let reply = done(api::server_stop(reference, &block.code));
                done(api::server_clear(reference));
                reply
            }
            _ => continue,
        };
        let place = &block.place;
        assert_eq!(reply.get("ignoredOptions"), None, "{place}: {reply}");
        taken += 1;
    }
    assert!(taken > 8, "only {taken} blocks");
}

#[test]
fn the_page_of_options_is_the_one_that_the_source_gives() {
    let path = cc::project().join("docs/options.md");
    let generated = options_page();
    if std::env::var_os("WSPLUG_BLESS").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == generated,
        "docs/options.md is not what src/api/options.rs gives; WSPLUG_BLESS=1 cargo test --test docs rewrites it"
    );
}

/// An example for each option, by group.
fn option_examples() -> Value {
    serde_json::from_str(&read("tests/support/option_examples.json")).unwrap()
}

#[test]
fn each_option_has_an_example_that_it_takes() {
    let mut examples = option_examples();
    for (group, rows) in api::option_groups() {
        for row in rows {
            let example = examples[group]
                .as_object_mut()
                .and_then(|group| group.shift_remove(row.name))
                .unwrap_or_else(|| {
                    panic!(
                        "tests/support/option_examples.json has none for {} of {group}",
                        row.name
                    )
                });
            assert_eq!((row.check)(&example), Ok(()), "{}", row.name);
            assert_ne!(example.to_string(), row.default, "{} by default", row.name);
        }
        assert_eq!(examples[group], json!({}), "{group} has no such options");
    }
}

/// The rows of the source, with the defaults that a server and a client show in their replies.
fn options_page() -> String {
    let (server, reference) = created(api::server_create("{}"));
    done(api::server_clear(reference));
    let (client, reference) = created(api::client_create("{}"));
    done(api::client_clear(reference));
    let examples = option_examples();
    let mut page = "# Options\n\n\
        Made from `src/api/options.rs`; do not edit it here. Options are one JSON object. What is wrong in general (types, ranges, unknown\n\
        names, `null`) stands in [abi.md](abi.md#options-and-replies).\n"
        .to_owned();
    let places: HashMap<&str, &str> = HashMap::from([
        ("Library", "Of `wsplug_init`."),
        (
            "Events of a server or client",
            "Of create, start and stop, and of `wsplug_server_set`; in force at once. Each event carries the values that were in force when it happened.",
        ),
        (
            "Server",
            "Of `wsplug_server_create`, `wsplug_server_start` and `wsplug_server_stop`; in force from the next start on, but `interval`, `blocked` and `sendBudgetBytes` at once. \
             Of `wsplug_server_set`, at any time: `interval` and `blocked`.",
        ),
        (
            "Client",
            "Of `wsplug_client_create`, `wsplug_client_start` and `wsplug_client_stop`; in force from the next start on.",
        ),
        (
            "Server and client",
            "Of create, start and stop of both; in force from the next start on, but `eventQueueBytes` and `eventQueueEvents` at once.",
        ),
        ("Start of a client", "Of `wsplug_client_start`."),
        ("Accept", "Of `wsplug_client_accept`."),
        ("Reject", "Of `wsplug_client_reject`."),
        ("Stop", "Of `wsplug_server_stop` and `wsplug_client_stop`."),
        ("Stop of a server", "Of `wsplug_server_stop`."),
        (
            "Send",
            "Of `wsplug_client_send_with` and `wsplug_server_send`.",
        ),
        ("Send of a server", "Of `wsplug_server_send`."),
        ("Publish", "Of `wsplug_server_publish`."),
        (
            "Messages",
            "Of `wsplug_server_messages` and `wsplug_client_messages`.",
        ),
        ("Wake-up", "Of `wsplug_set_wakeup`."),
    ]);
    for (group, rows) in api::option_groups() {
        let has_two = group == "Server and client";
        let place = places
            .get(group)
            .unwrap_or_else(|| panic!("where is {group} given?"));
        page += &format!("\n## {group}\n\n{place}\n\n");
        page += match has_two {
            true => {
                "| option | expected | default of a server | default of a client | example | meaning |\n|---|---|---|---|---|---|\n"
            }
            false => "| option | expected | default | example | meaning |\n|---|---|---|---|---|\n",
        };
        for row in &rows {
            let defaults = match has_two {
                true => format!(
                    "{} | {}",
                    shown(&server, row.name),
                    shown(&client, row.name)
                ),
                false if group == "Events of a server or client" && row.default.is_empty() => {
                    "as `wsplug_init`".to_owned()
                }
                false => code(&row.default),
            };
            let expected = row.expected.replace('|', "\\|");
            let example = code(&examples[group][row.name].to_string());
            let meaning = row.meaning.replace('|', "\\|");
            page += &format!(
                "| `{}` | {expected} | {defaults} | {example} | {meaning} |\n",
                row.name
            );
        }
        for row in rows.iter().filter(|row| !row.members.is_empty()) {
            page += &members_table(group, row);
        }
    }
    page
}

fn members_table(group: &str, row: &api::Row) -> String {
    let whose = match group {
        "Server" => " of a server",
        "Client" => " of a client",
        _ => "",
    };
    let mut table = format!(
        "\n### Members of `{}`{whose}\n\n| member | expected | default | example | meaning |\n|---|---|---|---|---|\n",
        row.name
    );
    for member in row.members {
        let is_json = serde_json::from_str::<Value>(member.default).is_ok();
        let default = match is_json {
            true => code(member.default),
            false => member.default.to_owned(),
        };
        table += &format!(
            "| `{}` | {} | {default} | {} | {} |\n",
            member.name,
            member.expected,
            code(member.example),
            member.meaning.trim()
        );
    }
    table
}

/// What the tables of members say is what the library says, takes and shows.
#[test]
fn members_of_options_are_as_the_library_has_them() {
    let mut checked = 0;
    for (group, rows) in api::option_groups() {
        for row in rows.iter().filter(|row| !row.members.is_empty()) {
            // A server's TLS wants a certificate before anything else.
            let needed = match (group, row.name) {
                ("Server", "tls") => json!({"certFile": "fullchain.pem"}),
                _ => json!({}),
            };
            let shown = shown_by_default(group, row.name, &needed);
            for member in row.members {
                let place = format!("{group}, {}.{}", row.name, member.name);
                let with = |value: Value| {
                    let mut given = needed.clone();
                    given[member.name] = value;
                    if member.name == "keyFile" {
                        given["certFile"] = "both.pem".into();
                    }
                    if member.name == "maxVersion" {
                        given["minVersion"] = "1.2".into();
                    }
                    (row.check)(&given)
                };
                let error = with(json!({})).unwrap_err();
                let said = format!("\"{}\" must be {}", member.name, member.expected);
                assert!(error.contains(&said), "{place}: {error}");
                let example = serde_json::from_str(member.example).unwrap();
                assert_eq!(with(example), Ok(()), "{place}");
                if let Ok(default) = serde_json::from_str::<Value>(member.default) {
                    assert_eq!(shown[member.name], default, "{place}");
                } else {
                    // Said in words: not shown where it is not given, or not the same at both ends.
                    let is_told = ["enabled", "certFile", "keyFile"].contains(&member.name);
                    assert!(is_told || shown.get(member.name).is_none(), "{place}");
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "only {checked} members");
}

/// An option that is an object as a reply shows it where only what is needed was given.
fn shown_by_default(group: &str, option: &str, needed: &Value) -> Value {
    let options = json!({ option: needed }).to_string();
    let configuration = match group {
        "Client" => {
            let (shown, reference) = created(api::client_create(&options));
            done(api::client_clear(reference));
            shown
        }
        _ => {
            let (shown, reference) = created(api::server_create(&options));
            done(api::server_clear(reference));
            shown
        }
    };
    configuration[option].clone()
}

fn shown(configuration: &Value, option: &str) -> String {
    code(
        &configuration
            .get(option)
            .map(Value::to_string)
            .unwrap_or_default(),
    )
}

fn code(text: &str) -> String {
    match text.is_empty() {
        true => "none".to_owned(),
        false => format!("`{text}`"),
    }
}

#[test]
fn the_readme_names_every_function_option_and_event() {
    let readme = read("README.md");
    let header = read("include/wsplug.h");
    let functions: Vec<&str> = header
        .lines()
        .filter(|line| !line.starts_with(['/', ' ', '#', 't']))
        .filter_map(|line| line.split("WSPLUG_API ").nth(1)?.split_once('('))
        .map(|(name, _)| name)
        .collect();
    assert!(functions.len() > 20);
    let options = api::option_groups();
    let options = options
        .iter()
        .flat_map(|(_, rows)| rows)
        .map(|row| row.name);
    let events = header
        .split_once("Type is ")
        .and_then(|(_, rest)| rest.split_once(';'))
        .unwrap()
        .0;
    let events: Vec<&str> = events.split('"').skip(1).step_by(2).collect();
    assert!(events.len() >= 8, "{events:?}");
    for name in functions.into_iter().chain(options).chain(events.clone()) {
        assert!(
            readme.contains(&format!("`{name}`")),
            "README.md does not name {name}"
        );
    }
    let page = read("docs/events.md");
    for event in events {
        assert!(
            page.contains(&format!("\n### {event}\n")),
            "docs/events.md has no {event}"
        );
    }
}

#[test]
fn the_statuses_are_those_of_the_header() {
    let page = read("docs/abi.md");
    for line in read("include/wsplug.h").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["#define", name, value] = words[..] {
            let is_status =
                value.starts_with('-') || ["WSPLUG_OK", "WSPLUG_TIMEOUT"].contains(&name);
            if is_status {
                let row = format!("| `{name}` | {value} |");
                assert!(page.contains(&row), "docs/abi.md has no {row:?}");
            }
        }
    }
}

#[test]
fn links_and_paths_lead_somewhere() {
    let pages = pages();
    for (page, text) in &pages {
        let folder = Path::new(page).parent().unwrap();
        for link in between(text, "](", ")") {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => PathBuf::from(page),
                file => folder.join(file),
            };
            let path = cc::project().join(&target);
            assert!(path.exists(), "{page}: {link} leads nowhere");
            if !anchor.is_empty() {
                let headings: Vec<String> = fs::read_to_string(path)
                    .unwrap()
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(anchor_of)
                    .collect();
                assert!(
                    headings.iter().any(|heading| heading == anchor),
                    "{page}: {link}: {headings:?}"
                );
            }
        }
        for name in between(text, "`", "`") {
            let is_path = [
                "src/",
                "tests/",
                "docs/",
                "scripts/",
                "include/",
                "examples-c/",
            ]
            .iter()
            .any(|folder| name.starts_with(folder));
            if is_path && !name.contains(['*', ' ']) {
                assert!(
                    cc::project().join(name).exists(),
                    "{page}: there is no {name}"
                );
            }
        }
    }
}

#[test]
fn the_index_has_every_page() {
    let index = read("docs/README.md");
    for (page, _) in pages() {
        if let Some(name) = page
            .strip_prefix("docs/")
            .filter(|name| *name != "README.md")
        {
            assert!(
                index.contains(&format!("]({name})")),
                "docs/README.md has no {name}"
            );
        }
    }
}

/// What stands between two marks, outside of fenced blocks.
fn between<'a>(text: &'a str, from: &'a str, to: &'a str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for prose in text.split("\n```").step_by(2) {
        for line in prose.lines() {
            let mut rest = line;
            while let Some((_, after)) = rest.split_once(from) {
                let Some((name, after)) = after.split_once(to) else {
                    break;
                };
                found.push(name);
                rest = after;
            }
        }
    }
    found
}

/// As Markdown viewers make them.
fn anchor_of(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// A message in the tables of faults is one that the library, or the system, can give.
#[test]
fn the_messages_of_the_page_of_faults_stand_in_the_source() {
    let mut source = String::new();
    collect(&cc::project().join("src"), &mut source);
    let templates = texts(&source);
    let pages = read("docs/faults.md") + &read("docs/events.md");
    let mut messages = 0;
    for line in pages.lines().filter(|line| line.starts_with("| ")) {
        for message in between(line, "`", "`") {
            let is_message = message.contains(' ') && !message.contains(['{', '(']);
            let is_systems = ["(os error", "Connection refused", "ulimit"]
                .iter()
                .any(|word| message.contains(word));
            if is_message && !is_systems {
                let is_there = templates.iter().any(|template| says(template, message));
                assert!(is_there, "no text of the source gives {message:?}");
                messages += 1;
            }
        }
    }
    assert!(messages > 30, "only {messages} messages found");
}

/// The texts in Rust code, each as what stands between its placeholders.
fn texts(source: &str) -> Vec<Vec<String>> {
    let source = source.replace("\\\"", "\u{1}").replace("\\\n", "\u{2}");
    let mut texts = Vec::new();
    // Line by line: a quote in a comment or a character leads nobody astray for long.
    let lines = source.lines();
    for text in lines.flat_map(|line| line.split('"').skip(1).step_by(2)) {
        let mut whole = String::new();
        for (number, piece) in text.split('\u{2}').enumerate() {
            whole += if number == 0 {
                piece
            } else {
                piece.trim_start()
            };
        }
        let whole = whole.replace('\u{1}', "\"");
        texts.push(
            whole
                .split('{')
                .enumerate()
                .map(|(number, part)| match number {
                    0 => part.to_owned(),
                    _ => part.split_once('}').map_or("", |(_, rest)| rest).to_owned(),
                })
                .collect(),
        );
    }
    texts
}

/// Whether a template's words stand in a message, in their order, and are most of it.
fn says(template: &[String], message: &str) -> bool {
    let mut rest = message;
    for part in template {
        let Some((_, after)) = rest.split_once(part.as_str()) else {
            return false;
        };
        rest = after;
    }
    let length: usize = template.iter().map(String::len).sum();
    2 * length > message.len()
}

fn collect(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, text),
            false => *text += &fs::read_to_string(path).unwrap(),
        }
    }
}

/// Every room has its row, and no row is of a room that is gone.
#[test]
fn the_map_shows_the_rooms_that_there_are() {
    let map = read("ARCHITECTURE.md");
    let table = map.split_once("| room |").unwrap().1;
    let table = table.split_once("\n\n").unwrap().0;
    let rows = table
        .lines()
        .skip(2)
        .filter_map(|row| row.split('|').nth(1));
    let shown: BTreeSet<String> = rows
        .flat_map(|row| between(row, "`", "`"))
        .map(String::from)
        .collect();
    let rooms: BTreeSet<String> = fs::read_dir(cc::project().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .filter(|name| name != "lib")
        .collect();
    assert_eq!(shown, rooms);
    let layers = read("tests/layers.rs");
    for room in rooms {
        assert!(
            layers.contains(&format!("(\"{room}\",")),
            "tests/layers.rs has no {room}"
        );
    }
}

#[test]
fn every_test_that_cargo_test_leaves_out_is_in_the_command_for_all() {
    let command = read("scripts/test.sh");
    let manifest = read("Cargo.toml");
    let left_out: Vec<&str> = manifest
        .split("[[test]]")
        .skip(1)
        .filter(|target| target.contains("test = false"))
        .map(|target| between(target, "name = \"", "\"")[0])
        .collect();
    assert!(left_out.contains(&"autobahn"), "{left_out:?}");
    for name in left_out {
        let runs = command.lines().any(|line| {
            line.contains("cargo test --locked") && line.contains(&format!("--test {name}"))
        });
        assert!(runs, "scripts/test.sh does not run {name}");
    }
}

/// Each sample of docs/events.md beside the same event as it really comes: the same keys in the same order, the same values.
#[test]
fn the_samples_of_events_are_real() {
    let page = read("docs/events.md");
    let types = page
        .split_once("## Types and contexts")
        .unwrap()
        .1
        .split_once("\n## ")
        .unwrap()
        .0;
    let mut real = real_events();
    let mut samples = 0;
    for section in types.split("\n### ").skip(1) {
        let event = section.lines().next().unwrap();
        let of_type = real
            .get_mut(event)
            .unwrap_or_else(|| panic!("no {event} came"));
        for text in section.split("```json").skip(1) {
            let sample: Map<String, Value> =
                serde_json::from_str(text.split_once("```").unwrap().0).unwrap();
            assert!(!of_type.is_empty(), "{event} has more samples than events");
            let real = of_type.remove(0);
            compare(event, &sample, real.as_object().unwrap());
            samples += 1;
        }
        assert!(of_type.is_empty(), "{event}: {of_type:?} has no sample");
    }
    assert_eq!(samples, 16);
}

/// Values that are others each time.
const CHANGING: [&str; 7] = [
    "Host",
    "url",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Accept",
    "User-Agent",
    "remotePort",
    "bufferedAmount",
];

fn compare(event: &str, sample: &Map<String, Value>, real: &Map<String, Value>) {
    let keys = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(sample), keys(real), "{event}");
    for (key, value) in sample {
        match (value, &real[key]) {
            (Value::Object(sample), Value::Object(real)) => compare(event, sample, real),
            (sample, real) if CHANGING.contains(&key.as_str()) => {
                assert_eq!(
                    std::mem::discriminant(sample),
                    std::mem::discriminant(real),
                    "{event}: {key}"
                );
            }
            (sample, real) => assert_eq!(sample, real, "{event}: {key}"),
        }
    }
}

/// The contexts of one of each event, by type, in the order of the page.
fn real_events() -> HashMap<&'static str, Vec<Value>> {
    let mut real: HashMap<&str, Vec<Value>> = HashMap::new();
    let mut keep = |kind: &'static str, event: Value| {
        real.entry(kind).or_default().push(event["context"].clone());
    };

    let options = json!({"port": 0, "protocols": ["chat"], "drain": true, "sendQueueBytes": 65536});
    let (_, server) = created(api::server_create(&options.to_string()));
    let port = done(api::server_start(server, ""))["port"]
        .as_u64()
        .unwrap() as u16;
    let options =
        json!({"url": format!("ws://127.0.0.1:{port}/room?name=ann"), "protocols": "chat"});
    let (_, client) = created(api::client_create(&options.to_string()));
    done(api::client_start(client, ""));
    let opened = next(server, "open");
    let accepted = opened["client"].as_i64().unwrap() as i32;
    keep("open", opened);
    keep("open", next(client, "open"));

    let send = |client, kind, data: &[u8]| api::client_send(client, kind, data).unwrap();
    send(client, Kind::Text, b"hello");
    keep("message", next(server, "message"));
    send(client, Kind::Binary, &[0, 255]);
    keep("message", next(server, "message"));
    send(client, Kind::Ping, b"are you there");
    keep("ping", next(server, "ping"));
    next(client, "pong");
    send(accepted, Kind::Pong, b"still here");
    keep("pong", next(client, "pong"));
    done(api::client_stop(client, r#"{"code":4000,"reason":"bye"}"#));
    keep("close", next(server, "close"));
    assert_eq!(next(client, "close")["context"]["remote"], false);

    let mut peer = Peer::client(port);
    let slow = next(server, "open")["client"].as_i64().unwrap() as i32;
    peer.send(&Frame::text("one ").not_final());
    peer.send(&Frame::new(0, "two"));
    keep("fragment", next(server, "fragment"));
    assert_eq!(next(server, "message")["context"]["data"], "one two");
    while api::client_send(slow, Kind::Binary, &[0; 65536]).is_ok() {}
    std::thread::spawn(move || while peer.swallow(1 << 20) > 0 {});
    keep("drain", next(server, "drain"));
    let options = r#"{"confirm":7}"#;
    let confirmed = api::client_send_with(slow, Kind::Text, b"hello", options);
    done(confirmed);
    keep("sent", next(server, "sent"));
    done(api::client_execute(slow, "greet", r#"{"name":"ann"}"#));
    keep("execute", next(server, "execute"));
    done(api::server_set(server, r#"{"interval":"1 ms"}"#));
    keep("service", next(server, "service"));
    done(api::server_stop(server, ""));
    keep("stopped", next(server, "stopped"));
    done(api::server_clear(server));

    let options = json!({"port": 0, "admission": "ask"});
    let (_, server) = created(api::server_create(&options.to_string()));
    let started = done(api::server_start(server, ""));
    let mut asking = Peer::tcp(started["port"].as_u64().unwrap() as u16);
    let headers = "Cookie: session=1234\r\nSec-WebSocket-Protocol: chat\r\n";
    asking.send_bytes(request_to("127.0.0.1", "/room?name=ann", headers).as_bytes());
    let asked = next(server, "request");
    let client = asked["client"].as_i64().unwrap() as i32;
    keep("request", asked);
    done(api::client_reject(client, r#"{"status":401}"#));
    keep("refused", next(server, "refused"));
    done(api::server_clear(server));

    let refuses = listener();
    let options = json!({"url": url(&refuses), "enableAutomaticReconnection": false});
    let (_, client) = created(api::client_create(&options.to_string()));
    done(api::client_start(client, r#"{"wait":false}"#));
    let mut peer = Peer::accept_tcp(&refuses);
    peer.send_bytes(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 13\r\n\r\nsign in first");
    keep("error", next(client, "error"));
    done(api::client_clear(client));
    real
}

/// The next event of a server or client that is of this type; others before it are passed over.
fn next(reference: i32, kind: &str) -> Value {
    let options = r#"{"max":1,"timeout":10}"#;
    loop {
        let events = done(match reference < 0 {
            true => api::server_messages(reference, options),
            false => api::client_messages(reference, options),
        });
        let event = events.get(0).unwrap_or_else(|| panic!("no {kind} came"));
        if event["type"] == kind {
            return event.clone();
        }
    }
}

/// The reply of a create, and the ref.
fn created((reply, reference): (Reply, i32)) -> (Value, i32) {
    (done(reply), reference)
}

/// The reply of a command that must be done.
fn done(reply: Reply) -> Value {
    let status = reply.status;
    let value: Value = serde_json::from_str(&reply.into_text()).unwrap();
    assert_eq!(status, Status::Ok, "{value}");
    value
}

fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// A file for the code of a block, beside the programs that are made of it.
fn scratch(place: &str, ending: &str) -> PathBuf {
    let folder = cc::library()
        .parent()
        .unwrap()
        .with_file_name("docs-programs");
    fs::create_dir_all(&folder).unwrap();
    let name = place.replace(['/', ':', '.'], "-");
    folder.join(name + ending)
}
