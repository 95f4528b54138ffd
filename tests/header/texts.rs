//! The WLanguage and 4D texts of examples-hosts, which are not run, call what the header declares, with as much as it takes.
//! Does not know those languages beyond their calls.

use std::collections::HashMap;
use std::fs;
use std::ops::RangeInclusive;

use super::interface::{Function, Interface, Kind};
use super::{cc, generate};

/// The files of a folder of examples-hosts, by name.
fn texts(folder: &str) -> Vec<(String, String)> {
    let folder = cc::project().join("examples-hosts").join(folder);
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&file).unwrap())
        })
        .collect()
}

/// WLanguage: the files, and the blocks of the page on hosts.
fn wlanguage() -> Vec<(String, String)> {
    let page = fs::read_to_string(cc::project().join("docs/hosts.md")).unwrap();
    let blocks = page.split("```wlanguage\n").skip(1);
    let blocks = blocks.map(|rest| {
        (
            "docs/hosts.md".to_owned(),
            rest.split("```").next().unwrap().to_owned(),
        )
    });
    let all = texts("windev").into_iter().chain(blocks);
    all.map(|(file, text)| (file, code(&text))).collect()
}

/// What stands between a parenthesis that has just been opened and its end, split at commas or semicolons of its own.
fn arguments(text: &str, separator: char) -> Vec<String> {
    let (mut depth, mut is_quoted) = (0, false);
    let mut list = vec![String::new()];
    for letter in text.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                list.retain(|argument| !argument.trim().is_empty());
                return list;
            }
            ')' | ']' | '}' => depth -= 1,
            _ if letter == separator && depth == 0 => {
                list.push(String::new());
                continue;
            }
            _ => {}
        }
        list.last_mut().unwrap().push(letter);
    }
    panic!("no end of {:?}", text.lines().next());
}

/// Everything but comments.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let is_code = |at: &usize| line[..*at].matches('"').count() % 2 == 0;
        let end = line.match_indices("//").map(|(at, _)| at).find(is_code);
        line[..end.unwrap_or(line.len())].to_owned() + "\n"
    });
    lines.collect()
}

#[test]
fn wlanguage_calls_functions_of_the_header_with_all_of_their_parameters() {
    let interface = Interface::of(&generate());
    let mut calls = 0;
    for (file, text) in wlanguage() {
        for (at, call) in text.match_indices("API(") {
            let arguments = arguments(&text[at + call.len()..], ',');
            // The variable that has the library's name, which is another in a 32-bit program.
            assert_eq!(
                arguments[0].trim(),
                "gsWSPlugLibrary",
                "{file}: {arguments:?}"
            );
            let name = arguments[1].trim().trim_matches('"');
            let function = interface.functions.iter().find(|known| known.name == name);
            let function = function.unwrap_or_else(|| panic!("{file}: there is no {name}"));
            let wanted = function.parameters.len();
            assert_eq!(
                arguments.len() - 2,
                wanted,
                "{file}: {name} takes {wanted}: {arguments:?}"
            );
            calls += 1;
        }
    }
    assert!(calls > 40, "only {calls} calls");
}

#[test]
fn the_constants_of_wlanguage_are_those_of_the_header() {
    let interface = Interface::of(&generate());
    let mut compared = 0;
    for (file, text) in texts("windev") {
        for line in code(&text).lines() {
            let Some((name, value)) = line.trim().split_once(" = ") else {
                continue;
            };
            let Some(name) = name.strip_prefix("WSPLUG_") else {
                continue;
            };
            let known = interface.constants.iter().find(|(known, _)| known == name);
            let (_, known) =
                known.unwrap_or_else(|| panic!("{file}: the header has no WSPLUG_{name}"));
            assert_eq!(value.trim(), known.to_string(), "{file}: WSPLUG_{name}");
            compared += 1;
        }
    }
    assert!(compared > 10, "only {compared} constants");
}

/// Texts need a NUL behind them, which only WSPlugUTF8 adds.
#[test]
fn texts_of_wlanguage_end_with_nul() {
    let interface = Interface::of(&generate());
    let mut passed = 0;
    for (file, text) in texts("windev") {
        let text = code(&text);
        for (at, call) in text.match_indices("API(") {
            let arguments = arguments(&text[at + call.len()..], ',');
            let name = arguments[1].trim().trim_matches('"');
            let function = interface.functions.iter().find(|known| known.name == name);
            let parameters = &function.expect("another test knows all calls").parameters;
            let procedure = &text[text[..at].rfind("PROCEDURE ").unwrap()..at];
            for (parameter, given) in parameters.iter().zip(&arguments[2..]) {
                let given = given.trim().trim_start_matches("...").trim();
                // A text that came from the library has one.
                if parameter.kind != Kind::Text || matches!(given, "Null" | "pText") {
                    continue;
                }
                let buffer = given.strip_prefix('&').unwrap_or(given);
                assert!(
                    procedure.contains(&format!("{buffer} is Buffer = WSPlugUTF8(")),
                    "{file}: {name}: {given}"
                );
                passed += 1;
            }
        }
    }
    assert!(passed > 20, "only {passed} texts");
}

