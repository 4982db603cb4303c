//! Text on backgrounds of alternate colours, to show where it is cut.

use std::io::{IsTerminal, Result, Write};

/// When output is coloured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless the variable NO_COLOR asks for none
    Auto,
    /// Wherever the output goes
    Always,
    /// Nowhere
    Never,
}

impl When {
    /// Whether what goes to standard output now is coloured.
    pub(super) fn now(self) -> bool {
        match self {
            Self::Auto => {
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Backgrounds that black text reads well on, in the 256-colour palette.
const COLOURS: [u8; 5] = [153, 222, 151, 218, 229];

/// Writes the piece number `at` of a text.
pub(super) fn write_piece(out: &mut impl Write, at: usize, piece: &str) -> Result<()> {
    let colour = COLOURS[at % COLOURS.len()];
    // A background that runs over a line end would fill the next line: each line is coloured by itself.
    for (line, part) in piece.split('\n').enumerate() {
        if line > 0 {
            out.write_all(b"\n")?;
        }
        if !part.is_empty() {
            let shown: String =
                part.chars().map(|c| if c.is_control() && c != '\t' { '\u{FFFD}' } else { c }).collect();
            write!(out, "\x1b[30;48;5;{colour}m{shown}\x1b[0m")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_stays_outside_and_controls_are_shown() {
        let mut out = Vec::new();
        write_piece(&mut out, 6, "词\n\r\t").unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\x1b[30;48;5;222m词\x1b[0m\n\x1b[30;48;5;222m\u{FFFD}\t\x1b[0m");
    }
}
