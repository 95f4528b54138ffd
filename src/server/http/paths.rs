//! Knows which file a path of a request means, and that it means none outside of its folder.
//! Does not know how a file is sent.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use percent_encoding::percent_decode_str;

/// What systems take for a path, with room for the folder's own.
const LONGEST: usize = 2048;

/// A path, and the file or folder behind it.
#[derive(Clone)]
pub struct Mount {
    steps: Vec<String>,
    target: PathBuf,
    is_folder: bool,
}

impl Mount {
    /// What is a folder now is one as long as this lives.
    pub fn new(path: &str, target: &Path) -> Mount {
        let is_folder = target.is_dir();
        let mut steps: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        if is_folder && steps.last().is_some_and(String::is_empty) {
            steps.pop();
        }
        Mount {
            steps,
            target: target.to_owned(),
            is_folder,
        }
    }

    /// Whether this path is meant itself, not something in a folder.
    pub fn is(&self, steps: &[String]) -> bool {
        !self.is_folder && steps == self.steps
    }

    /// The steps that lead on from this folder, none where not even its last "/" is there.
    pub fn rest<'a>(&self, steps: &'a [String]) -> Option<&'a [String]> {
        steps
            .strip_prefix(&self.steps[..])
            .filter(|_| self.is_folder)
    }

    /// How exactly it says what it means.
    pub fn depth(&self) -> usize {
        self.steps.len()
    }
}

/// A request's path, decoded: "/a%20b/" is "a b" and "". None: it means nothing that could be a file.
pub fn steps(path: &str) -> Option<Vec<String>> {
    let parts = path.strip_prefix('/')?.split('/');
    parts
        .map(|part| {
            let step = percent_decode_str(part).decode_utf8().ok()?.into_owned();
            // What a step decodes to is a step, and not several.
            (!step.contains(['/', '\\', '\0'])).then_some(step)
        })
        .collect()
}

/// What there is for a request.
pub enum Found {
    /// A file, open.
    File {
        file: File,
        length: u64,
        modified: Option<SystemTime>,
        /// Its name tells what is in it.
        path: PathBuf,
    },
    /// A folder, whose path lacks the last "/".
    Folder,
    /// Nothing that may be seen.
    Nothing,
}

/// Opens what `steps` lead to. Blocks.
pub fn open(mount: &Mount, steps: &[String]) -> io::Result<Found> {
    let found = match mount.rest(steps) {
        None => open_file(mount.target.clone()),
        Some(rest) => open_in(&mount.target, rest),
    };
    match found {
        Err(error) if is_absence(&error) => Ok(Found::Nothing),
        found => found,
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn open_in(folder: &Path, rest: &[String]) -> io::Result<Found> {
    let Some((last, before)) = rest.split_last() else {
        return Ok(Found::Folder);
    };
    let names = match last.is_empty() {
        true => before,
        false => rest,
    };
    let length: usize = names.iter().map(String::len).sum();
    if length > LONGEST || !names.iter().all(|name| is_name(name)) {
        return Ok(Found::Nothing);
    }
    let folder = folder.canonicalize()?;
    // Links that stay inside are followed, all others lead nowhere.
    let inside = |path: PathBuf| -> io::Result<Option<PathBuf>> {
        let path = path.canonicalize()?;
        Ok(path.starts_with(&folder).then_some(path))
    };
    let wanted = folder.join(before.iter().collect::<PathBuf>()).join(last);
    let Some(path) = inside(wanted)? else {
        return Ok(Found::Nothing);
    };
    match (path.is_dir(), last.is_empty()) {
        (true, false) => Ok(Found::Folder),
        (false, false) => open_file(path),
        (false, true) => Ok(Found::Nothing),
        (true, true) => match inside(path.join("index.html"))? {
            Some(index) => open_file(index),
            None => Ok(Found::Nothing),
        },
    }
}

fn open_file(path: PathBuf) -> io::Result<Found> {
    // Before it is opened: a pipe would have us wait for who writes into it.
    if !fs::metadata(&path)?.is_file() {
        return Ok(Found::Nothing);
    }
    let file = File::open(&path)?;
    let metadata = file.metadata()?;
    Ok(Found::File {
        file,
        length: metadata.len(),
        modified: metadata.modified().ok(),
        path,
    })
}

/// Whether a file of this name may be seen: not one that is hidden, and none that a system takes for something else.
fn is_name(step: &str) -> bool {
    let is_hidden = step.starts_with('.') && step != ".well-known";
    // Drives and streams of Windows.
    let is_odd = step.contains(':') || step.chars().any(char::is_control);
    let is_known = cfg!(windows) && is_device(step);
    let is_long = step.len() > 255;
    !(step.is_empty() || is_hidden || is_odd || is_known || is_long)
}

/// Names that Windows takes for devices, whatever follows the first dot, and names that it shortens.
fn is_device(step: &str) -> bool {
    let stem = step.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let is_numbered = |kind: &str| {
        stem.strip_prefix(kind)
            .is_some_and(|number| number.chars().count() == 1)
    };
    matches!(
        stem.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) || is_numbered("COM")
        || is_numbered("LPT")
        || step.ends_with(['.', ' '])
        || step.contains('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(path: &str) -> Option<Vec<String>> {
        steps(path)
    }

    #[test]
    fn paths_are_taken_apart_before_they_are_decoded() {
        let expect = |path: &str, steps: &[&str]| {
            let steps = steps.iter().map(|step| (*step).to_owned()).collect();
            assert_eq!(list(path), Some(steps), "{path}");
        };
        expect("/", &[""]);
        expect("/a/b%20c/", &["a", "b c", ""]);
        expect("/%2e%2e/x", &["..", "x"]);
        expect("//x", &["", "x"]);
        for nothing in ["", "*", "/a%2fb", "/a%5Cb", "/a\\b", "/%00", "/%ff"] {
            assert_eq!(list(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn names_are_seen_and_all_else_is_not() {
        for name in ["a", "a.b", ".well-known", "a b", "ü", "..a.."] {
            let is_seen = is_name(name);
            assert_eq!(is_seen, !name.starts_with(".."), "{name}");
        }
        for none in ["", ".", "..", ".git", ".htaccess", "C:", "a:b", "a\nb"] {
            assert!(!is_name(none), "{none}");
        }
        for device in [
            "con", "NUL.txt", "com1", "lpt9.x", "aux .y", "a.", "a ", "PROGRA~1",
        ] {
            assert!(is_device(device), "{device}");
        }
        for name in ["console", "com10", "nul_", "a.b"] {
            assert!(!is_device(name), "{name}");
        }
    }
}