/// What is left out is said, with a reason, in the comment at the top.
#[test]
fn wlanguage_has_every_function_or_says_why_not() {
    let (_, text) = texts("windev")
        .into_iter()
        .find(|(file, _)| file == "WSPlug.txt")
        .unwrap();
    let left_out = text.split("// ---- ").next().unwrap();
    for Function { name, .. } in &Interface::of(&generate()).functions {
        assert!(
            text.contains(&format!("\"{name}\"")) || left_out.contains(name.as_str()),
            "WSPlug.txt does not have {name}"
        );
    }
}

#[test]
fn wlanguage_calls_procedures_that_are_there() {
    let texts = wlanguage();
    let mut known: HashMap<&str, RangeInclusive<usize>> = HashMap::new();
    for (_, text) in &texts {
        for (at, word) in text.match_indices("PROCEDURE WSPlug") {
            let (name, rest) = text[at + word.len() - "WSPlug".len()..]
                .split_once('(')
                .unwrap();
            let parameters = arguments(rest, ',');
            let needed = parameters.iter().filter(|one| !one.contains('=')).count();
            assert!(
                known.insert(name, needed..=parameters.len()).is_none(),
                "{name} twice"
            );
        }
    }
    for (file, text) in &texts {
        for (at, _) in text.match_indices("WSPlug") {
            let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
            let (name, rest) = text[at..].split_at(text[at..].find(|c| !is_name(c)).unwrap());
            let is_inside = text[..at].ends_with(is_name) || text[..at].ends_with("PROCEDURE ");
            if is_inside || !rest.starts_with('(') {
                continue;
            }
            let given = arguments(&rest[1..], ',').len();
            let takes = known.get(name);
            let takes = takes.unwrap_or_else(|| panic!("{file}: there is no {name}"));
            assert!(
                takes.contains(&given),
                "{file}: {name} takes {takes:?}, not {given}"
            );
        }
    }
}

/// The command of 4D that stands for a function, as docs/hosts.md has it: its name, and how many parameters it takes. The ref and
/// the options are one object, data has no length beside it, and what C writes through a pointer comes back.
fn command(function: &Function) -> Option<(String, RangeInclusive<usize>)> {
    let words = function.name.strip_prefix("wsplug_")?.replace('_', " ");
    let words = words.strip_suffix(" create").unwrap_or(&words);
    let mut taken = 0;
    for parameter in &function.parameters {
        taken += match (parameter.kind, parameter.name.as_str()) {
            (Kind::Callback | Kind::Event | Kind::EventOut | Kind::Address, _) => return None,
            (Kind::IntOut | Kind::TextOut, _) | (_, "length" | "kind" | "options") => 0,
            _ => 1,
        };
    }
    let is_made = function.name.ends_with("_create");
    Some((
        format!("Websocket {words}"),
        taken..=taken + usize::from(is_made),
    ))
}

#[test]
fn commands_of_4d_stand_for_functions_of_the_header() {
    let interface = Interface::of(&generate());
    let commands: Vec<_> = interface.functions.iter().filter_map(command).collect();
    let texts = texts("4d");
    let mut calls = 0;
    for (file, text) in &texts {
        let text = code(text);
        for (at, _) in text.match_indices("Websocket ") {
            let rest = &text[at..];
            let longest = commands
                .iter()
                .filter(|(name, _)| rest.starts_with(name.as_str()));
            let longest = longest.max_by_key(|(name, _)| name.len());
            let line = rest.lines().next();
            let (name, takes) = longest.unwrap_or_else(|| panic!("{file}: no function: {line:?}"));
            let behind = &rest[name.len()..];
            assert!(
                !behind.starts_with(|c: char| c == ' ' || c.is_alphanumeric()),
                "{file}: {line:?}"
            );
            let given = behind
                .strip_prefix('(')
                .map_or(0, |rest| arguments(rest, ';').len());
            assert!(
                takes.contains(&given),
                "{file}: {name} takes {takes:?}, not {given}"
            );
            calls += 1;
        }
        let methods: Vec<String> = texts
            .iter()
            .map(|(name, _)| name.replace(".4dm", ""))
            .collect();
        for (at, _) in text.match_indices("WS_") {
            let end = text[at..].find(|c: char| c != '_' && !c.is_alphanumeric());
            let name = &text[at..at + end.unwrap()];
            let is_worker = name == "WS_worker"; // a process, made by its first call
            assert!(
                is_worker || methods.iter().any(|known| known == name),
                "{file}: no {name}"
            );
        }
    }
    assert!(calls > 20, "only {calls} calls");
    // The plugin's own, which the page lists.
    let page = fs::read_to_string(cc::project().join("docs/hosts.md")).unwrap();
    for row in page
        .lines()
        .filter_map(|line| line.strip_prefix("| `Websocket "))
    {
        let name = row.split('`').next().unwrap();
        let is_shown = texts
            .iter()
            .any(|(_, text)| code(text).contains(&format!("Websocket {name}(")));
        assert!(is_shown, "no method calls Websocket {name}");
    }
}

#[test]
fn texts_that_are_not_run_say_so() {
    for (file, text) in texts("windev").into_iter().chain(texts("4d")) {
        let head = text.lines().take(3).collect::<Vec<_>>().join(" ");
        assert!(head.to_lowercase().contains("not run in"), "{file}: {head}");
    }
}
