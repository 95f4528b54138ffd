//! Help, completions and man pages.

use std::fs;
use std::process::Command;

use crate::certs::Certs;
use crate::run::{finish, run};

const COMMANDS: [&str; 6] = ["serve", "connect", "ping", "bench", "doctor", "autobahn"];

#[test]
fn help_has_examples_and_the_exit_status() {
    let help = run(&["--help"]).ended(0);
    for command in COMMANDS {
        help.says(&format!("\n  {command} "));
        run(&[command, "--help"]).ended(0);
    }
    help.says("Exit status:");
    run(&["help", "connect"]).ended(0).says("--send-file");
    for command in ["serve", "connect", "ping", "bench", "doctor"] {
        run(&[command, "-h"])
            .ended(0)
            .says(&format!("Examples:\n  wsplug {command}"));
    }
    run(&["--version"]).ended(0).says(env!("CARGO_PKG_VERSION"));
    run(&[]).ended(2);
    run(&["conect"]).ended(2).says("'connect'");
}

#[test]
fn the_page_has_the_exit_statuses_of_the_help() {
    let page = include_str!("../../../docs/cli.md");
    let help = run(&["-h"]).ended(0).out.replace("\n  ", "\n");
    let (_, table) = help.split_once("Exit status:\n").unwrap();
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter(|line| line.as_bytes()[2].is_ascii_digit())
        .collect();
    let words = |text: &str| -> Vec<String> {
        let text = text.replace('|', " ").replace('`', "");
        text.split_whitespace().map(String::from).collect()
    };
    // The help breaks its lines as the terminal is wide.
    assert_eq!(words(table), words(&rows.join(" ")));
    assert!(rows.len() > 5);
}

#[test]
fn completions_are_there_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completions", shell]).ended(0).out;
        assert!(
            COMMANDS.iter().all(|command| script.contains(command)),
            "{shell}"
        );
        if shell == "bash" {
            let mut bash = Command::new("bash");
            let ask = "COMP_WORDS=(wsplug do); COMP_CWORD=1; _wsplug wsplug do wsplug; echo \"${COMPREPLY[*]}\"";
            bash.args(["--norc", "-c", &format!("{script}\n{ask}")]);
            assert_eq!(finish(bash, b"").ended(0).out, "doctor\n");
        }
    }
}

#[test]
fn there_is_a_man_page_for_each_command() {
    let certs = Certs::new();
    let folder = certs.path("man");
    run(&["man", &folder]).ended(0);
    for command in COMMANDS {
        let page = fs::read_to_string(format!("{folder}/wsplug-{command}.1")).unwrap();
        assert!(page.contains(".TH ") && page.contains(command), "{page}");
    }
    let page = fs::read_to_string(format!("{folder}/wsplug.1")).unwrap();
    assert!(page.contains("Exit status"), "{page}");
}

/// With --help behind it, a command line is read up to there, and nothing is done.
#[test]
fn every_example_is_a_command_line() {
    let page = include_str!("../../../docs/cli.md");
    let mut lines: Vec<String> = page.lines().map(String::from).collect();
    for command in COMMANDS {
        let help = run(&[command, "-h"]).ended(0).out;
        lines.extend(help.lines().map(|line| line.trim().to_owned()));
    }
    let examples: Vec<&str> = lines
        .iter()
        .filter_map(|line| {
            line.split_once("wsplug ")
                .filter(|(before, _)| before.is_empty() || before.ends_with("| "))
        })
        .map(|(_, example)| {
            example
                .split_once(['#', '>'])
                .map_or(example, |(example, _)| example)
        })
        // What follows an example in the help stands behind two blanks.
        .map(|example| {
            example
                .split_once("  ")
                .map_or(example, |(example, _)| example)
        })
        .collect();
    assert!(examples.len() > 25, "{examples:#?}");
    for example in examples {
        let mut shell = Command::new("bash");
        let line = format!("'{}' {example} --help", env!("CARGO_BIN_EXE_wsplug"));
        shell.args(["--norc", "-c", &line]);
        assert_eq!(finish(shell, b"").code, 0, "{example}");
    }
}
