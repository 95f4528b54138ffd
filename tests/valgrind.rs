//! The self-checking C programs of tests/c under valgrind, which takes minutes: `cargo test --test valgrind`.

#[path = "support/cc.rs"]
mod cc;

use cc::Under;

macro_rules! programs {
    ($($test:ident: $name:literal $arguments:tt $($under:ident)*;)*) => {
        $($(programs!(@ $test $name $arguments $under);)*)*
    };
    (@ $test:ident $name:literal $arguments:tt valgrind) => {
        #[test]
        fn $test() {
            cc::check($name, &$arguments, Under::Valgrind);
        }
    };
    (@ $test:ident $name:literal $arguments:tt valgrind_without_leaks) => {
        #[test]
        fn $test() {
            cc::check($name, &$arguments, Under::ValgrindWithoutLeaks);
        }
    };
    (@ $test:ident $name:literal $arguments:tt $under:ident) => {};
}

include!("support/programs.rs");

/// The path of the library is known at run time only.
#[test]
fn dlopen() {
    cc::check(
        "dlopen",
        &[cc::library().to_str().unwrap()],
        Under::Valgrind,
    );
}
