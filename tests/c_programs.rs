//! The self-checking C programs of tests/c: as they are and under the sanitizers. Under valgrind: tests/valgrind.rs.

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
    (@ $name:literal $arguments:tt valgrind) => {};
    (@ $name:literal $arguments:tt valgrind_without_leaks) => {};
}

include!("support/programs.rs");

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
