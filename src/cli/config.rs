//! The settings file: `--config FILE` and `--print-config`.
//!
//! Its keys are the long flags of all commands, so one file can serve every command: a command takes the keys it has.
//! They are put before the arguments of the command line, which override them. A flag that may be given several times
//! can have a list.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::failure::{Failure, Outcome};

/// The arguments with those of the settings file put before them.
pub(super) fn with_file(definition: &Command, arguments: Vec<OsString>) -> Outcome<Vec<OsString>> {
    let Some(path) = config_path(&arguments) else {
        return Ok(arguments);
    };
    let is_command =
        |argument: &OsString| argument.to_str().is_some_and(|name| definition.find_subcommand(name).is_some());
    let Some(at) = arguments.iter().skip(1).position(is_command).map(|at| at + 1) else {
        return Ok(arguments);
    };
    let command = arguments[at].to_str().and_then(|name| definition.find_subcommand(name)).unwrap_or(definition);
    let wrong = |why: String| Failure::Usage(format!("settings file `{}`: {why}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut merged = arguments[..=at].to_vec();
    for (key, value) in &table {
        let find = |command: &Command| command.get_arguments().find(|arg| arg.get_long() == Some(key)).cloned();
        if let Some(argument) = find(command).or_else(|| find(definition)) {
            let values = match value {
                // The command line overrides the whole list.
                _ if repeats(&argument) && is_given(key, &arguments) => &[],
                toml::Value::Array(values) if repeats(&argument) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            for value in values {
                merged.extend(flag(key, value).map_err(&wrong)?);
            }
        } else if !definition.get_subcommands().any(|command| find(command).is_some()) {
            return Err(wrong(format!("`{key}` is no setting of any command")));
        }
    }
    merged.extend_from_slice(&arguments[at + 1..]);
    Ok(merged)
}

fn repeats(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

/// Whether the command line has this flag.
fn is_given(key: &str, arguments: &[OsString]) -> bool {
    arguments.iter().filter_map(|argument| argument.to_str()?.strip_prefix("--")?.strip_prefix(key)).any(|rest| {
        // Not a longer flag that begins so.
        rest.is_empty() || rest.starts_with('=')
    })
}

fn config_path(arguments: &[OsString]) -> Option<PathBuf> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.to_str() {
            Some("--") => return None,
            Some("--config") => return rest.next().map(PathBuf::from),
            Some(text) if text.starts_with("--config=") => {
                return Some(PathBuf::from(&text["--config=".len()..]));
            }
            _ => {}
        }
    }
    None
}

fn flag(key: &str, value: &toml::Value) -> Result<Option<OsString>, String> {
    let text = match value {
        toml::Value::Boolean(false) => return Ok(None),
        toml::Value::Boolean(true) => return Ok(Some(format!("--{key}").into())),
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        _ => return Err(format!("`{key}` must be a string, a number, true or false")),
    };
    Ok(Some(format!("--{key}={text}").into()))
}

/// Prints the settings of the command that was parsed, as a settings file.
pub(super) fn print(definition: &Command, matches: &ArgMatches) -> Outcome {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    let mut table = toml::Table::new();
    let command = definition.find_subcommand(name).unwrap_or(definition);
    for argument in command.get_arguments().chain(definition.get_arguments()) {
        let Some(long) =
            argument.get_long().filter(|long| !matches!(*long, "config" | "print-config" | "help" | "version"))
        else {
            continue;
        };
        if let Some(value) = value_of(argument, matches) {
            table.insert(long.to_owned(), value);
        }
    }
    write!(std::io::stdout().lock(), "{table}")?;
    Ok(())
}

fn value_of(argument: &Arg, matches: &ArgMatches) -> Option<toml::Value> {
    let id = argument.get_id().as_str();
    if !argument.get_action().takes_values() {
        return Some(matches.get_flag(id).into());
    }
    let mut values = matches.try_get_raw(id).ok()??.map(OsStr::to_str);
    if repeats(argument) {
        return Some(values.collect::<Option<Vec<&str>>>()?.into());
    }
    let text = values.next()??;
    let number = text.parse::<i64>().map(toml::Value::from).or_else(|_| text.parse::<f64>().map(toml::Value::from));
    Some(number.unwrap_or_else(|_| text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn merge(file: &str, arguments: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ciyuan.toml");
        std::fs::write(&path, file).unwrap();
        let arguments =
            arguments.iter().map(|argument| argument.replace("FILE", path.to_str().unwrap()).into()).collect();
        match with_file(&super::super::Cli::command(), arguments) {
            Ok(merged) => Ok(merged
                .into_iter()
                .map(|argument| argument.into_string().unwrap().replace(path.to_str().unwrap(), "FILE"))
                .collect()),
            Err(Failure::Usage(text)) => Err(text),
            Err(_) => panic!("another failure"),
        }
    }

    #[test]
    fn keys_come_before_flags() {
        let merged = merge(
            "vocab-size = 500\nquiet = true\nsteps = 7\n",
            &["ciyuan", "learn", "--config", "FILE", "x", "--vocab-size", "9"],
        );
        assert_eq!(
            merged.unwrap(),
            ["ciyuan", "learn", "--quiet", "--vocab-size=500", "--config", "FILE", "x", "--vocab-size", "9"]
        );
    }

    #[test]
    fn a_list_is_for_a_flag_given_several_times() {
        let file = "user-dict = [\"a\", \"b\"]\n";
        let merged = merge(file, &["ciyuan", "segment", "--config", "FILE"]).unwrap();
        assert_eq!(merged, ["ciyuan", "segment", "--user-dict=a", "--user-dict=b", "--config", "FILE"]);
        let merged = merge("user-dict = \"a\"\n", &["ciyuan", "segment", "--config", "FILE"]).unwrap();
        assert_eq!(merged, ["ciyuan", "segment", "--user-dict=a", "--config", "FILE"]);
        for given in ["--user-dict=c", "--user-dict"] {
            let merged = merge(file, &["ciyuan", "segment", "--config", "FILE", given, "d"]).unwrap();
            assert_eq!(merged, ["ciyuan", "segment", "--config", "FILE", given, "d"]);
        }
    }

    #[test]
    fn what_is_refused() {
        assert!(
            merge("vocabsize = 500\n", &["ciyuan", "learn", "--config=FILE"])
                .unwrap_err()
                .contains("`vocabsize` is no setting")
        );
        assert!(merge("han = [1]\n", &["ciyuan", "learn", "--config=FILE"]).unwrap_err().contains("must be a string"));
        assert!(merge("han = \n", &["ciyuan", "learn", "--config=FILE"]).is_err());
    }

    #[test]
    fn definitions_are_sound() {
        super::super::Cli::command().debug_assert();
    }
}
