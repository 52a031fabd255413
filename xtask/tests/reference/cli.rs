//! Every command of `dist` and `distd`, from the parsers themselves.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};
use dist_term::Program;

/// One section a command.
pub fn render() -> String {
    let mut page = "# Command line\n".to_owned();
    for program in [dist::program(), distd::program()] {
        let mut root = program.without_examples().clone();
        root.build();
        section(&program, &root, &mut page);
    }
    page
}

fn section(program: &Program, command: &Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    write!(page, "\n## {name}\n\n{about}\n").unwrap();
    let usage = command.clone().render_usage().to_string();
    write!(
        page,
        "\n    {}\n",
        usage.trim_start_matches("Usage: ").replace('\n', "\n    ")
    )
    .unwrap();
    let is_setting = |argument: &&Arg| argument.get_help_heading() == Some(distd::HEADING);
    let (global, own): (Vec<&Arg>, Vec<&Arg>) = command.get_arguments().partition(|argument| argument.is_global_set());
    list("", own.iter().copied().filter(|argument| !is_setting(argument)), page);
    if own.iter().any(is_setting) {
        page.push_str("\nEvery [setting of the server](configuration.md) is a flag of it.\n");
    }
    let subcommands = || command.get_subcommands().filter(|command| command.get_name() != "help");
    if name == "dist" {
        list("Every command takes:", global.iter().copied(), page);
        let shared = subcommands()
            .map(shared_arguments)
            .find(|arguments| arguments.len() > 1);
        list("Every command on a store takes:", shared.into_iter().flatten(), page);
    }
    if name.starts_with("distd ") && command.has_subcommands() {
        list("Every command of it takes:", global.into_iter(), page);
    }
    if let Some(more) = command.get_after_help() {
        write!(page, "\n{more}\n").unwrap();
    }
    let examples = program.examples(name);
    if !examples.is_empty() {
        write!(page, "\nExamples:\n\n    {}\n", examples.join("\n    ")).unwrap();
    }
    for command in subcommands() {
        section(program, command, page);
    }
}

/// What a subject's commands have in common, beyond what all commands have.
fn shared_arguments(subject: &Command) -> Vec<&Arg> {
    let is_shared = |argument: &&Arg| argument.is_global_set() && argument.get_id() != "json";
    subject.get_arguments().filter(is_shared).collect()
}

fn list<'a>(heading: &str, arguments: impl Iterator<Item = &'a Arg>, page: &mut String) {
    let is_builtin = |argument: &&Arg| {
        use ArgAction::{Help, HelpLong, HelpShort, Version};
        matches!(argument.get_action(), Help | HelpShort | HelpLong | Version)
    };
    let shown: Vec<&Arg> = arguments
        .filter(|argument| !argument.is_hide_set() && !is_builtin(argument))
        .collect();
    if shown.is_empty() {
        return;
    }
    let heading = if heading.is_empty() {
        String::new()
    } else {
        format!("{heading}\n\n")
    };
    write!(page, "\n{heading}").unwrap();
    for argument in shown {
        describe(argument, page);
    }
}

fn describe(argument: &Arg, page: &mut String) {
    // The parser's own spelling, such as `--app <APP>` or `[FILE]...`.
    let spelled = argument.to_string();
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default().replace('\n', " ");
    write!(page, "- `{spelled}`: {help}").unwrap();
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        write!(page, " [one of {}]", values.join(", ")).unwrap();
    }
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    let is_shown = argument.get_action().takes_values() && !argument.is_hide_default_value_set();
    if !defaults.is_empty() && is_shown {
        write!(page, " [default: `{}`]", defaults.join(",")).unwrap();
    }
    if let Some(variable) = argument.get_env() {
        write!(page, " [environment: `{}`]", variable.to_string_lossy()).unwrap();
    }
    page.push('\n');
}
