//! Knows how the command line is told to shells and to man.
//! Does not know what is on it.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::exit::{DONE, Trouble};

/// Print the completions for a shell
///
///   wsplug completions bash > ~/.local/share/bash-completion/completions/wsplug
///   wsplug completions zsh > ~/.zfunc/_wsplug
///   wsplug completions fish > ~/.config/fish/completions/wsplug.fish
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Completions {
    shell: clap_complete::Shell,
}

impl Completions {
    pub fn run<A: CommandFactory>(self) -> Result<u8, Trouble> {
        let mut written = Vec::new();
        clap_complete::generate(self.shell, &mut A::command(), "wsplug", &mut written);
        crate::terminal::raw(&written);
        Ok(DONE)
    }
}

/// Write the man pages, wsplug.1 and one for each command, into a folder
#[derive(Args)]
pub struct Man {
    #[arg(value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

impl Man {
    pub fn run<A: CommandFactory>(self) -> Result<u8, Trouble> {
        let command = A::command().disable_help_subcommand(true);
        let written: io::Result<()> = std::fs::create_dir_all(&self.folder)
            .and_then(|()| clap_mangen::generate_to(command, &self.folder));
        written.map_err(|error| Trouble::failed(format!("{}: {error}", self.folder.display())))?;
        Ok(DONE)
    }
}
