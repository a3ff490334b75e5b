//! The command line: one file for each command. It parses arguments, calls the application, and shows people what comes of it.

pub mod args;
pub mod commands;
pub mod complete;
pub mod formats;
pub mod log;
pub mod parser;
pub mod printer;
pub mod progress;
pub mod render;
pub mod run_presenter;
pub mod terminal;
pub mod whereabouts;
pub mod wrap;

use clap::{ArgMatches, ValueEnum as _};

use args::{Cli, Command};
use formats::Format;
use printer::Printer;
use whereabouts::Whereabouts;

use crate::adapters::process;
use crate::app::error::AppError;
use crate::app::{environment, exit};

/// Parses the command line, runs the command, and returns the exit code.
pub fn main() -> u8 {
    process::dump_no_core();
    complete::answer(parser::command);
    let cli = match parser::parse(std::env::args_os()) {
        Ok((mut cli, typed)) => {
            cli.global.command = verbs(&typed);
            cli
        }
        Err(e) => {
            let typed = environment::output_as_typed().and_then(|o| Format::from_str(&o, true).ok());
            match typed.filter(|format| e.use_stderr() && *format != Format::Human) {
                Some(format) => report(&Printer::new(format), &AppError::usage(e.to_string().trim())),
                None => printer::of_clap(&e),
            }
            return if e.use_stderr() { exit::USAGE } else { exit::DONE };
        }
    };
    let printer = Printer::new(cli.global.output).at(Whereabouts::from_global(&cli.global).kept());
    crate::app::interrupt::last_lines_by(printer::last_line);
    let logged = log::begin(printer, cli.global.verbose, cli.global.log_format);
    let older = &cli.global.older;
    match logged.and_then(|()| dispatch(&cli, &printer)) {
        Ok(code) => {
            older.tell(&printer);
            older.code(code)
        }
        Err(error) => {
            report(&printer, &error);
            if !error.is_put_back() {
                older.tell(&printer);
            }
            error.exit
        }
    }
}

/// The words of the command as typed, such as `runs` and `resume`.
fn verbs(typed: &ArgMatches) -> Vec<String> {
    let mut verbs = Vec::new();
    let mut at = typed.subcommand();
    while let Some((verb, of)) = at {
        verbs.push(verb.to_owned());
        at = of.subcommand();
    }
    verbs
}

fn dispatch(cli: &Cli, printer: &Printer) -> Result<u8, AppError> {
    use commands as c;
    let global = &cli.global;
    match &cli.command {
        Command::Init(args) => c::init::run(global, printer, args),
        Command::Check(args) => c::check::run(global, printer, args),
        Command::Explain { id } => c::explain::run(printer, id.as_deref()),
        Command::Plan(args) => c::plan::run(global, printer, args),
        Command::Observe(args) => c::observe::run(global, printer, args),
        Command::Assess(args) => c::assess::run(global, printer, args),
        Command::Doctor(args) => c::doctor::run(global, printer, args),
        Command::Ready(args) => c::ready::run(global, printer, args),
        Command::Status(args) => c::status::run(global, printer, args),
        Command::Failover(args) => {
            c::start::run(global, printer, crate::model::intent::Intent::Failover, args)
        }
        Command::Switchover(args) => {
            c::start::run(global, printer, crate::model::intent::Intent::Switchover, args)
        }
        Command::Reprotect(args) => {
            c::start::run(global, printer, crate::model::intent::Intent::Reprotect, args)
        }
        Command::Failback(args) => {
            c::start::run(global, printer, crate::model::intent::Intent::Failback, args)
        }
        Command::Drill(args) => c::drill::run(global, printer, args),
        Command::Restore(args) => c::restore::run(global, printer, args),
        Command::Runs(args) => c::runs::run(global, printer, args),
        Command::Approve(args) => c::approve::approve(global, printer, &args.yes()),
        Command::Ack(args) => c::duties::ack(global, printer, args),
        Command::Duties(args) => c::duties::run(global, printer, args),
        Command::Notify(args) => c::notify::run(global, printer, args),
        Command::Reject(args) => c::approve::reject(global, printer, &args.run, &args.step, &args.reason),
        Command::Serve(args) => c::serve::run(global, printer, args),
        Command::Schedules => c::schedules::run(global, printer),
        Command::Report(args) => c::report::run(global, printer, args),
        Command::Audit(args) => c::audit::run(global, printer, args),
        Command::Evidence(args) => c::evidence::run(global, printer, args),
        Command::Override(args) => c::approve::overrule(global, printer, &args.run, &args.step, &args.reason),
        Command::Policy(args) => c::policy::run(global, printer, args),
        Command::Key(args) => c::key::run(global, printer, args),
        Command::Kit(args) => c::kit::run(global, printer, args),
        Command::Schema { of } => c::schema::run(printer, *of),
        Command::Completions { shell } => c::schema::completions(printer, *shell),
    }
}

fn report(printer: &Printer, error: &AppError) {
    if printer.format == Format::Human {
        printer.note(&error.to_string());
        if let Some(hint) = &error.hint {
            printer.note(&format!("fix: {hint}"));
        }
    } else {
        printer.document(&serde_json::json!({
            "schema_version": 1,
            "outcome": "refused",
            "error": {
                "code": error.code,
                "message": error.message,
                "hint": error.hint,
            },
            "exit_code": error.exit,
        }));
    }
}
