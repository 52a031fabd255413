//! A program and what is made of its commands.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, Args, Command};
use clap_complete::Shell;
use clap_mangen::roff::{Roff, roman};

/// Lines to type, by the command that they show: `("dist app list", &["dist app list --json"])`. A line
/// that begins with `#` says what the next one is for.
pub type Examples = &'static [(&'static str, &'static [&'static str])];

/// Prints a completion script.
#[derive(Args, Clone, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the manual page, or writes all of them.
#[derive(Args, Clone, Debug)]
pub struct Man {
    /// Write a page for every command to this folder instead
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// A manual page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its file, such as `dist-app-list.1`.
    pub file: String,
    /// What `man` reads.
    pub text: String,
}

/// The commands of a program, with examples.
#[derive(Clone, Debug)]
pub struct Program {
    command: Command,
    examples: Examples,
}

impl Program {
    /// A program of these commands.
    pub fn new(command: Command, examples: Examples) -> Self {
        Self { command, examples }
    }

    /// The commands, whose help ends in their examples.
    pub fn command(&self) -> Command {
        self.with_examples(self.command.clone(), "")
    }

    /// What `arguments`, the program's name first, ask of the commands.
    ///
    /// # Errors
    /// What to print where they ask nothing of them. A word that is a command elsewhere in the program
    /// is answered with where that is.
    pub fn parse(&self, arguments: impl IntoIterator<Item = OsString>) -> Result<ArgMatches, clap::Error> {
        let parsed = self.command().try_get_matches_from(arguments);
        parsed.map_err(|mut error| {
            if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
                && let found = self.named(word)
                && !found.is_empty()
            {
                error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(found));
            }
            error
        })
    }

    /// The commands whose last word is `word`, by all their words.
    fn named(&self, word: &str) -> Vec<String> {
        let mut command = self.command.clone();
        command.build();
        let mut names = Vec::new();
        add_names(&command, &mut names);
        let names = names.into_iter().map(|(name, _)| name);
        names.filter(|name| name.rsplit(' ').next() == Some(word)).collect()
    }

    /// The commands as they are, for whoever shows the examples in another way.
    pub fn without_examples(&self) -> &Command {
        &self.command
    }

    /// The examples of a command, named by all its words such as `dist app list`; empty where it has none.
    pub fn examples(&self, command: &str) -> &'static [&'static str] {
        let found = self.examples.iter().find(|(name, _)| *name == command);
        found.map_or(&[], |(_, lines)| lines)
    }

    /// What is wrong with the examples, for a test of the program's: a line that its command does not
    /// understand, a name that is no command's, and a command that does something and has none.
    pub fn wrong_examples(&self) -> Vec<String> {
        let mut command = self.command();
        command.build();
        let mut wrong = Vec::new();
        let mut known = Vec::new();
        add_names(&command, &mut known);
        for (name, does_something) in &known {
            if *does_something && self.examples(name).is_empty() {
                wrong.push(format!("{name} has no example"));
            }
        }
        for (name, lines) in self.examples {
            if !known.iter().any(|(known, _)| known == name) {
                wrong.push(format!("{name} is no command"));
            }
            for line in lines.iter().filter(|line| !line.starts_with('#')) {
                match command.clone().try_get_matches_from(words(line)) {
                    Ok(_) if words(line).join(" ").starts_with(name) => {}
                    Ok(_) => wrong.push(format!("{line} is no example of {name}")),
                    Err(error) => wrong.push(format!("{line}: {}", error.render())),
                }
            }
        }
        wrong
    }

    fn with_examples(&self, command: Command, parent: &str) -> Command {
        let name = format!("{parent} {}", command.get_name()).trim_start().to_owned();
        let lines = self.examples(&name);
        let command = if lines.is_empty() {
            command
        } else {
            let heading = *command.get_styles().get_header();
            let before = command.get_after_help().map(|text| format!("{text}\n\n"));
            let before = before.unwrap_or_default();
            let lines = lines.join("\n  ");
            command.after_help(format!("{before}{heading}Examples:{heading:#}\n  {lines}"))
        };
        command.mut_subcommands(|subcommand| self.with_examples(subcommand, &name))
    }

    /// What a shell reads to complete the program's words.
    pub fn completions(&self, shell: Shell) -> String {
        let mut script = Vec::new();
        let name = self.command.get_name().to_owned();
        clap_complete::generate(shell, &mut self.command.clone(), name, &mut script);
        String::from_utf8_lossy(&script).into_owned()
    }

    /// The manual: a page for each command, the program's own first.
    ///
    /// # Errors
    /// Where a page cannot be rendered.
    pub fn manual(&self) -> io::Result<Vec<Page>> {
        let mut command = self.command.clone().disable_help_subcommand(true);
        command.build();
        let mut pages = Vec::new();
        self.add_pages(&command, &mut pages)?;
        Ok(pages)
    }

    /// The program's own page.
    ///
    /// # Errors
    /// Where it cannot be rendered.
    pub fn page(&self) -> io::Result<String> {
        Ok(self.manual()?.swap_remove(0).text)
    }

    /// Writes the manual to a folder, which is made where there is none.
    ///
    /// # Errors
    /// Where a page cannot be written.
    pub fn write_manual(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for page in self.manual()? {
            std::fs::write(folder.join(page.file), page.text)?;
        }
        Ok(())
    }

    fn add_pages(&self, command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
        pages.push(self.page_of(command)?);
        let mut shown = command.get_subcommands().filter(|command| !command.is_hide_set());
        shown.try_for_each(|command| self.add_pages(command, pages))
    }

    fn page_of(&self, command: &Command) -> io::Result<Page> {
        let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
        let program = self.command.get_name();
        let version = self.command.get_version().unwrap_or_default();
        let man = clap_mangen::Man::new(command.clone());
        let title = name.replace(' ', "-");
        // Without a date, so that the same program always has the same manual.
        let mut text = format!(".TH {title} 1 \"\" \"{program} {version}\" \"The manual of {program}\"\n").into_bytes();
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        if command.get_arguments().any(|argument| !argument.is_hide_set()) {
            man.render_options_section(&mut text)?;
        }
        if command.get_subcommands().any(|command| !command.is_hide_set()) {
            man.render_subcommands_section(&mut text)?;
        }
        let mut rest = Roff::new();
        if let Some(notes) = command.get_after_help() {
            rest.control("SH", ["NOTES"]);
            for paragraph in notes.to_string().split("\n\n") {
                rest.control("PP", []).text([roman(paragraph.replace('\n', " "))]);
            }
        }
        let lines = self.examples(&name);
        if !lines.is_empty() {
            rest.control("SH", ["EXAMPLES"]).control("nf", []);
            for line in lines {
                rest.text([roman(*line)]);
            }
            rest.control("fi", []);
        }
        rest.to_writer(&mut text)?;
        Ok(Page {
            file: format!("{title}.1"),
            text: in_ascii(&String::from_utf8_lossy(&text)),
        })
    }
}

