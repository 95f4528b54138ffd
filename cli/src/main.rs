//! Knows the command line and which command it asks for.
//! Does not know what the commands do.

mod autobahn;
mod bench;
mod connect;
mod doctor;
mod echo;
mod exit;
mod interrupt;
mod library;
mod pages;
mod ping;
mod reach;
mod serve;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand};

use exit::Trouble;
use terminal::{BAD, NOTE, escaped, note, styled};

/// WebSocket servers, clients, measurements and a doctor, from the command line
#[derive(Parser)]
#[command(name = "wsplug", version = library::version(), propagate_version = true, max_term_width = 100)]
#[command(after_help = exit::TABLE, after_long_help = exit::TABLE)]
struct Arguments {
    /// Say more of what the library does, on stderr; twice: all
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Connect(connect::Connect),
    Ping(ping::Ping),
    Bench(bench::Bench),
    Doctor(doctor::Doctor),
    Autobahn(autobahn::Autobahn),
    Completions(pages::Completions),
    Man(pages::Man),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.verbose > 0 {
        // Warnings are level 2; one -v shows what comes and goes, two show all.
        library::log(2 + i32::from(arguments.verbose.min(2)), &|message| {
            note(styled(NOTE, format!("log: {}", escaped(message))));
        });
    }
    let done = match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Connect(connect) => connect.run(),
        Command::Ping(ping) => ping.run(),
        Command::Bench(bench) => bench.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Autobahn(autobahn) => autobahn.run(),
        Command::Completions(completions) => completions.run::<Arguments>(),
        Command::Man(man) => man.run::<Arguments>(),
    };
    library::shutdown(Duration::from_secs(5));
    match done {
        Ok(code) => code.into(),
        Err(Trouble { code, message }) => {
            note(format!("{}: {message}", styled(BAD, "wsplug")));
            code.into()
        }
    }
}
