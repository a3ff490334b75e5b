//! The binary: parse, run, exit code.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(drctl::cli::main())
}
