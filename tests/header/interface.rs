//! The header as a table: constants, callback types and functions, each with the kinds of what it takes and gives.
//! Does not know the languages that the table is written in.

/// What one parameter or result is; the header has no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nothing,
    Int,
    /// `const char *`: a text that ends with NUL.
    Text,
    /// `const void *`: bytes, whose length stands beside them.
    Bytes,
    /// `void *` and `char *`: an address.
    Address,
    Event,
    IntOut,
    /// `char **`: a text that the host frees.
    TextOut,
    EventOut,
    Callback,
}

pub struct Value {
    pub name: String,
    /// As C writes it.
    pub spelling: String,
    pub kind: Kind,
}

pub struct Function {
    pub name: String,
    pub result: Value,
    pub parameters: Vec<Value>,
}

impl Function {
    /// The declaration of C, with its lines broken as in the header.
    pub fn in_c(&self) -> String {
        let parameters: Vec<String> = self.parameters.iter().map(Value::in_c).collect();
        let space = if self.result.spelling.ends_with('*') {
            ""
        } else {
            " "
        };
        format!(
            "{}{space}WSPLUG_API {}({});",
            self.result.spelling,
            self.name,
            match parameters.is_empty() {
                true => "void".to_owned(),
                false => parameters.join(", "),
            }
        )
    }
}

impl Value {
    /// A parameter: `const char *options`.
    fn named(declaration: &str) -> Self {
        let declaration = declaration.trim();
        let name = declaration.rfind([' ', '*']).expect("a type and a name") + 1;
        Self {
            name: declaration[name..].to_owned(),
            ..Self::of_type(&declaration[..name])
        }
    }

    fn of_type(spelling: &str) -> Self {
        let spelling = spelling.trim().to_owned();
        let kind = match spelling.as_str() {
            "void" => Kind::Nothing,
            "int32_t" => Kind::Int,
            "const char *" => Kind::Text,
            "const void *" => Kind::Bytes,
            "void *" | "char *" => Kind::Address,
            "wsplug_event *" | "const wsplug_event *" => Kind::Event,
            "int32_t *" => Kind::IntOut,
            "char **" => Kind::TextOut,
            "wsplug_event **" => Kind::EventOut,
            name if name.starts_with("wsplug_") && name.ends_with("_callback") => Kind::Callback,
            _ => panic!("tests/header/interface.rs does not know the type {spelling:?}"),
        };
        Self {
            name: String::new(),
            spelling,
            kind,
        }
    }

    pub fn in_c(&self) -> String {
        let space = if self.spelling.ends_with('*') {
            ""
        } else {
            " "
        };
        format!("{}{space}{}", self.spelling, self.name)
    }
}

/// What the header declares, in its order.
pub struct Interface {
    /// Names without `WSPLUG_`.
    pub constants: Vec<(String, i32)>,
    pub callbacks: Vec<Function>,
    pub functions: Vec<Function>,
}

impl Interface {
    pub fn of(header: &str) -> Self {
        let constants = header.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("#define WSPLUG_")?.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        let code: Vec<&str> = header
            .lines()
            .filter(|line| !line.starts_with(['/', '#']) && !line.starts_with(" *"))
            .collect();
        let code = code.join(" ");
        let (mut callbacks, mut functions) = (Vec::new(), Vec::new());
        for statement in code.split(';') {
            let Some((before, after)) = statement.split_once("WSPLUG_API ") else {
                continue;
            };
            let (name, rest) = after.split_once('(').expect("a function has parameters");
            let parameters = rest.trim_end().trim_end_matches(')');
            let parameters = match parameters {
                "void" => Vec::new(),
                parameters => parameters.split(',').map(Value::named).collect(),
            };
            let result = before.rsplit(['{', '}', '"']).next().unwrap_or_default();
            match result.trim().strip_prefix("typedef ") {
                Some(result) => {
                    let name = name
                        .trim_start_matches('*')
                        .trim_end_matches(')')
                        .to_owned();
                    let result = Value::of_type(result.trim_end_matches('('));
                    callbacks.push(Function {
                        name,
                        result,
                        parameters,
                    });
                }
                None => functions.push(Function {
                    name: name.to_owned(),
                    result: Value::of_type(result),
                    parameters,
                }),
            }
        }
        Self {
            constants: constants.collect(),
            callbacks,
            functions,
        }
    }
}
