//! The commands of a page, run as somebody would who follows it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::page::{Block, Kind, Page};
use crate::server::Binaries;
use crate::shell;

/// How long the commands of one page may take.
const LIMIT: Duration = Duration::from_mins(3);
/// What begins a command of ours behind it.
const OPERATORS: [&str; 6] = ["|", "||", "&&", ";", "then", "do"];

/// Runs the blocks of a page in order. Whatever they leave running ends with them.
pub fn run(binaries: &Binaries, page: &Page) -> Result<()> {
    let blocks: Vec<&Block> = page.blocks.iter().collect();
    if blocks.iter().all(|block| block.kind != Kind::Run) {
        return Ok(());
    }
    let (home, scratch) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut script = "ip link set lo up\n".to_owned();
    for (number, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == Kind::Run) {
        let output = scratch.path().join(number.to_string());
        // One shell runs them all, so that variables and background jobs stay.
        writeln!(script, "exec >{} 2>&1\n{}", output.display(), block.text)?;
    }
    let path = scratch.path().join("script");
    fs::write(&path, script)?;
    let mut shell = reader(binaries, home.path(), scratch.path())?;
    shell.arg("-eu").arg(&path);
    let ended = shell::run(&mut shell, LIMIT);
    let output = |number: usize| fs::read_to_string(scratch.path().join(number.to_string())).ok();
    if ended.is_err() {
        let last = (0..blocks.len())
            .rev()
            .find_map(|number| Some((blocks[number], output(number)?)));
        let (block, said) =
            last.context("the shell did not start: namespaces need root, or a kernel that gives them")?;
        bail!(
            "line {}: the commands failed:\n{}\n{}",
            block.line,
            block.text,
            said.trim_end()
        );
    }
    for (number, block) in blocks
        .iter()
        .enumerate()
        .filter(|(_, block)| block.kind == Kind::Output)
    {
        let said = number.checked_sub(1).and_then(output);
        let said = said.with_context(|| format!("line {}: no commands stand before the output", block.line))?;
        compare(&block.text, &said).with_context(|| format!("line {}", block.line))?;
    }
    Ok(())
}

/// A shell on a machine of its own, as far as networks and processes go, with an empty home where
/// `~/dist` is the repository.
fn reader(binaries: &Binaries, home: &Path, scratch: &Path) -> Result<Command> {
    let tools = scratch.join("bin");
    fs::create_dir(&tools)?;
    for program in binaries.paths() {
        symlink(
            program,
            tools.join(program.file_name().context("a program has a name")?),
        )?;
    }
    symlink(shell::root(), home.join("dist"))?;
    #[allow(
        clippy::disallowed_methods,
        reason = "the machine's own programs stay where they are"
    )]
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(tools).chain(std::env::split_paths(&inherited));
    let mut command = shell::command("unshare");
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("bash").current_dir(home).env_clear();
    command
        .env("HOME", home)
        .env("PATH", std::env::join_paths(path)?)
        .env("LANG", "C.UTF-8");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// Each line that the page shows was printed, in this order; `…` stands for anything.
fn compare(shown: &str, said: &str) -> Result<()> {
    let mut lines = said.lines();
    for line in shown.lines() {
        ensure!(
            lines.any(|said| matches(line, said)),
            "the page shows {line:?}, and what was said is\n{}",
            said.trim_end()
        );
    }
    Ok(())
}

fn matches(shown: &str, said: &str) -> bool {
    let mut parts = shown.trim_end().split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = said.trim_end().strip_prefix(first) else {
        return false;
    };
    let mut is_open = false;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        is_open = part.is_empty();
    }
    rest.is_empty() || is_open
}

/// Checks that the programs take the commands that are not run, as far as `--help` behind them tells:
/// names of commands and flags, and the values of both.
pub fn check_spelling(binaries: &Binaries, page: &Page) -> Result<()> {
    for block in page.blocks.iter().filter(|block| block.kind == Kind::NotRun) {
        for words in commands(&block.text) {
            let program = binaries.paths()[usize::from(words[0] == "distd")];
            let output = shell::output(shell::command(program).args(&words[1..]).arg("--help").env_clear())?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.success(),
                "line {}: {}: {said}",
                block.line,
                words.join(" ")
            );
        }
    }
    Ok(())
}

/// The commands of ours in a block, as words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let words = words(line);
        for command in words.split(|word| OPERATORS.contains(&word.as_str())) {
            let is_setting = |word: &&String| word.contains('=') || *word == "sudo";
            let command: Vec<String> = command.iter().skip_while(is_setting).cloned().collect();
            if command.first().is_some_and(|word| word == "dist" || word == "distd") {
                commands.push(command);
            }
        }
    }
    commands
}

/// The words of a line, up to a comment, a redirection or the end of a substitution.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.replace("$(", " ; ").chars() {
        match (quote, letter) {
            (Some(mark), letter) if letter == mark => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, ')') => break,
            (None, '>' | '<') => {
                // The number of a channel belongs to its redirection.
                word = word.filter(|word| word.parse::<u8>().is_err());
                break;
            }
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words.retain(|word| word != "&");
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_ours_are_found_among_others() {
        let found = commands(
            "cd out && dist ci publish --app acme \\\n  --version '1.0 0' a.apk 2>log # dist nothing\n\
             export DIST_TOKEN=$(dist token create --name ci)\nsudo distd --data /data &\necho dist\n\
             DIST_APP=acme dist app show | head -1\n",
        );
        let found: Vec<String> = found.iter().map(|words| words.join("|")).collect();
        assert_eq!(
            found,
            [
                "dist|ci|publish|--app|acme|--version|1.0 0|a.apk",
                "dist|token|create|--name|ci",
                "distd|--data|/data",
                "dist|app|show",
            ]
        );
    }

    #[test]
    fn what_a_page_shows_may_leave_out_and_not_invent() {
        let said = "acme 1.0.0 published (01a1)\n  linux  a.tar.gz\nbeta is at 1.0.0 (revision 1)\n";
        assert!(compare("acme 1.0.0 published (…)\nbeta is at …\n", said).is_ok());
        assert!(compare("beta is at …\nacme 1.0.0 published (…)\n", said).is_err());
        assert!(compare("acme 1.0.0\n", said).is_err());
    }
}