/// The same page for a `groff` that is not told its encoding; see `groff_char(7)`.
fn in_ascii(page: &str) -> String {
    page.chars().fold(String::new(), |mut page, c| {
        if c.is_ascii() {
            page.push(c);
        } else {
            let _ = write!(page, "\\[u{:04X}]", u32::from(c));
        }
        page
    })
}

/// The names of a command and of those below it, each with whether it does something by itself.
fn add_names(command: &Command, names: &mut Vec<(String, bool)>) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    names.push((name, !command.is_subcommand_required_set()));
    let shown = command.get_subcommands().filter(|command| command.get_name() != "help");
    shown.for_each(|command| add_names(command, names));
}

/// The words of an example as a shell gives them to the program: up to a redirection or a pipe, with
/// single quotes around words that have blanks.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
            continue;
        }
        for word in part.split_whitespace() {
            if matches!(word, "|" | "<" | ">") {
                return words;
            }
            words.push(word.to_owned());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn greet(examples: Examples) -> Program {
        let hello = Command::new("hello").about("Says hello…").arg(Arg::new("name"));
        let command = Command::new("greet").subcommand_required(true).subcommand(hello);
        Program::new(command, examples)
    }

    #[test]
    fn examples_end_the_help_and_the_manual_of_their_command() {
        let program = greet(&[("greet hello", &["# Somebody", "greet hello 'Ann B' | lolcat"])]);
        assert_eq!(program.wrong_examples(), [""; 0]);
        let mut command = program.command();
        let help = command.find_subcommand_mut("hello").unwrap().render_help().to_string();
        assert!(
            help.ends_with("Examples:\n  # Somebody\n  greet hello 'Ann B' | lolcat\n"),
            "{help}"
        );
        let pages = program.manual().unwrap();
        let files: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
        assert_eq!(files, ["greet.1", "greet-hello.1"]);
        assert!(pages[1].text.contains(".SH EXAMPLES\n"), "{}", pages[1].text);
        assert!(pages[1].text.contains("Says hello\\[u2026]"), "{}", pages[1].text);
    }

    #[test]
    fn a_command_that_stands_elsewhere_is_found() {
        let say = Command::new("say").subcommand(Command::new("hello"));
        let program = Program::new(Command::new("greet").subcommand(say), &[]);
        let refusal = |words: [&str; 2]| program.parse(words.map(OsString::from)).unwrap_err().to_string();
        let text = refusal(["greet", "hello"]);
        assert!(text.contains("'greet say hello'"), "{text}");
        let text = refusal(["greet", "sayy"]);
        assert!(text.contains("'say'"), "{text}");
    }

    #[test]
    fn examples_that_nobody_can_type_are_found() {
        let wrong = |examples| greet(examples).wrong_examples().len();
        assert_eq!(wrong(&[]), 1, "hello has none");
        assert_eq!(wrong(&[("greet hello", &["greet hello a b"])]), 1);
        assert_eq!(
            wrong(&[("greet hello", &["greet hello"]), ("greet bye", &["greet bye"])]),
            2
        );
    }
}
