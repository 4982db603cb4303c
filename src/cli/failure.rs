//! How a command ends when it does not succeed.

use std::io::Write;
use std::process::ExitCode;

use ciyuan::Error;
use ciyuan::error::TokenizerFault;

/// The result of a subcommand.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

/// Why a subcommand did not succeed.
pub(super) enum Failure {
    /// The library's error.
    Library(Error),
    /// Arguments that clap refuses, and also help and version, which it gives as errors.
    Clap(clap::Error),
    /// Arguments that contradict each other, or a configuration file that is wrong.
    Usage(String),
    /// Standard output cannot be written.
    Output(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    /// Tells the failure on standard error, and gives the exit code.
    pub(super) fn report(self) -> ExitCode {
        let (text, code) = match self {
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Self::Clap(error) => {
                // Help goes to standard output; if that is closed, nobody is there to be told.
                let _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
            Self::Usage(text) => (text, 2),
            Self::Output(error) => (format!("cannot write to standard output: {error}"), 1),
            Self::Library(error) => (error.to_string(), exit_code(&error)),
        };
        let _ = writeln!(std::io::stderr(), "ciyuan: {text}");
        ExitCode::from(code)
    }
}

fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Setting { .. }
        | Error::UnknownPattern { .. }
        | Error::Pattern { .. }
        | Error::UnknownSpecial { .. }
        | Error::UnknownForm { .. } => 2,
        Error::Tokenizer(TokenizerFault::VocabTooSmall { .. } | TokenizerFault::NotLarger { .. }) => 2,
        Error::Record { .. }
        | Error::NotUtf8 { .. }
        | Error::OtherText { .. }
        | Error::NoGold { .. }
        | Error::UserWord { .. }
        | Error::Tokenizer(_)
        | Error::UnknownToken { .. }
        | Error::NotAnId { .. }
        | Error::Shard { .. }
        | Error::Foreign { .. }
        | Error::Manifest { .. }
        | Error::Counts { .. }
        | Error::OtherCounts { .. }
        | Error::Checkpoint { .. }
        | Error::Fingerprint { .. }
        | Error::Audit { .. }
        | Error::NoDocuments { .. }
        | Error::TooManyBad { .. }
        | Error::Accounting { .. } => 3,
        Error::InDocument { source, .. } => exit_code(source),
        Error::Locked { .. } => 4,
        Error::Interrupted { .. } => 130,
        _ => 1,
    }
}
