//! What examples-hosts declares of the library in other languages is what the header declares.
//! Does not know what the wrappers do with it.

use std::fs;

use super::interface::{Function, Interface, Kind, Value};
use super::{cc, generate};

/// The lines between which a wrapper's declarations stand; in front of them the language's sign for a comment.
const BEGIN: &str = "from include/wsplug.h, by WSPLUG_BLESS=1 cargo test --test header";
const END: &str = "end of what is from include/wsplug.h";

const COLUMNS: usize = 120;

type Write = fn(&Interface) -> Vec<String>;

#[rustfmt::skip]
const WRAPPERS: &[(&str, Write)] = &[
    ("python/wsplug.py", python),
    ("node/wsplug.mjs", node),
    ("luajit/wsplug.lua", luajit),
    ("csharp/Wsplug.cs", csharp),
    ("java/Wsplug.java", java),
    ("pascal/wsplug.pas", pascal),
    ("vba/wsplug.bas", vba),
];

#[test]
fn the_wrappers_declare_what_the_header_declares() {
    let interface = Interface::of(&generate());
    assert!(interface.functions.len() > 50 && interface.callbacks.len() >= 3);
    for (wrapper, write) in WRAPPERS {
        let path = cc::project().join("examples-hosts").join(wrapper);
        let committed = fs::read_to_string(&path).unwrap();
        let generated = with_declarations(&committed, &write(&interface), wrapper);
        if std::env::var_os("WSPLUG_BLESS").is_some() {
            fs::write(&path, &generated).unwrap();
            continue;
        }
        assert!(
            committed == generated,
            "examples-hosts/{wrapper} does not declare what the header does; \
             WSPLUG_BLESS=1 cargo test --test header rewrites it"
        );
    }
}

/// C++ includes the header; its wrapper has to use all of it.
#[test]
fn the_cpp_wrapper_knows_every_function() {
    let wrapper = fs::read_to_string(cc::project().join("examples-hosts/cpp/wsplug.hpp")).unwrap();
    let interface = Interface::of(&generate());
    // C++ can follow a pointer.
    let functions = interface
        .functions
        .iter()
        .filter(|one| one.name != "wsplug_text_copy");
    for Function { name, .. } in functions {
        let calls = [format!("{name}("), format!("({name})")];
        let is_called = calls.iter().any(|call| wrapper.contains(call));
        assert!(is_called, "wsplug.hpp does not call {name}");
    }
}

/// The wrapper with `lines` in place of its declarations, indented as the line where they begin.
fn with_declarations(wrapper: &str, lines: &[String], name: &str) -> String {
    let line_with = |sign: &str| {
        let at = wrapper
            .find(sign)
            .unwrap_or_else(|| panic!("{name} has no line {sign:?}"));
        wrapper[..at].rfind('\n').map_or(0, |end| end + 1)
    };
    let (begin, end) = (line_with(BEGIN), line_with(END));
    let behind_begin = begin + wrapper[begin..].find('\n').expect("END comes behind it") + 1;
    let indent = &wrapper[begin..][..wrapper[begin..].len() - wrapper[begin..].trim_start().len()];
    let lines: String = lines
        .iter()
        .map(|line| match line.is_empty() {
            true => "\n".to_owned(),
            false => broken(&format!("{indent}{line}"), indent),
        })
        .collect();
    format!("{}{lines}{}", &wrapper[..behind_begin], &wrapper[end..])
}

