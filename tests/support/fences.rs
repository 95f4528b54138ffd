//! The fenced blocks of a page.
//! Does not know what is done with them.
#![allow(dead_code)] // Each test binary uses a part of it.

/// A fenced block.
pub struct Fence {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// How many headings stand before it.
    pub section: usize,
    /// What stands behind the mark that begins it.
    pub language: String,
    pub code: String,
}

pub fn of(text: &str) -> Vec<Fence> {
    let mut found: Vec<Fence> = Vec::new();
    let (mut is_open, mut section) = (false, 0);
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(language) if !is_open => {
                is_open = true;
                found.push(Fence {
                    line: number + 1,
                    section,
                    language: language.to_owned(),
                    code: String::new(),
                });
            }
            Some(_) => is_open = false,
            None if is_open => {
                let fence = found.last_mut().unwrap();
                fence.code += &format!("{line}\n");
            }
            None => section += usize::from(line.starts_with('#')),
        }
    }
    assert!(!is_open, "a block does not end");
    found
}
