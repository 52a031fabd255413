//! What `dist` and `distd` are as programs at a terminal: text and tables for people, help with
//! examples, completions for shells, manual pages.
//!
//! [`Program`] is the main type: the commands of a program with an example of each, from which help,
//! completions, manual pages and the reference are made.
//!
//! ```
//! use dist_term::Program;
//!
//! let command = clap::Command::new("greet").subcommand(clap::Command::new("hello"));
//! let program = Program::new(command, &[("greet hello", &["greet hello"])]);
//! let help = program.command().find_subcommand_mut("hello").unwrap().render_help().to_string();
//! assert!(help.ends_with("Examples:\n  greet hello\n"), "{help}");
//! ```

mod program;
mod text;

pub use clap_complete::Shell;

pub use program::{Completions, Examples, Man, Page, Program};
pub use text::{Table, Text, clean, list, or_dash};
