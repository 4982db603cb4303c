//! `ciyuan completions` and `ciyuan man`: made from the same definitions as the help texts.

use std::io::Write;
use std::path::PathBuf;

use ciyuan::Error;
use ciyuan::shard::write_atomic;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::failure::Outcome;

/// Print shell completions
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan completions bash > ~/.local/share/bash-completion/completions/ciyuan")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write one for each command
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan man | man -l -")]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn completions(args: &CompletionsArgs, definition: &mut Command) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, definition, "ciyuan", &mut text);
    std::io::stdout().lock().write_all(&text)?;
    Ok(())
}

pub(super) fn man(args: &ManArgs, mut definition: Command) -> Outcome {
    definition.build();
    let Some(folder) = &args.output else {
        std::io::stdout().lock().write_all(&page(definition)?)?;
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    for command in definition.get_subcommands() {
        let name = format!("ciyuan-{}", command.get_name());
        // The page's title needs a name that lives as long as the program; there are a dozen.
        let titled = command.clone().name(&*name.clone().leak());
        write_atomic(&folder.join(format!("{name}.1")), &page(titled)?)?;
    }
    Ok(write_atomic(&folder.join("ciyuan.1"), &page(definition)?)?)
}

fn page(command: Command) -> Outcome<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    Ok(text)
}
