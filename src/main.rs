//! The command `ciyuan`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
