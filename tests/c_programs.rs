//! The self-checking C programs of tests/c: as they are, under the sanitizers, and under valgrind.

#[path = "support/cc.rs"]
mod cc;

use cc::Under;

macro_rules! programs {
    ($($test:ident: $name:literal $arguments:tt $($under:ident)*;)*) => {
        $(mod $test {
            use super::*;
            $(programs!(@ $name $arguments $under);)*
        })*

        const NAMES: &[&str] = &[$($name),*];
    };
    (@ $name:literal $arguments:tt plain) => {
        #[test]
        fn plain() {
            cc::check($name, &$arguments, Under::Nothing);
        }
    };
    (@ $name:literal $arguments:tt sanitized) => {
        #[test]
        fn sanitized() {
            cc::check($name, &$arguments, Under::Sanitizers);
        }
    };
    (@ $name:literal $arguments:tt valgrind) => {
        #[test]
        fn valgrind() {
            cc::check($name, &$arguments, Under::Valgrind);
        }
    };
    (@ $name:literal $arguments:tt valgrind_without_leaks) => {
        #[test]
        fn valgrind_without_leaks() {
            cc::check($name, &$arguments, Under::ValgrindWithoutLeaks);
        }
    };
}

programs! {
    arguments: "arguments" [] plain sanitized valgrind;
    backpressure: "backpressure" [] plain sanitized valgrind;
    contexts: "contexts" [] plain sanitized valgrind;
    delivery_inline: "delivery" ["inline"] plain sanitized valgrind;
    delivery_messages: "delivery" ["messages"] plain sanitized valgrind;
    delivery_pull: "delivery" ["pull"] plain sanitized valgrind;
    delivery_pump: "delivery" ["pump"] plain sanitized valgrind;
    delivery_thread: "delivery" ["thread"] plain sanitized valgrind;
    exits_by_exit: "exits" ["exit"] plain sanitized valgrind_without_leaks;
    exits_by_return: "exits" ["return"] plain sanitized valgrind_without_leaks;
    // In a child, which has no threads, what the parent's threads hold looks lost.
    fork: "fork" [] plain sanitized valgrind_without_leaks;
    json_options: "json_options" [] plain sanitized valgrind;
    lifecycle: "lifecycle" [] plain sanitized valgrind;
    log: "log" [] plain sanitized valgrind;
    queue_inline: "queue" ["inline"] plain sanitized valgrind;
    queue_pump: "queue" ["pump"] plain sanitized valgrind;
    queue_thread: "queue" ["thread"] plain sanitized valgrind;
    receive: "receive" [] plain sanitized valgrind;
    reentrant_inline: "reentrant" ["inline"] plain sanitized valgrind;
    reentrant_pump: "reentrant" ["pump"] plain sanitized valgrind;
    reentrant_thread: "reentrant" ["thread"] plain sanitized valgrind;
    replies: "replies" [] plain sanitized valgrind;
    shutdown: "shutdown" [] plain sanitized valgrind;
    sigpipe_inline: "sigpipe" ["inline"] plain sanitized valgrind;
    sigpipe_pump: "sigpipe" ["pump"] plain sanitized valgrind;
    sigpipe_thread: "sigpipe" ["thread"] plain sanitized valgrind;
    texts: "texts" [] plain sanitized valgrind;
    threads_deflate: "threads" ["deflate"] plain sanitized valgrind;
    threads_inline: "threads" ["inline"] plain sanitized valgrind;
    threads_pull: "threads" ["pull"] plain sanitized valgrind;
    threads_pump: "threads" ["pump"] plain sanitized valgrind;
    threads_thread: "threads" ["thread"] plain sanitized valgrind;
    // As they are, the faults run in tests/plugin_faults.rs.
    fault_01: "faults" ["1"] sanitized valgrind;
    fault_02: "faults" ["2"] sanitized valgrind;
    fault_03: "faults" ["3"] sanitized valgrind;
    fault_04: "faults" ["4"] sanitized valgrind;
    fault_05: "faults" ["5"] sanitized valgrind;
    fault_06: "faults" ["6"] sanitized valgrind;
    fault_07: "faults" ["7"] sanitized valgrind;
    fault_08: "faults" ["8"] sanitized valgrind;
    fault_09: "faults" ["9"] sanitized valgrind;
    fault_10: "faults" ["10"] sanitized valgrind;
    fault_11: "faults" ["11"] sanitized valgrind;
    fault_12: "faults" ["12"] sanitized valgrind;
    fault_13: "faults" ["13"] sanitized valgrind;
    fault_14: "faults" ["14"] sanitized valgrind;
    fault_15: "faults" ["15"] sanitized valgrind;
    fault_16: "faults" ["16"] sanitized valgrind;
    fault_17: "faults" ["17"] sanitized valgrind;
}

/// The path of the library is known at run time only.
mod dlopen {
    use super::*;

    fn check(under: Under) {
        cc::check("dlopen", &[cc::library().to_str().unwrap()], under);
    }

    #[test]
    fn plain() {
        check(Under::Nothing);
    }

    #[test]
    fn sanitized() {
        check(Under::Sanitizers);
    }

    #[test]
    fn valgrind() {
        check(Under::Valgrind);
    }
}

#[test]
fn every_program_is_run() {
    // The others are run by tests of their own: here is what is in neither list.
    let run_elsewhere = ["dlopen", "host", "loader"];
    for entry in std::fs::read_dir(cc::project().join("tests/c")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = file.strip_suffix(".c") {
            assert!(
                NAMES.contains(&name) || run_elsewhere.contains(&name),
                "tests/c/{file} is not run"
            );
        }
    }
}