/// Breaks a declaration that is too long after a comma or semicolon. VBA wants a sign where a line goes on.
fn broken(line: &str, indent: &str) -> String {
    let goes_on = if line.contains("PtrSafe") { " _" } else { "" };
    let mut lines = vec![String::new()];
    let mut arguments = vec![String::new()];
    for word in line.split_inclusive(' ') {
        *arguments.last_mut().expect("there is one") += word;
        if word.ends_with(", ") || word.ends_with("; ") {
            arguments.push(String::new());
        }
    }
    for argument in arguments {
        let last = lines.last_mut().expect("there is one");
        if last.len() + argument.trim_end().len() + goes_on.len() > COLUMNS {
            *last = last.trim_end().to_owned() + goes_on;
            lines.push(format!("{indent}        "));
        }
        *lines.last_mut().expect("there is one") += &argument;
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}

fn constants(interface: &Interface, write: impl Fn(&str, i32) -> String) -> Vec<String> {
    let constants = interface.constants.iter();
    constants.map(|(name, value)| write(name, *value)).collect()
}

fn parameters(function: &Function, write: impl Fn(&Value) -> String, separator: &str) -> String {
    let parameters: Vec<String> = function.parameters.iter().map(write).collect();
    parameters.join(separator)
}

/// The declarations of C, for languages whose library reads C.
fn in_c(interface: &Interface) -> Vec<String> {
    let callbacks = interface.callbacks.iter().map(|callback| {
        let parameters = parameters(callback, Value::in_c, ", ");
        format!(
            "typedef void (WSPLUG_API *{})({parameters});",
            callback.name
        )
    });
    let functions = interface.functions.iter().map(Function::in_c);
    callbacks.chain(functions).collect()
}

fn python(interface: &Interface) -> Vec<String> {
    let mut lines = constants(interface, |name, value| format!("{name} = {value}"));
    lines.extend(["".into(), "DECLARATIONS = \"\"\"".into()]);
    lines.extend(in_c(interface));
    lines.push("\"\"\"".into());
    lines
}

fn node(interface: &Interface) -> Vec<String> {
    let mut lines = constants(interface, |name, value| {
        format!("export const {name} = {value};")
    });
    lines.extend(["".into(), "const declarations = `".into()]);
    lines.extend(in_c(interface));
    lines.push("`;".into());
    lines
}

fn luajit(interface: &Interface) -> Vec<String> {
    let mut lines = vec!["local constants = {".to_owned()];
    lines.extend(constants(interface, |name, value| {
        format!("  {name} = {value},")
    }));
    lines.extend(["}", "", "local declarations = [["].map(String::from));
    lines.push("typedef struct wsplug_event wsplug_event;".into());
    lines.extend(in_c(interface));
    lines.push("]]".into());
    lines
}

/// `wsplug_event_callback` as `EventCallback`.
fn in_camels(name: &str) -> String {
    let words = name.trim_start_matches("wsplug_").split('_');
    words
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

fn csharp(interface: &Interface) -> Vec<String> {
    const UTF8: &str = "[MarshalAs(UnmanagedType.LPUTF8Str)] string";
    let given = |value: &Value| match value.kind {
        Kind::Nothing => "void".to_owned(),
        Kind::Int => "int".to_owned(),
        Kind::Text | Kind::Bytes | Kind::Address | Kind::Event => "IntPtr".to_owned(),
        Kind::Callback => in_camels(&value.spelling),
        Kind::IntOut | Kind::TextOut | Kind::EventOut => unreachable!("not given"),
    };
    let taken = |value: &Value| match value.kind {
        Kind::Text => UTF8.to_owned(),
        Kind::Bytes => "byte[]".to_owned(),
        Kind::Address if value.name == "buffer" => "byte[]".to_owned(),
        Kind::IntOut => "out int".to_owned(),
        Kind::TextOut | Kind::EventOut => "out IntPtr".to_owned(),
        _ => given(value),
    };
    let named = |kind: String, name: &str| match name {
        "params" | "event" => format!("{kind} @{name}"),
        _ => format!("{kind} {name}"),
    };
    let mut lines = constants(interface, |name, value| {
        format!("public const int {name} = {value};")
    });
    for callback in &interface.callbacks {
        let list = parameters(callback, |value| named(given(value), &value.name), ", ");
        let name = in_camels(&callback.name);
        lines.push("[UnmanagedFunctionPointer(CallingConvention.Winapi)]".into());
        lines.push(format!("public delegate void {name}({list});"));
    }
    for function in &interface.functions {
        let list = parameters(function, |value| named(taken(value), &value.name), ", ");
        let (result, name) = (given(&function.result), &function.name);
        lines.push("[DllImport(Library, CallingConvention = CallingConvention.Winapi)]".into());
        lines.push(format!("public static extern {result} {name}({list});"));
    }
    lines
}

fn java(interface: &Interface) -> Vec<String> {
    let given = |value: &Value| match value.kind {
        Kind::Nothing => "void".to_owned(),
        Kind::Int => "int".to_owned(),
        Kind::Text => "String".to_owned(),
        Kind::Bytes | Kind::Address | Kind::Event => "Pointer".to_owned(),
        Kind::Callback => in_camels(&value.spelling),
        Kind::IntOut => "IntByReference".to_owned(),
        Kind::TextOut | Kind::EventOut => "PointerByReference".to_owned(),
    };
    let taken = |value: &Value| match value.kind {
        Kind::Bytes => "byte[]".to_owned(),
        Kind::Address if value.name == "buffer" => "byte[]".to_owned(),
        _ => given(value),
    };
    let mut lines = constants(interface, |name, value| {
        format!("public static final int {name} = {value};")
    });
    for callback in &interface.callbacks {
        let address = |value: &Value| match value.kind {
            Kind::Text => "Pointer".to_owned(), // a String would be decoded by the system's encoding
            _ => given(value),
        };
        let list = parameters(
            callback,
            |value| format!("{} {}", address(value), value.name),
            ", ",
        );
        let name = in_camels(&callback.name);
        lines.push(format!("public interface {name} extends Callback {{"));
        lines.push(format!("    void invoke({list});"));
        lines.push("}".into());
    }
    for function in &interface.functions {
        let list = parameters(
            function,
            |value| format!("{} {}", taken(value), value.name),
            ", ",
        );
        let (result, name) = (given(&function.result), &function.name);
        lines.push(format!("public static native {result} {name}({list});"));
    }
    lines
}

/// A constant's name where capitals make no difference, so that WSPLUG_ABI_VERSION would be wsplug_abi_version.
fn without_case(name: &str) -> String {
    match name {
        "ABI_VERSION" => "WSPLUG_HEADER_ABI_VERSION".to_owned(),
        _ => format!("WSPLUG_{name}"),
    }
}

fn pascal(interface: &Interface) -> Vec<String> {
    let in_pascal = |value: &Value| match value.kind {
        Kind::Nothing => unreachable!("a procedure has no result"),
        Kind::Int => "Integer".to_owned(),
        Kind::Text => "PAnsiChar".to_owned(),
        Kind::Bytes | Kind::Address => "Pointer".to_owned(),
        Kind::Event => "PWsplugEvent".to_owned(),
        Kind::Callback => format!("TWsplug{}", in_camels(&value.spelling)),
        Kind::IntOut => "PInteger".to_owned(),
        Kind::TextOut => "PPAnsiChar".to_owned(),
        Kind::EventOut => "PPWsplugEvent".to_owned(),
    };
    let list = |function: &Function| {
        let one = |value: &Value| match value.name.as_str() {
            word @ ("type" | "procedure") => format!("{word}_: {}", in_pascal(value)),
            name => format!("{name}: {}", in_pascal(value)),
        };
        match function.parameters.is_empty() {
            true => String::new(),
            false => format!("({})", parameters(function, one, "; ")),
        }
    };
    let mut lines = vec!["const".to_owned()];
    lines.extend(constants(interface, |name, value| {
        format!("  {} = {value};", without_case(name))
    }));
    lines.push("type".into());
    for callback in &interface.callbacks {
        let name = in_camels(&callback.name);
        lines.push(format!(
            "  TWsplug{name} = procedure{}; stdcall;",
            list(callback)
        ));
    }
    for function in &interface.functions {
        let (name, list) = (&function.name, list(function));
        lines.push(match function.result.kind {
            Kind::Nothing => format!("procedure {name}{list}; stdcall; external WsplugLibrary;"),
            _ => format!(
                "function {name}{list}: {}; stdcall; external WsplugLibrary;",
                in_pascal(&function.result)
            ),
        });
    }
    lines
}

fn vba(interface: &Interface) -> Vec<String> {
    let given = |value: &Value| match value.kind {
        Kind::Int => "Long",
        _ => "LongPtr",
    };
    let taken = |value: &Value| {
        let name = match value.name.as_str() {
            "event" => "taken", // a word of the language
            name => name,
        };
        match value.kind {
            Kind::IntOut => format!("ByRef {name} As Long"),
            Kind::TextOut | Kind::EventOut => format!("ByRef {name} As LongPtr"),
            _ => format!("ByVal {name} As {}", given(value)),
        }
    };
    let mut lines = constants(interface, |name, value| {
        format!("Public Const {} As Long = {value}", without_case(name))
    });
    for (condition, library) in [("#If Win64 Then", "wsplug64"), ("#Else", "wsplug32")] {
        lines.push(condition.into());
        lines.extend(interface.functions.iter().map(|function| {
            let (name, list) = (&function.name, parameters(function, taken, ", "));
            match function.result.kind {
                Kind::Nothing => {
                    format!("Public Declare PtrSafe Sub {name} Lib \"{library}.dll\" ({list})")
                }
                _ => format!(
                    "Public Declare PtrSafe Function {name} Lib \"{library}.dll\" ({list}) As {}",
                    given(&function.result)
                ),
            }
        }));
    }
    lines.push("#End If".into());
    lines
}
